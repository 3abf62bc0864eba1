"""Tests of answers that are kept: one look at each scan, by whichever process, however often."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nii import formats
from nii.bundle import Bundle
from nii.detections import Detections
from nii.errors import ConfigError, ProviderError
from nii.evaluate import kept
from nii.evaluate.kept import Keeper, forget, looked_at
from nii.infer.anomaly import Found
from nii.infer.detect import Detector
from nii.infer.runtime import ProviderSettings
from nii.inspection import ModelFacts, ProviderFacts
from nii.scan import AnyScan

OUTLINES = (
    np.asarray([[1, 1], [9, 1], [9, 8]], np.float32),
    np.zeros((0, 2), np.float32),
    np.asarray([[20, 2], [30, 2], [30, 9], [20, 9]], np.float32),
)


class Counted:
    """Stand in for a detector that says the same of every scan, and counts."""

    provider = ProviderFacts(("CPU",), ("CPU",), ("CPU",), "cpu", None)

    def __init__(self, bundle: Bundle, parts: tuple[str, ...] = ("outlines", "anomaly")) -> None:
        """Keep what is said."""
        self.card = bundle.card
        self.model = ModelFacts(bundle.card.name, bundle.card.version, bundle.sha256)
        self.looks = 0
        boxes = np.asarray([[1, 1, 9, 8], [3, 3, 4.25, 5], [20, 2, 30, 9]], np.float32)
        scores, rows = np.asarray([0.9, 0.3, 0.1], np.float32), np.asarray([0, 2, 1], np.int64)
        found = Detections(boxes, scores, rows, OUTLINES if "outlines" in parts else ())
        grid = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
        self.found = Found(found, {"run": 1.0}, grid if "anomaly" in parts else None)

    def detect(self, _: AnyScan) -> tuple[Detections, dict[str, float]]:
        """Return the detections alone."""
        return self.found.detections, {}

    def examine(self, _: AnyScan) -> Found:
        """Return the same again."""
        self.looks += 1
        return self.found


def assert_same(one: Found, other: Found) -> None:
    """Hold two answers against each other, bit by bit."""
    for name in ("boxes_xyxy", "scores", "class_ids"):
        here, there = getattr(one.detections, name), getattr(other.detections, name)
        assert here.dtype == there.dtype
        np.testing.assert_array_equal(here, there)
    assert len(one.detections.contours) == len(other.detections.contours)
    for here, there in zip(one.detections.contours, other.detections.contours, strict=True):
        np.testing.assert_array_equal(here, there)
    assert (one.anomaly is None) == (other.anomaly is None)
    if one.anomaly is not None and other.anomaly is not None:
        np.testing.assert_array_equal(one.anomaly, other.anomaly)


@pytest.mark.parametrize("parts", [("outlines", "anomaly"), ("outlines",), ("anomaly",), ()])
def test_an_answer_comes_back_as_it_was(
    tmp_path: Path, root: Path, make_bundle: Callable[..., Bundle], parts: tuple[str, ...]
) -> None:
    """Boxes, scores, classes, outlines and map are the same the second time, without a look."""
    detector = Counted(make_bundle(tmp_path / "bundle"), parts)
    keeper = Keeper(detector, tmp_path / "answers")
    keeper.claim()
    path = root / "data/samples/empty_single_energy.png"
    first, second = keeper.ask(path), keeper.ask(path, formats.read(path))
    assert detector.looks == 1
    assert_same(first, second)
    copy = shutil.copyfile(path, tmp_path / "copy.png")
    assert_same(keeper.ask(copy), first)
    assert detector.looks == 1, "the same scan under another name is the same scan"


def test_half_an_answer_is_none(
    tmp_path: Path, root: Path, make_bundle: Callable[..., Bundle]
) -> None:
    """A file that was cut short does not count: the scan is looked at again."""
    detector = Counted(make_bundle(tmp_path / "bundle"))
    keeper = Keeper(detector, tmp_path / "answers")
    keeper.claim()
    path = root / "data/samples/empty_single_energy.png"
    keeper.ask(path)
    (file,) = keeper.folder.glob("*.npz")
    for size in (0, 10, file.stat().st_size // 2):
        file.write_bytes(file.read_bytes()[:size])
        assert_same(keeper.ask(path), detector.found)
    assert detector.looks == 4
    forget(keeper.folder)
    assert not keeper.folder.exists()


def test_answers_of_another_model_are_refused(
    tmp_path: Path, make_bundle: Callable[..., Bundle]
) -> None:
    """A folder that was begun with one model is not gone on with for another."""
    Keeper(Counted(make_bundle(tmp_path / "a")), tmp_path / "answers").claim()
    Keeper(Counted(make_bundle(tmp_path / "a2")), tmp_path / "answers").claim()
    with pytest.raises(ConfigError, match=r"answers of an evaluation .*\(model\)"):
        Keeper(Counted(make_bundle(tmp_path / "b", "1.1")), tmp_path / "answers").claim()


@pytest.mark.slow
def test_processes_find_what_one_finds(tmp_path: Path, root: Path) -> None:
    """Two processes leave the answers that one would give; a damaged scan stops none of them."""
    bundle = root / "models/compact"
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"\x89PNG\r\n\x1a\nno more")
    samples = root / "data/samples"
    paths = [samples / "empty_single_energy.png", damaged, samples / "mixed_load.png"]
    detector = Detector.open(bundle, settings=ProviderSettings(threads=1))
    alone, ahead = (Keeper(detector, tmp_path / name) for name in ("alone", "ahead"))
    alone.claim()
    ahead.claim()
    assert len(list(looked_at(ahead, bundle, paths, 2))) == len(paths)
    assert len(list(ahead.folder.glob("*.npz"))) == 2
    for path in (paths[0], paths[2]):
        assert_same(ahead.ask(path), alone.ask(path))
    names = {file.name for file in alone.folder.iterdir()}
    assert {file.name for file in ahead.folder.iterdir()} == names


@pytest.mark.slow
def test_a_process_that_dies_is_reported(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed process ends the work with a remedy, not with a wait for ever."""
    keeper = Keeper(
        Detector.open(root / "models/compact", settings=ProviderSettings(threads=1)), tmp_path
    )
    monkeypatch.setattr(kept, "_look", _die)
    paths = [root / "data/samples/empty_single_energy.png"] * 3
    with pytest.raises(ProviderError, match="Run the command again"):
        list(looked_at(keeper, root / "models/compact", paths, 2))
    with pytest.raises(ConfigError, match="1 or more"):
        list(looked_at(keeper, root / "models/compact", paths, 0))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no /proc")
