"""Claims about the lane: each scan once, whatever happens in between."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from nii import formats, taxonomy, worker
from nii.bundle import Card, DecodeSpec, Thresholds
from nii.detections import Detections
from nii.errors import ConfigError, ProviderError
from nii.exchange import outbox
from nii.exchange.inbox import Inbox
from nii.exchange.package import read_package
from nii.exchange.quarantine import REASON_FILE
from nii.inspection import Level, ModelFacts, ProviderFacts
from nii.preprocess import PreprocessSpec
from nii.provenance import Provenance
from nii.scan import AnyScan, Scan
from nii.store import audit, inspections, scans
from nii.store.database import open_folder
from nii.store.inspections import Query
from nii.worker import Summary, WorkerSettings

CPU = ("CPUExecutionProvider",)
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
CARD = Card(
    name="stand-in",
    version="1",
    threats=("firearm",),
    structures=("vehicle", "container"),
    preprocess=PreprocessSpec(),
    decode=DecodeSpec(),
    thresholds=Thresholds({"firearm": 0.3}, {"firearm": 0.6}),
    provenance=Provenance().to_json(),
)


@dataclass
class Detector:
    """Stand in for a model: find one firearm in every scan."""

    card: Card = CARD
    model: ModelFacts = field(default_factory=lambda: ModelFacts("stand-in", "1", "1" * 64))
    provider: ProviderFacts = field(
        default_factory=lambda: ProviderFacts(CPU, CPU, CPU, "cpu", "a stand-in")
    )
    calls: int = 0
    error: BaseException | None = None

    def detect(self, scan: AnyScan) -> tuple[Detections, Mapping[str, float]]:
        """Return a firearm in the middle, or raise what the test asks for."""
        self.calls += 1
        if self.error is not None:
            raise self.error
        middle = scan.width / 2
        box = np.asarray([[middle - 10, 20, middle + 10, 30]], np.float32)
        class_id = taxonomy.by_name("firearm").class_id
        return Detections(box, np.asarray([0.9], np.float32), np.asarray([class_id])), {}


class Stopped(BaseException):
    """Stand in for the end of the process."""


def stop(*_: object, **__: object) -> None:
    """End the process."""
    raise Stopped


@pytest.fixture
def settings(tmp_path: Path) -> WorkerSettings:
    """Give folders for everything, with an empty inbox."""
    (tmp_path / "inbox").mkdir()
    return WorkerSettings(
        inbox=tmp_path / "inbox",
        store=tmp_path / "store",
        quarantine=tmp_path / "quarantine",
        outbox=tmp_path / "outbox",
        finished_by="rename",
        look_every_s=0.01,
    )


@pytest.fixture
def arrive(settings: WorkerSettings, rng: np.random.Generator) -> Callable[[str], Path]:
    """Give a function that lets a new scan arrive."""

    def write(name: str) -> Path:
        image = rng.uniform(0.2, 1.0, (1, 64, 200)).astype(np.float32)
        (path,) = formats.write(Scan(image), settings.inbox / name)
        return path

    return write


def run_once(settings: WorkerSettings, detector: Detector) -> Summary:
    """Run the worker over what is there, at noon."""
    return worker.run_once(settings, detector, lambda: NOON)


def check_state(settings: WorkerSettings, count: int) -> None:
    """Assert that the store and the outbox hold so many inspections, each once, and agree."""
    store = open_folder(settings.store)
    try:
        filed = inspections.page(store, Query())
        assert len({one.scan_sha256 for one in filed}) == len(filed) == count
        assert audit.verify(store).intact
    finally:
        store.close()
    assert settings.outbox is not None
    packages = sorted(settings.outbox.iterdir()) if settings.outbox.exists() else []
    assert len(packages) == count
    for number, path in enumerate(packages):
        package = read_package(path, settings.store / f"checked {number}")
        assert package.inspection in [one.inspection for one in filed]
    for number in range(len(packages)):
        for path in sorted((settings.store / f"checked {number}").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        (settings.store / f"checked {number}").rmdir()


@pytest.mark.slow
def test_the_whole_way(settings: WorkerSettings, arrive: Callable[[str], Path]) -> None:
    """A scan in the inbox ends as inspection and package, and stays in the inbox unchanged."""
    path = arrive("truck.tif")
    content = path.read_bytes()
    summary = run_once(settings, Detector())
    assert summary == Summary(inspected=1, delivered=1)
    check_state(settings, 1)
    assert path.read_bytes() == content
    store = open_folder(settings.store)
    (filed,) = inspections.page(store, Query())
    store.close()
    assert filed.inspection.level is Level.SEARCH
    assert filed.inspection.scan.files == ("truck.tif",)


@pytest.mark.slow
def test_each_scan_once(settings: WorkerSettings, arrive: Callable[[str], Path]) -> None:
    """Later runs, copies and renames of a scan change nothing; a new scan is taken."""
    first = arrive("a.tif")
    detector = Detector()
    run_once(settings, detector)
    assert run_once(settings, detector) == Summary(known=1)
    (settings.inbox / "copy of a.tif").write_bytes(first.read_bytes())
    first.rename(settings.inbox / "renamed.tif")
    assert run_once(settings, detector) == Summary(known=2)
    arrive("b.tif")
    assert run_once(settings, detector) == Summary(inspected=1, delivered=1, known=2)
    assert detector.calls == 2
    check_state(settings, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "step"),
    [
        (worker, "inspect"),
        (scans, "keep"),
        (scans, "register"),
        (audit, "append"),
        (outbox, "deliver"),
        (outbox, "write_package"),
        (outbox, "sha256_of_file"),
        (Inbox, "settle"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_stopped_at_any_step(
    settings: WorkerSettings,
    arrive: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    module: object,
    step: str,
) -> None:
    """After the end of the process at any step, the next run leaves one of each."""
    arrive("a.tif")
    arrive("b.tif")
    with monkeypatch.context() as patch:
        patch.setattr(module, step, stop)
        with pytest.raises(Stopped):
            run_once(settings, Detector())
    run_once(settings, Detector())
    check_state(settings, 2)
    assert run_once(settings, Detector()) == Summary(known=2)


@pytest.mark.slow
def test_quarantine(
    settings: WorkerSettings,
    arrive: Callable[[str], Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A bad file is copied with its reason, stays where it is, and does not hold up the others."""
    bad = settings.inbox / "a bad one.tif"
    bad.write_bytes(b"no scan at all")
    arrive("b.tif")
    with caplog.at_level(logging.WARNING):
        summary = run_once(settings, Detector())
    assert summary == Summary(inspected=1, delivered=1, quarantined=1)
    assert "a bad one.tif" in caplog.text
    reported = [record for record in caplog.records if record.name == "nii.worker"]
    assert [record.exc_info for record in reported] == [None]  # a message, no traceback
    assert "expected" in reported[0].getMessage()
    (folder,) = settings.quarantine.iterdir()
    assert (folder / "1-a bad one.tif").read_bytes() == bad.read_bytes() == b"no scan at all"
    reason = json.loads((folder / REASON_FILE).read_text())
    assert reason["error"] == "ScanFormatError"
    assert reason["files"] == [str(bad)]
    assert reason["remedy"]
    assert run_once(settings, Detector()) == Summary(known=2)
    bad.write_bytes(b"another content")
    assert run_once(settings, Detector()) == Summary(quarantined=1, known=1)
    assert len(list(settings.quarantine.iterdir())) == 2


