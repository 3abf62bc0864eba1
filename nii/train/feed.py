"""The feed of batches: epoch after epoch, from any place in an epoch, with clear errors."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TypeVar

from torch.utils.data import DataLoader

from nii.errors import NiiError
from nii.train.config import TrainConfig
from nii.train.dataset import Batch, Task, training_loader
from nii.train.run import Run, reached_limit

T = TypeVar("T")


def feed(config: TrainConfig, run: Run) -> Generator[tuple[Batch, int]]:
    """Yield batches from the place where `run` is until its limit, with the batches of an epoch.

    The caller counts the batches in `run` (see :meth:`nii.train.run.Run.advance`).

    Raises:
        NiiError: a process that prepares scans died or did not answer.
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
        for batch in guarded(after(loader, run.batch)):
            yield batch, len(loader)


def after(loader: DataLoader[T], skip: int) -> DataLoader[T]:
    """Return a loader of the batches of `loader` without the first `skip`, which are not prepared.

    The order is drawn once, here, so that a resumed epoch and a whole one see the same batches.
    """
    return DataLoader(
        loader.dataset,
        batch_sampler=list(loader.batch_sampler or ())[skip:],
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
    )


def guarded(loader: DataLoader[T]) -> Iterator[T]:
    """Yield the batches of a loader; the death or silence of a worker becomes a clear error.

    Raises:
        NiiError: a process that prepares scans died or did not answer.
    """
    batches = iter(loader)
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except RuntimeError as error:
            if "DataLoader" not in str(error):
                raise
            raise NiiError(
                "workers",
                found=f"one that ended or did not answer ({str(error).splitlines()[0]})",
                expected=f"{loader.num_workers} that deliver scans",
                remedy="Set workers = 0 to see the error itself; often memory is short: take "
                "fewer workers or fewer scans in a batch.",
            ) from error
        yield batch
