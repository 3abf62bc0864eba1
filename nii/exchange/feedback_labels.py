"""What officers and examinations said of one scan → labels to train on.

The rules, in this order:

1. A mark that was withdrawn does not count; a withdrawal that was withdrawn does not either.
2. Of several marks on one region, the newest counts.
3. A confirmed region and a box that an officer drew or corrected are positives.
4. A rejected region is a *hard negative*: the model saw something where there was nothing.
5. An examination that found nothing turns every positive of the scan into a hard negative.
6. A scan of which something stays open is left out, since a wrong label costs more than a missing
   one: a box that was called wrong and never drawn anew, or a find that nobody marked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nii import taxonomy
from nii.boxes import iou
from nii.inspection import Inspection, Region

Box = tuple[float, float, float, float]
Row = Mapping[str, Any]
Source = Literal["confirmed", "corrected", "drawn"]
_SAME_IOU = 0.7
"""Overlap from which two boxes of one class mark the same object: assumption."""


@dataclass(frozen=True, slots=True)
class Label:
    """One box: where and what, who says so, and the model's score where a model found it.

    Attributes:
        class_name: of the taxonomy.
        box_xyxy: scan pixels, upper bounds exclusive.
        source: confirmed, corrected or drawn; for a hard negative, rejected or refuted.
        score: of the model, 0 to 1; None where no model found it.
    """

    class_name: str
    box_xyxy: Box
    source: str
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Labels:
    """What is known of one scan.

    Attributes:
        positives: objects that are there.
        hard_negatives: places where a model saw something and there was nothing.
        outcome: of the newest examination; None where there was none.
        outcome_class: what it found; empty where it does not say.
        blind: an officer decided before the regions were shown.
        withdrawn: marks that do not count.
        contradicted: marks that a newer one on the same region replaced.
        left_out: why the scan cannot be trained on; empty where it can.
    """

    positives: tuple[Label, ...]
    hard_negatives: tuple[Label, ...]
    outcome: Literal["found", "nothing"] | None
    outcome_class: str
    blind: bool
    withdrawn: int
    contradicted: int
    left_out: str = ""


def labels_of(
    opinions: Mapping[int, Inspection],
    marks: Sequence[Row],
    outcomes: Sequence[Row],
    decisions: Sequence[Row],
) -> Labels:
    """Return the labels of one scan.

    Args:
        opinions: its inspections by id.
        marks: rows of all of them, oldest first.
        outcomes: rows, oldest first.
        decisions: rows, oldest first.
    """
    standing = _standing(marks)
    newest = _newest(standing)
    regions = {(key, one.number): one for key, each in opinions.items() for one in each.regions}
    size = next(((one.scan.height, one.scan.width) for one in opinions.values()), (0, 0))
    positives, negatives, open_boxes = _sorted_out(newest, regions, size)
    outcome: Literal["found", "nothing"] | None = None
    if outcomes:
        outcome = "found" if outcomes[-1]["found"] else "nothing"
    if outcome == "nothing":
        negatives += [
            Label(one.class_name, one.box_xyxy, "refuted", one.score) for one in positives
        ]
        positives, open_boxes = [], []
    left_out = _why_not(positives, negatives, open_boxes, outcome, decided=bool(decisions))
    return Labels(
        tuple(_without_doubles(positives)),
        tuple(_without_doubles(negatives)),
        outcome,
        outcomes[-1]["class_name"] if outcomes else "",
        any(row["blind"] for row in decisions),
        withdrawn=sum(row["withdraws"] is None for row in marks) - len(standing),
        contradicted=len(standing) - len(newest),
        left_out=left_out,
    )


def _standing(marks: Sequence[Row]) -> list[Row]:
    """Return the marks that were not withdrawn, without the withdrawals, oldest first."""
    gone: set[int] = set()
    kept = []
    for row in sorted(marks, key=lambda row: -row["id"]):
        if row["id"] in gone:
            continue
        if row["withdraws"] is not None:
            gone.add(row["withdraws"])
        else:
            kept.append(row)
    return kept[::-1]


def _newest(marks: Iterable[Row]) -> list[Row]:
    """Return the newest mark of each region, and every drawn box."""
    chosen: dict[tuple[int, int], Row] = {}
    drawn = []
    for row in marks:
        if row["region_number"] is None:
            drawn.append(row)
        else:
            chosen[row["inspection_id"], row["region_number"]] = row
    return [*chosen.values(), *drawn]


def _sorted_out(
    marks: Iterable[Row], regions: Mapping[tuple[int, int], Region], size: tuple[int, int]
) -> tuple[list[Label], list[Label], list[Label]]:
    """Return positives, hard negatives, and boxes that were called wrong and not drawn anew."""
    positives, negatives, wrong = [], [], []
    for row in marks:
        region = regions.get((row["inspection_id"], row["region_number"]))
        own = [float(v) for v in json.loads(row["box_xyxy"])] if row["box_xyxy"] else None
        name = row["class_name"] or (region.class_name if region else "")
        score = region.score if region else None
        corners = own or (region.box_xyxy if region else None)
        box = None if corners is None else _inside(corners, size)
        if box is None or name not in _known():
            wrong += [Label(name, (0.0, 0.0, 0.0, 0.0), "unknown")]
        elif row["mark"] == "rejected":
            negatives.append(Label(name, box, "rejected", score))
        elif row["mark"] == "wrong_box" and own is None:
            wrong.append(Label(name, box, "wrong box", score))
        else:
            source = {"confirmed": "confirmed", "wrong_box": "corrected"}.get(row["mark"], "drawn")
            positives.append(Label(name, box, source, score))
    left = [one for one in wrong if not any(_redrawn(one, other) for other in positives)]
    return positives, negatives, left


def _redrawn(wrong: Label, drawn: Label) -> bool:
    same = wrong.class_name == drawn.class_name and drawn.source in ("drawn", "corrected")
    return same and _overlap(wrong.box_xyxy, drawn.box_xyxy) > 0


def _why_not(
    positives: Sequence[Label],
    negatives: Sequence[Label],
    open_boxes: Sequence[Label],
    outcome: str | None,
    *,
    decided: bool,
) -> str:
    if not decided and outcome is None:
        return "not decided yet"
    if open_boxes:
        return "a box that is called wrong, of no known class or outside the scan"
    if outcome == "found" and not positives:
        return "a find that nobody marked"
    if not positives and not negatives and outcome is None:
        return "no mark that counts"
    return ""


def _without_doubles(labels: Sequence[Label]) -> list[Label]:
    """Return labels of which no two mark the same object; the later one is kept."""
    kept: list[Label] = []
    for one in reversed(labels):
        same = (other for other in kept if other.class_name == one.class_name)
        if not any(_overlap(one.box_xyxy, other.box_xyxy) >= _SAME_IOU for other in same):
            kept.append(one)
    return kept[::-1]


def _overlap(one: Box, two: Box) -> float:
    first, second = np.asarray([one], np.float32), np.asarray([two], np.float32)
    return float(iou(first, second)[0, 0])


def _inside(corners: Sequence[float], size: tuple[int, int]) -> Box | None:
    """Return a box cut to its scan; None where nothing is left of it."""
    height, width = size
    x0, y0, x1, y1 = corners
    box = max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))
    return box if box[0] < box[2] and box[1] < box[3] else None


def _known() -> frozenset[str]:
    return frozenset(row.name for row in taxonomy.in_group("threat"))
