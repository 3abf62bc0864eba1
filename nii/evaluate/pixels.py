"""Pixel figures of an anomaly map against masks: AUROC, and AUPRO over regions.

AUROC is the chance that a pixel of a threat scores above a pixel beside all threats, ties counting
half. AUPRO weighs every region the same, large or small: for each threshold the mean share of a
region that is covered, against the share of the other pixels that are marked, integrated up to 30 %
of these and divided by 0.3.

Both are counted from histograms of the scores, so that no map is kept; scores within one bin are
taken as equal.

Reference: Bergmann et al. 2021, The MVTec Anomaly Detection Dataset, Int. J. Comput. Vis. 129:1038
(per-region overlap up to a false positive rate of 0.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Float32, Int64, UInt8

from nii.detections import Detections

BINS = 1000
"""Steps of the score between 0 and 1."""
LARGEST_FALSE_SHARE = 0.3


@dataclass(slots=True)
class PixelTally:
    """Gather histograms of scores while scans are read, one after the other.

    Attributes:
        outside: of the pixels beside all threats.
        regions: of the pixels of each threat.
        of_boxes: threats have no masks, so that their whole boxes count.
        of_map: the scores are those of an anomaly map, not of detections.
    """

    outside: Int64[np.ndarray, " bin"] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    regions: list[Int64[np.ndarray, " bin"]] = field(default_factory=list)
    of_boxes: bool = False
    of_map: bool = False

    def add(
        self,
        scores: Float32[np.ndarray, "height width"],
        regions: Sequence[UInt8[np.ndarray, "height width"]],
    ) -> None:
        """Count the pixels of one scan.

        Args:
            scores: anomaly map, 0 to 1.
            regions: one mask for each threat, not zero inside.
        """
        place = np.clip((scores * BINS).astype(np.int64), 0, BINS - 1)
        free = np.ones(scores.shape, np.bool_)
        for mask in regions:
            inside = mask > 0
            free &= ~inside
            if inside.any():
                self.regions.append(np.bincount(place[inside], minlength=BINS).astype(np.int64))
        self.outside = self.outside + np.bincount(place[free], minlength=BINS)


def pixel_auroc(tally: PixelTally) -> float | None:
    """Return the area under the ROC of pixels; None without pixels of either kind."""
    if not tally.regions or not tally.outside.any():
        return None
    inside = np.sum(tally.regions, axis=0)
    below = np.cumsum(tally.outside) - tally.outside
    pairs = float((inside * (below + tally.outside / 2)).sum())
    return pairs / (float(inside.sum()) * float(tally.outside.sum()))


def aupro(tally: PixelTally, limit: float = LARGEST_FALSE_SHARE) -> float | None:
    """Return the area under per-region overlap up to a share of false pixels; None if undefined."""
    if not tally.regions or not tally.outside.any():
        return None
    falling = np.stack(tally.regions)[:, ::-1]
    covered = (np.cumsum(falling, axis=1) / falling.sum(axis=1, keepdims=True)).mean(axis=0)
    false = np.cumsum(tally.outside[::-1]) / tally.outside.sum()
    x, y = np.concatenate([[0.0], false]), np.concatenate([[0.0], covered])
    inside = x <= limit
    last = float(np.interp(limit, x, y))
    x, y = np.append(x[inside], limit), np.append(y[inside], last)
    return float(np.trapezoid(y, x) / limit)


def painted(found: Detections, height: int, width: int) -> Float32[np.ndarray, "height width"]:
    """Return a score for each pixel from boxes: that of the best box over it, else 0."""
    canvas = np.zeros((height, width), np.float32)
    for row in np.argsort(found.scores, kind="stable"):
        x0, y0, x1, y1 = (max(round(float(edge)), 0) for edge in found.boxes_xyxy[row])
        canvas[y0:y1, x0:x1] = found.scores[row]
    return canvas


def spread(
    found: Float32[np.ndarray, "rows columns"], stride: int, height: int, width: int
) -> Float32[np.ndarray, "height width"]:
    """Return the score of each pixel of a scan: that of the cell of an anomaly map it lies in.

    Args:
        found: the map; its cells cover the scan, the last ones perhaps more.
        stride: pixels per cell, both ways.
        height: of the scan.
        width: of the scan.
    """
    wide = np.repeat(np.repeat(found, stride, axis=0), stride, axis=1)
    return np.ascontiguousarray(wide[:height, :width])


def box_mask(
    box_xyxy: Float32[np.ndarray, " 4"], height: int, width: int
) -> UInt8[np.ndarray, "height width"]:
    """Return the mask of a whole box."""
    canvas = np.zeros((height, width), np.uint8)
    x0, y0, x1, y1 = (max(round(float(edge)), 0) for edge in box_xyxy)
    canvas[y0:y1, x0:x1] = 1
    return canvas


def polygon_mask(
    polygons: Sequence[Sequence[float | int]], height: int, width: int
) -> UInt8[np.ndarray, "height width"]:
    """Return the mask of COCO polygons, each a list of x, y, x, y, … in pixels."""
    canvas = np.zeros((height, width), np.uint8)
    rings = [np.round(np.asarray(ring).reshape(-1, 2)).astype(np.int32) for ring in polygons]
    cv2.fillPoly(canvas, rings, 1)
    return canvas
