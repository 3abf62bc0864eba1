"""Output maps of the network → boxes; plain numpy, shared by training and inference.

Threats are peaks of a heat map; the box comes from four distances at the peak. Structures
(containers, vehicles) are found the same way on the overview, then each edge is moved to where the
map of the inside falls to one half, which is more exact than a distance of many metres can be.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int64

from nii import boxes as geometry
from nii.bundle import Card
from nii.detections import Detections
from nii.infer.contour import contour_of
from nii.infer.scores import DECIMALS, comparable

_EDGE_SEARCH = 0.12
"""Share of a structure's side within which its edge is looked for: assumption, covers the errors
of the distances seen in validation."""
_MIN_SIDE_CELLS = 2.0
"""Structures narrower than this many cells of the map are noise: a container is 30 or more."""
_TIE = 1e-5
"""Difference below which two neighbouring scores are the same, so that both belong to a plateau.
Two ways to compute a map differ by 1e-7 or so (measured)."""
_DIP = 0.8
"""A dip between neighbours is where the map of the inside falls below this share of its highest
value there: assumption."""
_NEXT = 0.4
"""Neighbours: middles at least this share of the smaller width apart, heights at least this share
in common: assumption."""
_STRUCTURE_NMS_IOU = 0.4
"""Overlap from which two structures of one kind are the same: neighbours never overlap so far."""


@dataclass(frozen=True, slots=True)
class OutputMaps:
    """Hold the network's output for one scan; see :mod:`nii.train.models` for how it is made.

    Attributes:
        threat_heat: probability that a threat of each class has its centre here.
        threat_ltrb: distances from the cell's centre to left, top, right, bottom in scan pixels.
        structure_centre: probability that a structure has its middle here.
        structure_inside: probability that this place lies inside a structure.
        structure_ltrb: distances in overview pixels, four for each structure class.
        anomaly: probability that something lies here that does not belong; one plane on the grid
            of the threat maps, None where the model has no such map.
    """

    threat_heat: Float32[np.ndarray, "threat rows columns"]
    threat_ltrb: Float32[np.ndarray, "4 rows columns"]
    structure_centre: Float32[np.ndarray, "structure overview_rows overview_columns"]
    structure_inside: Float32[np.ndarray, "structure overview_rows overview_columns"]
    structure_ltrb: Float32[np.ndarray, "distance overview_rows overview_columns"]
    anomaly: Float32[np.ndarray, "1 rows columns"] | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """Say how the maps lie on the scan: its size in pixels and scan pixels per overview pixel."""

    height: int
    width: int
    overview_scale: float


def decode(maps: OutputMaps, card: Card, frame: Frame) -> Detections:
    """Return threats and structures of one scan in scan pixels, best first."""
    found = Detections.join(decode_threats(maps, card, frame), decode_structures(maps, card, frame))
    return found.select(np.argsort(-found.scores, kind="stable"))


def decode_threats(maps: OutputMaps, card: Card, frame: Frame) -> Detections:
    """Return the threats: peaks of the heat map, the weaker of two overlapping boxes dropped.

    Which box is the weaker is told by the heats, even where the score of the one dropped would be
    the higher. Scores come last (:mod:`nii.infer.scores`), so that other scores never lead to other
    boxes.
    """
    stride = card.decode.threat_stride
    channel, row, column = _peaks(maps.threat_heat, card.decode.min_score)
    heats = _rounded(maps.threat_heat[channel, row, column])
    order = np.argsort(-heats, kind="stable")[: card.decode.max_detections]
    channel, row, column, heats = channel[order], row[order], column[order], heats[order]
    distances = maps.threat_ltrb[:, row, column].T
    found = _boxes(row, column, distances, stride)
    found = geometry.clip(found, frame.height, frame.width)
    whole = _with_area(found)
    found, heats, channel = found[whole], heats[whole], channel[whole]
    row, column = row[whole], column[whole]
    keep = geometry.nms(found, heats, card.decode.nms_iou)
    scores = comparable(heats[keep], [card.threats[one] for one in channel[keep]], card.scores)
    class_ids = np.asarray(card.threat_ids, np.int64)[channel[keep]]
    places = np.stack([channel, row, column], axis=1)[keep]
    outlines = tuple(
        _outline(maps, card, place, box, score)
        for place, box, score in zip(places.tolist(), found[keep], scores, strict=True)
    )
    return Detections(found[keep], scores, class_ids, outlines)


def _outline(
    maps: OutputMaps,
    card: Card,
    place: list[int],
    box: Float32[np.ndarray, " 4"],
    score: np.floating[Any],
) -> Float32[np.ndarray, "corner 2"]:
    """Return the outline of a threat, none where its score is too low to be shown to anyone."""
    channel, row, column = place
    if score < card.thresholds.look[card.threats[channel]]:
        return np.zeros((0, 2), np.float32)
    x0, y0, x1, y1 = (float(edge) for edge in box)
    stride = card.decode.threat_stride
    return contour_of(maps.threat_heat[channel], (row, column), (x0, y0, x1, y1), stride)


def decode_structures(maps: OutputMaps, card: Card, frame: Frame) -> Detections:
    """Return containers and vehicles; neighbours of one kind are kept apart."""
    found = [
        _decode_structure(maps, index, class_id, card, frame)
        for index, class_id in enumerate(card.structure_ids)
    ]
    return Detections.join(Detections.empty(), *found)


def _decode_structure(
    maps: OutputMaps, index: int, class_id: int, card: Card, frame: Frame
) -> Detections:
    stride = card.decode.structure_stride
    inside = maps.structure_inside[index]
    centre = maps.structure_centre[index]
    limit = card.thresholds.structure / 4
    _, row, column = _peaks(cv2.GaussianBlur(centre, (5, 5), 0)[None], limit)
    distances = maps.structure_ltrb[4 * index : 4 * index + 4, row, column].T
    coarse = _boxes(row, column, distances, stride) / stride
    scores = _rounded(centre[row, column])
    wide = (coarse[:, 2:] - coarse[:, :2] >= _MIN_SIDE_CELLS).all(axis=1)
    coarse, scores = coarse[wide], scores[wide]
    keep = geometry.nms(coarse, scores, _STRUCTURE_NMS_IOU)
    refined = np.zeros((len(keep), 4), np.float32)
    for position, source in enumerate(keep):
        refined[position] = refine_box(inside, coarse[source])
    # Only what is shown may cut: a weak guess within a container is no neighbour of it.
    sure = _structure_scores(inside, refined, scores[keep]) >= card.thresholds.structure
    refined[sure] = apart(inside, refined[sure])
    scores = _structure_scores(inside, refined, scores[keep])
    pixels = geometry.clip(
        np.asarray(refined * stride * frame.overview_scale, np.float32), frame.height, frame.width
    )
    good = _with_area(pixels)
    pixels, scores = pixels[good], _rounded(scores[good])
    keep = geometry.nms(pixels, scores, _STRUCTURE_NMS_IOU)
    return Detections(pixels[keep], scores[keep], np.full(len(keep), class_id, np.int64))


def refine_box(
    inside: Float32[np.ndarray, "rows columns"], box: Float32[np.ndarray, " 4"]
) -> Float32[np.ndarray, " 4"]:
    """Move each edge of a box to where the map of the inside crosses one half.

    Args:
        inside: probability of being inside, one value a cell.
        box: x0, y0, x1, y1 in cells; cell i covers [i, i+1).

    Returns:
        The refined box in cells; an edge stays where no crossing lies near it.
    """
    x0, y0, x1, y1 = (float(value) for value in box)
    across = inside[_middle(y0, y1, inside.shape[0])].mean(axis=0)
    down = inside[:, _middle(x0, x1, inside.shape[1])].mean(axis=1)
    reach_x, reach_y = _EDGE_SEARCH * (x1 - x0) + 2, _EDGE_SEARCH * (y1 - y0) + 2
    return np.asarray(
        [
            _crossing(across, x0, reach_x),
            _crossing(down, y0, reach_y),
            len(across) - _crossing(across[::-1], len(across) - x1, reach_x),
            len(down) - _crossing(down[::-1], len(down) - y1, reach_y),
        ],
        np.float32,
    )


def apart(
    inside: Float32[np.ndarray, "rows columns"], boxes_xyxy: Float32[np.ndarray, "n 4"]
) -> Float32[np.ndarray, "n 4"]:
    """Cut neighbours of one kind that overlap where the map of the inside dips between them.

    Two containers on one trailer stand side by side, so that in no picture one covers the other.
    Without a dip the cut is in the middle of what both claim.

    Args:
        inside: probability of being inside, one value a cell.
        boxes_xyxy: in cells; boxes whose middles are near each other are no neighbours and stay.
    """
    cut = boxes_xyxy.copy()
    for one, other in pairwise(np.argsort(cut[:, 0] + cut[:, 2], kind="stable").tolist()):
        left, right = cut[one], cut[other]
        start, end = float(right[0]), float(left[2])
        if start >= end or not _side_by_side(left, right):
            continue
        top, bottom = max(float(left[1]), float(right[1])), min(float(left[3]), float(right[3]))
        rows = _middle(top, bottom, inside.shape[0])
        first = int(np.clip(np.floor(start), 0, inside.shape[1] - 1))
        profile = inside[rows, first : max(int(np.ceil(end)), first + 1)].mean(axis=0)
        place = (start + end) / 2
        if float(profile.min()) < _DIP * float(profile.max()):
            # Rounded, and the lowest nearest to the middle, so that a last digit decides nothing.
            low = np.round(profile, 3)
            lowest = first + np.flatnonzero(low == low.min()) + 0.5
            place = float(lowest[np.argmin(np.abs(lowest - place))])
        left[2], right[0] = min(end, place), max(start, place)
    return cut


def _side_by_side(left: Float32[np.ndarray, " 4"], right: Float32[np.ndarray, " 4"]) -> bool:
    """Return whether two boxes are of one height and stand side by side, none in the other."""
    if left[0] >= right[0] or left[2] >= right[2]:
        return False
    wide = min(float(box[2] - box[0]) for box in (left, right))
    high = min(float(box[3] - box[1]) for box in (left, right))
    common = float(min(left[3], right[3]) - max(left[1], right[1]))
    distance = float(right[0] + right[2] - left[0] - left[2]) / 2
    return distance >= _NEXT * wide and common >= _NEXT * high


def _middle(low: float, high: float, limit: int) -> slice:
    side = high - low
    first = int(np.clip(low + side / 5, 0, limit - 1))
    return slice(first, max(first + 1, int(np.clip(high - side / 5, 0, limit))))


def _crossing(profile: Float32[np.ndarray, " n"], edge: float, reach: float) -> float:
    """Return where a profile rises through one half nearest to `edge`, in cells from its start."""
    values = np.concatenate([[0.0], profile, [0.0]])
    low, high = values[:-1], values[1:]
    rising = np.flatnonzero((low < 0.5) & (high >= 0.5))  # noqa: PLR2004
    if len(rising) == 0:
        return float(np.clip(edge, 0, len(profile)))
    # Value i of `profile` stands for the middle of cell i; value i of `values` lies at i - 0.5.
    places = rising - 0.5 + (0.5 - low[rising]) / (high[rising] - low[rising])
    nearest = float(places[np.argmin(np.abs(places - edge))])
    chosen = nearest if abs(nearest - edge) <= reach else edge
    return float(np.clip(chosen, 0, len(profile)))


def _structure_scores(
    inside: Float32[np.ndarray, "rows columns"],
    boxes_xyxy: Float32[np.ndarray, "n 4"],
    centre_scores: Float32[np.ndarray, " n"],
) -> Float32[np.ndarray, " n"]:
    """Return the geometric mean of the score of the middle and of the filling by the inside."""
    scores = np.zeros(len(boxes_xyxy), np.float32)
    for index, (x0, y0, x1, y1) in enumerate(boxes_xyxy.tolist()):
        rows, columns = _middle(y0, y1, inside.shape[0]), _middle(x0, x1, inside.shape[1])
        filling = float(inside[rows, columns].mean())
        scores[index] = np.sqrt(filling * centre_scores[index])
    return scores


def _peaks(
    heat: Float32[np.ndarray, "channel rows columns"], least: float
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """Return channel, row and column of the local maxima (3 x 3) of at least `least`.

    A plateau counts once, at its cell nearest to the middle of the plateau. So the last digit of
    a score, which depends on the library that computed it, decides nothing.
    """
    found = [np.zeros((0, 3), np.int64)]
    kernel = np.ones((3, 3), np.uint8)
    for index, plane in enumerate(heat):
        if float(plane.max(initial=0)) < least:
            continue
        top = (plane >= cv2.dilate(plane, kernel) - _TIE) & (plane >= least)
        places = _middles(top)
        found.append(np.column_stack([np.full(len(places), index), places]))
    table = np.concatenate(found)
    return table[:, 0], table[:, 1], table[:, 2]


def _middles(mask: Bool[np.ndarray, "rows columns"]) -> Int64[np.ndarray, "part 2"]:
    """Return row and column of the cell nearest to the middle of each connected part of a mask.

    The marked cells are few, so that they are joined in a list: many times faster than to label
    the whole map.
    """
    cells = np.argwhere(mask)
    if not len(cells):
        return cells
    first = _first_of_part(cells, mask.shape[1])
    _, part, count = np.unique(first, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(part, weights=axis) for axis in cells.T], axis=1)
    # Rounded, since distances from a middle between cells are equal but for their last digit.
    far = np.round(((cells - (sums / count[:, None])[part]) ** 2).sum(axis=1), 6)
    nearest = np.lexsort((far, part))[np.cumsum(count) - count]
    return np.asarray(cells[nearest])


def _first_of_part(cells: Int64[np.ndarray, "cell 2"], columns: int) -> Int64[np.ndarray, " cell"]:
    """Return for each cell, in the order of rows, the first cell of its connected part."""
    wide = columns + 1  # a column beyond the last one, so that no row touches the next
    numbers = cells[:, 0] * wide + cells[:, 1]
    beside = (numbers[:, None] + [1, wide - 1, wide, wide + 1]).ravel()
    there = np.minimum(np.searchsorted(numbers, beside), len(numbers) - 1)
    touching = np.flatnonzero(numbers[there] == beside)
    one, other = touching // 4, there[touching]
    first = np.arange(len(cells))
    while (first[one] != first[other]).any():
        lower = np.minimum(first[one], first[other])
        np.minimum.at(first, first[one], lower)
        np.minimum.at(first, first[other], lower)
        first = first[first]
    return first


def _rounded(scores: Float32[np.ndarray, " n"]) -> Float32[np.ndarray, " n"]:
    return np.round(scores, DECIMALS)


def _boxes(
    row: Int64[np.ndarray, " n"],
    column: Int64[np.ndarray, " n"],
    distances: Float32[np.ndarray, "n 4"],
    stride: int,
) -> Float32[np.ndarray, "n 4"]:
    x, y = (column + 0.5) * stride, (row + 0.5) * stride
    left, top, right, bottom = distances.T
    return np.stack([x - left, y - top, x + right, y + bottom], axis=1).astype(np.float32)


def _with_area(boxes_xyxy: Float32[np.ndarray, "n 4"]) -> np.ndarray:
    return np.asarray((boxes_xyxy[:, 2:] > boxes_xyxy[:, :2]).all(axis=1))
