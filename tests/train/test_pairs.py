"""Pairs: two crops differ by the threat alone, which is labelled where it can be seen."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch, which is not installed")

from nii import taxonomy
from nii.detections import Detections
from nii.physics.attenuation import by_name
from nii.scan import Scan
from nii.simulate.threats import THREATS
from nii.simulate.tip import image_of
from nii.train.pairs import Ground, can_be_seen, displacing, draw_threat, mark
from nii.train.synthetic_anomaly import UNKNOWN

_CLASSES = ("firearm", "brick", "dense_object")
_CONTAINER = (60.0, 40.0, 740.0, 460.0)


def _scan(attenuation: float = 0.5) -> Scan:
    planes = np.zeros((2, 500, 800), np.float32)
    planes[:, 40:460, 60:740] = attenuation
    noise = np.random.default_rng(0).normal(0, 1e-3, planes.shape)
    signal = np.clip(np.exp(-planes) + noise, 1e-5, 1).astype(np.float32)
    return Scan(signal, endpoint_mev=(9.0, 6.0), pixel_pitch_mm=(5.0, 5.0))


def _truth(*threats: tuple[float, float, float, float]) -> Detections:
    names = ["container", *(["brick"] * len(threats))]
    ids = np.asarray([taxonomy.by_name(name).class_id for name in names], np.int64)
    boxes = np.asarray([_CONTAINER, *threats], np.float32)
    return Detections(boxes, np.ones(len(ids), np.float32), ids)


@pytest.mark.parametrize("seed", range(6))
def test_the_two_differ_where_the_threat_is_and_nowhere_else(seed: int) -> None:
    """Outside the box not one pixel changes; inside the threat takes signal away."""
    rng = np.random.default_rng(seed)
    pair = Ground(_scan(), _truth(), _CLASSES).draw(256, rng)
    assert pair is not None
    x0, y0, x1, y1 = pair.window_xyxy
    assert (x1 - x0, y1 - y0) == (256, 256)
    before, after = pair.before.transmission, pair.after.transmission
    margin = 6  # the detector's blur
    left, top = pair.box_xyxy[0] - x0 - margin, pair.box_xyxy[1] - y0 - margin
    right, bottom = pair.box_xyxy[2] - x0 + margin, pair.box_xyxy[3] - y0 + margin
    same = np.ones(before.shape[1:], bool)
    same[max(top, 0) : bottom, max(left, 0) : right] = False
    assert np.array_equal(before[:, same], after[:, same])
    assert after[0][pair.mask].mean() < before[0][pair.mask].mean()
    assert pair.class_id in [taxonomy.by_name(name).class_id for name in _CLASSES]


@pytest.mark.slow
def test_threats_lie_in_the_container_and_not_on_others() -> None:
    """A labelled threat is not covered by a new one, and none lies outside the container."""
    taken = (200.0, 100.0, 600.0, 400.0)
    ground = Ground(_scan(), _truth(taken), _CLASSES)
    rng = np.random.default_rng(3)
    drawn = [pair for _ in range(30) if (pair := ground.draw(200, rng))]
    assert drawn
    for pair in drawn:
        x0, y0, x1, y1 = pair.box_xyxy
        assert x0 >= _CONTAINER[0] - 1
        assert y1 <= _CONTAINER[3] + 1
        wide = min(x1, taken[2]) - max(x0, taken[0])
        high = min(y1, taken[3]) - max(y0, taken[1])
        covered = max(wide, 0) * max(high, 0) / ((x1 - x0) * (y1 - y0))
        assert covered <= 0.1


def test_what_no_eye_could_find_is_not_taught() -> None:
    """Where the beam does not get through there are no pairs at all."""
    assert Ground(_scan(12.0), _truth(), _CLASSES).draw(256, np.random.default_rng(0)) is None
    threat = draw_threat({"firearm": 1.0}, _scan(), np.random.default_rng(0))
    assert can_be_seen(_scan(), threat, (200, 300))
    assert not can_be_seen(_scan(), threat, (499, 799))


@pytest.mark.slow
def test_weights_say_how_often_a_class_is_shown() -> None:
    """A class of nine times the weight is drawn nine times as often, within chance."""
    rng = np.random.default_rng(2)
    ground = Ground(_scan(), _truth(), ("brick", "dense_object"), (0.9, 0.1))
    drawn = [pair.class_id for _ in range(60) if (pair := ground.draw(256, rng)) is not None]
    assert drawn.count(taxonomy.by_name("brick").class_id) > 0.75 * len(drawn) > 30


def test_goods_take_away_what_they_would_have_weighed() -> None:
    """A threat in the place of goods adds less, never nothing, the less the heavier they are."""
    rng = np.random.default_rng(1)
    image = image_of(THREATS["brick"](rng), (5.0, 5.0), rng)
    light, heavy = (displacing(image, density) for density in (0.1, 0.6))
    whole, more, less = (float(one.areal_density_g_per_cm2.sum()) for one in (image, light, heavy))
    assert whole > more > less > 0.19 * whole
    path = image.areal_density_g_per_cm2[0] / by_name(image.materials[0]).density_g_per_cm3
    assert len(image.materials) > 1 or more == pytest.approx(whole - 0.1 * path.sum(), rel=1e-3)


def test_the_rim_of_a_threat_is_unknown() -> None:
    """Inside 1, a few pixels around it unknown, elsewhere as before."""
    mask = np.zeros((40, 40), bool)
    mask[15:25, 15:25] = True
    marked = mark(np.zeros((40, 40), np.float32), mask)
    assert (marked[mask] == 1).all()
    assert marked[14, 20] == UNKNOWN
    assert marked[5, 5] == 0
