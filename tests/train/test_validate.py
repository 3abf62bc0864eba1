"""Validation: thresholds keep their promise, and a perfect detector is measured as one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="training needs torch, which is not installed")

from torch import nn

from nii import taxonomy
from nii.bundle import ScoreSpec
from nii.detections import Detections
from nii.evaluate.match import JudgedScan, Truth, judge
from nii.evaluate.pixels import PixelTally, pixel_auroc
from nii.train.card import draft_card
from nii.train.config import DataConfig, TrainConfig
from nii.train.device import choose
from nii.train.run import Run
from nii.train.validate import (
    FIELD,
    LOOK_SHARE,
    SEARCH_SHARE,
    _limits,
    measure,
    suggest_scores,
    suggest_thresholds,
    threat_masks,
    validate,
    with_scores,
)

_CONFIG = TrainConfig(
    name="x",
    train=DataConfig(count=1, seed=0),
    validation=DataConfig(count=1, seed=1),
    threats=("firearm", "brick"),
)
_CARD = draft_card(_CONFIG)
_IDS = (*_CARD.structure_ids, *_CARD.threat_ids)


def _found(scores: list[float], class_ids: list[int]) -> Detections:
    boxes = np.asarray([[10 * i, 0, 10 * i + 8, 8] for i in range(len(scores))], np.float32)
    return Detections(
        boxes.reshape(-1, 4), np.asarray(scores, np.float32), np.asarray(class_ids, np.int64)
    )


def _benign(firearm: float, brick: float) -> JudgedScan:
    found = _found([firearm, brick], list(_CARD.threat_ids))
    return judge("benign", found, Truth.of(Detections.empty()), _IDS)


@given(st.integers(1, 300), st.integers(0, 2**31), st.sampled_from([LOOK_SHARE, SEARCH_SHARE]))
def test_thresholds_let_no_more_benign_scans_alarm_than_promised(
    count: int, seed: int, share: float
) -> None:
    """Over all classes together, however the scores lie and however many are equal."""
    tops = np.random.default_rng(seed).choice(np.linspace(0, 1, 40), (count, 3))
    assert (tops >= _limits(tops, share, [0.0] * 3, [0.05] * 3)).any(axis=1).sum() <= share * count


def test_many_benign_scans_use_most_of_the_share() -> None:
    """With 1000 scans nearly 5 % alarm, not far fewer."""
    tops = np.random.default_rng(0).uniform(0.06, 1, (1000, 2))
    alarmed = (tops >= _limits(tops, LOOK_SHARE, [0.9] * 2, [0.05] * 2)).any(axis=1).mean()
    assert alarmed == pytest.approx(0.05, abs=0.004)


def test_a_class_that_is_mistaken_more_often_is_lowered_by_half() -> None:
    """High heats of 0.8 and 0.5: logits 1.386 and 0, so that both move by a quarter of that."""
    judged = [_benign(0.8, 0.5) for _ in range(40)]
    spec = suggest_scores(judged, _CARD, "of x")
    assert spec is not None
    assert spec.shift == pytest.approx({"firearm": -0.3466, "brick": 0.3466}, abs=1e-4)
    assert "40 benign scans of x" in spec.basis
    after = with_scores(judged[0], spec).detections.scores
    assert after.tolist() == pytest.approx([0.7388, 0.5858], abs=1e-4)


@pytest.mark.slow
def test_classes_with_the_same_false_alarms_stay_where_they_are() -> None:
    """Nothing is shifted, and a class that never alarms counts as one at the lowest heat."""
    spec = suggest_scores([_benign(0.6, 0.6) for _ in range(40)], _CARD, "")
    assert spec is not None
    assert spec.shift == {"firearm": 0.0, "brick": 0.0}
    silent = suggest_scores([_benign(0.6, 0.0) for _ in range(40)], _CARD, "")
    lowest = suggest_scores([_benign(0.6, _CARD.decode.min_score)] * 40, _CARD, "")
    assert silent == lowest


def test_assumed_thresholds_are_brought_to_the_scale() -> None:
    """Few scans cannot show 1 %: then none passes, and the assumed heat is the least as a score."""
    spec = ScoreSpec({"firearm": -1.0, "brick": 1.0})
    card = replace(_CARD, scores=spec)
    limits = suggest_thresholds([with_scores(_benign(0.1, 0.1), spec)] * 40, card, "")
    # Search is assumed from 0.6 on, whose logit is 0.405.
    assert limits.search == pytest.approx({"firearm": 0.3556, "brick": 0.8030}, abs=1e-4)


def test_few_benign_scans_make_no_scale() -> None:
    """39 are too few, and scans with threats do not count."""
    guilty = judge("guilty", _found([], []), Truth.of(_found([1.0], [_CARD.threat_ids[0]])), _IDS)
    assert suggest_scores([_benign(0.8, 0.5)] * 39 + [guilty] * 9, _CARD, "") is None


def test_a_scale_leaves_containers_alone() -> None:
    """Only scores of threats are shifted."""
    spec = suggest_scores([_benign(0.8, 0.5) for _ in range(40)], _CARD, "")
    found = judge("x", _found([0.9], [_CARD.structure_ids[0]]), Truth.of(Detections.empty()), _IDS)
    assert with_scores(found, spec).detections.scores.tolist() == pytest.approx([0.9])


def test_thresholds_lie_just_above_the_false_alarms() -> None:
    """With few scans the highest score of each class decides, or the assumption if it is higher."""
    limits = suggest_thresholds([_benign(0.4, 0.0), _benign(0.2, 0.7)], _CARD, "of x")
    assert limits.look == pytest.approx({"firearm": 0.4, "brick": 0.7}, abs=1e-6)
    assert limits.look["firearm"] > np.float32(0.4)
    assert limits.search == pytest.approx({"firearm": 0.6, "brick": 0.7}, abs=1e-6)
    assert "2 benign scans of x" in limits.basis
    assert "too few" in limits.basis


def test_without_a_benign_scan_thresholds_are_an_assumption() -> None:
    """The basis says so; nothing is made up from scans with threats."""
    truth = _found([1.0], [_CARD.threat_ids[0]])
    guilty = judge("guilty", _found([0.9], [_CARD.threat_ids[1]]), Truth.of(truth), _IDS)
    assert "assumption" in suggest_thresholds([guilty], _CARD, "").basis


def test_a_perfect_detector_is_measured_as_one() -> None:
    """AP50 and P_d are 1; a class without truth has none."""
    truth = _found([1.0, 1.0], [_CARD.structure_ids[0], _CARD.threat_ids[0]])
    metrics = measure([judge("a", truth, Truth.of(truth), _IDS)], ("vehicle",), _CARD.threats)
    assert metrics["ap50_structures"] == pytest.approx(1)
    assert metrics["ap50_threats"] == pytest.approx(1)
    assert metrics["p_d_at_1_false_alarm_per_scan"] == 1
    assert metrics["ap50_brick"] is None


@pytest.mark.slow
def test_validation_leaves_the_network_as_it_was(config: TrainConfig) -> None:
    """It counts the scans it may see and puts the network back into training mode."""
    network: nn.Module = Run(config, choose(config)).network
    network.train()
    checked = validate(network, config)
    assert network.training
    assert checked.metrics["scans"] == 4
    assert set(checked.thresholds.look) == set(config.threats)


def test_a_map_that_is_the_truth_ranks_every_threat_cell_first(config: TrainConfig) -> None:
    """The ellipses of threats as map give a pixel AUROC of 1, upside down 0; benign scans none."""
    card = draft_card(config)
    names = ("brick", "container")
    ids = np.asarray([taxonomy.by_name(name).class_id for name in names], np.int64)
    boxes = np.asarray([[40, 20, 80, 60], [8, 8, 120, 90]], np.float32)
    masks = threat_masks(Detections(boxes, np.ones(2, np.float32), ids), (25, 40), card)
    assert len(masks) == 1
    assert int(masks[0].sum()) == pytest.approx(np.pi * 5**2, rel=0.1)
    for scores, expected in ((masks[0], 1.0), (1 - masks[0], 0.0)):
        tally = PixelTally()
        tally.add(scores.astype(np.float32), masks)
        assert pixel_auroc(tally) == pytest.approx(expected, abs=1e-6)
    calm = PixelTally()
    calm.add(np.zeros((25, 40), np.float32), [])
    assert pixel_auroc(calm) is None


@pytest.mark.slow
def test_the_field_figure_chooses_where_it_is_asked_for(config: TrainConfig) -> None:
    """P_d in containers is among the metrics and is what the best checkpoint is chosen by."""
    config = replace(config, select_by="field", validation_scans=4)
    run = Run(config, choose(config))
    found = validate(run.average, config)
    assert found.metrics[FIELD] == found.selection
    assert FIELD not in validate(run.average, replace(config, select_by="ap50")).metrics
