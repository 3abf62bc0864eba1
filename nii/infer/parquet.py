"""Parquet: the results of many scans as a table with one row a scan, for data bases and notebooks.

Structures and regions are lists inside the row, so that one row is one scan whatever was found.
What differs from run to run (times, timings) is left out: the same scans give the same bytes.

Reference: Apache Parquet format 2.6; Apache Arrow columnar format 1.4.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import nii
from nii.inspection import SCHEMA_VERSION, Inspection
from nii.scan import Grey

Row = dict[str, Any]
"""Values of one scan by column; those that are missing are null."""

_BOX = [(side, pa.float32()) for side in ("x0", "y0", "x1", "y1")]
_STRUCTURE = pa.struct(
    [
        ("kind", pa.string()),
        ("number", pa.int32()),
        ("score", pa.float32()),
        ("load", pa.string()),
        ("load_score", pa.float32()),
        ("filling", pa.string()),
        ("full_score", pa.float32()),
        *_BOX,
    ]
)
_REGION = pa.struct(
    [
        ("number", pa.int32()),
        ("class", pa.string()),
        ("category", pa.string()),
        ("score", pa.float32()),
        ("level", pa.string()),
        ("container", pa.int32()),
        ("position", pa.string()),
        *_BOX,
        ("width_mm", pa.float32()),
        ("height_mm", pa.float32()),
        ("contour_xy", pa.list_(pa.float32())),
    ]
)
_SCORE = pa.struct([("class", pa.string()), ("score", pa.float32())])
_TEXTS = pa.list_(pa.string())
SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("files", _TEXTS),
        ("sha256", pa.string()),
        ("level", pa.string()),
        ("error", pa.string()),
        ("container_numbers", _TEXTS),
        ("acquired_at", pa.string()),
        ("scanner", pa.string()),
        ("energies", pa.int32()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("display", pa.bool_()),
        ("containers", pa.int32()),
        ("structures", pa.list_(_STRUCTURE)),
        ("regions", pa.list_(_REGION)),
        ("scores", pa.list_(_SCORE)),
        ("problems", _TEXTS),
        ("warnings", _TEXTS),
        ("model", pa.string()),
        ("model_version", pa.string()),
        ("model_sha256", pa.string()),
    ],
    metadata={"nii.inspection.schema_version": str(SCHEMA_VERSION), "nii.version": nii.__version__},
)
"""Columns. `level` and `error` exclude each other; `scores` holds the highest score of each threat
class down to the lowest that the model reports, also where no region came of it."""


def row_of(name: str, inspection: Inspection, scores: Mapping[str, float] | None = None) -> Row:
    """Return the row of a scan that was inspected.

    Args:
        name: what the scan is called in the table, for example its path in an archive.
        inspection: what was found.
        scores: highest score by threat class; null where not given.
    """
    scan, model = inspection.scan, inspection.model
    return {
        "name": clean(name),
        "files": [clean(file) for file in scan.files],
        "sha256": scan.sha256,
        "level": str(inspection.level),
        "container_numbers": [clean(number) for number in scan.container_numbers],
        "acquired_at": scan.acquired_at,
        "scanner": clean(scan.scanner) if scan.scanner else None,
        "energies": scan.energies,
        "height": scan.height,
        "width": scan.width,
        "display": scan.grey is Grey.DISPLAY,
        "containers": len(inspection.containers),
        "structures": [
            {
                "kind": part.kind,
                "number": part.number,
                "score": part.score,
                "load": part.load,
                "load_score": part.load_score,
                "filling": part.filling,
                "full_score": part.full_score,
                **_sides(part.box_xyxy),
            }
            for part in inspection.structures
        ],
        "regions": _regions(inspection),
        "scores": _scores(scores),
        "problems": [str(p) for p in inspection.health.problems] if inspection.health else None,
        "warnings": list(inspection.warnings),
        "model": clean(model.name),
        "model_version": clean(model.version),
        "model_sha256": model.sha256,
    }


def failed_row(name: str, files: Sequence[str], error: str) -> Row:
    """Return the row of a scan that could not be inspected."""
    return {"name": clean(name), "files": [clean(file) for file in files], "error": clean(error)}


def table_of(rows: Sequence[Row]) -> pa.Table:
    """Return rows as a table.

    Raises:
        pyarrow.ArrowInvalid: a value does not fit its column.
    """
    return pa.Table.from_pylist(list(rows), SCHEMA)


def to_bytes(rows: Sequence[Row]) -> bytes:
    """Return rows as one Parquet file; the same rows give the same bytes."""
    stream = io.BytesIO()
    pq.write_table(table_of(rows), stream, compression="zstd")
    return stream.getvalue()


def clean(text: str) -> str:
    """Return text that UTF-8 can hold: bytes of a file name that were no text become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _scores(scores: Mapping[str, float] | None) -> list[Row] | None:
    if scores is None:
        return None
    return [{"class": name, "score": scores[name]} for name in sorted(scores)]


def _regions(inspection: Inspection) -> list[Row]:
    rows = []
    for region in inspection.regions:
        wide, high = region.size_mm or (None, None)
        outline = region.contour_xy
        rows.append(
            {
                "number": region.number,
                "class": region.class_name,
                "category": region.category,
                "score": region.score,
                "level": str(region.level),
                "container": region.container,
                "position": region.position,
                **_sides(region.box_xyxy),
                "width_mm": wide,
                "height_mm": high,
                "contour_xy": [v for corner in outline for v in corner] if outline else None,
            }
        )
    return rows


def _sides(box: tuple[float, float, float, float]) -> Row:
    return dict(zip(("x0", "y0", "x1", "y1"), box, strict=True))
