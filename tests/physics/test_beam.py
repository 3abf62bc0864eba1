"""Beam: Beer-Lambert over a spectrum, published attenuation, few photon energies for many."""

from __future__ import annotations

import numpy as np
import pytest

from nii.physics.attenuation import mass_attenuation_cm2_per_g
from nii.physics.beam import Beam, _moments, deposited_fraction, make_beam, transmit

GRAMS = np.asarray([0.0, 1, 3, 10, 30, 60, 100, 150, 200])
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


def _integrals(energies: tuple[float, ...], material: str) -> np.ndarray:
    """Return signal, then variance, of the whole spectrum behind 0 to 200 g/cm2."""
    fine, moments = _moments(energies)
    decay = np.exp(-np.outer(GRAMS, mass_attenuation_cm2_per_g(material, fine)))
    return np.asarray(decay @ moments.T)


@pytest.mark.parametrize("energies", [(9.0, 6.0), (6.0, 4.0), (6.0, 3.5), (6.0,), (7.5,)])
def test_eight_photon_energies_stand_for_the_whole_spectrum(energies: tuple[float, ...]) -> None:
    """-ln T is within 0.5 % (lead 1 %) and the variance within 2 % of the integral."""
    beam = make_beam(energies, MATERIALS)
    count = len(energies)
    for material in MATERIALS:
        exact = _integrals(energies, material)
        grid = np.zeros((len(MATERIALS), 1, len(GRAMS)), np.float32)
        grid[MATERIALS.index(material), 0] = GRAMS
        signal, variance = (cube[:, 0].T.astype(np.float64) for cube in transmit(beam, grid))
        limit = 0.01 if material == "lead" else 0.005
        np.testing.assert_allclose(np.log(signal), np.log(exact[:, :count]), rtol=limit, atol=1e-6)
        np.testing.assert_allclose(variance, exact[:, count:], rtol=0.02)


def test_off_axis_weights_stand_for_the_softened_spectrum() -> None:
    """At any angle, fitted or between, -ln T is within 0.5 % (lead 1 %) of the integral."""
    beam = make_beam((9.0, 6.0), MATERIALS)
    for angle in (5.0, 12.5, 26.5, -26.5):
        fine, moments = _moments((9.0, 6.0), angle)
        for material in MATERIALS:
            decay = np.exp(-np.outer(GRAMS, mass_attenuation_cm2_per_g(material, fine)))
            exact = np.log(decay @ moments[:2].T)
            grid = np.zeros((len(MATERIALS), 1, len(GRAMS)), np.float32)
            grid[MATERIALS.index(material), 0] = GRAMS
            signal = transmit(beam, grid, np.asarray([angle], np.float32))[0][:, 0].T
            limit = 0.01 if material == "lead" else 0.005
            np.testing.assert_allclose(np.log(signal), exact, rtol=limit, atol=1e-6)


def test_the_beam_is_softer_off_its_axis() -> None:
    """Behind 100 g/cm2 of steel -ln T rises by 6 to 10 % to the edge of the fan; air stays 1."""
    beam = make_beam((9.0, 6.0), MATERIALS)
    grid = np.zeros((len(MATERIALS), 4, 3), np.float32)
    grid[MATERIALS.index("iron"), :, 1:] = 100
    signal = transmit(beam, grid, np.asarray([0, 10, 20, 26.5], np.float32))[0].astype(np.float64)
    np.testing.assert_allclose(signal[:, :, 0], 1, rtol=1e-6)
    rise = np.log(signal[:, :, 1]) / np.log(signal[:, :1, 1]) - 1
    assert (np.diff(rise, axis=1) > 0).all()
    assert ((rise[:, -1] > 0.06) & (rise[:, -1] < 0.10)).all()


def test_too_few_photon_energies_are_found_out() -> None:
    """Four do not stand for the spectrum: the test above can fail."""
    beam = make_beam((9.0, 6.0), MATERIALS, 4)
    off = np.log(_integrals((9.0, 6.0), "lead")[1:, :2]).T
    assert np.abs(_attenuation(beam, "lead", tuple(GRAMS[1:])) / -off - 1).max() > 0.01


@pytest.mark.slow
def test_weights_are_shares() -> None:
    """No weight is negative and the signal's add up to 1, with many photon energies as with few."""
    for count in (3, 8, 40):
        beam = make_beam((6.0, 4.0), MATERIALS, count)
        assert min(beam.signal.min(), beam.variance.min()) >= 0
        np.testing.assert_allclose(beam.signal.sum(1), 1, rtol=1e-6)


def test_a_monochromatic_slab_obeys_beer_lambert() -> None:
    """One photon energy gives exp(-mu x), and slabs of two materials multiply."""
    mu = np.array([[0.05, 0.03]], np.float32)
    one = np.ones((1, 1), np.float32)
    beam = Beam((9.0,), ("aluminium", "iron"), mu, one, one, np.ones((2, 2, 1), np.float32))
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
