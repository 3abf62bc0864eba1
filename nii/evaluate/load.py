"""Load state against the labels: of the containers that were found, which are called rightly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nii import boxes as geometry
from nii import taxonomy
from nii.annotations.coco import CocoImage
from nii.bundle import Card
from nii.detections import Detections
from nii.evaluate.intervals import Interval, Proportion, clopper_pearson
from nii.infer.load import load_of
from nii.scan import Scan

_SAME = 0.5
"""IoU from which a found container is a labelled one."""
STATES = ("empty", "partial", "full", "tank")


@dataclass(frozen=True, slots=True)
class LoadCall:
    """Hold one labelled container, and whether it was called rightly; None if it was not found."""

    state: str
    right: bool | None


@dataclass(frozen=True, slots=True)
class LoadRow:
    """Count the containers of one state that were found and called rightly: empty, or loaded."""

    state: str
    right: Proportion
    interval: Interval | None
    not_found: int


@dataclass(frozen=True, slots=True)
class LoadTable:
    """Report the load states of a set.

    Attributes:
        rows: by labelled state.
        balanced_accuracy: mean of the shares of empty and of loaded containers called rightly, of
            those that were found; None where either is missing.
    """

    rows: tuple[LoadRow, ...]
    balanced_accuracy: float | None


def load_calls(image: CocoImage, found: Detections, scan: Scan, card: Card) -> list[LoadCall]:
    """Return what is said about each container of a scan whose load is labelled."""
    if card.load is None:
        return []
    kind = taxonomy.by_name("container").class_id
    sure = (found.class_ids == kind) & (found.scores >= card.thresholds.structure)
    boxes = found.boxes_xyxy[sure]
    calls = []
    for row, state in enumerate(image.load_states):
        if state is None:
            continue
        overlap = geometry.iou(image.truth.boxes_xyxy[row : row + 1], boxes)[0]
        said = None
        if len(boxes) and float(overlap.max()) >= _SAME:
            x0, y0, x1, y1 = boxes[int(np.argmax(overlap))].tolist()
            said = load_of(scan.transmission[0], (x0, y0, x1, y1), card.load)
        right = None if said is None else (said.state == "empty") == (state == "empty")
        calls.append(LoadCall(state, right))
    return calls


def load_table(calls: Sequence[LoadCall]) -> LoadTable | None:
    """Count the calls of a set; None where there are none."""
    if not calls:
        return None
    rows = []
    for state in STATES:
        mine = [call.right for call in calls if call.state == state]
        judged = [right for right in mine if right is not None]
        share = Proportion(sum(judged), len(judged))
        interval = clopper_pearson(share.successes, share.trials)
        if mine:
            rows.append(LoadRow(state, share, interval, len(mine) - len(judged)))
    empty = [c.right for c in calls if c.right is not None and c.state == "empty"]
    loaded = [c.right for c in calls if c.right is not None and c.state != "empty"]
    both = empty and loaded
    accuracy = (sum(empty) / len(empty) + sum(loaded) / len(loaded)) / 2 if both else None
    return LoadTable(tuple(rows), accuracy)
