"""Tests of what alarms are worth and of reliability diagrams."""

from __future__ import annotations

import numpy as np
import pytest

from nii.evaluate import alarms
from nii.evaluate.intervals import Proportion
from nii.evaluate.metrics import Evidence


def test_ppv_is_bayes(middling: Evidence) -> None:
    """PPV · alarms = π · P_d, alarms stay within the budget, and the least lies below."""
    cases = middling.containers
    rows = alarms.worth_of(cases, len(middling.scans), np.random.default_rng(0), 3)
    assert len(rows) == len(alarms.PREVALENCES) * len(alarms.BUDGETS)
    assert any(row.ppv is not None for row in rows)
    for row in rows:
        assert row.alarms <= row.budget
        if row.ppv is not None:
            assert row.at_least is not None
            assert row.ppv * row.alarms == pytest.approx(row.prevalence * row.p_d)
            assert row.at_least < row.ppv <= 1


def test_no_alarm_among_a_few_is_no_rate(perfect: Evidence) -> None:
    """A perfect detector gets no PPV from a few benign containers, only what it is at least."""
    cases = perfect.containers
    rows = alarms.worth_of(cases, len(perfect.scans), np.random.default_rng(0), 3)
    most = 1 - 0.05 ** (1 / int(cases.benign.sum()))
    for row in rows:
        assert row.ppv is None
        if row.prevalence <= row.budget:
            share = row.prevalence
            assert row.at_least == pytest.approx(share / (share + (1 - share) * most))
        else:
            assert row.at_least is None


def test_rarer_threats_make_alarms_worth_less(middling: Evidence) -> None:
    """At one budget, PPV falls with the prevalence."""
    cases, once = middling.containers, np.ones(len(middling.scans), np.int64)
    values = []
    for prevalence in (0.1, 0.01, 0.001):
        found = alarms.spend(cases, once, prevalence, 0.3)
        assert found is not None
        assert found.benign.value
        value = found.ppv(prevalence, found.benign.value)
        assert value is not None
        values.append(value)
    assert values == sorted(values, reverse=True)


def test_a_budget_below_the_first_alarm_buys_nothing(middling: Evidence) -> None:
    """Where already the highest score costs more than the budget, there is no PPV."""
    cases, once = middling.containers, np.ones(len(middling.scans), np.int64)
    found = alarms.spend(cases, once, 0.5, 1e-9)
    assert found == alarms.Spent(0.0, 0.0, Proportion(0, int(cases.benign.sum())))


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
