"""Ends of a container: where a box of the network reaches into plain air, or beyond the picture.

The network places the ends of a container on a coarse map, and where the deck of a trailer goes on
beyond the container its box may too. What stands beside a container is seen in the scan itself:
columns as bright as the air above them, from the roof down to half the height. A container has a
roof rail along all of its length, so that not even a light and empty one looks like that. Columns
that are black from top to bottom are no part of the picture: some machines pad their exports.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from nii import taxonomy
from nii.detections import Detections
from nii.scan import AnyScan

Box = tuple[float, float, float, float]
Plane = Callable[[slice, slice], Float32[np.ndarray, "rows columns"]]
"""Gives a cut-out of the highest energy, or of the grey of a display picture from 0 to 1."""

AIR_ATTENUATION = 0.1
"""Attenuation below which a cell shows nothing: assumption; a roof rail has several times this."""
_ABOVE = (1 / 12, 1 / 40)
"""Rows above the roof that tell the air of a column, in heights of the box."""
_UPPER = 0.5
"""Share of the height that is looked at: below stand decks, boards and wheels."""
_CELLS = 24
"""Cells of that share: a roof rail of 60 mm fills half of one."""
_BLACK, _BLACK_SHARE = 0.01, 0.9
"""Transmission of padding, and the share of a column that has it: a stuck detector line crosses."""
_LEAST_LEFT = 0.4
"""Share of the length that must be left; a box with less stays as it is: assumption."""
_AIR_QUANTILE, _SPARSE, _LEAST = 0.98, 8, 1e-3
_EVERY = slice(None, None, _SPARSE)


def fitted(found: Detections, scan: AnyScan, least_score: float) -> Detections:
    """Return detections whose containers end where the scan shows their ends.

    Args:
        found: what the network found in the scan, in pixels.
        scan: the scan.
        least_score: containers below it stay as they are.
    """
    kind = taxonomy.by_name("container").class_id
    rows = np.flatnonzero((found.class_ids == kind) & (found.scores >= least_score))
    if len(rows) == 0:
        return found
    usual = usual_air(scan.plane)
    boxes = found.boxes_xyxy.copy()
    for row in rows.tolist():
        x0, y0, x1, y1 = boxes[row].tolist()
        boxes[row] = without_air(scan.plane, (scan.height, scan.width), (x0, y0, x1, y1), usual)
    return replace(found, boxes_xyxy=boxes)


def usual_air(plane: Plane) -> float:
    """Return the transmission of the air of a scan."""
    return max(float(np.quantile(plane(_EVERY, _EVERY), _AIR_QUANTILE)), _LEAST)


def without_air(plane: Plane, size: tuple[int, int], box_xyxy: Box, usual: float) -> Box:
    """Return the box of a container without columns of air or padding at its ends.

    Args:
        plane: the scan.
        size: its height and width.
        box_xyxy: the container in pixels; upper bounds exclusive.
        usual: transmission of air, where nothing is seen of it above the container.

    Returns:
        A box within the one given, as high as that; the same box where hardly anything would be
        left of it, or where it is no larger than a few pixels.
    """
    x0, x1 = max(round(box_xyxy[0]), 0), min(round(box_xyxy[2]), size[1])
    y0, y1 = max(round(box_xyxy[1]), 0), min(round(box_xyxy[3]), size[0])
    if y1 - y0 < _CELLS * 2 or x1 - x0 < _CELLS:
        return box_xyxy
    kept = np.flatnonzero(~_nothing(plane, (x0, y0, x1, y1), usual))
    if len(kept) == 0 or kept[-1] + 1 - kept[0] < _LEAST_LEFT * (x1 - x0):
        return box_xyxy
    left = box_xyxy[0] if kept[0] == 0 else float(x0 + kept[0])
    right = box_xyxy[2] if kept[-1] + 1 == x1 - x0 else float(x0 + kept[-1] + 1)
    return (left, box_xyxy[1], right, box_xyxy[3])


def _nothing(
    plane: Plane, box: tuple[int, int, int, int], usual: float
) -> Bool[np.ndarray, " column"]:
    """Return which columns of a box show air from the roof down, or padding."""
    x0, y0, x1, y1 = box
    high, columns = y1 - y0, slice(x0, x1)
    black = (plane(_EVERY, columns) < _BLACK).mean(axis=0) > _BLACK_SHARE
    air = np.full(x1 - x0, usual)
    top, bottom = (y0 - round(share * high) for share in _ABOVE)
    if top >= 0:
        # A scan is not equally bright everywhere; what hangs above the container is no air.
        above = np.median(plane(slice(top, bottom), columns), axis=0)
        air = np.where(above > usual / 2, above, usual)
    rows = slice(max(y0 - round(_ABOVE[1] * high), 0), y0 + round(_UPPER * high))
    upper = np.ascontiguousarray(plane(rows, columns))
    cells = cv2.resize(upper, (x1 - x0, _CELLS), interpolation=cv2.INTER_AREA)
    darkest = np.log(air / np.maximum(cells.min(axis=0), _LEAST))
    return np.asarray(black | (darkest < AIR_ATTENUATION))
