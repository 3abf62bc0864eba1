"""Cluster engine: shards spread over the machines of a Ray cluster by Ray Data.

Every machine needs nii with the extra [cluster], and reaches archive, output and bundle under the
same names. Without a cluster (variable RAY_ADDRESS) Ray starts one on this machine.

Reference: Ray documentation, Ray Data, `Dataset.map` with a callable class.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

from nii.errors import MissingExtraError
from nii.score.shards import Outcome, Shard
from nii.score.worker import Job, Worker


class _Actor:
    """The worker of the local engine, in the form that Ray Data asks for."""

    def __init__(self, job: Job) -> None:
        self._worker = Worker(job)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        outcome = self._worker(row["shard"])
        return {"outcome": outcome}


def work_through(job: Job, shards: Iterable[Shard], workers: int) -> Iterator[Outcome]:
    """Score shards on a cluster and yield what came of each, in the order in which they are done.

    Args:
        job: what is to be done.
        shards: shards that are not done yet.
        workers: processes, of one core each.

    Raises:
        MissingExtraError: Ray is not installed.
        ray.exceptions.RayError: a worker failed; what is done stays done.
    """
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingExtraError.of("cluster", "the engine ray") from error
    rows = [{"shard": shard} for shard in shards]
    if not rows:
        return
    ours = not ray.is_initialized()
    if ours:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        data = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            _Actor,  # type: ignore[arg-type]  # Ray takes a class, its types do not say so
            fn_constructor_args=(job,),
            concurrency=workers,
            num_cpus=1,
        )
        for row in data.iter_rows():
            yield row["outcome"]
    finally:
        if ours:
            ray.shutdown()
