"""Claims about the line: whose turn it is, whose fault it is, and when to wait."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from nii.detections import Detections
from nii.errors import NiiError, ProviderError
from nii.exchange.quarantine import REASON_FILE
from nii.infer.inspect import Finds, utc_now
from nii.inspection import Inspection
from nii.scan import AnyScan
from nii.watch.alarm import Alarms, Pace
from nii.watch.journal import FILE, Journal
from nii.watch.line import JOURNAL, MODEL, MOST_ATTEMPTS, Equipment, Line
from nii.watch.settings import Order, WatchSettings

Arrive = Callable[..., tuple[Path, ...]]
BROKEN = ProviderError("GPU", found="nothing", expected="a GPU", remedy="Look.")


@contextmanager
def line_of(settings: WatchSettings, open_detector: Callable[[], Finds]) -> Iterator[Line]:
    """Give a line whose retries are due at once."""
    journal = Journal(settings.state_folder)
    pace = Pace(settings.retry_first_s, settings.retry_most_s)
    yield Line(settings, Equipment(open_detector, utc_now), journal, Alarms(pace))
    journal.close()


def pass_one(line: Line) -> bool:
    """Bring one scan through all stations; tell whether there was one."""
    line._look_due = 0.0
    arrived = line.next()
    taken = line.take(arrived) if arrived else None
    inspection = line.examine(taken) if taken else None
    if taken and inspection:
        line.file(taken, inspection)
    return arrived is not None


@pytest.fixture
def at_once(settings: WatchSettings) -> WatchSettings:
    """Give settings under which a retry is due at once."""
    return replace(settings, retry_first_s=0.0, retry_most_s=0.0)


def test_each_content_once(settings: WatchSettings, arrive: Arrive, bench: ModuleType) -> None:
    """Copies are recognised before and while the first is in hand; a new line knows all."""
    (path,) = arrive("a.tiff")
    shutil.copy(path, path.with_name("b.tiff"))
    with line_of(settings, bench.Marker) as line:
        ahead, behind = line.next(), line.next()
        assert ahead is not None
        assert behind is not None
        both = [line.take(ahead), line.take(behind)]
        for taken in both:
            assert taken is not None
            inspection = line.examine(taken)
            assert isinstance(inspection, Inspection)
            line.file(taken, inspection)
        shutil.copy(path, path.with_name("c.tiff"))
        assert pass_one(line)
        assert line.done == {"inspected": 1, "duplicates": 2}
        assert line.is_finished()
    with line_of(settings, bench.Marker) as line:
        assert not pass_one(line)


@pytest.mark.parametrize("order", ["oldest", "newest"])
def test_order(settings: WatchSettings, arrive: Arrive, bench: ModuleType, order: Order) -> None:
    """The oldest scan comes first, or the newest, whatever lane it is in."""
    second = settings.lanes[0].parent / "second"
    second.mkdir()
    for number, name in enumerate(("c.tiff", "a.tiff", "b.tiff")):
        (path,) = arrive(name)
        os.utime(path, (number, number))
    (settings.lanes[0] / "a.tiff").rename(second / "a.tiff")
    both = replace(settings, lanes=(settings.lanes[0], second), order=order)
    with line_of(both, bench.Marker) as line:
        found = [line.next() for _ in range(3)]
    names = [arrived.paths[0].name for arrived in found if arrived]
    assert names == (
        ["c.tiff", "a.tiff", "b.tiff"] if order == "oldest" else ["b.tiff", "a.tiff", "c.tiff"]
    )


def test_a_scan_that_ends_the_process(
    settings: WatchSettings, arrive: Arrive, bench: ModuleType
) -> None:
    """A scan in hand when the process ended comes last; after five ends it is quarantined."""
    (bad,) = arrive("a.tiff")
    (good,) = arrive("b.tiff")
    os.utime(bad, (0, 0))
    for _ in range(MOST_ATTEMPTS - 1):
        with line_of(settings, bench.Marker) as line:
            arrived = next(a for a in (line.next(), line.next()) if a and a.paths == (bad,))
            line.take(arrived)
    with line_of(settings, bench.Marker) as line:
        foremost = line.next()
        assert foremost is not None
        assert foremost.paths == (good,)
        second = line.next()
        assert second is not None
        line.take(second)
    with line_of(settings, bench.Marker) as line:
        assert pass_one(line)
        assert pass_one(line)
        assert line.done == {"inspected": 1, "quarantined": 1}
    (reason,) = settings.quarantine_folder.rglob(REASON_FILE)
    assert "ended unasked 5 times" in json.loads(reason.read_text())["found"]
    assert bad.exists()


class Faulty:
    """A detector whose hardware fails over some scans."""

    def __init__(self, marker: Finds, fails: Callable[[AnyScan], bool]) -> None:
        """Take the place of `marker`."""
        self.card, self.model, self.provider = marker.card, marker.model, marker.provider
        self._marker, self._fails = marker, fails

    def detect(self, scan: AnyScan) -> tuple[Detections, Mapping[str, float]]:
        """Fail or detect."""
        if self._fails(scan):
            raise BROKEN
        return self._marker.detect(scan)


@pytest.mark.slow
def test_failing_hardware_blames_no_scan(
    at_once: WatchSettings, arrive: Arrive, bench: ModuleType
) -> None:
    """While the hardware fails for all, scans wait, however long; then they are inspected."""
    arrive("a.tiff")
    broken = [True]
    with line_of(at_once, lambda: Faulty(bench.Marker(), lambda _: broken[0])) as line:
        for _ in range(20):
            assert pass_one(line)
        assert MODEL in line.alarms.open()
        assert line.is_stuck()
        broken[0] = False
        assert pass_one(line)
        assert line.done["inspected"] == 1
        assert line.alarms.open() == {}
    assert not at_once.quarantine_folder.exists()


def test_a_scan_that_breaks_the_hardware(
    at_once: WatchSettings, arrive: Arrive, bench: ModuleType
) -> None:
    """Where only one scan makes the hardware fail, it is quarantined and the others go on."""
    arrive("0.tiff", energies=2)
    for number in range(1, 8):
        arrive(f"{number}.tiff")
    with line_of(
        at_once, lambda: Faulty(bench.Marker(), lambda scan: scan.energy_count == 2)
    ) as line:
        for number in range(1, 8):
            pass_one(line)
            line._queue.sort(key=lambda arrived: arrived.paths[0].name != f"{number}.tiff")
            pass_one_queued(line)
        while pass_one(line):
            pass
        assert line.done["inspected"] == 7
        assert line.done["quarantined"] == 1


def pass_one_queued(line: Line) -> None:
    """Bring the first of the queue through, without a new look."""
    line._look_due = float("inf")
    arrived = line.next()
    taken = line.take(arrived) if arrived else None
    inspection = line.examine(taken) if taken else None
    if taken and inspection:
        line.file(taken, inspection)


def test_bad_files_and_odd_errors(
    settings: WatchSettings, arrive: Arrive, bench: ModuleType
) -> None:
    """Rubbish and a scan over which the code fails are quarantined, each with its own words."""
    (settings.lanes[0] / "bad.tif").write_bytes(b"no scan at all")
    arrive("odd.tiff")

    def fail(_: AnyScan) -> bool:
        raise ValueError("odd")

    with line_of(settings, lambda: Faulty(bench.Marker(), fail)) as line:
        while pass_one(line):
            pass
        assert line.done == {"quarantined": 2}
    found = [
        json.loads(p.read_text())["found"] for p in settings.quarantine_folder.rglob(REASON_FILE)
    ]
    assert "odd" in found
    assert len(list(settings.lanes[0].iterdir())) == 2


def test_a_file_out_of_reach(at_once: WatchSettings, arrive: Arrive, bench: ModuleType) -> None:
    """A file that cannot be read now is tried again, and no quarantine is made of it."""
    arrive("a.tiff")
    with line_of(at_once, bench.Marker) as line:
        arrived = line.next()
        assert arrived is not None
        away = arrived.paths[0].rename(at_once.state_folder / "away")
        line.take(arrived)
        assert list(line.alarms.open()) == [f"scans in {at_once.lanes[0]}"]
        away.rename(arrived.paths[0])
        assert pass_one(line)
        assert not pass_one(line)
        assert line.done == {"retried": 1, "inspected": 1}
        assert line.alarms.open() == {}


def test_a_full_journal_waits(
    at_once: WatchSettings, arrive: Arrive, bench: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the journal cannot be written, the scan waits; nothing of it is lost or doubled."""
    arrive("a.tiff")

    def full(self: Journal, *_: object) -> None:
        raise OSError(f"{self.path}: database or disk is full")

    with line_of(at_once, bench.Marker) as line:
        for name in ("begin", "inspected"):
            with monkeypatch.context() as patch:
                patch.setattr(Journal, name, full)
                pass_one(line)
                assert JOURNAL in line.alarms.open()
        pass_one(line)
        assert line.done == {"retried": 2, "inspected": 1}
        assert line.alarms.open() == {}


