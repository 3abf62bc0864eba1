"""X-ray tube of 160 to 450 kV: bremsstrahlung and characteristic lines through `spekpy`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from nii.errors import ConfigError, MissingExtraError
from nii.physics.attenuation import mass_attenuation_cm2_per_g
from nii.physics.spectrum import Spectrum

LOWEST_KV = 160.0
HIGHEST_KV = 450.0
_KEV_PER_MEV = 1e3
_LOWEST_PHOTON_KEV = 10.0
"""Photons below do not leave the window of such a tube (assumption)."""
_MODEL = "casim"
"""Electron transport in the target; within 0.6 % of the mean energy of the slower model "kqp"."""
WINDOW_G_PER_CM2: Mapping[str, float] = {"aluminium": 0.81}
"""3 mm of aluminium: window and inherent filter of a cargo or baggage tube (assumption)."""


def tube_spectrum(
    peak_kv: float,
    *,
    anode_angle_deg: float = 20.0,
    filter_g_per_cm2: Mapping[str, float] = WINDOW_G_PER_CM2,
) -> Spectrum:
    """Return the spectrum of a tube with a tungsten target on bins of 1 keV.

    Args:
        peak_kv: tube voltage, 160 to 450 kV.
        anode_angle_deg: angle between target and central ray.
        filter_g_per_cm2: areal density of what the beam crosses, by name of the material.

    Raises:
        ConfigError: the voltage is out of range, or a filter material is unknown.
        MissingExtraError: the package spekpy is absent.

    Reference:
        Omar, Andreo and Poludniowski, Med. Phys. 47 (2020) 4763; spekpy 2.5.
    """
    if not LOWEST_KV <= peak_kv <= HIGHEST_KV:
        raise ConfigError(
            "tube_spectrum",
            found=f"a tube of {peak_kv:g} kV",
            expected=f"{LOWEST_KV:g} to {HIGHEST_KV:g} kV",
            remedy="For accelerators see linac_spectrum in nii/physics/spectrum.py.",
        )
    energy_kev, bare = _bare(peak_kv, anode_angle_deg)
    kept = energy_kev >= _LOWEST_PHOTON_KEV
    energy_mev = energy_kev[kept] / _KEV_PER_MEV
    depth = np.zeros_like(energy_mev)
    for material, grams in filter_g_per_cm2.items():
        depth += grams * mass_attenuation_cm2_per_g(material, energy_mev)
    photons = bare[kept] * np.exp(-depth)
    return Spectrum(energy_mev, photons / photons.sum())


@lru_cache(maxsize=16)
def _bare(peak_kv: float, anode_angle_deg: float) -> tuple[Any, Any]:
    """Return bin centres in keV and the photons that leave the target, which is slow to compute."""
    try:
        spekpy = import_module("spekpy")
    except ModuleNotFoundError as error:
        raise MissingExtraError.of("kv", "X-ray tube spectra") from error
    source = spekpy.Spek(kvp=peak_kv, th=anode_angle_deg, dk=1.0, physics=_MODEL)
    energy_kev, photons = source.get_spectrum(edges=False)
    return np.asarray(energy_kev, np.float64), np.asarray(photons, np.float64)