def test_processes_end_with_a_killed_parent(
    tmp_path: Path, root: Path, is_alive: Callable[[int], bool]
) -> None:
    """After kill -9 of the command none of its processes stays behind."""
    command = [sys.executable, "-m", "nii.cli", "evaluate", "models/compact"]
    command += [str(root / "data/samples/labels.json"), "--out", str(tmp_path), "--workers", "2"]
    quiet = subprocess.DEVNULL
    running = subprocess.Popen(command, cwd=root, stdout=quiet, stderr=quiet)  # noqa: S603
    tasks = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    until = time.monotonic() + 120
    while not list(tmp_path.glob("answers/*.npz")) and time.monotonic() < until:
        assert running.poll() is None
        time.sleep(0.01)
    children = [int(word) for word in tasks.read_text("utf-8").split()]
    assert children
    running.kill()
    running.wait()
    while any(is_alive(child) for child in children) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(is_alive(child) for child in children)


def _die(_: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_killed_evaluation_goes_on(tmp_path: Path, root: Path) -> None:
    """After kill -9 the answers that were there are not asked for again, and then they go."""
    samples = str(root / "data/samples/labels.json")
    command = [sys.executable, "-m", "nii.cli", "evaluate", "models/compact", samples]
    command += ["--out", str(tmp_path / "out")]
    quiet = subprocess.DEVNULL
    running = subprocess.Popen(command, cwd=root, stdout=quiet, stderr=quiet)  # noqa: S603
    answers = tmp_path / "out/answers"
    until = time.monotonic() + 120
    while len(list(answers.glob("*.npz"))) < 2 and time.monotonic() < until:
        assert running.poll() is None
        time.sleep(0.01)
    running.kill()
    running.wait()
    early = {file: file.stat().st_mtime_ns for file in answers.glob("*.npz")}
    assert len(early) >= 2
    assert not (tmp_path / "out/metrics.json").exists()
    for file in early:  # what is not asked again shows in the result
        content = dict(np.load(io.BytesIO(file.read_bytes())))
        content["scores"] = np.zeros_like(content["scores"])
        np.savez(file, **content)
    command += ["--workers", "2"]
    subprocess.run(command, check=True, cwd=root, capture_output=True)  # noqa: S603
    assert not answers.exists()
    rows = (tmp_path / "out/detections.json").read_text("utf-8")
    assert '"score": 0.0' in rows
