"""Detector: Beer-Lambert over a spectrum, published attenuation, noise, quantisation."""

from __future__ import annotations

import numpy as np
import pytest

from nii.physics.attenuation import mass_attenuation_cm2_per_g
from nii.physics.detector import (
    STEP,
    Beam,
    DetectorConfig,
    deposited_fraction,
    detect,
    make_beam,
    transmit,
)

MATERIALS = ("polyethylene", "aluminium", "iron", "lead")
ALPHA_9 = {
    # -ln T at 9 MeV behind 10, 50, 100 and 200 g/cm2: filtered Geant4 spectra, CdWO4 (semiZ)
    "polyethylene": (0.440, 1.90, 3.46, 6.26),
    "aluminium": (0.394, 1.77, 3.28, 6.08),
    "iron": (0.413, 1.90, 3.60, 6.84),
    "lead": (0.540, 2.40, 4.63, 9.02),
}
RATIO = {
    # -ln T at 6 MeV over that at 9 MeV
    "polyethylene": (1.229, 1.229, 1.224, 1.218),
    "aluminium": (1.197, 1.186, 1.174, 1.159),
    "iron": (1.158, 1.134, 1.116, 1.096),
    "lead": (1.130, 1.057, 1.032, 1.015),
}
IDEAL = DetectorConfig(
    photons_per_pixel=1e4,
    electronic_noise_steps=0.0,
    psf_sigma_px=(0.0, 0.0),
    scatter_fraction=0.0,
    pulse_jitter=0.0,
    row_gain_error=0.0,
    module_gain_error=0.0,
)


def _attenuation(beam: Beam, material: str, grams: tuple[float, ...]) -> np.ndarray:
    grid = np.zeros((len(beam.materials), 1, len(grams)), np.float32)
    grid[beam.materials.index(material), 0] = grams
    return -np.log(transmit(beam, grid)[0].astype(np.float64))[:, 0]


@pytest.mark.parametrize("material", MATERIALS)
def test_attenuation_agrees_with_the_reference(material: str) -> None:
    """-ln T at 9 MeV and its ratio to 6 MeV lie within 2 % of Monte Carlo spectra."""
    beam = make_beam((9.0, 6.0), MATERIALS)
    alpha = _attenuation(beam, material, (10, 50, 100, 200))
    np.testing.assert_allclose(alpha[0], ALPHA_9[material], rtol=0.02)
    np.testing.assert_allclose(alpha[1] / alpha[0], RATIO[material], rtol=0.02)


def test_few_bins_agree_with_many() -> None:
    """Twelve bins reproduce eighty within 0.5 % of -ln T for a load of 100 g/cm2."""
    coarse, fine = (make_beam((9.0, 6.0), MATERIALS, count) for count in (12, 80))
    for material in MATERIALS:
        few, many = (_attenuation(beam, material, (20, 100)) for beam in (coarse, fine))
        np.testing.assert_allclose(few, many, rtol=0.02 if material == "lead" else 0.005)


def test_a_monochromatic_slab_obeys_beer_lambert() -> None:
    """One photon energy gives exp(-mu x), and slabs of two materials multiply."""
    mu = np.array([[0.05, 0.03]], np.float32)
    one = np.ones((1, 1), np.float32)
    beam = Beam((9.0,), ("aluminium", "iron"), mu, one, one)
    grid = np.array([[[10.0, 0.0, 10.0]], [[0.0, 20.0, 20.0]]], np.float32)
    first, second, both = transmit(beam, grid)[0][0, 0]
    assert first == pytest.approx(np.exp(-0.5), rel=1e-6)
    assert second == pytest.approx(np.exp(-0.6), rel=1e-6)
    assert both == pytest.approx(first * second, rel=1e-6)


def test_higher_energy_penetrates_more() -> None:
    """9 MeV transmits more than 6 MeV through any material, and any load lowers both."""
    beam = make_beam((9.0, 6.0), MATERIALS)
    for material in MATERIALS:
        alpha = _attenuation(beam, material, (1, 5, 50, 150))
        assert (alpha[1] > alpha[0]).all()
        assert (np.diff(alpha, axis=1) > 0).all()


def test_the_beam_hardens() -> None:
    """The second 50 g/cm2 of polyethylene attenuate less than the first."""
    alpha = _attenuation(make_beam((6.0,), MATERIALS), "polyethylene", (50, 100))[0]
    assert alpha[1] < 2 * alpha[0]


def test_air_is_one() -> None:
    """Nothing in the beam leaves the transmission at 1."""
    beam = make_beam((9.0, 6.0), MATERIALS)
    ideal, _ = transmit(beam, np.zeros((4, 3, 5), np.float32))
    np.testing.assert_allclose(ideal, 1, rtol=1e-6)


def test_deposited_fraction_is_a_share() -> None:
    """A detector deposits no more than the photon has, and least near 3 MeV."""
    energy = np.linspace(0.1, 20, 200)
    share = deposited_fraction(energy)
    assert ((share > 0) & (share <= 1)).all()
    assert 2 < energy[share.argmin()] < 4
    assert mass_attenuation_cm2_per_g("cadmium_tungstate", energy).min() > 0


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


def test_blur_keeps_the_mean() -> None:
    """A point spreads over its neighbours without loss."""
    ideal = np.zeros((1, 21, 21), np.float32)
    ideal[0, 10, 10] = 0.5
    config = DetectorConfig(
        photons_per_pixel=1e12,
        electronic_noise_steps=0.0,
        psf_sigma_px=(0.6, 0.9),
        scatter_fraction=0.0,
        pulse_jitter=0.0,
        row_gain_error=0.0,
        module_gain_error=0.0,
    )
    scan = detect(ideal, np.zeros_like(ideal), config, np.random.default_rng(0))
    assert scan.sum() == pytest.approx(0.5, rel=1e-3)
    assert scan[0, 10, 9] > scan[0, 9, 10] > 0
