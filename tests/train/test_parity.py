"""Parity: what is equal passes, and every kind of difference is caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from nii.detections import Detections
from nii.infer.decode import OutputMaps
from nii.preprocess import ModelInput
from nii.train.card import draft_card
from nii.train.config import TrainConfig
from nii.train.parity import compare, same_boxes

_SEEN = ModelInput(
    np.zeros((4, 64, 64), np.float32), np.zeros((4, 128, 128), np.float32), 64, 64, 0.5
)


def _maps() -> OutputMaps:
    heat = np.full((2, 16, 16), 0.01, np.float32)
    heat[1, 8, 8] = 0.7
    wide = np.full((2, 64, 64), 0.01, np.float32)
    sides = np.full((8, 64, 64), 9.0, np.float32)
    return OutputMaps(heat, np.full((4, 16, 16), 12, np.float32), wide, wide, sides)


def _heat(maps: OutputMaps) -> OutputMaps:
    return replace(maps, threat_heat=maps.threat_heat + np.float32(0.002))


def _distance(maps: OutputMaps) -> OutputMaps:
    return replace(maps, structure_ltrb=maps.structure_ltrb * np.float32(1.01))


def _number(maps: OutputMaps) -> OutputMaps:
    return replace(maps, threat_ltrb=np.full_like(maps.threat_ltrb, np.nan))


def test_equal_maps_pass(config: TrainConfig) -> None:
    """Rounding in the seventh digit is no difference, and boxes were really compared."""
    near = replace(_maps(), threat_heat=_maps().threat_heat * np.float32(1 + 1e-6))
    parity = compare(lambda _: _maps(), lambda _: near, [_SEEN], draft_card(config))
    assert parity.passed
    assert parity.boxes == ((1, 1),)
    assert parity.to_json()["passed"] is True


@pytest.mark.parametrize("change", [_heat, _distance, _number])
def test_a_difference_is_caught(
    config: TrainConfig, change: Callable[[OutputMaps], OutputMaps]
) -> None:
    """Another probability, another distance, or no number at all."""
    parity = compare(lambda _: _maps(), lambda _: change(_maps()), [_SEEN], draft_card(config))
    assert not parity.passed


def test_no_comparison_is_no_agreement(config: TrainConfig) -> None:
    """Without a scan nothing is proved."""
    assert not compare(lambda _: _maps(), lambda _: _maps(), [], draft_card(config)).passed


def test_boxes_agree_whatever_their_order() -> None:
    """Equal scores may change places; another class, place, score or number may not."""
    boxes = np.asarray([[0, 0, 10, 10], [20, 0, 30, 10]], np.float32)
    scores, ids = np.asarray([0.5, 0.5], np.float32), np.asarray([2, 3])
    found = Detections(boxes, scores, ids)
    assert same_boxes(found, found.select(np.asarray([1, 0])))
    assert not same_boxes(found, replace(found, class_ids=ids[::-1].copy()))
    assert not same_boxes(found, replace(found, boxes_xyxy=boxes + np.float32(1)))
    assert not same_boxes(found, replace(found, scores=scores + np.float32(0.01)))
    assert not same_boxes(found, found.select(np.asarray([0])))
    assert same_boxes(Detections.empty(), Detections.empty())
