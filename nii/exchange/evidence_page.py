"""The report of an evidence package: one HTML page that prints well, and the README beside it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

from nii.exchange.evidence_pictures import known_class
from nii.exchange.evidence_records import Dossier
from nii.inspection import Inspection, Region

DIGEST_RULE = (
    "sha256 of an event = SHA-256 over: previous_sha256, a line feed, and the canonical JSON of "
    "its at, inspection_id, kind, number and payload. Canonical JSON: keys in alphabetical order, "
    "no spaces, ASCII with \\u escapes. payload is itself canonical JSON, taken as text."
)
"""How anyone can compute the digest of an event again."""
_UNSIGNED = (
    "UNSIGNED. No key of a workstation vouches for this package: whoever had it in hand could have "
    "made it anew. Compare it with the log of the store it came from."
)
_CHECK = (
    ("nii evidence verify FILE", "every byte, the signature and the chain of the log"),
    ("nii evidence verify FILE --store STORE", "the same, and the log of the store itself"),
    ("sha256sum --check SHA256SUMS", "the digests, without nii, in the unpacked folder"),
)


@dataclass(frozen=True, slots=True)
class Facts:
    """State what the report says about the package itself.

    Attributes:
        exported_at: time with zone, ISO 8601.
        exported_by: name of the person.
        reason: why; may be empty.
        signer: fingerprint of the signing key; None where nobody signs.
        preview: small picture with the regions, as PNG.
    """

    exported_at: str
    exported_by: str
    reason: str
    signer: str | None
    preview: bytes


def page(dossier: Dossier, facts: Facts) -> str:
    """Return the report; every text in it is escaped, and it loads nothing from anywhere."""
    opinions = dossier.opinions
    parts = [
        f"<h1>Evidence: scan {escape(_title(dossier, opinions))}</h1>",
        _seal(facts),
        _export(dossier, facts),
        _figure(facts.preview),
        *(_opinion(number, opinion) for number, opinion in opinions.items()),
        _section("Decisions", _decisions(dossier.records["decisions"])),
        _section("Marks of officers", _marks(dossier.records["marks"])),
        _section("Physical examination", _outcomes(dossier.records["outcomes"])),
        _section("Documents", _documents(dossier.records["documents"])),
        _section("Original files", _originals(dossier)),
        _section("Log", _log(dossier)),
        _section("How to check this package", _how()),
    ]
    style = files("nii.exchange").joinpath("evidence.css").read_text("utf-8")
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Evidence {escape(dossier.scan.sha256[:12])}</title>\n<style>\n{style}</style>\n"
        f"</head>\n<body>\n<main>\n{chr(10).join(parts)}\n</main>\n</body>\n</html>\n"
    )


def readme(*, signed: bool) -> str:
    """Return the text that says what a package is and how it is checked."""
    lines = [
        "EVIDENCE PACKAGE OF ONE X-RAY SCAN",
        "",
        "report.html     all of it for people; open it in any browser, print it, or save it as PDF",
        "original/       the files of the scanner, unchanged",
        "pictures/       the scan for the eye, as it is and with the marked places",
        "inspections/    what each model reported, as it was stored",
        "records.json    decisions, marks, outcomes of examinations, linked documents",
        "log.json        what happened to the scan, each event chained to the one before",
        "manifest.json   who exported this, when, and the digest of every file",
        "",
        "HOW TO CHECK IT",
        "",
        *(f"{command}\n    {what}" for command, what in _CHECK),
        "",
        "THE CHAIN OF THE LOG",
        "",
        DIGEST_RULE,
        "log.json lists the digest of the event right before and right after each of its events.",
        "Whoever keeps the whole log, or noted its head, can compare these with their own.",
        "",
        "SIGNATURE",
        "",
        (
            "manifest.json.sig is a DSSE envelope with an in-toto statement about manifest.json. "
            "signer.pub is the key; that it is the workstation's must be known from elsewhere."
            if signed
            else _UNSIGNED
        ),
        "",
    ]
    return "\n".join(lines)


def _title(dossier: Dossier, opinions: Mapping[int, Inspection]) -> str:
    numbers = [
        row["value"] for row in dossier.records["documents"] if row["kind"] == "container"
    ] or [number for one in opinions.values() for number in one.scan.container_numbers]
    return ", ".join(dict.fromkeys(numbers)) or dossier.scan.sha256[:12]


def _seal(facts: Facts) -> str:
    if facts.signer is None:
        return f'<p class="unsigned">{escape(_UNSIGNED)}</p>'
    return (
        f'<p class="signed">Signed by the key <code>{escape(facts.signer)}</code> (SHA-256 of the '
        "key as PEM). This line proves nothing by itself: check the package as said below.</p>"
    )


def _export(dossier: Dossier, facts: Facts) -> str:
    rows = [
        ("Exported", f"{facts.exported_at} by {facts.exported_by}"),
        ("Reason", facts.reason or "not given"),
        ("Scan (SHA-256)", dossier.scan.sha256),
        ("Head of the log", f"event {dossier.head.number}, SHA-256 {dossier.head.sha256}"),
    ]
    return _pairs(rows)


def _figure(png: bytes) -> str:
    data = base64.b64encode(png).decode()
    return (
        f'<figure><img alt="The scan with the marked places" src="data:image/png;base64,{data}">'
        "<figcaption>8-bit picture for orientation; solid boxes: regions of the model, sky blue: "
        "drawn by officers. The original files count.</figcaption></figure>"
    )


def _opinion(number: int, opinion: Inspection) -> str:
    facts, model, provider = opinion.scan, opinion.model, opinion.provider
    energies = "1 energy" if facts.energies == 1 else f"{facts.energies} energies"
    rows = [
        ("Level", opinion.level.value),
        ("Inspected", opinion.inspected_at),
        ("Scanner", facts.scanner or "unknown"),
        ("Acquired", facts.acquired_at or "unknown"),
        ("Scan", f"{facts.width} × {facts.height} pixels, {energies}, {facts.grey} grey"),
        ("Model", f"{model.name} {model.version}, SHA-256 {model.sha256}"),
        ("Model vouched for by", model.signer or "nobody"),
        ("Ran on", f"{provider.device}: {', '.join(provider.used)}, {provider.precision}"),
        *(("Warning", warning) for warning in opinion.warnings),
        *(("Assumed", assumption) for assumption in facts.assumptions),
    ]
    regions = _table(
        ("No.", "level", "what", "where", "size (cm)", "score", "box (pixels)"),
        (_region(region) for region in opinion.regions),
    )
    body = _pairs(rows) + (regions or "<p>The model highlighted nothing.</p>")
    return _section(f"Inspection {number}", body)


def _region(region: Region) -> tuple[object, ...]:
    size = "unknown"
    if region.size_mm is not None:
        size = f"{region.size_mm[0] / 10:.0f} × {region.size_mm[1] / 10:.0f}"
    box = ", ".join(f"{edge:.0f}" for edge in region.box_xyxy)
    what = f"{region.label} ({region.category})"
    score = f"{region.score:.2f}"
    return (region.number, region.level, what, region.position, size, score, box)


def _decisions(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ("when", "who", "verdict", "reason", "code", "as", "seconds", "on inspection")
    return _table(
        head,
        (
            (
                _time(row["decided_at"]),
                row["officer"],
                row["verdict"],
                row["reason"],
                row["reason_code"],
                f"{row['why']}, blind" if row["blind"] else row["why"],
                "" if row["seconds"] is None else f"{row['seconds']:.1f}",
                row["inspection_id"],
            )
            for row in rows
        ),
    )


def _marks(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ("No.", "when", "who", "mark", "region", "class", "box (pixels)", "remark")
    return _table(
        head,
        (
            (
                row["id"],
                _time(row["marked_at"]),
                row["officer"],
                row["mark"] if row["withdraws"] is None else f"withdraws mark {row['withdraws']}",
                "" if row["region_number"] is None else row["region_number"],
                known_class(row["class_name"]) if row["class_name"] else "",
                row["box_xyxy"] or "",
                row["remark"],
            )
            for row in rows
        ),
    )


def _outcomes(rows: Sequence[Mapping[str, Any]]) -> str:
    return _table(
        ("when", "who", "found", "class", "quantity", "remark"),
        (
            (
                _time(row["examined_at"]),
                row["officer"],
                "something" if row["found"] else "nothing",
                known_class(row["class_name"]) if row["class_name"] else "",
                row["quantity"],
                row["remark"],
            )
            for row in rows
        ),
    )


def _documents(rows: Sequence[Mapping[str, Any]]) -> str:
    fits = {True: "fits", False: "DOES NOT FIT", None: "has none"}
    return _table(
        ("kind", "number", "check digit", "linked", "by"),
        (
            (
                row["kind"],
                row["value"],
                fits[row["check_digit_fits"]],
                _time(row["linked_at"]),
                row["linked_by"],
            )
            for row in rows
        ),
    )


def _originals(dossier: Dossier) -> str:
    return _table(
        ("name", "bytes", "SHA-256"),
        ((file.name, file.bytes, file.sha256) for file in dossier.scan.files),
    )


def _log(dossier: Dossier) -> str:
    rows = (
        (row["number"], _time(row["at"]), row["kind"], _short(row["payload"]), row["sha256"][:16])
        for row in dossier.events
    )
    return _table(("No.", "when", "what", "facts", "SHA-256 begins"), rows, kind="log")


def _short(payload: str) -> str:
    """Return the facts of an event without nested parts; log.json has all of them."""
    data = json.loads(payload)
    if not isinstance(data, dict):
        return payload
    plain = {
        key: value
        for key, value in data.items()
        if value not in (None, "") and not isinstance(value, dict | list)
    }
    return "; ".join(f"{key} {str(value)[:80]}" for key, value in plain.items())


def _how() -> str:
    rows = "".join(
        f"<dt><code>{escape(command)}</code></dt><dd>{escape(what)}</dd>"
        for command, what in _CHECK
    )
    return f"<dl>{rows}</dl><p>{escape(DIGEST_RULE)}</p>"


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body or '<p>None.</p>'}</section>"


def _pairs(rows: Iterable[tuple[str, object]]) -> str:
    inner = "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(text))}</dd>" for name, text in rows)
    return f"<dl>{inner}</dl>"


def _time(text: str) -> str:
    """Return a time of the store to the second; records.json has it to the microsecond."""
    return f"{text[:10]} {text[11:19]} UTC"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]], kind: str = "plain") -> str:
    """Return a table, or nothing where there are no rows."""
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    inner = f"<thead><tr>{titles}</tr></thead><tbody>{body}</tbody>"
    return f'<table class="{kind}">{inner}</table>' if body else ""
