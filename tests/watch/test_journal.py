"""Claims about the journal: one inspection a scan, whole records only, one holder."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nii.errors import ConfigError, NiiError
from nii.exchange.inbox import Sighting
from nii.watch.journal import FILE, Journal, Parcel, Settled

AT = "2026-01-02T12:00:00+00:00"
SETTLED = Settled((Sighting(Path("/in/a.png"), 7, 11),), "file")
PARCEL = Parcel(0, "a" * 64, "{}", b"picture", (Path("/in/a.png"),))


def enter(journal: Journal, parcel: Parcel, sinks: tuple[str, ...] = ("folder",)) -> int | None:
    """Take up a scan and note its inspection."""
    journal.begin(parcel.identity, parcel.paths, AT)
    return journal.inspected(parcel, SETTLED, sinks, AT)


def test_an_inspection_waits_for_each_sink(tmp_path: Path) -> None:
    """Results stay until the last place has them; what was settled is known after reopening."""
    journal = Journal(tmp_path)
    number = enter(journal, PARCEL, ("folder", "http"))
    assert number == 1
    assert journal.waiting("folder") == journal.waiting("http") == (1,)
    assert journal.on_the_way("http") == {PARCEL.identity}
    journal.delivered(1, "folder")
    assert journal.on_the_way("folder") == frozenset()
    assert journal.parcel(1) == replace(PARCEL, number=1)
    journal.close()
    journal.delivered(1, "http")
    assert journal.waiting("http") == ()
    assert journal.on_the_way("http") == frozenset()
    assert journal.counts() == {"inspected": 1}
    assert dict(journal.settled()) == {SETTLED.files[0]: "file"}
    with pytest.raises(TypeError):
        journal.parcel(1)
    journal.close()


def test_the_first_inspection_counts(tmp_path: Path) -> None:
    """A second inspection of the same content is not taken, also from another thread."""
    journal = Journal(tmp_path)
    journal.begin(PARCEL.identity, PARCEL.paths, AT)
    numbers: list[int | None] = []

    def work() -> None:
        numbers.append(journal.inspected(PARCEL, SETTLED, ("folder",), AT))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers, key=str) == [1] + [None] * 7
    journal.close()


def test_attempts_are_remembered(tmp_path: Path) -> None:
    """Each start without an end counts and makes a suspect; a scan that was put back does not."""
    for times in (1, 2):
        journal = Journal(tmp_path)
        assert journal.begin("b" * 64, [Path("/in/ü\udcff")], AT) == times
        journal.close()
    assert journal.suspects() == {Path("/in/ü\udcff")}
    journal.release("b" * 64)
    journal.release("b" * 64)
    journal.release("b" * 64)
    assert journal.suspects() == frozenset()
    assert journal.begin("b" * 64, [], AT) == 1
    journal.close()


def test_one_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second process is refused while the first holds the journal, and not after."""
    monkeypatch.setattr("nii.watch.journal._WAIT_S", 0.05)
    journal = Journal(tmp_path)
    with pytest.raises(ConfigError, match="another process"):
        Journal(tmp_path)
    journal.close()
    Journal(tmp_path).close()


@pytest.mark.slow
def test_a_cut_log_loses_the_newest_only(tmp_path: Path, rng: np.random.Generator) -> None:
    """Cut anywhere, as by a loss of power, the log gives back its oldest records, each whole."""
    journal = Journal(tmp_path / "whole")
    for number in range(12):
        enter(journal, replace(PARCEL, identity=f"{number:064}", picture=os.urandom(9000)))
    shutil.copytree(tmp_path / "whole", tmp_path / "copy")
    journal.close()
    log = (tmp_path / "copy" / f"{FILE}-wal").read_bytes()
    left = []
    for cut in [0, *sorted(rng.integers(1, len(log), 25)), len(log)]:
        (tmp_path / "cut").mkdir()
        shutil.copy(tmp_path / "copy" / FILE, tmp_path / "cut" / FILE)
        (tmp_path / "cut" / f"{FILE}-wal").write_bytes(log[:cut])
        opened = Journal(tmp_path / "cut")
        waiting = opened.waiting("folder")
        assert waiting == tuple(range(1, len(waiting) + 1))
        assert all(len(opened.parcel(number).picture) == 9000 for number in waiting)
        left.append(len(waiting))
        opened.close()
        shutil.rmtree(tmp_path / "cut")
    assert left == sorted(left)
    assert (left[0], left[-1]) == (0, 12)


def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write for which there is no room is an OSError; with room again it goes through."""
    journal = Journal(tmp_path)
    journal.begin(PARCEL.identity, PARCEL.paths, AT)
    journal.close()
    most = (tmp_path / FILE).stat().st_size // 4096 + 1
    opened = Journal._open

    def narrow(self: Journal) -> sqlite3.Connection:
        connection = opened(self)
        connection.execute(f"PRAGMA max_page_count = {most}")
        return connection

    big = replace(PARCEL, picture=b"p" * 100_000)
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_open", narrow)
        with pytest.raises(OSError, match="full"):
            journal.inspected(big, SETTLED, ("folder",), AT)
        assert journal.counts() == {"begun": 1}
        journal.close()
    assert journal.inspected(big, SETTLED, ("folder",), AT) == 1
    journal.close()


def test_a_folder_that_comes_back(tmp_path: Path) -> None:
    """When the folder cannot be opened, it is an OSError; later the journal goes on."""
    journal = Journal(tmp_path / "state")
    journal.close()
    (tmp_path / "state").rename(tmp_path / "away")
    (tmp_path / "state").write_bytes(b"in the way")
    with pytest.raises(OSError, match="state"):
        journal.counts()
    (tmp_path / "state").unlink()
    (tmp_path / "away").rename(tmp_path / "state")
    assert journal.counts() == {}
    journal.close()


def test_damage_and_other_versions_are_told(tmp_path: Path) -> None:
    """What is no journal of this version is refused with a remedy, not replaced."""
    (tmp_path / FILE).write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    with pytest.raises(NiiError, match="recognised by content"):
        Journal(tmp_path)
    (tmp_path / FILE).unlink()
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(NiiError, match="version 99"):
        Journal(tmp_path)
