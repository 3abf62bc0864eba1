"""Claims about scans that programs push into the store: each is inspected, once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from nii import formats
from nii.errors import ConfigError
from nii.scan import Scan
from nii.store import audit, inspections, scans, users, waiting
from nii.store.database import Store, open_folder
from nii.store.users import Credentials, Profile, Role
from nii.watch import run as watching
from nii.watch.pushed import FOLDER
from nii.watch.settings import WatchSettings

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def pushing(settings: WatchSettings, database: str | Path, tmp_path: Path) -> WatchSettings:
    """Give a watch over the scans of a store on either engine, and over no folder."""
    address = database if isinstance(database, str) else None
    place = tmp_path / "store"
    return replace(settings, lanes=(), out=None, store=place, database=address, pushed=True)


@pytest.fixture
def push(pushing: WatchSettings, tmp_path: Path) -> Callable[..., str]:
    """Give a function that keeps a scan as the web app does when a program brings it."""

    def keep(*paths: Path, content: bytes | None = None) -> str:
        assert pushing.store is not None
        store = open_folder(pushing.store, pushing.database)
        if content is not None:
            paths = (tmp_path / "pushed.tiff",)
            paths[0].write_bytes(content)
        kept = scans.keep(store, paths)
        with store.write() as connection:
            scans.register(connection, kept, NOON)
            payload = {"scan_sha256": kept.sha256}
            audit.append(connection, audit.Entry(waiting.PUSHED, None, payload), NOON)
        store.close()
        return kept.sha256

    return keep


def scan_at(path: Path, seed: int) -> tuple[Path, ...]:
    """Write a small scan."""
    image = np.random.default_rng(seed).uniform(0.2, 1.0, (1, 48, 160)).astype(np.float32)
    return formats.write(Scan(image), path)


def told(pushing: WatchSettings, kind: str) -> list[dict[str, object]]:
    """Return the payloads of events of this kind."""
    assert pushing.store is not None
    store = open_folder(pushing.store, pushing.database)
    found = [dict(e.payload) for e in audit.events_after(store, 0, kinds=(kind,))]
    store.close()
    return found


@pytest.mark.slow
def test_each_is_inspected_once(
    pushing: WatchSettings, push: Callable[..., str], bench: ModuleType, tmp_path: Path
) -> None:
    """What waits is inspected and filed; a second run finds nothing to do and tidies up."""
    pushed = {push(*scan_at(tmp_path / f"truck {n}.tiff", n)) for n in range(3)}
    assert watching.run_once(pushing, bench.Marker).inspected == 3
    assert watching.run_once(pushing, bench.Marker).inspected == 0
    assert {e["scan_sha256"] for e in told(pushing, audit.INSPECTED)} == pushed
    assert len(told(pushing, audit.INSPECTED)) == 3
    assert list((pushing.state_folder / FOLDER).iterdir()) == []
    (path,) = scan_at(tmp_path / "later.tiff", 9)
    later = push(path.rename(tmp_path / "later.part"))  # no name hides a scan
    assert watching.run_once(pushing, bench.Marker).inspected == 1
    assert told(pushing, audit.INSPECTED)[-1]["scan_sha256"] == later


@pytest.mark.slow
def test_one_that_cannot_be_inspected_says_why(
    pushing: WatchSettings, push: Callable[..., str], bench: ModuleType, tmp_path: Path
) -> None:
    """A bad scan goes to the quarantine and into the log, once, and stops no other."""
    bad = push(content=b"II*\0no scan")
    good = push(*scan_at(tmp_path / "truck.tiff", 1))
    assert watching.run_once(pushing, bench.Marker).quarantined == 1
    for _ in range(2):
        assert watching.run_once(pushing, bench.Marker).quarantined == 0
    (why,) = told(pushing, waiting.UNINSPECTED)
    assert why["scan_sha256"] == bad
    assert "remedy" in str(why["reason"])
    assert [e["scan_sha256"] for e in told(pushing, audit.INSPECTED)] == [good]


@pytest.mark.slow
def test_a_lost_original_stops_no_other(
    pushing: WatchSettings,
    push: Callable[..., str],
    bench: ModuleType,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A scan whose file is gone is told of and waits until it is restored."""
    files = scan_at(tmp_path / "lost.tiff", 1)
    lost = push(*files)
    push(*scan_at(tmp_path / "truck.tiff", 2))
    assert pushing.store is not None
    store = open_folder(pushing.store, pushing.database)
    place = scans.path_of(store, lost)
    store.close()
    place.unlink()
    assert watching.run_once(pushing, bench.Marker).inspected == 1
    assert lost in caplog.text
    shutil.copyfile(files[0], place)
    assert watching.run_once(pushing, bench.Marker).inspected == 1


