"""Leave kinds of threats out of a run: never shown, never taught, no part of any truth.

A network that was trained so is then shown what it never saw (``scripts/unseen_kinds.py``); one run
for each kind makes the leave-one-kind-out table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nii.errors import ConfigError
from nii.train.config import DataConfig, TrainConfig


def without(config: TrainConfig, kinds: Sequence[str]) -> TrainConfig:
    """Return the same run, in a folder of its own, without some kinds of threats.

    They are gone from the classes of the network and from every scene, those of validation
    included. The pairs and the truth of the anomaly map follow the classes, so that neither shows
    them either.

    Args:
        config: the whole run.
        kinds: names of threat classes that the run would teach.

    Raises:
        ConfigError: a kind is not taught, none would be left, or the scans come from files, where
            a threat without a label would be taught as harmless.
    """
    for kind in kinds:
        if kind not in config.threats:
            raise ConfigError(
                "without",
                found=f"{kind!r}",
                expected=f"one of {', '.join(config.threats)}",
                remedy="Name a kind that this configuration teaches.",
            )
    left = tuple(name for name in config.threats if name not in kinds)
    if not left:
        raise ConfigError(
            "without",
            found=f"all of {', '.join(config.threats)}",
            expected="fewer, so that one is left to teach",
            remedy="Leave out one kind at a time.",
        )
    name = "_".join((config.name, "without", *kinds)) if kinds else config.name
    return replace(
        config,
        name=name,
        threats=left,
        train=_scenes(config.train, kinds, config.threats),
        validation=_scenes(config.validation, kinds, config.threats),
    )


def _scenes(data: DataConfig, kinds: Sequence[str], taught: Sequence[str]) -> DataConfig:
    """Return the same scans, and pairs, without some of the kinds of threats that are taught."""
    if kinds and data.source != "simulate":
        raise ConfigError(
            "without",
            found=f"scans from {data.annotations}",
            expected="simulated scans, which can be made without a kind",
            remedy="Use source = 'simulate', or take the scans with that kind out of the set.",
        )
    scene = data.simulate.scene
    shown = tuple(name for name in scene.threat_classes if name not in kinds)
    if not shown:
        raise ConfigError(
            "without",
            found=f"scenes of nothing but {', '.join(scene.threat_classes)}",
            expected="another kind of threat in them",
            remedy="Add a kind to simulate.scene.threat_classes.",
        )
    changed = replace(data.simulate, scene=replace(scene, threat_classes=shown))
    weights = zip(taught, data.threat_weights, strict=False)  # there may be none
    kept = tuple(weight for name, weight in weights if name not in kinds)
    return replace(data, simulate=changed, threat_weights=kept)
