"""Claims about alarms: told once, repeated hourly, cleared once; waits grow and have an end."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from types import ModuleType

import pytest

from nii.watch.alarm import Alarms, Pace, Webhook, notify, post


def test_waits_double_up_to_the_most() -> None:
    """Each wait is twice the one before, and never longer than told."""
    pace = Pace(1.0, 300.0)
    waits = [pace.wait_s(times) for times in range(1, 12)]
    assert waits[:4] == [1, 2, 4, 8]
    assert waits[-1] == pace.wait_s(10**6) == 300


def test_a_trouble_is_told_once_an_hour() -> None:
    """A trouble that lasts three hours is told of four times and cleared once."""
    now = [0.0]
    told: list[dict[str, str]] = []
    alarms = Alarms(Pace(60.0, 60.0), told.append, lambda: now[0])
    for minute in range(181):
        now[0] = 60.0 * minute
        assert alarms.is_due("disk")
        assert alarms.trouble("disk", "full") == 60
        assert not alarms.is_due("disk")
    assert alarms.open() == {"disk": "full"}
    alarms.clear("disk")
    alarms.clear("disk")
    assert [one["event"] for one in told] == ["raised"] * 4 + ["cleared"]
    assert (alarms.open(), alarms.is_due("disk")) == ({}, True)


def test_webhook(bench: ModuleType) -> None:
    """A message reaches the address as JSON; an address that is gone holds up nothing."""
    received = bench.Received()
    with bench.web_server(received) as url:
        hook = Webhook(url)
        hook({"event": "raised", "subject": "disk"})
        hook.drain(10.0)
    ((body,),) = received.bodies.values()
    assert json.loads(body)["subject"] == "disk"
    hook({"event": "cleared", "subject": "disk"})
    hook.drain(10.0)
    with pytest.raises(OSError, match="refused"):
        post(url, b"{}", {})


def test_notify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Systemd's socket gets the word; without one nothing happens."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify("READY=1")
        assert channel.recv(100) == b"READY=1"
    notify("WATCHDOG=1")
