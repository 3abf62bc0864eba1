"""Tests of the numbers: who sees what, what is certain, and what a spreadsheet gets."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from nii import taxonomy
from nii.evaluate.intervals import clopper_pearson
from nii.review import numbers
from nii.review.numbers import Viewer, Wanted, measure
from nii.store import tally
from nii.store.statistics import NONE, VERDICTS, Columns, Facts, Names

DAY = date(2026, 1, 5)
ALL = Viewer(1, None, all_officers=True)
WANTED = Wanted(DAY, DAY + timedelta(days=29))
INSPECT, RELEASE = VERDICTS.index("inspect"), VERDICTS.index("release")
NAMES = Names(
    {1: "north", 2: "south"}, ("a" * 64, "b" * 64), ((7, "Aida"), (8, "=Bek"), (None, "C"))
)


class Given(Columns):
    """Columns that were made up, instead of read from a store."""

    def __init__(self, facts: Facts) -> None:
        """Hold the facts."""
        self.facts = facts

    def between(self, first: date, last: date) -> tuple[Facts, Names]:
        """Return the facts of these days."""
        days = (self.facts.day >= first.toordinal()) & (self.facts.day <= last.toordinal())
        return self.facts.where(days), NAMES


def made_up(count: int = 3000, seed: int = 3) -> Facts:
    """Return thirty days of two sites, two models, three officers."""
    rng = np.random.default_rng(seed)
    urgency = rng.choice([0, 1, 2], count, p=[0.8, 0.15, 0.05])
    decided = (urgency > 0) | (rng.random(count) < 0.1)
    first = np.where(decided, rng.choice([INSPECT, RELEASE], count), NONE)
    firearm = np.uint64(1) << np.uint64(taxonomy.by_name("firearm").class_id)
    return Facts(
        inspection=np.arange(1, count + 1),
        day=np.sort(DAY.toordinal() + rng.integers(0, 30, count)),
        site=rng.integers(1, 3, count),
        model=rng.integers(0, 2, count),
        urgency=urgency,
        risk=np.where(urgency > 0, rng.random(count), 0).astype(np.float32),
        classes=np.where(urgency == 2, firearm, np.uint64(0)).astype(np.uint64),
        decisions=decided.astype(np.int64),
        first=first,
        newest=first,
        officer=np.where(decided, rng.integers(0, 3, count), NONE),
        blind=rng.random(count) < 0.2,
        seconds=np.where(decided, rng.gamma(2, 20, count), np.nan).astype(np.float32),
        outcome=np.where(urgency == 2, rng.integers(0, 2, count), NONE),
    )


FACTS = made_up()


def test_the_total_is_the_tally_of_everything() -> None:
    """Who sees all gets the counts of all inspections of these days."""
    found = measure(Given(FACTS), ALL, WANTED)
    assert found.total.counts == tally.tally(FACTS)
    for name in ("site", "model", "day"):
        assert sum(line.counts.scans for line in found.groups[name]) == len(FACTS)


def test_sites_that_are_not_seen_are_not_counted() -> None:
    """Somebody of one site gets numbers of this site alone, in every part."""
    found = measure(Given(FACTS), replace(ALL, sites=(2,)), WANTED)
    own = FACTS.where(FACTS.site == 2)
    assert found.total.counts == tally.tally(own)
    assert [line.key for line in found.groups["site"]] == ["south"]
    assert found.alarm_rate.values.sum() == pytest.approx(
        sum(one.alarms / one.scans for one in tally.by_day(own).values())
    )
    assert measure(Given(FACTS), replace(ALL, sites=()), WANTED).total.counts.scans == 0


def test_officers_see_their_own_row() -> None:
    """An officer's page shows no other officer one by one, and the totals of the site."""
    found = measure(Given(FACTS), Viewer(8, None, all_officers=False), WANTED)
    assert [found.officers[line.key] for line in found.groups["officer"]] == ["=Bek"]
    assert found.total.counts.scans == len(FACTS)
    stranger = measure(Given(FACTS), Viewer(99, None, all_officers=False), WANTED)
    assert stranger.groups["officer"] == ()


