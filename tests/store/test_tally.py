"""Tests of the counts: each is what its definition says, compared with counting one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nii import taxonomy
from nii.store import tally as counting
from nii.store.statistics import NONE, VERDICTS, Facts, Names
from nii.store.tally import tally

RELEASE, INSPECT, REFER = (VERDICTS.index(v) for v in ("release", "inspect", "refer"))


def facts_of(seed: int, count: int) -> Facts:
    """Return random columns in which everything occurs."""
    rng = np.random.default_rng(seed)
    decisions = rng.integers(0, 4, count)
    verdict = rng.integers(0, 4, (2, count))
    first = np.where(decisions > 0, verdict[0], NONE)
    newest = np.where(decisions > 1, verdict[1], first)
    seconds = np.where((decisions > 0) & (rng.random(count) < 0.8), rng.gamma(2, 20, count), np.nan)
    return Facts(
        inspection=np.arange(count),
        day=rng.integers(738_000, 738_004, count),
        site=rng.integers(-1, 3, count),
        model=rng.integers(0, 2, count),
        urgency=rng.integers(0, 3, count),
        risk=rng.random(count).astype(np.float32),
        classes=rng.integers(0, 64, count).astype(np.uint64),
        decisions=decisions,
        first=first,
        newest=newest,
        officer=np.where(decisions > 0, rng.integers(0, 5, count), NONE),
        blind=rng.random(count) < 0.3,
        seconds=seconds.astype(np.float32),
        outcome=rng.integers(-1, 2, count),
    )


@given(st.integers(0, 2**32), st.integers(0, 60))
def test_each_count_is_what_its_definition_says(seed: int, count: int) -> None:
    """Counted one inspection after the other, in plain words, everything comes out the same."""
    facts = facts_of(seed, count)
    found = tally(facts)
    rows = range(count)
    alarm = [facts.urgency[k] >= 1 for k in rows]
    judged = [facts.first[k] in (RELEASE, INSPECT) for k in rows]
    settled = [facts.newest[k] in (RELEASE, INSPECT) for k in rows]
    agree = [judged[k] and (facts.first[k] == INSPECT) == alarm[k] for k in rows]
    assert found.scans == count
    assert found.alarms == sum(alarm)
    assert found.alarms_judged == sum(alarm[k] and settled[k] for k in rows)
    assert found.alarms_inspected == sum(alarm[k] and facts.newest[k] == INSPECT for k in rows)
    assert found.alarms_examined == sum(alarm[k] and facts.outcome[k] >= 0 for k in rows)
    assert found.alarms_found == sum(alarm[k] and facts.outcome[k] == 1 for k in rows)
    assert found.found == sum(facts.outcome[k] == 1 for k in rows)
    assert found.decided == sum(facts.decisions[k] > 0 for k in rows)
    assert found.first_judged == sum(judged[k] and settled[k] for k in rows)
    assert found.overturned == sum(
        judged[k] and settled[k] and facts.first[k] != facts.newest[k] for k in rows
    )
    assert (found.judged, found.agreed) == (sum(judged), sum(agree))
    assert found.blind_judged == sum(judged[k] and facts.blind[k] for k in rows)
    assert found.blind_agreed == sum(agree[k] and facts.blind[k] for k in rows)


@given(st.integers(0, 2**32), st.integers(1, 60), st.sampled_from([0.5, 0.95]))
def test_percentiles_are_the_smallest_value_that_reaches_the_share(
    seed: int, count: int, share: float
) -> None:
    """At least the share of the times lies at or below the percentile, and less below it."""
    facts = facts_of(seed, count)
    found = tally(facts)
    times = np.sort(facts.seconds[np.isfinite(facts.seconds)])
    value = found.seconds_p50 if share == 0.5 else found.seconds_p95
    assert found.timed == len(times)
    if not len(times):
        assert math.isnan(value)
        return
    assert (times <= value).mean() >= share
    assert (times < value).mean() < share


@pytest.mark.slow
@given(st.integers(0, 2**32), st.integers(0, 80))
def test_groups_add_up(seed: int, count: int) -> None:
    """Each group is the tally of its inspections alone, and all days together are the whole."""
    facts = facts_of(seed, count)
    names = Names({0: "a", 1: "b", 2: "c"}, ("m0", "m1"), ())
    days = counting.by_day(facts)
    assert sum(one.scans for one in days.values()) == count
    for day, one in days.items():
        assert str(one) == str(tally(facts.where(facts.day == day)))
    sites = counting.by_site(facts, names)
    assert sum(one.scans for one in sites.values()) == count
    if (facts.site == NONE).any():
        assert str(sites[""]) == str(tally(facts.where(facts.site == NONE)))
    models = counting.by_model(facts, names)
    assert sum(one.alarms for one in models.values()) == tally(facts).alarms
    officers = counting.by_officer(facts)
    assert sum(one.decided for one in officers.values()) == tally(facts).decided


def test_an_inspection_counts_for_each_of_its_classes() -> None:
    """What highlights two classes counts for both, what highlights none for none."""
    facts = facts_of(1, 3)
    firearm, brick = (taxonomy.by_name(name).class_id for name in ("firearm", "brick"))
    facts.classes[:] = [0, 1 << firearm, (1 << firearm) | (1 << brick)]
    found = counting.by_class(facts)
    assert {name: one.scans for name, one in found.items()} == {"firearm": 2, "brick": 1}
    assert counting.holds(facts, brick).tolist() == [False, False, True]


def test_the_risk_of_a_day_is_a_mean() -> None:
    """The mean of the highest scores, by day."""
    facts = facts_of(2, 50)
    for day, value in counting.risk_by_day(facts).items():
        assert value == pytest.approx(facts.risk[facts.day == day].mean(), rel=1e-6)
    assert counting.risk_by_day(facts_of(2, 0)) == {}
