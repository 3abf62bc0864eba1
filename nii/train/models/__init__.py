"""Detector architectures: one file each, listed in :data:`MODELS`.

Every network maps (detail, overview) to five tensors, and to a sixth with `config.anomaly`, as
logits where a probability is meant:

====================  ===========================================================  ==============
``threat_heat``       logits, detail_batch x threats x H/4 x W/4                   centres
``threat_ltrb``       scan pixels >= 0, detail_batch x 4 x H/4 x W/4               box sides
``structure_centre``  logits, overview_batch x structures x H/2 x W/2              middles
``structure_inside``  logits, overview_batch x structures x H/2 x W/2              insides
``structure_ltrb``    overview pixels >= 0, overview_batch x 4 structures x ...    box sides
``anomaly``           logits, detail_batch x 1 x H/4 x W/4                         odd places
====================  ===========================================================  ==============
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

from nii.errors import ConfigError
from nii.train.models import compact

if TYPE_CHECKING:
    from torch import nn

    from nii.train.config import ModelConfig

MODELS: dict[str, ModuleType] = {"compact": compact}


def build(config: ModelConfig, threats: int, structures: int) -> nn.Module:
    """Build the network that `config.kind` names, for so many classes.

    Raises:
        ConfigError: no architecture has that name.
    """
    if config.kind not in MODELS:
        raise ConfigError(
            "model.kind",
            found=repr(config.kind),
            expected=f"one of {sorted(MODELS)}",
            remedy="Choose a listed architecture.",
        )
    network: nn.Module = MODELS[config.kind].build(config, threats, structures)
    return network
