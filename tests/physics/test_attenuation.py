"""Attenuation: agreement with NIST, mixtures by mass, refusal of what is not tabulated."""

from __future__ import annotations

import numpy as np
import pytest

from nii.errors import ConfigError
from nii.physics.attenuation import Material, by_name, mass_attenuation_cm2_per_g, materials

NIST = {
    # Hubbell and Seltzer, NISTIR 5632, table 3: mu/rho in cm2/g at 1 and 6 MeV
    "H": (0.1263, 0.04498),
    "C": (0.06361, 0.02469),
    "O": (0.06372, 0.02552),
    "Al": (0.06146, 0.02655),
    "Fe": (0.05995, 0.03057),
    "Cu": (0.05901, 0.03108),
    "Pb": (0.07102, 0.04391),
}


@pytest.mark.parametrize("element", NIST)
def test_elements_agree_with_nist(element: str) -> None:
    """The frozen table gives the published coefficients within 0.5 %."""
    found = mass_attenuation_cm2_per_g(element, np.array([1.0, 6.0]))
    np.testing.assert_allclose(found, NIST[element], rtol=5e-3)


def test_interpolation_agrees_with_nist_between_the_rows() -> None:
    """Iron and lead at 9 MeV, which the table has no row for, lie within 0.5 % of XCOM."""
    at = np.array([9.0])
    np.testing.assert_allclose(mass_attenuation_cm2_per_g("Fe", at), 0.02993, rtol=5e-3)
    np.testing.assert_allclose(mass_attenuation_cm2_per_g("Pb", at), 0.04829, rtol=5e-3)


def test_mixture_is_the_mean_by_mass() -> None:
    """Water is hydrogen and oxygen by mass fraction."""
    energy = np.geomspace(0.1, 20, 30)
    parts = by_name("water").mass_fractions
    expected = sum(w * mass_attenuation_cm2_per_g(e, energy) for e, w in parts.items())
    np.testing.assert_allclose(mass_attenuation_cm2_per_g("water", energy), expected, rtol=1e-12)


@pytest.mark.parametrize("name", materials())
def test_every_material_attenuates_less_at_higher_energy(name: str) -> None:
    """Coefficients are positive, and fall up to 2 MeV for every material."""
    found = mass_attenuation_cm2_per_g(name, np.geomspace(0.1, 2, 40))
    assert (found > 0).all()
    assert (np.diff(found) < 0).all()


def test_cellulose_stands_for_narcotics_and_explosives() -> None:
    """Cocaine attenuates like cellulose within 1.5 % where linacs work, TNT within 4 %."""
    energy = np.linspace(0.5, 9, 40)
    reference = mass_attenuation_cm2_per_g("cellulose", energy)
    for name, limit in {"cocaine": 0.015, "sugar": 0.015, "tobacco": 0.015, "tnt": 0.04}.items():
        found = mass_attenuation_cm2_per_g(name, energy)
        np.testing.assert_allclose(found, reference, rtol=limit)


def test_unknown_material_and_energy_are_refused() -> None:
    """No material is guessed and no energy is extrapolated."""
    with pytest.raises(ConfigError, match="unknown material"):
        mass_attenuation_cm2_per_g("unobtainium", np.array([1.0]))
    with pytest.raises(ConfigError, match=r"0\.05"):
        mass_attenuation_cm2_per_g("Fe", np.array([0.05]))


def test_material_must_be_whole() -> None:
    """Mass fractions that do not add up to 1 are an error."""
    with pytest.raises(ValueError, match="add up"):
        Material("half", {"Fe": 0.5}, 7.8, 26.0, "test")
