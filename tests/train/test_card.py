"""The card of a run says what the network learnt, and nothing else alarms."""

from __future__ import annotations

from dataclasses import replace

from nii.train.card import draft_card
from nii.train.config import TrainConfig


def test_threats_that_were_not_learnt_never_alarm(config: TrainConfig) -> None:
    """Without detail no score from 0 to 1 reaches a threshold."""
    untaught = replace(config, train=replace(config.train, detail=False))
    thresholds = draft_card(untaught).thresholds
    assert min(thresholds.look.values()) > 1


def test_thresholds_that_were_not_measured_are_called_an_assumption(config: TrainConfig) -> None:
    """The basis says so in words."""
    assert "assumption" in draft_card(config).thresholds.basis
