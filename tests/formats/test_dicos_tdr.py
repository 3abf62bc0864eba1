"""DICOS threat detection reports: another house's toolkit reads what we found."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nii import formats
from nii.formats import dicos_tdr
from nii.formats.dicos_tdr import bitmap, encode, origin_of
from nii.inspection import (
    Health,
    Inspection,
    Level,
    ModelFacts,
    Problem,
    ProviderFacts,
    Region,
    ScanFacts,
)
from nii.scan import Scan

TRIANGLE = ((10.0, 20.0), (17.6, 20.0), (14.0, 24.0))
GUN = Region(
    number=1,
    class_name="firearm",
    label="firearm",
    category="weapons",
    score=0.9,
    level=Level.SEARCH,
    box_xyxy=(10.0, 20.0, 17.6, 24.0),
    container=1,
    position="container 1, front third, floor level",
    contour_xy=TRIANGLE,
)
BRICK = replace(
    GUN,
    number=2,
    class_name="brick",
    score=0.4,
    level=Level.LOOK,
    box_xyxy=(50.0, 30.0, 61.0, 33.0),
    contour_xy=None,
)
FIT = Health(1.0, 0.0, 0.0, 0, 0)

READ = """
import json, sys
import numpy as np, pydicos
from pyDICOS import TDR, ErrorLog, Filename
for path in sys.argv[1:]:
    report, errors = TDR(), ErrorLog()
    answer = {"read": report.Read(Filename(path), errors, None)}
    answer["errors"] = errors.GetErrorLog().Get()
    if answer["read"]:
        data = pydicos.dcsread(path).get_data()
        answer |= {key: str(data[key]) for key in ("TDRType", "InstanceUID", "OOIID")}
        answer |= {"decision": str(data["AlarmDecision"]), "ms": data["ProcessingTime"]}
        answer["threats"] = [
            {
                "id": item["ID"],
                "base": [item["Base"][axis] for axis in "xyz"],
                "extent": [item["Extent"][axis] for axis in "xyz"],
                "bitmap": np.asarray(item["Bitmap"]).tolist(),
                "polygon": [[corner[axis] for axis in "xyz"] for corner in item["Polygon"]],
                "probability": item["Assessment"]["probability"],
                "category": str(item["Assessment"]["category"]),
                "flag": str(item["Assessment"]["flag"]),
                "text": item["Assessment"]["description"],
            }
            for item in data["PTOs"]
        ]
    print("ANSWER" + json.dumps(answer))
"""


def inspection(scan: Scan, *regions: Region, health: Health = FIT) -> Inspection:
    """Return an inspection with regions."""
    return Inspection(
        scan=ScanFacts.of(scan),
        model=ModelFacts("compact", "0.1.0+412", "ab" * 32),
        provider=ProviderFacts(("CPUExecutionProvider",), ("CPU",), ("CPU",), "cpu", "none"),
        level=max((r.level for r in regions), key=lambda level: level.rank, default=Level.CLEAR),
        structures=(),
        regions=regions,
        inspected_at=datetime(2026, 11, 22, 12, tzinfo=UTC).isoformat(),
        timing_ms={"read": 2.5, "run": 10.0},
        health=health,
    )


@pytest.fixture
def files(truck: Scan, tmp_path: Path) -> tuple[Path, ...]:
    """Return the DICOS files of a scan."""
    return formats.write(truck, tmp_path / "truck.dcs")


def answers(*paths: Path) -> list[dict[str, Any]]:
    """Return what the independent toolkit reads from reports."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", READ, *map(str, paths)],
        capture_output=True,
        env={**os.environ, "TZ": "UTC"},
        timeout=60,
        check=False,
        text=True,
    )
    lines = [line[6:] for line in done.stdout.splitlines() if line.startswith("ANSWER")]
    assert len(lines) == len(paths), done.stderr[-500:]
    return [json.loads(line) for line in lines]