def test_a_damaged_journal_ends_the_watch(
    settings: WatchSettings, arrive: Arrive, bench: ModuleType
) -> None:
    """A damaged journal is nobody's scan's fault: it is raised, and no quarantine is made."""
    arrive("a.tiff")
    with line_of(settings, bench.Marker) as line:
        arrived = line.next()
        assert arrived is not None
        line.journal.close()
        (settings.state_folder / FILE).write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
        with pytest.raises(NiiError, match="cannot be used"):
            line.take(arrived)
    assert not settings.quarantine_folder.exists()


def test_state(settings: WatchSettings, arrive: Arrive, bench: ModuleType) -> None:
    """A monitor sees what waits, what was done, and a main loop that hangs."""
    now = [0.0]
    arrive("a.tiff")
    journal = Journal(settings.state_folder)
    equipment = Equipment(bench.Marker, utc_now, lambda: now[0])
    line = Line(settings, equipment, journal, Alarms(Pace(), timer=equipment.timer))
    assert pass_one(line)
    line.beat()
    state = line.state()
    values = {name: value for (name, _), value in state.values.items()}
    wanted = {"scans_total": 1, "waiting_results": 1, "journal_scans": 1}
    assert {name: values[name] for name in wanted} == wanted
    assert values["disk_free_bytes"] > 0
    assert state.problems == {}
    now[0] = 1000.0
    assert "main loop" in line.state().problems
    journal.close()
