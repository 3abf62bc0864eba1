"""The command export: what contradicts itself is wrong usage, before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nii import cli
from nii.bundle import Bundle, read_bundle


def test_a_bundle_has_its_name_and_needs_something_to_do(
    make_bundle: Callable[..., Bundle], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bundle written again without variants or Triton, or under another name, is code 2."""
    bundle, out = make_bundle(tmp_path / "b").folder, tmp_path / "o"
    assert cli.main(["export", str(bundle), str(out)]) == 2
    assert "--quantize or --triton" in capsys.readouterr().err
    words = ["export", str(bundle), str(out), "--quantize", "int8", "--name", "x"]
    assert cli.main(words) == 2
    assert not out.exists()


def test_variants_of_a_bundle_need_calibration_scans(
    make_bundle: Callable[..., Bundle], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bundle does not know any scans: naming none is code 2, and it stays as it was."""
    pytest.importorskip("torch", reason="the extra [train] is not installed")
    bundle = make_bundle(tmp_path / "b")
    words = ["export", str(bundle.folder), str(tmp_path / "o"), "--quantize", "fp16"]
    assert cli.main(words) == 2
    assert "--calibration" in capsys.readouterr().err
    assert read_bundle(bundle.folder).card == bundle.card


def test_the_shipped_bundle_becomes_a_triton_repository(root: Path, tmp_path: Path) -> None:
    """The repository holds the model of the bundle byte for byte, and its configuration."""
    shipped, out = root / "models" / "compact", tmp_path / "triton"
    words = ["export", str(shipped), str(shipped), "--triton", str(out)]
    assert cli.main(words) == 0
    (model,) = out.rglob("model.onnx")
    assert model.read_bytes() == (shipped / "model.onnx").read_bytes()
    assert next(out.rglob("config.pbtxt")).is_file()


def test_an_absent_run_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without a checkpoint is code 2, with the folder in the message."""
    pytest.importorskip("torch", reason="the extra [train] is not installed")
    assert cli.main(["export", str(tmp_path / "absent"), str(tmp_path / "o")]) == 2
    assert "absent" in capsys.readouterr().err