@pytest.mark.skipif(
    importlib.util.find_spec("pyDICOS") is None and importlib.util.find_spec("pydicos") is None,
    reason="the independent validator pydicos is not installed",
)
def test_an_independent_reader_finds_what_was_written(
    truck: Scan, files: tuple[Path, ...], tmp_path: Path
) -> None:
    """Two threats, none, and a spoilt report; the toolkit shows geometry for baggage only."""
    scan = formats.read(list(files))
    origin = origin_of(files, scan.sha256)
    (tmp_path / "alarm").write_bytes(encode(inspection(scan, GUN, BRICK), origin))
    (tmp_path / "clear").write_bytes(encode(inspection(scan), origin))
    twin = pydicom.dcmread(tmp_path / "alarm")
    twin.OOIType = "BAGGAGE"
    pydicom.dcmwrite(tmp_path / "twin", twin)
    del twin.TDRType
    pydicom.dcmwrite(tmp_path / "spoilt", twin)
    names = ("alarm", "clear", "twin", "spoilt")
    alarm, clear, geometry, spoilt = answers(*(tmp_path / name for name in names))
    assert not spoilt["read"]
    assert "4010,1027" in str(spoilt["errors"]) or "TDR" in str(spoilt["errors"])
    for answer in (alarm, clear, geometry):
        assert answer["read"], answer["errors"]
        assert answer["errors"] == ""
        assert answer["InstanceUID"] == str(pydicom.dcmread(files[0]).StudyInstanceUID)
        assert answer["OOIID"] == truck.container_numbers[0]
        assert "Machine" in str(answer["TDRType"])
        assert answer["ms"] == pytest.approx(12.5)
    assert "Alarm" in str(alarm["decision"])
    assert "Clear" in str(clear["decision"])
    assert clear["threats"] == []
    gun, brick = geometry["threats"]
    assert gun["base"] == [10, 20, 0]
    assert gun["extent"] == [8, 4, 1]
    assert gun["polygon"] == [[pytest.approx(x), pytest.approx(y), 0] for x, y in TRIANGLE]
    assert 12 <= np.sum(gun["bitmap"]) <= 26
    assert np.asarray(gun["bitmap"])[0, 0].all()
    assert np.asarray(brick["bitmap"]).shape == (1, 3, 11)
    assert np.asarray(brick["bitmap"]).all()
    assert (gun["probability"], brick["probability"]) == (pytest.approx(0.9), pytest.approx(0.4))
    assert "HighThreat" in gun["flag"].replace("_", "")
    assert "Contraband" in brick["category"]
    assert gun["text"] == "firearm: firearm; container 1, front third, floor level"


def test_a_report_belongs_to_its_scan(files: tuple[Path, ...], tmp_path: Path) -> None:
    """It carries the UID of the scan, refers to both energies, and is no part of the scan."""
    scan = formats.read(list(files))
    path = tmp_path / "truck.tdr.dcs"
    path.write_bytes(encode(inspection(scan, GUN), origin_of(files, scan.sha256)))
    report = pydicom.dcmread(path)
    images = [pydicom.dcmread(file) for file in files]
    assert report.StudyInstanceUID == images[0].StudyInstanceUID
    assert report.ReferencedStudySequence[0].ReferencedSOPInstanceUID == images[0].StudyInstanceUID
    assert report.SeriesInstanceUID != images[0].SeriesInstanceUID
    assert report.StudyDate == images[0].StudyDate
    shown = report.ThreatSequence[0].PTORepresentationSequence[0].ReferencedInstanceSequence
    assert [item.ReferencedSOPInstanceUID for item in shown] == [i.SOPInstanceUID for i in images]
    assert formats.find([tmp_path]) == (files,)


def test_other_files_have_uids_of_their_content(truck: Scan, tmp_path: Path) -> None:
    """The same TIFF under two names is one scan, another one is another."""
    uids = []
    for name, pixels in (("a", 0), ("b", 0), ("c", 1)):
        values = truck.transmission.copy()
        values[0, 0, 0] = pixels
        scan = replace(truck, transmission=values)
        written = formats.write(scan, tmp_path / f"{name}.tiff")
        uids.append(origin_of(written, formats.read(written).sha256).scan_uid)
    assert uids[0] == uids[1] != uids[2]
    assert all(pydicom.uid.UID(uid).is_valid for uid in uids)


def test_an_unfit_scan_is_never_cleared(truck: Scan, files: tuple[Path, ...]) -> None:
    """Without regions a sound scan is CLEAR and a spoilt one UNKNOWN; a region is an ALARM."""
    unfit = replace(FIT, problems=(Problem.DARK,))
    origin = origin_of(files, None)
    found = [
        dicos_tdr.report(inspection(truck, *regions, health=health), origin).AlarmDecision
        for regions, health in (((), FIT), ((), unfit), ((BRICK,), unfit))
    ]
    assert found == ["CLEAR", "UNKNOWN", "ALARM"]


def test_who_decided_is_said(truck: Scan, files: tuple[Path, ...]) -> None:
    """Program, version and bundle stand in the report, as short values of the form -key=value."""
    report = dicos_tdr.report(inspection(truck, GUN), origin_of(files, None))
    maker, version, *facts = report.ThreatDetectionAlgorithmAndVersion
    assert (maker, version) == ("nii", "0.1.0+412")
    assert all(fact.startswith("-") and "=" in fact and len(fact) <= 64 for fact in facts)
    assert f"-bundle={'ab' * 16}" in facts


@given(st.integers(1, 9), st.integers(1, 9))
def test_a_bitmap_holds_each_pixel(height: int, width: int) -> None:
    """Bit number y · width + x, lowest first, is pixel x, y; the length is even."""
    mask = (np.arange(height * width) % 3 == 0).astype(np.uint8).reshape(height, width)
    packed = bitmap(mask)
    assert len(packed) % 2 == 0
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")
    np.testing.assert_array_equal(bits[: mask.size].reshape(mask.shape), mask)
    assert not bits[mask.size :].any()


def test_known_bitmaps() -> None:
    """The examples that the independent toolkit was seen to write (8 x 4 and 5 x 3)."""
    wide = np.zeros((4, 8), np.uint8)
    wide[0, 1] = 1
    assert bitmap(wide) == b"\x02\0\0\0"
    odd = np.zeros((3, 5), np.uint8)
    odd[1, 0] = 1
    assert bitmap(odd) == b"\x20\0"
