"""Kill a watch at random moments and count: each scan once, no half file. Or measure its speed.

    python scripts/bench_watch.py --kills 200 --files 500
    python scripts/bench_watch.py --speed models/compact --files 16

The watch runs in a process of its own, made by fork from one that has everything imported, so that
a start costs milliseconds and the kills fall into the work. It writes to a folder, a store and a
web server at once. The detector is a stand-in that marks every scan: what is proven here is
independent of what a model finds. POSIX only.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from nii import formats, taxonomy
from nii.bundle import Card, DecodeSpec, Thresholds, read_bundle
from nii.config import from_dict, to_dict
from nii.detections import Detections
from nii.infer.detect import Detector
from nii.infer.runtime import ProviderSettings, open_session
from nii.inspection import Inspection, ModelFacts, ProviderFacts
from nii.preprocess import PreprocessSpec, preprocess
from nii.provenance import Provenance, sha256_of_file
from nii.scan import AnyScan, Scan
from nii.simulate.scene import SceneConfig
from nii.simulate.source import SimulateConfig, simulate
from nii.store import audit, inspections
from nii.store.database import open_folder
from nii.store.inspections import Query
from nii.terminal import set_from_signal
from nii.watch import run as watching
from nii.watch.journal import FILE, Journal
from nii.watch.settings import LaneSettings, WatchSettings

LANES = 4
_ROWS, _COLUMNS = 48, 160
_CPU = ("CPUExecutionProvider",)
_MOST_S = 300.0
_CARD = Card(
    name="marker",
    version="1",
    threats=("firearm",),
    structures=("vehicle", "container"),
    preprocess=PreprocessSpec(),
    decode=DecodeSpec(),
    thresholds=Thresholds({"firearm": 0.3}, {"firearm": 0.6}),
    provenance=Provenance().to_json(),
)
_MODEL = ModelFacts("marker", "1", "1" * 64)
_PROVIDER = ProviderFacts(_CPU, _CPU, _CPU, "cpu", "a stand-in")


@dataclass(frozen=True)
class Marker:
    """Stand in for a model: mark the middle of every scan, in no time."""

    card: Card = _CARD
    model: ModelFacts = _MODEL
    provider: ProviderFacts = _PROVIDER

    def detect(self, scan: AnyScan) -> tuple[Detections, Mapping[str, float]]:
        """Return a firearm in the middle."""
        box = np.asarray([[scan.width / 2 - 10, 20, scan.width / 2 + 10, 30]], np.float32)
        class_id = taxonomy.by_name("firearm").class_id
        return Detections(box, np.asarray([0.9], np.float32), np.asarray([class_id])), {}


class Starter:
    """Hold a process that forks a watch on demand."""

    def __init__(self) -> None:
        """Start it; this takes as long as the imports."""
        command = [sys.executable, __file__, "--serve"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)  # noqa: S603

    def start(self, settings: WatchSettings) -> int:
        """Start a watch and return the number of its process."""
        assert self._process.stdin  # noqa: S101 - mypy
        assert self._process.stdout  # noqa: S101 - mypy
        self._process.stdin.write(json.dumps(to_dict(settings)) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def serve() -> None:
    """Fork a watch for each line of settings, and print the number of its process."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system forgets the dead by itself
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            _watch(json.loads(line))
        print(process, flush=True)


def _watch(settings: dict[str, Any]) -> None:
    """Run a watch in a forked process, which ends here."""
    status = 1
    try:
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: set_from_signal(stop))
        watching.run(from_dict(WatchSettings, settings), Marker, stop)
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


def end(process: int, number: int) -> None:
    """Send a signal and wait until the process is gone."""
    os.kill(process, number)
    wait_for(lambda: not is_alive(process), "the end of the watch")


