"""Weights in a bundle: what training can go on from, as plain arrays beside the ONNX file.

The averaged weights of the network stand in ``weights.npz`` under their names, and the settings
that the network was built by as JSON. The file is hashed in the card and signed with all others.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nii.bundle import Bundle
from nii.config import from_dict, to_dict
from nii.errors import BundleError, ConfigError
from nii.train import checkpoint
from nii.train.checkpoint import Checkpoint, Meta
from nii.train.config import TrainConfig

_SETTINGS = "settings"
_KEPT = ("name", "threats", "structures", "model", "preprocess", "decode", "optimiser")
"""Settings that decide what the network is; where its scans were is not told."""


def to_bytes(average: dict[str, torch.Tensor], config: TrainConfig) -> bytes:
    """Return the content of the file."""
    every = to_dict(config)
    settings = {key: every[key] for key in _KEPT} | {"simulate": to_dict(config.train.simulate)}
    arrays: dict[str, Any] = {f"w.{key}": part.cpu().numpy() for key, part in average.items()}
    stream = io.BytesIO()
    arrays[_SETTINGS] = np.asarray(json.dumps(settings))
    np.savez(stream, **arrays)
    return stream.getvalue()


def config_of(settings: dict[str, Any]) -> TrainConfig:
    """Return a configuration of the network that trains on simulated scans.

    Raises:
        ConfigError: the settings are of another version.
    """
    simulated = settings.pop("simulate")
    data = {"simulate": simulated, "count": 1000, "crop_px": 256}
    whole = settings | {"train": data | {"seed": 300}, "validation": data | {"seed": 400}}
    return from_dict(TrainConfig, whole, where="weights of the bundle")


def without_weights(bundle: Bundle) -> BundleError:
    """Return the error of a bundle that training cannot go on from."""
    return BundleError(
        bundle.folder,
        found="no weights.npz",
        expected="a bundle that training can go on from",
        remedy="Export its run again with this version of nii, or take a bundle with weights.",
    )


def start(bundle: Bundle, folder: Path) -> tuple[TrainConfig, Path]:
    """Return the settings of a bundle's network, and a checkpoint that training can begin from.

    Args:
        bundle: a bundle with weights.
        folder: gets the checkpoint.

    Raises:
        BundleError: the bundle has no weights, or they are damaged.
    """
    if bundle.weights_path is None:
        raise without_weights(bundle)
    try:
        with np.load(bundle.weights_path, allow_pickle=False) as stored:
            settings = json.loads(str(stored[_SETTINGS]))
            average = {
                name[2:]: torch.from_numpy(stored[name])
                for name in stored.files
                if name != _SETTINGS
            }
        config = config_of(settings)
    except (OSError, ValueError, KeyError, ConfigError, zipfile.BadZipFile) as error:
        raise BundleError(
            bundle.weights_path,
            found=f"weights that cannot be read ({error})",
            expected="what nii export wrote",
            remedy="Copy the bundle again.",
        ) from error
    made = Meta(config, provenance=bundle.card.provenance)
    kept = Checkpoint(average, average, {}, {}, made)
    return config, checkpoint.save(folder, "base.pt", kept)
