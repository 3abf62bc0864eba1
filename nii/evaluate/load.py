"""Load state against the labels: of the containers that were found, which are called rightly.

Two questions are kept apart: empty or not, which declarations are held against; and empty, partly
filled or full, where the model tells the latter two apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nii import boxes as geometry
from nii import taxonomy
from nii.annotations.coco import CocoImage
from nii.bundle import Card, LoadSpec
from nii.detections import Detections
from nii.evaluate.intervals import Interval, Proportion, clopper_pearson
from nii.infer.load import Load, load_of
from nii.scan import Scan

_SAME = 0.5
"""IoU from which a found container is a labelled one."""
STATES = ("empty", "partial", "full", "tank")


@dataclass(frozen=True, slots=True)
class LoadCall:
    """Hold one labelled container, and whether it was called rightly.

    Attributes:
        state: what the label says.
        right: whether empty or loaded was said rightly; None if the container was not found.
        exact: whether empty, partly filled or full was; None if it was not found, is a tank, or
            the model does not tell partly filled from full.
    """

    state: str
    right: bool | None
    exact: bool | None = None


@dataclass(frozen=True, slots=True)
class LoadRow:
    """Count the containers of one state that were found and called rightly.

    Attributes:
        state: what the label says.
        right: those called rightly empty or loaded.
        interval: of that share.
        not_found: those that were not found.
        exact: those called rightly empty, partly filled or full; of none where nothing tells.
        exact_interval: of that share.
    """

    state: str
    right: Proportion
    interval: Interval | None
    not_found: int
    exact: Proportion = Proportion(0, 0)  # noqa: RUF009 - frozen
    exact_interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class LoadTable:
    """Report the load states of a set.

    Attributes:
        rows: by labelled state.
        balanced_accuracy: mean of the shares of empty and of loaded containers called rightly, of
            those that were found; None where either is missing.
        exact_accuracy: mean of the shares of empty, partly filled and full containers called
            exactly that; None where one of the three is missing, or nothing tells them apart.
        filling_accuracy: the same of partly filled and full ones alone.
    """

    rows: tuple[LoadRow, ...]
    balanced_accuracy: float | None
    exact_accuracy: float | None = None
    filling_accuracy: float | None = None


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
        calls.append(LoadCall(state, right, _exact(said, state, card.load)))
    return calls


def _exact(said: Load | None, state: str, spec: LoadSpec) -> bool | None:
    if said is None or state == "tank" or spec.filling is None:
        return None
    return (said.filling or "empty") == state


def load_table(calls: Sequence[LoadCall]) -> LoadTable | None:
    """Count the calls of a set; None where there are none."""
    if not calls:
        return None
    rows = []
    for state in STATES:
        mine = [call.right for call in calls if call.state == state]
        judged = [right for right in mine if right is not None]
        share, exact = _counted(judged), _counted([c.exact for c in calls if c.state == state])
        if mine:
            rows.append(
                LoadRow(
                    state,
                    share,
                    clopper_pearson(share.successes, share.trials),
                    len(mine) - len(judged),
                    exact,
                    clopper_pearson(exact.successes, exact.trials),
                )
            )
    empty = [c.right for c in calls if c.right is not None and c.state == "empty"]
    loaded = [c.right for c in calls if c.right is not None and c.state != "empty"]
    both = empty and loaded
    accuracy = (sum(empty) / len(empty) + sum(loaded) / len(loaded)) / 2 if both else None
    shares = {row.state: row.exact.value for row in rows}
    return LoadTable(
        tuple(rows),
        accuracy,
        _mean([shares.get(state) for state in ("empty", "partial", "full")]),
        _mean([shares.get(state) for state in ("partial", "full")]),
    )


def _counted(answers: Sequence[bool | None]) -> Proportion:
    known = [answer for answer in answers if answer is not None]
    return Proportion(sum(known), len(known))


def _mean(shares: Sequence[float | None]) -> float | None:
    """Return the mean; None where a share is missing."""
    known = [share for share in shares if share is not None]
    return sum(known) / len(known) if len(known) == len(shares) else None
