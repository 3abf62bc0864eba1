"""The lane: inbox → inspect → store → outbox, each scan once.

The store is the memory: a scan that has an inspection there is not inspected again, an inspection
whose package was logged is not packaged again. So the work goes on where it stopped, whenever it
stopped. A scan that cannot be read or inspected is copied into the quarantine with the reason; the
original stays where it is and is passed over until it changes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from nii import formats
from nii.errors import BundleError, MissingExtraError, NiiError, ProviderError
from nii.exchange import outbox, quarantine
from nii.exchange.inbox import Arrival, FinishedBy, Inbox
from nii.infer.inspect import Finds, inspect, utc_now
from nii.infer.overlay import overlay_png
from nii.provenance import SourceFile, sha256_of_file, sha256_of_sources
from nii.scan import Scan
from nii.store import inspections, scans
from nii.store.database import Store, open_folder
from nii.store.inspections import Filed

log = logging.getLogger(__name__)

_NOT_THE_SCANS_FAULT = (BundleError, MissingExtraError, ProviderError, SQLAlchemyError)
"""Errors that would meet every scan alike: they stop the worker."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Say where scans come from and where everything goes."""

    inbox: Path
    """Folder that scans arrive in, with its subfolders; nothing in it is moved or changed."""
    store: Path
    """Folder of the store: original files, and the database unless `database_url` names one."""
    quarantine: Path
    """Folder for copies of scans that cannot be inspected, each with the reason."""
    outbox: Path | None = None
    """Folder for packages; None writes none. Named later, it gets all inspections so far."""
    database_url: str | None = None
    """SQLAlchemy URL of a PostgreSQL database; None uses SQLite in the folder of the store."""
    finished_by: FinishedBy = "two looks"
    """How a finished file is told: unchanged over two looks, or renamed when finished."""
    look_every_s: float = 2.0
    """Seconds between two looks into the inbox."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Count what was done.

    Attributes:
        inspected: scans inspected and stored.
        delivered: packages written.
        undelivered: packages that could not be written; the log says why, and when it tries again.
        quarantined: scans that cannot be inspected.
        known: scans that were dealt with in an earlier run.
        retried: scans left for the next look, because a file changed or could not be reached.
    """

    inspected: int = 0
    delivered: int = 0
    undelivered: int = 0
    quarantined: int = 0
    known: int = 0
    retried: int = 0


@dataclass(frozen=True, slots=True)
class _Line:
    settings: WorkerSettings
    detector: Finds
    store: Store
    inbox: Inbox
    clock: Callable[[], datetime]
    stop: threading.Event
    given_up: set[int] = field(default_factory=set)


def run_once(
    settings: WorkerSettings, detector: Finds, clock: Callable[[], datetime] = utc_now
) -> Summary:
    """Deal with every finished scan that is in the inbox now.

    Raises:
        ConfigError: the inbox is not there, or the database cannot be used.
        ProviderError: the inference hardware fails.
        NiiError: the store was altered or made by a newer version.
    """
    with _line(settings, detector, clock, threading.Event()) as line:
        if settings.finished_by == "two looks":
            line.inbox.look()
            time.sleep(settings.look_every_s)
        return Summary(**_pass(line))


def run(
    settings: WorkerSettings,
    detector: Finds,
    stop: threading.Event,
    clock: Callable[[], datetime] = utc_now,
) -> Summary:
    """Deal with scans as they arrive, until `stop` is set; the scan in hand is finished first.

    Raises:
        ConfigError, ProviderError, NiiError: as in :func:`run_once`.
    """
    done: Counter[str] = Counter()
    with _line(settings, detector, clock, stop) as line:
        while not stop.is_set():
            done += _pass(line)
            stop.wait(settings.look_every_s)
    return Summary(**done)


