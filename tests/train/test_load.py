"""Fitting the load state: it separates what can be separated, and says when it cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch, which is not installed")

from nii.annotations.coco import read_coco
from nii.errors import NiiError
from nii.infer.load import FEATURES
from nii.train.load import (
    LoadSample,
    balanced_accuracy,
    filling_accuracy,
    fit_load,
    load_samples,
)

SAMPLES = Path(__file__).parents[2] / "data" / "samples"


def drawn(count: int, apart: float, seed: int = 0) -> list[LoadSample]:
    """Return as many empty as loaded containers whose third feature differs by `apart`."""
    rng = np.random.default_rng(seed)
    features = rng.normal(0, 1, (2 * count, len(FEATURES)))
    features[count:, 2] += apart
    return [LoadSample(row, index >= count) for index, row in enumerate(features)]


def test_what_lies_apart_is_told_apart_on_containers_never_seen() -> None:
    """A difference of six deviations is enough for nearly all, none is enough for a guess."""
    spec = fit_load(drawn(100, 6.0), "test")
    assert balanced_accuracy(drawn(100, 6.0, seed=1), spec) > 0.97
    assert int(np.argmax(np.abs(spec.weights))) == 2
    blind = fit_load(drawn(100, 0.0), "test")
    assert balanced_accuracy(drawn(200, 0.0, seed=1), blind) < 0.65


def test_full_and_partly_filled_are_told_apart_where_enough_are_labelled() -> None:
    """Nearly all loaded ones that differ by six deviations are called rightly, as full or not."""

    def filled(seed: int) -> list[LoadSample]:
        """Return empty, partly filled and full ones: the fifth feature tells the latter two."""
        samples = drawn(200, 6.0, seed)
        for one in samples[300:]:
            one.features[5] += 6.0
        return samples[:200] + [
            replace(one, full=number >= 100) for number, one in enumerate(samples[200:])
        ]

    spec = fit_load(filled(0), "test")
    assert spec.filling is not None
    assert "full and" in spec.filling.basis
    accuracy = filling_accuracy(filled(1), spec)
    assert accuracy is not None
    assert accuracy > 0.95
    assert balanced_accuracy(filled(1), spec) > 0.97
    assert filling_accuracy(drawn(10, 6.0), spec) is None
    assert fit_load(drawn(100, 6.0), "test").filling is None


def test_rare_containers_weigh_as_much_as_common_ones() -> None:
    """With nine empty ones to one loaded one, loaded ones are still found."""
    samples = drawn(200, 4.0)
    rare = samples[:200] + samples[200:222]
    spec = fit_load(rare, "test")
    loaded = [s for s in drawn(200, 4.0, seed=1) if s.loaded]
    found = [balanced_accuracy([s, replace(s, loaded=False)], spec) for s in loaded]
    assert len(found) == 200
    assert balanced_accuracy(drawn(200, 4.0, seed=2), spec) > 0.93


def test_too_few_containers_are_refused() -> None:
    """Five of each are needed, and both kinds are needed to judge."""
    samples = drawn(10, 1.0)
    with pytest.raises(NiiError, match="4 loaded"):
        fit_load(samples[:14], "test")
    with pytest.raises(ValueError, match="both"):
        balanced_accuracy(samples[:10], fit_load(samples, "test"))


@pytest.mark.slow
def test_labelled_containers_are_read_from_scans() -> None:
    """The shipped samples hold containers with load states, each seen as it is and as display."""
    images = read_coco(SAMPLES / "labels.json", SAMPLES).images
    plain = load_samples(images)
    both = load_samples(images, np.random.default_rng(0))
    labelled = sum(state is not None for image in images for state in image.load_states)
    assert 0 < len(plain) <= labelled
    assert len(plain) < len(both) <= 2 * len(plain)
