"""Pure geometry of axis-parallel boxes: x right, y down, upper bounds exclusive."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64

Boxes = Float32[np.ndarray, "n 4"]

_TINY = np.finfo(np.float32).tiny
"""Smallest area that is divided by: nothing overlaps an empty box."""
_BLOCK = 128
"""Boxes that are compared with all others in one step: bounds memory."""


def area(boxes_xyxy: Float32[np.ndarray, "n 4"]) -> Float32[np.ndarray, " n"]:
    """Return the area of each box; zero where it is turned inside out."""
    sides = np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)


def intersection(
    first_xyxy: Float32[np.ndarray, "n 4"], second_xyxy: Float32[np.ndarray, "m 4"]
) -> Float32[np.ndarray, "n m"]:
    """Return the common area of every pair of boxes."""
    x0, y0, x1, y1 = first_xyxy.T[:, :, None]
    left, top, right, bottom = second_xyxy.T
    across = np.minimum(x1, right) - np.maximum(x0, left)
    down = np.minimum(y1, bottom) - np.maximum(y0, top)
    return np.asarray(np.maximum(across, 0) * np.maximum(down, 0), np.float32)


def iou(
    first_xyxy: Float32[np.ndarray, "n 4"], second_xyxy: Float32[np.ndarray, "m 4"]
) -> Float32[np.ndarray, "n m"]:
    """Return intersection over union of every pair; 0 where both boxes are empty."""
    common = intersection(first_xyxy, second_xyxy)
    union = area(first_xyxy)[:, None] + area(second_xyxy)[None, :] - common
    return np.asarray(common / np.maximum(union, _TINY), np.float32)


def coverage(
    first_xyxy: Float32[np.ndarray, "n 4"], second_xyxy: Float32[np.ndarray, "m 4"]
) -> Float32[np.ndarray, "n m"]:
    """Return the share of each first box that lies inside each second box."""
    common = intersection(first_xyxy, second_xyxy)
    return np.asarray(common / np.maximum(area(first_xyxy)[:, None], _TINY), np.float32)


def nms(
    boxes_xyxy: Float32[np.ndarray, "n 4"], scores: Float32[np.ndarray, " n"], iou_limit: float
) -> Int64[np.ndarray, " k"]:
    """Return indices of the boxes that survive greedy non-maximum suppression, best first.

    Ties are broken by index, so that the result never depends on the order of threads.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = boxes_xyxy[order]
    alive = np.ones(len(order), bool)
    keep: list[int] = []
    for first in range(0, len(order), _BLOCK):
        rivals = iou(ranked[first : first + _BLOCK], ranked) > iou_limit
        for row, overlapping in enumerate(rivals, first):
            if alive[row]:
                keep.append(int(order[row]))
                alive &= ~overlapping
    return np.asarray(keep, np.int64)


def clip(boxes_xyxy: Float32[np.ndarray, "n 4"], height: int, width: int) -> Boxes:
    """Return the boxes cut to an image of the given size."""
    limits = np.asarray([width, height, width, height], np.float32)
    return np.asarray(np.clip(boxes_xyxy, 0, limits), np.float32)
