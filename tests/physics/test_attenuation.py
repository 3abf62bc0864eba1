"""Attenuation: agreement with NIST, edges, mixtures by mass, refusal of what is not tabulated."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from nii.errors import ConfigError
from nii.physics.attenuation import (
    HIGHEST_TABULATED_MEV,
    LOWEST_TABULATED_MEV,
    Material,
    atomic_number,
    by_name,
    mass_attenuation_cm2_per_g,
    materials,
)

NIST: dict[str, dict[float, float]] = {
    # Hubbell and Seltzer, NISTIR 5632, table 3: element to {energy in MeV: mu/rho in cm2/g}
    "H": {1: 0.1263, 6: 0.04498},
    "C": {1: 0.06361, 6: 0.02469},
    "O": {1: 0.06372, 6: 0.02552},
    "Al": {1: 0.06146, 6: 0.02655},
    "Fe": {0.06: 1.205, 0.16: 0.184, 1: 0.05995, 6: 0.03057},
    "Cu": {1: 0.05901, 6: 0.03108},
    "Pb": {0.16: 1.72, 1: 0.07102, 6: 0.04391},
    "U": {1: 0.07896, 6: 0.04583},
}
XCOM: dict[str, dict[float, float]] = {
    # Berger et al., XCOM (NIST): total with coherent scattering where NISTIR 5632 has no row
    "Fe": {7: 0.03011, 9: 0.02987, 13: 0.03044},
    "Pb": {9: 0.04829},
    "U": {7: 0.04727, 9: 0.05039, 13: 0.05648},
}
# fmt: off
WEIGHT = {
    # Standard atomic weights, IUPAC (2021), abridged
    "H": 1.008, "C": 12.011, "N": 14.007, "O": 15.999, "F": 18.998, "Na": 22.990,
    "Mg": 24.305, "Al": 26.982, "Si": 28.085, "S": 32.06, "Cl": 35.45, "Ca": 40.078,
    "Cd": 112.41, "I": 126.90, "Cs": 132.91, "Gd": 157.25, "W": 183.84, "Fe": 55.845,
    "P": 30.974, "K": 39.098, "Ti": 47.867, "Cr": 51.996, "Mn": 54.938, "Ni": 58.693,
    "Cu": 63.546, "Zn": 65.38, "Ag": 107.87, "Sn": 118.71, "Pb": 207.2, "Ar": 39.95,
    "Pt": 195.08, "Au": 196.97, "Hg": 200.59, "U": 238.03, "Li": 6.94, "Co": 58.933,
}
# fmt: on


@pytest.mark.parametrize("element", NIST)
def test_elements_agree_with_nist(element: str) -> None:
    """The frozen table gives the published coefficients within 0.5 %, from 60 keV to 6 MeV."""
    found = mass_attenuation_cm2_per_g(element, np.array(list(NIST[element]), np.float64))
    np.testing.assert_allclose(found, list(NIST[element].values()), rtol=5e-3)


@pytest.mark.parametrize("element", XCOM)
def test_interpolation_agrees_with_xcom_between_the_rows(element: str) -> None:
    """Energies that the table has no row for lie within 0.5 % of the other NIST table, XCOM."""
    found = mass_attenuation_cm2_per_g(element, np.array(list(XCOM[element]), np.float64))
    np.testing.assert_allclose(found, list(XCOM[element].values()), rtol=5e-3)


@pytest.mark.parametrize(
    ("element", "edge_mev", "below", "above"),
    [("W", 0.06953, 2.553, 11.23), ("Pb", 0.088, 1.910, 7.683), ("U", 0.1156, 1.378, 4.894)],
)
def test_absorption_edges_are_steps(
    element: str, edge_mev: float, below: float, above: float
) -> None:
    """At the K edge the coefficient jumps between the two published values, without a ramp."""
    near = np.array([edge_mev * (1 - 1e-6), edge_mev, edge_mev * (1 + 1e-6)])
    found = mass_attenuation_cm2_per_g(element, near)
    np.testing.assert_allclose(found, [below, above, above], rtol=5e-3)


def test_interpolation_is_exact_for_a_power_law() -> None:
    """Between two rows the logarithm of the coefficient is linear in that of the energy."""
    at = np.array([0.2, np.sqrt(0.2 * 0.3), 0.3])
    first, middle, last = mass_attenuation_cm2_per_g("Pb", at)
    assert middle == pytest.approx(np.sqrt(first * last), rel=1e-9)


def test_mixture_is_the_mean_by_mass() -> None:
    """Water is hydrogen and oxygen by mass fraction."""
    energy = np.geomspace(0.001, 20, 60)
    parts = by_name("water").mass_fractions
    expected = sum(w * mass_attenuation_cm2_per_g(e, energy) for e, w in parts.items())
    np.testing.assert_allclose(mass_attenuation_cm2_per_g("water", energy), expected, rtol=1e-12)


@pytest.mark.parametrize("name", materials())
def test_every_material_attenuates_less_at_higher_energy(name: str) -> None:
    """Coefficients are positive over the whole table, and fall from the last edge to 2 MeV."""
    whole = np.geomspace(LOWEST_TABULATED_MEV, HIGHEST_TABULATED_MEV, 200)
    assert (mass_attenuation_cm2_per_g(name, whole) > 0).all()
    found = mass_attenuation_cm2_per_g(name, np.geomspace(0.12, 2, 40))
    assert (np.diff(found) < 0).all()


def _rows() -> list[dict[str, str]]:
    table = Path(__file__).parents[2] / "nii" / "physics" / "materials.csv"
    lines = table.read_text("utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row["name"])
def test_composition_follows_from_the_formula(row: dict[str, str]) -> None:
    """Mass fractions of a pure compound are those of its formula within 0.0002."""
    if not row["formula"]:
        assert len(by_name(row["name"]).mass_fractions) > 1, "an element has a formula"
        return
    atoms: Counter[str] = Counter()
    for symbol, count in re.findall(r"([A-Z][a-z]?)(\d*)", row["formula"]):
        atoms[symbol] += int(count or 1)
    mass = sum(WEIGHT[symbol] * count for symbol, count in atoms.items())
    expected = {symbol: WEIGHT[symbol] * count / mass for symbol, count in atoms.items()}
    assert by_name(row["name"]).mass_fractions == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("name", materials())
def test_effective_atomic_number_follows_from_the_composition(name: str) -> None:
    """z_eff is the power mean with exponent 2.94 over electrons (Mayneord) within 0.1."""
    material = by_name(name)
    z = {element: atomic_number(element) for element in material.mass_fractions}
    electrons = {
        element: share * z[element] / WEIGHT[element]
        for element, share in material.mass_fractions.items()
    }
    mean = sum(count * z[e] ** 2.94 for e, count in electrons.items()) / sum(electrons.values())
    assert material.z_eff == pytest.approx(mean ** (1 / 2.94), abs=0.1)


def test_there_are_enough_materials_with_sources() -> None:
    """Forty materials at least, each with its source."""
    assert len(materials()) >= 40
    assert all(material.source for material in materials().values())


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
    with pytest.raises(ConfigError, match=r"0\.0005"):
        mass_attenuation_cm2_per_g("Fe", np.array([0.0005]))


@pytest.mark.parametrize("energy", [0.00099, 20.1, float("nan")])
def test_energies_outside_the_table_are_refused(energy: float) -> None:
    """Below 1 keV, above 20 MeV and for no number there is an error that names the range."""
    with pytest.raises(ConfigError, match=r"0\.001 to 20 MeV"):
        mass_attenuation_cm2_per_g("water", np.array([1.0, energy]))


def test_an_element_without_table_is_refused() -> None:
    """The atomic number of what is not tabulated is not guessed."""
    with pytest.raises(ConfigError, match="freeze_attenuation"):
        atomic_number("Tc")


def test_material_must_be_whole() -> None:
    """Mass fractions that do not add up to 1 are an error."""
    with pytest.raises(ValueError, match="add up"):
        Material("half", {"Fe": 0.5}, 7.8, 26.0, "test")
