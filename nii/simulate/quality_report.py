"""The image quality report: one page for people, one JSON file for daily checks.

The page works without a network and without scripts: pictures, curves and style stand inside, and
its content security policy lets nothing be loaded. Every text from a file is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import nii
from nii.formats.files import save
from nii.simulate.quality import LIVE_TESTS, TESTS, Kind, Measurement, Subject
from nii.simulate.quality_drawing import chart, data_address
from nii.simulate.quality_limits import Limits, Verdict, judge, passed

PAGE_FILE = "quality.html"
JSON_FILE = "quality.json"
SCHEMA = "nii-quality-1"
"""Name of the form of the JSON file; it changes only where a reader would have to."""
STYLE_OF_STANDARDS = (
    "In the style of ANSI N42.46 and IEC 62523: objects, sizes and scores are those of nii, and "
    "nothing here shows conformity to a standard."
)
_KINDS: dict[Kind, str] = {
    "preset": "simulated scanner",
    "scan": "transmission scan",
    "display": "display image: grey values, not transmission",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """Hold one subject with its verdicts."""

    subject: Subject
    verdicts: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        """Tell whether nothing is against it."""
        return passed(self.subject, self.verdicts)


def write_report(
    folder: Path, subjects: Sequence[Subject], limits: Limits, made_at: datetime
) -> bool:
    """Judge all subjects, write page and JSON, and tell whether all passed.

    Args:
        folder: where the files go; made if it is not there.
        subjects: presets and scans that were measured.
        limits: what passes.
        made_at: time of the report, with time zone.
    """
    judged = [Judged(subject, judge(subject, limits)) for subject in subjects]
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(to_dict(judged, made_at), indent=1, ensure_ascii=False, allow_nan=False)
    save(folder / JSON_FILE, (text + "\n").encode())
    save(folder / PAGE_FILE, page(judged, made_at).encode())
    return all(one.passed for one in judged)


def to_dict(judged: Sequence[Judged], made_at: datetime) -> dict[str, Any]:
    """Return the report as plain JSON types; keys and order are stable."""
    return {
        "schema": SCHEMA,
        "nii": nii.__version__,
        "made_at": made_at.isoformat(),
        "note": STYLE_OF_STANDARDS,
        "passed": all(one.passed for one in judged),
        "subjects": [
            {
                "name": one.subject.name,
                "kind": one.subject.kind,
                "passed": one.passed,
                "failure": one.subject.failure,
                "measurements": [_measurement(verdict) for verdict in one.verdicts],
                "facts": one.subject.facts,
            }
            for one in judged
        ],
    }


def _measurement(verdict: Verdict) -> dict[str, Any]:
    figure, limit = verdict.measurement, verdict.limit
    return {
        "test": figure.test,
        "key": figure.key,
        "value": figure.value,
        "unit": figure.unit,
        "note": figure.note,
        "limit": None
        if limit is None
        else {"at_least": limit.at_least, "at_most": limit.at_most, "source": limit.source},
        "passed": verdict.passed,
    }


def page(judged: Sequence[Judged], made_at: datetime) -> str:
    """Return the whole page."""
    style = files("nii.simulate").joinpath("quality.css").read_text("utf-8")
    body = "\n".join([_head(judged, made_at), *(_subject(k, one) for k, one in enumerate(judged))])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Image quality</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _head(judged: Sequence[Judged], made_at: datetime) -> str:
    rows = [
        f'<td><a href="#s{k}">{escape(one.subject.name)}</a></td>'
        f"<td>{escape(_KINDS[one.subject.kind])}</td><td>{_mark(one.passed)}</td>"
        f"<td>{escape(one.subject.failure or _against(one))}</td>"
        for k, one in enumerate(judged)
    ]
    good = sum(one.passed for one in judged)
    return (
        f"<header><h1>Image quality: {good} of {len(judged)} passed</h1>"
        f'<p class="quiet">{made_at:%Y-%m-%d %H:%M %Z}, nii {escape(nii.__version__)}. '
        f"{escape(STYLE_OF_STANDARDS)}</p></header>"
        f'<section class="card">{_table(("subject", "kind", "", "against it"), rows)}</section>'
    )


def _against(one: Judged) -> str:
    labels = [verdict.measurement.label for verdict in one.verdicts if verdict.passed is False]
    return "; ".join(labels)


def _subject(index: int, one: Judged) -> str:
    subject = one.subject
    tests = TESTS if subject.kind == "preset" else LIVE_TESTS
    head = f'<h2 id="s{index}">{escape(subject.name)} {_mark(one.passed)}</h2>'
    head += f'<p class="quiet">{escape(_KINDS[subject.kind])}</p>'
    if subject.failure:
        return f'{head}<section class="card">{escape(subject.failure)}</section>'
    parts = [head, *(_test(test, one) for test in tests)]
    facts = json.dumps(subject.facts, indent=1, ensure_ascii=False)
    parts.append(f"<details><summary>Settings</summary><pre>{escape(facts)}</pre></details>")
    return "\n".join(parts)


def _test(test: str, one: Judged) -> str:
    subject = one.subject
    rows = [_row(verdict) for verdict in one.verdicts if verdict.measurement.test == test]
    charts = [
        f'<figure class="card"><h4>{escape(drawn.title)}</h4>{chart(drawn)}</figure>'
        for drawn in subject.charts
        if drawn.test == test
    ]
    pictures = [
        f'<figure class="card"><img src="{data_address(picture)}" '
        f'alt="{escape(picture.title, quote=True)}">'
        f"<figcaption>{escape(picture.title)}</figcaption></figure>"
        for picture in subject.pictures
        if picture.test == test
    ]
    tables = [
        f"<details><summary>{escape(table.title)}</summary>"
        f'<section class="card">{_table(table.head, [_cells(row) for row in table.rows])}</section>'
        "</details>"
        for table in subject.tables
        if table.test == test
    ]
    head = ("figure", "value", "limit", "", "how to read it")
    return (
        f'<h3>{test.capitalize()}</h3><section class="card">{_table(head, rows)}</section>'
        f'<div class="charts">{"".join(charts)}</div>{"".join(tables)}'
        f'<div class="pictures">{"".join(pictures)}</div>'
    )


def _row(verdict: Verdict) -> str:
    figure, limit = verdict.measurement, verdict.limit
    source = escape(limit.source, quote=True) if limit else ""
    asked = f'<td title="{source}">{escape(str(limit)) if limit else ""}' + (
        f"<br><small>{source}</small></td>" if limit else "</td>"
    )
    return (
        f'<td>{escape(figure.label)}</td><td class="number">{_value(figure)}</td>{asked}'
        f"<td>{_mark(verdict.passed)}</td><td><small>{escape(figure.note)}</small></td>"
    )


def _value(figure: Measurement) -> str:
    return "–" if figure.value is None else escape(f"{figure.value:.3g} {figure.unit}".strip())


def _mark(verdict: bool | None) -> str:  # noqa: FBT001 - a verdict is what this is about
    if verdict is None:
        return '<span class="none">–</span>'
    return '<span class="pass">pass</span>' if verdict else '<span class="fail">fail</span>'


def _cells(row: Sequence[str]) -> str:
    return "".join(f"<td>{escape(cell)}</td>" for cell in row)


def _table(head: Sequence[str], rows: Sequence[str]) -> str:
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{titles}</tr>{body}</table></div>'
