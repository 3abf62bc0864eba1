"""Kill a scoring run at random moments and count: each scan once, no half file. Or measure speed.

    python scripts/bench_score.py --kills 200 --files 500
    python scripts/bench_score.py --speed models/compact --files 32 [--engine ray]

The run is a process of its own, made by fork from one that has everything imported, so that a start
costs milliseconds and the kills fall into the work. The detector is a stand-in that marks every
scan: what is proven here is independent of what a model finds. Scans arrive between the kills, so
that runs also find new ones. POSIX only.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow.parquet as pq

from nii import formats, taxonomy
from nii.bundle import Card, DecodeSpec, Thresholds, read_bundle
from nii.detections import Detections
from nii.infer.runtime import ProviderSettings, open_session
from nii.inspection import ModelFacts, ProviderFacts
from nii.preprocess import PreprocessSpec
from nii.provenance import Provenance, SourceFile, sha256_of_file, sha256_of_sources
from nii.scan import AnyScan, Scan
from nii.score.archive import Place
from nii.score.run import ScoreSettings, cores, run
from nii.score.shards import Ledger
from nii.score.worker import Job, Model
from nii.simulate.scene import SceneConfig
from nii.simulate.source import SimulateConfig, simulate

Engine = Literal["local", "ray"]
SHARD_SCANS = 3
_CPU = ("CPUExecutionProvider",)
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
    """Hold a process that forks a scoring run on demand."""

    def __init__(self) -> None:
        """Start it; this takes as long as the imports."""
        pipe = subprocess.PIPE
        command = [sys.executable, __file__, "--serve"]
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)  # noqa: S603

    def start(self, archive: Path, out: Path) -> int:
        """Start a run and return the number of its process."""
        assert self._process.stdin  # noqa: S101 - mypy
        assert self._process.stdout  # noqa: S101 - mypy
        self._process.stdin.write(json.dumps([str(archive), str(out)]) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def serve() -> None:
    """Fork a run for each line, and print the number of its process."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system forgets the dead by itself
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            _score(*map(Path, json.loads(line)))
        print(process, flush=True)


def _score(archive: Path, out: Path) -> None:
    """Score in a forked process, which ends here."""
    status = 1
    try:
        settings = ScoreSettings(Place(str(archive)), Place(str(out)), SHARD_SCANS, 1)
        job = Job(settings.archive, settings.out, Marker)
        run(settings, job, _MODEL.sha256, threading.Event())
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


