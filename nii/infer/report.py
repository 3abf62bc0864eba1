"""Report: one HTML page for an officer that opens without a network, most urgent scan first.

Everything stands inside the page: style, script, pictures. Its content security policy lets nothing
be loaded from elsewhere, and every text that comes from a file is escaped. Pictures are reduced to
1,600 pixels and stop when the page reaches a limit; the full pictures lie beside it.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import nii
from nii.formats.files import save
from nii.infer import pictures
from nii.infer.batch import Inspected
from nii.infer.results import INSPECTION_SUFFIX, OVERLAY_SUFFIX, Failure
from nii.inspection import (
    Inspection,
    ModelFacts,
    ProviderFacts,
    Region,
    ScanFacts,
    Structure,
)
from nii.scan import Grey

REPORT_FILE = "index.html"
_LIMIT_BYTES = 48 << 20
"""Size of all pictures of a page: assumption; browsers open such a page in a few seconds."""
_CLEAR_PX = 1000
"""Longest side of the picture of a scan in which nothing was found."""
_MOST_CROPS = 24
"""Most crops of one scan; the table lists all regions."""
_MOST_OPEN = 3
"""Most failures whose reasons are shown at once."""
_SHORT = 12
_ADVICE = {"search": "search", "look": "look", "clear": "nothing found", "failed": "not inspected"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One scan in the report: what was found, and its pictures as finished markup.

    Attributes:
        stem: name that the result files start with.
        inspection: what was found.
        overview: the whole scan as SVG.
        crops: the regions as figures.
        attention: the anomaly map over the scan; empty where the model has none.
    """

    stem: str
    inspection: Inspection
    overview: str
    crops: str
    attention: str = ""

    @property
    def bytes(self) -> int:
        """Return the size of the pictures."""
        return len(self.overview) + len(self.crops) + len(self.attention)


def entry_of(done: Inspected) -> Entry:
    """Return what the report keeps of a scan, so that the scan itself can be forgotten."""
    inspection = done.inspection
    longest = pictures.OVERVIEW_PX if inspection.regions else _CLEAR_PX
    overview = pictures.overview_svg(inspection, pictures.jpeg_uri(done.grey, longest))
    digest = hashlib.sha256(done.stem.encode(errors="replace")).hexdigest()[:_SHORT]
    crops = []
    for region in inspection.regions[:_MOST_CROPS]:
        crop = pictures.crop_of(done.scan, region)
        crops.append(
            _figure(region, pictures.crop_svgs(crop, region, f"c{digest}-{region.number}"))
        )
    return Entry(done.stem, inspection, overview, "".join(crops), _attention(done))


def _attention(done: Inspected) -> str:
    """Return the anomaly map over the scan, closed until someone asks for it."""
    odd = done.inspection.anomaly
    if done.anomaly is None or odd is None:
        return ""
    uri = pictures.tinted_uri(done.grey, done.anomaly)
    return (
        f"<details><summary><small>where to look first: map of anomalies of any kind, score "
        f"{odd.score:.2f}; it raises no alarm</small></summary>"
        f'<img src="{uri}" alt="map of anomalies" style="width:100%"></details>'
    )


def write_report(
    out: Path, entries: Sequence[Entry], failures: Sequence[Failure], made_at: datetime
) -> Path:
    """Write the report about a batch and return its path.

    Raises:
        OSError: the folder cannot be written to.
    """
    path = out / REPORT_FILE
    save(path, page(entries, failures, made_at).encode("utf-8", "replace"))
    return path


