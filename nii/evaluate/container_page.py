"""The parts of the page that are about containers: strata, worth of alarms, promises, the map."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby

import numpy as np

from nii.evaluate import curves
from nii.evaluate.alarms import Reliability, Worth
from nii.evaluate.detectability import DetectabilityMap, picture, range_in_words
from nii.evaluate.drawing import Axes, Line, chart
from nii.evaluate.elements import decade_range, limits, number, section, table
from nii.evaluate.guarantee import NOT_COVERED, Promise
from nii.evaluate.metrics import CONTAINER_RATES, Evidence
from nii.evaluate.strata import Share, StratumResult
from nii.evaluate.summary import ContainerResult, PixelResult

_CURVE_COLOUR = (11, 92, 142)
_DIAGONAL_COLOUR = (150, 158, 166)
_OPEN_KINDS = ("all", "class", "areal density behind")
"""Kinds of strata that are shown at once; the others open on a click."""
_KIND_TITLES = {"all": "all together"}
_WHOLE_PERCENT = 0.1
"""From here on percentages are rounded to whole ones."""
_PERCENT = tuple(f"{100 * rate:g} %" for rate in CONTAINER_RATES)
_ONE_PERCENT = CONTAINER_RATES.index(0.01)


def container_sections(result: ContainerResult | None) -> str:
    """Return the sections about containers; empty where none is labelled."""
    if result is None:
        return ""
    parts = [
        _strata(result),
        _worth(result.worth),
        _honesty(result),
        _promises(result.promises),
        _map(result.detectability),
    ]
    return "\n".join(part for part in parts if part)


def container_curves(evidence: Evidence) -> list[tuple[str, str]]:
    """Return titles and pictures of the curves with containers as cases."""
    cases = evidence.containers.table
    figures = []
    free, shares = curves.froc(cases), container_curve(evidence)
    if len(free.x):
        axes = Axes(
            "false alarms per container", "P_d", *decade_range(free.x, 1.0), logarithmic=True
        )
        lines = [Line("threats in containers", _CURVE_COLOUR, free.x, free.p_d, steps=True)]
        figures.append(("Free response (FROC) in containers", chart(axes, lines)))
    if len(shares.x):
        low, _ = decade_range(shares.x, 1.0)
        axes = Axes("share of benign containers alarmed", "container P_d", low, 1.0, True)  # noqa: FBT003
        lines = [Line("containers", _CURVE_COLOUR, shares.x, shares.p_d, steps=True)]
        figures.append(("Containers stopped against alarms", chart(axes, lines)))
    return figures


def container_curve(evidence: Evidence) -> curves.Curve:
    """Return container P_d against the share of benign containers alarmed."""
    table_ = evidence.containers.table
    guilty = np.flatnonzero(~table_.benign)
    if not len(guilty) or not table_.benign.any():
        return curves.Curve(np.zeros(0), np.zeros(0), np.zeros(0))
    best = np.full(table_.scans, curves.NEVER)
    np.maximum.at(best, table_.threat_scan, table_.found_score)
    harmless = np.sort(table_.top_score[table_.benign])
    found = np.sort(best[guilty])
    both = np.concatenate([harmless, found])
    threshold = np.unique(both[both > curves.NEVER])[::-1]

    def share(rising: np.ndarray) -> np.ndarray:
        reached = len(rising) - np.searchsorted(rising, threshold, side="left")
        return np.asarray(reached / len(rising))

    return curves.Curve(threshold, share(harmless), share(found))


def pixel_note(result: PixelResult | None) -> str:
    """Return the section about pixels."""
    if result is None:
        return ""
    if result.auroc is None:
        return section("Pixels", f'<p class="quiet">{escape(result.note)}</p>')
    text = (
        f"<p>AUROC {number(result.auroc)}, AUPRO (up to 30 % of the other pixels) "
        f'{number(result.aupro)}, over {result.regions} threats.</p><p class="quiet">'
        f"{escape(result.note)}</p>"
    )
    return section("Pixels", text)


def _strata(result: ContainerResult) -> str:
    least = result.least_share
    shown = f"{100 * least:.2g} % is the smallest rate they can show" if least else "no rate"
    note = (
        f'<p class="quiet">{result.threats} threats in {result.containers} containers; '
        f"{result.benign} benign containers: {shown}; at a smaller one the numbers are measured "
        "without any alarm. Share of threats found with so many of all benign containers alarmed, "
        "95 % interval below it. The bars are those of the whole set.</p>"
    )
    parts = []
    for kind, rows in groupby(result.strata, lambda row: row.kind):
        opened = " open" if kind in _OPEN_KINDS else ""
        parts.append(
            f"<details{opened}><summary>{escape(_KIND_TITLES.get(kind, f'by {kind}'))}</summary>"
            f"{_stratum_table(tuple(rows))}</details>"
        )
    return section("Threats found in containers, part by part", note + "".join(parts))


def _stratum_table(rows: Sequence[StratumResult]) -> str:
    alarms = any(row.p_fa for row in rows)
    head = ("", "threats (scans)", *_PERCENT, "AP50", *(("alarmed at 1 %",) if alarms else ()))
    cells = []
    for row in rows:
        alarmed = ""
        if alarms:
            alarmed = _counted(row.p_fa[_ONE_PERCENT]) if row.p_fa else "<td></td>"
        cells.append(
            f'<td>{escape(row.name)}</td><td class="plain">{row.threats} ({row.scans})</td>'
            + "".join(_value(share) for share in row.p_d)
            + f'<td class="plain">{number(row.ap50)}</td>{alarmed}'
        )
    return table(head, cells)


def _value(share: Share) -> str:
    if share.counts.value is None:
        return '<td class="plain">–</td>'
    low_high = f"{share.interval.low:.2f}–{share.interval.high:.2f}" if share.interval else ""
    return f'<td class="plain"><b>{share.counts.value:.2f}</b><br><small>{low_high}</small></td>'


def _counted(share: Share) -> str:
    return f'<td class="plain">{share.counts.successes} of {share.counts.trials}</td>'


def _worth(rows: Sequence[Worth]) -> str:
    if not rows:
        return ""
    head = (
        "one container in … holds a threat",
        "budget",
        "alarmed",
        "P_d",
        "PPV",
        "95 %",
        "at least",
    )
    cells = [
        f'<td class="plain">{1 / row.prevalence:,.0f}</td>'
        f'<td class="plain">{100 * row.budget:g} %</td>'
        f'<td class="plain">{100 * row.alarms:.2f} %</td><td class="plain">{row.p_d:.2f}</td>'
        f'<td class="number">{_per_cent(row.ppv)}</td>'
        f'<td class="plain">{_per_cent_limits(row)}</td>'
        f'<td class="plain">{_per_cent(row.at_least)}</td>'
        for row in rows
    ]
    note = (
        '<p class="quiet">Of the containers that are stopped within the budget, the share that is '
        "stopped for a threat. What the prevalence is at a border is an assumption; the set "
        "itself holds far more threats. Without any benign container alarmed here no PPV is "
        "given: that shows no rate. At least: with the benign alarm rate at its exact upper limit "
        "(95 %, one-sided).</p>"
    )
    return section("What an alarm is worth (PPV)", note + table(head, cells))


def _per_cent(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{100 * value:.0f} %" if value >= _WHOLE_PERCENT else f"{100 * value:.2g} %"


def _per_cent_limits(row: Worth) -> str:
    interval = row.interval
    return f"{_per_cent(interval.low)} to {_per_cent(interval.high)}" if interval else ""


def _honesty(result: ContainerResult) -> str:
    whole = result.reliability.get("all")
    if whole is None:
        return ""
    rows = [
        f'<td>{escape(name)}</td><td class="number">{number(one.ece)}</td>'
        f'<td class="plain">{limits(one.interval)}</td>'
        f'<td class="plain">{sum(part.right.trials for part in one.bins)}</td>'
        for name, one in result.reliability.items()
    ]
    figure = f'<div class="charts"><div>{_diagram(whole)}</div>'
    note = (
        '<p class="quiet">Of the threat detections with a score near s, the share that hits a '
        "threat; scores are honest on the diagonal. It holds for as many threats as this set "
        "has. The error is the mean distance from the diagonal, weighted by number.</p>"
    )
    right = f"<div>{table(('', 'error', '95 %', 'detections'), rows)}</div></div>"
    return section("How honest the scores are", note + figure + right)


def _diagram(found: Reliability) -> str:
    x = np.asarray([row.mean_score for row in found.bins])
    y = np.asarray([row.right.value or 0.0 for row in found.bins])
    low, high = (
        np.asarray([getattr(row.interval, side) if row.interval else np.nan for row in found.bins])
        for side in ("low", "high")
    )
    pale = (150, 190, 215)
    lines = [
        Line("honest", _DIAGONAL_COLOUR, np.asarray([0.0, 1.0]), np.asarray([0.0, 1.0])),
        Line("95 % limits", pale, x, low),
        Line("95 % limits", pale, x, high, quiet=True),
        Line("measured", _CURVE_COLOUR, x, y),
    ]
    return chart(Axes("score", "share that hits a threat"), lines)


def _promises(rows: Sequence[Promise]) -> str:
    if not rows:
        return ""
    spoken = [f"<li>{escape(text)}</li>" for text in _best_sentences(rows)]
    cells = [
        f"<td>{escape(row.class_name)}</td>"
        f'<td class="plain">{"any" if row.up_to_g_per_cm2 is None else f"{row.up_to_g_per_cm2:g}"}'
        f'</td><td class="plain">{row.counts.successes} of {row.counts.trials}</td>'
        f'<td class="number">{number(row.at_least)}</td>'
        for row in rows
    ]
    head = ("class", "load up to g/cm²", "flagged", "at least")
    limits_ = "".join(f"<li>{escape(text)}</li>" for text in NOT_COVERED)
    return section(
        "What this set proves about the look thresholds",
        '<p class="quiet">All rows hold together with 95 % confidence. One threat of each scan '
        "counts, found by its own class. It presumes that the thresholds and the model were fixed "
        f"before this set was seen.</p><ul>{''.join(spoken)}</ul>"
        f"<details><summary>every class and load</summary>{table(head, cells)}</details>"
        f"<details><summary>not covered</summary><ul>{limits_}</ul></details>",
    )


def _best_sentences(rows: Sequence[Promise]) -> list[str]:
    """Return for each class the sentence with the highest share; with none, why."""
    sentences = []
    for _, group in groupby(rows, lambda row: row.class_name):
        mine = list(group)
        sentences.append(max(mine, key=lambda row: row.at_least or 0.0).text)
    return sentences


def _map(found: DetectabilityMap | None) -> str:
    if found is None:
        return ""
    rows = [
        f"<td>{escape(load)}</td>"
        f'<td class="number">{escape(range_in_words(found, load))}</td>'
        f"<td>{escape(found.notes[load])}</td>"
        for load in found.loads
    ]
    note = (
        '<p class="quiet">Found of all threats of that size and load at the look thresholds, one '
        f"of each scan. Framed: P_d of {found.target_p_d:g} is proven with "
        f"{100 * found.confidence:g} % confidence, from the largest size down that has threats "
        "enough for a proof.</p>"
    )
    head = ("areal density behind", "sizes shown", "what limits it")
    return section(
        "Detectability map", f'{note}<div class="map">{picture(found)}</div>{table(head, rows)}'
    )
