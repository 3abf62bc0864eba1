"""Forward: take results from the journal to a sink until it has them, however long that takes."""

from __future__ import annotations

import logging
import threading
from typing import NamedTuple

from nii.watch.alarm import Alarms
from nii.watch.journal import Journal
from nii.watch.sinks import Sink

log = logging.getLogger(__name__)

_LOOK_S = 1.0
"""Seconds between two looks for a retry that became due."""


class Refusal(NamedTuple):
    """Results that a sink did not take: how often, and when they are worth another try."""

    times: int
    due: float


def pass_over(journal: Journal, sink: Sink, alarms: Alarms, refused: dict[int, Refusal]) -> None:
    """Try what waits for a sink and is worth a try now.

    Results that the sink does not take hold up no others; a sink that cannot be reached is tried
    again as a whole.

    Args:
        journal: holds the results.
        sink: the place they go to.
        alarms: is told what does not work.
        refused: results that the sink did not take, by number; kept up to date.
    """
    place = f"sink {sink.name}"
    if not alarms.is_due(place):
        return
    try:
        for number in journal.waiting(sink.name):
            before = refused.get(number)
            if before is not None and alarms.timer() < before.due:
                continue
            problem = _deliver(journal, sink, number)
            alarms.clear(place)
            if problem is None:
                refused.pop(number, None)
                continue
            times = before.times + 1 if before else 1
            refused[number] = Refusal(times, alarms.timer() + alarms.pace.wait_s(times))
            alarms.trouble(f"results for {sink.name}", problem)
    except OSError as error:
        alarms.trouble(place, error)
    if not refused:
        alarms.clear(f"results for {sink.name}")


def _deliver(journal: Journal, sink: Sink, number: int) -> Exception | None:
    try:
        sink.deliver(journal.parcel(number))
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever one result does, the next must go out
        return error
    journal.delivered(number, sink.name)
    return None


class Forwarder:
    """Forward to one sink from a thread of its own."""

    def __init__(self, journal: Journal, sink: Sink, alarms: Alarms) -> None:
        """Start the thread."""
        self._wake = threading.Event()
        self._stop = False
        self._work = (journal, sink, alarms)
        self._thread = threading.Thread(target=self._run, name=f"nii-{sink.name}", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something new."""
        self._wake.set()

    def close(self, seconds: float) -> None:
        """Forward what can be forwarded now, then end; what waits goes out next time."""
        self._stop = True
        self._wake.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        journal, sink, alarms = self._work
        refused: dict[int, Refusal] = {}
        while True:
            self._wake.clear()
            last = self._stop
            try:
                pass_over(journal, sink, alarms, refused)
            except Exception as error:
                log.exception("forwarding to %s", sink.name)
                alarms.trouble(f"sink {sink.name}", error)
            if last:
                sink.close()
                return
            self._wake.wait(_LOOK_S)
