"""Quality report: one self-contained page and a stable JSON file, both complete or absent."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from nii.simulate.quality import Chart, Curve, Measurement, Picture, Subject, Table
from nii.simulate.quality_limits import Limit, Limits
from nii.simulate.quality_report import JSON_FILE, PAGE_FILE, SCHEMA, write_report

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LIMITS = Limits(preset={"wire_air_mm": Limit("assumption", at_most=2.0)})
HOSTILE = '<img src=x onerror="alert(1)">'


def preset(value: float | None = 1.0) -> Subject:
    """Return a small preset with one of everything."""
    line = np.asarray([0.0, 1.0])
    return Subject(
        name=HOSTILE,
        kind="preset",
        measurements=(Measurement("wires", "wire_air_mm", "Thinnest wire", value, "mm", HOSTILE),),
        charts=(Chart("wires", "Wires", "x", "y", (Curve("a", line, line),)),),
        pictures=(Picture("wires", "A wire", np.zeros((4, 6), np.uint8)),),
        tables=(Table("wires", "Counts", ("a",), ((HOSTILE,),)),),
        facts={"scanner": {"name": HOSTILE}},
    )


def write(folder: Path, *subjects: Subject) -> tuple[bool, dict[str, Any], str]:
    """Return the verdict, the JSON and the page."""
    good = write_report(folder, subjects, LIMITS, NOW)
    data = json.loads((folder / JSON_FILE).read_text("utf-8"))
    return good, data, (folder / PAGE_FILE).read_text("utf-8")


def test_the_json_keeps_its_form(tmp_path: Path) -> None:
    """Daily checks rely on these keys; a change of them is a change of the schema."""
    good, data, _ = write(tmp_path, preset())
    assert good
    assert list(data) == ["schema", "nii", "made_at", "note", "passed", "subjects"]
    assert data["schema"] == SCHEMA == "nii-quality-1"
    assert data["made_at"] == "2026-11-22T12:00:00+00:00"
    (subject,) = data["subjects"]
    assert list(subject) == ["name", "kind", "passed", "failure", "measurements", "facts"]
    assert subject["measurements"] == [
        {
            "test": "wires",
            "key": "wire_air_mm",
            "value": 1.0,
            "unit": "mm",
            "note": HOSTILE,
            "limit": {"at_least": None, "at_most": 2.0, "source": "assumption"},
            "passed": True,
        }
    ]


def test_one_failure_fails_the_report(tmp_path: Path) -> None:
    """A figure beyond its limit, none at all, or an unreadable scan: not all passed."""
    for number, bad in enumerate((preset(3.0), preset(None), Subject("s", "scan", failure="cut"))):
        good, data, page = write(tmp_path / str(number), preset(), bad)
        assert not good
        assert data["passed"] is False
        assert "1 of 2 passed" in page
        assert 'class="fail"' in page


def test_the_page_needs_nothing_and_runs_nothing(tmp_path: Path) -> None:
    """Hostile texts stay texts, no address leads outside, tags are balanced."""
    _, _, page = write(tmp_path, preset())
    assert "<img src=x" not in page
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert "http" not in page.replace("http-equiv", "")
    assert "In the style of ANSI N42.46" in page
    assert "default-src 'none'" in page

    class Balance(HTMLParser):
        open: list[str]

        def handle_starttag(self, tag: str, _attributes: list[tuple[str, str | None]]) -> None:
            if tag not in {"meta", "img", "br"}:
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    parser = Balance()
    parser.open = []
    parser.feed(page)
    assert not parser.open


def test_no_half_files_remain(tmp_path: Path) -> None:
    """Only the two files are in the folder, also when written twice."""
    for _ in range(2):
        write(tmp_path, preset())
    assert sorted(path.name for path in tmp_path.iterdir()) == [PAGE_FILE, JSON_FILE]
