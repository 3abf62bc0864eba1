"""Pictures of the evidence package: the scan as it is, and with its regions, drawn without a model.

A picture is for orientation: 16 bits and two energies do not fit into 8 bits of grey. The original
file is what counts, and it lies in the package unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from nii import formats, taxonomy
from nii.errors import NiiError
from nii.inspection import Inspection, Level
from nii.scan import AnyScan, Grey
from nii.store import scans
from nii.store.database import Store
from nii.store.scans import KeptScan

WIDEST_PX = 4096
"""Widest picture: any program draws so many columns."""
_FLOOR = 1.0 / 65535.0
"""One step of 16 bits: the smallest transmission told apart from nothing."""
_DARKEST_SHARE = 99.8
"""Percentile of attenuation that becomes black: assumption, spares a few dead pixels."""
_LEAST_SPAN = 1.5
"""Attenuation that is black at least, so that noise in an empty scan is not blown up."""
_ROWS_A_TURN = 64
_LEVEL_BGR = {Level.SEARCH: (25, 75, 255), Level.LOOK: (0, 205, 255), Level.CLEAR: (150, 200, 90)}
_MARK_BGR = (233, 180, 86)
"""Sky blue of the palette of Okabe and Ito (2008): what officers marked."""
_FONT = cv2.FONT_HERSHEY_SIMPLEX

Picture = UInt8[np.ndarray, "height width *colour"]


@dataclass(frozen=True, slots=True)
class Outline:
    """Say what is drawn into a picture: a box in scan pixels, a short text, and by whom."""

    box_xyxy: tuple[float, float, float, float]
    text: str
    level: Level | Literal["officer"]


def read_scan(store: Store, kept: KeptScan) -> AnyScan:
    """Read a stored scan, as 16-bit levels where its form allows that.

    Raises:
        NiiError: the kept files are missing, altered or cannot be read as a scan.
    """
    with scans.original_files(store, kept) as files:
        return formats.read_stored(files) or formats.read(files)


def grey_picture(scan: AnyScan, widest: int = WIDEST_PX) -> UInt8[np.ndarray, "height width"]:
    """Return the scan at its highest energy for the eye: air white, the densest cargo black.

    Darkness is half attenuation, half its square root, so that light goods do not fade beside
    axles. Wide scans are made smaller, row by row, so that no second copy of one is needed.
    """
    scale = min(1.0, widest / scan.width)
    width = max(1, round(scan.width * scale))
    thin = scan.plane(slice(None, None, 4), slice(None, None, 4))
    span = _span(thin) if scan.grey is Grey.TRANSMISSION else 0.0
    step = max(1, round(_ROWS_A_TURN / scale))
    parts = []
    for first in range(0, scan.height, step):
        rows = slice(first, min(first + step, scan.height))
        grey = _grey(scan.plane(rows), span)
        height = round(rows.stop * scale) - round(rows.start * scale)
        if height and scale < 1:
            grey = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
        parts += [grey] if height else []
    return np.asarray(np.concatenate(parts or [_grey(thin, span)]), np.uint8)


def with_outlines(
    grey: UInt8[np.ndarray, "height width"], outlines: Sequence[Outline], scale: float
) -> UInt8[np.ndarray, "height width 3"]:
    """Return the picture in colour with boxes around places; they lie outside what they mark.

    Args:
        grey: the picture.
        outlines: what is drawn.
        scale: pixels of the picture per pixel of the scan.
    """
    image = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    unit = max(1, round(max(grey.shape) / 1600))
    for outline in outlines:
        colour = _MARK_BGR if outline.level == "officer" else _LEVEL_BGR[outline.level]
        x0, y0, x1, y1 = (round(edge * scale) for edge in outline.box_xyxy)
        gap = 3 * unit
        first, second = (x0 - gap, y0 - gap), (x1 + gap, y1 + gap)
        for wide, shade in ((3 * unit, (0, 0, 0)), (unit, colour)):
            cv2.rectangle(image, first, second, shade, wide)
        _label(image, outline.text, colour, (x0 - gap, y0 - 2 * gap), unit)
    return np.asarray(image, np.uint8)


def outlines_of(inspection: Inspection) -> tuple[Outline, ...]:
    """Return what a model highlighted, with number, class, score and level."""
    return tuple(
        Outline(
            region.box_xyxy,
            f"{region.number} {region.class_name.replace('_', ' ')} {region.score:.2f} "
            f"{region.level}",
            region.level,
        )
        for region in inspection.regions
    )


def preview(picture: Picture, widest: int = 1600) -> UInt8[np.ndarray, "rows columns *colour"]:
    """Return the picture small enough to stand inside a page."""
    height, width = picture.shape[:2]
    if width <= widest:
        return picture
    size = (widest, max(1, round(height * widest / width)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def known_class(name: str) -> str:
    """Return a class in words; the name itself where the taxonomy does not know it."""
    return next((row.label for row in taxonomy.classes() if row.name == name), name)


def to_png(picture: Picture) -> bytes:
    """Return a picture as a PNG file.

    Raises:
        NiiError: the library cannot.
    """
    done, png = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 6])
    if not done:
        raise NiiError(
            "picture", found="no PNG", expected="a PNG", remedy="Check the installation of OpenCV."
        )
    return png.tobytes()


def _span(transmission: Float32[np.ndarray, "height width"]) -> float:
    attenuation = -np.log(np.maximum(transmission, np.float32(_FLOOR)))
    return max(float(np.percentile(attenuation, _DARKEST_SHARE)), _LEAST_SPAN)


def _grey(
    rows: Float32[np.ndarray, "height width"], span: float
) -> UInt8[np.ndarray, "height width"]:
    """Return grey values; a span of 0 marks a display picture, which is shown as it is."""
    if not span:
        return np.asarray(np.rint(np.clip(rows, 0, 1) * 255), np.uint8)
    attenuation = np.maximum(-np.log(np.maximum(rows, np.float32(_FLOOR))), 0)
    share = np.minimum(attenuation / np.float32(span), 1)
    return np.asarray(np.rint(255 - 127.5 * (share + np.sqrt(share))), np.uint8)


def _label(
    image: np.ndarray, text: str, colour: tuple[int, int, int], place: tuple[int, int], unit: int
) -> None:
    plain = text.encode("ascii", "replace").decode()  # the font has no other letters
    size, thick = 0.5 * unit, unit
    (wide, high), below = cv2.getTextSize(plain, _FONT, size, thick)
    x = min(max(place[0], 0), max(image.shape[1] - wide - 4 * unit, 0))
    y = max(place[1], high + below)
    top = (x, y - high - below)
    cv2.rectangle(image, top, (x + wide + 4 * unit, y + below // 2), (30, 30, 30), cv2.FILLED)
    origin = (x + 2 * unit, y - below // 2)
    cv2.putText(image, plain, origin, _FONT, size, colour, thick, cv2.LINE_AA)
