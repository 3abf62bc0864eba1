"""Synthetic anomalies add attenuation, change nothing else, and teach only what can be seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("albumentations", reason="training needs torch, which is not installed")

from nii import taxonomy
from nii.detections import Detections
from nii.scan import Scan
from nii.train.augment import Picture
from nii.train.synthetic_anomaly import (
    UNKNOWN,
    Planter,
    anomaly_target,
    attenuation_of,
    blend,
    soft_mask,
)
from nii.train.targets import Grid

WINDOW = (40, 20, 360, 276)
BOX = (100.0, 80.0, 180.0, 140.0)


def textured_scan(seed: int, noise: float = 0.0) -> Scan:
    """Return boxes of many thicknesses, seen by two energies with one ratio of attenuations."""
    rng = np.random.default_rng(seed)
    thick = np.kron(rng.uniform(0.1, 2.0, (20, 30)), np.ones((16, 16)))
    transmission = np.exp(-thick[None] * np.asarray([1.0, 1.2])[:, None, None])
    transmission *= rng.normal(1, noise, transmission.shape) if noise else 1
    return Scan(transmission.astype(np.float32), endpoint_mev=(9.0, 6.0))


def with_threat(name: str = "brick") -> Detections:
    """Return one labelled threat."""
    box = np.asarray([BOX], np.float32)
    ids = np.asarray([taxonomy.by_name(name).class_id], np.int64)
    return Detections(box, np.ones(1, np.float32), ids)


@pytest.mark.slow
@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_a_piece_changes_its_place_alone_and_never_a_threat(seed: int) -> None:
    """Where the truth is 0 every bit of the window is that of the scan; so is a threat's box."""
    scan, truth = textured_scan(seed), with_threat()
    planter = Planter.of(scan, truth, truth, 1.0)
    seen, told = planter.plant(WINDOW, np.random.default_rng(seed))
    plain = scan.transmission[:, WINDOW[1] : WINDOW[3], WINDOW[0] : WINDOW[2]]
    changed = (seen.transmission != plain).any(axis=0)
    assert not changed[told == 0].any()
    x0, y0, x1, y1 = (int(edge) for edge in np.asarray(BOX) - np.tile(WINDOW[:2], 2))
    assert (seen.transmission[:, y0:y1, x0:x1] == plain[:, y0:y1, x0:x1]).all()
    assert told[(y0 + y1) // 2, (x0 + x1) // 2] == 1
    assert told[y0, x0] == UNKNOWN


@pytest.mark.slow
@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_a_piece_keeps_the_ratio_of_the_energies(seed: int) -> None:
    """Where every material attenuates 1.2 times as much at the low energy, so does a piece."""
    scan = textured_scan(seed)
    planter = Planter.of(scan, Detections.empty(), Detections.empty(), 1.0)
    seen, _ = planter.plant(WINDOW, np.random.default_rng(seed))
    high, low = attenuation_of(seen.transmission)
    open_enough = high < 8
    np.testing.assert_allclose(low[open_enough], 1.2 * high[open_enough], rtol=2e-3, atol=1e-4)


def test_an_added_piece_obeys_beer_and_lambert(rng: np.random.Generator) -> None:
    """Behind any background, an added piece takes away the same share of the beam."""
    piece = np.full((2, 30, 40), 0.4, np.float32)
    piece[1] *= 1.2
    mask = soft_mask(30, 40, rng)
    thin, thick = np.full((2, 30, 40), 0.9, np.float32), np.full((2, 30, 40), 0.2, np.float32)
    for seed in range(20):
        first = blend(thin, piece, mask, np.random.default_rng(seed)) / thin
        second = blend(thick, piece, mask, np.random.default_rng(seed)) / thick
        if (first <= 1).all() and (second <= 1).all():  # added, not swapped
            np.testing.assert_allclose(first, second, rtol=1e-5)


@pytest.mark.slow
def test_what_cannot_be_seen_is_not_taught() -> None:
    """Behind noise larger than any change no place is called an anomaly."""
    scan = textured_scan(1, noise=0.0)
    loud = np.random.default_rng(0).uniform(1e-4, 1.0, scan.transmission.shape)
    noisy = Scan(loud.astype(np.float32), endpoint_mev=(9.0, 6.0))
    shown = {"still": 0, "noisy": 0}
    for name, each in (("still", scan), ("noisy", noisy)):
        planter = Planter.of(each, Detections.empty(), Detections.empty(), 1.0)
        for seed in range(20):
            _, told = planter.plant(WINDOW, np.random.default_rng(seed))
            shown[name] += int((told == 1).sum())
    assert shown["still"] > 20 * 300
    assert shown["noisy"] < shown["still"] / 4


def test_threats_that_are_not_taught_are_unknown() -> None:
    """A labelled threat of a class the network has no map for, or behind too much, is not 0."""
    scan = textured_scan(3)
    planter = Planter.of(scan, with_threat(), Detections.empty(), 0.0)
    _, told = planter.plant(WINDOW, np.random.default_rng(0))
    assert set(np.unique(told)) == {0.0, UNKNOWN}


def test_without_a_share_nothing_is_drawn() -> None:
    """Share 0 leaves the scan and the random numbers as they were."""
    scan, rng = textured_scan(3), np.random.default_rng(5)
    state = rng.bit_generator.state
    seen, told = Planter.of(scan, Detections.empty(), Detections.empty(), 0.0).plant(WINDOW, rng)
    assert rng.bit_generator.state == state
    assert (told == 0).all()
    np.testing.assert_array_equal(seen.transmission, scan.transmission[:, 20:276, 40:360])


def test_a_picture_without_truth_is_unknown() -> None:
    """Overviews, and pictures made by others, teach the anomaly map nothing."""
    nothing = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    picture = Picture(np.zeros((4, 32, 32), np.float32), *nothing)
    assert (anomaly_target(picture, Grid(8, 8, 4)) == UNKNOWN).all()
