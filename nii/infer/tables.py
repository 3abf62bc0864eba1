"""Tables: the results of many scans in one file for other programs: CSV, COCO and Parquet.

A scan without regions has one row too, and so has one that could not be inspected, so that a table
never hides what became of a scan.

Reference:
    RFC 4180 (CSV); COCO data format (cocodataset.org), object detection and result form.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import nii
from nii import taxonomy
from nii.errors import ConfigError, MissingExtraError
from nii.formats.files import save
from nii.infer.results import Failure
from nii.inspection import Inspection, Region

CSV_FILE = "regions.csv"
COCO_FILE = "regions.coco.json"
PARQUET_FILE = "scans.parquet"
CSV, COCO, PARQUET, REPORT = "csv", "coco", "parquet", "dicos-tdr"
FORMS = (CSV, COCO, PARQUET, REPORT)
"""Further files that may be asked for; the last is written scan by scan (nii.infer.batch)."""
COLUMNS = (
    *("result", "files", "sha256", "container_numbers", "acquired_at", "inspected_at"),
    *("model", "scan_level", "containers", "region", "level", "class", "label", "category"),
    *("score", "container", "position", "x0", "y0", "x1", "y1", "width_mm", "height_mm"),
    *("warnings", "error"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters that a spreadsheet takes for a formula."""
_MANY = "; "

Named = tuple[str, Inspection]
"""An inspection and the name that its result files start with."""


def wanted_of(text: str) -> frozenset[str]:
    """Return the forms that are named, joined by commas.

    Raises:
        ConfigError: one of them is not known.
        MissingExtraError: Parquet is asked for and pyarrow is not installed.
    """
    wanted = frozenset(word.strip() for word in text.split(",") if word.strip())
    if PARQUET in wanted and find_spec("pyarrow") is None:
        raise MissingExtraError.of("score", "Parquet")  # said before the first scan, not after all
    if wanted <= set(FORMS):
        return wanted
    raise ConfigError(
        "--format",
        found=", ".join(sorted(wanted - set(FORMS))),
        expected=f"some of {', '.join(FORMS)}, joined by commas",
        remedy="Correct the name.",
    )


def write_tables(
    out: Path, wanted: frozenset[str], done: Sequence[Named], failures: Sequence[Failure]
) -> None:
    """Write the tables that are wanted; each is whole or not there.

    Raises:
        OSError: the folder cannot be written to.
    """
    if CSV in wanted:
        save(out / CSV_FILE, regions_csv(done, failures))
    if COCO in wanted:
        save(out / COCO_FILE, coco(done))
    if PARQUET in wanted:
        save(out / PARQUET_FILE, _parquet(done, failures))


def regions_csv(done: Sequence[Named], failures: Sequence[Failure]) -> bytes:
    """Return all regions of all scans as CSV: UTF-8 with a mark, one header row, CRLF.

    Text that a spreadsheet would run as a formula gets an apostrophe in front: names of files come
    from outside.
    """
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    for stem, inspection in done:
        facts = _scan_cells(stem, inspection)
        for region in inspection.regions or (None,):
            writer.writerow(facts | (_region_cells(region) if region else {}))
    for failure in failures:
        error = {
            "files": _text(failure.file),
            "scan_level": "failed",
            "error": _text(failure.error),
        }
        writer.writerow(error)
    return stream.getvalue().encode("utf-8-sig", "backslashreplace")


def coco(done: Sequence[Named]) -> bytes:
    """Return images, categories and scored annotations as one COCO file (JSON).

    Annotations are containers, vehicles and regions; each also fits the COCO result form. Category
    ids are those of :mod:`nii.annotations.coco`: the row of the taxonomy plus one.
    """
    number = count(1)
    images, annotations = [], []
    for image_id, (stem, inspection) in enumerate(done, 1):
        images.append(_image(image_id, stem, inspection))
        annotations += [
            {"id": next(number), "image_id": image_id, **row} for row in _found(inspection)
        ]
    data = {
        "info": {"description": "found by a model, not labelled", "contributor": _tool()},
        "images": images,
        "categories": [
            {"id": row.class_id + 1, "name": row.name, "supercategory": row.category}
            for row in taxonomy.classes()
        ],
        "annotations": annotations,
    }
    return json.dumps(data, allow_nan=False).encode("ascii")


def _parquet(done: Sequence[Named], failures: Sequence[Failure]) -> bytes:
    from nii.infer import parquet  # noqa: PLC0415 - an extra that not everybody has

    rows = [parquet.row_of(stem, inspection) for stem, inspection in done]
    rows += [parquet.failed_row(one.file, (one.file,), one.error) for one in failures]
    return parquet.to_bytes(rows)


def _tool() -> str:
    return f"nii {nii.__version__}"


def _scan_cells(stem: str, inspection: Inspection) -> dict[str, object]:
    scan = inspection.scan
    return {
        "result": _text(stem),
        "files": _text(_MANY.join(scan.files)),
        "sha256": scan.sha256 or "",
        "container_numbers": _text(_MANY.join(scan.container_numbers)),
        "acquired_at": scan.acquired_at or "",
        "inspected_at": inspection.inspected_at,
        "model": _text(f"{inspection.model.name} {inspection.model.version}"),
        "scan_level": inspection.level,
        "containers": len(inspection.containers),
        "warnings": " ".join(inspection.warnings),
    }


def _region_cells(region: Region) -> dict[str, object]:
    x0, y0, x1, y1 = region.box_xyxy
    wide, high = region.size_mm or ("", "")
    return {
        "region": region.number,
        "level": region.level,
        "class": region.class_name,
        "label": region.label,
        "category": region.category,
        "score": region.score,
        "container": region.container or "",
        "position": region.position,
        "x0": x0,
        "y0": y0,
        "x1": x1,
        "y1": y1,
        "width_mm": wide,
        "height_mm": high,
    }


def _text(value: str) -> str:
    clean = "".join(sign if sign.isprintable() else " " for sign in value)
    return f"'{clean}" if clean.startswith(_FORMULA) else clean


def _image(image_id: int, stem: str, inspection: Inspection) -> dict[str, Any]:
    scan = inspection.scan
    return {
        "id": image_id,
        "file_name": scan.files[0] if scan.files else stem,
        "width": scan.width,
        "height": scan.height,
        "sha256": scan.sha256,
        "level": str(inspection.level),
    }


def _found(inspection: Inspection) -> list[dict[str, Any]]:
    rows = [
        _annotation(part.kind, part.box_xyxy, part.score, None) for part in inspection.structures
    ]
    return rows + [
        _annotation(region.class_name, region.box_xyxy, region.score, region.contour_xy)
        | {"level": str(region.level)}
        for region in inspection.regions
    ]


def _annotation(
    name: str,
    box: tuple[float, float, float, float],
    score: float,
    contour: tuple[tuple[float, float], ...] | None,
) -> dict[str, Any]:
    x0, y0, x1, y1 = box
    corners = contour or ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    return {
        "category_id": taxonomy.by_name(name).class_id + 1,
        "bbox": [x0, y0, round(x1 - x0, 2), round(y1 - y0, 2)],
        "area": round(_area(corners), 2),
        "iscrowd": 0,
        "score": score,
        "segmentation": [[value for corner in corners for value in corner]],
    }


def _area(corners: Sequence[tuple[float, float]]) -> float:
    """Return the area of a polygon (shoelace formula)."""
    following = (*corners[1:], corners[0])
    pairs = zip(corners, following, strict=True)
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairs)) / 2
