"""Alarms: what keeps a watch from working, since when, and when it is worth another try.

A trouble has a name, such as ``lane /srv/lane1`` or ``sink http``. It is raised once, repeated each
hour while it lasts, and cleared once; each of these is a line in the log and, where there is a
webhook, a message.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

log = logging.getLogger(__name__)

_REPEAT_S = 3600.0
_TIMEOUT_S = 20.0
"""Time that another machine gets to answer: assumption."""
_WAITING_MESSAGES = 100


@dataclass(frozen=True, slots=True)
class Pace:
    """Say how long to wait before a retry: at first, and at most; each wait is twice as long."""

    first_s: float = 1.0
    most_s: float = 300.0

    def wait_s(self, times: int) -> float:
        """Return the seconds to wait after so many tries in vain."""
        return min(self.most_s, self.first_s * 2.0 ** min(times - 1, 30))


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that does not work.

    Attributes:
        subject: its name.
        what: what is wrong.
        times: how often it was tried in vain.
        due: when it is worth another try, in seconds of the timer.
        told: when it was last told of, in seconds of the timer.
    """

    subject: str
    what: str
    times: int
    due: float
    told: float


class Alarms:
    """Hold the troubles there are; its methods may be called from any thread.

    Attributes:
        pace: how long to wait before a retry.
        timer: clock in seconds that only rises.
    """

    def __init__(
        self,
        pace: Pace,
        tell: Callable[[dict[str, str]], None] = lambda _: None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start without troubles.

        Args:
            pace: how long to wait before a retry.
            tell: passes a message on; must not block.
            timer: clock in seconds that only rises.
        """
        self.pace = pace
        self._tell = tell
        self.timer = timer
        self._lock = threading.Lock()
        self._open: dict[str, Trouble] = {}

    def trouble(self, subject: str, error: object) -> float:
        """Note that something did not work; return after how many seconds to try again."""
        now = self.timer()
        with self._lock:
            before = self._open.get(subject)
            times = before.times + 1 if before else 1
            wait = self.pace.wait_s(times)
            new = Trouble(subject, str(error), times, now + wait, before.told if before else now)
            loud = before is None or now - before.told >= _REPEAT_S
            self._open[subject] = replace(new, told=now) if loud else new
        if loud:
            log.error("alarm: %s: %s", subject, error)
            self._tell({"event": "raised", "subject": subject, "what": str(error)})
        else:
            log.debug("%s, try %d: %s", subject, times, error)
        return wait

    def clear(self, subject: str) -> None:
        """Note that something works."""
        with self._lock:
            gone = self._open.pop(subject, None)
        if gone is not None:
            log.warning("works again: %s (after %d tries in vain)", subject, gone.times)
            self._tell({"event": "cleared", "subject": subject, "what": gone.what})

    def is_due(self, subject: str) -> bool:
        """Tell whether something is worth a try now."""
        with self._lock:
            known = self._open.get(subject)
            return known is None or self.timer() >= known.due

    def open(self) -> dict[str, str]:
        """Return what does not work, in words, by name."""
        with self._lock:
            return {subject: one.what for subject, one in sorted(self._open.items())}


class Webhook:
    """Post messages to a web address from a thread of its own, each once, in order."""

    def __init__(self, url: str) -> None:
        """Start; the thread ends with the process."""
        self._url = url
        self._messages: queue.Queue[dict[str, str]] = queue.Queue(_WAITING_MESSAGES)
        threading.Thread(target=self._run, name="nii-webhook", daemon=True).start()

    def __call__(self, message: dict[str, str]) -> None:
        """Pass a message on; where a hundred wait already, it is in the log only."""
        try:
            self._messages.put_nowait({"host": socket.gethostname(), **message})
        except queue.Full:
            log.warning("the webhook does not keep up; a message was left out")

    def drain(self, seconds: float) -> None:
        """Wait until every message went out, at most so long."""
        end = time.monotonic() + seconds
        while self._messages.unfinished_tasks and time.monotonic() < end:
            time.sleep(0.01)

    def _run(self) -> None:
        while True:
            message = self._messages.get()
            try:
                status, answer = post(self._url, json.dumps(message).encode(), {})
                if status >= 300:  # noqa: PLR2004 - 2xx is success
                    log.warning("the webhook answered %d %s", status, answer)
            except OSError as error:
                log.warning("the webhook cannot be reached: %s", error)
            finally:
                self._messages.task_done()


def post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    """Post JSON; return the status and the start of the answer. No redirect is followed.

    Raises:
        OSError: the address cannot be reached, or does not answer as the web does.
    """
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        sent = {"Content-Type": "application/json", "User-Agent": "nii-watch", **headers}
        connection.request("POST", target, body, sent)
        answer = connection.getresponse()
        return answer.status, answer.read(200).decode("latin-1")
    except HTTPException as error:
        msg = f"{parts.hostname}: {type(error).__name__} {error}"
        raise OSError(msg) from error
    finally:
        connection.close()


def notify(state: str) -> None:
    """Tell systemd about this process (``READY=1``, ``WATCHDOG=1``); nothing where it is absent."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address or not hasattr(socket, "AF_UNIX"):
        return
    if address.startswith("@"):  # a name that is no path
        address = f"\0{address[1:]}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        try:
            channel.sendto(state.encode(), address)
        except OSError as error:
            log.debug("systemd cannot be told: %s", error)
