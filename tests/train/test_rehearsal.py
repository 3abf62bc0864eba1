"""The rehearsal: every part of a run happens once, is timed, and nothing stays behind."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training needs torch, which is not installed")

from nii.errors import NiiError
from nii.train.config import TrainConfig
from nii.train.rehearsal import rehearse
from nii.train.run import Run


@pytest.mark.slow
def test_every_part_runs_once_and_nothing_stays(config: TrainConfig, tmp_path: Path) -> None:
    """Network, data, step, validation, checkpoint and export each have a line with their time."""
    before, told, ticks = sorted(tmp_path.iterdir()), list[str](), itertools.count()
    lines = rehearse(config, told.append, lambda: float(next(ticks)))
    words = ("network", "data", "loss and step", "validation", "checkpoint", "export")
    assert [line.split(":")[0].startswith(word) for line, word in zip(lines, words, strict=True)]
    assert all(line.startswith(word) for line, word in zip(lines, words, strict=True))
    assert all(line.endswith(": 1.00 s") for line in lines)
    assert "4 crops of 64 px, 2 overviews" in lines[1]
    assert told == lines
    assert sorted(tmp_path.iterdir()) == before
    assert not config.folder.exists()


@pytest.mark.slow
def test_what_breaks_is_told_at_once(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss that is no number ends the rehearsal, not the first hour of the run."""
    monkeypatch.setattr(Run, "learn", lambda *_: None)
    with pytest.raises(NiiError, match="not finite"):
        rehearse(replace(config, amp="off"))
