"""The terminal: what the commands say, complain and show of their progress, and how they stop."""

from __future__ import annotations

import _thread
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int, int, str], None]
"""Moves a bar: done, total, a few words."""
SECONDS_BETWEEN_LINES = 30.0
"""How often long work tells a log how far it is."""


def say(text: str, *, quiet: bool = False) -> None:
    """Print a text, unless nothing but errors is wanted."""
    if not quiet:
        print(printable(text), flush=True)


def complain(text: str, code: int) -> int:
    """Print what is wrong on the error stream, and return the exit code."""
    print("nii:", printable(text), file=sys.stderr, flush=True)
    return code


def printable(text: str) -> str:
    """Return a text whose control characters do nothing to a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


@contextmanager
def progress(
    what: str, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic
) -> Iterator[Advance]:
    """Offer a function that moves a bar on a terminal, and elsewhere writes a line now and then.

    Work of less than `SECONDS_BETWEEN_LINES` writes none, so that a log keeps to what matters.
    """
    if quiet:
        yield lambda done, total, text: None  # noqa: ARG005 - nothing is shown
        return
    if not sys.stderr.isatty():
        yield _lines(what, clock)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(
        *columns,
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}", markup=False),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(what, total=None, text="")
        yield lambda done, total, text: bar.update(task, completed=done, total=total, text=text)


def _lines(what: str, clock: Callable[[], float]) -> Advance:
    """Return a function that tells the progress to a log."""
    begun = told = clock()
    last, before = begun, 0

    def advance(done: int, total: int, text: str) -> None:
        nonlocal told, begun, last, before
        now = clock()
        if done < before:  # the next part of the work, which has its own pace
            begun = last
        last, before = now, done
        if now - told < SECONDS_BETWEEN_LINES:
            return
        told = now
        left = f", about {(now - begun) * (total - done) / done / 60:.0f} min left" if done else ""
        words = f" {text}" if text else ""
        print(printable(f"{what}: {done} of {total}{left}{words}"), file=sys.stderr, flush=True)

    return advance


def set_from_signal(event: threading.Event) -> None:
    """Set an event from a signal handler.

    A handler runs in the main thread, in the middle of whatever that does. Where it is just inside
    the event's own lock, setting the event there would wait for ever; another thread waits only
    until the handler has returned.
    """
    _thread.start_new_thread(event.set, ())


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Offer an event that Ctrl-C and SIGTERM set, so that the scan in hand is finished."""
    import signal

    stop = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: set_from_signal(stop))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