@contextmanager
def _line(
    settings: WorkerSettings,
    detector: Finds,
    clock: Callable[[], datetime],
    stop: threading.Event,
) -> Iterator[_Line]:
    store = open_folder(settings.store, settings.database_url)
    try:
        inbox = Inbox(settings.inbox, settings.finished_by)
        yield _Line(settings, detector, store, inbox, clock, stop)
    finally:
        store.close()


def _pass(line: _Line) -> Counter[str]:
    done: Counter[str] = Counter()
    if line.settings.outbox is not None:
        done += _deliver_left_over(line)
    for arrival in line.inbox.look():
        if line.stop.is_set():
            break
        done += _take(line, arrival)
    return done


def _take(line: _Line, arrival: Arrival) -> Counter[str]:
    try:
        identity = _identity(arrival.paths)
        refused = quarantine.holds(line.settings.quarantine, identity)
        if not refused and inspections.latest(line.store, identity) is None:
            return _inspect(line, arrival, identity)
    except OSError as error:
        log.warning("%s is left for the next look: %s", arrival.subject, error)
        return Counter(retried=1)
    line.inbox.settle(arrival)
    return Counter(known=1)


def _inspect(line: _Line, arrival: Arrival, identity: str) -> Counter[str]:
    try:
        scan = formats.read(arrival.paths)
        kept = scans.keep(line.store, arrival.paths)
        if kept.sha256 != identity:
            log.warning("%s changed while it was read; it is left for later", arrival.subject)
            return Counter(retried=1)
        inspection = inspect(scan, line.detector, line.clock)
        filed = inspections.add(line.store, kept, inspection, line.clock())
    except (OSError, *_NOT_THE_SCANS_FAULT):
        raise
    except NiiError as error:  # the file is at fault, and its message says how
        log.warning("%s goes to the quarantine: %s", arrival.subject, error)
        return _put_aside(line, arrival, identity, error)
    except Exception as error:  # whatever one scan does, the next one must go on
        log.exception("%s goes to the quarantine; please report this", arrival.subject)
        return _put_aside(line, arrival, identity, error)
    log.info("%s: inspection %d, level %s", arrival.subject, filed.id, inspection.level)
    line.inbox.settle(arrival)
    return Counter(inspected=1) + _deliver(line, filed, lambda: scan)


def _put_aside(line: _Line, arrival: Arrival, identity: str, error: Exception) -> Counter[str]:
    quarantine.put(line.settings.quarantine, arrival.paths, identity, error, line.clock())
    line.inbox.settle(arrival)
    return Counter(quarantined=1)


def _deliver_left_over(line: _Line) -> Counter[str]:
    done: Counter[str] = Counter()
    for inspection_id in outbox.waiting(line.store):
        filed = inspections.get(line.store, inspection_id)
        if filed is not None and inspection_id not in line.given_up and not line.stop.is_set():
            done += _deliver(line, filed, partial(_read_again, line, filed))
    return done


def _read_again(line: _Line, filed: Filed) -> Scan:
    with scans.original_files(line.store, scans.of(line.store, filed.scan_sha256)) as paths:
        return formats.read(paths)


def _deliver(line: _Line, filed: Filed, scan: Callable[[], Scan]) -> Counter[str]:
    folder = line.settings.outbox
    if folder is None:
        return Counter()

    def picture() -> bytes:
        return overlay_png(scan(), filed.inspection)

    try:
        outbox.deliver(line.store, folder, filed, picture, line.clock())
    except _NOT_THE_SCANS_FAULT:
        raise
    except OSError as error:
        log.warning("the package of inspection %d is left for later: %s", filed.id, error)
        return Counter(undelivered=1)
    except Exception:
        log.exception("inspection %d cannot be packaged; tried again after a restart", filed.id)
        line.given_up.add(filed.id)
        return Counter(undelivered=1)
    return Counter(delivered=1)


def _identity(paths: tuple[Path, ...]) -> str:
    return sha256_of_sources(tuple(SourceFile(path.name, sha256_of_file(path)) for path in paths))
