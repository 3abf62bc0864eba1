"""Bremsstrahlung of an electron linac or betatron: Schiff spectrum behind target and filter.

On the axis the spectrum is the forward Schiff formula behind two fitted filters. Off the axis it
softens, because the hard photons are made before the electrons scatter and so fly forward:

    photons(E, angle) = photons(E, 0) exp(-c tan(angle) sqrt(E / end-point))

The shape with its one constant is empirical, fitted to Monte Carlo spectra up to 26.5 degrees.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from jaxtyping import Float64

from nii.errors import ConfigError
from nii.physics.attenuation import mass_attenuation_cm2_per_g

ELECTRON_MASS_MEV = 0.51099895
"""Rest energy of the electron (CODATA 2018)."""
LOWEST_ENERGY_MEV = 0.1
"""Photons below are absorbed by target, filter and container wall (assumption)."""
_TARGET_Z = 74.0
_SCREENING = 111.0
_LOWEST_ENDPOINT_MEV = 1.0
LARGEST_FAN_ANGLE_DEG = 30.0
"""The softening was fitted up to 26.5 degrees; a little beyond is an assumption."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Areal densities that the beam crosses before the scan, in g/cm2."""

    tungsten_g_per_cm2: float
    """Self-absorption of the target."""
    copper_g_per_cm2: float
    """Target backing, window and hardening filter, as copper."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Hold a photon spectrum on a grid.

    Attributes:
        energy_mev: centres of the bins.
        photons: share of the photons in each bin; adds up to 1.
    """

    energy_mev: Float64[np.ndarray, " energy"]
    photons: Float64[np.ndarray, " energy"]

    @property
    def mean_mev(self) -> float:
        """Return the mean photon energy in MeV."""
        return float(self.energy_mev @ self.photons)


def linac_spectrum(
    endpoint_mev: float,
    *,
    energy_mev: Float64[np.ndarray, " energy"] | None = None,
    filtering: Filter | None = None,
    fan_angle_deg: float = 0.0,
) -> Spectrum:
    """Return the filtered spectrum of a linac or betatron.

    Args:
        endpoint_mev: kinetic energy of the electrons.
        energy_mev: bin centres of equal width; 10 keV bins from 0.1 MeV to the end-point if absent.
        filtering: what the beam crosses; `filter_for` the end-point if absent.
        fan_angle_deg: angle between the ray and the axis of the beam, whichever its sign.

    Raises:
        ConfigError: the end-point lies below 1 MeV or above the attenuation table, or the angle is
            larger than 30 degrees.

    Reference:
        Koch and Motz, Rev. Mod. Phys. 31 (1959) 920, formula 2BS at angle 0 (Schiff).
    """
    _check(endpoint_mev, fan_angle_deg)
    if energy_mev is None:
        energy_mev = np.arange(LOWEST_ENERGY_MEV, endpoint_mev, 0.01) + 0.005
    if filtering is None:
        filtering = filter_for(endpoint_mev)
    softening = _fitted(endpoint_mev, "softening") * abs(np.tan(np.radians(fan_angle_deg)))
    photons = _schiff(endpoint_mev, energy_mev) * np.exp(
        -mass_attenuation_cm2_per_g("W", energy_mev) * filtering.tungsten_g_per_cm2
        - mass_attenuation_cm2_per_g("Cu", energy_mev) * filtering.copper_g_per_cm2
        - softening * np.sqrt(energy_mev / endpoint_mev)
    )
    return Spectrum(energy_mev, photons / photons.sum())


def filter_for(endpoint_mev: float) -> Filter:
    """Return the filter that belongs to an end-point.

    Only the rows of ``filters.csv`` marked as fit were compared with Monte Carlo spectra. Between
    rows the filter is interpolated, beyond them the nearest row holds: both are assumptions.
    """
    return Filter(
        _fitted(endpoint_mev, "tungsten_g_per_cm2"), _fitted(endpoint_mev, "copper_g_per_cm2")
    )


def _check(endpoint_mev: float, fan_angle_deg: float) -> None:
    if not endpoint_mev >= _LOWEST_ENDPOINT_MEV:
        raise ConfigError(
            "linac_spectrum",
            found=f"an end-point of {endpoint_mev} MeV",
            expected=f"at least {_LOWEST_ENDPOINT_MEV} MeV",
            remedy="This formula describes linacs; see nii/physics/tube.py for X-ray tubes.",
        )
    if not abs(fan_angle_deg) <= LARGEST_FAN_ANGLE_DEG:
        raise ConfigError(
            "linac_spectrum",
            found=f"a ray {fan_angle_deg} degrees off the axis",
            expected=f"at most {LARGEST_FAN_ANGLE_DEG:g} degrees",
            remedy="No spectrum is known there; narrow the fan.",
        )


def _fitted(endpoint_mev: float, column: str) -> float:
    table = _filters()
    return float(np.interp(endpoint_mev, table["endpoint_mev"], table[column]))


@cache
def _filters() -> dict[str, Float64[np.ndarray, " row"]]:
    """Return the columns of numbers in ``filters.csv``."""
    text = files("nii.physics").joinpath("filters.csv").read_text("utf-8")
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    names = [name for name in rows[0] if name != "source"]
    return {name: np.asarray([float(row[name]) for row in rows]) for name in names}


def _schiff(
    endpoint_mev: float, energy_mev: Float64[np.ndarray, " energy"]
) -> Float64[np.ndarray, " energy"]:
    before = endpoint_mev + ELECTRON_MASS_MEV
    after = np.maximum(before - energy_mev, ELECTRON_MASS_MEV)
    momentum = ELECTRON_MASS_MEV * energy_mev / (2 * before * after)
    inverse_m = momentum**2 + (np.cbrt(_TARGET_Z) / _SCREENING) ** 2
    bracket = (1 + (after / before) ** 2) * -np.log(inverse_m) - (1 + after / before) ** 2
    inside = energy_mev < endpoint_mev
    return np.where(inside, np.maximum(bracket, 0) / energy_mev, 0.0)
