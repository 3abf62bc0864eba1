"""Claims about what the viewer shows beside the pixels."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import nii.review
from nii.inspection import Inspection, Level
from nii.physics.dual_energy import CLASSES
from nii.review import viewer
from nii.review.viewer import TEXTS, DrawnBox, OtherScan

EXAMPLE = Path(__file__).parents[1] / "store" / "inspection.json"
SCRIPTS = sorted((Path(nii.review.__file__).parent / "static" / "viewer").glob("*.js"))
MADE = ("tool.", "group.", "reading.", "preset.", "curve.", "class.", "gesture.")
"""Texts whose keys the scripts put together."""


@pytest.fixture
def inspection() -> Inspection:
    """Give an inspection with two regions."""
    return Inspection.from_json(json.loads(EXAMPLE.read_text("utf-8")))


def test_scripts_hold_no_words_of_their_own() -> None:
    """Every text that a script asks for has an English form, and none is left over."""
    code = "\n".join(path.read_text("utf-8") for path in SCRIPTS)
    asked = set(re.findall(r'(?:\bt|\.text)\("([a-z_.0-9]+)"\)', code))
    assert asked <= set(TEXTS)
    commands = set(re.findall(r'\{ id: "([a-z_]+)"', code))
    assert len(commands) > 25
    assert {f"tool.{name}" for name in commands} <= set(TEXTS)
    plain = {key for key in TEXTS if not key.startswith(MADE)}
    named = asked | set(re.findall(r'"([a-z_]+)"', code))
    assert plain <= named, plain - named
    tools = {key.removeprefix("tool.") for key in TEXTS if key.startswith("tool.")}
    assert tools <= named, tools - named


def test_classes_have_the_names_of_the_physics() -> None:
    """The classes of the table of materials are called what `nii.physics` calls them."""
    assert [TEXTS[f"class.{number}"] for number in range(len(CLASSES))] == list(CLASSES)


def test_every_text_is_translated(inspection: Inspection) -> None:
    """All that an officer reads passes through the translation, words in a place one by one."""
    marked = viewer.document(inspection, lambda text: f"<{text}>")
    assert set(marked["labels"]) == set(TEXTS)
    assert all(text.startswith("<") for text in marked["labels"].values())
    first = marked["regions"][0]
    assert first["label"] == "<firearm>"
    assert first["level_text"] == "<search>"
    assert first["score_text"] == "<very likely> (0.91)"
    assert first["position"] == "<container> 1, <2.0 m from its left end>, <upper third>"
    assert first["size_text"] == "15 × 8 <cm>"
    assert marked["containers"][0]["label"] == "<container> 1"


def test_a_blind_officer_gets_nothing_of_the_model(inspection: Inspection) -> None:
    """What is withheld is not sent at all: no region, no container, no score."""
    sent = viewer.document(inspection, blind=True)
    assert sent["blind"] is True
    assert sent["regions"] == sent["containers"] == []
    assert "firearm" not in json.dumps(sent)


def test_boxes_and_other_scans(inspection: Inspection) -> None:
    """Drawn boxes keep their numbers and words; other scans get the address of their facts."""
    boxes = [DrawnBox(7, (1.0, 2.0, 3.0, 4.0), "check", "A. Officer")]
    sent = viewer.document(inspection, boxes=boxes, others=[OtherScan("before", "a" * 64)])
    assert sent["boxes"][0] == {
        "id": 7,
        "box_xyxy": [1.0, 2.0, 3.0, 4.0],
        "remark": "check",
        "officer": "A. Officer",
    }
    assert sent["compare"] == [{"title": "before", "scan": f"/api/scans/{'a' * 64}/viewer.json"}]


@pytest.mark.parametrize(
    ("score", "words"),
    [(1.0, "very likely"), (0.9, "very likely"), (0.5, "possible"), (0.0, "doubtful")],
)
def test_scores_in_words(score: float, words: str) -> None:
    """A score is told in a word, from its least value on."""
    assert viewer.score_in_words(score) == words


def test_levels_have_words() -> None:
    """Each level has a word."""
    assert set(viewer.LEVEL_TEXTS) == set(Level)
