"""Claims about texts of models and of the store in other languages: all of them are recognised."""

from __future__ import annotations

import gettext
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from babel import Locale

from nii import taxonomy
from nii.infer import context, health, inspect, position
from nii.inspection import Health, Problem, Structure
from nii.review import words
from nii.review.language import Tongue
from nii.scan import Grey, Scan


class Upper(gettext.NullTranslations):
    """A language in which every text is in brackets."""

    def gettext(self, message: str) -> str:
        """Return the text in brackets."""
        return f"[{message}]"


BRACKETS = Tongue("xx", Locale("en"), Upper())


def said(text: str) -> str:
    """Return a text in brackets, and check that it was recognised."""
    found = words.translate(BRACKETS, text)
    assert found.startswith("["), text
    return found


def test_parts_are_recognised_too() -> None:
    """The parts of a position are said in the language as well, numbers stay."""
    text = "container 2, left third, under the roof"
    assert said(text) == "[container 2, [left third], [under the roof]]"


def test_every_position_is_known(rng: np.random.Generator) -> None:
    """Whatever place a region has in a random layout, its words are recognised."""
    height, width = 200, 800
    for _ in range(300):
        parts = [Structure("container", 1, (100.0, 20.0, 400.0, 150.0), 0.9)]
        parts += [Structure("vehicle", 1, (20.0, 20.0, 780.0, 190.0), 0.9)]
        layout = position.Layout(
            tuple(parts[:1]) if rng.random() < 0.7 else (),
            parts[1] if rng.random() < 0.7 else None,
            (None, "left", "right")[int(rng.integers(3))],
            height,
            width,
        )
        if not layout.containers or layout.vehicle is None:
            layout = replace(layout, front=None)
        x, y = float(rng.uniform(0, width - 20)), float(rng.uniform(0, height - 20))
        found = said(position.words((x, y, x + 15.0, y + 15.0), layout))
        assert found.count("[") >= 3


def test_every_warning_about_health_is_known() -> None:
    """Each problem of a scan is told in words that are recognised."""
    sick = Health(0.5, 0.25, 0.125, 3, 4, ("left", "top"), tuple(Problem))
    texts = health.warnings_of(sick)
    assert len(texts) == len(Problem)
    for text in texts:
        said(text)


@pytest.mark.parametrize("energies", [1, 2])
@pytest.mark.parametrize("grey", list(Grey))
def test_every_warning_about_a_result_is_known(grey: Grey, energies: int) -> None:
    """What the model says about a scan that it knows badly is recognised."""
    from nii.bundle import read_bundle

    card = read_bundle(Path(__file__).parents[2] / "models" / "compact").card
    rough = replace(card, thresholds=replace(card.thresholds, basis="assumption: none"))
    scan = Scan(np.zeros((1 if grey is Grey.DISPLAY else energies, 20, 40), np.float32), grey=grey)
    parts = (Structure("container", 1, (0.0, 0.0, 40.0, 20.0), 0.9),)
    for structures in ((), parts):
        for text in inspect.warnings_of(scan, structures, rough):
            said(text)


def test_declarations_and_parts_are_known() -> None:
    """What is said about containers declared empty, and the names of parts, are recognised."""
    for load in (None, "empty", "loaded"):
        part = Structure("container", 1, (0.0, 0.0, 9.0, 9.0), 0.9, load, load and 0.5)  # type: ignore[arg-type]
        said(context._against(part).reason)
        said(part.label)
    fillings: tuple[Literal["partial", "full"], ...] = ("partial", "full")
    for filling in fillings:
        part = Structure("container", 1, (0.0, 0.0, 9.0, 9.0), 0.9, "loaded", 0.9, filling, 0.4)
        said(part.label)
        said(str(part.load_words))
    said(Structure("vehicle", 2, (0.0, 0.0, 9.0, 9.0), 0.9).label)


def test_every_class_and_category_is_known() -> None:
    """The taxonomy is part of the catalogues."""
    for row in taxonomy.classes():
        assert words.class_label(BRACKETS, row.name) == f"[{row.label}]"
        said(row.category)
    assert words.class_label(BRACKETS, "of an older taxonomy") == "of an older taxonomy"


def test_what_is_not_ours_stays_as_it_is() -> None:
    """A text that nobody here wrote is shown unchanged, however long or odd."""
    for text in ("", "Something else.", "<b>", "container , , ", "x" * 100_000, "%(number)s %"):
        assert words.translate(BRACKETS, text) in (text, f"[{text}]")
    assert words.translate(BRACKETS, "Something else.") == "Something else."
