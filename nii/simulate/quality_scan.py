"""What one scan shows of its quality: open beam, sharp edges, losses and cuts.

A scan has no test object in it. It is measured where it allows it; where not, the reason is given.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from nii import config as settings
from nii.scan import Grey, Scan
from nii.simulate import edges, resolution, uniformity
from nii.simulate.quality import (
    AXES,
    Chart,
    Curve,
    Kind,
    Measurement,
    Part,
    Picture,
    Subject,
    assemble,
)

_THUMBNAIL_PX = 900
_EVENNESS = {
    "noise_air_percent": "Noise of a pixel in air",
    "row_stripes_percent": "Stripes along rows",
    "column_stripes_percent": "Stripes along columns",
    "uneven_percent": "Unevenness over blocks of 32 pixels",
    "drift_percent": "Drift from the first to the last columns",
}


def measure_scan(name: str, scan: Scan) -> Subject:
    """Return what one scan shows of its quality: open beam, sharp edges, losses and cuts."""
    kind: Kind = "scan" if scan.grey is Grey.TRANSMISSION else "display"
    plane = scan.transmission[0]
    found = uniformity.find_air(plane, scan.grey)
    parts: list[Part] = []
    if isinstance(found, str):
        parts += _missing_evenness(found)
        parts.append(_thumbnail(plane, None))
    else:
        parts += evenness_parts(worst_evenness(scan, found))
        parts.append(_thumbnail(plane, found.mask))
    parts += _sharpness(scan)
    parts += _exposure(scan)
    return assemble(name, kind, parts, _facts(scan))


def worst_evenness(scan: Scan, air: uniformity.Air) -> uniformity.Evenness | str:
    """Return the evenness of the noisier energy, or why there is none."""
    results = []
    for plane in scan.transmission:
        level = float(np.median(plane[air.mask]))
        if level <= 0:
            return "an energy is black where another shows open beam"
        results.append(uniformity.evenness(plane, uniformity.Air(level, air.mask)))
    for result in results:
        if isinstance(result, str):
            return result
    measured = [result for result in results if isinstance(result, uniformity.Evenness)]
    return max(measured, key=lambda result: result.noise)


def _missing_evenness(reason: str) -> list[Measurement]:
    note = f"not measurable: {reason}"
    return [
        Measurement("uniformity", key, label, None, "%", note) for key, label in _EVENNESS.items()
    ]


def evenness_parts(result: uniformity.Evenness | str) -> Iterable[Part]:
    """Yield the figures and the chart of the open beam, or the reason why there are none."""
    if isinstance(result, str):
        yield from _missing_evenness(result)
        return
    values = (
        result.noise,
        result.row_stripes,
        result.column_stripes,
        result.uneven,
        abs(result.drift),
    )
    for (key, label), value in zip(_EVENNESS.items(), values, strict=True):
        known = bool(np.isfinite(value))
        note = "" if known else "not measurable: too little open beam"
        yield Measurement("uniformity", key, label, value if known else None, "%", note)
    curves = [
        Curve(name, *uniformity.power_spectrum(effects))
        for name, effects in (("rows", result.rows), ("columns", result.columns))
    ]
    axes = ("cycles a pixel", "power in %2 a band")
    yield Chart("uniformity", "Noise power of rows and columns", *axes, tuple(curves))


def _sharpness(scan: Scan) -> Iterable[Measurement]:
    plane = scan.transmission[0]
    plane = plane[:, uniformity.live_columns(plane)]
    for axis, name in reversed(list(enumerate(AXES))):
        found = edges.sharpness(plane, axis)
        key, label = f"mtf50_{name}", f"MTF 50 % on edges, {name}"
        if isinstance(found, str):
            note = f"not measurable: {found}"
            yield Measurement("resolution", key, label, None, "1/px", note)
            continue
        value = min(found.mtf50_per_px, resolution.NYQUIST_PER_PX)
        note = f"at least; sharpest of {found.edges} edges, blur of {found.sigma_px:.2f} px"
        yield Measurement("resolution", key, label, value, "1/px", note)


def _exposure(scan: Scan) -> Iterable[Measurement]:
    lost = uniformity.losses(scan, scan.transmission[0])
    yield Measurement(
        "exposure", "saturated_percent", "Pixels at the largest value", lost.saturated, "%"
    )
    yield Measurement("exposure", "dark_percent", "Object that is as good as black", lost.dark, "%")
    sides = ", ".join(lost.cut_sides)
    yield Measurement(
        "exposure",
        "cut_sides",
        "Sides at which the object is cut",
        float(len(lost.cut_sides)),
        "",
        sides,
    )
    yield Measurement("exposure", "cut_top", "Object cut at the top", float(lost.cut_top), "")


def _facts(scan: Scan) -> dict[str, Any]:
    return {
        "height_px": scan.height,
        "width_px": scan.width,
        "energies": scan.energy_count,
        "endpoint_mev": settings.to_dict(scan.endpoint_mev),
        "pixel_pitch_mm": settings.to_dict(scan.pixel_pitch_mm),
        "scanner": scan.scanner,
        "sha256": scan.sha256,
    }


def _thumbnail(
    plane: Float32[np.ndarray, "height width"], air: Bool[np.ndarray, "height width"] | None
) -> Picture:
    """Return the scan in small, with the open beam that was measured in blue."""
    scale = min(1.0, _THUMBNAIL_PX / max(plane.shape))
    size = (max(1, round(plane.shape[1] * scale)), max(1, round(plane.shape[0] * scale)))
    small = cv2.resize(np.clip(plane, 0, 1), size, interpolation=cv2.INTER_AREA)
    grey = np.rint(255 * np.sqrt(small)).astype(np.uint8)
    colour = np.repeat(grey[..., None], 3, axis=2)
    if air is None:
        return Picture("exposure", "The scan (square root of its grey)", colour)
    used = cv2.resize(air.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    colour[used, 1:] = (colour[used, 1:] * np.asarray([0.93, 0.8])).astype(np.uint8)
    return Picture("exposure", "The scan; blue: open beam that was measured", colour)
