"""Run a watch: until it is stopped, once, or only in words."""

from __future__ import annotations

import logging
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from nii.infer.inspect import Finds, utc_now
from nii.watch import examine, health
from nii.watch.alarm import Alarms, Pace, Webhook, notify
from nii.watch.examine import Taken
from nii.watch.forward import Forwarder, pass_over
from nii.watch.journal import FILE, Journal
from nii.watch.lane import Arrived, Lane
from nii.watch.line import Equipment, Line
from nii.watch.settings import WatchSettings
from nii.watch.sinks import open_sinks

log = logging.getLogger(__name__)

STOP_FILE = "stop"
"""A file of this name in the state folder ends the watch, where no signal can be sent."""
_NAP_S = 0.2
_LAST_WORD_S = 20.0
"""Time that results get to leave before the process ends; the rest goes out next time."""
_LITTER = re.compile(r"\.[0-9a-f]{16}\.part|\.incoming-.*")
"""Names of files that were being written when a process ended."""
_BEAT_S = 20.0


@dataclass(frozen=True, slots=True)
class Summary:
    """Count what was done.

    Attributes:
        inspected: scans inspected.
        duplicates: files whose content was known under another name.
        quarantined: scans that cannot be inspected.
        known: files that were dealt with before.
        retried: times that a scan was put back.
        waiting: results that have not reached their places yet.
    """

    inspected: int = 0
    duplicates: int = 0
    quarantined: int = 0
    known: int = 0
    retried: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Planned:
    """A scan that was found, and what a run would do with it."""

    paths: tuple[Path, ...]
    sidecars: tuple[Path, ...]
    status: Literal["new", "known", "quarantined", "unreadable"]


def run(
    settings: WatchSettings,
    open_detector: Callable[[], Finds],
    stop: threading.Event,
    clock: Callable[[], datetime] = utc_now,
) -> Summary:
    """Inspect scans as they arrive until `stop` is set; the scans in hand are finished first.

    Args:
        settings: where scans come from and where results go.
        open_detector: opens the model: ``lambda: Detector.open(folder)``, or any other source of
            an object that offers what :class:`nii.infer.inspect.Finds` states.
        stop: ends the run.
        clock: tells the time for records; nothing is ever timed by it.

    Raises:
        ConfigError: another process watches with the same state.
        NiiError: the journal is damaged.
        OSError: the state folder cannot be written to, or the port is taken.
    """
    with _line(settings, Equipment(open_detector, clock)) as line:
        sinks = open_sinks(settings, clock)
        line.forwarders = tuple(Forwarder(line.journal, sink, line.alarms) for sink in sinks)
        try:
            with health.served(settings.port, line.state) as port:
                if port is not None:
                    log.info("health on http://%s:%d/healthz and /metrics", health.HOST, port)
                line.detector()
                notify("READY=1")
                _go(line, stop, None)
        finally:
            notify("STOPPING=1")
            for forwarder in line.forwarders:
                forwarder.close(_LAST_WORD_S)
        return _summary(line)


