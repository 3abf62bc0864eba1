"""Tests of :mod:`nii.infer.batch`: order, failures and files of many scans."""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest

from nii import formats
from nii.bundle import Bundle
from nii.errors import ScanFormatError
from nii.infer.batch import Inspected, inspect_files, read_group
from nii.infer.detect import Detector
from nii.infer.results import Failure
from nii.infer.runtime import CPU, ProviderSettings
from nii.inspection import Inspection
from nii.scan import AnyScan, Scan, StoredScan

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def detector(tiny_bundle: Bundle) -> Detector:
    """Return a detector with the tiny model."""
    return Detector.open(tiny_bundle.folder, ProviderSettings((CPU,)))


@pytest.fixture
def inbox(tmp_path: Path, make_scan: Callable[..., Scan]) -> Path:
    """Return a folder with good scans of one name, and a bad file among them."""
    folder = tmp_path / "in"
    for index, name in enumerate(("a/truck.tiff", "b/truck.tiff", "plain.png")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        formats.write(make_scan(((320 + 40 * index, 120),)), path)
    (folder / "broken.tiff").write_bytes(b"II*\0 and then nothing")
    return folder


@pytest.mark.slow
def test_a_bad_file_does_not_stop_the_others(
    inbox: Path, tmp_path: Path, detector: Detector
) -> None:
    """Every file is either inspected or reported, in the given order."""
    groups = formats.find([inbox])
    results = list(inspect_files(groups, detector, tmp_path / "out", clock=lambda: NOON))
    assert [str(group[0]) for group in groups] == [
        result.file if isinstance(result, Failure) else str(result.files[0]) for result in results
    ]
    failures = [result for result in results if isinstance(result, Failure)]
    assert [Path(failure.file).name for failure in failures] == ["broken.tiff"]
    assert "copy or export it again" in failures[0].error


@pytest.mark.slow
def test_files_hold_what_was_found(inbox: Path, tmp_path: Path, detector: Detector) -> None:
    """Each scan leaves its facts and a picture of its own size; nothing else is left."""
    out = tmp_path / "out"
    done = [
        result
        for result in inspect_files(formats.find([inbox]), detector, out)
        if isinstance(result, Inspected)
    ]
    written = {path.name for path in out.iterdir()}
    endings = (".inspection.json", ".overlay.png", ".thumbnail.png")
    assert written == {result.stem + ending for result in done for ending in endings}
    for result in done:
        text = (out / f"{result.stem}.inspection.json").read_text("utf-8")
        assert Inspection.from_json(json.loads(text)) == result.inspection
        picture = cv2.imread(str(out / f"{result.stem}.overlay.png"))
        assert picture is not None
        assert picture.shape == (result.scan.height, result.scan.width, 3)
        small = cv2.imread(str(out / f"{result.stem}.thumbnail.png"))
        assert small is not None
        assert small.shape == (154, 480, 3)
    stages = ["read", "preprocess", "run", "decode", "describe", "overlay"]
    assert list(done[0].inspection.timing_ms) == stages


@pytest.mark.slow
def test_again_gives_the_same_names_and_another_folder_new_ones(
    inbox: Path, tmp_path: Path, detector: Detector
) -> None:
    """A second run replaces its own results; a scan of the same name elsewhere never does."""
    out = tmp_path / "out"
    for _ in range(2):
        list(inspect_files([(inbox / "a/truck.tiff",)], detector, out))
    assert len(list(out.glob("*.json"))) == 1
    list(inspect_files([(inbox / "b/truck.tiff",)], detector, out))
    assert len(list(out.glob("*.json"))) == 2


@pytest.mark.slow
def test_order_does_not_depend_on_speed(
    tmp_path: Path, detector: Detector, make_scan: Callable[..., Scan]
) -> None:
    """Slow and quick reading give the same order, and only one file is read ahead."""
    reading = threading.Semaphore(1)

    def read(files: Sequence[Path]) -> Scan:
        assert reading.acquire(blocking=False)
        number = int(files[0].stem)
        time.sleep(0.02 * (number % 2))
        reading.release()
        if number == 3:
            raise ScanFormatError("3", found="3", expected="another number", remedy="Leave it.")
        return replace(make_scan(), scanner=f"number {number}")

    groups = [(Path(f"{number}.tiff"),) for number in range(6)]
    results = list(inspect_files(groups, detector, tmp_path, read=read))
    seen = [r.scan.scanner if isinstance(r, Inspected) else r.file for r in results]
    expected = [f"number {number}" for number in range(6)]
    assert seen == [*expected[:3], "3.tiff", *expected[4:]]


def test_an_unexpected_error_is_reported_too(
    tmp_path: Path, detector: Detector, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of our own in one scan becomes a failure with its trace in the log."""

    def read(files: Sequence[Path]) -> Scan:
        raise ZeroDivisionError(str(files[0]))

    (failure,) = inspect_files([(Path("x.tiff"),)], detector, tmp_path, read=read)
    assert isinstance(failure, Failure)
    assert "unexpected ZeroDivisionError: x.tiff" in failure.error
    assert "Traceback" in caplog.text


@pytest.mark.slow
def test_a_full_disk_is_reported(
    inbox: Path, tmp_path: Path, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing can be written each scan is a failure, and no half file is left."""

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device", str(path), data[:0])

    monkeypatch.setattr("nii.infer.results.save", full)
    results = list(inspect_files(formats.find([inbox]), detector, tmp_path / "out"))
    assert all(isinstance(result, Failure) for result in results)
    assert list((tmp_path / "out").iterdir()) == []


def test_nothing_gives_nothing(tmp_path: Path, detector: Detector) -> None:
    """No scans give no results."""
    assert list(inspect_files([], detector, tmp_path)) == []


@pytest.mark.slow
def test_a_large_scan_is_alone(
    inbox: Path, tmp_path: Path, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where files are large none is read ahead; the results are the same."""
    groups = [(inbox / "a/truck.tiff",), (inbox / "plain.png",), (inbox / "b/truck.tiff",)]
    normal = [
        r for r in inspect_files(groups, detector, tmp_path / "1") if isinstance(r, Inspected)
    ]
    monkeypatch.setattr("nii.infer.batch._LARGE_BYTES", 0)
    asked: list[Path] = []

    def read(files: Sequence[Path]) -> AnyScan:
        asked.append(files[0])
        return read_group(files)

    kinds, done = [], []
    for result in inspect_files(groups, detector, tmp_path / "2", read=read):
        assert isinstance(result, Inspected)
        assert asked[-1] == result.files[0]
        kinds.append(type(result.scan))
        done.append(result)
    assert kinds == [StoredScan, Scan, StoredScan]
    for first, second in zip(normal, done, strict=True):
        np.testing.assert_array_equal(first.grey, second.grey)
        assert first.inspection.regions == second.inspection.regions
        assert first.inspection.health == second.inspection.health


def test_a_report_for_other_systems_is_written_on_request(
    inbox: Path, tmp_path: Path, detector: Detector
) -> None:
    """A DICOS threat detection report stands beside the other results of each scan."""
    (done,) = inspect_files([(inbox / "plain.png",)], detector, tmp_path / "out", tdr=True)
    assert isinstance(done, Inspected)
    report = pydicom.dcmread(tmp_path / "out" / "plain.tdr.dcs")
    assert report.NumberOfAlarmObjects == len(done.inspection.regions) == 1


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="the system cannot fork"
)
def test_a_forked_process_has_threads_of_its_own(
    inbox: Path, tmp_path: Path, detector: Detector
) -> None:
    """A process forked after an inspection does not wait for threads that only its parent has."""
    group = (inbox / "broken.tiff",)

    def look() -> None:
        (result,) = inspect_files([group], detector, tmp_path / "out")
        assert isinstance(result, Failure)

    look()
    child = multiprocessing.get_context("fork").Process(target=look)
    child.start()
    child.join(timeout=20)
    hangs = child.is_alive()
    child.kill()
    assert not hangs
    assert child.exitcode == 0
