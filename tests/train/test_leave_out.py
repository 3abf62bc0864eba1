"""Runs without a kind of threat: neither the network nor a scene knows it, and nothing is faked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nii import taxonomy
from nii.errors import ConfigError
from nii.simulate.source import simulate
from nii.train.config import THREATS, DataConfig, TrainConfig, read_config
from nii.train.leave_out import without


@pytest.fixture
def whole(root: Path) -> TrainConfig:
    """Return the settings of the shipped model."""
    return read_config(root / "configs" / "compact_simulated.toml", {})


@pytest.mark.parametrize("kind", THREATS)
def test_a_kind_that_is_left_out_is_neither_taught_nor_shown(whole: TrainConfig, kind: str) -> None:
    """Classes, training scenes and validation scenes lose that kind and keep the other three."""
    left = without(whole, [kind])
    others = tuple(name for name in THREATS if name != kind)
    assert left.threats == others
    for data in (left.train, left.validation):
        assert data.simulate.scene.threat_classes == others
    weights = dict(zip(THREATS, whole.train.threat_weights, strict=True))
    assert left.train.threat_weights == tuple(weights[name] for name in others)
    assert left.folder == Path("runs") / f"compact_simulated_without_{kind}"
    kept = replace(left, name=whole.name, threats=whole.threats, train=whole.train)
    assert replace(kept, validation=whole.validation) == whole


@pytest.mark.slow
def test_scans_of_such_a_run_hold_other_kinds_only(whole: TrainConfig) -> None:
    """What the simulator then draws has threats, and none of that class among them."""
    data = without(whole, ["dense_object", "firearm", "brick"]).train
    scene = replace(data.simulate.scene, height_px=(120, 121), pitch_mm=(20.0, 30.0))
    scene = replace(scene, clean_share=0.0)
    small = replace(data.simulate, scene=scene)
    drawn = [int(row) for index in range(4) for row in simulate(5, index, small).truth.class_ids]
    threats = {taxonomy.classes()[row].name for row in drawn} - {"vehicle", "container"}
    assert threats == {"cigarettes"}


def test_nothing_left_out_is_the_run_itself(whole: TrainConfig) -> None:
    """The option changes nothing where it is not used."""
    assert without(whole, []) == whole


@pytest.mark.parametrize(
    ("kinds", "problem"),
    [(["currency"], "one of firearm"), (list(THREATS), "one is left to teach")],
)
def test_what_cannot_be_left_out_is_told(
    whole: TrainConfig, kinds: list[str], problem: str
) -> None:
    """A kind that is not taught is a slip of the pen; a network of no kind finds nothing."""
    with pytest.raises(ConfigError, match=problem):
        without(whole, kinds)


def test_scenes_of_one_kind_alone_cannot_lose_it(whole: TrainConfig) -> None:
    """A scene needs something to draw from."""
    scene = replace(whole.train.simulate.scene, threat_classes=("brick",))
    data = replace(whole.train, simulate=replace(whole.train.simulate, scene=scene))
    with pytest.raises(ConfigError, match="nothing but brick"):
        without(replace(whole, train=data), ["brick"])


def test_scans_from_files_are_refused(whole: TrainConfig, tmp_path: Path) -> None:
    """A threat in a file stays in its pixels: without its label it would be taught as harmless."""
    files = DataConfig(source="coco", annotations=tmp_path / "labels.json")
    with pytest.raises(ConfigError, match=r"labels\.json"):
        without(replace(whole, train=files), ["brick"])
