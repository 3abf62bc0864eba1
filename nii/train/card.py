"""The card of a model that is being trained: what it finds, and from which score."""

from __future__ import annotations

from nii.bundle import Card, Thresholds
from nii.train.config import TrainConfig

NEVER = 2.0
"""Threshold that no score reaches: for classes that the network has a map for but never learnt."""
_LOOK, _SEARCH = 0.3, 0.6


def draft_card(config: TrainConfig, thresholds: Thresholds | None = None) -> Card:
    """Return the card of a run, with thresholds that are an assumption where none are given."""
    return Card(
        name=config.name,
        version="draft",
        threats=config.threats,
        structures=config.structures,
        preprocess=config.preprocess,
        decode=config.decode,
        thresholds=thresholds or assumed_thresholds(config),
        provenance={},
        anomaly=config.model.anomaly,
    )


def assumed_thresholds(config: TrainConfig) -> Thresholds:
    """Return thresholds for a model that was not calibrated; never reached without `detail`."""
    if not config.train.detail:
        return Thresholds(
            look=dict.fromkeys(config.threats, NEVER),
            search=dict.fromkeys(config.threats, NEVER),
            basis="threats were not learnt: no score reaches these thresholds",
        )
    return Thresholds(
        look=dict.fromkeys(config.threats, _LOOK),
        search=dict.fromkeys(config.threats, _SEARCH),
        basis=f"assumption: not calibrated, look {_LOOK}, search {_SEARCH}",
    )
