"""Calibration: air is 1 after it, whatever the gains; dead elements and half pitches are undone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nii.detections import Detections
from nii.physics.beam import transmit
from nii.physics.detector import STEP
from nii.simulate.calibration import RawConfig, align_energies, calibrate, expose, find_dead
from nii.simulate.scanner import acquire, beam_of, preset
from nii.simulate.scene import Scene
from nii.simulate.shapes import BASIS, ORGANIC, STEEL

RAW = RawConfig(dead_rows=(17, 18, 60))


def wedge() -> Scene:
    """Return air, then steel in three steps, over 80 rows."""
    grid = np.zeros((len(BASIS), 80, 400), np.float32)
    grid[STEEL] = np.repeat(np.asarray([0.0, 5.0, 20.0, 60.0]), 100)
    return Scene(grid, BASIS, (5.0, 5.0), Detections.empty(), (), np.zeros(0, np.float32), ())


def test_air_is_one_after_calibration() -> None:
    """Gains differ by 8 %, pulses by 2 %, dark levels by 60 counts; air is 1 in every row."""
    raw = expose(wedge(), preset("linac_9_6"), RAW, np.random.default_rng(0))
    scan = calibrate(raw)
    air = scan.transmission[:, :, :95]
    assert raw.counts[:, :, :95].mean(2).std() / raw.counts[:, :, :95].mean() > 0.05
    np.testing.assert_allclose(air.mean((1, 2)), 1, atol=5e-4)
    np.testing.assert_allclose(air.mean(2), 1, atol=4e-3)
    np.testing.assert_allclose(air.mean(1), 1, atol=8e-3)


def test_without_the_reference_the_pulses_stay() -> None:
    """If the reference detector is not read, air varies by the 2 % of the pulses: it can fail."""
    raw = expose(wedge(), preset("linac_9_6"), RAW, np.random.default_rng(0))
    blind = calibrate(replace(raw, reference=np.ones_like(raw.reference)))
    assert blind.transmission[:, :, :95].mean(1).std() == pytest.approx(0.02, rel=0.3)
    blind = calibrate(replace(raw, dark=np.zeros_like(raw.dark)))
    assert (
        blind.transmission[1, :, 350].mean() > 1.1 * calibrate(raw).transmission[1, :, 350].mean()
    )


def test_a_calibrated_wedge_has_its_transmission() -> None:
    """Every step has the transmission of the beam within 1 % and a few grey steps."""
    scanner = preset("linac_9_6")
    scanner = replace(scanner, detector=replace(scanner.detector, scatter_fraction=0.0))
    scan = calibrate(expose(wedge(), scanner, RAW, np.random.default_rng(0)))
    ideal = transmit(beam_of(scanner, BASIS), wedge().areal_density_g_per_cm2)[0]
    for step in range(4):
        columns = slice(100 * step + 10, 100 * step + 90)
        found = scan.transmission[:, :, columns].mean((1, 2))
        expected = ideal[:, 0, 100 * step + 50]
        np.testing.assert_allclose(found, expected, rtol=0.01, atol=3 * STEP)


def test_dead_elements_are_found_and_filled() -> None:
    """Exactly the dead rows are found; filled, they look like their neighbours."""
    raw = expose(wedge(), preset("linac_6"), RAW, np.random.default_rng(1))
    assert np.flatnonzero(find_dead(raw)[0]).tolist() == [17, 18, 60]
    scan = calibrate(raw)
    np.testing.assert_allclose(
        scan.transmission[0, 17, :95].mean(), scan.transmission[0, 16, :95].mean(), rtol=0.01
    )
    assert "dead elements filled: [3]" in scan.provenance.steps[-1]


def test_aligned_energies_have_no_fringe() -> None:
    """Half a pitch between the energies shows as false material at an edge, and is taken back."""
    grid = np.zeros((len(BASIS), 60, 120), np.float32)
    grid[ORGANIC, :, 60:] = 20.0
    scene = Scene(grid, BASIS, (5.0, 5.0), Detections.empty(), (), np.zeros(0, np.float32), ())
    scanner = preset("linac_6_3.5")
    quiet = replace(scanner.detector, photons_per_pixel=1e8, pulse_jitter=0.0, crosstalk=0.0)
    quiet = replace(quiet, psf_sigma_px=(0.6, 1.0), afterglow=0.0, row_gain_error=0.0)
    scan = acquire(
        scene,
        replace(scanner, detector=replace(quiet, module_gain_error=0.0)),
        np.random.default_rng(0),
    )

    def fringe(transmission: np.ndarray) -> float:
        attenuation = -np.log(transmission.mean(1))[:, 57:63]
        ratio = attenuation[1] / np.maximum(attenuation[0], 0.02)
        return float(np.abs(ratio - 1.28)[attenuation[0] > 0.1].max())

    assert fringe(align_energies(scan, 0.5).transmission) < 0.4 * fringe(scan.transmission)
