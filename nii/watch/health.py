"""Health: /healthz for a monitor and /metrics for Prometheus, on this machine only."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOST = "127.0.0.1"
_HELP = {
    "scans_total": ("counter", "Scans by lane and outcome since the start."),
    "stage_seconds_total": ("counter", "Seconds spent by stage since the start."),
    "waiting_scans": ("gauge", "Finished scans that wait for inspection."),
    "unfinished_scans": ("gauge", "Scans that are still being written or wait for a part."),
    "waiting_results": ("gauge", "Inspections that a sink has not got yet."),
    "journal_scans": ("gauge", "Scans in the journal by state."),
    "trouble": ("gauge", "1 for everything that does not work now."),
    "heartbeat_age_seconds": ("gauge", "Seconds since the main loop last came round."),
    "last_inspection_timestamp_seconds": ("gauge", "Time of the newest inspection (Unix)."),
    "disk_free_bytes": ("gauge", "Free space where the journal lies."),
}
Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(slots=True)
class Metrics:
    """Count what happens; may be called from any thread."""

    _values: dict[Key, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """Add to a counter."""
        place = key(name, **labels)
        with self._lock:
            self._values[place] = self._values.get(place, 0.0) + amount

    def values(self) -> dict[Key, float]:
        """Return all counters."""
        with self._lock:
            return dict(self._values)


@dataclass(frozen=True, slots=True)
class State:
    """How a watch is.

    Attributes:
        problems: what does not work, in words, by name; empty when all is well.
        values: counters and gauges.
    """

    problems: Mapping[str, str]
    values: Mapping[Key, float]


def key(name: str, **labels: str) -> Key:
    """Return what a value is kept under."""
    return name, tuple(sorted(labels.items()))


def render(values: Mapping[Key, float]) -> str:
    """Return values in the text format of Prometheus, version 0.0.4."""
    lines = []
    for name, (kind, about) in _HELP.items():
        rows = sorted((labels, value) for (one, labels), value in values.items() if one == name)
        if rows:
            lines += [f"# HELP nii_watch_{name} {about}", f"# TYPE nii_watch_{name} {kind}"]
        for labels, value in rows:
            inner = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
            lines.append(f"nii_watch_{name}{f'{{{inner}}}' if inner else ''} {value:.15g}")
    return "\n".join(lines) + "\n"


@contextmanager
def served(port: int | None, state: Callable[[], State]) -> Iterator[int | None]:
    """Answer on a port of this machine while the context lasts; give the port.

    Raises:
        OSError: the port is taken.
    """
    if port is None:
        yield None
        return
    server = ThreadingHTTPServer((HOST, port), _handler(state))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(state: Callable[[], State]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answer two questions, and nothing else."""

        timeout = 10

        def do_GET(self) -> None:
            if self.path not in {"/healthz", "/metrics"}:
                self._answer(404, "text/plain", "ask for /healthz or /metrics\n")
                return
            now = state()
            if self.path == "/metrics":
                self._answer(200, "text/plain; version=0.0.4; charset=utf-8", render(now.values))
                return
            word = "troubled" if now.problems else "ok"
            body = json.dumps({"status": word, "problems": dict(now.problems)}) + "\n"
            self._answer(503 if now.problems else 200, "application/json", body)

        def _answer(self, status: int, kind: str, text: str) -> None:
            body = text.encode("utf-8", "backslashreplace")
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing: a monitor asks each few seconds."""

    return Handler


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