@pytest.mark.slow
def test_a_scan_that_breaks_the_inspection(
    settings: WorkerSettings, arrive: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected error over one scan puts it into quarantine with the error's own words."""
    arrive("a.tif")
    assert run_once(settings, Detector(error=ValueError("odd"))) == Summary(quarantined=1)
    (logged,) = [record for record in caplog.records if record.name == "nii.worker"]
    assert logged.exc_info  # whoever mends it needs the traceback
    (reason,) = settings.quarantine.rglob(REASON_FILE)
    assert json.loads(reason.read_text())["found"] == "odd"


@pytest.mark.slow
def test_failing_hardware_stops_the_worker(
    settings: WorkerSettings, arrive: Callable[[str], Path]
) -> None:
    """When the hardware fails, no scan is blamed for it; later the scan is inspected."""
    arrive("a.tif")
    broken = ProviderError("GPU", found="nothing", expected="a GPU", remedy="Look.")
    with pytest.raises(ProviderError):
        run_once(settings, Detector(error=broken))
    assert not settings.quarantine.exists()
    assert run_once(settings, Detector()) == Summary(inspected=1, delivered=1)


@pytest.mark.slow
def test_a_full_disk_is_retried(
    settings: WorkerSettings, arrive: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a copy cannot be written, the scan is left for the next look and not blamed."""

    def fail(*_: object) -> None:
        raise OSError("disk full")

    arrive("a.tif")
    with monkeypatch.context() as patch:
        patch.setattr(scans, "keep", fail)
        assert run_once(settings, Detector()) == Summary(retried=1)
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "write_package", fail)
        assert run_once(settings, Detector()) == Summary(inspected=1, undelivered=1)
    assert run_once(settings, Detector()) == Summary(delivered=1, known=1)
    check_state(settings, 1)


@pytest.mark.slow
def test_a_scan_that_breaks_the_picture(
    settings: WorkerSettings, arrive: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected error over one package holds up nothing, and is tried once in a run."""
    tries: list[int] = []

    def fail(*_: object) -> bytes:
        tries.append(1)
        raise ValueError("odd")

    arrive("a.tif")
    monkeypatch.setattr(worker, "overlay_png", fail)
    end = threading.Event()
    threading.Timer(0.5, end.set).start()
    summary = worker.run(settings, Detector(), end, lambda: NOON)
    assert summary == Summary(inspected=1, undelivered=1)
    assert len(tries) == 1


@pytest.mark.slow
def test_without_outbox(settings: WorkerSettings, arrive: Callable[[str], Path]) -> None:
    """Without an outbox nothing is packaged; once one is named, everything so far is."""
    arrive("a.tif")
    assert run_once(replace(settings, outbox=None), Detector()) == Summary(inspected=1)
    assert run_once(settings, Detector()) == Summary(delivered=1, known=1)
    check_state(settings, 1)


@pytest.mark.slow
def test_runs_until_stopped(settings: WorkerSettings, arrive: Callable[[str], Path]) -> None:
    """The loop takes scans as they arrive and ends when it is told to, by two looks as well."""
    settings = replace(settings, finished_by="two looks")
    done: list[Summary] = []
    end = threading.Event()
    lane = threading.Thread(target=lambda: done.append(worker.run(settings, Detector(), end)))
    lane.start()
    arrive("a.tif")
    arrive("b.tif")
    assert settings.outbox is not None
    for _ in range(1000):
        if settings.outbox.exists() and len(list(settings.outbox.glob("0*.zip"))) == 2:
            break
        threading.Event().wait(0.01)
    end.set()
    lane.join(10)
    assert done == [Summary(inspected=2, delivered=2)]
    check_state(settings, 2)


@pytest.mark.slow
def test_a_missing_inbox_is_reported(settings: WorkerSettings) -> None:
    """A worker without inbox says so instead of waiting for ever."""
    with pytest.raises(ConfigError, match="inbox"):
        run_once(replace(settings, inbox=settings.inbox / "missing"), Detector())
