"""Weights that training began from, and those it came to → the mean of both.

Training that goes on from a network learns from other scans and forgets a part of what it knew.
The mean of the weights of before and after often does better than either where neither was trained
(Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"), and costs no training.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import Tensor

from nii.errors import ConfigError
from nii.provenance import Provenance
from nii.train import checkpoint

BLENDED = "blended.pt"
_TOLD = "shipped: the mean of the weights before and after the steps told next"

State = dict[str, Tensor]


def blended(first: Path, run: Path, folder: Path) -> Path:
    """Write a checkpoint that holds the mean of the averaged weights of two.

    Args:
        first: checkpoint that the whole training began from, before any of its parts.
        run: folder of the run, or a checkpoint of it.
        folder: gets the checkpoint.

    Returns:
        The new checkpoint. It was not validated yet, and no run can go on in it.

    Raises:
        ConfigError: a checkpoint is missing or damaged, or the networks are of different sizes.
    """
    before, after = checkpoint.load(first), checkpoint.load(checkpoint.chosen(run))
    weights = mean_of(before.average, after.average, first)
    story = Provenance.from_json(after.meta.provenance).with_step(_TOLD)
    meta = replace(after.meta, metrics={}, thresholds={}, provenance=story.to_json())
    made = replace(after, average=weights, network=weights, optimiser={}, rng={}, meta=meta)
    return checkpoint.save(folder, BLENDED, made)


def mean_of(before: State, after: State, place: Path) -> State:
    """Return the mean of two sets of weights; counts are those of the second.

    Raises:
        ConfigError: names or shapes differ.
    """
    if {name: part.shape for name, part in before.items()} != {
        name: part.shape for name, part in after.items()
    }:
        raise ConfigError(
            place,
            found="weights of another network",
            expected="weights of the network that was trained",
            remedy="Blend a run with the checkpoint that it began from.",
        )
    return {
        name: (before[name] + part) / 2 if part.is_floating_point() else part.clone()
        for name, part in after.items()
    }
