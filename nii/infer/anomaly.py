"""Anomaly map: what of it is reported, and how it is drawn.

The map gives every cell a probability that something lies there that does not belong, of whatever
class. It ranks attention: which scan, and which place in it, to look at first. It raises no level:
no threshold on it has been proven.

The score of a scan is the value that :data:`CELLS` cells inside the containers reach: about the
area of a hand-held object. So it depends neither on the size of the scan nor on a single odd cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from nii.detections import Detections
from nii.infer.decode import Frame, OutputMaps
from nii.inspection import Anomaly, Structure

CELLS = 64
"""Cells that reach the score: 32 x 32 pixels, 13 cm square at 4 mm a pixel. Assumption."""
_LEAST_SHOWN = 0.1
"""Value from which the picture is tinted: assumption."""
_TINT = (0, 70, 255)
"""Vermilion as blue, green, red; it stays apart from grey for colour-blind eyes."""

Map = Float32[np.ndarray, "rows columns"]


@dataclass(frozen=True, slots=True)
class Found:
    """Hold what a detector makes of one scan.

    Attributes:
        detections: everything found down to the card's lowest heat.
        timing_ms: milliseconds by stage.
        anomaly: the anomaly map on the cells of the scan; None where the model has none.
    """

    detections: Detections
    timing_ms: Mapping[str, float]
    anomaly: Map | None = None


def map_of(maps: OutputMaps, frame: Frame, stride: int) -> Map | None:
    """Return the anomaly map of a scan without the cells of its padding; None without a map."""
    if maps.anomaly is None:
        return None
    rows, columns = -(-frame.height // stride), -(-frame.width // stride)
    return np.ascontiguousarray(maps.anomaly[0, :rows, :columns])


def anomaly_of(found: Map, structures: Sequence[Structure], stride: int) -> Anomaly:
    """Return the score of a scan and where it comes from.

    Looked at are the containers; without any the vehicles; without these the whole scan.

    Args:
        found: the map of the scan.
        structures: what was found in the scan.
        stride: scan pixels per cell.
    """
    kind, parts = _looked_at(structures)
    looked = np.full(found.shape, kind == "scan", np.bool_)
    for part in parts:
        x0, y0, x1, y1 = (round(edge / stride) for edge in part.box_xyxy)
        looked[max(y0, 0) : y1, max(x0, 0) : x1] = True
    inside = np.where(looked, found, np.float32(0))
    values = found[looked] if looked.any() else np.zeros(1, np.float32)
    count = min(CELLS, len(values))
    score = float(np.partition(values, -count)[-count])
    # The middle of the place, not a single cell, which noise could choose.
    row, column = np.unravel_index(int(np.argmax(cv2.blur(inside, (8, 8)))), inside.shape)
    place = ((float(column) + 0.5) * stride, (float(row) + 0.5) * stride)
    return Anomaly(score=round(score, 4), highest_xy=place, looked_at=kind)


def _looked_at(
    structures: Sequence[Structure],
) -> tuple[Literal["container", "vehicle", "scan"], list[Structure]]:
    containers = [part for part in structures if part.kind == "container"]
    if containers:
        return "container", containers
    vehicles = [part for part in structures if part.kind == "vehicle"]
    return ("vehicle", vehicles) if vehicles else ("scan", [])


def map_png(found: Map) -> bytes:
    """Return the map as an 8-bit PNG, one pixel a cell: 0 is 0, 255 is 1."""
    return cv2.imencode(".png", grey_of_map(found))[1].tobytes()


def grey_of_map(found: Map) -> UInt8[np.ndarray, "rows columns"]:
    """Return the map as 8-bit levels."""
    return np.asarray(np.rint(np.clip(found, 0, 1) * 255), np.uint8)


def tinted(
    grey: UInt8[np.ndarray, "height width"], found: Map, longest: int
) -> UInt8[np.ndarray, "small_height small_width 3"]:
    """Return the picture of a scan, small and lighter, with the map over it in one colour."""
    scale = min(1.0, longest / max(grey.shape))
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    # The highest value of the cells under a pixel: a small place must not fade away.
    wide = max(1, round(found.shape[1] / size[0]))
    strong = cv2.dilate(found, np.ones((wide, wide), np.uint8)) if wide > 1 else found
    over = cv2.resize(strong, size, interpolation=cv2.INTER_LINEAR)
    weight = np.where(over >= _LEAST_SHOWN, 0.2 + 0.7 * over, 0)[..., None]
    mixed = small[..., None] * (1 - weight) + np.asarray(_TINT) * weight
    return np.asarray(np.rint(mixed), np.uint8)
