"""Pure geometry of axis-parallel boxes: x right, y down, upper bounds exclusive."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64

Boxes = Float32[np.ndarray, "n 4"]

_TINY = np.finfo(np.float32).tiny
"""Smallest area that is divided by: nothing overlaps an empty box."""


def area(boxes_xyxy: Float32[np.ndarray, "n 4"]) -> Float32[np.ndarray, " n"]:
    """Return the area of each box; zero where it is turned inside out."""
    sides = np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)


def intersection(
    first_xyxy: Float32[np.ndarray, "n 4"], second_xyxy: Float32[np.ndarray, "m 4"]
) -> Float32[np.ndarray, "n m"]:
    """Return the common area of every pair of boxes."""
    low = np.maximum(first_xyxy[:, None, :2], second_xyxy[None, :, :2])
    high = np.minimum(first_xyxy[:, None, 2:], second_xyxy[None, :, 2:])
    sides = np.maximum(high - low, 0)
    return np.asarray(sides[..., 0] * sides[..., 1], np.float32)


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
    keep: list[int] = []
    while len(order):
        best, rest = order[0], order[1:]
        keep.append(int(best))
        overlap = iou(boxes_xyxy[best : best + 1], boxes_xyxy[rest])[0]
        order = rest[overlap <= iou_limit]
    return np.asarray(keep, np.int64)


def clip(boxes_xyxy: Float32[np.ndarray, "n 4"], height: int, width: int) -> Boxes:
    """Return the boxes cut to an image of the given size."""
    limits = np.asarray([width, height, width, height], np.float32)
    return np.asarray(np.clip(boxes_xyxy, 0, limits), np.float32)