def is_alive(process: int) -> bool:
    """Tell whether a process is there."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition: Any, what: str, seconds: float = _MOST_S) -> None:  # noqa: ANN401
    """Wait until a condition holds.

    Raises:
        TimeoutError: it does not hold in time.
    """
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            msg = f"{what} did not come in {seconds:.0f} s"
            raise TimeoutError(msg)
        time.sleep(0.005)


@dataclass
class Received:
    """What a web server got: the bodies by idempotency key."""

    bodies: dict[str, list[bytes]] = field(default_factory=dict)
    status: int = 200


@contextmanager
def web_server(received: Received) -> Iterator[str]:
    """Give the address of a server on this machine that keeps what is posted to it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = received.status
            if status == 200:  # noqa: PLR2004 - OK
                key = self.headers.get("Idempotency-Key", "")
                received.bodies.setdefault(key, []).append(body)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/inspections"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def make_scan(path: Path, number: int) -> None:
    """Write a small scan that differs from all others; it appears under its name when whole."""
    rng = np.random.default_rng(number)
    image = rng.uniform(0.2, 1.0, (1 + number % 2, _ROWS, _COLUMNS)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    formats.write(Scan(image), path)


def settings_for(place: Path, post: str | None) -> WatchSettings:
    """Return a quick watch over four lanes, with every kind of sink."""
    return WatchSettings(
        lanes=tuple(place / f"lane {number}" for number in range(LANES)),
        state=place / "state",
        out=place / "out",
        store=place / "store",
        post=post,
        finished=LaneSettings(quiet_s=0.02, pair_wait_s=0.1),
        look_every_s=0.02,
        retry_first_s=0.02,
        retry_most_s=0.2,
    )


@dataclass(frozen=True)
class Verdict:
    """What was found after the kills; a list of faults that must be empty, and numbers."""

    faults: list[str]
    numbers: dict[str, float]


@dataclass(frozen=True)
class Plan:
    """How many scans arrive while how many kills strike, and how far apart those are."""

    files: int = 500
    kills: int = 200
    seed: int = 0
    longest_s: float = 1.0


def kill_often(place: Path, starter: Starter, plan: Plan) -> Verdict:
    """Let scans arrive while the watch is killed at random moments; then check what is there."""
    rng = random.Random(plan.seed)  # noqa: S311 - moments, not secrets
    received = Received()
    start = time.monotonic()
    moments = sorted(rng.randrange(plan.kills + 1) for _ in range(plan.files))
    with web_server(received) as post:
        settings = settings_for(place, post)
        for lane in settings.lanes:
            lane.mkdir(parents=True)
        process = starter.start(settings)
        in_hand = 0
        for kill in range(plan.kills + 1):
            for n in (n for n, moment in enumerate(moments) if moment == kill):
                suffix = (".png", ".tiff")[n // 2 % 2]
                make_scan(settings.lanes[n % LANES] / f"scan {n:04}{suffix}", n)
            if kill < plan.kills:
                time.sleep(rng.uniform(0, plan.longest_s))
                end(process, signal.SIGKILL)
                in_hand += _has_scans_in_hand(settings.state_folder, place / "autopsy")
                process = starter.start(settings)
        done_by_then = _count(settings.out)
        originals = _contents(settings.lanes)
        wait_for(lambda: _count(settings.out) >= plan.files, "the last result")
        wait_for(lambda: len(received.bodies) >= plan.files, "the last post")
        end(process, signal.SIGTERM)
        process = starter.start(settings)  # a clean start takes away what kills left behind
        time.sleep(0.3)
        end(process, signal.SIGTERM)
    numbers = {
        "seconds": round(time.monotonic() - start, 1),
        "done between kills": done_by_then,
        "kills with a scan in hand": in_hand,
    }
    return _check(settings, received, originals, numbers)


def _has_scans_in_hand(state: Path, copy: Path) -> bool:
    """Tell whether a kill struck between the start and the end of a scan; looks at a copy."""
    if not (state / FILE).exists():
        return False
    shutil.copytree(state, copy)
    journal = Journal(copy)
    suspects = journal.suspects()
    journal.close()
    shutil.rmtree(copy)
    return bool(suspects)


def _contents(lanes: tuple[Path, ...]) -> dict[Path, tuple[str, int]]:
    every = (path for lane in lanes for path in sorted(lane.rglob("*")) if path.is_file())
    return {path: (sha256_of_file(path), path.stat().st_mtime_ns) for path in every}


def _count(folder: Path | None) -> int:
    return len(list(folder.glob("*.inspection.json"))) if folder and folder.is_dir() else 0


def _check(
    settings: WatchSettings,
    received: Received,
    originals: dict[Path, tuple[str, int]],
    numbers: dict[str, float],
) -> Verdict:
    assert settings.out  # noqa: S101 - mypy
    faults: list[str] = []
    wanted = Counter(digest for digest, _ in originals.values())
    if _contents(settings.lanes) != originals:
        faults.append("an original was touched")
    for place, found in (
        ("folder", _in_folder(settings.out, faults)),
        ("store", _in_store(settings, faults)),
        ("web server", _in_web(received, faults)),
    ):
        if Counter(found) != wanted:
            lost, double = wanted - Counter(found), Counter(found) - wanted
            faults.append(f"{place}: {len(lost)} scans lost, {len(double)} too often")
    journal = Journal(settings.state_folder)
    counts = journal.counts()
    journal.close()
    if counts != {"inspected": len(originals)}:
        faults.append(f"journal: {counts}")
    hidden = [p for p in settings.out.iterdir() if p.name.startswith(".")]
    faults += [f"left over: {path.name}" for path in hidden]
    posts = sum(len(bodies) for bodies in received.bodies.values())
    return Verdict(faults, numbers | {"scans": len(originals), "posts": posts})


def _in_folder(out: Path, faults: list[str]) -> list[str]:
    found = []
    for path in sorted(out.glob("*.inspection.json")):
        found.append(str(Inspection.from_json(json.loads(path.read_text("utf-8"))).scan.sha256))
        picture = path.with_name(path.name.replace(".inspection.json", ".overlay.png"))
        image = cv2.imdecode(np.frombuffer(picture.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        if image is None or not picture.read_bytes().endswith(b"IEND\xaeB`\x82"):
            faults.append(f"half a picture: {picture.name}")
    return found


def _in_store(settings: WatchSettings, faults: list[str]) -> list[str]:
    assert settings.store  # noqa: S101 - mypy
    store = open_folder(settings.store)
    try:
        filed = inspections.page(store, Query(limit=1_000_000))
        if not audit.verify(store).intact:
            faults.append("the store's log is broken")
    finally:
        store.close()
    return [one.scan_sha256 for one in filed]


def _in_web(received: Received, faults: list[str]) -> list[str]:
    faults += [f"two bodies under {k}" for k, b in received.bodies.items() if len(set(b)) > 1]
    return [json.loads(bodies[0])["scan"]["sha256"] for bodies in received.bodies.values()]


def measure(folder: Path, files: int) -> None:
    """Compare a watch over four lanes with the bare model, on simulated scans of full size."""
    scene = SceneConfig(height_px=(1024, 1024), width_px=3072, clean_share=0)
    scan = simulate(1, 0, SimulateConfig(scene=scene)).scan
    bundle = read_bundle(folder)
    session = open_session(bundle.model_path, ProviderSettings(threads=1))
    detector = Detector(bundle, session)
    given = preprocess(scan, detector.card.preprocess)
    alone = []
    for _ in range(4):
        start = time.perf_counter()
        session.run(given.detail[None], given.overview[None])
        alone.append(time.perf_counter() - start)
    with tempfile.TemporaryDirectory() as name:
        settings = settings_for(Path(name), None)
        for number in range(files):
            lane = settings.lanes[number % LANES]
            lane.mkdir(exist_ok=True)
            shifted = np.roll(scan.transmission, number, 2)
            formats.write(Scan(shifted, endpoint_mev=scan.endpoint_mev), lane / f"{number}.tiff")
        start = time.perf_counter()
        summary = watching.run_once(settings, lambda: detector)
        each = (time.perf_counter() - start) / files
    bare = statistics.median(alone[1:])
    print(f"{files} scans of {list(scan.transmission.shape)} in {LANES} lanes, {summary}")
    print(f"model alone {1e3 * bare:.0f} ms; watch {1e3 * each:.0f} ms a scan, folder and store")
    print(f"ratio {each / bare:.2f}, {3600 / each:.0f} scans an hour")


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--speed", type=Path, help="a bundle: measure the speed instead")
    parser.add_argument("--serve", action="store_true", help="for this script itself")
    words = parser.parse_args()
    if words.serve:
        serve()
        return 0
    if words.speed is not None:
        measure(words.speed, words.files)
        return 0
    starter = Starter()
    with tempfile.TemporaryDirectory() as name:
        verdict = kill_often(Path(name), starter, Plan(words.files, words.kills, words.seed))
    starter.close()
    print(f"{words.kills} kills:", json.dumps(verdict.numbers))
    print("\n".join(verdict.faults) or "each scan once, no half file")
    return int(bool(verdict.faults))


if __name__ == "__main__":
    raise SystemExit(main())
