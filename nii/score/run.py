"""Run: an archive through a model into a folder of Parquet; go on where the last run ended."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from nii.score import archive, cluster, local
from nii.score.archive import Place
from nii.score.shards import Ledger
from nii.score.worker import Job


@dataclass(frozen=True, slots=True)
class ScoreSettings:
    """Say what is scored, where the tables go, and on how many processes."""

    archive: Place
    """Folder or URL with scans below it."""
    out: Place
    """Folder or URL for the tables; a run that is there goes on."""
    shard_scans: int = 64
    """Scans of one file of the table; what is lost at most, for each process, when it is killed."""
    workers: int | None = None
    """Processes; None takes one for each core that this process may use."""
    engine: Literal["local", "ray"] = "local"
    """Processes of this machine, or of a Ray cluster."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: one is not positive.
        """
        if self.shard_scans < 1 or (self.workers is not None and self.workers < 1):
            msg = f"{self.shard_scans} scans a shard, {self.workers} workers"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run came to.

    Attributes:
        scans: of the archive that are in the table.
        failed: of these, those that could not be inspected.
        before: of these, those that an earlier run did.
        total: scans of the archive.
    """

    scans: int
    failed: int
    before: int
    total: int

    def __str__(self) -> str:
        """Return the summary in words."""
        earlier = f", {self.before} of them before" if self.before else ""
        return f"{self.scans} of {self.total} scans scored{earlier}; {self.failed} failed"


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on Windows and macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(
    settings: ScoreSettings,
    job: Job,
    model_sha256: str,
    stop: threading.Event,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Summary:
    """Score every scan of an archive that is not in the table yet.

    Args:
        settings: what is scored and on how many processes.
        job: the same places, and how the model is opened.
        model_sha256: digest of the bundle; another one cannot go on with this run.
        stop: ends the run after the shards in hand (local engine).
        on_progress: told how many scans of how many are done.

    Raises:
        ConfigError: the folder is in use, or holds another run.
        BundleError, MissingExtraError, ProviderError, ScanFormatError, OSError: what no scan is to
            blame for: model, hardware, archive or folder.
    """
    ledger = Ledger(settings.out)
    with ledger.held():
        ledger.begin({"archive": settings.archive.address, "model_sha256": model_sha256})
        ledger.extend(archive.find(settings.archive), settings.shard_scans)
        done = ledger.done()
        missing = [shard for shard in ledger.plan() if shard.number not in done]
        before = scans = sum(outcome.scans for outcome in done.values())
        failed = sum(outcome.failed for outcome in done.values())
        total = before + sum(len(shard.groups) for shard in missing)
        workers = min(settings.workers or cores(), max(1, len(missing)))
        if settings.engine == "ray":
            outcomes = cluster.work_through(job, missing, workers)
        else:
            outcomes = local.work_through(job, missing, workers, stop)
        on_progress(scans, total)
        for outcome in outcomes:
            scans, failed = scans + outcome.scans, failed + outcome.failed
            on_progress(scans, total)
    return Summary(scans, failed, before, total)
