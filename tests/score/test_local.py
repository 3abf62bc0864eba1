"""Local engine: one process or several give the same, and a scan that kills its process is told."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pyarrow.parquet as pq
import pytest

from nii.infer.anomaly import Found
from nii.infer.detect import Detector
from nii.infer.inspect import Finds
from nii.infer.runtime import CPU, ProviderSettings
from nii.scan import AnyScan
from nii.score import local
from nii.score.archive import Place, find
from nii.score.shards import Ledger, Shard
from nii.score.worker import Job, Model


def test_stop_ends_after_the_shard_in_hand(
    bench: ModuleType, tmp_path: Path, fill: Callable[[Path, int], None]
) -> None:
    """A stop before the second shard leaves one shard done."""
    fill(tmp_path / "archive", 2)
    archive = Place(str(tmp_path / "archive"))
    job, stop = Job(archive, Place(str(tmp_path / "out")), bench.Marker), threading.Event()
    shards = [Shard(number, (group,)) for number, group in enumerate(find(archive))]
    for outcome in local.work_through(job, shards, 1, stop):
        assert outcome.number == 0
        stop.set()


@dataclass(frozen=True)
class Deadly:
    """Open a model that kills its process over one scan."""

    model: Model
    sha256: str

    def __call__(self) -> Finds:
        """Open it."""
        detector = self.model()
        assert isinstance(detector, Detector)
        find_all = detector.examine

        def examine(scan: AnyScan) -> Found:
            if scan.sha256 == self.sha256:
                os._exit(9)
            return find_all(scan)

        detector.examine = examine  # type: ignore[method-assign]
        return detector


@pytest.mark.slow
def test_a_scan_that_kills_its_process_is_one_row(
    shipped: Path,
    tmp_path: Path,
    fill: Callable[[Path, int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The deadly scan has an error, all others are scored, and each is in the table once."""
    fill(tmp_path / "archive", 3)
    archive, out = Place(str(tmp_path / "archive")), Place(str(tmp_path / "out"))
    groups = find(archive)
    from nii import formats

    deadly = formats.read(tmp_path / "archive" / "001.tiff").sha256
    assert deadly is not None
    opener = Deadly(Model(shipped, ProviderSettings((CPU,), threads=1)), deadly)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *sys.path]))
    shards = [Shard(n, groups[2 * n : 2 * n + 2]) for n in range(2)]
    outcomes = list(local.work_through(Job(archive, out, opener), shards, 2, threading.Event()))
    assert sorted(outcome.number for outcome in outcomes) == [0, 1]
    assert set(Ledger(out).done()) == {0, 1}
    table = pq.read_table(tmp_path / "out" / "scans").to_pylist()
    errors = {row["name"]: row["error"] for row in table}
    assert len(table) == len(errors) == 3
    assert [name for name, error in errors.items() if error] == ["001.tiff"]
    assert "ended unasked" in str(errors["001.tiff"])
