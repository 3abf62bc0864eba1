"""Claims about a running watch: real files, real processes, real ends."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from types import ModuleType
from typing import Protocol

import numpy as np
import pytest

from nii import formats
from nii.errors import BundleError, ConfigError
from nii.infer.detect import Detector
from nii.infer.inspect import Finds
from nii.infer.runtime import ProviderSettings
from nii.inspection import Inspection
from nii.scan import Scan
from nii.watch import run as watching
from nii.watch.run import STOP_FILE, Planned, Summary
from nii.watch.settings import WatchSettings

Arrive = Callable[..., tuple[Path, ...]]


class Starts(Protocol):
    """Start a watch in another process."""

    def start(self, settings: WatchSettings) -> int:
        """Return the number of the process."""


def results(settings: WatchSettings) -> list[str]:
    """Return the identities of all results in the folder."""
    assert settings.out is not None
    texts = [path.read_text("utf-8") for path in sorted(settings.out.glob("*.inspection.json"))]
    return [str(Inspection.from_json(json.loads(text)).scan.sha256) for text in texts]


@contextmanager
def running(settings: WatchSettings, open_detector: Callable[[], Finds]) -> Iterator[list[Summary]]:
    """Run a watch in a thread, and end it."""
    stop, done = threading.Event(), list[Summary]()
    thread = threading.Thread(
        target=lambda: done.append(watching.run(settings, open_detector, stop))
    )
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join(30)


def wait(condition: Callable[[], object]) -> None:
    """Wait up to half a minute for a condition."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


def test_once(settings: WatchSettings, arrive: Arrive, bench: ModuleType) -> None:
    """Single files, pairs, copies and rubbish each end where they belong; a second run is idle."""
    arrive("ü ñ 货柜/a b.tiff")
    pair = arrive("pair.dcs", energies=2)
    (copied,) = arrive("x.png")
    shutil.copy(copied, copied.with_name("y.png"))
    (settings.lanes[0] / "bad.tif").write_bytes(b"rubbish")
    before = bench._contents(settings.lanes)
    summary = watching.run_once(settings, bench.Marker)
    assert summary == Summary(inspected=3, duplicates=1, quarantined=1)
    assert len(set(results(settings))) == len(results(settings)) == 3
    assert bench._contents(settings.lanes) == before
    assert len(pair) == 2
    assert watching.run_once(settings, bench.Marker) == Summary()


def test_plan_writes_nothing(settings: WatchSettings, arrive: Arrive, bench: ModuleType) -> None:
    """A dry run names what is new and what is known, and leaves no trace."""
    (first,) = arrive("a.tiff")
    assert watching.plan(settings) == (Planned((first,), (), "new"),)
    assert not settings.state_folder.exists()
    watching.run_once(settings, bench.Marker)
    (second,) = arrive("b.tiff")
    (settings.lanes[0] / "b.json").write_bytes(b"{}")
    planned = {one.paths[0]: one for one in watching.plan(settings)}
    assert planned[first].status == "known"
    assert (planned[second].status, planned[second].sidecars) == (
        "new",
        (second.with_suffix(".json"),),
    )
    assert len(results(settings)) == 1


@pytest.mark.slow
def test_kill_at_random_moments(bench: ModuleType, starter: Starts, tmp_path: Path) -> None:
    """After ten kills -9 each scan is once in folder, store and web server, and nothing is half."""
    verdict = bench.kill_often(tmp_path, starter, bench.Plan(24, 10, seed=1, longest_s=0.4))
    assert verdict.faults == []
    assert verdict.numbers["scans"] == 24


@pytest.mark.slow
def test_the_check_can_fail(
    settings: WatchSettings, arrive: Arrive, bench: ModuleType, tmp_path: Path
) -> None:
    """The check after the kills sees a lost, a doubled, a halved result and a touched original."""
    every = replace(settings, store=tmp_path / "store")
    (path,) = arrive("a.tiff")
    arrive("b.tiff")
    originals = bench._contents(every.lanes)
    watching.run_once(every, bench.Marker)

    def faults() -> list[str]:
        received = bench.Received()
        for text in (settings.state_folder.parent / "out").glob("*.json"):
            received.bodies[text.name] = [text.read_bytes()]
        return [f for f in bench._check(every, received, originals, {}).faults if "web" not in f]

    assert faults() == []
    out = tmp_path / "out"
    shutil.copy(out / "a.inspection.json", out / "c.inspection.json")
    shutil.copy(out / "a.overlay.png", out / "c.overlay.png")
    assert faults() == ["folder: 0 scans lost, 1 too often"]
    (out / "c.inspection.json").unlink()
    picture = (out / "a.overlay.png").read_bytes()
    (out / "a.overlay.png").write_bytes(picture[:-20])
    assert faults() == ["half a picture: a.overlay.png"]
    (out / "a.overlay.png").write_bytes(picture)
    (out / "b.inspection.json").unlink()
    assert faults() == ["folder: 1 scans lost, 0 too often"]
    path.touch()
    assert "an original was touched" in faults()


