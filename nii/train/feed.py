"""The feed of batches: epoch after epoch, from any place in an epoch, with clear errors."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TypeVar

from torch.utils.data import DataLoader

from nii.errors import NiiError
from nii.train.config import TrainConfig
from nii.train.dataset import Batch, Task, training_loader
from nii.train.run import Run, reached_limit
from nii.train.together import ALONE, Group

T = TypeVar("T")

_SECOND_NEWS_S = 0.5
"""A broken connection comes up before PyTorch's own error about the same worker; it is awaited."""
_WORKER_ENDED = re.compile(r"DataLoader (worker \(pid|timed out)")


def feed(config: TrainConfig, run: Run, group: Group = ALONE) -> Generator[tuple[Batch, int]]:
    """Yield batches from the place where `run` is until its limit, with the batches of an epoch.

    The caller counts the batches in `run` (see :meth:`nii.train.run.Run.advance`).
    """
    task = Task(config.threats, config.structures, config.preprocess)
    while not reached_limit(config, run):
        loader = training_loader(
            config.train,
            task,
            batch_scans=config.batch_scans,
            workers=config.workers,
            seed=config.seed,
            epoch=run.epoch,
        )
        for batch in after(loader, run.batch, group):
            yield batch, len(loader)


def after(loader: DataLoader[T], skip: int, group: Group = ALONE) -> DataLoader[T]:
    """Return a loader of the batches of `loader` without the first `skip`, which are not prepared.

    The order is drawn once, here, so that a resumed epoch and a whole one see the same batches. Of
    several processes each takes every so-manieth scan of a batch; that may be none.
    """
    whole = list(loader.batch_sampler or ())[skip:]
    return DataLoader(
        loader.dataset,
        batch_sampler=[batch[group.rank :: group.count] for batch in whole],
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        timeout=loader.timeout,
        worker_init_fn=partial(_start_worker, loader.worker_init_fn),
    )


@contextmanager
def clear_worker_errors(workers: int) -> Iterator[None]:
    """Turn the death or silence of a worker into a clear error, wherever it comes up.

    PyTorch tells of a dead worker in the main thread at once, in the middle of whatever runs there,
    so the whole loop belongs inside. It may even tell while this manager is being left; whoever
    cannot bear that puts one into another.

    Raises:
        NiiError: a process that prepares scans died or did not answer.
    """
    try:
        yield
    except (RuntimeError, ConnectionError, EOFError) as error:
        if workers == 0 or not _tells_of_a_worker(error):
            raise
        with suppress(RuntimeError):
            time.sleep(_SECOND_NEWS_S)
        raise NiiError(
            "workers",
            found=f"one that ended or did not answer ({_first_line(error)})",
            expected=f"{workers} that deliver scans",
            remedy="Set workers = 0 to see the error itself; often memory is short: take fewer "
            "workers or fewer scans in a batch. Then resume.",
        ) from error


def _start_worker(first: Callable[[int], None] | None, worker: int) -> None:
    """Prepare a worker; it leaves requests to stop to the process that trains, which ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if first is not None:
        first(worker)


def _tells_of_a_worker(error: Exception) -> bool:
    """Return whether a worker itself failed; an error inside a scan is passed on by PyTorch.

    A worker that ends while its tensors are on the way breaks the connection instead.
    """
    broken = not isinstance(error, RuntimeError) and "Caught" not in str(error)
    return broken or _WORKER_ENDED.search(str(error)) is not None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
