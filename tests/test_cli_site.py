"""The command site: benign scans become a file that inspect ranks containers by."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from nii import cli, formats
from nii.infer.site import LEAST, read_site

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def tiny() -> ModuleType:
    """Return the module that builds the tiny model and its scans."""
    path = ROOT / "tests" / "infer" / "conftest.py"
    spec = importlib.util.spec_from_file_location("tiny_model_for_site", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _write(tiny: ModuleType, folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        scan = tiny.tiny_scan((), shift=number % 8)
        noise = np.random.default_rng(number).normal(1, 0.01, scan.transmission.shape)
        noisy = np.asarray(scan.transmission * noise, np.float32)
        # So wide a pixel makes the container long enough for the score.
        scan = replace(scan, transmission=noisy, pixel_pitch_mm=(18.0, 18.0), scanner="lane 1")
        formats.write(scan, folder / f"{number:02}.tiff")
    return folder


@pytest.mark.slow
def test_a_site_is_learnt_and_ranks_containers(
    tiny: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file holds as many containers as were seen, and inspect --site uses it."""
    bundle = tiny.tiny_bundle_in(tmp_path / "tiny").folder
    scans, site = _write(tiny, tmp_path / "benign", LEAST), tmp_path / "lane1.site"
    own = ["--bundle", str(bundle), "--allow-unsigned"]
    assert cli.main(["site", "learn", str(scans), "--out", str(site), *own]) == 0
    assert f"{LEAST} containers" in capsys.readouterr().out
    assert read_site(site).facts.scanner == "lane 1"
    out = tmp_path / "out"
    words = ["inspect", str(scans / "00.tiff"), "--out", str(out), "--site", str(site), *own]
    assert cli.main(words) == 0
    (path,) = out.glob("*.inspection.json")
    (seen,) = json.loads(path.read_text("utf-8"))["attention"]
    assert 0 <= seen["share"] <= 1


@pytest.mark.slow
def test_too_few_scans_and_none_are_errors(
    tiny: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two scans are no site (code 1), an empty folder is wrong usage (code 2)."""
    bundle = tiny.tiny_bundle_in(tmp_path / "tiny").folder
    own = ["--out", str(tmp_path / "s"), "--bundle", str(bundle), "--allow-unsigned"]
    assert cli.main(["site", "learn", str(_write(tiny, tmp_path / "two", 2)), *own]) == 1
    assert f"expected {LEAST} or more" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert cli.main(["site", "learn", str(tmp_path / "empty"), *own]) == 2
    assert not (tmp_path / "s").exists()
