"""Scorer: one row a scan, whatever the scan is like; the machine's faults blame no scan."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from nii.errors import ProviderError, ScanFormatError
from nii.infer import parquet
from nii.score import scorer
from nii.score.archive import Place, find
from nii.score.scorer import Scorer


@pytest.fixture
def archive(tmp_path: Path, fill: Callable[[Path, int], None]) -> Place:
    """Return an archive of three scans, of which the second is broken."""
    fill(tmp_path / "archive", 3)
    (tmp_path / "archive" / "001.tiff").write_bytes(b"II*\0 broken")
    return Place(str(tmp_path / "archive"))


@pytest.mark.parametrize("ahead", [True, False])
def test_a_bad_scan_is_a_row(bench: ModuleType, archive: Place, *, ahead: bool) -> None:
    """Each scan gives one row in order; the broken one names its error, not a temporary path."""
    rows = list(Scorer(archive, bench.Marker(), ahead=ahead).rows(find(archive)))
    assert [row["name"] for row in rows] == ["000.tiff", "001.tiff", "002.tiff"]
    assert [row.get("level") for row in rows] == ["search", None, "search"]
    assert rows[1]["error"].startswith("001.tiff: found")
    assert rows[0]["scores"] == [{"class": "firearm", "score": pytest.approx(0.9)}]
    assert parquet.table_of(rows).num_rows == 3


def test_a_skipped_scan_is_told_and_not_touched(bench: ModuleType, archive: Place) -> None:
    """A scan that ended a process before is left out with the reason, and places are noted."""
    places: list[int] = []
    work = Scorer(archive, bench.Marker())
    rows = list(work.rows(find(archive), {0: "it ended a process"}, places.append))
    assert rows[0]["error"] == "it ended a process"
    assert places == [0, 1, 2]


def test_a_vanished_scan_is_a_row_a_vanished_archive_is_not(
    bench: ModuleType, archive: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the archive is there, a missing file is that file's fault; else the run ends."""
    monkeypatch.setattr(scorer, "_PAUSES_S", (0.001,))
    groups = find(archive)
    folder = Path(archive.address)
    (folder / "002.tiff").unlink()
    rows = list(Scorer(archive, bench.Marker()).rows(groups))
    assert "No such file" in rows[2]["error"]
    folder.rename(folder.with_name("gone"))
    with pytest.raises((OSError, ScanFormatError), match="No such file"):
        list(Scorer(archive, bench.Marker()).rows(groups))


def test_hardware_faults_end_the_run(bench: ModuleType, archive: Place) -> None:
    """A fault of the hardware is raised: no row says that the scan is bad."""

    class Broken(bench.Marker):  # type: ignore[misc,name-defined]
        def detect(self, _scan: object) -> object:
            raise ProviderError("GPU", found="no memory", expected="some", remedy="Wait.")

    with pytest.raises(ProviderError):
        list(Scorer(archive, Broken()).rows(find(archive)))


def test_an_unexpected_error_is_a_row(bench: ModuleType, archive: Place) -> None:
    """An error of ours over one scan does not stop the others, and the row asks for a report."""

    class Surprised(bench.Marker):  # type: ignore[misc,name-defined]
        def detect(self, _scan: object) -> object:
            raise ZeroDivisionError

    rows = list(Scorer(archive, Surprised()).rows(find(archive)))
    assert all(row["error"] for row in rows)
    assert "report" in rows[0]["error"]
    assert json.dumps(rows)
