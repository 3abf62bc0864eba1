"""False colours of the field: orange organic, green mineral, blue steel, violet heavy metal."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files

import numpy as np
from jaxtyping import Float32, Float64, Int32, UInt8

from nii.physics.dual_energy import (
    CLASSES,
    Calibration,
    Decoded,
    FanCalibration,
    MaterialClass,
)
from nii.physics.segments import SegmentConfig, decode_segments, segment

_GAMMA = 0.35
"""Brightness is T to this power, so that dark parts are not lost (assumption: as in displays)."""
_LEAST = 1 / len(CLASSES)
"""Probability of a class when nothing is known."""


def false_colour(
    transmission: Float32[np.ndarray, "2 height width"],
    calibration: Calibration | FanCalibration,
    config: SegmentConfig = SegmentConfig(),  # noqa: B008
) -> UInt8[np.ndarray, "height width 3"]:
    """Return a dual-energy scan in the colours of the field, as RGB.

    The hue tells the class of a whole segment, its saturation the confidence, and the brightness
    the transmission. What no material explains, and what could be anything, stays grey.

    Args:
        transmission: I/I0, highest energy first.
        calibration: beam of the scanner, on the axis or for the angle of every row.
        config: how the scan is cut into segments.
    """
    labels = segment(transmission, config)
    return paint(transmission, labels, decode_segments(transmission, labels, calibration, config))


def paint(
    transmission: Float32[np.ndarray, "2 height width"],
    labels: Int32[np.ndarray, "height width"],
    decoded: Decoded,
) -> UInt8[np.ndarray, "height width 3"]:
    """Return the segments in the colours of their probable classes, as RGB."""
    known = np.concatenate([np.ones((1, 3)), shades(decoded)])
    light = np.clip(transmission.mean(0), 0, 1).astype(np.float64) ** _GAMMA
    return np.asarray(np.rint(255 * light[..., None] * known[labels]), np.uint8)


def shades(decoded: Decoded) -> Float64[np.ndarray, "n 3"]:
    """Return the colours of measurements, as shares of red, green and blue at full brightness.

    The more certain the class, the less grey; what no material explains is grey.
    """
    probable = decoded.probabilities
    certain = (probable.max(1, initial=_LEAST) - _LEAST) / (1 - _LEAST)
    certain = np.where(decoded.misfit > _MISFIT, 0, certain)[:, None]
    hue = probable @ np.stack([colours()[name] for name in CLASSES])
    return np.asarray(certain * hue + (1 - certain) * _GREY, np.float64)


_GREY = 0.8
_MISFIT = 5.0
"""Standard deviations beyond which a segment has no colour."""


@cache
def colours() -> dict[MaterialClass, Float64[np.ndarray, " 3"]]:
    """Return the colour of every class as shares of red, green and blue."""
    text = files("nii.physics").joinpath("class_colours.csv").read_text("utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {
        MaterialClass(row["class"]): np.asarray([float(row[c]) for c in ("red", "green", "blue")])
        for row in rows
    }
