"""Checkpoints: whole or not there, harmless to load, and never of another run."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs torch, which is not installed")

from nii.errors import ConfigError
from nii.train import checkpoint
from nii.train.checkpoint import (
    LAST,
    META_FILE,
    Checkpoint,
    Meta,
    load,
    require_same,
    require_same_data,
    save,
)
from nii.train.config import DataConfig, TrainConfig


def test_other_labels_cannot_be_resumed(tmp_path: Path) -> None:
    """A label file with another digest is named; the same one, or none, passes."""
    story = {"sources": [{"name": "a.json", "sha256": "1"}]}
    require_same_data(story, story, tmp_path)
    require_same_data({}, {}, tmp_path)
    other = {"sources": [{"name": "a.json", "sha256": "2"}]}
    with pytest.raises(ConfigError, match=r"a\.json"):
        require_same_data(story, other, tmp_path)


def _checkpoint(config: TrainConfig, step: int = 3) -> Checkpoint:
    weights = {"layer.weight": torch.arange(4.0)}
    meta = Meta(config, step=step, metrics={"ap50": None})
    return Checkpoint(weights, weights, {"state": {}, "param_groups": []}, {}, meta)


def test_what_is_saved_is_loaded(config: TrainConfig, tmp_path: Path) -> None:
    """Tensors and facts come back as they were."""
    save(tmp_path, LAST, _checkpoint(config))
    back = load(tmp_path)
    assert back.meta == Meta(config, step=3, metrics={"ap50": None})
    assert torch.equal(back.average["layer.weight"], torch.arange(4.0))


def test_the_text_beside_it_is_for_people_and_names_no_folder(
    config: TrainConfig, tmp_path: Path
) -> None:
    """meta.json holds step and settings, without paths of this computer."""
    save(tmp_path, LAST, _checkpoint(config))
    text = (tmp_path / META_FILE).read_text("utf-8")
    assert json.loads(text)["step"] == 3
    assert str(tmp_path) not in text


def test_a_failed_write_leaves_the_old_checkpoint(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk is full in the middle, the checkpoint before is still whole."""
    save(tmp_path, LAST, _checkpoint(config, step=1))

    def fail(_: object, stream: object) -> None:
        stream.write(b"half")  # type: ignore[attr-defined]
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save(tmp_path, LAST, _checkpoint(config, step=2))
    assert load(tmp_path).meta.step == 1
    assert {path.name for path in tmp_path.iterdir()} == {LAST, META_FILE}


class _Attack:
    """Would create a file when it is unpickled."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.victim,))


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    """A pickle that would act is refused, and does not act."""
    torch.save({"meta": _Attack(tmp_path / "victim")}, tmp_path / LAST)
    with pytest.raises(ConfigError, match="cannot be loaded"):
        load(tmp_path)
    assert not (tmp_path / "victim").exists()


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_damaged_file_is_named(config: TrainConfig, tmp_path: Path, share: float) -> None:
    """A file that was cut off gives an error that says what to do."""
    path = save(tmp_path, LAST, _checkpoint(config))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ConfigError, match="train again"):
        load(tmp_path)


def test_an_absent_checkpoint_is_named(tmp_path: Path) -> None:
    """The error is about the file, not about Python."""
    with pytest.raises(ConfigError, match="no checkpoint"):
        load(tmp_path)


def test_a_newer_format_is_refused(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that this code does not know is not guessed at."""
    content = _checkpoint(config)
    save(tmp_path, LAST, replace(content, meta=replace(content.meta, format_version=2)))
    with pytest.raises(ConfigError, match="format version 2"):
        load(tmp_path)
    monkeypatch.setattr(checkpoint, "FORMAT_VERSION", 2)
    assert load(tmp_path).meta.step == 3


def test_another_configuration_is_refused_and_the_difference_is_named(config: TrainConfig) -> None:
    """The message names each setting that differs, with both values."""
    other = replace(config, seed=7, train=DataConfig(count=8, seed=0, crop_px=64))
    with pytest.raises(ConfigError, match=r"seed = 7.*train\.count = 8") as caught:
        require_same(other, Meta(config))
    assert "seed = 0" in caught.value.expected


def test_how_long_and_on_what_may_change(config: TrainConfig, tmp_path: Path) -> None:
    """A run may be given more time, another device and another folder."""
    require_same(replace(config, epochs=99, device="auto", out=tmp_path), Meta(config))
