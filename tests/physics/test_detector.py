"""Detector: noise as predicted, blur without loss, light that is shared, rows that are dead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nii.physics.beam import make_beam, transmit
from nii.physics.detector import (
    STEP,
    DetectorConfig,
    detect,
    draw_gain,
    light_kernels,
    mend_rows,
    optical_kernels,
)

MATERIALS = ("polyethylene", "aluminium", "iron", "lead")
IDEAL = DetectorConfig(
    photons_per_pixel=1e4,
    electronic_noise_steps=0.0,
    psf_sigma_px=(0.0, 0.0),
    scatter_fraction=0.0,
    pulse_jitter=0.0,
    row_gain_error=0.0,
    module_gain_error=0.0,
)


LIGHT = DetectorConfig(
    photons_per_pixel=1e12,
    electronic_noise_steps=0.0,
    psf_sigma_px=(0.0, 0.0),
    scatter_fraction=0.0,
    pulse_jitter=0.0,
    row_gain_error=0.0,
    module_gain_error=0.0,
)


def test_noise_has_the_predicted_variance() -> None:
    """Quantum noise follows the second moment of deposited energy and exceeds Poisson noise."""
    beam = make_beam((9.0, 6.0), MATERIALS)
    grid = np.zeros((4, 200, 300), np.float32)
    grid[2] = 30.0
    ideal, unit = transmit(beam, grid)
    scan = detect(ideal, unit, IDEAL, np.random.default_rng(0))
    found = scan.var((1, 2))
    np.testing.assert_allclose(found, unit[:, 0, 0] / 1e4, rtol=0.03)
    np.testing.assert_allclose(scan.mean((1, 2)), ideal[:, 0, 0], rtol=1e-3)
    assert (found > ideal[:, 0, 0] / 1e4).all()


def test_a_scan_is_quantised_and_bounded() -> None:
    """Values are whole steps of 1/65535 between 0 and full scale, also with every error on."""
    ideal = np.tile(np.linspace(0, 1.2, 50, dtype=np.float32), (2, 40, 1))
    scan = detect(ideal, ideal * 2, DetectorConfig(), np.random.default_rng(1))
    steps = scan.astype(np.float64) / STEP
    assert np.abs(steps - steps.round()).max() < 0.01
    assert scan.min() >= 0
    assert scan.max() <= 1.05 + STEP


def seen(ideal: np.ndarray, config: DetectorConfig, seed: int = 0) -> np.ndarray:
    """Return what a detector writes of an image whose quanta carry the variance of their mean."""
    return detect(ideal, ideal.copy(), config, np.random.default_rng(seed))


def point() -> np.ndarray:
    """Return a point of light."""
    ideal = np.zeros((1, 41, 41), np.float32)
    ideal[0, 20, 20] = 0.5
    return ideal


def test_blur_keeps_the_mean() -> None:
    """A point spreads over its neighbours without loss, further along the rows here."""
    scan = seen(point(), replace(LIGHT, psf_sigma_px=(0.6, 0.9)))
    assert scan.sum() == pytest.approx(0.5, rel=1e-3)
    assert scan[0, 20, 19] > scan[0, 19, 20] > 0
    np.testing.assert_array_equal(scan[0], scan[0, ::-1])
    np.testing.assert_array_equal(scan[0], scan[0, :, ::-1])


def test_variance_is_as_predicted_over_three_decades() -> None:
    """From air to a thousandth of it, the variance is the second moment plus the electronics."""
    beam = make_beam((9.0, 6.0), MATERIALS)
    grams = np.asarray([0, 10, 25, 45, 70, 100, 140, 190], np.float32)
    grid = np.zeros((4, 8, 40_000), np.float32)
    grid[2] = grams[:, None]
    ideal, unit = transmit(beam, grid)
    assert ideal[:, 0].min() / ideal[:, -1].max() > 1e3 / 2
    assert ideal[1, 0, 0] / ideal[1, -1, 0] > 1e3
    for photons in (1e4, 1e6):
        config = replace(IDEAL, photons_per_pixel=photons, electronic_noise_steps=3.0)
        scan = detect(ideal, unit, config, np.random.default_rng(0))
        steps = 3.0**2 + 1 / 12  # electronics and rounding, in steps
        expected = unit[..., 0] / photons + steps * STEP**2
        clipped = ideal[..., 0] < 4 * np.sqrt(expected)
        clear = ~clipped & (ideal[..., 0] < 1)
        np.testing.assert_allclose(scan.var(2)[clear], expected[clear], rtol=0.04)
        np.testing.assert_allclose(scan.mean(2)[clear], ideal[..., 0][clear], rtol=0.01)


def test_shot_noise_falls_with_the_dose() -> None:
    """Over three decades of dose the standard deviation falls as the root of the photons."""
    ideal = np.full((1, 200, 200), 0.3, np.float32)
    doses = np.asarray([1e3, 1e4, 1e5, 1e6])
    noise = [seen(ideal, replace(LIGHT, photons_per_pixel=dose)).std() for dose in doses]
    np.testing.assert_allclose(np.asarray(noise) * np.sqrt(doses), np.sqrt(0.3), rtol=0.02)


def test_few_quanta_follow_poisson() -> None:
    """With three quanta a pixel, mean and variance hold and nothing is negative or between."""
    ideal = np.full((1, 200, 200), 3e-3, np.float32)
    scan = seen(ideal, replace(LIGHT, photons_per_pixel=1e3))
    quanta = scan.astype(np.float64) * 1e3
    assert quanta.mean() == pytest.approx(3, rel=0.02)
    assert quanta.var() == pytest.approx(3, rel=0.03)
    assert np.abs(quanta - quanta.round()).max() < 0.02
    assert (quanta < 0.5).mean() == pytest.approx(np.exp(-3), rel=0.08)


def test_the_low_energy_looks_half_a_pitch_later() -> None:
    """With interlaced pulses the second energy sees an edge half a column further left."""
    ideal = np.ones((2, 20, 40), np.float32)
    ideal[:, :, 20:] = 0.2
    config = replace(LIGHT, interlace_offset_px=0.5, psf_sigma_px=(0.0, 0.8))
    scan = seen(ideal, config)
    edges = (scan[:, 10] - 0.2).sum(1) / 0.8
    assert edges[0] - edges[1] == pytest.approx(0.5, abs=0.02)


def test_crosstalk_and_afterglow_keep_the_light() -> None:
    """Light goes to the rows above and below and to later columns only; none is lost."""
    scan = seen(point(), replace(LIGHT, crosstalk=0.05, afterglow=0.1, afterglow_decay_px=2.0))
    assert scan.sum() == pytest.approx(0.5, rel=2e-3)
    assert scan[0, 19, 20] == pytest.approx(0.5 * 0.9 * 0.05, rel=0.01)
    assert scan[0, 19, 20] == scan[0, 21, 20]
    assert scan[0, 20, :20].max() == 0
    late = scan[0, 20, 21:25]
    np.testing.assert_allclose(late[1:] / late[:-1], np.exp(-1 / 2), rtol=0.02)


def test_crosstalk_ties_neighbours_together() -> None:
    """Shared light correlates the noise of neighbouring rows; blur before the crystals does not."""
    flat = np.full((1, 300, 300), 0.5, np.float32)
    found = []
    for config in (
        replace(LIGHT, photons_per_pixel=1e4, crosstalk=0.03),
        replace(LIGHT, photons_per_pixel=1e4, psf_sigma_px=(0.8, 0.8)),
    ):
        plane = seen(flat, config)[0] - 0.5
        found.append(float((plane[1:] * plane[:-1]).mean() / plane.var()))
    assert found[0] == pytest.approx(2 * 0.03 * 0.94 / (0.94**2 + 2 * 0.03**2), abs=0.01)
    assert abs(found[1]) < 0.01


def test_kernels_have_the_sum_one() -> None:
    """No kernel makes or loses light, and none is there without a reason."""
    config = DetectorConfig(interlace_offset_px=0.5, crosstalk=0.02, afterglow=0.01)
    light = light_kernels(config)
    assert light is not None
    for kernel in (*optical_kernels(0, config), *optical_kernels(1, config), *light):
        assert kernel.sum() == pytest.approx(1, abs=1e-6)
        assert len(kernel) % 2 == 1
    assert light_kernels(DetectorConfig()) is None


def test_the_gain_of_every_pixel_is_a_product() -> None:
    """Without errors the gain is 1; with a boom that swings, the foot of the array stays at 1."""
    rng = np.random.default_rng(0)
    rows, columns = draw_gain(60, 90, LIGHT, rng)
    np.testing.assert_allclose(rows @ columns, 1, atol=1e-6)
    rows, columns = draw_gain(60, 900, replace(LIGHT, wobble=0.03, wobble_period_px=90.0), rng)
    gain = rows @ columns
    assert np.abs(gain[0] - 1).max() == pytest.approx(0.03, rel=0.01)
    assert np.abs(gain[-1] - 1).max() < 0.001
    np.testing.assert_allclose(gain[0, 90:], gain[0, :-90], atol=1e-5)
    rows, columns = draw_gain(64, 90, replace(LIGHT, gain_drift=0.01), rng)
    drifted = rows @ columns
    np.testing.assert_allclose(drifted[:, 0], 1, atol=1e-6)
    assert np.abs(drifted[:, -1] - 1).max() > 1e-3


def test_dead_rows_are_filled_or_black() -> None:
    """A ramp over rows is restored where elements are dead, or shows black lines."""
    ramp = np.repeat(np.arange(40, dtype=np.float32)[:, None] * 1000 * STEP, 5, 1)
    dead = np.asarray([0, 7, 8, 20, 39])
    filled = mend_rows(ramp, dead)
    np.testing.assert_allclose(filled[1:39], ramp[1:39], atol=STEP)
    assert (filled[[0, 39]] == ramp[[1, 38]]).all()
    assert mend_rows(ramp, dead, filled=False)[dead].max() == 0
    scan = seen(np.ones((1, 400, 8), np.float32), replace(LIGHT, dead_share=0.1, dead_filled=False))
    assert (scan[0].max(1) == 0).mean() == pytest.approx(0.1, abs=0.05)


@pytest.mark.parametrize(
    "wrong", [{"photons_per_pixel": 0.0}, {"crosstalk": 0.4}, {"scatter_fraction": -0.1}]
)
def test_an_impossible_detector_is_refused(wrong: dict[str, float]) -> None:
    """No detector counts nothing, gives away more light than it has, or scatters backwards."""
    with pytest.raises(ValueError, match=r"positive|crosstalk|negative"):
        DetectorConfig(**wrong)  # type: ignore[arg-type]
