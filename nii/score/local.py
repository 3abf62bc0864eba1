"""Local engine: shards spread over processes of this machine.

A process that dies over a scan (for example because memory ran out) takes its pool with it. The
shards that were in hand are then done alone, one process for each, so that a scan that kills its
process is known for sure: it gets a row with the error, and the others go on.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path

from nii.errors import ProviderError
from nii.processes import follow_parent
from nii.score.shards import Outcome, Shard
from nii.score.worker import Job, Worker

_AHEAD = 2
"""Shards that wait for each process, so that none is idle."""
_ENDED = (
    "found a process that ended unasked with this scan in hand; expected a scan that can be read "
    "and inspected. Report this file to the makers of nii; inspect it apart with nii inspect."
)


def work_through(
    job: Job, shards: Iterable[Shard], workers: int, stop: threading.Event
) -> Iterator[Outcome]:
    """Score shards and yield what came of each, in the order in which they are done.

    Args:
        job: what is to be done.
        shards: shards that are not done yet.
        workers: processes; with one, it is this process.
        stop: ends the work after the shards in hand.

    Raises:
        BundleError, MissingExtraError, ProviderError: model or hardware failed.
        OSError: the archive cannot be reached, or the table cannot be written.
    """
    if workers > 1:
        yield from _spread(job, iter(shards), workers, stop)
        return
    worker = Worker(job)
    for shard in shards:
        if stop.is_set():
            return
        yield worker(shard)


def _spread(
    job: Job, shards: Iterator[Shard], workers: int, stop: threading.Event
) -> Iterator[Outcome]:
    broken = True
    while broken:
        in_hand: dict[Future[Outcome], Shard] = {}
        with _pool(job, workers, ahead=True) as pool:
            broken = yield from _until_broken(pool, shards, in_hand, _AHEAD * workers, stop)
        for shard in list(in_hand.values()):
            if not stop.is_set():
                yield _alone(job, shard)


def _until_broken(
    pool: ProcessPoolExecutor,
    shards: Iterator[Shard],
    in_hand: dict[Future[Outcome], Shard],
    most: int,
    stop: threading.Event,
) -> Generator[Outcome, None, bool]:
    """Feed a pool; return whether it broke, with the shards that it had in `in_hand`."""
    broken = False
    while not broken:
        fresh = [] if stop.is_set() else list(islice(shards, most - len(in_hand)))
        for position, shard in enumerate(fresh):
            try:
                in_hand[pool.submit(_score, shard)] = shard
            except BrokenProcessPool:
                in_hand.update({Future(): one for one in fresh[position:]})
                return True
        if not in_hand:
            return False
        for future in wait(in_hand, return_when=FIRST_COMPLETED).done:
            if isinstance(future.exception(), BrokenProcessPool):
                broken = True
                continue
            yield future.result()
            del in_hand[future]
    return True


def _alone(job: Job, shard: Shard) -> Outcome:
    """Do a shard in a process of its own, and leave out scans that end it.

    Raises:
        ProviderError: the process ends before it comes to a scan.
    """
    skipped: dict[int, str] = {}
    with tempfile.TemporaryDirectory(prefix="nii-score-") as name:
        at = Path(name, "at")
        while True:
            try:
                with _pool(job, 1, ahead=False) as pool:
                    return pool.submit(_score, shard, skipped, at).result()
            except BrokenProcessPool as error:
                place = int(at.read_text()) if at.exists() else -1
                if place < 0 or place in skipped:
                    raise _never_began() from error
                skipped[place] = _ENDED


def _pool(job: Job, workers: int, *, ahead: bool) -> ProcessPoolExecutor:
    # A fresh interpreter: a fork would copy locks and threads of libraries in any state.
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, spawn, _start, (job, ahead))


_WORKERS: list[Worker] = []
"""The open worker of a process of a pool; empty in every other process."""


def _start(job: Job, ahead: bool) -> None:  # noqa: FBT001 - positional by the pool's contract
    follow_parent()
    _WORKERS.append(Worker(job, ahead=ahead))


def _score(
    shard: Shard, skipped: Mapping[int, str] | None = None, at: Path | None = None
) -> Outcome:
    def note(place: int) -> None:
        if at is not None:
            at.write_text(str(place))

    return _WORKERS[0](shard, skipped, note)


def _never_began() -> ProviderError:
    return ProviderError(
        "nii score",
        found="a process that ended unasked before it came to a scan",
        expected="processes that live",
        remedy="Use fewer --workers: memory may have run out. See the system's log.",
    )
