"""The feed: a resumed epoch sees the rest of the same batches, and a dead worker is an error."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs torch, which is not installed")

from torch.utils.data import DataLoader, Dataset

from nii.errors import NiiError
from nii.train.config import TrainConfig
from nii.train.device import choose
from nii.train.feed import after, clear_worker_errors, feed
from nii.train.run import Run
from nii.train.together import Group


class _Numbers(Dataset[int]):
    """The numbers 0 to 9; one of them may end the process that asks for it."""

    def __init__(self, deadly: int = -1) -> None:
        self._deadly = deadly

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> int:
        if index == self._deadly:
            os._exit(3)
        return index


def _loader(deadly: int = -1, workers: int = 0) -> DataLoader[int]:
    generator = torch.Generator().manual_seed(5)
    return DataLoader(
        _Numbers(deadly), batch_size=3, shuffle=True, generator=generator, num_workers=workers
    )


@pytest.mark.parametrize("skip", [0, 1, 3, 4])
def test_skipping_gives_the_rest_of_the_same_order(skip: int) -> None:
    """Batches after the skipped ones are those of the whole epoch."""
    whole = [batch.tolist() for batch in after(_loader(), 0)]
    assert [batch.tolist() for batch in after(_loader(), skip)] == whole[skip:]
    assert sorted(number for batch in whole for number in batch) == list(range(10))


def test_processes_share_every_batch() -> None:
    """Each scan of a batch goes to one process; where there are too few, a share is empty."""
    whole = [batch.tolist() for batch in after(_loader(), 0)]
    shares = [
        [batch.tolist() for batch in after(_listing(), 0, Group(rank, 4))] for rank in range(4)
    ]
    for row, batch in enumerate(whole):
        assert sorted(n for share in shares for n in share[row]) == sorted(batch)
    assert all(not batch for batch in shares[3])


def _listing() -> DataLoader[Any]:
    """Return the loader whose batches are lists, also empty ones."""
    made: DataLoader[Any] = _loader()
    made.collate_fn = torch.tensor
    return made


@pytest.mark.slow
def test_a_dead_worker_is_a_clear_error() -> None:
    """The run does not wait for ever, and the message says what to try."""
    raised = pytest.raises(NiiError, match="workers = 0")
    with raised, clear_worker_errors(1), clear_worker_errors(1):
        list(_loader(deadly=0, workers=1))


class _Torn(_Numbers):
    """Numbers that cannot be read."""

    def __getitem__(self, index: int) -> int:
        msg = "the scan is torn"
        raise RuntimeError(msg)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_in_a_scan_keeps_its_own_words(workers: int) -> None:
    """Only the death of a worker is translated."""
    with pytest.raises(RuntimeError, match="torn"), clear_worker_errors(workers):
        list(DataLoader(_Torn(), num_workers=workers))


class _Parents(_Numbers):
    """Asks its own process to end, as a SIGTERM to the whole group does, and lives on."""

    def __getitem__(self, index: int) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        return index


@pytest.mark.slow
def test_workers_leave_requests_to_stop_to_the_training_process() -> None:
    """A signal to all processes stops the run in order instead of killing its workers."""
    loader = DataLoader(_Parents(), batch_size=5, num_workers=1)
    assert [batch.tolist() for batch in after(loader, 0)] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


@pytest.mark.slow
def test_the_feed_ends_at_the_limit(config: TrainConfig) -> None:
    """Two epochs of two batches each are four batches."""
    run = Run(config, choose(config))
    count = 0
    for _, batches_per_epoch in feed(config, run):
        run.advance(batches_per_epoch)
        count += 1
    assert count == 4
