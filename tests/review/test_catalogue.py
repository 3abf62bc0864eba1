"""Claims about catalogues: every text is translated, and every text is in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nii.review import catalogue, language
from nii.review.language import CODES, SOURCE

TEMPLATES = sorted((Path(catalogue.__file__).parent / "templates").glob("*.html"))
SCRIPTS = sorted((Path(catalogue.__file__).parent / "static").glob("*.js"))
OTHERS = [code for code in CODES if code != SOURCE]
PLAIN = {"nii", "SHA-256", "px", "MeV", "·"}
"""Literal texts of templates that are the same in all languages."""


@pytest.mark.parametrize("code", OTHERS)
def test_nothing_is_untranslated(code: str) -> None:
    """No text is missing, fuzzy, left over, or without its placeholders."""
    assert catalogue.problems(code) == ()


@pytest.mark.slow
def test_problems_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalogue with gaps is told apart from a whole one."""
    monkeypatch.setattr(language, "LOCALE", tmp_path)
    missing = catalogue.problems("ru")
    assert len(missing) == len(catalogue.messages())
    catalogue.update("ru", {text: text for text in catalogue.messages()})
    assert catalogue.problems("ru") == ()
    path = language.path_of("ru")
    whole = path.read_text("utf-8")
    path.write_text(whole.replace('msgid "Queue"', '#, fuzzy\nmsgid "Queue"'), "utf-8")
    assert catalogue.problems("ru") == ("fuzzy: Queue",)
    path.write_text(whole.replace('msgid "Queue"', 'msgid "Gone"'), "utf-8")
    assert set(catalogue.problems("ru")) == {"not translated: Queue", "no longer used: Gone"}
    path.write_text(whole.replace('msgstr "%(days)s d"', 'msgstr "d"'), "utf-8")
    assert catalogue.problems("ru") == ("other placeholders than in the source: %(days)s d",)


def test_updating_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing a catalogue again keeps every translation, byte for byte."""
    source = language.path_of("kk").read_bytes()
    monkeypatch.setattr(language, "LOCALE", tmp_path)
    path = language.path_of("kk")
    path.parent.mkdir(parents=True)
    path.write_bytes(source)
    catalogue.update("kk", {})
    assert path.read_bytes() == source


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_no_literal_text(path: Path) -> None:
    """What is read on a page goes through the catalogue: outside marks there are no letters."""
    text = path.read_text("utf-8")
    text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", " ", text, flags=re.DOTALL)
    text = re.sub(r"<(kbd)>.*?</\1>", " ", text, flags=re.DOTALL)
    for name in ("title", "alt", "placeholder", "aria-label"):
        for value in re.findall(rf'\s{name}="([^"]*)"', text):
            assert not re.search(r"[A-Za-z]{2}", value), (name, value)
    words = re.sub(r"<[^>]*>", " ", text)
    found = [word for word in words.split() if re.search(r"[A-Za-z]{2}", word)]
    assert not [word for word in found if word.strip("().,:") not in PLAIN], found


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_show_no_literal_text(path: Path) -> None:
    """A script of ours shows texts that the page gives it, none of its own."""
    for value in re.findall(r"textContent = [\"']([^\"']*)", path.read_text("utf-8")):
        assert not re.search(r"[A-Za-z]{3}", value), value
