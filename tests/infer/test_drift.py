"""Tests of the drift test: its false alarm rate, its power, and its memory."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from nii.errors import ConfigError
from nii.infer import drift
from nii.infer.drift import DriftState


def calm(seed: int = 0, count: int = 200) -> DriftState:
    """Return a test that has just begun, on uniform scores."""
    return drift.begin(np.random.default_rng(seed).random(count).tolist())


def test_no_bet_gains_on_uniform_ranks() -> None:
    """For every capital, the mean over uniform ranks is the capital before."""
    capital = np.asarray([[0.1, 0.5, 3.0], [1.0, 0.0, 0.0]])
    places = (np.arange(2000) + 0.5) / 2000
    after = np.mean([drift.wager(capital, np.full(2, place)) for place in places], axis=0)
    assert after.sum(axis=1) == pytest.approx(capital.sum(axis=1), rel=1e-9)


def test_false_suspensions_are_as_rare_as_stated() -> None:
    """Of 2,000 calm streams of 1,000 scores, no more than ε ever reach 1/ε, at several ε."""
    rng = np.random.default_rng(1)
    capital = np.full((2000, 3), 1 / 3)
    highest = np.ones(2000)
    for _ in range(1000):
        capital = drift.wager(capital, rng.random(2000))
        highest = np.maximum(highest, capital.sum(axis=1))
    for rate in (0.01, 0.05, 0.2):
        limit = 2000 * rate + 3 * math.sqrt(2000 * rate * (1 - rate))
        assert (highest >= 1 / rate).sum() <= limit
    assert (highest >= 5).any()  # the bets do move


def test_ranks_are_uniform_whatever_the_scores() -> None:
    """Ranks of exchangeable scores are uniform, also where most of them are equal."""
    rng = np.random.default_rng(2)
    places = []
    for _ in range(400):
        scores = np.where(rng.random(40) < 0.7, 0.0, rng.random(40))
        pool = sorted(scores[:30].tolist())
        for score in scores[30:].tolist():
            places.append(drift.rank(pool, score, float(rng.random())))
            pool = sorted([*pool, score])
    counts = np.histogram(places, bins=10, range=(0, 1))[0]
    assert ((counts - 400) ** 2 / 400).sum() < 27.9  # chi-square, 9 degrees, 0.1 %
    assert abs(np.corrcoef(places[:-1], places[1:])[0, 1]) < 0.06


@pytest.mark.parametrize(("shift", "word"), [(0.3, "higher"), (-0.3, "lower")])
def test_a_change_is_found(shift: float, word: str) -> None:
    """Scores that rise or fall by a third of their range suspend within 150 scans and say how."""
    rng = np.random.default_rng(3)
    state = drift.observe(calm(), rng.random(100).tolist())
    assert not state.suspended
    assert "holds" in drift.verdict(state)
    state = drift.observe(state, (rng.random(150) + shift).tolist())
    assert state.suspended
    text = drift.verdict(state)
    assert text.startswith("Guarantee suspended")
    assert word in text
    assert "at most 1 %" in text


def test_suspended_stays_suspended() -> None:
    """Good scores after a suspension do not lift it."""
    state = drift.observe(calm(), [2.0] * 60)
    assert state.suspended
    assert drift.observe(state, [0.5] * 500) == state


def test_state_survives_storage() -> None:
    """Storing the state as JSON between any two scores changes nothing."""
    scores = np.random.default_rng(4).random(30).tolist()
    whole = drift.observe(calm(), scores)
    state = calm()
    for score in scores:
        state = drift.observe(state, [score])
        state = DriftState.from_json(json.loads(json.dumps(state.to_json(), allow_nan=False)))
    assert state == whole


def test_nothing_reported_counts_as_zero() -> None:
    """Containers without any detection are lowest, and the state stays storable."""
    state = drift.observe(drift.begin([-math.inf] * 30 + [0.4]), [-math.inf] * 20)
    assert state.seen == (0.0,) * 20
    assert not state.suspended
    json.dumps(state.to_json(), allow_nan=False)


def test_a_run_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the most scores of a run, the test begins anew with the calibration scores."""
    monkeypatch.setattr(drift, "MOST_SCORES", 5)
    state = drift.observe(calm(), [0.5] * 12)
    assert (state.runs, len(state.seen)) == (2, 2)
    assert state.reference == calm().reference


def test_impossible_states_are_refused() -> None:
    """Too few or unordered calibration scores, odd rates and unknown keys are errors."""
    with pytest.raises(ValueError, match="20 are needed"):
        drift.begin([0.5] * 19)
    with pytest.raises(ValueError, match="rise"):
        DriftState(tuple(float(n) for n in range(30, 0, -1)))
    with pytest.raises(ValueError, match="rise"):
        drift.begin([math.nan] * 30)
    with pytest.raises(ValueError, match="rate"):
        drift.begin([0.5] * 30, false_alarm=0.0)
    with pytest.raises(ConfigError, match="unknown key"):
        DriftState.from_json({"reference": [0.5] * 30, "other": 1})
