"""Tests of P_d, P_fa and the free-response curve."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nii.detections import Detections
from nii.evaluate import curves
from nii.evaluate.curves import ThreatTable
from nii.evaluate.intervals import Proportion
from nii.evaluate.match import JudgedScan, Truth, judge

IDS = tuple(range(6))
THREAT = [[0.0, 0.0, 10.0, 10.0]]
ELSEWHERE = [50.0, 50.0, 60.0, 60.0]


def scan(
    name: str, *, threat: bool, hit: float | None = None, alarms: Sequence[float] = ()
) -> JudgedScan:
    """Return a scan with at most one threat, its best hit and so many false alarms."""
    scores = [*([] if hit is None else [hit]), *alarms]
    boxes = [*([] if hit is None else THREAT), *([ELSEWHERE] * len(alarms))]
    found = Detections(
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.asarray(scores, np.float32),
        np.full(len(scores), 2, np.int64),
    )
    objects = Detections.empty()
    if threat:
        objects = Detections(
            np.asarray(THREAT, np.float32), np.ones(1, np.float32), np.asarray([2], np.int64)
        )
    return judge(name, found, Truth.of(objects), IDS)


def table_of(*scans: JudgedScan) -> ThreatTable:
    """Return the table of some scans."""
    return curves.threat_table(scans)


@pytest.fixture
def hand() -> ThreatTable:
    """Return four threats and four benign scans whose rates can be counted by hand."""
    return table_of(
        scan("a", threat=True, hit=0.9),
        scan("b", threat=True, hit=0.6, alarms=[0.95]),
        scan("c", threat=True, hit=0.3),
        scan("d", threat=True),
        scan("e", threat=False),
        scan("f", threat=False, alarms=[0.5, 0.4]),
        scan("g", threat=False, alarms=[0.2]),
        scan("h", threat=False),
    )


@pytest.mark.parametrize(
    ("rate", "found"),
    [(0.0, 0), (0.124, 0), (0.125, 2), (0.25, 2), (0.375, 3), (0.5, 3), (1.0, 3)],
)
def test_p_d_at_false_alarms_by_hand(hand: ThreatTable, rate: float, found: int) -> None:
    """⌊rate · 8⌋ of the alarms 0.95, 0.5, 0.4, 0.2 are let through; the threats score .9 .6 .3."""
    once = hand.everything_once()
    assert curves.p_d_at_false_alarms(hand, once, rate) == Proportion(found, 4)


@pytest.mark.parametrize(("p_fa", "found"), [(0.0, 2), (0.24, 2), (0.25, 3), (1.0, 3)])
def test_p_d_at_p_fa_by_hand(hand: ThreatTable, p_fa: float, found: int) -> None:
    """Benign scans score 0.5, 0.2 and nothing; false alarms in guilty scans do not enter."""
    once = hand.everything_once()
    assert curves.p_d_at_p_fa(hand, once, p_fa) == Proportion(found, 4)
    assert curves.scan_p_d_at_p_fa(hand, once, p_fa) == Proportion(found, 4)


def test_an_alarm_in_the_wrong_place_does_not_find_the_threat() -> None:
    """A guilty scan whose only alarm lies elsewhere counts as missed."""
    table = table_of(scan("a", threat=True, alarms=[0.9]), scan("b", threat=False))
    assert curves.scan_p_d_above(table, table.everything_once(), 0.0) == Proportion(0, 1)


def test_equal_scores_stand_or_fall_together() -> None:
    """A threat with the very score of the alarm that is one too many is not found."""
    table = table_of(scan("a", threat=True, hit=0.5), scan("b", threat=False, alarms=[0.5]))
    once = table.everything_once()
    assert curves.p_d_at_false_alarms(table, once, 0.4).successes == 0
    assert curves.p_d_at_false_alarms(table, once, 0.5).successes == 1


@pytest.mark.slow
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_curves_rise(seed: int, make_scans: Callable[[int, int], tuple[JudgedScan, ...]]) -> None:
    """Both axes of both curves rise as the threshold falls; P_d never falls with the rate."""
    table = curves.threat_table(make_scans(seed, 15))
    once = table.everything_once()
    for curve in (curves.froc(table), curves.p_d_against_p_fa(table)):
        assert (np.diff(curve.threshold) < 0).all()
        assert (np.diff(curve.x) >= 0).all()
        assert (np.diff(curve.p_d) >= 0).all()
        assert curve.p_d.max(initial=0) <= 1
    rates = np.linspace(0, 2, 40)
    found = [curves.p_d_at_false_alarms(table, once, float(rate)).successes for rate in rates]
    assert found == sorted(found)
    found = [curves.scan_p_d_at_p_fa(table, once, float(p)).successes for p in rates / 2]
    assert found == sorted(found)


@pytest.mark.slow
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000), rate=st.floats(0, 2))
def test_rates_lie_on_their_curve(
    seed: int, rate: float, make_scans: Callable[[int, int], tuple[JudgedScan, ...]]
) -> None:
    """P_d at a rate is the highest point of the FROC curve that does not exceed the rate."""
    table = curves.threat_table(make_scans(seed, 15))
    curve = curves.froc(table)
    allowed = curve.p_d[curve.x <= rate + 1e-12]
    found = curves.p_d_at_false_alarms(table, table.everything_once(), rate).value
    assert found == (pytest.approx(allowed.max(initial=0)) if len(curve.x) else None)


def test_drawing_a_scan_twice_is_having_it_twice(scans: tuple[JudgedScan, ...]) -> None:
    """Every rate of a weighted draw is that of the set in which scans really stand repeated."""
    drawn = np.random.default_rng(5).integers(0, 3, len(scans))
    repeated = [one for one, times in zip(scans, drawn, strict=True) for _ in range(times)]
    table, other = curves.threat_table(scans), curves.threat_table(repeated)
    once = other.everything_once()
    for rate in (0.0, 0.05, 0.2, 1.0):
        for rule in (curves.p_d_at_false_alarms, curves.p_d_at_p_fa, curves.scan_p_d_at_p_fa):
            assert rule(table, drawn, rate) == rule(other, once, rate)
        assert curves.p_fa_above(table, drawn, rate) == curves.p_fa_above(other, once, rate)
        alarms = curves.false_alarms_above(other, once, rate)
        assert curves.false_alarms_above(table, drawn, rate) == alarms


def test_thresholds_of_classes_shift_their_scores() -> None:
    """Relative to the threshold of its class, a score of exactly the threshold counts."""
    table = curves.threat_table([scan("a", threat=True, hit=0.7)], {2: 0.7})
    assert table.found_score.tolist() == [0.0]
    below = float(np.nextafter(0.0, -1.0))
    assert curves.p_d_above(table, table.everything_once(), below) == Proportion(1, 1)


def test_what_cannot_be_counted_is_not_defined() -> None:
    """Without threats there is no P_d, without benign scans no P_fa, without scans nothing."""
    benign, guilty = table_of(scan("a", threat=False)), table_of(scan("a", threat=True, hit=0.5))
    assert curves.p_d_at_false_alarms(benign, benign.everything_once(), 0.1).value is None
    assert len(curves.froc(benign).x) == 0
    assert curves.p_d_at_p_fa(guilty, guilty.everything_once(), 0.05).value is None
    assert curves.p_fa_above(guilty, guilty.everything_once(), 0.0).value is None
    assert len(curves.p_d_against_p_fa(guilty).x) == 0
    nothing = table_of()
    assert curves.false_alarms_above(nothing, nothing.everything_once(), 0.0) is None
    assert curves.strata(nothing) == {}


def test_strata_split_the_threats(scans: tuple[JudgedScan, ...]) -> None:
    """Classes split all threats, and so does the areal density where it is known."""
    table = curves.threat_table(scans)
    strata = curves.strata(table)
    for of_density in (False, True):
        members = [rows for name, rows in strata.items() if name.startswith("behind") is of_density]
        assert np.sum(members, axis=0).tolist() == [1] * len(table.found_score)
    unknown = curves.threat_table([scan("a", threat=True)])
    assert set(curves.strata(unknown)) == {"firearm"}
