"""Bremsstrahlung of an electron linac: forward Schiff spectrum behind target and filter."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Filter:
    """Areal densities that the beam crosses before the scan, in g/cm2."""

    tungsten_g_per_cm2: float
    """Self-absorption of the target."""
    copper_g_per_cm2: float
    """Target backing, window and hardening filter, as copper."""


FILTERS: dict[float, Filter] = {4.0: Filter(1.5, 5.0), 6.0: Filter(2.0, 5.0), 9.0: Filter(3.5, 3.0)}
"""End-point in MeV to filter; 6 and 9 were fitted to Monte Carlo spectra, 4 is an assumption."""


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
) -> Spectrum:
    """Return the filtered forward spectrum of a linac.

    Args:
        endpoint_mev: kinetic energy of the electrons.
        energy_mev: bin centres of equal width; 10 keV bins from 0.1 MeV to the end-point if absent.
        filtering: what the beam crosses; taken from the nearest entry of `FILTERS` if absent.

    Raises:
        ConfigError: the end-point lies below 1 MeV or above the attenuation table.

    Reference:
        Koch and Motz, Rev. Mod. Phys. 31 (1959) 920, formula 2BS at angle 0 (Schiff).
    """
    if not endpoint_mev >= _LOWEST_ENDPOINT_MEV:
        raise ConfigError(
            "linac_spectrum",
            found=f"an end-point of {endpoint_mev} MeV",
            expected=f"at least {_LOWEST_ENDPOINT_MEV} MeV",
            remedy="This formula describes linacs, not X-ray tubes.",
        )
    if energy_mev is None:
        energy_mev = np.arange(LOWEST_ENERGY_MEV, endpoint_mev, 0.01) + 0.005
    if filtering is None:
        filtering = FILTERS[min(FILTERS, key=lambda known: abs(known - endpoint_mev))]
    photons = _schiff(endpoint_mev, energy_mev) * np.exp(
        -mass_attenuation_cm2_per_g("W", energy_mev) * filtering.tungsten_g_per_cm2
        - mass_attenuation_cm2_per_g("Cu", energy_mev) * filtering.copper_g_per_cm2
    )
    return Spectrum(energy_mev, photons / photons.sum())


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
