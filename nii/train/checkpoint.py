"""Checkpoints: everything that a run needs to go on, written so that a power cut loses nothing.

One file holds tensors and one JSON text, so that PyTorch loads it with ``weights_only=True``: a
checkpoint from a stranger cannot run code. ``meta.json`` beside it is the same text for people.
"""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from nii.config import from_dict, to_dict
from nii.errors import ConfigError
from nii.train.config import TrainConfig, settings_without_places

FORMAT_VERSION = 1
LAST = "last.pt"
BEST = "best.pt"
META_FILE = "meta.json"

CHANGEABLE = frozenset(
    {
        "amp", "checkpoint_every_minutes", "device", "epochs", "log_every", "max_minutes",
        "max_steps", "name", "out", "patience", "tensorboard", "validate_every",
        "validation_scans", "workers",
    }
)  # fmt: skip
"""Settings that may change when a run is resumed: how long, on what, how often; never what."""


@dataclass(frozen=True, slots=True)
class Meta:
    """Say in JSON types what a checkpoint holds.

    Attributes:
        config: settings of the run.
        epoch: epochs completed.
        batch: batches completed in the epoch that is under way.
        step: steps of the optimiser.
        elapsed_s: seconds of training so far, all parts of the run together.
        best: best selection score of a validation so far; None before the first.
        stale: validations since then.
        metrics: of the latest validation.
        thresholds: suggested by the latest validation.
        provenance: data, code and versions.
        format_version: version of this record.
    """

    config: TrainConfig
    epoch: int = 0
    batch: int = 0
    step: int = 0
    elapsed_s: float = 0.0
    best: float | None = None
    stale: int = 0
    metrics: dict[str, Any] = field(default_factory=dict)
    thresholds: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Hold the state of a run.

    Attributes:
        network: weights being trained.
        average: moving average of the weights, which is what is used.
        optimiser: state of the optimiser.
        rng: states of PyTorch's generators by name.
        meta: what it is.
        scaler: state of the scale of the loss; empty without 16-bit floats.
    """

    network: dict[str, Any]
    average: dict[str, Any]
    optimiser: dict[str, Any]
    rng: dict[str, torch.Tensor]
    meta: Meta
    scaler: dict[str, Any] = field(default_factory=dict)


def save(folder: Path, name: str, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint: the file is either the old one or the new one, never half of it."""
    folder.mkdir(parents=True, exist_ok=True)
    meta = to_dict(checkpoint.meta)
    content = {
        "network": checkpoint.network,
        "average": checkpoint.average,
        "optimiser": checkpoint.optimiser,
        "rng": checkpoint.rng,
        "scaler": checkpoint.scaler,
        "meta": json.dumps(meta),
    }
    path = folder / name
    fresh = path.with_name(f".{name}.{os.getpid()}")
    try:
        with fresh.open("wb") as stream:
            torch.save(content, stream)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    _write_meta(folder, meta | {"config": settings_without_places(checkpoint.meta.config)})
    return path


def load(path: Path, device: torch.device | None = None) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: the file, or the folder of a run (its ``last.pt``).
        device: where the tensors go; the CPU where it is not given.

    Raises:
        ConfigError: there is no checkpoint, it is damaged, or another version wrote it.
    """
    file = path / LAST if path.is_dir() else path
    if not file.is_file():
        raise ConfigError(
            file,
            found="no checkpoint",
            expected="a file that training wrote",
            remedy="Train first, or name the folder of another run.",
        )
    try:
        content = torch.load(file, map_location=device or "cpu", weights_only=True)
        meta = json.loads(content.pop("meta"))
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise ConfigError(
            file,
            found=f"a file that cannot be loaded ({type(error).__name__})",
            expected="a checkpoint that training wrote",
            remedy="Use the other checkpoint of the run, or train again.",
        ) from error
    if meta.get("format_version") != FORMAT_VERSION:
        raise ConfigError(
            file,
            found=f"format version {meta.get('format_version')}",
            expected=f"format version {FORMAT_VERSION}",
            remedy="Use the version of nii that wrote it, or train again.",
        )
    return Checkpoint(**content, meta=from_dict(Meta, meta, where=str(file)))


def chosen(run: Path) -> Path:
    """Return the checkpoint that stands for a run: its best, or the last where none is best.

    Args:
        run: folder of a run, or a checkpoint, which stands for itself.
    """
    if not run.is_dir():
        return run
    return run / (BEST if (run / BEST).is_file() else LAST)


def require_same(config: TrainConfig, meta: Meta) -> None:
    """Check that a checkpoint was made with these settings, but for those in `CHANGEABLE`.

    Raises:
        ConfigError: a setting differs; the message names every one of them.
    """
    before, now = _flat(to_dict(meta.config)), _flat(to_dict(config))
    differing = [
        key
        for key in sorted(before.keys() | now.keys())
        if key.split(".")[0] not in CHANGEABLE and before.get(key) != now.get(key)
    ]
    if differing:
        raise ConfigError(
            config.folder,
            found=", ".join(f"{key} = {now.get(key)!r}" for key in differing),
            expected=", ".join(f"{key} = {before.get(key)!r}" for key in differing)
            + " as in the checkpoint",
            remedy="Use the same settings, or begin a run with another name.",
        )


def require_same_data(before: dict[str, Any], now: dict[str, Any], place: Path) -> None:
    """Check that the label files of a run are still those that it began with.

    Args:
        before: provenance in the checkpoint.
        now: provenance of the run that goes on.
        place: the checkpoint, for the message.

    Raises:
        ConfigError: the digest of a label file differs.
    """
    old, new = (
        {(one["name"], one["sha256"]) for one in story.get("sources", ())}
        for story in (before, now)
    )
    if old != new:
        names = ", ".join(sorted({name for name, _ in old ^ new}))
        raise ConfigError(
            place,
            found=f"labels that are not those of the run: {names}",
            expected="the same files, byte for byte",
            remedy="Put them back, or begin a run with another name.",
        )


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        inner = _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else None
        flat |= {prefix + key: value} if inner is None else inner
    return flat


def _write_meta(folder: Path, meta: dict[str, Any]) -> None:
    fresh = folder / f".{META_FILE}.{os.getpid()}"
    with fresh.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps(meta, indent=2, sort_keys=True) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(folder / META_FILE)
