"""The report as one HTML page that works without a network and without scripts.

Every text that comes from a file is escaped; pictures and style stand inside the page, and its
content security policy lets nothing be loaded from anywhere else.
"""

from __future__ import annotations

from html import escape
from typing import get_args

from nii import taxonomy
from nii.evaluate import curves
from nii.evaluate.average_precision import RECALLS
from nii.evaluate.compare import Comparison, Difference
from nii.evaluate.container_page import container_curves, container_sections, pixel_note
from nii.evaluate.drawing import Axes, Line, chart
from nii.evaluate.elements import decade_range, limits, number, section, share, table, whole_page
from nii.evaluate.examples import Example, Gallery, Kind
from nii.evaluate.load import LoadTable
from nii.evaluate.metrics import METRICS, Estimate, Evidence, Group
from nii.evaluate.summary import EvaluationResult

_NAMES: dict[Group, str] = {"threat": "Threats", "structure": "Containers and vehicles"}
_KINDS: dict[Kind, str] = {"miss": "Worst misses", "false alarm": "Worst false alarms"}
_CURVE_COLOUR = (11, 92, 142)
_TILES = (
    "container_p_d_at_1_percent_of_containers",
    "inside_p_d_at_5_percent_of_containers",
    "container_p_fa_at_look",
    "structure_ap50",
)
_TILES_OF_SCANS = ("p_d_at_look", "p_fa_at_look", "p_d_at_0.1_fa_per_scan", "structure_ap50")
"""Where no container is labelled."""
_DEFINITIONS = (
    (
        "Threat found",
        (
            "A detection of any threat class hits the threat: IoU of 0.1 or more, or its middle "
            "lies inside. One detection may hit several threats and several may hit one."
        ),
    ),
    ("False alarm", "A threat detection that hits nothing. Scans with and without threats count."),
    (
        "P_d, scan P_d",
        "Share of threats found; share of scans with threats in which at least one is found.",
    ),
    ("P_fa", "Share of benign scans (without any threat) in which there is at least one alarm."),
    (
        "Containers",
        (
            "Each labelled container is one case. A threat belongs to the container its middle "
            "lies in; an alarm counts where its middle lies inside. Container P_d: share of the "
            "containers with threats in which one is found. Benign containers give the rate."
        ),
    ),
    (
        "P_d at a rate",
        (
            "P_d just above the score of the first false alarm that would be one too many. Nothing "
            "is interpolated."
        ),
    ),
    (
        "AP50, mAP50:95",
        (
            "COCO protocol: same class, one detection for each object, 101 recalls, at most 100 "
            "detections of a class in one scan; at IoU 0.5, and mean over IoU 0.50 to 0.95."
        ),
    ),
    (
        "Intervals",
        (
            "95 %. Shares of scans at a fixed threshold: Clopper-Pearson, exact. Other shares: the "
            "wider of Clopper-Pearson and the bootstrap over scans. The rest: bootstrap over scans."
        ),
    ),
)


def page(result: EvaluationResult, evidence: Evidence, gallery: Gallery) -> str:
    """Return the whole page."""
    body = [
        _head(result),
        _tiles(result),
        *(_numbers(result, group) for group in get_args(Group)),
        _curves(evidence),
        _classes(result),
        container_sections(result.containers),
        _strata(result),
        pixel_note(result.pixels),
        _load(result),
        *(_examples(gallery, kind, group) for group in get_args(Group) for kind in _KINDS),
        _failures(result),
        _definitions(),
        _origin(result),
    ]
    return whole_page(f"Evaluation of {result.model}", body)


def comparison_page(comparison: Comparison) -> str:
    """Return the page that compares two models."""
    names = [escape(side[0]) for side in (comparison.first, comparison.second)]
    sides = (side[0] for side in (comparison.first, comparison.second))
    head = ("", *sides, "difference", "95 %\u00a0interval")
    body = [
        (
            f"<header><h1>{names[0]} against {names[1]}</h1><p>{comparison.scans} scans of "
            f"{escape(comparison.data)}, the same for both. "
            f'<a href="index.html">Report of {names[0]}</a>, '
            f'<a href="against/index.html">report of {names[1]}</a>.</p>'
            '<p class="quiet">Paired bootstrap over scans: each resample draws the same scans for '
            "both. Coloured where the interval of the difference does not hold zero; with many "
            "rows one in twenty is so by chance.</p></header>"
        ),
        section(
            "All figures", table((*head, ""), [_row(row) for row in comparison.metrics.values()])
        ),
        section(
            "P_d of threats in containers, part by part",
            table((*head, ""), [_row(row) for row in comparison.strata]),
        ),
    ]
    return whole_page(f"{comparison.first[0]} against {comparison.second[0]}", body)


