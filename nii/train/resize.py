"""Weights of one size of a network → weights of another size that computes the same, or nearly so.

A larger network computes at once what the smaller one does: new channels are drawn, but nothing
old reads them, and new residual blocks add nothing (Chen et al. 2016, "Net2Net", with silent
instead of doubled channels). A smaller one keeps the channels that matter most to what reads them,
by the size of the channel times that of the filters over it (Li et al. 2017, "Pruning filters"),
and has to be trained on.

Only the detail branch changes its size; the overview branch is taken as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from nii.config import to_dict
from nii.errors import ConfigError
from nii.provenance import Provenance
from nii.train import checkpoint
from nii.train.checkpoint import Checkpoint
from nii.train.config import TrainConfig
from nii.train.models import build
from nii.train.models.compact import detail_channels

RESIZED = "resized.pt"
_NORM = ("weight", "bias", "running_mean", "running_var")
_LAST_OF_BLOCK = "body.1.0"

State = dict[str, Tensor]


def resized(path: Path, config: TrainConfig, folder: Path) -> Path:
    """Write a checkpoint for the network of `config` from that of another size.

    Args:
        path: checkpoint whose averaged weights are taken.
        config: names the new size; classes are those of the checkpoint.
        folder: gets the checkpoint.

    Returns:
        The new checkpoint, which ``initial`` of a run may name.

    Raises:
        ConfigError: the networks differ in more than the size of their detail branch.
    """
    before = checkpoint.load(path)
    torch.manual_seed(config.seed)
    network = build(config.model, len(config.threats), len(config.structures))
    weights = fitted(before.average, network)
    old, new = before.meta.config.model, config.model
    told = f"width {old.width}, depth {old.depth} made width {new.width}, depth {new.depth}"
    story = Provenance.from_json(before.meta.provenance).with_step(told)
    meta = checkpoint.Meta(config, provenance=story.to_json())
    return checkpoint.save(folder, RESIZED, Checkpoint(weights, weights, {}, {}, meta))


def fitted(old: State, network: nn.Module) -> State:
    """Return weights for a network from those of one of another size.

    Args:
        old: weights by name; tensors of the overview branch have the shapes of `network`.
        network: of the size that is wanted; its own weights are where new ones come from.

    Raises:
        ConfigError: something beside the detail branch differs, or blocks would be dropped.
    """
    new = {name: part.clone() for name, part in network.state_dict().items()}
    ends = detail_channels(network)
    _require_same_kind(old, new, ends)
    kept = _kept(old, new, ends)
    for name, part in old.items():
        if not name.startswith("detail."):
            new[name] = part.clone()
    for conv, (reads, makes) in ends.items():
        norm = _norm_after(conv)
        if f"{conv}.weight" not in old:
            if conv.endswith(_LAST_OF_BLOCK):
                new[f"{norm}.weight"].zero_()
                new[f"{norm}.bias"].zero_()
            continue
        columns, rows = kept.get(reads), kept.get(makes)
        new[f"{conv}.weight"] = _laid(old[f"{conv}.weight"], new[f"{conv}.weight"], rows, columns)
        if not makes:
            new[f"{conv}.bias"] = old[f"{conv}.bias"].clone()
            continue
        for key in (f"{norm}.{part}" for part in _NORM):
            count = len(rows) if rows is not None else len(old[key])
            new[key][:count] = old[key] if rows is None else old[key][rows]
        new[f"{norm}.num_batches_tracked"] = old[f"{norm}.num_batches_tracked"].clone()
    return new


def _laid(old: Tensor, fresh: Tensor, rows: Tensor | None, columns: Tensor | None) -> Tensor:
    """Lay old filters into fresh ones; an old channel reads no new one."""
    taken = old if rows is None else old[rows]
    taken = taken if columns is None else taken[:, columns]
    made = fresh.clone()
    made[: len(taken)] = 0.0
    made[: len(taken), : taken.shape[1]] = taken
    return made


@dataclass(frozen=True, slots=True)
class _Channels:
    """Say where the channels of one name are made and read."""

    makers: list[str]
    readers: list[str]


def _kept(old: State, new: State, ends: dict[str, tuple[str, str]]) -> dict[str, Tensor]:
    """Return by name of channels which of the old ones go into the new network, in order."""
    kept = {}
    for name in {end for pair in ends.values() for end in pair if end}:
        found = _Channels(
            [c for c, (_, makes) in ends.items() if makes == name and f"{c}.weight" in old],
            [c for c, (reads, _) in ends.items() if reads == name and f"{c}.weight" in old],
        )
        if not found.makers:
            continue
        before = len(old[f"{found.makers[0]}.weight"])
        count = min(before, len(new[f"{found.makers[0]}.weight"]))
        kept[name] = _importance(old, found).topk(count).indices.sort().values
        if count == before:
            kept[name] = torch.arange(before)
    return kept


def _importance(old: State, channels: _Channels) -> Tensor:
    """Return how much each channel means to what reads it."""
    size: Tensor = torch.stack(
        [
            old[f"{_norm_after(conv)}.weight"].double() ** 2
            + old[f"{_norm_after(conv)}.bias"].double() ** 2
            for conv in channels.makers
        ]
    ).sum(0)
    read: Tensor = torch.stack(
        [old[f"{conv}.weight"].double().square().sum((0, 2, 3)) for conv in channels.readers]
    ).sum(0)
    return (size * read).sqrt()


def _norm_after(conv: str) -> str:
    parent, _, place = conv.rpartition(".")
    return f"{parent}.{int(place) + 1}" if place.isdigit() else conv


def _require_same_kind(old: State, new: State, ends: dict[str, tuple[str, str]]) -> None:
    dropped = sorted(set(old) - set(new))
    missing = sorted(
        name
        for name, part in new.items()
        if not name.startswith("detail.") and (name not in old or old[name].shape != part.shape)
    )
    heads = sorted(
        f"{conv}.weight"
        for conv, (_, makes) in ends.items()
        if not makes and len(old.get(f"{conv}.weight", ())) != len(new[f"{conv}.weight"])
    )
    if dropped or missing or heads:
        raise ConfigError(
            "model",
            found=f"a network that differs in {(dropped + missing + heads)[0]}",
            expected="one that differs in width, or is deeper, in its detail branch alone",
            remedy="Take the overview_width and the classes of the bundle that training begins "
            "from, and no less depth.",
        )


def same_size(path: Path, config: TrainConfig) -> bool:
    """Return whether a checkpoint holds a network of the size that a configuration names."""
    old = checkpoint.load(path).meta.config.model
    return bool(to_dict(old) == to_dict(config.model))
