"""The report of a check of labelled sets: contact sheets, one JSON file and one page."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from nii import formats
from nii.annotations.limits import Box
from nii.errors import ScanFormatError
from nii.evaluate.data_check import DataReport
from nii.evaluate.data_rows import SplitRows
from nii.evaluate.elements import section, table, whole_page
from nii.formats.files import save

PAGE_FILE, JSON_FILE = "index.html", "data.json"
MOST_TILES = 48
_ACROSS = 8
_TILE = 150
_CONTEXT = 0.4
"""Surroundings on each side, as a share of the longer side of the box."""
_BOX_BGR = (60, 60, 230)
_MOST_LISTED = 500
Tile = UInt8[np.ndarray, "rows columns 3"]


def write_report(folder: Path, splits: Sequence[SplitRows], report: DataReport) -> Path:
    """Write the contact sheets, data.json and index.html; return the page.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sheets = contact_sheets(splits)
    for name, data in sheets.items():
        save(folder / f"sheet_{name}.png", data)
    text = json.dumps(report.to_json(), indent=1, ensure_ascii=False)
    save(folder / JSON_FILE, text.encode())
    save(folder / PAGE_FILE, _page(report, sheets).encode())
    return folder / PAGE_FILE


def contact_sheets(splits: Sequence[SplitRows]) -> dict[str, bytes]:
    """Return one PNG for each class that has boxes: its boxes, evenly picked, each outlined."""
    places: dict[str, list[tuple[Path, Box]]] = {}
    for image in (image for split in splits for image in split.images):
        for row in image.boxes:
            places.setdefault(row.class_name, []).append((image.path, row.box_xyxy))
    picked = {name: _evenly(rows) for name, rows in places.items()}
    wanted: dict[Path, list[tuple[str, Box]]] = {}
    for name, rows in picked.items():
        for path, box in rows:
            wanted.setdefault(path, []).append((name, box))
    tiles: dict[str, list[Tile]] = {name: [] for name in picked}
    for path, boxes in wanted.items():
        try:
            grey = formats.read(path).plane()
        except ScanFormatError:
            continue  # told by the check
        for name, box in boxes:
            tiles[name] += [made] if (made := tile(grey, box)) is not None else []
    known = {name: "".join(c if c.isalnum() else "_" for c in name) for name in tiles}
    return {known[name]: _sheet(rows) for name, rows in tiles.items() if rows}


def tile(grey: Float32[np.ndarray, "height width"], box_xyxy: Box) -> Tile | None:
    """Return the surroundings of a box, brightened for the eye, or None where it shows nothing."""
    if not all(np.isfinite(box_xyxy)):
        return None
    x0, y0, x1, y1 = box_xyxy
    margin = _CONTEXT * max(x1 - x0, y1 - y0)
    left, top = max(0, round(x0 - margin)), max(0, round(y0 - margin))
    part = grey[top : max(0, round(y1 + margin)), left : max(0, round(x1 + margin))]
    if min(part.shape) < 1:
        return None
    low, high = (float(v) for v in np.quantile(part, (0.01, 0.99)))
    shown = np.clip((part - low) / max(high - low, 1e-3), 0, 1)
    scale = min(_TILE / part.shape[0], _TILE / part.shape[1])
    size = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
    small = cv2.resize((255 * shown).astype(np.uint8), size, interpolation=cv2.INTER_AREA)
    canvas = np.full((_TILE, _TILE, 3), 60, np.uint8)
    canvas[: size[1], : size[0]] = small[..., None]
    corners = [
        (round((x - left) * scale), round((y - top) * scale)) for x, y in ((x0, y0), (x1, y1))
    ]
    cv2.rectangle(canvas, corners[0], corners[1], _BOX_BGR, 1)
    return canvas


def _sheet(tiles: Sequence[Tile]) -> bytes:
    rows = -(-len(tiles) // _ACROSS)
    across = min(_ACROSS, len(tiles))
    step = _TILE + 4
    canvas = np.full((rows * step, across * step, 3), 255, np.uint8)
    for place, made in enumerate(tiles):
        y, x = step * (place // _ACROSS), step * (place % _ACROSS)
        canvas[y : y + _TILE, x : x + _TILE] = made
    done, data = cv2.imencode(".png", canvas)
    if not done:
        msg = "the PNG encoder of OpenCV failed"
        raise RuntimeError(msg)
    return data.tobytes()


def _evenly(rows: list[tuple[Path, Box]]) -> list[tuple[Path, Box]]:
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), MOST_TILES)).round())
    return [rows[int(row)] for row in chosen]


def _page(report: DataReport, sheets: dict[str, bytes]) -> str:
    fit = "Nothing makes the set unfit." if not report.faults else f"{report.faults} faults."
    counted = Counter((finding.weight, finding.kind) for finding in report.findings)
    body = [
        "<h1>Check of labelled sets</h1>",
        f"<p><strong>{fit}</strong> {len(report.findings) - report.faults} warnings.</p>",
        section("Splits", _splits(report)),
        section(
            "Findings by kind",
            table(
                ("weight", "kind", "count"),
                [
                    f"<td>{weight}</td><td>{escape(kind)}</td><td class='number'>{count}</td>"
                    for (weight, kind), count in sorted(counted.items())
                ],
            ),
        ),
        section("Findings", _findings(report)),
    ]
    for name, data in sheets.items():
        uri = f"data:image/png;base64,{base64.b64encode(data).decode()}"
        body.append(section(name, f'<img alt="boxes of {escape(name)}" src="{uri}">'))
    return whole_page("Check of labelled sets", body)


def _splits(report: DataReport) -> str:
    return table(
        ("split", "form", "images", "boxes", "load states"),
        [
            f"<td>{escape(one.name)}</td><td>{one.form}</td><td class='number'>{one.images}</td>"
            f"<td>{_counts(one.boxes)}</td><td>{_counts(one.loads)}</td>"
            for one in report.splits
        ],
    )


def _counts(counts: dict[str, int]) -> str:
    return escape(", ".join(f"{count} {name}" for name, count in counts.items()) or "none")


def _findings(report: DataReport) -> str:
    ordered = sorted(report.findings, key=lambda finding: finding.weight)
    rows = [
        f"<td>{f.weight}</td><td>{escape(f.kind)}</td><td>{escape(f.place)}</td>"
        f"<td>{escape(f.text)}</td>"
        for f in ordered[:_MOST_LISTED]
    ]
    more = len(ordered) - len(rows)
    tail = f"<p>{more} more stand in {JSON_FILE}.</p>" if more > 0 else ""
    return table(("weight", "kind", "where", "what"), rows) + tail
