"""Load state: what darkens the inside of a container makes it loaded, whatever the grey curve."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from jaxtyping import Float32

from nii.bundle import FillingSpec, LoadSpec
from nii.infer.load import FEATURES, load_features, load_of

BOX = (100.0, 50.0, 700.0, 250.0)
SPEC = LoadSpec(
    mean=(0.0,) * len(FEATURES),
    scale=(1.0,) * len(FEATURES),
    weights=tuple(10.0 if name == "share_above_wall" else 0.0 for name in FEATURES),
    bias=-2.0,
    basis="weights of the test",
)


def container(load_g: float, *, air: float = 1.0) -> Float32[np.ndarray, "height width"]:
    """Return a picture of a container whose lower half holds something of some attenuation."""
    picture = np.full((300, 800), air, np.float32)
    picture[50:250, 100:700] *= np.float32(np.exp(-0.15))
    picture[150:240, 120:680] *= np.float32(np.exp(-load_g))
    return picture


def test_a_dark_half_is_a_load_and_walls_alone_are_none() -> None:
    """The same container is empty without and loaded with cargo."""
    empty, loaded = load_of(container(0.0), BOX, SPEC), load_of(container(1.0), BOX, SPEC)
    assert empty is not None
    assert loaded is not None
    assert (empty.state, loaded.state) == ("empty", "loaded")
    assert empty.score < 0.5 < loaded.score


def test_a_loaded_container_is_partly_filled_or_full() -> None:
    """Goods along the whole of it or along half; an empty one is neither, nor is an unlearnt."""
    spec = replace(SPEC, filling=FillingSpec(SPEC.weights, -3.5, "weights of the test"))
    half = container(0.0)
    half[150:240, 120:420] *= np.float32(np.exp(-1.0))
    found = [load_of(picture, BOX, spec) for picture in (container(0.0), half, container(1.0))]
    assert [one and one.state for one in found] == ["empty", "loaded", "loaded"]
    assert [one and one.filling for one in found] == [None, "partial", "full"]
    scores = [one.full_score if one else None for one in found]
    assert scores[0] is None
    assert scores[1] is not None
    assert scores[2] is not None
    assert scores[1] < 0.5 < scores[2]
    plain = load_of(half, BOX, SPEC)
    assert plain is not None
    assert (plain.filling, plain.full_score) == (None, None)


def test_features_have_their_names_and_do_not_depend_on_the_brightness_of_air() -> None:
    """Everything is measured against the air of the same picture."""
    features = load_features(container(0.5), BOX)
    dimmed = load_features(container(0.5, air=0.6), BOX)
    assert features is not None
    assert dimmed is not None
    assert features.shape == (len(FEATURES),)
    np.testing.assert_allclose(features, dimmed, atol=1e-6)


def test_a_card_from_before_the_last_features_is_read_as_it_was() -> None:
    """A card weighs the features that there were when it was made, and ignores later ones."""
    count = FEATURES.index("log_lightest_columns")
    filling = FillingSpec(SPEC.weights[:count], -3.5, "weights of the test")
    new = replace(SPEC, filling=replace(filling, weights=SPEC.weights))
    old = LoadSpec(
        SPEC.mean[:count], SPEC.scale[:count], SPEC.weights[:count], SPEC.bias, "older", filling
    )
    for load in (0.0, 0.4, 1.0):
        assert load_of(container(load), BOX, old) == load_of(container(load), BOX, new)


def test_half_a_load_makes_a_step_among_the_columns() -> None:
    """Where goods end, the sorted columns jump; the step stands where the empty part ends."""
    half = container(0.0)
    half[150:240, 120:420] *= np.float32(np.exp(-1.0))
    rows = [load_features(picture, BOX) for picture in (container(1.0), half)]
    even, step = (dict(zip(FEATURES, row, strict=True)) for row in rows if row is not None)
    assert step["largest_step"] > 1
    assert even["largest_step"] < 0.2
    assert 0.4 < step["columns_below_step"] < 0.6
    assert step["log_lighter_end_over_middle"] < step["log_darker_end_over_middle"] + 1e-9
    assert step["log_columns_q05_over_darkest"] < even["log_columns_q05_over_darkest"] - 1


def test_a_mirrored_container_is_loaded_the_same() -> None:
    """Left and right mean nothing."""
    picture = container(0.7)
    features = load_features(picture, BOX)
    turned = load_features(np.ascontiguousarray(picture[:, ::-1]), BOX)
    assert features is not None
    assert turned is not None
    np.testing.assert_allclose(features, turned, atol=1e-6)


@pytest.mark.parametrize("box", [(0.0, 0.0, 50.0, 250.0), (790.0, 0.0, 900.0, 300.0)])
def test_a_part_that_is_too_small_says_nothing(box: tuple[float, float, float, float]) -> None:
    """A sliver of a container is neither empty nor loaded."""
    assert load_of(container(0.5), box, SPEC) is None


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_picture_of_one_grey_breaks_nothing(value: float) -> None:
    """Black and white pictures give finite facts."""
    features = load_features(np.full((300, 800), value, np.float32), BOX)
    assert features is not None
    assert np.isfinite(features).all()


def test_weights_that_do_not_belong_together_are_refused() -> None:
    """A card cannot carry a model with a weight missing or a scale of zero."""
    with pytest.raises(ValueError, match="length"):
        LoadSpec((0.0,), (1.0,), (1.0, 2.0), 0.0, "")
    with pytest.raises(ValueError, match="positive"):
        LoadSpec((0.0,), (0.0,), (1.0,), 0.0, "")
