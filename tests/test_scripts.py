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

from nii import taxonomy
from nii.bundle import Bundle, read_bundle
from nii.detections import Detections
from nii.errors import ConfigError
from nii.evaluate.calibration import write_with_card
from nii.evaluate.containers import container_table
from nii.evaluate.guarantee import Guarantee, Promise
from nii.evaluate.intervals import Proportion
from nii.evaluate.match import Truth, judge, threat_rows
from nii.evaluate.truth_set import read_truth


def script(root: Path, name: str) -> ModuleType:
    """Return a script as a module."""
    spec = importlib.util.spec_from_file_location(name, root / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def unseen(root: Path) -> ModuleType:
    """Return scripts/unseen_kinds.py as a module."""
    return script(root, "unseen_kinds")


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


@pytest.mark.slow
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


@pytest.mark.slow
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


TINY = """
name = "tiny"
epochs = 400
max_steps = 3
batch_scans = 2
workers = 0
validation_scans = 2
model = { width = 8, depth = 1, overview_width = 8, anomaly = true }

[train]
count = 14
seed = 11
crops_per_scan = 2
crop_px = 64
overview_share = 1.0

[train.simulate.scene]
height_px = [300, 301]
pitch_mm = [10.0, 14.0]
threats = [1, 3]
loads = { empty = 0.5 }

[validation]
count = 8
seed = 21

[validation.simulate.scene]
height_px = [300, 301]
pitch_mm = [10.0, 14.0]
threats = [1, 2]
loads = { empty = 0.5 }
"""


def learns_the_load_anew(release: ModuleType, made: Bundle, words: list[str]) -> None:
    """Check --load-only: an older load state is replaced, a good one is left, the network stays."""
    place = made.folder.parent
    with pytest.raises(SystemExit):
        release.main([*words, "--bundle", "loaded", "--load-only"])
    assert made.card.load is not None
    facts = {name: getattr(made.card.load, name)[:9] for name in ("mean", "scale", "weights")}
    older = replace(made.card, load=replace(made.card.load, filling=None, **facts))
    write_with_card(made, older, place / "older")
    loaded = [*words[:-2], "--load-only", "--folder", "runs"]
    assert (
        release.main([*loaded, "--begin", "older", "--bundle", "loaded", "--version", "1.2"]) == 0
    )
    card = read_bundle(place / "loaded").card
    assert (card.version, card.weights_sha256) == ("1.2", made.card.weights_sha256)
    assert card.load is not None
    assert card.load.weights == made.card.load.weights
    assert card.thresholds == made.card.thresholds
    assert "load state learnt anew on 14 simulated scans" in str(card.provenance)
    before = (place / "made" / "card.json").read_bytes()
    assert release.main([*loaded, "--begin", "made"]) == 0
    assert (place / "made" / "card.json").read_bytes() == before


@pytest.mark.slow
def test_a_release_is_made_in_several_calls_and_begins_the_next(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scans, thresholds, report and bundle; a call that ended goes on, and a wider network too."""
    pytest.importorskip("torch", reason="training needs torch, which is not installed")
    release = script(root, "release_models")
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "tiny.toml"
    config.write_text(TINY, "utf-8")
    words = ["--config", str(config), "--promise", "0", "--workers", "1", "--benign-scans", "40"]
    words += ["--harden-minutes", "0", "--version", "1.0"]
    first = [*words, "--bundle", "made", "--folder", "runs"]
    parts = ("train", "validation", "test", "benign")
    assert release.main([*first, "--call-minutes", "0"]) == 3
    assert not Path("made").exists()
    scans = {path: path.stat().st_mtime_ns for path in Path("runs").glob("t*/scans/*")}
    assert release.main(first) == 0
    assert len(scans) >= 14 + 8
    assert all(path.stat().st_mtime_ns == made for path, made in scans.items())
    made = read_bundle(tmp_path / "made")
    assert made.card.version == "1.0"
    assert "40 benign scans" in made.card.thresholds.basis
    assert made.card.scores is not None
    assert "40 benign scans" in made.card.scores.basis
    assert (tmp_path / "runs" / "report" / "index.html").is_file()
    assert "call again to go on" in capsys.readouterr().out
    learns_the_load_anew(release, made, words)
    assert "nothing was written" in capsys.readouterr().out
    Path("again").mkdir()
    for part in parts:
        Path("again", part).symlink_to(Path("runs", part).resolve())
    config.write_text(TINY.replace("width = 8", "width = 12", 1), "utf-8")
    again = [*words, "--bundle", "wide", "--folder", "again", "--begin", "made"]
    with pytest.raises(SystemExit):
        release.main([*words, "--bundle", "wide", "--blend"])
    assert release.main([*again, "--refine-minutes", "0", "--blend"]) == 0
    assert "the mean of the weights" in str(read_bundle(tmp_path / "wide").card.provenance)
    wide = read_bundle(tmp_path / "wide").model_path.stat().st_size
    assert wide > made.model_path.stat().st_size
    for seed in range(21, 25):
        with pytest.raises(ConfigError, match="which judge the model"):
            release.main([*first, "--seed", str(seed)])


@pytest.mark.slow
def test_a_promise_is_held_against_other_scans(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scans that calibrate do not judge; a second target asks no scan again; counts are right.

    A scan that cannot be read is named, and the others calibrate.
    """
    field, promise = script(root, "field_test"), script(root, "promise_test")
    wanted = field.settings("dual", 26)
    scene = replace(wanted.simulate.scene, height_px=(300, 301), pitch_mm=(10.0, 14.0))
    simulated = replace(wanted.simulate, scene=replace(scene, clean_share=0.7))
    field.write_dataset(tmp_path / "dual", replace(wanted, simulate=simulated))
    words = [str(root / "models" / "compact"), "--folder", str(tmp_path), "--benign", "12"]
    broken = promise.parted(read_truth(tmp_path / "dual"), 12)[0][0].path
    broken.write_bytes(b"no scan")
    assert promise.main(words) == 0
    assert f"failed: {broken}" in capsys.readouterr().out
    facts = json.loads((tmp_path / "promise" / "promise.json").read_text("utf-8"))
    left = facts["without a container seen, or failed"]
    assert (facts["calibrated on"] + left, facts["judged on"]) == (12, 14)
    truth = read_truth(tmp_path / "dual")
    ours, others = promise.parted(truth, 12)
    assert not {one.path for one in ours} & {one.path for one in others}
    rows = {row["what"]: row for row in facts["by"]["0.3"]["rows"]}
    light = sum(
        int((one.behind_g_per_cm2[threat_rows(one.truth.class_ids)] <= 20).sum()) for one in others
    )
    threats = [row["happened"] for what, row in rows.items() if what != "benign containers"]
    assert 0 < sum(of for _, of in threats) <= light  # threats beside all containers do not count
    assert all(0 <= found <= of for found, of in threats)
    assert rows["benign containers"]["promised"] is None  # so few threats prove nothing
    bundle = read_bundle(tmp_path / "promise" / "bundle-0.3")
    assert bundle.card.guarantee is not None
    assert bundle.card.guarantee.scanner == "portal_9_6"
    assert (tmp_path / "promise" / "page-0.3" / "index.html").is_file()
    monkeypatch.setattr(promise.Detector, "examine", None)
    assert promise.main([*words, "--target", "0.3", "0.5"]) == 0
    again = json.loads((tmp_path / "promise" / "promise.json").read_text("utf-8"))
    assert again["by"]["0.3"] == facts["by"]["0.3"]
    with pytest.raises(ConfigError, match="without a threat"):
        promise.parted(truth, 27)


def test_what_happened_is_told_beside_what_was_promised(root: Path) -> None:
    """Own class at its threshold, below the limit of the load, one a scan; containers at any."""
    promise = script(root, "promise_test")
    kinds = [taxonomy.by_name(name).class_id for name in ("firearm", "brick")]
    firearm, brick = kinds
    box = np.asarray([[10, 10, 20, 20]], np.float32)
    hold = np.asarray([[0, 0, 100, 50]], np.float32)
    scans = []
    for kind, score, behind in (
        (firearm, 0.5, 5.0),
        (firearm, 0.4, 5.0),
        (firearm, 0.9, 21.0),
        (brick, 0.9, 19.9),
        (brick, 0.9, 20.0),
        (None, 0.5, 0.0),
        (None, 0.4, 0.0),
    ):
        ids = [taxonomy.by_name("container").class_id, *([] if kind is None else [kind])]
        boxes = np.concatenate([hold, box])[: len(ids)]
        objects = Detections(boxes, np.ones(len(ids), np.float32), np.asarray(ids, np.int64))
        seen = firearm if kind is None else kind
        found = Detections(box, np.asarray([score], np.float32), np.asarray([seen], np.int64))
        depth = np.asarray([np.nan, behind][: len(ids)], np.float32)
        scans.append(judge("scan", found, Truth(objects, depth), (*kinds, ids[0])))
    promises = tuple(
        Promise(name, 0.0, 20.0, at_least, 0.95, 0.5, Proportion(1, 1), "")
        for name, at_least in (("firearm", 0.3), ("brick", None))
    )
    look = {"firearm": 0.5, "brick": 0.95}
    made = Guarantee(look, look, promises, (), Proportion(1, 10), Proportion(0, 10), ())
    rows = promise.table(container_table(scans), made, 20.0)
    told = [(row.what, row.promised, row.happened) for row in rows]
    assert told[:2] == [("firearm", 0.3, (1, 2)), ("brick", None, (0, 1))]
    assert told[2] == ("benign containers", pytest.approx(0.394, abs=1e-3), (1, 2))
    assert promise.line(rows[0]).startswith("firearm: promised 0.300, happened 1 of 2 (0.013")


@pytest.mark.parametrize(
    ("words", "all_of_them"),
    [
        ((), False),
        (("-q", "-x"), False),
        (("--all",), True),
        (("--all", "-q"), True),
        (("tests/test_boxes.py", "-n", "0"), True),
        (("tests/test_boxes.py::test_areas_are_counts_of_pixels",), True),
        (("-m", "real"), True),
        (("-q", "--all"), True),
        (("-k", "docs"), True),
        (("-mslow",), True),
        (("--last-failed",), True),
        (("--basetemp", "docs"), False),
    ],
)
def test_slow_tests_are_left_out_unless_asked_for(
    root: Path, tmp_path: Path, words: tuple[str, ...], *, all_of_them: bool
) -> None:
    """Alone the script leaves slow tests out and says so; --all and what is named run whole."""
    place = tmp_path / "venv" / "bin"
    place.mkdir(parents=True)
    for name in ("python", "chromium", "postgres"):
        (place / name).write_text('#!/bin/sh\nprintf "<%s>" "$@"\necho\n')
        (place / name).chmod(0o755)
    ran = subprocess.run(  # noqa: S603 - our own script
        ["/bin/bash", "scripts/test", *words],
        cwd=root,
        env=os.environ | {"NII_VENV": str(tmp_path / "venv")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("<-m><not slow>" in ran.stdout) is not all_of_them
    assert ("slow tests were left out" in ran.stdout) is not all_of_them
    kept = "".join(f"<{word}>" for word in words if word != "--all")
    assert f"{kept}\n" in ran.stdout
    assert "<--all>" not in ran.stdout


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
