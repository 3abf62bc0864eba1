"""Tests of :mod:`nii.infer.tables`: other programs read every scan, and nothing they must not."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from nii import taxonomy
from nii.errors import ConfigError
from nii.infer.results import Failure
from nii.infer.tables import COLUMNS, coco, regions_csv, wanted_of, write_tables
from nii.inspection import (
    Inspection,
    Level,
    ModelFacts,
    ProviderFacts,
    Region,
    ScanFacts,
    Structure,
)
from nii.scan import Scan

GUN = Region(
    number=1,
    class_name="firearm",
    label="firearm",
    category="weapons",
    score=0.9,
    level=Level.SEARCH,
    box_xyxy=(10.0, 20.0, 50.0, 40.0),
    container=1,
    position="container 1, front third, floor level",
    size_mm=(160.0, 100.0),
    contour_xy=((10.0, 20.0), (50.0, 20.0), (50.0, 40.0)),
)
BRICK = replace(GUN, number=2, class_name="brick", level=Level.LOOK, score=0.4, contour_xy=None)


def inspection(*regions: Region, file: str = "a.tiff") -> Inspection:
    """Return an inspection of one container."""
    scan = replace(ScanFacts.of(Scan(np.ones((2, 90, 120), np.float32))), files=(file,))
    return Inspection(
        scan=scan,
        model=ModelFacts("m", "1", "0" * 64),
        provider=ProviderFacts(("CPU",), ("CPU",), ("CPU",), "cpu", "none"),
        level=max((r.level for r in regions), key=lambda v: v.rank, default=Level.CLEAR),
        structures=(Structure("container", 1, (5.0, 5.0, 100.0, 80.0), 0.8),),
        regions=regions,
        inspected_at=datetime(2026, 11, 22, tzinfo=UTC).isoformat(),
        warnings=('it has, "commas"', "and more"),
    )


def rows(content: bytes) -> list[dict[str, str]]:
    """Return what a spreadsheet reads."""
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_every_scan_has_a_row() -> None:
    """A row a region, one for a scan without regions, one for a scan that failed."""
    done = [("a", inspection(GUN, BRICK)), ("b", inspection())]
    table = rows(regions_csv(done, [Failure("c.tiff", "broken")]))
    assert [row["scan_level"] for row in table] == ["search", "search", "clear", "failed"]
    assert [row["class"] for row in table] == ["firearm", "brick", "", ""]
    assert set(table[0]) == set(COLUMNS)
    first = table[0]
    assert [float(first[key]) for key in ("x0", "y0", "x1", "y1")] == list(GUN.box_xyxy)
    assert first["warnings"] == 'it has, "commas" and more'
    assert (table[3]["files"], table[3]["error"]) == ("c.tiff", "broken")


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1", "-2+3", "@SUM(A1)", "\t=1"])
def test_no_file_name_is_a_formula(name: str) -> None:
    """A name that a spreadsheet would run is shown as text; a name of any sign stays one cell."""
    done = [(name, inspection(file=name))]
    for row in rows(regions_csv(done, [Failure(name, name)])):
        for cell in row.values():
            assert not cell.startswith(("=", "+", "-", "@", "\t"))
    assert len(rows(regions_csv([("a\r\nb;\x00", inspection())], []))) == 1


def test_coco_is_read_by_the_reference_program(tmp_path: Path) -> None:
    """Pycocotools loads the file, and its annotations as results; outlines are polygons."""
    pycocotools = pytest.importorskip("pycocotools.coco")
    (tmp_path / "r.json").write_bytes(coco([("a", inspection(GUN, BRICK)), ("b", inspection())]))
    loaded = pycocotools.COCO(str(tmp_path / "r.json"))
    names = {row["id"]: row["name"] for row in loaded.dataset["categories"]}
    assert names == {row.class_id + 1: row.name for row in taxonomy.classes()}
    found = loaded.loadAnns(loaded.getAnnIds(imgIds=[1]))
    assert [names[row["category_id"]] for row in found] == ["container", "firearm", "brick"]
    assert found[1]["bbox"] == [10.0, 20.0, 40.0, 20.0]
    assert found[1]["area"] == 400
    assert found[2]["area"] == 800
    assert found[1]["segmentation"] == [[10.0, 20.0, 50.0, 20.0, 50.0, 40.0]]
    results = [
        {key: row[key] for key in ("image_id", "category_id", "bbox", "score")} for row in found
    ]
    assert len(loaded.loadRes(results).anns) == 3


def test_only_what_is_wanted_is_written(tmp_path: Path) -> None:
    """Forms are joined by commas; each makes its file, an unknown one is refused."""
    done = [("a", inspection(GUN))]
    assert wanted_of(" csv,coco ,") == {"csv", "coco"}
    write_tables(tmp_path, wanted_of("dicos-tdr"), done, [])
    assert not list(tmp_path.iterdir())
    write_tables(tmp_path, wanted_of("csv,coco"), done, [])
    assert {path.name for path in tmp_path.iterdir()} == {"regions.csv", "regions.coco.json"}
    assert (
        json.loads((tmp_path / "regions.coco.json").read_text())["images"][0]["level"] == "search"
    )
    with pytest.raises(ConfigError, match="excel"):
        wanted_of("csv,excel")
