"""The report of a check: a box is drawn where it is, and hostile names stay text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from nii import formats
from nii.evaluate.data_check import DataReport, Finding, Summary
from nii.evaluate.data_page import JSON_FILE, MOST_TILES, contact_sheets, tile, write_report
from nii.evaluate.data_rows import BoxRow, ImageRow, SplitRows
from nii.scan import Scan


def _split(folder: Path, boxes: int, name: str = "firearm") -> SplitRows:
    path = folder / "a.tiff"
    ramp = np.broadcast_to(np.linspace(0.1, 0.9, 200, dtype=np.float32), (1, 100, 200))
    formats.write(Scan(np.ascontiguousarray(ramp)), path)
    rows = tuple(BoxRow(name, (10.0 + k, 10.0, 40.0 + k, 30.0), "x") for k in range(boxes))
    return SplitRows("train", "coco", (ImageRow(path, "a.tiff", 100, 200, rows),))


def test_a_tile_shows_the_surroundings_with_the_box_outlined() -> None:
    """The outline has the proportions of the box; what lies outside the scan gives no tile."""
    grey = np.random.default_rng(0).random((100, 200)).astype(np.float32)
    made = tile(grey, (60.0, 40.0, 100.0, 60.0))
    assert made is not None
    red = np.argwhere((made == (60, 60, 230)).all(axis=2))
    high, wide = red.max(axis=0) - red.min(axis=0)
    assert 1.8 < wide / high < 2.2
    assert tile(grey, (300.0, 40.0, 340.0, 60.0)) is None
    assert tile(grey, (np.nan, 0.0, 1.0, 1.0)) is None


def test_a_class_with_many_boxes_gets_a_sheet_of_some(tmp_path: Path) -> None:
    """A hundred boxes give no larger sheet than the most that a person looks at."""
    some = contact_sheets([_split(tmp_path, MOST_TILES)])
    many = contact_sheets([_split(tmp_path, 100)])
    assert list(many) == list(some) == ["firearm"]
    assert len(contact_sheets([_split(tmp_path, 0)])) == 0


def test_the_page_counts_and_escapes(tmp_path: Path) -> None:
    """Every finding stands in JSON and page; a name with markup is only text."""
    hostile = "<script>alert(1)</script>"
    report = DataReport(
        (Summary(hostile, "coco", 1, {hostile: 2}, {}),),
        (Finding("fault", "class", hostile, "not known"), Finding("warning", "k", "p", "w")),
    )
    page = write_report(tmp_path / "out", [_split(tmp_path, 2, hostile)], report)
    text = page.read_text("utf-8")
    assert "1 faults." in text
    assert "1 warnings." in text
    assert "<script>alert" not in text
    assert len(json.loads((page.parent / JSON_FILE).read_text("utf-8"))["findings"]) == 2
    (sheet,) = page.parent.glob("sheet_*.png")
    assert "<" not in sheet.name
