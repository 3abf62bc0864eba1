"""Contour: the outline of what the model answered to around one peak of a threat map.

The map is taught as a hill with a flat top over the middle of an object and slopes to its sides
(:mod:`nii.train.targets`), so the outline is where the hill falls to a share of its peak. It
follows the model's answer, not the edges in the picture, and never leaves the box.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32

_SHARE = 0.1
"""Share of the peak at which the outline lies: a hill as it is taught (flat over 0.4 of the side,
then a slope of sigma 0.12) has fallen to it at 0.92 of the side."""
_TOLERANCE_PX = 1.0
"""Corners nearer to the outline than this are dropped (Douglas and Peucker 1973)."""
_FEWEST = 3

Box = tuple[float, float, float, float]


def contour_of(
    heat: Float32[np.ndarray, "rows columns"], peak: tuple[int, int], box_xyxy: Box, stride: int
) -> Float32[np.ndarray, "corner 2"]:
    """Return the outline of the hill under one peak.

    Args:
        heat: threat map of one class.
        peak: row and column of the peak in cells.
        box_xyxy: the box of the detection in scan pixels; the outline stays inside.
        stride: scan pixels per cell.

    Returns:
        Corners x, y in scan pixels, the last one joined to the first; the box where the hill is
        smaller than a pixel.
    """
    x0, y0, x1, y1 = box_xyxy
    rows, columns = heat.shape
    left, top = min(int(x0 // stride), peak[1]), min(int(y0 // stride), peak[0])
    right, bottom = max(int(x1 // stride), peak[1]) + 1, max(int(y1 // stride), peak[0]) + 1
    part = heat[max(top, 0) : min(bottom, rows), max(left, 0) : min(right, columns)]
    left, top = max(left, 0), max(top, 0)
    fine = cv2.resize(part, None, fx=stride, fy=stride, interpolation=cv2.INTER_LINEAR)
    hill = (fine >= _SHARE * heat[peak]).astype(np.uint8)
    _, labels = cv2.connectedComponents(hill)
    place = (peak[0] - top) * stride + stride // 2, (peak[1] - left) * stride + stride // 2
    mask = (labels == labels[place]).astype(np.uint8) & hill
    found, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    outline = max(found, key=len, default=np.zeros((0, 1, 2), np.int32))
    corners: Float32[np.ndarray, "corner 2"] = np.asarray(outline, np.float32).reshape(-1, 2)
    if len(corners) >= _FEWEST:
        fewer = cv2.approxPolyDP(corners, _TOLERANCE_PX, closed=True)
        corners = np.asarray(fewer, np.float32).reshape(-1, 2)
    if len(corners) < _FEWEST:
        return np.asarray([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float32)
    # The outline runs through the middles of the outermost pixels.
    corner = np.asarray([left * stride + 0.5, top * stride + 0.5], np.float32)
    least, most = np.asarray([x0, y0], np.float32), np.asarray([x1, y1], np.float32)
    return np.asarray(np.clip(corners + corner, least, most), np.float32)