def is_alive(process: int) -> bool:
    """Tell whether a process is there."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for_end(process: int, seconds: float = 300.0) -> None:
    """Wait until a process is gone.

    Raises:
        TimeoutError: it stays.
    """
    until = time.monotonic() + seconds
    while is_alive(process):
        if time.monotonic() > until:
            msg = f"process {process} did not end in {seconds:.0f} s"
            raise TimeoutError(msg)
        time.sleep(0.002)


def make_scan(path: Path, number: int) -> None:
    """Write a small scan that is like no other."""
    rng = np.random.default_rng(number)
    image = rng.uniform(0.2, 1.0, (1, 48, 160)).astype(np.float32)
    formats.write(Scan(image), path)


@dataclass
class Verdict:
    """Faults that must be empty, and numbers."""

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
    """Let scans arrive while runs are killed at random moments; then check what is there."""
    rng = random.Random(plan.seed)  # noqa: S311 - moments, not secrets
    archive, out = place / "archive", place / "out"
    archive.mkdir(parents=True)
    begun = time.monotonic()
    reach, made, runs, killed, in_hand = plan.longest_s, 0, 0, 0, 0
    while killed < plan.kills:
        fair = (plan.files - made) / (plan.kills - killed)
        made = _arrive(archive, made, min(plan.files, made + round(rng.uniform(0, 2 * fair))))
        process = starter.start(archive, out)
        runs += 1
        time.sleep(rng.uniform(0, reach))
        alive = is_alive(process)
        if alive:
            os.kill(process, signal.SIGKILL)
        wait_for_end(process)
        killed += alive
        in_hand += alive and _has_work(out)
        reach = min(plan.longest_s, reach * (1.2 if alive else 0.7))  # a run may be done sooner
    _arrive(archive, made, plan.files)
    by_then = len(list((out / "done").glob("shard-*.json")))
    wait_for_end(starter.start(archive, out))
    numbers = {
        "seconds": round(time.monotonic() - begun, 1),
        "runs": runs,
        "shards done between kills": by_then,
        "kills that struck a run": killed,
        "kills with scans still to do": in_hand,
    }
    return check(archive, out, numbers)


def _arrive(archive: Path, first: int, stop: int) -> int:
    """Write scans into the archive; return how many there are then."""
    for n in range(first, stop):
        make_scan(archive / f"scan {n:04}{('.png', '.tiff')[n % 2]}", n)
    return stop


def _has_work(out: Path) -> bool:
    ledger = Ledger(Place(str(out)))
    return len(list(ledger.plan())) > len(ledger.done())


def check(archive: Path, out: Path, numbers: dict[str, float]) -> Verdict:
    """Compare the table with the archive."""
    files = sorted(path for path in archive.iterdir() if path.is_file())
    wanted = Counter(
        sha256_of_sources((SourceFile(path.name, sha256_of_file(path)),)) for path in files
    )
    faults = []
    try:
        table = pq.read_table(out / "scans").to_pydict()
    except (OSError, ValueError) as error:
        return Verdict([f"a table that cannot be read: {error}"], numbers)
    found = Counter(table["sha256"])
    if found != wanted:
        lost, double = wanted - found, found - wanted
        faults.append(f"{lost.total()} scans lost, {double.total()} too often")
    if Counter(table["name"]) != Counter(path.name for path in files):
        faults.append("other names")
    if any(level != "search" for level in table["level"]):
        faults.append("a scan without its mark")
    hidden = [path for path in out.rglob(".*") if path.name != ".lock"]
    faults += [f"left over: {path.name}" for path in hidden]
    return Verdict(faults, numbers | {"scans": len(files), "rows": len(table["name"])})


def bare(bundle: Path, runs: int, workers: int) -> float:
    """Return seconds that processes of one thread share to run the model alone so often."""
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(workers + 1)
    processes = [
        context.Process(target=_run_bare, args=(bundle, runs // workers, ready))
        for _ in range(workers)
    ]
    for process in processes:
        process.start()
    ready.wait()
    start = time.perf_counter()
    for process in processes:
        process.join()
    return time.perf_counter() - start


def _run_bare(bundle: Path, runs: int, ready: Barrier) -> None:
    """Open a model and, once all others have, run it on one picture again and again."""
    held = read_bundle(bundle)
    session = open_session(held.model_path, ProviderSettings(threads=1))
    detail, overview = (
        np.zeros((1, 4, 1024, 3072), np.float32),
        np.zeros((1, 4, 128, 384), np.float32),
    )
    session.run(detail, overview)
    ready.wait()
    for _ in range(runs):
        session.run(detail, overview)


def measure(bundle: Path, files: int, engine: Engine, rounds: int) -> None:
    """Compare one worker of one thread with two, in turns, on simulated scans of full size."""
    scene = SceneConfig(height_px=(1024, 1024), width_px=3072, clean_share=0)
    scan = simulate(1, 0, SimulateConfig(scene=scene)).scan
    sha256 = read_bundle(bundle).sha256
    spent: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name:
        archive = Place(str(Path(name, "archive")))
        Path(archive.address).mkdir()
        for number in range(files):
            shifted = np.roll(scan.transmission, number, 2)
            moved = replace(scan, transmission=shifted, provenance=Provenance())
            formats.write(moved, Path(archive.address, f"{number:04}.tiff"))
        for turn in range(rounds):
            for workers, times in spent.items():
                out = Place(str(Path(name, f"out {turn} {workers}")))
                settings = ScoreSettings(archive, out, max(1, files // 8), workers, engine)
                model = Model(bundle.absolute(), ProviderSettings(threads=1))
                start = time.perf_counter()
                summary = run(settings, Job(archive, out, model), sha256, threading.Event())
                times.append(time.perf_counter() - start)
                assert summary.scans == files  # noqa: S101
                assert not summary.failed  # noqa: S101
    one, two = (statistics.median(times) for times in spent.values())
    print(f"{files} scans of {list(scan.transmission.shape)}, engine {engine}, {cores()} cores")
    print(f"1 worker {one:.1f} s ({1e3 * one / files:.0f} ms a scan), 2 workers {two:.1f} s")
    print(f"efficiency {one / two / 2:.2f} (wished: 0.9), start of the workers included")
    alone, shared = (bare(bundle, files, workers) for workers in spent)
    print(f"the model alone as often: 1 process {alone:.1f} s, 2 processes {shared:.1f} s")
    print(f"efficiency of the machine {alone / shared / 2:.2f}")
    print(f"efficiency of the scoring on it {one * shared / two / alone:.2f}")


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--speed", type=Path, help="a bundle: measure the speed instead")
    parser.add_argument("--engine", choices=("local", "ray"), default="local")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", action="store_true", help="for this script itself")
    words = parser.parse_args()
    if words.serve:
        serve()
        return 0
    if words.speed is not None:
        measure(words.speed, words.files, words.engine, words.rounds)
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
