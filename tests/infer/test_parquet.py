"""Parquet: one row a scan, nothing lost, the same bytes for the same results."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest

from nii.bundle import Bundle
from nii.infer.detect import Detector
from nii.infer.inspect import inspect
from nii.inspection import Inspection
from nii.scan import Scan

pq = pytest.importorskip("pyarrow.parquet", reason="the extra [score] is not installed")
from nii.infer import parquet  # noqa: E402 - after the extra was asked for


@pytest.fixture(scope="module")
def inspection(tiny_bundle: Bundle, make_scan: Callable[..., Scan]) -> Inspection:
    """Return what the tiny model finds in a container with two threats."""
    scan = make_scan(threats=((320, 120), (500, 120)))
    return inspect(scan, Detector.open(tiny_bundle.folder))


def test_a_row_holds_the_inspection(inspection: Inspection) -> None:
    """Levels, boxes and scores that are read back are those of the inspection."""
    content = parquet.to_bytes([parquet.row_of("a/b.tiff", inspection, {"firearm": 0.25})])
    (row,) = pq.read_table(io.BytesIO(content)).to_pylist()
    assert row["name"] == "a/b.tiff"
    assert row["level"] == inspection.level
    assert len(row["regions"]) == len(inspection.regions) > 0
    for region, found in zip(inspection.regions, row["regions"], strict=True):
        box = tuple(found[side] for side in ("x0", "y0", "x1", "y1"))
        assert box == pytest.approx(region.box_xyxy)
        assert found["score"] == pytest.approx(region.score)
    assert len(row["structures"]) == len(inspection.structures)
    assert row["scores"] == [{"class": "firearm", "score": 0.25}]
    assert row["error"] is None


def test_time_and_speed_do_not_change_the_bytes(inspection: Inspection) -> None:
    """Two runs over one scan differ in time and timing, and give the same file."""
    other = replace(inspection, inspected_at="2020-01-01T00:00:00+00:00", timing_ms={"run": 1.0})
    first, second = (parquet.to_bytes([parquet.row_of("a", one)]) for one in (inspection, other))
    assert first == second


def test_a_failure_is_a_row_too() -> None:
    """A scan that failed has its error and no level, also under a name that is no text."""
    content = parquet.to_bytes([parquet.failed_row("x\udcff.png", ["x\udcff.png"], "broken")])
    (row,) = pq.read_table(io.BytesIO(content)).to_pylist()
    assert (row["level"], row["error"]) == (None, "broken")
    assert row["name"] == "x\\udcff.png"


def test_an_empty_table_has_all_columns() -> None:
    """No scans give a file with every column and no row."""
    table = pq.read_table(io.BytesIO(parquet.to_bytes([])))
    assert table.num_rows == 0
    assert table.schema.names == parquet.SCHEMA.names
