"""Shards: what counts as done, and what a folder of tables refuses."""

from __future__ import annotations

import uuid
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from nii.errors import ConfigError
from nii.infer.parquet import failed_row
from nii.score.archive import Place
from nii.score.shards import Ledger, Shard

GROUPS = tuple((f"{number:02}.tiff",) for number in range(7))


@pytest.fixture(params=["local", "memory"])
def out(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Return a folder for tables, on disk or in memory."""
    return Place(str(tmp_path / "out") if request.param == "local" else f"memory://{uuid.uuid4()}")


def rows_of(shard: Shard) -> list[dict[str, object]]:
    """Return a row for each scan of a shard."""
    return [failed_row(group[0], group, "made for the test") for group in shard.groups]


def test_plan_holds_each_scan_once_and_grows(out: Place) -> None:
    """Planning again adds what is new, in new shards, and nothing twice."""
    ledger = Ledger(out)
    assert ledger.extend(GROUPS[:4], 3) == 4
    first = list(ledger.plan())
    assert ledger.extend(GROUPS, 3) == 3
    assert ledger.extend(GROUPS, 3) == 0
    shards = list(ledger.plan())
    assert shards[: len(first)] == first
    assert [shard.number for shard in shards] == [0, 1, 2]
    assert sorted(group for shard in shards for group in shard.groups) == sorted(GROUPS)


def test_done_needs_table_and_marker(out: Place) -> None:
    """A shard is done where its marker and a table of the right size are there; else it is not."""
    ledger = Ledger(out)
    ledger.extend(GROUPS, 4)
    shards = list(ledger.plan())
    outcomes = [ledger.finish(shard, rows_of(shard), "CPU") for shard in shards]
    assert ledger.done() == {outcome.number: outcome for outcome in outcomes}
    filesystem, root = out.open()
    table = f"{root}/scans/{shards[0].stem}.parquet"
    filesystem.pipe_file(table, filesystem.cat_file(table)[:-1])
    filesystem.rm(f"{root}/done/{shards[1].stem}.json")
    assert ledger.done() == {}


def test_the_same_rows_are_the_same_bytes(out: Place) -> None:
    """A shard that is done twice leaves what it left the first time."""
    ledger = Ledger(out)
    shard = Shard(0, GROUPS)
    first = ledger.finish(shard, rows_of(shard), "CPU")
    assert ledger.finish(shard, rows_of(shard), "CPU") == first


def test_another_run_is_refused(out: Place) -> None:
    """A folder goes on with the run that it holds, and with no other."""
    Ledger(out).begin({"model_sha256": "a"})
    Ledger(out).begin({"model_sha256": "a"})
    with pytest.raises(ConfigError, match="model_sha256"):
        Ledger(out).begin({"model_sha256": "b"})


@pytest.mark.slow
def test_one_run_at_a_time(tmp_path: Path) -> None:
    """A folder that a run holds refuses the next one, and is free after it."""
    out = Place(str(tmp_path))
    with (
        Ledger(out).held(),
        pytest.raises(ConfigError, match="another nii score"),
        Ledger(out).held(),
    ):
        pass
    with Ledger(out).held():
        pass


def test_half_files_are_swept_and_never_read(tmp_path: Path) -> None:
    """What a kill left is no table, and the next run takes it away."""
    ledger = Ledger(Place(str(tmp_path)))
    shard = Shard(0, GROUPS)
    ledger.finish(shard, rows_of(shard), "CPU")
    half = tmp_path / "scans" / ".shard-000001.parquet-abc"
    half.write_bytes(b"PAR1")
    assert pq.read_table(tmp_path / "scans").num_rows == len(GROUPS)
    with ledger.held():
        assert not half.exists()


def test_any_file_name_survives_the_plan(out: Place) -> None:
    """Names that are no text come back from the plan as they were."""
    group = ("a\udcff \n é 😀.tiff",)
    ledger = Ledger(out)
    ledger.extend([group], 1)
    assert next(ledger.plan()).groups == (group,)
    assert ledger.finish(Shard(0, (group,)), rows_of(Shard(0, (group,))), "CPU").scans == 1
