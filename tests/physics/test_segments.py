"""Segments: cut where the thickness steps, measured without bias, decoded with its background."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from nii.physics.beam import make_beam, transmit
from nii.physics.detector import DetectorConfig, detect
from nii.physics.dual_energy import WEDGES, Calibration, MaterialClass, calibrate, calibrate_fan
from nii.physics.segments import (
    SegmentConfig,
    core,
    decode_object,
    decode_segments,
    measure,
    ring,
    segment,
)

HEIGHT, WIDTH = 90, 260
BOXES = {
    # material of a block, its columns; all 40 rows high, 30 g/cm2
    "water": slice(20, 60),
    "aluminium": slice(80, 120),
    "iron": slice(140, 180),
    "tungsten": slice(200, 240),
}
ROWS = slice(25, 65)
CALIBRATED = SegmentConfig(scatter_left=0.0, calibration_error=5e-4)
CLEAN = DetectorConfig(
    scatter_fraction=0.0, pulse_jitter=0.0, row_gain_error=0.0, module_gain_error=0.0
)


@cache
def calibration() -> Calibration:
    """Return the calibration of a 9/6 MeV linac."""
    return calibrate(make_beam((9.0, 6.0), WEDGES))


def scan(
    wall_g_per_cm2: float, grams: float = 30.0, detector: DetectorConfig = CLEAN
) -> np.ndarray:
    """Return a noisy scan of four blocks behind a steel wall that fills the picture."""
    grid = np.zeros((len(WEDGES), HEIGHT, WIDTH), np.float32)
    grid[WEDGES.index("iron")] = wall_g_per_cm2
    for material, columns in BOXES.items():
        grid[WEDGES.index(material), ROWS, columns] += grams
    beam = make_beam((9.0, 6.0), WEDGES)
    return detect(*transmit(beam, grid), detector, np.random.default_rng(2))


def mask_of(material: str) -> np.ndarray:
    """Return the pixels of a block."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[ROWS, BOXES[material]] = True
    return mask


def test_blocks_in_air_become_segments() -> None:
    """Four blocks are four segments that overlap them by more than 80 %; the rest is air."""
    labels = segment(scan(0.0))
    assert labels.max() == 4
    for material in BOXES:
        mask = mask_of(material)
        label = labels[45, BOXES[material]].max()
        inside = labels == label
        assert (mask & inside).sum() / (mask | inside).sum() > 0.8
    assert (labels[:15] == 0).all()


def test_a_soft_slope_is_cut() -> None:
    """A load that fades into a thin wall without a step does not swallow the wall."""
    alpha = np.concatenate([np.full(60, 0.1), np.linspace(0.1, 2.0, 120), np.full(60, 2.0)])
    ramp = np.tile(np.exp(-alpha).astype(np.float32), (2, 50, 1))
    labels = segment(ramp)
    assert labels.min() == 1
    assert labels[25, 20] != labels[25, 220]
    for label in range(1, labels.max() + 1):
        inside = -np.log(ramp[0][labels == label])
        assert (inside.max() + 0.5) / (inside.min() + 0.5) < 1.6
    whole = segment(ramp, SegmentConfig(widest_ratio=1e9))
    assert whole.max() == 1


def test_air_has_no_segment() -> None:
    """An empty scan, noise and all, is label 0 everywhere."""
    assert segment(scan(0.0, grams=0.0)).max() == 0


@pytest.mark.parametrize("material", BOXES)
def test_the_mean_is_within_its_uncertainty(material: str) -> None:
    """Mean -ln T of a block lies within three stated standard deviations of the ideal one."""
    inside = core(mask_of(material), 2)
    found, sigma = measure(scan(3.0), inside, SegmentConfig(0.02, calibration_error=0.0))
    wall = np.zeros(len(WEDGES))
    wall[WEDGES.index("iron")] = 3.0
    wall[WEDGES.index(material)] += 30.0
    expected = calibration().attenuation(wall)
    assert (np.abs(found - expected) < 3 * sigma + 1e-3).all()
    assert (sigma < 0.02).all()


def test_jitter_of_whole_columns_is_not_averaged_away() -> None:
    """Stripes of 1 % leave more doubt in a segment than the same noise in every pixel."""
    jitter = DetectorConfig(
        scatter_fraction=0.0, pulse_jitter=0.01, row_gain_error=0.0, module_gain_error=0.0
    )
    inside = core(mask_of("iron"), 2)
    ideal = SegmentConfig(calibration_error=0.0, scatter_left=0.0)
    _, striped = measure(scan(3.0, detector=jitter), inside, ideal)
    _, plain = measure(scan(3.0), inside, ideal)
    assert (striped > 0.01 / np.sqrt(36) * 0.6).all()
    assert (striped > 2 * plain).all()


