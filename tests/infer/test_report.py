"""Tests of :mod:`nii.infer.report`: one page, nothing from outside, no text that turns to code."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from nii import formats
from nii.bundle import Bundle
from nii.infer import report
from nii.infer.batch import Inspected, inspect_files
from nii.infer.detect import Detector
from nii.infer.overlay import render_grey
from nii.infer.report import Entry, entry_of, page, write_report
from nii.infer.results import Failure
from nii.infer.runtime import CPU, ProviderSettings
from nii.inspection import Inspection, Level, Region
from nii.scan import Scan

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;"
ALLOWED_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "h1", "dl", "dt", "dd"),
    *(
        "div",
        "button",
        "b",
        "label",
        "input",
        "kbd",
        "details",
        "summary",
        "span",
        "small",
        "a",
        "p",
    ),
    *("svg", "image", "g", "rect", "text", "use", "table", "thead", "tbody", "tr", "th", "td"),
    *("figure", "figcaption", "script"),
}


class Reader(HTMLParser):
    """Collect tags, attributes and text as a browser would see them."""

    def __init__(self, text: str) -> None:
        """Read a page."""
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        self.texts.append(data)


@pytest.fixture
def done(tiny_bundle: Bundle, make_scan: Callable[..., Scan], tmp_path: Path) -> Inspected:
    """Return one inspected scan with two regions."""
    formats.write(make_scan(((320, 120), (560, 176))), tmp_path / "truck.tiff")
    detector = Detector.open(tiny_bundle.folder, ProviderSettings((CPU,)))
    (result,) = inspect_files([(tmp_path / "truck.tiff",)], detector, tmp_path / "out")
    assert isinstance(result, Inspected)
    return result


def clear(entry: Entry, stem: str) -> Entry:
    """Return the entry of a scan in which nothing was found."""
    nothing = replace(entry.inspection, regions=(), level=Level.CLEAR)
    return replace(entry, stem=stem, inspection=nothing, crops="")


def test_the_page_needs_nothing_from_outside(done: Inspected) -> None:
    """No address but data and the full picture beside the page; the policy allows one script."""
    text = page([entry_of(done)], [], NOON)
    reader = Reader(text)
    assert {tag for tag, _ in reader.tags} <= ALLOWED_TAGS
    for tag, attributes in reader.tags:
        assert "src" not in attributes
        target = attributes.get("href")
        if target is not None:
            assert target.startswith({"a": done.stem, "use": "#c"}.get(tag, "data:image/jpeg"))
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(a["content"] for t, a in reader.tags if t == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{digest}'" in policy
    assert "://" not in text.replace("http://www.w3.org", "")


def test_hostile_texts_stay_texts(done: Inspected) -> None:
    """File names, numbers, warnings and errors cannot become markup, wherever they stand."""
    found = done.inspection
    facts = replace(
        found.scan,
        files=(HOSTILE,),
        scanner=HOSTILE,
        acquired_at=HOSTILE,
        container_numbers=(HOSTILE,),
        assumptions=(HOSTILE,),
    )
    region = replace(found.regions[0], label=HOSTILE, position=HOSTILE, class_name=HOSTILE)
    model = replace(found.model, name=HOSTILE)
    provider = replace(found.provider, reason=HOSTILE)
    hostile = replace(
        found,
        scan=facts,
        regions=(region,),
        model=model,
        provider=provider,
        warnings=(HOSTILE,),
        timing_ms={HOSTILE: 1.0},
    )
    entry = entry_of(replace(done, stem=HOSTILE.replace("/", ""), inspection=hostile))
    text = page([entry], [Failure(HOSTILE, HOSTILE)], NOON)
    assert text.count("<script") == 1
    reader = Reader(text)
    assert {tag for tag, _ in reader.tags} <= ALLOWED_TAGS
    assert not [a for _, a in reader.tags if any(name.startswith("on") for name in a)]
    assert sum(HOSTILE in part for part in reader.texts) >= 10


def test_lone_surrogates_can_be_written(done: Inspected, tmp_path: Path) -> None:
    """A file name that is no text does not break the page."""
    entry = replace(entry_of(done), stem="odd\udcff")
    path = write_report(tmp_path, [entry], [Failure("bad\udcff.tiff", "unreadable")], NOON)
    assert "bad?.tiff" in path.read_text("utf-8")


def test_the_most_urgent_scan_comes_first_and_all_are_counted(done: Inspected) -> None:
    """Search before look before clear, higher scores first; the counts are those of the scans."""
    entry = entry_of(done)

    def graded(stem: str, level: Level, score: float) -> Entry:
        regions: tuple[Region, ...] = tuple(
            replace(r, level=level, score=score) for r in entry.inspection.regions
        )
        found: Inspection = replace(entry.inspection, regions=regions, level=level)
        files = replace(found.scan, files=(stem,))
        return replace(entry, stem=stem, inspection=replace(found, scan=files))

    entries = [
        clear(graded("d", Level.LOOK, 0.3), "d"),
        graded("c", Level.LOOK, 0.6),
        graded("b", Level.SEARCH, 0.75),
        graded("a", Level.SEARCH, 0.95),
    ]
    text = page(entries, [Failure("e", "broken")], NOON)
    names = re.findall(r'<span class="name">(\w)</span>', text)
    assert names == ["e", "a", "b", "c", "d"]
    counts = re.findall(r'data-level="(\w+)".*?<b>(\d+)</b>', text)
    assert counts == [("search", "2"), ("look", "1"), ("clear", "1"), ("failed", "1")]
    assert text.count('<details class="scan search" open>') == 1


def test_the_page_stays_small(done: Inspected, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit the less urgent scans lose their pictures, and the page says so."""
    entry = entry_of(done)
    monkeypatch.setattr(report, "_LIMIT_BYTES", 3 * entry.bytes)
    text = page([replace(entry, stem=f"s{i}") for i in range(200)], [], NOON)
    assert text.count("picture left out") == 197
    assert len(text) < 4 * entry.bytes + 200 * 8000


def test_facts_are_shown(done: Inspected) -> None:
    """Model, hardware and why it was not a GPU, sizes, places and warnings are on the page."""
    text = page([entry_of(done)], [], NOON)
    found = done.inspection
    for fact in (
        f"{found.model.name} {found.model.version}",
        found.model.sha256[:12],
        str(found.scan.sha256)[:12],
        "CPUExecutionProvider. No GPU:",
        "container 1, left third, mid height",
        "19 × 24 cm",
        "pixels high",
        "2026-11-22 12:00 UTC",
    ):
        assert fact in text, fact


def test_a_picture_can_be_made_of_any_scan() -> None:
    """A scan of two pixels has a picture for the page."""
    assert render_grey(Scan(np.ones((1, 1, 2), np.float32))).shape == (1, 2)
