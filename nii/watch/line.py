"""The line: what a running watch holds, and what it does with one scan at each of three stations.

Reading, inspecting and filing overlap between scans: :meth:`Line.take` runs ahead in one thread,
:meth:`Line.examine` in the main one, :meth:`Line.file` behind in a third.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from nii.errors import NiiError
from nii.exchange import quarantine
from nii.exchange.inbox import Sighting
from nii.infer.inspect import Finds
from nii.inspection import Inspection
from nii.watch import examine
from nii.watch.alarm import Alarms
from nii.watch.examine import Taken
from nii.watch.forward import Forwarder
from nii.watch.health import Key, Metrics, State, key
from nii.watch.journal import Journal, Parcel, Settled
from nii.watch.lane import Arrived, Lane
from nii.watch.pushed import Pushed
from nii.watch.settings import WatchSettings

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 5
"""How often the process may end unasked over a scan before it is taken for the cause: assumption;
a scan that was in hand then comes last, so others go on meanwhile."""
_MOST_FAULTS = 3
"""How often hardware may fail over a scan while others succeed: assumption."""
_SILENT_S = 600.0
"""Seconds without a round of the main loop that count as a hang: assumption, far above any scan."""
Files = tuple[Sighting, ...]
JOURNAL = "journal"
MODEL = "model"


class Deferred(NamedTuple):
    """A scan that could not be reached: how often, and when it is worth another try."""

    times: int
    due: float
    lane: Path


@dataclass(frozen=True, slots=True)
class Equipment:
    """What a line works with.

    Attributes:
        open_detector: opens the model; called again after the hardware failed.
        clock: tells the time, with its zone, for records; never for waiting.
        timer: clock in seconds that only rises.
    """

    open_detector: Callable[[], Finds]
    clock: Callable[[], datetime]
    timer: Callable[[], float] = time.monotonic


class Line:
    """Hold everything that a running watch needs."""

    def __init__(
        self, settings: WatchSettings, equipment: Equipment, journal: Journal, alarms: Alarms
    ) -> None:
        """Start with what the journal knows."""
        self.settings = settings
        self.journal = journal
        self.alarms = alarms
        self.metrics = Metrics()
        self.forwarders: tuple[Forwarder, ...] = ()
        self.lanes: tuple[Lane | Pushed, ...] = tuple(
            Lane(folder.absolute(), settings.finished, equipment.timer) for folder in settings.lanes
        )
        if settings.pushed:
            self.lanes += (Pushed(settings, journal, equipment.clock),)
        self.done: Counter[str] = Counter()
        self._equipment = equipment
        self._timer = equipment.timer
        self._detector: Finds | None = None
        self._lock = threading.Lock()
        self._settled = {one.path: (one, group) for one, group in journal.settled()}
        self._suspects = journal.suspects()
        self._queue: list[Arrived] = []
        self._in_hand: set[Files] = set()
        self._deferred: dict[Files, Deferred] = {}
        self._faults: dict[str, tuple[int, int]] = {}
        self._look_due = self._beat = self._timer()
        self._newest: float | None = None

    def close(self) -> None:
        """Let go of what lanes hold open."""
        for lane in self.lanes:
            if isinstance(lane, Pushed):
                lane.close()

    def beat(self) -> None:
        """Note that the main loop came round."""
        self._beat = self._timer()

    def next(self) -> Arrived | None:
        """Return the next scan to take up, or None where there is none now."""
        if not (self.alarms.is_due(JOURNAL) and self.alarms.is_due(MODEL)):
            return None
        if self._timer() >= self._look_due:
            self._look()
        if not self._queue or self.detector() is None:
            return None
        arrived = self._queue.pop(0)
        with self._lock:
            self._in_hand.add(arrived.files)
        return arrived

    def detector(self) -> Finds | None:
        """Return the model, opened if need be; None where that fails, which is an alarm."""
        if self._detector is None:
            try:
                self._detector = self._equipment.open_detector()
            except (*examine.MODEL_ERRORS, OSError) as error:
                self.alarms.trouble(MODEL, error)
                return None
            self.alarms.clear(MODEL)
        return self._detector

    def take(self, arrived: Arrived) -> Taken | None:
        """Read a scan that was not dealt with before; None where there is nothing to inspect."""
        identity, paths = None, arrived.paths
        try:
            identity = examine.identity_of(paths)
            entry = self.journal.entry(identity)
            if entry is not None and entry.state != "begun":
                self._known(arrived, identity, entry.paths)
                return None
            if any(self._group_of(one) for one in arrived.files):
                log.warning("%s: a part came late; inspected again, as a whole", arrived.subject)
            times = self.journal.begin(identity, paths, self._now())
            if times > MOST_ATTEMPTS:
                raise examine.ended_often(arrived, times - 1)  # noqa: TRY301 - told as any other
            taken = examine.load(arrived, identity)
        except Exception as error:  # noqa: BLE001 - whatever one scan does, the next one must go on
            self._failed(arrived, identity, error)
            return None
        self.metrics.add("stage_seconds_total", taken.read_ms / 1e3, stage="read")
        return taken

    def examine(self, taken: Taken) -> Inspection | None:
        """Inspect a scan; None where that failed."""
        start = self._timer()
        detector = self.detector()
        if detector is None:
            self._back(taken.arrived, taken.identity)
            return None
        try:
            inspection = examine.look(taken, detector, self._equipment.clock)
        except Exception as error:  # noqa: BLE001 - whatever one scan does, the next one must go on
            self._failed(taken.arrived, taken.identity, error)
            return None
        self.metrics.add("stage_seconds_total", self._timer() - start, stage="inspect")
        return inspection

    def file(self, taken: Taken, inspection: Inspection) -> None:
        """Enter an inspection into the journal, from where it goes to every sink."""
        start, arrived = self._timer(), taken.arrived
        settled = Settled(arrived.files, arrived.group)
        try:
            drawn = examine.draw(taken, inspection)
            parcel = Parcel(0, taken.identity, drawn.document, drawn.picture, arrived.paths)
            number = self.journal.inspected(parcel, settled, self.settings.sinks, self._now())
            if number is None:  # the same content went by under another name at the same time
                self._known(arrived, taken.identity, ())
                return
        except Exception as error:  # noqa: BLE001 - whatever one scan does, the next one must go on
            self._failed(arrived, taken.identity, error)
            return
        self.alarms.clear(JOURNAL)
        self._settle(arrived, "inspected")
        self._newest = self._equipment.clock().timestamp()
        self.metrics.add("stage_seconds_total", self._timer() - start, stage="file")
        log.info("%s: %s, %d regions", arrived.subject, inspection.level, len(inspection.regions))
        for forwarder in self.forwarders:
            forwarder.wake()

    def is_finished(self) -> bool:
        """Tell whether nothing is in hand, in the queue, or still being written."""
        with self._lock:
            busy = bool(self._in_hand)
        return not (busy or self._queue or any(lane.unfinished for lane in self.lanes))

    def is_stuck(self) -> bool:
        """Tell whether no scan can be inspected now."""
        return not {JOURNAL, MODEL}.isdisjoint(self.alarms.open())

    def state(self) -> State:
        """Return how this line is, for a monitor."""
        problems = dict(self.alarms.open())
        silent = self._timer() - self._beat
        if silent > _SILENT_S:
            problems["main loop"] = f"no round for {silent:.0f} s"
        values: dict[Key, float] = self.metrics.values()
        values |= {key("trouble", subject=subject): 1.0 for subject in problems}
        values[key("heartbeat_age_seconds")] = silent
        if self._newest is not None:
            values[key("last_inspection_timestamp_seconds")] = self._newest
        queued = Counter(str(arrived.lane) for arrived in tuple(self._queue))
        for lane in self.lanes:
            name = str(lane.folder)
            values[key("unfinished_scans", lane=name)] = float(lane.unfinished)
            values[key("waiting_scans", lane=name)] = float(queued[name])
        try:
            values |= self._journal_values()
        except OSError as error:
            problems.setdefault(JOURNAL, str(error))
        return State(problems, values)

    def _journal_values(self) -> dict[Key, float]:
        values = {key("disk_free_bytes"): float(shutil.disk_usage(self.settings.state_folder).free)}
        values |= {key("waiting_results", sink=sink): 0.0 for sink in self.settings.sinks}
        for name, count in self.journal.counts().items():
            kind, _, sink = name.partition(" ")
            labelled = key("waiting_results", sink=sink) if sink else None
            values[labelled or key("journal_scans", state=kind)] = float(count)
        return values

    def _look(self) -> None:
        start = self._timer()
        found: list[Arrived] = []
        for lane in self.lanes:
            subject = f"lane {lane.folder}"
            if not self.alarms.is_due(subject):
                continue
            try:
                found += lane.look(self._group_of)
            except OSError as error:
                self.alarms.trouble(subject, error)
            else:
                self.alarms.clear(subject)
                self._tell_of_subfolders(lane)
        with self._lock:
            there = {arrived.files for arrived in found}
            self._deferred = {k: v for k, v in self._deferred.items() if k in there}
            blocked = self._in_hand | {k for k, v in self._deferred.items() if v.due > start}
            deferring = {one.lane for one in self._deferred.values()}
        for lane in self.lanes:
            if lane.folder not in deferring:
                self.alarms.clear(f"scans in {lane.folder}")
        free = [arrived for arrived in found if arrived.files not in blocked]
        self._queue = sorted(free, key=self._rank)
        end = self._timer()
        self._look_due = end + max(self.settings.look_every_s, 10 * (end - start))

    def _tell_of_subfolders(self, lane: Lane | Pushed) -> None:
        subject = f"folders in {lane.folder}"
        if lane.unreadable:
            self.alarms.trouble(subject, lane.unreadable[0])
        else:
            self.alarms.clear(subject)

    def _rank(self, arrived: Arrived) -> tuple[bool, int, tuple[Path, ...]]:
        sign = 1 if self.settings.order == "oldest" else -1
        suspect = not self._suspects.isdisjoint(arrived.paths)
        return suspect, sign * arrived.changed_ns, arrived.paths

    def _group_of(self, sighting: Sighting) -> str | None:
        known = self._settled.get(sighting.path)
        return known[1] if known is not None and known[0] == sighting else None

    def _known(self, arrived: Arrived, identity: str, first: tuple[Path, ...]) -> None:
        self.journal.settle(identity, Settled(arrived.files, arrived.group))
        log.info("%s is known as %s", arrived.subject, ", ".join(map(str, first)) or "another")
        self._settle(arrived, "known" if first == arrived.paths else "duplicates")

    def _failed(self, arrived: Arrived, identity: str | None, error: Exception) -> None:
        """Decide whose fault an error is, and what becomes of the scan."""
        if isinstance(error, NiiError) and error.subject == str(self.journal.path):
            raise error
        if identity is None or examine.is_out_of_reach(error):
            self._out_of_reach(arrived, identity, error)
        elif isinstance(error, examine.MODEL_ERRORS) and not self._is_at_fault(identity):
            self._detector = None
            self.alarms.trouble(MODEL, error)
            self._back(arrived, identity)
        else:
            self._refuse(arrived, identity, error)

    def _out_of_reach(self, arrived: Arrived, identity: str | None, error: Exception) -> None:
        if str(error).startswith(str(self.journal.path)):
            self.alarms.trouble(JOURNAL, error)
        else:
            self.alarms.trouble(f"scans in {arrived.lane}", f"{arrived.subject}: {error}")
            with self._lock:
                before = self._deferred.get(arrived.files)
                times = before.times + 1 if before else 1
                due = self._timer() + self.alarms.pace.wait_s(times)
                self._deferred[arrived.files] = Deferred(times, due, arrived.lane)
        self.metrics.add("scans_total", lane=str(arrived.lane), outcome="retried")
        self._back(arrived, identity)

    def _is_at_fault(self, identity: str) -> bool:
        """Tell a scan that fails while others succeed from hardware that fails for all."""
        times, at = self._faults.get(identity, (0, -1))
        inspected = self.done["inspected"]
        self._faults[identity] = (times + (inspected > at), inspected)
        return self._faults[identity][0] > _MOST_FAULTS

    def _refuse(self, arrived: Arrived, identity: str, error: Exception) -> None:
        trace = None if isinstance(error, NiiError) else error
        log.error("%s goes to the quarantine: %s", arrived.subject, error, exc_info=trace)
        try:
            at = self._equipment.clock()
            quarantine.put(self.settings.quarantine_folder, arrived.paths, identity, error, at)
            settled = Settled(arrived.files, arrived.group)
            self.journal.refused(identity, settled, at.isoformat())
        except OSError as problem:
            self._out_of_reach(arrived, identity, problem)
            return
        self._settle(arrived, "quarantined")

    def _back(self, arrived: Arrived, identity: str | None) -> None:
        """Put a scan back, to be found again by a later look."""
        try:
            if identity is not None:
                self.journal.release(identity)
        except OSError as error:
            self.alarms.trouble(JOURNAL, error)
        with self._lock:
            self.done["retried"] += 1
            self._in_hand.discard(arrived.files)

    def _settle(self, arrived: Arrived, outcome: str) -> None:
        with self._lock:
            self._deferred.pop(arrived.files, None)
            for one in arrived.files:
                self._settled[one.path] = (one, arrived.group)
            self._in_hand.discard(arrived.files)
            self.done[outcome] += 1
        self.metrics.add("scans_total", lane=str(arrived.lane), outcome=outcome)

    def _now(self) -> str:
        return self._equipment.clock().isoformat(timespec="seconds")
