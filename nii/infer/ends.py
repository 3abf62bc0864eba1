"""Ends of a container: where a box of the network reaches into plain air, or beyond the picture.

The network places the ends of a container on a coarse map, and where the deck of a trailer goes on
beyond the container its box may too. What stands beside a container is seen in the scan itself:
columns as bright as the air above them, from the roof down to half the height. A closed container
has a roof rail along all of its length, so that not even a light and empty one looks like that; of
a platform or a folded flat rack only what stands on it is kept, within `_MOST_CUT`. Black columns
at the sides of the picture were padded by the machine and show nothing (:mod:`nii.infer.health`);
black columns amid it are a load that nothing gets through, and stay.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from nii import taxonomy
from nii.detections import Detections
from nii.infer.health import padding_of
from nii.scan import AnyScan

Box = tuple[float, float, float, float]

AIR_ATTENUATION = 0.1
"""Attenuation below which a cell shows nothing: assumption; a roof rail has several times this."""
SPARSE = 8
"""Every eighth pixel both ways tells the air of a scan well enough: assumption."""
LEAST = 1e-3
"""Transmission below which differences are noise: assumption."""
_AIR_QUANTILE = 0.98
"""Share of a scan that is no brighter than its air: assumption."""
_ABOVE = (1 / 12, 1 / 40)
"""Rows above the roof that tell the air of a column, in heights of the box: assumption."""
_LIKE_AIR = 0.75
"""Share of the usual air from which those rows are air, which fades along some scans; what is
darker is matter, as the roof itself where a box begins too low: assumption."""
_UPPER = 0.5
"""Share of the height that is looked at: below stand decks, boards and wheels."""
_CELLS = 24
"""Cells of that share: a roof rail of 60 mm fills half of one."""
_MOST_CUT = 0.3
"""Largest share of the length that air takes from one end; an end that would lose more stays.
Seen on real trucks: up to 0.27."""
_EVERY = slice(None, None, SPARSE)


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
    boxes = found.boxes_xyxy.copy()
    air, padding = usual_air(scan.plane(_EVERY, _EVERY)), padding_of(scan)
    for row in rows.tolist():
        x0, y0, x1, y1 = boxes[row].tolist()
        boxes[row] = without_air(scan, (x0, y0, x1, y1), air, padding)
    return replace(found, boxes_xyxy=boxes)


def usual_air(thin: Float32[np.ndarray, "rows columns"]) -> float:
    """Return the transmission of the air of a scan, of which every so many pixels are given."""
    return max(float(np.quantile(thin, _AIR_QUANTILE)), LEAST)


def without_air(scan: AnyScan, box_xyxy: Box, usual: float, padding: tuple[int, int]) -> Box:
    """Return the box of a container without columns of air or padding at its ends.

    Args:
        scan: the scan.
        box_xyxy: the container in pixels; upper bounds exclusive.
        usual: transmission of air, where nothing is seen of it above the container.
        padding: columns at the left and right end of the picture that hold nothing.

    Returns:
        A box within the one given, as high as that; the same box where it is no larger than a few
        pixels or holds nothing but air.
    """
    x0, x1 = max(round(box_xyxy[0]), padding[0]), min(round(box_xyxy[2]), scan.width - padding[1])
    y0, y1 = max(round(box_xyxy[1]), 0), min(round(box_xyxy[3]), scan.height)
    if y1 - y0 < _CELLS * 2 or x1 - x0 < _CELLS:
        return box_xyxy
    kept = np.flatnonzero(~_air(scan, (x0, y0, x1, y1), usual))
    if len(kept) == 0:
        return box_xyxy
    most = _MOST_CUT * (x1 - x0)
    left, right = int(kept[0]), x1 - x0 - 1 - int(kept[-1])
    start, end = (x0 + left if left <= most else x0), (x1 - right if right <= most else x1)
    return (
        box_xyxy[0] if start <= box_xyxy[0] + 1 else float(start),
        box_xyxy[1],
        box_xyxy[2] if end >= box_xyxy[2] - 1 else float(end),
        box_xyxy[3],
    )


def _air(
    scan: AnyScan, box: tuple[int, int, int, int], usual: float
) -> Bool[np.ndarray, " column"]:
    """Return which columns of a box show nothing from the roof down."""
    x0, y0, x1, y1 = box
    high, columns = y1 - y0, slice(x0, x1)
    air = np.full(x1 - x0, usual)
    top, bottom = (y0 - round(share * high) for share in _ABOVE)
    if top >= 0:
        # A scan is not equally bright everywhere.
        above = np.median(scan.plane(slice(top, bottom), columns), axis=0)
        air = np.where(above > _LIKE_AIR * usual, above, usual)
    rows = slice(max(y0 - round(_ABOVE[1] * high), 0), y0 + round(_UPPER * high))
    upper = np.ascontiguousarray(scan.plane(rows, columns))
    cells = cv2.resize(upper, (x1 - x0, _CELLS), interpolation=cv2.INTER_AREA)
    return np.asarray(np.log(air / np.maximum(cells.min(axis=0), LEAST)) < AIR_ATTENUATION)
