"""DX data sets are what DICOS V03 demands."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from nii.errors import ScanFormatError
from nii.formats import dicos_dx
from nii.formats.facts import Facts
from nii.scan import Scan

PATH = Path("truck.dcs")


def test_kinds_of_energy() -> None:
    """One energy is an intensity, two are high and low, more are told apart by KVP."""
    assert dicos_dx.kinds(1) == ("INTENSITY",)
    assert dicos_dx.kinds(2) == ("HIGH ENERGY", "LOW ENERGY")
    assert dicos_dx.kinds(3) == ("MULTI ENERGY",) * 3


def test_objects_of_one_scan_belong_together(truck: Scan) -> None:
    """They share scan and series, and nothing that identifies the object itself."""
    high, low = dicos_dx.datasets(truck, PATH)
    assert high.StudyInstanceUID == low.StudyInstanceUID
    assert high.SeriesInstanceUID == low.SeriesInstanceUID
    assert high.SOPInstanceUID != low.SOPInstanceUID
    assert (high.KVP, low.KVP) == (9000, 6100)
    assert (high.InstanceNumber, low.InstanceNumber) == (1, 2)
    assert high.file_meta[0x00020004].value == "V03"


def test_facts_stand_in_public_elements(truck: Scan) -> None:
    """A program that knows DICOS and not us finds container, machine, pitch and time."""
    dataset = dicos_dx.datasets(truck, PATH)[0]
    assert dataset.PatientID == "MSCU1234566"
    assert dataset.OtherPatientIDs == "TGHU7654321"
    assert dataset.ManufacturerModelName == "Portal Nord"
    assert dataset.ImagerPixelSpacing == [4.5, 3.7]
    assert (dataset.StudyDate, dataset.StudyTime) == ("20260301", "123005.250000")
    assert dataset.TimezoneOffsetFromUTC == "+0000"
    assert dataset.OOIType == "CARGO"
    assert "made by a test" in dataset.ImageComments


def test_what_is_not_known_is_said() -> None:
    """Placeholders are named in the comment for people."""
    dataset = dicos_dx.datasets(Scan(np.ones((1, 2, 2), np.float32)), PATH)[0]
    assert (dataset.PatientID, dataset.KVP) == ("UNKNOWN", 0)
    assert "time of acquisition, end-point energy, OOI ID" in dataset.ImageComments


def test_a_zone_with_seconds_becomes_utc(truck: Scan) -> None:
    """DICOM writes zones in hours and minutes only."""
    zone = timezone(timedelta(hours=1, seconds=7))
    scan = replace(truck, acquired_at=datetime(2026, 1, 1, 1, 0, 7, tzinfo=zone))
    dataset = dicos_dx.datasets(scan, PATH)[0]
    assert (dataset.StudyTime, dataset.TimezoneOffsetFromUTC) == ("000000.000000", "+0000")


def test_text_is_made_to_fit() -> None:
    """Backslash separates values in DICOM, and text has a greatest length."""
    assert dicos_dx.plain(" a\\b\tc\ud800 ", "LO") == "a b c"
    assert len(dicos_dx.plain("x" * 99, "SH")) == 16
    assert dicos_dx.ooi_ids(Facts(container_numbers=("", "A", "UNKNOWN", "\\"))) == ("A",)


def test_numbers_fit_a_decimal_string() -> None:
    """No number takes more than 16 characters."""
    for value in (9000.0, 1 / 3, 1e-9 / 7, 12345678.9012345, 1e22 / 3):
        assert len(dicos_dx.number(value)) <= 16


def test_rows_are_counted_in_16_bits() -> None:
    """A wider image has no place in the header."""
    with pytest.raises(ScanFormatError, match="Write TIFF"):
        dicos_dx.datasets(Scan(np.ones((1, 1, 65536), np.float32)), PATH)


def test_names_of_files() -> None:
    """Two energies are called high and low, more are numbered from the highest."""
    assert [path.name for path in dicos_dx.file_names(PATH, 1)] == ["truck.dcs"]
    assert [p.name for p in dicos_dx.file_names(PATH, 2)] == ["truck.high.dcs", "truck.low.dcs"]
    assert [path.name for path in dicos_dx.file_names(PATH, 3)][2] == "truck.3.dcs"
