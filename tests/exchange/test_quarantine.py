"""Claims about the quarantine: a whole case or none, and the original stays."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nii.errors import ScanFormatError
from nii.exchange import quarantine

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ODD = ValueError("odd")


def test_copy_and_reason(tmp_path: Path) -> None:
    """The case holds the same bytes and the reason in words; the original is untouched."""
    bad = tmp_path / "bad ü.tif"
    bad.write_bytes(b"no scan")
    error = ScanFormatError(bad, found="rubbish", expected="a scan", remedy="Send it again.")
    case = quarantine.put(tmp_path / "quarantine", [bad], "ab" * 32, error, NOON)
    assert (case / "1-bad ü.tif").read_bytes() == bad.read_bytes() == b"no scan"
    reason = json.loads((case / quarantine.REASON_FILE).read_text())
    assert (reason["found"], reason["files"]) == ("rubbish", [str(bad)])
    assert quarantine.holds(tmp_path / "quarantine", "ab" * 32)


def test_a_case_is_written_once(tmp_path: Path) -> None:
    """A scan that comes again leaves its case as it is."""
    bad = tmp_path / "bad.tif"
    bad.write_bytes(b"no scan")
    for error in (ODD, ValueError("other")):
        case = quarantine.put(tmp_path / "q", [bad], "ab" * 32, error, NOON)
    assert json.loads((case / quarantine.REASON_FILE).read_text())["found"] == "odd"


def test_whole_or_not_there(tmp_path: Path) -> None:
    """Where a file cannot be copied, no half case is left."""
    bad = tmp_path / "bad.tif"
    bad.write_bytes(b"no scan")
    with pytest.raises(OSError, match="gone"):
        quarantine.put(tmp_path / "q", [bad, tmp_path / "gone.tif"], "ab" * 32, ODD, NOON)
    assert not list((tmp_path / "q").iterdir())


def test_longest_names(tmp_path: Path) -> None:
    """A name as long as the file system allows finds room for its number."""
    bad = tmp_path / ("é" * 125 + ".tif")
    bad.write_bytes(b"no scan")
    case = quarantine.put(tmp_path / "q", [bad], "ab" * 32, ODD, NOON)
    assert len(list(case.iterdir())) == 2
