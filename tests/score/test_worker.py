"""Worker: a shard in, table and marker out, with a real model."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from nii.errors import BundleError
from nii.infer.runtime import CPU, ProviderSettings
from nii.score.archive import Place, find
from nii.score.shards import Ledger, Shard
from nii.score.worker import Job, Model, Worker
from nii.trust import Trust


def test_a_worker_finishes_a_shard(
    shipped: Path, tmp_path: Path, fill: Callable[[Path, int], None]
) -> None:
    """The job crosses a process border as bytes, and the worker writes table and marker."""
    fill(tmp_path / "archive", 2)
    archive, out = Place(str(tmp_path / "archive")), Place(str(tmp_path / "out"))
    job = Job(archive, out, Model(shipped, ProviderSettings((CPU,), threads=1)))
    worker = Worker(pickle.loads(pickle.dumps(job)))  # noqa: S301 - our own bytes
    outcome = worker(Shard(0, find(archive)))
    assert (outcome.scans, outcome.failed, outcome.provider) == (2, 0, CPU)
    assert Ledger(out).done() == {0: outcome}


def test_a_model_asks_for_trust(shipped: Path, tmp_path: Path) -> None:
    """A bundle that nobody vouches for is not opened where rules are given."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in shipped.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "card.md").write_text("altered")
    with pytest.raises(BundleError):
        Model(copy, ProviderSettings((CPU,)), Trust(tmp_path / "trust"))()