def test_filters_choose_inspections() -> None:
    """Site, class and model choose exactly the inspections that have them."""
    for wanted, chosen in (
        (replace(WANTED, site=1), FACTS.site == 1),
        (replace(WANTED, class_name="firearm"), FACTS.urgency == 2),
        (replace(WANTED, model="b" * 64), FACTS.model == 1),
        (replace(WANTED, model="c" * 64), FACTS.model == 9),
        (replace(WANTED, last=DAY), FACTS.day == DAY.toordinal()),
    ):
        found = measure(Given(FACTS), ALL, wanted)
        assert found.total.counts.scans == chosen.sum()


def test_shares_have_exact_intervals() -> None:
    """Value and limits are those of Clopper and Pearson; without trials there is nothing."""
    found = measure(Given(FACTS), ALL, WANTED)
    share = found.total.shares["examination_precision"]
    interval = clopper_pearson(share.successes, share.trials)
    assert interval is not None
    assert (share.low, share.high) == (interval.low, interval.high)
    assert share.value == share.successes / share.trials
    nothing = measure(Given(FACTS.where(FACTS.day < 0)), ALL, WANTED).total
    assert {one.value for one in nothing.shares.values()} == {None}
    assert (nothing.p50, nothing.p95, nothing.hits_per_1000) == (None, None, None)


def test_a_drift_is_seen() -> None:
    """Where alarms double for the last days, these days are named; in quiet months none is."""
    quiet = measure(Given(made_up(9000)), ALL, WANTED)
    assert quiet.alarm_rate.outside == ()
    assert quiet.risk.outside == ()
    late = (FACTS.day >= DAY.toordinal() + 24) & (FACTS.inspection % 3 == 0)
    changed = replace(
        FACTS,
        urgency=np.where(late, 1, FACTS.urgency),
        risk=np.where(late, 0.8, FACTS.risk).astype(np.float32),
    )
    drifted = measure(Given(changed), ALL, WANTED)
    assert set(drifted.alarm_rate.outside) <= {DAY + timedelta(days=k) for k in range(24, 30)}
    assert len(drifted.alarm_rate.outside) >= 4
    assert drifted.risk.outside


@pytest.mark.parametrize("grouping", numbers.GROUPINGS)
def test_csv_holds_the_table(grouping: str) -> None:
    """Each line of the table is a line of the CSV, with counts, shares and limits."""
    found = measure(Given(FACTS), ALL, WANTED)
    labels = found.officers if grouping == "officer" else {}
    rows = list(csv.DictReader(io.StringIO(numbers.csv_text(found, grouping, labels))))
    assert len(rows) == len(found.groups[grouping])
    for row, line in zip(rows, found.groups[grouping], strict=True):
        assert int(row["scans"]) == line.counts.scans
        assert int(row["alarm_rate_of"]) == line.counts.scans
        share = line.counts.alarms / line.counts.scans
        assert float(row["alarm_rate"]) == pytest.approx(share, rel=1e-5)
        assert float(row["alarm_rate_low95"]) <= share <= float(row["alarm_rate_high95"])


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx"])
def test_no_name_becomes_a_formula(text: str) -> None:
    """A spreadsheet takes no name of an officer for a formula."""
    assert numbers.harmless(text) == f"'{text}"
    assert numbers.harmless("Aida") == "Aida"
    found = measure(Given(FACTS), ALL, WANTED)
    assert "'=Bek" in numbers.csv_text(found, "officer", found.officers)


def test_too_long_a_period_is_refused() -> None:
    """More than a year and a month at once is an error, not a stall."""
    with pytest.raises(ValueError, match="more than"):
        measure(Given(FACTS), ALL, Wanted(DAY, DAY + timedelta(days=numbers.LONGEST_DAYS)))


def test_the_newest_day_is_that_of_the_newest_scan() -> None:
    """The page opens with the newest days; not with days to come, nor with long ago."""
    today = date(2026, 3, 1)
    assert numbers.newest_day(None, today) == today
    assert numbers.newest_day((DAY, date(2026, 2, 1)), today) == date(2026, 2, 1)
    assert numbers.newest_day((DAY, date(2027, 2, 1)), today) == today