def page(entries: Sequence[Entry], failures: Sequence[Failure], made_at: datetime) -> str:
    """Return the whole page."""
    folder = files("nii.infer")
    style = folder.joinpath("report.css").read_text("utf-8")
    script = folder.joinpath("report.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    ordered = sorted(entries, key=_urgency)
    cards, left = [], _LIMIT_BYTES
    for number, entry in enumerate(ordered):
        shown = entry.bytes <= left
        left -= entry.bytes if shown else 0
        cards.append(_card(entry, shown=shown, opened=number == 0))
    body = "\n".join(
        [_head(entries, made_at), _bar(entries, failures), *_failed(failures), *cards, _help()]
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        f"img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>nii: {len(entries)} scans</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<main>\n{body}\n</main>\n<script>{script}</script>\n</body>\n</html>\n"
    )


def _urgency(entry: Entry) -> tuple[int, float, str]:
    best = max((region.score for region in entry.inspection.regions), default=0.0)
    return -entry.inspection.level.rank, -best, entry.stem


def _head(entries: Sequence[Entry], made_at: datetime) -> str:
    models = dict.fromkeys(_model(entry.inspection.model) for entry in entries)
    hardware = dict.fromkeys(_provider(entry.inspection.provider) for entry in entries)
    rows = [("made", f"{made_at:%Y-%m-%d %H:%M %Z} by nii {nii.__version__}")]
    rows += [("model", text) for text in models] + [("ran on", text) for text in hardware]
    return f"<header><h1>Inspection of cargo scans</h1>{_facts(rows)}</header>"


def _bar(entries: Sequence[Entry], failures: Sequence[Failure]) -> str:
    count = Counter(str(entry.inspection.level) for entry in entries)
    count["failed"] = len(failures)
    buttons = "".join(
        f'<button class="{level}" data-level="{level}" aria-pressed="true" '
        f'title="show or hide these scans"><b>{count[level]}</b>{advice}</button>'
        for level, advice in _ADVICE.items()
    )
    return (
        f'<div class="bar">{buttons}<label><input type="checkbox" id="outlines" checked> '
        "outlines <kbd>H</kbd></label></div>"
    )


def _failed(failures: Sequence[Failure]) -> list[str]:
    opened = " open" if len(failures) <= _MOST_OPEN else ""
    return [
        f'<details class="scan failed"{opened}><summary><span class="badge">failed</span>'
        f'<span class="name">{escape(failure.file)}</span><span></span><span>not inspected</span>'
        f'</summary><div class="inside">{escape(failure.error)}</div></details>'
        for failure in failures
    ]


def _card(entry: Entry, *, shown: bool, opened: bool) -> str:
    inspection = entry.inspection
    found = Counter(region.class_name.replace("_", " ") for region in inspection.regions)
    what = ", ".join(f"{times} × {name}" for name, times in found.items()) or "nothing found"
    place = f"1: {inspection.regions[0].position}" if inspection.regions else ""
    name = ", ".join(inspection.scan.files) or entry.stem
    numbers = ", ".join(inspection.scan.container_numbers)
    warnings = "".join(f'<p class="warning">{escape(text)}</p>' for text in inspection.warnings)
    overlay = quote(f"{entry.stem}{OVERLAY_SUFFIX}", errors="replace")
    picture = f'<div class="picture">{entry.overview}</div>' if shown else ""
    note = "reduced picture" if shown else "picture left out, to keep this page small"
    return (
        f'<details class="scan {inspection.level}"{" open" if opened else ""}><summary>'
        f'<span class="badge">{inspection.level}</span><span class="name">{escape(name)}</span>'
        f'<span class="mono">{escape(numbers)}</span><span>{escape(what)} '
        f"<small>{escape(place)}</small></span></summary>"
        f'<div class="inside">{warnings}{picture}<small>{note}; '
        f'<a href="{overlay}" style="color:inherit">full picture</a></small>'
        f"{entry.attention if shown else ''}{_table(inspection.regions)}"
        f'<div class="crops">{entry.crops if shown else ""}</div>{_details(entry)}</div></details>'
    )


def _table(regions: Sequence[Region]) -> str:
    if not regions:
        return "<p>No region reaches the threshold. This is no proof that there is none.</p>"
    head = "".join(
        f"<th>{text}</th>" for text in ("", "advice", "what", "score", "where", "size (w × h)")
    )
    rows = "".join(
        f'<tr class="{r.level}"><td class="number">{r.number}</td><td class="badge">{r.level}</td>'
        f'<td>{escape(r.label)}</td><td class="number">{r.score:.2f}</td>'
        f'<td>{escape(r.position)}</td><td class="number">{_size(r)}</td></tr>'
        for r in regions
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _size(region: Region) -> str:
    if region.size_mm is not None:
        wide, high = (value / 10 for value in region.size_mm)
        return f"{wide:.0f} × {high:.0f} cm"
    x0, y0, x1, y1 = region.box_xyxy
    return f"{x1 - x0:.0f} × {y1 - y0:.0f} px"


def _figure(region: Region, svgs: str) -> str:
    return (
        f'<figure class="{region.level}"><figcaption><b>{region.number}</b> '
        f"{escape(region.label)}, {escape(region.position)}</figcaption>{svgs}</figure>"
    )


def _details(entry: Entry) -> str:
    inspection = entry.inspection
    times = ", ".join(f"{stage} {ms:.0f}" for stage, ms in inspection.timing_ms.items())
    left = [
        *_scan_rows(inspection.scan),
        *_parts(inspection),
        _odd(inspection),
        ("data", f"{entry.stem}{INSPECTION_SUFFIX}"),
    ]
    right = [
        ("inspected", inspection.inspected_at),
        ("model", _model(inspection.model)),
        *_guarantee(inspection),
        ("ran on", _provider(inspection.provider)),
        ("milliseconds", times),
    ]
    return f'<div class="facts">{_facts(left)}{_facts(right)}</div>'


def _scan_rows(scan: ScanFacts) -> list[tuple[str, str]]:
    energies = "unknown"
    if scan.endpoint_mev is not None:
        energies = " and ".join(f"{value:g} MeV" for value in scan.endpoint_mev)
    kind = "display picture" if scan.grey is Grey.DISPLAY else f"{scan.energies} energies"
    pitch = "unknown"
    if scan.pixel_pitch_mm is not None:
        pitch = " × ".join(f"{value:.2f}" for value in scan.pixel_pitch_mm[::-1]) + " mm"
    rows = [
        ("files", ", ".join(scan.files) or "none"),
        ("container numbers", ", ".join(scan.container_numbers) or "none came with the scan"),
        ("scanner", scan.scanner or "unknown"),
        ("acquired", scan.acquired_at or "unknown"),
        ("picture", f"{scan.width} × {scan.height} pixels of {pitch}, {kind}, {energies}"),
        ("SHA-256", f"{scan.sha256[:_SHORT]}…" if scan.sha256 else "unknown"),
    ]
    return rows + [("assumed", text) for text in scan.assumptions]


def _odd(inspection: Inspection) -> tuple[str, str]:
    odd = inspection.anomaly
    if odd is None:
        return "anomaly", "this model has no map of anomalies"
    x, y = odd.highest_xy
    where = f"most striking at x {x:.0f}, y {y:.0f}; looked at: {odd.looked_at}"
    return "anomaly", f"{odd.score:.2f} ({where})"


def _parts(inspection: Inspection) -> list[tuple[str, str]]:
    parts = (part.label + _how_sure(part) for part in inspection.structures)
    return [("found", "; ".join(parts) or "no container and no vehicle")]


def _how_sure(part: Structure) -> str:
    """Return the probabilities of the load state, or nothing where there is none."""
    if part.load_score is None:
        return ""
    full = "" if part.full_score is None else f", {part.full_score:.2f} full"
    return f" ({part.load_score:.2f} loaded{full})"


def _guarantee(inspection: Inspection) -> list[tuple[str, str]]:
    facts = inspection.guarantee
    return [("guarantee", f"{facts.state}. {facts.reason}")] if facts else []


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows)
    return f"<dl>{cells}</dl>"


def _model(model: ModelFacts) -> str:
    return f"{model.name} {model.version}, SHA-256 {model.sha256[:_SHORT]}…"


def _provider(provider: ProviderFacts) -> str:
    used = ", ".join(provider.used)
    return f"{used}. No GPU: {provider.reason}" if provider.reason else used


def _help() -> str:
    return (
        '<p class="dim help"><kbd>H</kbd> hides the outlines, <kbd>N</kbd> and <kbd>P</kbd> open '
        "the next and the previous scan; a click enlarges a picture. Pictures are reduced to "
        f"{pictures.OVERVIEW_PX} pixels; those beside this page have every pixel.</p>"
        '<p class="dim">A model looks only for what its card names. What it does not mark may '
        "still be there: look at the whole scan.</p>"
    )
