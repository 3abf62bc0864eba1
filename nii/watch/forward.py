"""Forward: take results from the journal to a sink until it has them, however long that takes."""

from __future__ import annotations

import logging
import threading

from nii.watch.alarm import Alarms
from nii.watch.journal import Journal
from nii.watch.sinks import Sink

log = logging.getLogger(__name__)

_LOOK_S = 1.0
"""Seconds between two looks for a retry that became due."""


def pass_over(journal: Journal, sink: Sink, alarms: Alarms) -> int:
    """Try what waits for a sink and is worth a try now; return how many results still wait.

    Results that the sink does not take hold up no others; a sink that cannot be reached is tried
    again as a whole.
    """
    place = f"sink {sink.name}"
    if not alarms.is_due(place):
        return 1
    left = 0
    try:
        for number in journal.waiting(sink.name):
            name = f"result {number} for {sink.name}"
            if not alarms.is_due(name) or not _deliver(journal, sink, alarms, number):
                left += 1
                continue
            alarms.clear(name)
            alarms.clear(place)
    except OSError as error:
        alarms.trouble(place, error)
        return left + 1
    return left


def _deliver(journal: Journal, sink: Sink, alarms: Alarms, number: int) -> bool:
    try:
        sink.deliver(journal.parcel(number))
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever one result does, the next must go out
        alarms.trouble(f"result {number} for {sink.name}", error)
        return False
    journal.delivered(number, sink.name)
    return True


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
        while True:
            self._wake.clear()
            last = self._stop
            try:
                pass_over(journal, sink, alarms)
            except Exception as error:
                log.exception("forwarding to %s", sink.name)
                alarms.trouble(f"sink {sink.name}", error)
            if last:
                sink.close()
                return
            self._wake.wait(_LOOK_S)
