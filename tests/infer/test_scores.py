"""Scores: one scale for all classes, and the order within a class stays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nii.card import ScoreSpec
from nii.infer.scores import DECIMALS, comparable, logit_of

SPEC = ScoreSpec({"firearm": -0.5, "brick": 0.5})
_HEATS = st.lists(st.integers(0, 10**DECIMALS), min_size=1, max_size=40)


def _scores(heats: list[float], name: str, spec: ScoreSpec | None = SPEC) -> list[float]:
    return [
        float(one) for one in comparable(np.asarray(heats, np.float32), [name] * len(heats), spec)
    ]


def test_without_a_scale_the_heat_is_the_score() -> None:
    """So a model of before reports what it always did."""
    assert _scores([0.1, 0.9], "firearm", None) == pytest.approx([0.1, 0.9])


def test_a_shift_is_one_of_the_logit() -> None:
    """A heat of one half of a class shifted by 0.5 becomes 1 / (1 + e^-0.5) = 0.6225."""
    assert _scores([0.5], "brick") == pytest.approx([0.6225])
    assert _scores([0.5], "firearm") == pytest.approx([0.3775])
    assert logit_of(np.asarray([0.5])).tolist() == [0.0]


@given(_HEATS, st.sampled_from(["firearm", "brick"]))
def test_the_order_within_a_class_stays(steps: list[int], name: str) -> None:
    """Whatever the heats, 0 and 1 among them: a higher heat never gets the lower score."""
    heats = np.sort(np.asarray(steps)) / 10**DECIMALS
    scores = np.asarray(_scores(heats.tolist(), name))
    assert (np.diff(scores) >= 0).all()
    assert ((scores >= 0) & (scores <= 1)).all()


def test_classes_change_places() -> None:
    """What was hotter as a firearm can score lower than a brick: that is what the scale is for."""
    scores = comparable(np.asarray([0.7, 0.5], np.float32), ["firearm", "brick"], SPEC)
    assert scores[0] < scores[1]