def _row(row: Difference) -> str:
    kind = row.verdict if row.verdict != "not decided" else "plain"
    interval = f"{row.interval.low:+.3f} to {row.interval.high:+.3f}" if row.interval else ""
    return (
        f'<td>{escape(row.label)}</td><td class="plain">{row.first:.3f}</td>'
        f'<td class="plain">{row.second:.3f}</td><td class="{kind}">{row.difference:+.3f}</td>'
        f'<td class="plain">{interval}</td><td class="{kind}">{row.verdict}</td>'
    )


def _head(result: EvaluationResult) -> str:
    counts = result.counts
    facts = (
        ("truth", result.data),
        ("scans", f"{counts['scans']}, of which {counts['benign_scans']} without any threat"),
        ("objects", f"{counts['threats']} threats, {counts['structures']} containers and vehicles"),
        ("not readable", str(counts["failures"])),
        ("ran on", ", ".join(str(item) for item in result.provider.get("used", ())) or "unknown"),
    )
    warnings = "".join(f'<p class="warning">{escape(text)}</p>' for text in result.warnings)
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts)
    return (
        f"<header><h1>Evaluation of {escape(result.model)}</h1>"
        f'<dl class="facts">{rows}</dl>{warnings}</header>'
    )


def _tiles(result: EvaluationResult) -> str:
    names = _TILES_OF_SCANS if result.containers is None else _TILES
    shown = [result.estimates[name] for name in names]
    tiles = [
        f'<section class="card tile"><small>{escape(row.label)}</small>'
        f"<strong>{number(row.value)}</strong>"
        f"<small>{escape(limits(row.interval) or row.note)}</small></section>"
        for row in shown
        if row.value is not None
    ]
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _numbers(result: EvaluationResult, group: Group) -> str:
    rows = [result.estimates[name] for name, metric in METRICS.items() if metric.group == group]
    if all(row.value is None for row in rows):
        notes = sorted({row.note for row in rows})
        return section(_NAMES[group], f'<p class="quiet">{escape("; ".join(notes))}</p>')
    return section(
        _NAMES[group],
        table(("metric", "value", "95 % interval", "count", ""), [_estimate(row) for row in rows]),
    )


def _estimate(row: Estimate) -> str:
    counts = f"{row.counts.successes} of {row.counts.trials}" if row.counts else ""
    method = f"interval: {row.interval.method}" if row.interval else ""
    return (
        f'<td>{escape(row.label)}</td><td class="number">{number(row.value)}</td>'
        f'<td class="plain" title="{escape(method, quote=True)}">{limits(row.interval)}</td>'
        f'<td class="plain">{counts}</td><td><small>{escape(row.note)}</small></td>'
    )


def _curves(evidence: Evidence) -> str:
    figures = []
    free = curves.froc(evidence.threats)
    if len(free.x):
        axes = Axes("false alarms per scan", "P_d", *decade_range(free.x, 1.0), logarithmic=True)
        lines = [Line("all threats", _CURVE_COLOUR, free.x, free.p_d, steps=True)]
        figures.append(("Free response (FROC)", chart(axes, lines)))
    per_scan = curves.p_d_against_p_fa(evidence.threats)
    if len(per_scan.x):
        low, _ = decade_range(per_scan.x, 1.0)
        axes = Axes("P_fa (share of benign scans alarmed)", "P_d", low, 1.0, logarithmic=True)
        lines = [Line("all threats", _CURVE_COLOUR, per_scan.x, per_scan.p_d, steps=True)]
        figures.append(("P_d against P_fa", chart(axes, lines)))
    figures += container_curves(evidence)
    for group in get_args(Group):
        lines = [
            Line(f"{kind.name} (AP50 {number(found.ap50)})", kind.colour, RECALLS, found.precision)
            for kind in (taxonomy.classes()[row] for row in evidence.ids_of(group))
            if (found := evidence.precision[kind.class_id]).ap50 is not None
        ]
        if lines:
            title = f"Precision and recall at IoU 0.5: {_NAMES[group].lower()}"
            figures.append((title, chart(Axes("recall", "precision"), lines)))
    cards = [
        f'<figure class="card"><h3>{escape(title)}</h3>{picture}</figure>'
        for title, picture in figures
    ]
    return section("Curves", f'<div class="charts">{"".join(cards)}</div>', plain=True)


