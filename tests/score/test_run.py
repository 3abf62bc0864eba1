"""Run: resumes, extends, survives kill -9, and gives the same with one process or two."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pyarrow.parquet as pq
import pytest

from nii.errors import ConfigError
from nii.infer.runtime import CPU, ProviderSettings
from nii.score.archive import Place
from nii.score.run import ScoreSettings, run
from nii.score.worker import Job, Model


def test_a_run_goes_on_and_grows(
    bench: ModuleType, tmp_path: Path, fill: Callable[[Path, int], None]
) -> None:
    """A second run does nothing twice, a third adds the new scans, another model is refused."""
    archive, out = tmp_path / "archive", tmp_path / "out"
    fill(archive, 5)
    settings = ScoreSettings(Place(str(archive)), Place(str(out)), 2, 1)
    job = Job(settings.archive, settings.out, bench.Marker)
    stop = threading.Event()
    seen: list[tuple[int, int]] = []
    first = run(settings, job, "a", stop, lambda done, total: seen.append((done, total)))
    assert (first.scans, first.before, first.total) == (5, 0, 5)
    assert seen == [(0, 5), (2, 5), (4, 5), (5, 5)]
    tables = {path: path.read_bytes() for path in (out / "scans").iterdir()}
    assert run(settings, job, "a", stop).before == 5
    assert tables == {path: path.read_bytes() for path in (out / "scans").iterdir()}
    fill(archive, 1)
    assert run(settings, job, "a", stop).scans == 6
    assert sorted(pq.read_table(out / "scans")["name"].to_pylist()) == [
        f"{number:03}.tiff" for number in range(6)
    ]
    with pytest.raises(ConfigError, match="model_sha256"):
        run(settings, job, "b", stop)


@pytest.mark.slow
def test_two_processes_give_the_bytes_of_one(
    shipped: Path, tmp_path: Path, fill: Callable[[Path, int], None]
) -> None:
    """The table does not depend on how many processes wrote it."""
    fill(tmp_path / "archive", 3)
    archive = Place(str(tmp_path / "archive"))
    model = Model(shipped, ProviderSettings((CPU,), threads=1))
    tables = []
    for workers in (1, 2):
        out = Place(str(tmp_path / f"out{workers}"))
        settings = ScoreSettings(archive, out, 2, workers)
        assert run(settings, Job(archive, out, model), "a", threading.Event()).failed == 0
        folder = Path(out.address, "scans")
        tables.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert tables[0] == tables[1]
    assert len(tables[0]) == 2


@pytest.mark.slow
def test_kill_9_loses_and_doubles_nothing(bench: ModuleType, tmp_path: Path) -> None:
    """Each scan is in the table once after kills at random moments, and no half file is left."""
    pytest.importorskip("resource", reason="the script is for POSIX")
    starter = bench.Starter()
    try:
        verdict = bench.kill_often(tmp_path, starter, bench.Plan(files=24, kills=8, longest_s=0.4))
    finally:
        starter.close()
    assert not verdict.faults
    assert verdict.numbers["kills that struck a run"] > 0
    table = next((tmp_path / "out" / "scans").glob("*.parquet"))
    table.write_bytes(table.read_bytes()[:-4])  # and the check can fail
    assert bench.check(tmp_path / "archive", tmp_path / "out", {}).faults


def test_impossible_settings_are_refused(tmp_path: Path) -> None:
    """No shard is empty and no run has no process."""
    place = Place(str(tmp_path))
    for change in ({"shard_scans": 0}, {"workers": 0}):
        with pytest.raises(ValueError, match="workers"):
            ScoreSettings(place, place, **change)  # type: ignore[arg-type]