def test_a_store_must_be_named(settings: WatchSettings) -> None:
    """Without a store there is nothing that could be pushed into."""
    for change in ({"pushed": True}, {"database": "postgresql://x/y"}):
        with pytest.raises(ConfigError, match="--store"):
            replace(settings, **change)


@pytest.mark.slow
def test_killed_again_and_again(
    pushing: WatchSettings,
    push: Callable[..., str],
    starter: object,
    bench: ModuleType,
    tmp_path: Path,
) -> None:
    """Whenever the process is killed, in the end the store has one inspection of each scan."""
    pushed = {push(*scan_at(tmp_path / f"truck {n}.tiff", n)) for n in range(12)}
    for attempt in range(5):
        process = starter.start(pushing)  # type: ignore[attr-defined]
        time.sleep(0.08 * (attempt + 1))
        bench.end(process, signal.SIGKILL)
    watching.run_once(pushing, bench.Marker)
    found = [e["scan_sha256"] for e in told(pushing, audit.INSPECTED)]
    assert len(found) == len(pushed)
    assert set(found) == pushed


@pytest.fixture
def token(pushing: WatchSettings) -> str:
    """Give the token of a program that may push, and an account beside it."""
    auth = pytest.importorskip("nii.review.auth")
    assert pushing.store is not None
    store = open_folder(pushing.store, pushing.database)
    profile, setup = Profile("Boss", Role.ADMINISTRATOR), audit.Actor("setup")
    user = users.create(store, "boss", profile, Credentials("hash"), setup, NOON)
    now = datetime.now(UTC)
    rights = [auth.Right.PUSH, auth.Right.READ]
    made = auth.add_token(store, user, "customs", rights, now + timedelta(days=1), now)
    store.close()
    return str(made)


@pytest.mark.slow
def test_from_the_network_to_the_queue(
    pushing: WatchSettings, token: str, root: Path, tmp_path: Path
) -> None:
    """A scan pushed over HTTP is inspected by `nii watch` in another process with a real model."""
    pytest.importorskip("uvicorn")
    assert pushing.store is not None
    sample = formats.read(root / "data" / "samples" / "twin_containers.tiff")
    small = replace(sample, transmission=sample.transmission[:, 300:556, 200:840].copy())
    (path,) = formats.write(small, tmp_path / "truck.tiff")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place = str(pushing.store)
    serve = [sys.executable, "-m", "nii.cli", "review", place, "--port", str(port)]
    watch = [sys.executable, "-m", "nii.cli", "watch", "--store", place, "--pushed"]
    watch += ["--bundle", str(root / "models" / "compact"), "--look-every-s", "0.1"]
    for command in (serve, watch) if pushing.database else ():
        command += ["--database", str(pushing.database)]
    environment = dict(os.environ, NO_PROXY="127.0.0.1")
    with (
        subprocess.Popen(serve, cwd=root, env=environment) as server,  # noqa: S603 - ourselves
        subprocess.Popen(watch, cwd=root, env=environment) as watcher,  # noqa: S603 - ourselves
    ):
        try:
            answer = pushed_over_http(port, token, path)
            assert answer["waiting"] is True
            store = open_folder(pushing.store, pushing.database)
            wait(lambda: inspections.latest(store, str(answer["sha256"])) is not None)
            check_filed(store, str(answer["sha256"]))
            store.close()
        finally:
            watcher.send_signal(signal.SIGTERM)
            server.send_signal(signal.SIGTERM)
    assert watcher.returncode == 0


def check_filed(store: Store, sha256: str) -> None:
    """Check that a scan has one inspection by the shipped model."""
    filed = inspections.latest(store, sha256)
    assert filed is not None
    assert filed.inspection.model.name == "compact"
    assert waiting.uninspected(store)[0] == ()


def pushed_over_http(port: int, token: str, path: Path) -> dict[str, object]:
    """Push a scan as a form, as soon as the server answers; return the answer."""
    bound = b"--nii-test-boundary"
    head = f'Content-Disposition: form-data; name="file"; filename="{path.name}"'.encode()
    body = b"\r\n".join(
        (bound, head, b"Content-Type: image/tiff", b"", path.read_bytes(), bound + b"--", b"")
    )
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/scans",
        body,
        {
            "Authorization": f"Bearer {token}",
            "Content-Type": "multipart/form-data; boundary=nii-test-boundary",
        },
    )
    end = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310 - http to ourselves
                found: dict[str, object] = json.load(answer)
                return found
        except urllib.error.HTTPError:
            raise
        except OSError:
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.2)


def wait(condition: Callable[[], object]) -> None:
    """Wait up to a minute for a condition."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.1)