def _classes(result: EvaluationResult) -> str:
    head = ("class", "objects", "detections", "AP50", "95 % interval", "mAP50:95", "95 % interval")
    rows = [
        f'<td>{escape(row.name)}</td><td class="plain">{row.truths}</td>'
        f'<td class="plain">{row.detections}</td><td class="number">{number(row.ap50.value)}</td>'
        f'<td class="plain">{limits(row.ap50.interval)}</td>'
        f'<td class="number">{number(row.map50_95.value)}</td>'
        f'<td class="plain">{limits(row.map50_95.interval)}</td>'
        for row in result.classes
    ]
    return section("Average precision by class", table(head, rows))


def _strata(result: EvaluationResult) -> str:
    if not result.strata:
        return ""
    head = ("stratum", "P_d at look", "95 %", "count", "P_d at 0.1 FA/scan", "95 %", "count")
    rows = [
        f"<td>{escape(row.name)}</td>"
        + share(row.at_look, row.at_look_interval)
        + share(row.at_rate, row.at_rate_interval)
        for row in result.strata
    ]
    note = (
        '<p class="quiet">Thresholds are those of the whole set. Areal density behind is what the '
        "beam passes beside the threat itself. The intervals take threats as independent.</p>"
    )
    return section("Threats found by class and by what lies behind", note + table(head, rows))


def _load(result: EvaluationResult) -> str:
    if result.load is None:
        return ""
    told = any(row.exact.trials for row in result.load.rows)
    head = ("labelled as", "called rightly", "95 %", "count")
    rows = [
        f"<td>{escape(row.state)}</td>"
        + share(row.right, row.interval)
        + (share(row.exact, row.exact_interval) if told else "")
        + f'<td class="plain">{row.not_found}</td>'
        for row in result.load.rows
    ]
    exact = (*(("exactly", "95 %", "count") if told else ()), "not found")
    note = (
        '<p class="quiet">Of the containers that were found. Rightly: empty or loaded, where what '
        f"is not empty is loaded; balanced accuracy {number(result.load.balanced_accuracy)}. "
        f"{_exactly(result.load)}</p>"
    )
    return section("Empty, partly filled or full", note + table((*head, *exact), rows))


def _exactly(load: LoadTable) -> str:
    if not any(row.exact.trials for row in load.rows):
        return "This model does not tell partly filled containers from full ones."
    return (
        "Exactly: empty, partly filled or full; balanced accuracy "
        f"{number(load.exact_accuracy)}, of partly filled against full alone "
        f"{number(load.filling_accuracy)}."
    )


def _examples(gallery: Gallery, kind: Kind, group: Group) -> str:
    examples = gallery.worst(kind, group)
    if not examples:
        return ""
    title = f"{_KINDS[kind]}: {_NAMES[group].lower()}"
    note = (
        '<p class="quiet">Solid blue: truth. Dashed orange: reported at the thresholds of the '
        "card. The thicker outline is the case itself. Select a picture to enlarge it.</p>"
    )
    pictures = "".join(_figure(example) for example in examples)
    return section(title, f'{note}<div class="gallery">{pictures}</div>', plain=True)


def _figure(example: Example) -> str:
    case = example.case
    words = f"{case.kind}: {case.class_name} in {case.scan}"
    score = "no detection points at it" if case.score is None else f"best score {case.score:.3f}"
    if case.kind == "false alarm":
        score = f"score {case.score:.3f}"
    return (
        '<figure class="card"><label><input type="checkbox">'
        f'<img src="{example.data_uri}" alt="{escape(words, quote=True)}"></label>'
        f"<figcaption><b>{escape(case.class_name)}</b>, {score}<br>{escape(case.scan)}</figcaption>"
        "</figure>"
    )


def _failures(result: EvaluationResult) -> str:
    if not result.failures:
        return ""
    rows = [f"<td>{escape(row.scan)}</td><td>{escape(row.reason)}</td>" for row in result.failures]
    return section("Scans that could not be evaluated", table(("scan", "reason"), rows))


def _definitions() -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in _DEFINITIONS)
    return section("How it was counted", f'<dl class="facts">{rows}</dl>')


def _origin(result: EvaluationResult) -> str:
    facts = (
        ("bundle SHA-256", result.bundle_sha256),
        ("truth SHA-256", result.data_sha256),
        *((str(name), str(value)) for name, value in result.settings.items()),
    )
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts)
    return section("Made from", f'<dl class="facts">{rows}</dl>')
