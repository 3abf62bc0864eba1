"""Claims about marks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from nii.errors import NiiError
from nii.store import audit, marks
from nii.store.audit import Actor
from nii.store.database import Store
from nii.store.inspections import Filed
from nii.store.marks import Mark, Sign

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
BY = Actor("A. Officer")
BOX = (1.0, 2.0, 30.5, 40.0)


def test_marks_come_back_as_they_were_made(store: Store, file_scan: Callable[..., Filed]) -> None:
    """Marks of every sign stand in order, each with its event."""
    filed = file_scan("one")
    made = [
        Mark(Sign.CONFIRMED, 1, "firearm", remark="a\nb"),
        Mark(Sign.WRONG_BOX, 1, box_xyxy=BOX),
        Mark(Sign.DRAWN, class_name="firearm", box_xyxy=BOX),
        Mark(Sign.WITHDRAWN, withdraws=1),
    ]
    kept = [marks.add(store, filed.id, mark, BY, NOON) for mark in made]
    assert [one.mark for one in kept] == made
    assert marks.of_inspection(store, filed.id) == tuple(kept)
    assert audit.verify(store).intact


def test_what_stands_is_the_newest_that_was_not_taken_back(
    store: Store, file_scan: Callable[..., Filed]
) -> None:
    """Each officer has one word on a region, the last; own boxes all stand until withdrawn."""
    number = file_scan("one").id
    other = Actor("B. Officer")
    first = marks.add(store, number, Mark(Sign.CONFIRMED, 1), BY, NOON)
    second = marks.add(store, number, Mark(Sign.REJECTED, 1), BY, NOON)
    third = marks.add(store, number, Mark(Sign.CONFIRMED, 1), other, NOON)
    boxes = [marks.add(store, number, Mark(Sign.DRAWN, box_xyxy=BOX), BY, NOON) for _ in "ab"]
    every = marks.of_inspection(store, number)
    assert marks.standing(every) == (second, third, *boxes)
    for gone in (second, boxes[0]):
        marks.add(store, number, Mark(Sign.WITHDRAWN, withdraws=gone.id), BY, NOON)
    assert marks.standing(marks.of_inspection(store, number)) == (first, third, boxes[1])


def test_a_mark_is_taken_back_once(store: Store, file_scan: Callable[..., Filed]) -> None:
    """Only a mark of the same inspection that still holds can be taken back."""
    number, other = file_scan("one").id, file_scan("two").id
    mark = marks.add(store, number, Mark(Sign.REJECTED, 1), BY, NOON)
    back = Mark(Sign.WITHDRAWN, withdraws=mark.id)
    with pytest.raises(NiiError, match="nothing to take back"):
        marks.add(store, other, back, BY, NOON)
    taken = marks.add(store, number, back, BY, NOON)
    with pytest.raises(NiiError, match="taken back before"):
        marks.add(store, number, back, BY, NOON)
    with pytest.raises(NiiError, match="nothing to take back"):
        marks.add(store, number, Mark(Sign.WITHDRAWN, withdraws=taken.id), BY, NOON)


def test_marks_lie_on_the_scan(store: Store, file_scan: Callable[..., Filed]) -> None:
    """A region that is not there and a box beyond the scan are refused, and nothing is logged."""
    filed = file_scan("one")
    scan, before = filed.inspection.scan, audit.head(store)
    whole = (0.0, 0.0, float(scan.width), float(scan.height))
    beyond = (0.0, 0.0, scan.width + 0.5, float(scan.height))
    for mark in (Mark(Sign.CONFIRMED, 99), Mark(Sign.DRAWN, box_xyxy=beyond)):
        with pytest.raises(NiiError):
            marks.add(store, filed.id, mark, BY, NOON)
    with pytest.raises(NiiError, match="no such inspection"):
        marks.add(store, 99, Mark(Sign.CONFIRMED, 1), BY, NOON)
    assert audit.head(store) == before
    assert marks.add(store, filed.id, Mark(Sign.DRAWN, box_xyxy=whole), BY, NOON).id == 1


@pytest.mark.parametrize(
    "parts",
    [
        {"sign": Sign.CONFIRMED},
        {"sign": Sign.DRAWN},
        {"sign": Sign.DRAWN, "region_number": 1, "box_xyxy": BOX},
        {"sign": Sign.CONFIRMED, "region_number": 1, "box_xyxy": BOX},
        {"sign": Sign.WITHDRAWN},
        {"sign": Sign.REJECTED, "region_number": 1, "withdraws": 1},
        {"sign": Sign.DRAWN, "box_xyxy": (5.0, 2.0, 5.0, 4.0)},
        {"sign": Sign.DRAWN, "box_xyxy": (-1.0, 2.0, 5.0, 4.0)},
        {"sign": Sign.DRAWN, "box_xyxy": (0.0, 0.0, float("inf"), 4.0)},
        {"sign": Sign.DRAWN, "box_xyxy": (float("nan"), 0.0, 1.0, 4.0)},
        {"sign": Sign.CONFIRMED, "region_number": 1, "remark": "\x00"},
    ],
)
def test_parts_go_together(parts: dict[str, Any]) -> None:
    """A mark without what its sign needs, or with what it cannot have, is refused."""
    with pytest.raises(NiiError):
        Mark(**parts)
