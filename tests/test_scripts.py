"""Scripts whose figures go into docs: what they count is counted rightly, and nothing twice."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from nii.errors import ConfigError


@pytest.fixture(scope="module")
def unseen(root: Path) -> ModuleType:
    """Return scripts/unseen_kinds.py as a module."""
    path = root / "scripts" / "unseen_kinds.py"
    spec = importlib.util.spec_from_file_location("unseen_kinds", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["unseen_kinds"] = module
    spec.loader.exec_module(module)
    return module


def test_auroc_is_the_share_of_pairs_in_order(unseen: ModuleType, rng: np.random.Generator) -> None:
    """Sorted counting equals looking at every pair, ties and weights included."""
    threat, clean = rng.integers(2, 9, 40) / 8, rng.integers(0, 7, 40) / 8
    weights = rng.integers(0, 4, 40).astype(np.float64)
    above = np.subtract.outer(threat, clean)
    pairs = np.outer(weights, weights) * ((above > 0) + 0.5 * (above == 0))
    found = unseen.auroc(threat, clean, weights)
    assert found == pytest.approx(pairs.sum() / weights.sum() ** 2)
    assert unseen.auroc(clean + 2, clean, weights) == 1
    assert unseen.auroc(clean, clean, weights) == 0.5
    assert unseen.auroc(threat, clean, np.zeros(40)) is None


def case(unseen: ModuleType, index: int, behind: float, threat: float, clean: float) -> object:
    """Return a case in which the map says so much and the detector knows nothing."""
    scores = [
        {"map_max": value, "map_top": value, "detector": 0.0, "site": None}
        for value in (threat, clean)
    ]
    return unseen.Case("person", index, behind, *scores)


def test_loads_and_missing_scores_are_kept_apart(unseen: ModuleType) -> None:
    """The light row counts light loads only, and a score that nobody has gives no figure."""
    light = [case(unseen, index, 5.0, 0.9, 0.1) for index in range(4)]
    heavy = [case(unseen, 4 + index, 40.0, 0.2, 0.2) for index in range(4)]
    rows = {(row.load, row.score): row for row in unseen.table(light + heavy, 50)}
    assert rows["under 20 g/cm2", "map_top"].auroc == 1
    assert rows["under 20 g/cm2", "map_top"].containers == 4
    whole = rows["all loads", "map_top"]
    assert (whole.containers, whole.auroc) == (8, pytest.approx(56 / 64))
    assert whole.interval.low < whole.auroc < whole.interval.high
    assert rows["all loads", "detector"].auroc == 0.5
    assert rows["all loads", "site"].auroc is None
    assert rows["all loads", "all"].containers == 0
    # The detector, equal everywhere, takes nothing from what the map knows.
    assert rows["under 20 g/cm2", "map+detector"].auroc == 1


def test_a_call_that_was_broken_off_goes_on(
    unseen: ModuleType, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small table is made end to end; made again it looks at no scan twice, and is the same."""
    scene = replace(unseen.BASE.scene, height_px=(300, 301), pitch_mm=(10.0, 14.0))
    monkeypatch.setattr(unseen, "BASE", replace(unseen.BASE, scene=scene))
    words = [str(min((root / "models").glob("*/card.json")).parent), "--folder", str(tmp_path)]
    words += ["--count", "1", "--learnt", "0", "--repeats", "0", "--kinds", "hidden_vehicle"]
    assert unseen.main(words) == 0
    first = (tmp_path / "unseen.json").read_bytes()
    table = json.loads(first)
    assert "hidden_vehicle" not in table["taught"]
    figures = {(row["load"], row["score"]): row for row in table["rows"]}
    assert figures["all loads", "map_top"]["containers"] == 1
    assert figures["all loads", "map_top"]["auroc"] in (0, 0.5, 1)
    assert figures["all loads", "site"]["auroc"] is None
    lines = list(csv.reader((tmp_path / "unseen.csv").read_text("utf-8").splitlines()))
    assert len(lines) == 1 + len(table["rows"])
    monkeypatch.setattr(unseen, "simulate", None)
    assert unseen.main(words) == 0
    assert (tmp_path / "unseen.json").read_bytes() == first
    with pytest.raises(ConfigError, match="Choose another folder"):
        unseen.main([*words, "--learnt", "30"])


def test_twins_show_the_same_container(unseen: ModuleType) -> None:
    """The scan without the threat has the same load: only noise and the speed differ."""
    scene = replace(unseen.BASE.scene, height_px=(300, 301), pitch_mm=(10.0, 14.0))
    clean = unseen.simulate(1, 3, replace(unseen.BASE, scene=scene))
    armed = replace(scene, clean_share=0.0, threat_classes=("currency",))
    threat = unseen.simulate(1, 3, replace(unseen.BASE, scene=armed))
    assert [kind for kind in threat.threat_kinds if kind]
    assert not [kind for kind in clean.threat_kinds if kind]
    assert threat.load_states[: len(clean.load_states)] == clean.load_states
    (mine, *_), (theirs, *_) = unseen.containers(clean), unseen.containers(threat)
    assert mine[1::2] == theirs[1::2]
    assert abs(mine[0] - theirs[0]) < 0.05 * (mine[2] - mine[0])


@pytest.mark.parametrize(("free_gb", "fits"), [(9, False), (11, True)])
def test_a_disk_without_room_is_told_of_before_anything_is_installed(
    root: Path, tmp_path: Path, free_gb: int, *, fits: bool
) -> None:
    """PyTorch with its GPU libraries takes about 10 GB while it is installed; nii does not."""
    names = tmp_path / "bin"
    names.mkdir()
    (names / "df").write_text(
        f"#!/bin/sh\necho head\necho disk 99 99 {free_gb * 1048576 + 1} 1% /\n"
    )
    (names / "df").chmod(0o755)
    for extras, wanted in (("train,test", fits), ("review", True)):
        ran = subprocess.run(  # noqa: S603 - our own script
            ["/bin/bash", "-c", f"source scripts/environment.bash; require_room {extras}"],
            cwd=root,
            env=os.environ | {"PATH": f"{names}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode == 0) is wanted, ran.stderr
        assert wanted or "9 GB are free, 10 GB are needed" in ran.stderr
