"""The worst misses and false alarms as small pictures; nothing else of a scan is kept.

A miss is a truth that is not found at the thresholds of the card; the worse, the lower the best
score that pointed at it, and among equals the larger object, for it was the easier one. A false
alarm is worse, the higher its score. Structures are judged at IoU 0.5, threats by the hit rule.
"""

from __future__ import annotations

import base64
import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from nii import boxes as geometry
from nii import taxonomy
from nii.bundle import Thresholds
from nii.detections import Detections
from nii.evaluate.match import JudgedScan, threat_rows
from nii.evaluate.metrics import Group, by_class_id

Kind = Literal["miss", "false alarm"]
Picture = UInt8[np.ndarray, "height width"]

PER_KIND = 8
"""Pictures kept of each kind and group."""
_CONTEXT = 2.0
"""Sides of the object that are shown around it on every side."""
_LEAST_SIDE = 160
"""Smallest side of a crop in scan pixels, so that the surroundings can be recognised."""
_LONGEST_SIDE = {"threat": 560, "structure": 900}
"""Longest side of a picture in the report in pixels."""
_MOST_ENLARGED = 3.0
_JPEG_QUALITY = 78
_TRUTH_BGR = (233, 180, 86)
"""Light blue; found differs from true by dashes too, not by colour alone."""
_FOUND_BGR = (0, 120, 240)
"""Orange."""
_DASH = 7


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that went wrong: in which scan, what, and how badly."""

    kind: Kind
    group: Group
    scan: str
    class_name: str
    box_xyxy: tuple[float, float, float, float]
    score: float | None
    badness: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Example:
    """A case with its picture as JPEG."""

    case: Case
    jpeg: bytes

    @property
    def data_uri(self) -> str:
        """Return the picture in the form that a page can hold."""
        return "data:image/jpeg;base64," + base64.b64encode(self.jpeg).decode("ascii")


def reported(scan: JudgedScan, thresholds: Thresholds) -> Bool[np.ndarray, " n"]:
    """Return which detections reach the threshold of their class: look, or that of structures."""
    limits = by_class_id(thresholds.look)
    is_threat = threat_rows(scan.detections.class_ids)
    least = [limits.get(int(row), np.inf) for row in scan.detections.class_ids]
    wanted = np.where(is_threat, least, thresholds.structure).astype(np.float32)
    return np.asarray(scan.detections.scores >= wanted)


def cases_of(scan: JudgedScan, thresholds: Thresholds) -> tuple[Case, ...]:
    """Return everything that went wrong in one scan at the thresholds of the card."""
    counted = reported(scan, thresholds)
    found = scan.detections
    finds = np.where(threat_rows(found.class_ids)[:, None], scan.hits, scan.found_at_half)
    missed = ~(finds & counted[:, None]).any(axis=0)
    wrong = counted & ~finds.any(axis=1)
    best = np.where(finds, found.scores[:, None], 0).max(axis=0, initial=0)
    return (
        *(_miss(scan, int(row), float(best[row])) for row in np.flatnonzero(missed)),
        *(_false_alarm(scan, int(row)) for row in np.flatnonzero(wrong)),
    )


@dataclass(slots=True)
class Gallery:
    """Hold the worst cases met so far: at most `per_kind` small pictures of each kind and group."""

    per_kind: int = PER_KIND
    _heaps: dict[tuple[Kind, Group], list[tuple[tuple[float, float], int, Example]]] = field(
        default_factory=dict
    )
    _count: int = 0

    def offer(
        self, judged: JudgedScan, thresholds: Thresholds, render: Callable[[], Picture]
    ) -> None:
        """Keep the cases of one scan that are among the worst; draw only these.

        Args:
            judged: the scan.
            thresholds: of the card.
            render: makes the grey picture of the whole scan; called once at most.
        """
        picture: Picture | None = None
        for case in cases_of(judged, thresholds):
            heap = self._heaps.setdefault((case.kind, case.group), [])
            if len(heap) >= self.per_kind and case.badness <= heap[0][0]:
                continue
            picture = render() if picture is None else picture
            jpeg = crop_jpeg(picture, case, outlines(judged, case.group, thresholds))
            self._count += 1
            heapq.heappush(heap, (case.badness, -self._count, Example(case, jpeg)))
            if len(heap) > self.per_kind:
                heapq.heappop(heap)

    def worst(self, kind: Kind, group: Group) -> tuple[Example, ...]:
        """Return the kept examples of one kind and group, worst first."""
        heap = self._heaps.get((kind, group), [])
        return tuple(example for _, _, example in sorted(heap, key=lambda row: row[:2])[::-1])


def outlines(
    scan: JudgedScan, group: Group, thresholds: Thresholds
) -> tuple[Float32[np.ndarray, "m 4"], Float32[np.ndarray, "n 4"]]:
    """Return the true boxes and the reported boxes of one group."""
    objects, found = scan.truth.objects, scan.detections
    true_rows = threat_rows(objects.class_ids) == (group == "threat")
    found_rows = threat_rows(found.class_ids) == (group == "threat")
    found_rows &= reported(scan, thresholds)
    return objects.boxes_xyxy[true_rows], found.boxes_xyxy[found_rows]


def crop_jpeg(
    picture: UInt8[np.ndarray, "height width"],
    case: Case,
    boxes: tuple[Float32[np.ndarray, "m 4"], Float32[np.ndarray, "n 4"]],
) -> bytes:
    """Return the surroundings of a case as JPEG.

    Args:
        picture: the whole scan in grey.
        case: what is shown; its own box is drawn thicker.
        boxes: true boxes (solid, blue) and reported boxes (dashed, orange) in scan pixels.
    """
    x0, y0, x1, y1 = _window(case, picture.shape[0], picture.shape[1])
    scale = min(_LONGEST_SIDE[case.group] / max(x1 - x0, y1 - y0), _MOST_ENLARGED)
    size = max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(picture[y0:y1, x0:x1], size, interpolation=method)
    canvas = cv2.cvtColor(small, cv2.COLOR_GRAY2BGR)
    for rows, colour, dash in ((boxes[0], _TRUTH_BGR, 0), (boxes[1], _FOUND_BGR, _DASH)):
        for box in rows:
            width = 3 if tuple(float(value) for value in box) == case.box_xyxy else 2
            _outline(canvas, (box - [x0, y0, x0, y0]) * scale, _Pen(colour, width, dash))
    good, code = cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not good:
        msg = "the JPEG encoder of OpenCV failed"
        raise RuntimeError(msg)
    return bytes(code)


@dataclass(frozen=True, slots=True)
class _Pen:
    """Colour (blue, green, red), width and length of dashes (0: a solid line), in pixels."""

    colour_bgr: tuple[int, int, int]
    width: int
    dash: int


def _window(case: Case, height: int, width: int) -> tuple[int, int, int, int]:
    """Return the part of the scan to show: x0, y0, x1, y1 in whole pixels."""
    if case.group == "structure":
        return 0, 0, width, height
    x0, y0, x1, y1 = case.box_xyxy
    side = max(_LEAST_SIDE, (1 + 2 * _CONTEXT) * max(x1 - x0, y1 - y0)) / 2
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    left, top = max(0, math.floor(x - side)), max(0, math.floor(y - side))
    left, top = min(left, width - 1), min(top, height - 1)
    right, bottom = min(width, math.ceil(x + side)), min(height, math.ceil(y + side))
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _outline(
    canvas: UInt8[np.ndarray, "height width 3"], box: Float[np.ndarray, " 4"], pen: _Pen
) -> None:
    """Draw a box on the canvas, with a dark rim so that it shows on any grey."""
    x0, y0, x1, y1 = (round(float(value)) for value in box)
    corners = ((x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0))
    for colour, width in (((20, 20, 20), pen.width + 2), (pen.colour_bgr, pen.width)):
        for start, end in pairwise(corners):
            for first, last in _strokes(start, end, pen.dash):
                cv2.line(canvas, first, last, colour, width)


def _strokes(
    start: tuple[int, int], end: tuple[int, int], dash: int
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    length = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
    if dash == 0 or length == 0:
        return [(start, end)]
    pieces = []
    for place in range(0, length, 2 * dash):
        first, last = place / length, min(place + dash, length) / length
        pieces.append((_between(start, end, first), _between(start, end, last)))
    return pieces


def _between(start: tuple[int, int], end: tuple[int, int], share: float) -> tuple[int, int]:
    x = start[0] + (end[0] - start[0]) * share
    return round(x), round(start[1] + (end[1] - start[1]) * share)


def _miss(scan: JudgedScan, row: int, best: float) -> Case:
    objects = scan.truth.objects
    kind = taxonomy.classes()[int(objects.class_ids[row])]
    size = float(geometry.area(objects.boxes_xyxy[row : row + 1])[0])
    score = best if best > 0 else None
    badness = (-best, size)
    return Case("miss", kind.group, scan.name, kind.name, _box(objects, row), score, badness)


def _false_alarm(scan: JudgedScan, row: int) -> Case:
    found = scan.detections
    kind = taxonomy.classes()[int(found.class_ids[row])]
    score = float(found.scores[row])
    return Case(
        "false alarm", kind.group, scan.name, kind.name, _box(found, row), score, (score, 0.0)
    )


def _box(rows: Detections, row: int) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (float(value) for value in rows.boxes_xyxy[row])
    return x0, y0, x1, y1