@pytest.mark.slow
def test_no_room_to_write(
    settings: WatchSettings, arrive: Arrive, bench: ModuleType, starter: Starts
) -> None:
    """When the system refuses every write, the watch alarms, waits and then loses nothing."""
    port = _free_port()
    process = starter.start(replace(settings, port=port))
    arrive("a.tiff")
    wait(lambda: len(results(settings)) == 1 if settings.out and settings.out.exists() else False)
    before = resource.prlimit(process, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    for name in ("b.tiff", "c.tiff"):
        arrive(name)
    wait(lambda: _health(port)[0] == 503)
    assert "journal" in _health(port)[1]
    resource.prlimit(process, resource.RLIMIT_FSIZE, before)
    wait(lambda: len(results(settings)) == 3)
    wait(lambda: _health(port)[0] == 200)
    bench.end(process, signal.SIGTERM)
    assert len(set(results(settings))) == 3


@pytest.mark.slow
def test_full_and_read_only_output(
    settings: WatchSettings, arrive: Arrive, bench: ModuleType
) -> None:
    """On a disk that is full, then read-only, results wait; each is written once in the end."""
    assert settings.out is not None
    settings.out.mkdir()
    watched = replace(settings, port=_free_port())
    with _small_disk(settings.out) as remount, running(watched, bench.Marker):
        (settings.out / "ballast").write_bytes(b"\0" * (256 << 10))
        arrive("a.tiff")
        wait(lambda: "No space" in _health(watched.port)[1])
        assert results(settings) == []
        (settings.out / "ballast").unlink()
        wait(lambda: len(results(settings)) == 1)
        remount("ro")
        arrive("b.tiff")
        wait(lambda: "Read-only" in _health(watched.port)[1])
        assert len(results(settings)) == 1
        remount("rw")
        wait(lambda: len(results(settings)) == 2)
        wait(lambda: _health(watched.port)[0] == 200)


@pytest.mark.slow
def test_a_lost_share(settings: WatchSettings, arrive: Arrive, bench: ModuleType) -> None:
    """A lane that vanishes and returns holds up no other, and each of its scans is done once."""
    second = settings.lanes[0].parent / "second"
    second.mkdir()
    both = replace(settings, lanes=(*settings.lanes, second))
    arrive("a.tiff")
    with running(both, bench.Marker) as done:
        wait(lambda: settings.out and settings.out.exists() and len(results(settings)) == 1)
        away = settings.lanes[0].rename(settings.state_folder.parent / "away")
        formats.write(Scan(np.full((1, 40, 90), 0.5, np.float32)), second / "b.tiff")
        wait(lambda: len(results(settings)) == 2)
        away.rename(settings.lanes[0])
        arrive("c.tiff")
        wait(lambda: len(results(settings)) == 3)
    assert [(one.inspected, one.duplicates) for one in done] == [(3, 0)]


def test_an_endpoint_that_is_down(
    settings: WatchSettings, arrive: Arrive, bench: ModuleType
) -> None:
    """What a web server did not take goes out when it does, also after a restart, once each."""
    received = bench.Received(status=503)
    with bench.web_server(received) as url:
        posting = replace(settings, post=url)
        for name in ("a.tiff", "b.tiff"):
            arrive(name)
        summary = watching.run_once(posting, bench.Marker)
        assert (summary.inspected, summary.waiting) == (2, 2)
        received.status = 200
        assert watching.run_once(posting, bench.Marker) == Summary()
    assert [len(bodies) for bodies in received.bodies.values()] == [1, 1]


@pytest.mark.slow
def test_the_clock_jumps(settings: WatchSettings, arrive: Arrive, bench: ModuleType) -> None:
    """A clock that jumps by years in both directions loses and doubles nothing."""
    moments = iter(range(10_000))

    def clock() -> datetime:
        jump = timedelta(days=(-1) ** next(moments) * 3000)
        return datetime(2026, 1, 2, tzinfo=UTC) + jump

    quiet = replace(settings, finished=replace(settings.finished, by="quiet", quiet_s=0.05))
    for name in ("a.tiff", "b.tiff", "c.tiff"):
        arrive(name)
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()
    summary = watching.run(quiet, bench.Marker, stop, clock)
    assert summary == Summary(inspected=3)
    assert len(set(results(settings))) == 3


@pytest.mark.slow
def test_an_unreadable_bundle(settings: WatchSettings, root: Path, tmp_path: Path) -> None:
    """With a damaged model scans wait; once it is whole again, the real model inspects them."""
    model = tmp_path / "model"
    shutil.copytree(root / "models" / "compact", model)
    card = (model / "card.json").read_bytes()
    (model / "card.json").write_bytes(card[:100])
    sample = formats.read(root / "data" / "samples" / "twin_containers.tiff")
    small = replace(sample, transmission=sample.transmission[:, 300:556, 200:840].copy())
    formats.write(small, settings.lanes[0] / "small.tiff")

    def open_detector() -> Detector:
        return Detector.open(model, ProviderSettings(threads=1))

    with pytest.raises(BundleError):
        watching.run_once(settings, open_detector)
    with running(settings, open_detector) as done:
        time.sleep(0.1)
        assert settings.out is not None
        assert not settings.out.exists()
        (model / "card.json").write_bytes(card)
        wait(lambda: settings.out and settings.out.exists() and len(results(settings)) == 1)
    assert done[0].inspected == 1


def test_stop_file_and_one_watch(
    settings: WatchSettings, bench: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second watch on the same journal is refused; a file named stop ends the first."""
    monkeypatch.setattr("nii.watch.journal._WAIT_S", 0.05)
    holds = threading.Event()

    def open_detector() -> Finds:
        holds.set()  # The journal is opened before the model.
        marker: Finds = bench.Marker()
        return marker

    with running(settings, open_detector) as done:
        wait(holds.is_set)
        with pytest.raises(ConfigError, match="another process"):
            watching.run_once(settings, bench.Marker)

        def ask_to_stop() -> list[Summary]:
            (settings.state_folder / STOP_FILE).touch()
            return done

        wait(ask_to_stop)
    assert done == [Summary()]


def test_litter_of_killed_processes(settings: WatchSettings, bench: ModuleType) -> None:
    """What a killed process left half-written under hidden names is taken away at the start."""
    assert settings.out is not None
    (settings.quarantine_folder / ".incoming-abc").mkdir(parents=True)
    settings.out.mkdir()
    (settings.out / f".{'0' * 16}.part").touch()
    (settings.out / ".mine").touch()
    watching.run_once(settings, bench.Marker)
    assert [path.name for path in settings.out.iterdir()] == [".mine"]
    assert not list(settings.quarantine_folder.iterdir())


@pytest.mark.slow
def test_the_command_and_sigterm(root: Path, tmp_path: Path) -> None:
    """`nii watch` in a process of its own inspects with the shipped model and ends on SIGTERM."""
    lane = tmp_path / "lane with spaces ü"
    lane.joinpath(*["long" * 25] * 3).mkdir(parents=True)
    sample = formats.read(root / "data" / "samples" / "twin_containers.tiff")
    small = replace(sample, transmission=sample.transmission[:, 300:556, 200:840].copy())
    formats.write(small, lane.joinpath(*["long" * 25] * 3) / "a.tiff")
    command = [sys.executable, "-m", "nii.cli", "watch", str(lane), "--out", str(tmp_path / "out")]
    command += ["--bundle", str(root / "models" / "compact"), "--finished.quiet-s", "0.1"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        wait(lambda: list((tmp_path / "out").glob("*.inspection.json")))
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "inspected=1" in said
    (text,) = (tmp_path / "out").glob("*.inspection.json")
    assert Inspection.from_json(json.loads(text.read_text("utf-8"))).model.name == "compact"


def _free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _health(port: int | None) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except ConnectionRefusedError:
        return 0, ""
    finally:
        connection.close()


@contextmanager
def _small_disk(folder: Path) -> Iterator[Callable[[str], None]]:
    """Give a disk of 256 kB at a folder, and how it is made read-only; skip where not allowed."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        pytest.skip("no mount")

    def remount(mode: str) -> None:
        subprocess.run([mount, "-o", f"remount,{mode}", str(folder)], check=True)  # noqa: S603

    words = [mount, "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if subprocess.run(words, check=False, capture_output=True).returncode:  # noqa: S603
        pytest.skip("mounting a small disk is not allowed here")
    try:
        yield remount
    finally:
        subprocess.run([umount, "-l", str(folder)], check=True)  # noqa: S603
