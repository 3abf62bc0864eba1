"""Cluster engine: Ray gives the table of the local engine, byte for byte."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from nii.errors import MissingExtraError
from nii.infer.runtime import CPU, ProviderSettings
from nii.score import cluster, local
from nii.score.archive import Place, find
from nii.score.shards import Shard
from nii.score.worker import Job, Model


def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Ray is absent, the error says what to install."""
    monkeypatch.setitem(sys.modules, "ray", None)
    place = Place(str(tmp_path))
    with pytest.raises(MissingExtraError, match="cluster"):
        list(cluster.work_through(Job(place, place, lambda: None), [Shard(0, ())], 1))  # type: ignore[arg-type,return-value]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray warns about the machine, and leaves sockets open
def test_ray_gives_the_same_bytes(
    shipped: Path, tmp_path: Path, fill: Callable[[Path, int], None]
) -> None:
    """Both engines write the same tables for the same scans."""
    if "NII_TEST_RAY" not in os.environ:
        pytest.skip("starts a cluster, which takes a minute: set NII_TEST_RAY=1 to run it")
    pytest.importorskip("ray.data", reason="the extra [cluster] is not installed")
    fill(tmp_path / "archive", 3)
    archive = Place(str(tmp_path / "archive"))
    groups = find(archive)
    shards = [Shard(0, groups[:2]), Shard(1, groups[2:])]
    model = Model(shipped, ProviderSettings((CPU,), threads=1))
    ours, theirs = (Job(archive, Place(str(tmp_path / name)), model) for name in ("a", "b"))
    first = {o.number: o for o in local.work_through(ours, shards, 1, threading.Event())}
    second = {o.number: o for o in cluster.work_through(theirs, shards, 1)}
    assert first == second
    for shard in shards:
        names = [tmp_path / name / "scans" / f"{shard.stem}.parquet" for name in ("a", "b")]
        assert names[0].read_bytes() == names[1].read_bytes()
