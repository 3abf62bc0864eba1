"""Mass attenuation coefficients of materials, 1 keV to 20 MeV, and their table of compositions."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from jaxtyping import Float64

from nii.errors import ConfigError

LOWEST_TABULATED_MEV = 1e-3
HIGHEST_TABULATED_MEV = 20.0
_FRACTION_TOLERANCE = 1e-3
_EDGE_WIDTH = 1e-9
"""Share of its energy by which the row below an absorption edge is moved down, so that every energy
has one value: at the edge itself the value above it."""


@dataclass(frozen=True, slots=True)
class Material:
    """Describe one row of ``materials.csv``.

    Attributes:
        name: identifier.
        mass_fractions: element symbol to share of mass; the shares add up to 1.
        density_g_per_cm3: density of the solid or of the goods as packed.
        z_eff: effective atomic number as an officer would quote it.
        source: where composition and density come from.
    """

    name: str
    mass_fractions: dict[str, float]
    density_g_per_cm3: float
    z_eff: float
    source: str

    def __post_init__(self) -> None:
        """Check that the composition is whole.

        Raises:
            ValueError: shares do not add up to 1, or the density is not positive.
        """
        total = sum(self.mass_fractions.values())
        if abs(total - 1) > _FRACTION_TOLERANCE or min(self.mass_fractions.values()) <= 0:
            msg = f"mass fractions of {self.name} add up to {total}, not to 1"
            raise ValueError(msg)
        if self.density_g_per_cm3 <= 0:
            msg = f"density of {self.name} is {self.density_g_per_cm3}"
            raise ValueError(msg)


def mass_attenuation_cm2_per_g(
    material: str, energy_mev: Float64[np.ndarray, " energy"]
) -> Float64[np.ndarray, " energy"]:
    """Return the total mass attenuation coefficient (with coherent scattering) of a material.

    Elements are interpolated log-log between the tabulated energies, never across an absorption
    edge, and mixed by mass fraction. At the energy of an edge the value above it holds.

    Args:
        material: name in ``materials.csv`` or the symbol of a tabulated element.
        energy_mev: photon energies in MeV, 0.001 to 20.

    Raises:
        ConfigError: the material is unknown or an energy lies outside the table.

    Reference:
        Hubbell and Seltzer, NISTIR 5632 (1995), table 3, through scripts/freeze_attenuation.py.
    """
    elements = _elements()
    fractions = {material: 1.0} if material in elements else by_name(material).mass_fractions
    _check_range(material, energy_mev)
    log_energy = np.log(energy_mev)
    total = np.zeros_like(energy_mev)
    for symbol, share in fractions.items():
        element = elements[symbol]
        total += share * np.exp(np.interp(log_energy, element.log_energy, element.log_attenuation))
    return total


def _check_range(material: str, energy_mev: Float64[np.ndarray, " energy"]) -> None:
    if len(energy_mev) and not (
        energy_mev.min() >= LOWEST_TABULATED_MEV and energy_mev.max() <= HIGHEST_TABULATED_MEV
    ):
        raise ConfigError(
            material,
            found=f"photons of {energy_mev.min():g} to {energy_mev.max():g} MeV",
            expected=f"{LOWEST_TABULATED_MEV:g} to {HIGHEST_TABULATED_MEV:g} MeV",
            remedy="Restrict the energies to the range of nii/physics/mass_attenuation.csv.",
        )


def by_name(name: str) -> Material:
    """Return the material called `name`.

    Raises:
        ConfigError: no row of ``materials.csv`` has that name.
    """
    known = materials()
    if name not in known:
        raise ConfigError(
            name,
            found="an unknown material",
            expected=f"one of {', '.join(known)}",
            remedy="Add a row to nii/physics/materials.csv with its source.",
        )
    return known[name]


@cache
def materials() -> dict[str, Material]:
    """Return all materials by name, in the order of the table."""
    rows = csv.DictReader(_table_lines("materials.csv"))
    return {row["name"]: _material(row) for row in rows}


def _material(row: dict[str, str]) -> Material:
    shares = (part.split(":") for part in row["mass_fractions"].split())
    return Material(
        name=row["name"],
        mass_fractions={element: float(share) for element, share in shares},
        density_g_per_cm3=float(row["density_g_per_cm3"]),
        z_eff=float(row["z_eff"]),
        source=row["source"],
    )


@dataclass(frozen=True, slots=True)
class _Element:
    """Hold the logarithms of one element's table; energies rise strictly."""

    z: int
    log_energy: Float64[np.ndarray, " row"]
    log_attenuation: Float64[np.ndarray, " row"]


def atomic_number(element: str) -> int:
    """Return the atomic number of a tabulated element.

    Raises:
        ConfigError: the element is not in ``mass_attenuation.csv``.
    """
    known = _elements()
    if element not in known:
        raise ConfigError(
            element,
            found="an element without attenuation table",
            expected=f"one of {', '.join(known)}",
            remedy="Add it to scripts/freeze_attenuation.py and make the table again.",
        )
    return known[element].z


@cache
def _elements() -> dict[str, _Element]:
    """Return the tables by symbol, in the order of the file."""
    rows: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for row in csv.DictReader(_table_lines("mass_attenuation.csv")):
        pair = float(row["energy_mev"]), float(row["mass_attenuation_cm2_per_g"])
        rows.setdefault((row["element"], int(row["z"])), []).append(pair)
    return {symbol: _element(z, np.asarray(pairs)) for (symbol, z), pairs in rows.items()}


def _element(z: int, pairs: Float64[np.ndarray, "row 2"]) -> _Element:
    energy = pairs[:, 0].copy()
    for row in range(len(energy) - 2, -1, -1):
        energy[row] = min(energy[row], energy[row + 1] * (1 - _EDGE_WIDTH))
    return _Element(z, np.log(energy), np.log(pairs[:, 1]))


def _table_lines(name: str) -> list[str]:
    text = files("nii.physics").joinpath(name).read_text("utf-8")
    return [line for line in text.splitlines() if not line.startswith("#")]
