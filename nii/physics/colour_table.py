"""Colour table: colour and probable class for every pair of attenuations, to look pixels up in.

What a viewer draws at every step of a slider cannot be decoded pixel by pixel. The table holds what
:func:`nii.physics.dual_energy.decode` and :func:`nii.physics.false_colour.shades` say, so that a
viewer's colours are those of `nii`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float64, UInt8

from nii.physics.beam import make_beam
from nii.physics.dual_energy import CLASSES, WEDGES, Calibration, calibrate, curves, decode
from nii.physics.false_colour import shades

FORM = 1
"""Version of the table; another one is not read by an older viewer."""
DEEPEST = 9.0
"""Attenuation at the end of the first axis; 16 bits reach 11, noise ends it before."""
COLUMNS, ROWS = 256, 128
USUAL_NOISE = 0.01
"""Standard deviation of the transmission of a pixel in air, where it is not known: assumption."""
_AIR = 0.02
"""Attenuation below which there is nothing to colour, as in `nii.physics.segments`."""
_CALIBRATION_ERROR = 2e-3
"""Standard deviation of an attenuation that calibration leaves, as in `nii.physics.segments`."""
_FLOOR = 1e-4
"""Transmission that electronics and scatter make up: assumption; deeper there is no colour."""
_AVERAGED_PX = 49
"""Pixels that a viewer averages before it looks a colour up."""
_THIN = 0.2
"""Attenuation from which on the curves say how wide the second axis is; ratios of less diverge."""
_MARGIN = 0.5
"""What the second axis spans beyond the curves, as a share of their span."""
_STEEL_MM = np.concatenate([np.arange(0, 60, 2.0), np.arange(60, 501, 10.0)])
_STEEL_G_PER_CM2_PER_MM = 0.787
"""Steel in X-ray imaging standards is iron of 7.87 g/cm3."""


@dataclass(frozen=True, slots=True)
class ColourTable:
    """Hold colours over attenuation and the ratio of both attenuations.

    Attributes:
        ratios: low over high energy attenuation at the first and at the last row.
        shades: red, green, blue at full brightness, 255 is all of it; the last number is 255 where
            there is something to colour and 0 in air.
        classes: probability of each of `CLASSES`, 255 is certain.

    Column c stands for an attenuation of ``DEEPEST * (c / (COLUMNS - 1)) ** 2`` at the high energy.
    """

    ratios: tuple[float, float]
    shades: UInt8[np.ndarray, "row column 4"]
    classes: UInt8[np.ndarray, "row column 4"]

    def to_bytes(self) -> bytes:
        """Return rows, columns, deepest attenuation and both ratios, then the two pictures.

        The head is five little-endian 32-bit floats.
        """
        head = np.asarray([ROWS, COLUMNS, DEEPEST, *self.ratios], "<f4")
        return head.tobytes() + self.shades.tobytes() + self.classes.tobytes()


@lru_cache(maxsize=16)
def make(endpoint_mev: tuple[float, float], air_noise: float) -> ColourTable:
    """Return the table of a beam, on its axis.

    Args:
        endpoint_mev: of both energies, the higher first.
        air_noise: standard deviation of the transmission of a pixel in air. The variance rises
            with the signal, as that of counted photons does.
    """
    calibration = calibrate(make_beam(endpoint_mev, WEDGES))
    ratios = _ratios(calibration)
    high = DEEPEST * (np.arange(COLUMNS) / (COLUMNS - 1)) ** 2
    ratio = np.linspace(*ratios, ROWS)
    pairs = np.stack(np.broadcast_arrays(high, high * ratio[:, None]), 2).reshape(-1, 2)
    variance = air_noise**2 / _AVERAGED_PX * np.exp(pairs) + (_FLOOR * np.exp(pairs)) ** 2
    decoded = decode(pairs, np.sqrt(variance + _CALIBRATION_ERROR**2), calibration)
    something = np.broadcast_to(high >= _AIR, (ROWS, COLUMNS))
    colour = np.where(something[..., None], shades(decoded).reshape(ROWS, COLUMNS, 3), 1.0)
    return ColourTable(
        ratios,
        _bytes(np.concatenate([colour, something[..., None]], 2)),
        _bytes(decoded.probabilities.reshape(ROWS, COLUMNS, len(CLASSES))),
    )


@lru_cache(maxsize=16)
def steel_mm(endpoint_mev: float) -> dict[str, list[float]]:
    """Return thicknesses of steel in mm and the attenuation behind each, on the axis of a beam."""
    beam = make_beam((endpoint_mev,), ("iron",))
    depth = _STEEL_MM * _STEEL_G_PER_CM2_PER_MM
    passed = np.exp(-np.outer(depth, beam.mass_attenuation_cm2_per_g[:, 0])) @ beam.signal[0]
    attenuation = -np.log(passed) + np.log(passed[0])
    return {"mm": _STEEL_MM.tolist(), "attenuation": [round(float(a), 6) for a in attenuation]}


def _ratios(calibration: Calibration) -> tuple[float, float]:
    both = curves(calibration).reshape(-1, 2)
    thick = both[(both[:, 0] > _THIN) & (both[:, 0] < DEEPEST)]
    ratio = thick[:, 1] / thick[:, 0]
    span = _MARGIN * (ratio.max() - ratio.min())
    return float(ratio.min() - span), float(ratio.max() + span)


def _bytes(shares: Float64[np.ndarray, "row column 4"]) -> UInt8[np.ndarray, "row column 4"]:
    return np.asarray(np.rint(255 * np.clip(shares, 0, 1)), np.uint8)
