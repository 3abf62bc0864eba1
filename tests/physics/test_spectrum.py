"""Spectrum: mean energies of reference linacs, limits and hardening."""

from __future__ import annotations

import numpy as np
import pytest

from nii.errors import ConfigError
from nii.physics.spectrum import Filter, linac_spectrum


@pytest.mark.parametrize(("endpoint", "mean"), [(6.0, 1.56), (9.0, 2.16)])
def test_mean_energy_matches_monte_carlo(endpoint: float, mean: float) -> None:
    """The mean photon energy lies within 3 % of Lalor's Geant4 spectra (semiZ, on axis)."""
    assert linac_spectrum(endpoint).mean_mev == pytest.approx(mean, rel=0.03)


def test_no_photon_exceeds_the_endpoint() -> None:
    """A spectrum is a distribution and ends at the energy of the electrons."""
    grid = np.linspace(0.1, 9, 500)
    spectrum = linac_spectrum(6.0, energy_mev=grid)
    assert (spectrum.photons[grid >= 6.0] == 0).all()
    assert (spectrum.photons >= 0).all()
    assert spectrum.photons.sum() == pytest.approx(1)


def test_a_filter_hardens_the_beam() -> None:
    """More copper raises the mean energy."""
    soft = linac_spectrum(6.0, filtering=Filter(2.0, 1.0)).mean_mev
    hard = linac_spectrum(6.0, filtering=Filter(2.0, 20.0)).mean_mev
    assert hard > soft


def test_a_tube_is_refused() -> None:
    """The formula is for linacs; an X-ray tube's end-point is an error."""
    with pytest.raises(ConfigError, match=r"0\.16 MeV"):
        linac_spectrum(0.16)
