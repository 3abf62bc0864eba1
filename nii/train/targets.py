"""Truth boxes → the maps that a detector is trained to give; numpy, one crop or overview at a time.

A box becomes a hill with a flat top of height 1 and Gaussian slopes (after CornerNet and CenterNet:
Law 2018, Zhou 2019), and the four distances to its sides in the cells near the centre. Where hills
overlap the higher one wins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

TOP = 0.999
"""From here on a hill counts as its top."""
_FLAT = 0.2
"""Half of the flat top of a hill as a share of the box's side. A pointed hill has one cell a threat
to learn from; with it a network had learnt nothing after 13,000 crops (docs/log.md)."""
_THREAT_SIGMA = 0.12
"""Sigma of the slope of the hill as a share of the box's side."""
_STRUCTURE_SIGMA = 0.10
_MIN_SIGMA_CELLS = 0.8
_BOX_HILL = 0.3
"""Distances are learnt where the hill is at least this high: assumption, a third of the object."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Hold the maps of one image.

    Attributes:
        centre: hills, one plane a class.
        top: at the tops of hills how much a cell is to count, else 0.
        inside: 1 inside a box of the class.
        ltrb: distances to left, top, right, bottom in image pixels; planes `group · 4` to
            `group · 4 + 3` belong to one group of classes.
        weight: where and how strongly the distances of a group count: hill times share.
    """

    centre: Float32[np.ndarray, "class rows columns"]
    top: Float32[np.ndarray, "class rows columns"]
    inside: Float32[np.ndarray, "class rows columns"]
    ltrb: Float32[np.ndarray, "distance rows columns"]
    weight: Float32[np.ndarray, "group rows columns"]


@dataclass(frozen=True, slots=True)
class Grid:
    """Say how the maps lie on the image: rows and columns of cells, and pixels per cell."""

    rows: int
    columns: int
    stride: int


def threat_targets(
    boxes_xyxy: Float32[np.ndarray, "n 4"],
    planes: Int64[np.ndarray, " n"],
    count: int,
    grid: Grid,
    evenness: float = 0.0,
) -> Targets:
    """Return maps for `count` threat classes that share one set of distances.

    A threat counts as n ** (1 - evenness), where n is the number of cells at the top of its hill.
    """
    groups = np.zeros(len(planes), np.int64)
    return _targets(boxes_xyxy, (planes, groups), (count, 1), grid, (_THREAT_SIGMA, evenness))


def structure_targets(
    boxes_xyxy: Float32[np.ndarray, "n 4"], planes: Int64[np.ndarray, " n"], count: int, grid: Grid
) -> Targets:
    """Return maps for `count` structure classes with distances of their own."""
    return _targets(boxes_xyxy, (planes, planes), (count, count), grid, (_STRUCTURE_SIGMA, 0.0))


def _targets(
    boxes_xyxy: Float32[np.ndarray, "n 4"],
    planes_groups: tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]],
    counts: tuple[int, int],
    grid: Grid,
    form: tuple[float, float],
) -> Targets:
    sigma, evenness = form
    shape = (grid.rows, grid.columns)
    centre = np.zeros((counts[0], *shape), np.float32)
    top = np.zeros((counts[0], *shape), np.float32)
    inside = np.zeros((counts[0], *shape), np.float32)
    ltrb = np.ones((4 * counts[1], *shape), np.float32)
    highest = np.zeros((counts[1], *shape), np.float32)
    weight = np.zeros((counts[1], *shape), np.float32)
    y = (np.arange(grid.rows, dtype=np.float32)[:, None] + 0.5) * grid.stride
    x = (np.arange(grid.columns, dtype=np.float32)[None, :] + 0.5) * grid.stride
    for box, plane, group in zip(boxes_xyxy, *planes_groups, strict=True):
        hill = _hill(box, x, y, sigma, grid.stride)
        peak = hill >= TOP
        share = np.float32(max(int(np.count_nonzero(peak)), 1) ** -evenness)
        centre[plane] = np.maximum(centre[plane], hill)
        top[plane] = np.maximum(top[plane], np.where(peak, share, np.float32(0)))
        inside[plane] = np.maximum(inside[plane], _cover(box, x, y, grid.stride))
        distances = np.stack(np.broadcast_arrays(x - box[0], y - box[1], box[2] - x, box[3] - y))
        here = (hill >= _BOX_HILL) & (hill > highest[group]) & (distances.min(axis=0) > 0)
        highest[group][here] = hill[here]
        weight[group][here] = hill[here] * share
        ltrb[4 * group : 4 * group + 4][:, here] = distances[:, here]
    return Targets(centre, top, inside, ltrb, weight)


def _hill(
    box: Float32[np.ndarray, " 4"],
    x: Float32[np.ndarray, "1 columns"],
    y: Float32[np.ndarray, "rows 1"],
    sigma: float,
    stride: int,
) -> Float32[np.ndarray, "rows columns"]:
    """Return the hill of one box; it is exactly 1 in the cell that holds the centre."""
    middle_x = (np.floor((box[0] + box[2]) / 2 / stride) + 0.5) * stride
    middle_y = (np.floor((box[1] + box[3]) / 2 / stride) + 0.5) * stride
    wide, high = box[2] - box[0], box[3] - box[1]
    sigma_x = max(sigma * wide, _MIN_SIGMA_CELLS * stride)
    sigma_y = max(sigma * high, _MIN_SIGMA_CELLS * stride)
    beside = np.maximum(np.abs(x - middle_x) - _FLAT * wide, 0)
    above = np.maximum(np.abs(y - middle_y) - _FLAT * high, 0)
    across = np.exp(-((beside / sigma_x) ** 2) / 2)
    down = np.exp(-((above / sigma_y) ** 2) / 2)
    return np.asarray(across * down, np.float32)


def _cover(
    box: Float32[np.ndarray, " 4"],
    x: Float32[np.ndarray, "1 columns"],
    y: Float32[np.ndarray, "rows 1"],
    stride: int,
) -> Float32[np.ndarray, "rows columns"]:
    """Return the share of each cell that a box covers."""
    half = stride / 2
    across = np.minimum(x + half, box[2]) - np.maximum(x - half, box[0])
    down = np.minimum(y + half, box[3]) - np.maximum(y - half, box[1])
    share = np.clip(across, 0, stride) * np.clip(down, 0, stride) / stride**2
    return np.asarray(share, np.float32)