def test_scatter_and_slopes_bring_doubt() -> None:
    """What scatter may have left counts more in the dark, and a slope more than a plateau."""
    inside = core(mask_of("iron"), 2)
    _, without = measure(scan(0.0), inside, CALIBRATED)
    _, allowed = measure(scan(0.0), inside, SegmentConfig(scatter_left=0.02))
    assert (allowed > without).all()
    ramp = np.tile(np.linspace(1.0, 0.05, 40, dtype=np.float32), (2, 40, 1))
    _, steep = measure(ramp, np.ones((40, 40), bool), CALIBRATED)
    _, level = measure(np.full((2, 40, 40), 0.3, np.float32), np.ones((40, 40), bool), CALIBRATED)
    assert (steep > level).all()


def test_segments_are_decoded_to_their_classes() -> None:
    """Water, aluminium, iron and tungsten of 30 g/cm2 in air get their class and density."""
    image = scan(0.0)
    labels = segment(image)
    found = decode_segments(image, labels, calibration(), CALIBRATED)
    names = [found.materials[labels[45, columns].max() - 1] for columns in BOXES.values()]
    assert names == list(MaterialClass)
    np.testing.assert_allclose(found.areal_density_g_per_cm2, 30, rtol=0.05)


def test_an_object_is_decoded_without_its_background() -> None:
    """Behind 20 g/cm2 of steel the sum looks like other things; the object alone is itself."""
    image = scan(20.0)
    names = [decode_object(image, mask_of(name), calibration(), CALIBRATED) for name in BOXES]
    assert [found.materials[0] for found in names] == list(MaterialClass)
    whole = decode_segments(image, mask_of("water").astype(np.int32), calibration(), CALIBRATED)
    assert whole.materials[0] is not MaterialClass.ORGANIC


def test_off_the_axis_the_calibration_of_the_angle_is_right() -> None:
    """25 degrees off the axis blocks in air keep their class and mass; by the axis they do not."""
    beam = make_beam((9.0, 6.0), WEDGES)
    grid = np.zeros((len(WEDGES), HEIGHT, WIDTH), np.float32)
    for material, columns in BOXES.items():
        grid[WEDGES.index(material), ROWS, columns] += 60.0
    angles = np.full(HEIGHT, 25.0, np.float32)
    image = detect(*transmit(beam, grid, angles), CLEAN, np.random.default_rng(2))
    labels = sum((k + 1) * mask_of(name).astype(np.int32) for k, name in enumerate(BOXES))
    fan = calibrate_fan(beam.at, angles)
    found = decode_segments(image, np.asarray(labels, np.int32), fan, CALIBRATED)
    assert list(found.materials) == list(MaterialClass)
    np.testing.assert_allclose(found.areal_density_g_per_cm2, 60, rtol=0.05)
    assert (
        decode_object(image, mask_of("iron"), fan, CALIBRATED).materials[0] is MaterialClass.STEEL
    )
    by_the_axis = decode_segments(image, np.asarray(labels, np.int32), calibration(), CALIBRATED)
    assert list(by_the_axis.materials) != list(MaterialClass)


def test_segments_of_a_fan_keep_their_order() -> None:
    """Rows at different angles are decoded each at its own, and row k still belongs to label k."""
    beam = make_beam((9.0, 6.0), WEDGES)
    grid = np.zeros((len(WEDGES), 90, 60), np.float32)
    labels = np.zeros((90, 60), np.int32)
    for k, top in enumerate((60, 5, 32)):
        labels[top : top + 24, 10:50] = k + 1
        grid[WEDGES.index("iron"), top : top + 24, 10:50] = 20.0 * (k + 1)
    angles = np.linspace(-24, 24, 90, dtype=np.float32)
    image = detect(*transmit(beam, grid, angles), CLEAN, np.random.default_rng(3))
    found = decode_segments(image, labels, calibrate_fan(beam.at, angles), CALIBRATED)
    np.testing.assert_allclose(found.areal_density_g_per_cm2, [20, 40, 60], rtol=0.05)


def test_a_narrow_segment_is_not_judged() -> None:
    """A line of three pixels is all edge: every class stays as probable as any other."""
    labels = np.zeros((HEIGHT, WIDTH), np.int32)
    labels[40:43] = 1
    found = decode_segments(scan(3.0), labels, calibration())
    np.testing.assert_allclose(found.probabilities, 0.25, atol=0.01)


def test_a_ring_surrounds_without_touching() -> None:
    """The ring lies outside the mask, beyond the gap, and is as wide as asked for."""
    mask = np.zeros((60, 60), bool)
    mask[25:35, 25:35] = True
    found = ring(mask, gap_px=2, width_px=6)
    assert not (found[23:37, 25:35].any())
    assert not (found[25:35, 23:37].any())
    assert found[30, 17:23].all()
    assert not found[30, :17].any()


def test_an_empty_mask_is_refused() -> None:
    """Nothing cannot be measured."""
    with pytest.raises(ValueError, match="empty"):
        measure(scan(0.0), np.zeros((HEIGHT, WIDTH), bool))
