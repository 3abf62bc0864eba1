"""Where a model comes from is told completely, and without a word about the computer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import nii

pytest.importorskip("torch", reason="training needs torch, which is not installed")

from nii.provenance import Provenance, sha256_of_bytes
from nii.train.config import DataConfig, TrainConfig
from nii.train.origin import git_commit, resumed, training_provenance


def test_labels_are_named_with_their_digest_and_without_their_folder(
    config: TrainConfig, tmp_path: Path
) -> None:
    """The digest is that of the file; no folder of this computer appears anywhere."""
    labels = tmp_path / "labels.json"
    content = b'{"images": [], "annotations": [], "categories": []}'
    labels.write_bytes(content)
    data = DataConfig(source="coco", annotations=labels, images=tmp_path / "images")
    record = training_provenance(replace(config, train=data))
    assert [(source.name, source.sha256) for source in record.sources] == [
        ("labels.json", sha256_of_bytes(content))
    ]
    assert str(tmp_path) not in json.dumps(record.to_json())
    assert record.settings["simulated"] is False


def test_versions_and_seed_are_told(config: TrainConfig) -> None:
    """The steps name PyTorch, the seed and the data."""
    text = " ".join(training_provenance(config).steps)
    assert training_provenance(config).settings["simulated"] is True
    for word in ("PyTorch", "seed 0", "4 simulated scans", "code:"):
        assert word in text


def test_code_outside_a_checkout_has_no_commit(tmp_path: Path) -> None:
    """A folder that git does not know gives no commit, not that of a folder above."""
    (tmp_path / "__init__.py").touch()
    assert git_commit(tmp_path) is None


def test_code_in_a_checkout_has_a_commit() -> None:
    """Forty hex digits stand first, if this is a checkout at all."""
    commit = git_commit()
    inside = (Path(nii.__file__).parents[1] / ".git").exists()
    assert commit is None or len(commit.split()[0]) == 40
    assert inside or commit is None


def test_a_run_that_goes_on_keeps_what_it_began_with() -> None:
    """Steps of the beginning stay; only what differs is added."""
    began = Provenance(steps=("trained on a set", "code: one")).to_json()
    now = Provenance(steps=("trained on a set", "code: two")).to_json()
    steps = Provenance.from_json(resumed(began, now)).steps
    assert steps == ("trained on a set", "code: one", "resumed with code: two")
    assert resumed(began, began) == began
