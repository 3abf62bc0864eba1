"""Background: the way back from signals to areal density, and noise that is measured."""

from __future__ import annotations

import numpy as np
import pytest

from nii.physics.beam import transmit
from nii.simulate.background import (
    CHAIN,
    calm,
    compose,
    decode,
    measure_photons,
    noise_by_level,
    unit_variance_behind_steel,
)
from nii.simulate.scanner import ScannerConfig, beam_of

DUAL = ScannerConfig(endpoint_mev=(9.0, 6.0))


@pytest.mark.parametrize(("material", "least"), [(0, 1.0), (1, 1.0), (2, 15.0), (3, 15.0)])
def test_areal_density_comes_back(material: int, least: float) -> None:
    """Up to 150 g/cm2 of a pure material of the chain are found within 1 % and as that material."""
    grams = np.geomspace(least, 150, 30, dtype=np.float32)[None]
    grid = compose(grams, np.full_like(grams, material))
    found, coordinate = decode(transmit(beam_of(DUAL, CHAIN), grid)[0], DUAL)
    np.testing.assert_allclose(found, grams, rtol=0.01)
    np.testing.assert_allclose(coordinate, material, atol=0.1)


@pytest.mark.parametrize("energies", [(9.0, 6.0), (6.0, 4.0), (6.0, 3.5)])
def test_the_signal_comes_back(energies: tuple[float, ...]) -> None:
    """Where two materials give one pair of signals, the answer gives that pair within 1.5 %."""
    scanner = ScannerConfig(endpoint_mev=energies)
    beam = beam_of(scanner, CHAIN)
    grams = np.geomspace(0.5, 150, 40, dtype=np.float32)[None]
    for material in range(3):
        signal = transmit(beam, compose(grams, np.full_like(grams, material)))[0]
        again = transmit(beam, compose(*decode(signal, scanner)))[0]
        np.testing.assert_allclose(again, signal, rtol=0.015)


def test_mixtures_come_back() -> None:
    """Half aluminium and half steel is found between the two, with its areal density."""
    grams = np.asarray([[10.0, 40, 90]], np.float32)
    grid = compose(grams, np.full_like(grams, 1.5))
    np.testing.assert_allclose(grid.sum(0), grams, rtol=1e-6)
    found, coordinate = decode(transmit(beam_of(DUAL, CHAIN), grid)[0], DUAL)
    np.testing.assert_allclose(found, grams, rtol=0.015)
    np.testing.assert_allclose(coordinate, 1.5, atol=0.1)


def test_air_and_blackness_are_bounded() -> None:
    """Brighter than air is nothing, and darker than black is a finite areal density."""
    signal = np.asarray([[[1.0, 1.02, 0.0]], [[1.0, 1.01, 0.0]]], np.float32)
    found, coordinate = decode(signal, DUAL)
    assert (found[0, :2] == 0).all()
    assert 200 < found[0, 2] < 500
    assert np.isfinite(coordinate).all()


def test_one_energy_means_steel() -> None:
    """With a single energy, the areal density is that of steel."""
    single = ScannerConfig(endpoint_mev=(6.0,))
    grams = np.asarray([[5.0, 50, 120]], np.float32)
    grid = compose(grams, np.full_like(grams, 2.0))
    found, _ = decode(transmit(beam_of(single, CHAIN), grid)[0], single)
    np.testing.assert_allclose(found, grams, rtol=0.015)


def test_calming_removes_noise_and_keeps_edges() -> None:
    """Noise of the stated variance falls to less than half; an edge 20 times as high stays."""
    rng = np.random.default_rng(0)
    ideal = np.full((60, 60), 0.3, np.float32)
    ideal[:, 30:] = 0.5
    noisy = ideal + rng.normal(0, 0.01, ideal.shape).astype(np.float32)
    quiet = calm(noisy, np.full_like(ideal, 1e-4))
    assert (quiet - ideal)[:, 5:25].std() < 0.005
    assert np.abs(quiet[:, 30] - quiet[:, 29]).mean() == pytest.approx(0.2, abs=0.03)
    np.testing.assert_array_equal(calm(ideal, np.zeros_like(ideal)), ideal)


def test_noise_is_measured_between_structures() -> None:
    """Shot noise comes out within a tenth in the median although bars cross the picture."""
    rng = np.random.default_rng(0)
    ideal = np.repeat(np.linspace(0.05, 0.95, 512, dtype=np.float32)[None], 512, 0)
    ideal[:, ::37] *= np.float32(0.7)
    noisy = ideal + np.sqrt(ideal / 1e4) * rng.standard_normal(ideal.shape, dtype=np.float32)
    levels, variance = noise_by_level(noisy)
    np.testing.assert_allclose(variance, levels / 1e4, rtol=0.35)
    assert np.median(variance / levels) * 1e4 == pytest.approx(1, abs=0.1)


def test_the_dose_is_measured() -> None:
    """Photons a pixel are found from the noise of a scan, within 15 %."""
    beam = beam_of(DUAL, CHAIN)
    signal = np.tile(np.linspace(0.05, 0.95, 400, dtype=np.float32), (2, 300, 1))
    unit = unit_variance_behind_steel(beam, signal)
    noise = np.random.default_rng(0).standard_normal(signal.shape, dtype=np.float32)
    for photons in (1e4, 1e5):
        noisy = np.maximum(signal + np.sqrt(unit / photons) * noise, 0).astype(np.float32)
        assert measure_photons(noisy, DUAL) == pytest.approx(photons, rel=0.15)
