"""Tests of what alarms are worth and of reliability diagrams."""

from __future__ import annotations

import numpy as np
import pytest

from nii.evaluate import alarms
from nii.evaluate.metrics import Evidence


def test_ppv_is_bayes(middling: Evidence) -> None:
    """PPV · alarms = π · P_d, and alarms stay within the budget, at every prevalence."""
    cases = middling.containers
    rows = alarms.worth_of(cases, len(middling.scans), np.random.default_rng(0), 3)
    assert len(rows) == len(alarms.PREVALENCES) * len(alarms.BUDGETS)
    for row in rows:
        assert row.alarms <= row.budget
        if row.ppv is not None:
            assert row.ppv * row.alarms == pytest.approx(row.prevalence * row.p_d)
            assert row.ppv <= 1


def test_a_perfect_detector_wastes_nothing(perfect: Evidence) -> None:
    """All alarms of a perfect detector are right; it stops as much as the budget buys."""
    rows = alarms.worth_of(perfect.containers, len(perfect.scans), np.random.default_rng(0), 3)
    affordable = [row for row in rows if row.prevalence <= row.budget]
    assert all(row.ppv == pytest.approx(1) and row.p_d == 1 for row in affordable)
    assert all(row.alarms == pytest.approx(row.prevalence) for row in affordable)
    assert [row.ppv for row in rows if row.prevalence > row.budget] == [None]


def test_rarer_threats_make_alarms_worth_less(middling: Evidence) -> None:
    """At one budget, PPV falls with the prevalence."""
    cases, once = middling.containers, np.ones(len(middling.scans), np.int64)
    values = []
    for prevalence in (0.1, 0.01, 0.001):
        found = alarms.spend(cases, once, prevalence, 0.3)
        assert found is not None
        assert found[2] is not None
        values.append(found[2])
    assert values == sorted(values, reverse=True)


def test_a_budget_below_the_first_alarm_buys_nothing(middling: Evidence) -> None:
    """Where already the highest score costs more than the budget, there is no PPV."""
    cases, once = middling.containers, np.ones(len(middling.scans), np.int64)
    found = alarms.spend(cases, once, 0.5, 1e-9)
    assert found == (0.0, 0.0, None)


def test_without_benign_or_guilty_containers(without_truth: Evidence) -> None:
    """Without containers of both kinds nothing is said."""
    cases = without_truth.containers
    assert alarms.worth_of(cases, len(without_truth.scans), np.random.default_rng(0), 2) == ()


def test_honest_scores_lie_on_the_diagonal(middling: Evidence) -> None:
    """Detections that are right as often as their score says have a small error; liars have not."""
    rng = np.random.default_rng(1)
    table = middling.threats
    score = rng.random(6000)
    scan = rng.integers(table.scans, size=6000)
    honest = (rng.random(6000) < score).astype(np.float64)
    found = alarms.reliability(table, (score, honest), scan, rng, 10)
    assert found is not None
    assert found.ece < 0.03
    assert len(found.bins) == 10
    assert sum(row.right.trials for row in found.bins) == 6000
    for row in found.bins:
        assert row.low <= row.mean_score <= row.high
    liar = alarms.reliability(table, (score, honest * 0), scan, rng, 10)
    assert liar is not None
    assert liar.ece == pytest.approx(float(score.mean()))
    assert alarms.reliability(table, (score[:0], honest[:0]), scan[:0], rng, 2) is None
