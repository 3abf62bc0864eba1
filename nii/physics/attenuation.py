"""Mass attenuation coefficients of materials, 0.1-20 MeV, and their table of compositions."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from jaxtyping import Float64

from nii.errors import ConfigError

_FRACTION_TOLERANCE = 1e-3


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

    Elements are interpolated log-log between the tabulated energies and mixed by mass fraction.

    Args:
        material: name in ``materials.csv`` or the symbol of a tabulated element.
        energy_mev: photon energies in MeV.

    Raises:
        ConfigError: the material is unknown or an energy lies outside the table.

    Reference:
        Hubbell and Seltzer, NISTIR 5632 (1995), tables 3 and 4.
    """
    grid, table = _elements()
    if len(energy_mev) and not (energy_mev.min() >= grid[0] and energy_mev.max() <= grid[-1]):
        raise ConfigError(
            material,
            found=f"photons of {energy_mev.min():g} to {energy_mev.max():g} MeV",
            expected=f"{grid[0]:g} to {grid[-1]:g} MeV",
            remedy="Restrict the energies to the range of nii/physics/mass_attenuation.csv.",
        )
    fractions = {material: 1.0} if material in table else by_name(material).mass_fractions
    log_energy = np.log(energy_mev)
    total = np.zeros_like(energy_mev)
    for element, share in fractions.items():
        total += share * np.exp(np.interp(log_energy, np.log(grid), np.log(table[element])))
    return total


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


@cache
def _elements() -> tuple[Float64[np.ndarray, " energy"], dict[str, Float64[np.ndarray, " energy"]]]:
    rows = list(csv.DictReader(_table_lines("mass_attenuation.csv")))
    columns = {key: np.asarray([float(row[key]) for row in rows]) for key in rows[0]}
    return columns.pop("energy_mev"), columns


def _table_lines(name: str) -> list[str]:
    text = files("nii.physics").joinpath(name).read_text("utf-8")
    return [line for line in text.splitlines() if not line.startswith("#")]