def run_once(
    settings: WatchSettings,
    open_detector: Callable[[], Finds],
    stop: threading.Event | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Summary:
    """Inspect what is there, give the results away as far as possible, and end.

    A scan that is still being written is waited for as long as `settings.finished` says, no longer.

    Raises:
        BundleError, ProviderError: the model cannot be used.
        ConfigError, NiiError, OSError: as in :func:`run`.
    """
    arrival = settings.finished
    patience_s = arrival.quiet_s + max(arrival.pair_wait_s, arrival.sidecar_wait_s)
    detector = open_detector()
    with _line(settings, Equipment(lambda: detector, clock)) as line:
        _go(line, stop or threading.Event(), time.monotonic() + patience_s)
        for sink in open_sinks(settings, clock):
            pass_over(line.journal, sink, line.alarms, {})
            sink.close()
        return _summary(line)


def plan(settings: WatchSettings) -> tuple[Planned, ...]:
    """Return what a run would do with the finished scans that are there; nothing is written.

    Raises:
        ConfigError: a running watch holds the journal.
        OSError: a folder cannot be listed.
    """
    arrival = settings.finished
    lanes = [Lane(folder.absolute(), arrival) for folder in settings.lanes]
    end = time.monotonic() + arrival.quiet_s + max(arrival.pair_wait_s, arrival.sidecar_wait_s)
    while True:
        found = [arrived for lane in lanes for arrived in lane.look()]
        if not any(lane.unfinished for lane in lanes) or time.monotonic() >= end:
            break
        time.sleep(min(_NAP_S, settings.look_every_s))
    sign = 1 if settings.order == "oldest" else -1
    found.sort(key=lambda arrived: (sign * arrived.changed_ns, arrived.paths))
    journal = Journal(settings.state_folder) if (settings.state_folder / FILE).exists() else None
    try:
        return tuple(_planned(journal, arrived) for arrived in found)
    finally:
        if journal is not None:
            journal.close()


def _planned(journal: Journal | None, arrived: Arrived) -> Planned:
    status: Literal["new", "known", "quarantined", "unreadable"] = "new"
    try:
        identity = examine.identity_of(arrived.paths)
    except OSError:
        status = "unreadable"
    else:
        entry = None if journal is None else journal.entry(identity)
        if entry is not None and entry.state != "begun":
            status = "known" if entry.state == "inspected" else "quarantined"
    return Planned(arrived.paths, tuple(one.path for one in arrived.sidecars), status)


@contextmanager
def _line(settings: WatchSettings, equipment: Equipment) -> Iterator[Line]:
    webhook = Webhook(settings.webhook) if settings.webhook else None
    pace = Pace(settings.retry_first_s, settings.retry_most_s)
    alarms = Alarms(pace, webhook or (lambda _: None), equipment.timer)
    journal = Journal(settings.state_folder)
    try:
        (settings.state_folder / STOP_FILE).unlink(missing_ok=True)
        _sweep(settings.out)
        _sweep(settings.quarantine_folder)
        _tell_of_leftovers(journal, settings)
        line = Line(settings, equipment, journal, alarms)
        try:
            yield line
        finally:
            line.close()
    finally:
        journal.close()
        if webhook is not None:
            webhook.drain(_LAST_WORD_S / 4)


def _go(line: Line, stop: threading.Event, until: float | None) -> None:
    """Move scans through the three stations until stopped, or until all is done by `until`."""
    ahead: Future[Taken | None] | None = None
    behind: Future[None] | None = None
    stop_file = line.settings.state_folder / STOP_FILE
    told = 0.0
    with ThreadPoolExecutor(1, "nii-read") as reader, ThreadPoolExecutor(1, "nii-file") as filer:
        while True:
            line.beat()
            if time.monotonic() - told > _BEAT_S:
                told = time.monotonic()
                notify("WATCHDOG=1")
            ending = stop.is_set() or stop_file.exists()
            arrived = None if ending else line.next()
            coming = reader.submit(line.take, arrived) if arrived is not None else None
            taken = ahead.result() if ahead is not None else None
            inspection = line.examine(taken) if taken is not None else None
            idle = ahead is None and coming is None
            if behind is not None and (inspection is not None or idle):
                behind.result()
                behind = None
            if taken is not None and inspection is not None:
                behind = filer.submit(line.file, taken, inspection)
            ahead = coming
            if idle and (ending or _is_over(line, until)):
                return
            if idle:
                stop.wait(min(_NAP_S, line.settings.look_every_s))


def _is_over(line: Line, until: float | None) -> bool:
    if until is None:
        return False
    return line.is_finished() or line.is_stuck() or time.monotonic() >= until


def _summary(line: Line) -> Summary:
    waiting = sum(len(line.journal.waiting(sink)) for sink in line.settings.sinks)
    return Summary(**line.done, waiting=waiting)


def _sweep(folder: Path | None) -> None:
    """Take away what a process that was killed left half-written under a hidden name."""
    if folder is None or not folder.is_dir():
        return
    for path in folder.iterdir():
        if not _LITTER.fullmatch(path.name):
            continue
        try:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        except OSError as error:
            log.warning("%s is left over and cannot be removed: %s", path, error)


def _tell_of_leftovers(journal: Journal, settings: WatchSettings) -> None:
    for name, count in journal.counts().items():
        state, _, sink = name.partition(" ")
        if state == "waiting" and sink not in settings.sinks:
            log.warning("%d results wait for the %s, which is not named now", count, sink)
