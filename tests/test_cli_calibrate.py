"""Commands about a site, as a user calls them: calibrate, adapt, and the state of the guarantee."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from nii import cli, formats
from nii.bundle import read_bundle
from nii.evaluate.calibration import PAGE_FILE
from nii.infer.detect import Detector
from nii.infer.promise import PROMISE_FILE

ROOT = Path(__file__).resolve().parents[1]
_COUNT = 10


@pytest.fixture(scope="module")
def tiny() -> ModuleType:
    """Return the module that builds the tiny model and its scans."""
    path = ROOT / "tests" / "infer" / "conftest.py"
    spec = importlib.util.spec_from_file_location("tiny_model_for_calibrate", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bundle(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a real, tiny bundle."""
    made: Path = tiny.tiny_bundle_in(tmp_path_factory.mktemp("models") / "tiny").folder
    return made


@pytest.fixture(scope="module")
def benign(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of benign scans of one machine."""
    folder = tmp_path_factory.mktemp("benign")
    for number in range(_COUNT):
        scan = tiny.tiny_scan((), shift=number)
        noise = np.random.default_rng(number).normal(1, 0.005, scan.transmission.shape)
        noisy = np.asarray(scan.transmission * noise, np.float32)
        scan = replace(scan, transmission=noisy, pixel_pitch_mm=(18.0, 18.0), scanner="lane 1")
        formats.write(scan, folder / f"{number:02}.tiff")
    return folder


@pytest.mark.slow
def test_a_bundle_is_calibrated_and_says_what_cannot_be_promised(
    bundle: Path, benign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten scans prove nothing at 80 %: the new bundle runs, and says how many scans are needed.

    A dry run before writes nothing; a second call goes on from the answers of the first.
    """
    out = tmp_path / "here"
    words = ["calibrate", str(bundle), "--benign", str(benign), "--out", str(out)]
    words += ["--allow-unsigned", "--threats-per-scan", "2"]
    assert cli.main([*words, "--dry-run"]) == 0
    assert "10 scans cannot prove 80 %" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    assert "No promise for firearm" in said
    assert "scans or more are needed for 80 %" in said
    assert "not signed" in said
    work = tmp_path / "here.calibration"
    assert (work / PAGE_FILE).is_file()
    assert len(list(work.glob("0*.json"))) == _COUNT
    spec = Detector.open(out).card.guarantee
    assert spec is not None
    assert not spec.holds
    assert spec.scanner == "lane 1"
    before = read_bundle(out).sha256
    assert cli.main(words) == 0
    assert read_bundle(out).sha256 == before


@pytest.mark.parametrize("command", ["calibrate", "adapt"])
def test_wrong_calls_are_two_and_write_nothing(
    command: str, bundle: Path, benign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Absent scans, and a bundle that would replace itself."""
    if command == "adapt":
        pytest.importorskip("torch", reason="the extra [train] is not installed")
    words = [command, str(bundle), "--allow-unsigned", "--benign"]
    out = tmp_path / "o"
    assert cli.main([*words, str(tmp_path / "absent"), "--out", str(out)]) == 2
    before = read_bundle(bundle).sha256
    assert cli.main([*words, str(benign), "--out", str(bundle)]) == 2
    assert "the bundle itself" in capsys.readouterr().err
    assert read_bundle(bundle).sha256 == before
    assert not out.exists()


def test_a_bundle_without_weights_cannot_be_adapted(
    bundle: Path, benign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Code 1 before any scan is looked at, with what to do."""
    pytest.importorskip("torch", reason="the extra [train] is not installed")
    words = ["adapt", str(bundle), "--benign", str(benign), "--out", str(tmp_path / "o")]
    assert cli.main([*words, "--allow-unsigned"]) == 1
    assert "no weights.npz" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_cleared_scan_must_be_one_of_the_benign(
    bundle: Path, benign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Code 2 and the file's name: a slip must not leave a scan held back unnoticed."""
    pytest.importorskip("torch", reason="the extra [train] is not installed")
    scan = shutil.copy(min(path for path in benign.iterdir() if path.is_file()), tmp_path)
    words = ["adapt", str(bundle), "--benign", str(benign), "--out", str(tmp_path / "o")]
    assert cli.main([*words, "--allow-unsigned", "--cleared", str(scan)]) == 2
    assert f"{scan} is cleared but not among the benign" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_the_state_of_a_guarantee_is_shown_and_reset_by_name_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a state there is an error; a reset without name and reason is refused."""
    assert cli.main(["guarantee", "show", str(tmp_path)]) == 2
    assert PROMISE_FILE in capsys.readouterr().err
    assert cli.main(["guarantee", "reset", str(tmp_path)]) == 2
    assert "--by" in capsys.readouterr().err
