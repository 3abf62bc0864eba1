"""Tests of the rules by which marks and outcomes become labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nii.exchange.feedback_labels import Labels, labels_of
from nii.inspection import Inspection

EXAMPLE = Path(__file__).parents[1] / "store" / "inspection.json"
OPINION = Inspection.from_json(json.loads(EXAMPLE.read_text("utf-8")))
FIREARM, BRICK = (region.box_xyxy for region in OPINION.regions)


def mark(number: int, kind: str, region: int | None = None, **facts: object) -> dict[str, Any]:
    """Return a row of the table of marks."""
    row = {"id": number, "inspection_id": 1, "region_number": region, "mark": kind}
    return row | {"withdraws": None, "class_name": "", "box_xyxy": None} | facts


def labels(
    *marks: dict[str, Any], found: bool | None = None, decided: bool = True, blind: bool = False
) -> Labels:
    """Return the labels of the example scan after these marks."""
    outcomes = [] if found is None else [{"found": found, "class_name": "firearm"}]
    return labels_of({1: OPINION}, marks, outcomes, [{"blind": blind}] if decided else [])


def short(found: Labels) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return class and source of positives and hard negatives."""
    return (
        [(one.class_name, one.source) for one in found.positives],
        [(one.class_name, one.source) for one in found.hard_negatives],
    )


def test_confirmed_and_rejected_regions() -> None:
    """A confirmed region is a positive with its box, a rejected one a hard negative."""
    found = labels(mark(1, "confirmed", 1), mark(2, "rejected", 2))
    assert short(found) == ([("firearm", "confirmed")], [("brick", "rejected")])
    assert found.positives[0].box_xyxy == FIREARM
    assert found.hard_negatives[0].score == 0.55
    assert found.left_out == ""


def test_a_withdrawn_mark_does_not_count() -> None:
    """Nor does a withdrawal that was itself withdrawn."""
    gone = labels(
        mark(1, "rejected", 1), mark(2, "withdrawn", withdraws=1), mark(3, "confirmed", 2)
    )
    assert short(gone) == ([("brick", "confirmed")], [])
    assert gone.withdrawn == 1
    back = labels(
        mark(1, "rejected", 1),
        mark(2, "withdrawn", withdraws=1),
        mark(3, "withdrawn", withdraws=2),
    )
    assert short(back) == ([], [("firearm", "rejected")])
    assert back.withdrawn == 0


def test_the_newest_mark_on_a_region_counts() -> None:
    """Who looked last is believed; the contradiction is counted."""
    found = labels(mark(1, "rejected", 1), mark(2, "confirmed", 1))
    assert short(found) == ([("firearm", "confirmed")], [])
    assert found.contradicted == 1


def test_drawn_and_corrected_boxes() -> None:
    """An officer's box has the officer's class; a corrected box replaces the model's."""
    found = labels(
        mark(1, "drawn", class_name="brick", box_xyxy="[1.0, 2.0, 30.0, 40.0]"),
        mark(2, "wrong_box", 1, box_xyxy="[210.0, 30.0, 240.0, 50.0]"),
    )
    boxes = {one.source: (one.class_name, one.box_xyxy) for one in found.positives}
    assert boxes == {
        "drawn": ("brick", (1.0, 2.0, 30.0, 40.0)),
        "corrected": ("firearm", (210.0, 30.0, 240.0, 50.0)),
    }


def test_a_wrong_box_needs_a_right_one() -> None:
    """A box that was only called wrong leaves the scan out, until someone draws it anew there."""
    assert "called wrong" in labels(mark(1, "wrong_box", 1)).left_out
    over = json.dumps([195.0, 25.0, 235.0, 50.0])
    mended = labels(mark(1, "wrong_box", 1), mark(2, "drawn", class_name="firearm", box_xyxy=over))
    assert short(mended) == ([("firearm", "drawn")], [])
    assert mended.left_out == ""
    far = json.dumps([1.0, 1.0, 20.0, 20.0])
    elsewhere = mark(2, "drawn", class_name="firearm", box_xyxy=far)
    assert "called wrong" in labels(mark(1, "wrong_box", 1), elsewhere).left_out


def test_an_examination_has_the_last_word() -> None:
    """Where nothing was found, what officers confirmed becomes a hard negative."""
    found = labels(mark(1, "confirmed", 1), found=False)
    assert short(found) == ([], [("firearm", "refuted")])
    assert (found.outcome, found.left_out) == ("nothing", "")


def test_a_find_that_nobody_marked_leaves_the_scan_out() -> None:
    """Something is there and nobody knows where: neither with nor without a box would be true."""
    assert labels(found=True).left_out == "a find that nobody marked"
    assert labels(mark(1, "confirmed", 1), found=True).left_out == ""


def test_an_examined_empty_scan_is_a_negative() -> None:
    """A scan without marks whose examination found nothing is a scan without objects."""
    found = labels(found=False)
    assert (short(found), found.left_out) == (([], []), "")


def test_nothing_said_or_not_decided_leaves_the_scan_out() -> None:
    """Marks before any decision may be unfinished work; a decision without marks says no place."""
    assert labels(mark(1, "confirmed", 1), decided=False).left_out == "not decided yet"
    assert labels().left_out == "no mark that counts"


@pytest.mark.parametrize(
    "facts",
    [
        {"class_name": "teapot", "box_xyxy": "[1, 1, 9, 9]"},
        {"class_name": "", "box_xyxy": "[1, 1, 9, 9]"},
        {"class_name": "container", "box_xyxy": "[1, 1, 9, 9]"},
        {"class_name": "firearm", "box_xyxy": "[900, 1, 990, 9]"},
        {"class_name": "firearm"},
    ],
)
def test_what_cannot_be_a_label_leaves_the_scan_out(facts: dict[str, str]) -> None:
    """A class that is no threat of the taxonomy, or a box outside the scan, is not guessed at."""
    assert labels(mark(1, "drawn") | facts).left_out


def test_two_boxes_on_one_object_are_one() -> None:
    """Two officers who draw nearly the same box give one label: the later."""
    first, second = "[10, 10, 50, 50]", "[11, 10, 50, 50]"
    found = labels(
        mark(1, "drawn", class_name="brick", box_xyxy=first),
        mark(2, "drawn", class_name="brick", box_xyxy=second),
        mark(3, "drawn", class_name="firearm", box_xyxy=first),
    )
    assert [one.box_xyxy[0] for one in found.positives] == [11.0, 10.0]


def test_blind_decisions_are_told() -> None:
    """A label that was given before the regions were shown is worth more, so it is marked."""
    assert labels(mark(1, "confirmed", 1), blind=True).blind
    assert not labels(mark(1, "confirmed", 1)).blind
