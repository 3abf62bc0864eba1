"""The numbers of the officers' desk: what is counted, for whom, with which certainty.

Officers see the totals of their sites and their own row, supervisors all officers of their sites,
auditors everything. Each share has its exact interval (Clopper and Pearson) at 95 %.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np

from nii import taxonomy
from nii.evaluate import control
from nii.evaluate.control import Chart
from nii.evaluate.intervals import clopper_pearson
from nii.store import tally
from nii.store.statistics import Columns, Facts, Names
from nii.store.tally import Tally

LONGEST_DAYS = 400
"""Longest period of one page: a year and a month to compare with."""
USUAL_DAYS = 30
GROUPINGS = ("site", "officer", "class", "model", "day")
_SHARES: tuple[tuple[str, str, str], ...] = (
    ("alarm_rate", "alarms", "scans"),
    ("officer_precision", "alarms_inspected", "alarms_judged"),
    ("examination_precision", "alarms_found", "alarms_examined"),
    ("overturn_rate", "overturned", "first_judged"),
    ("agreement", "agreed", "judged"),
    ("blind_agreement", "blind_agreed", "blind_judged"),
)
"""Shares: name, successes and trials among the counts of a tally."""
SHARE_NAMES = tuple(name for name, _, _ in _SHARES)
_COUNTS = ("scans", "alarms", "decided", "alarms_examined", "found")


@dataclass(frozen=True, slots=True)
class Viewer:
    """Say for whom numbers are counted.

    Attributes:
        user: id of the account.
        sites: ids of the sites that are seen; None means all.
        all_officers: whether other officers are shown one by one.
    """

    user: int
    sites: tuple[int, ...] | None
    all_officers: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """Say which inspections are counted.

    Attributes:
        first: first day of filing.
        last: last day of filing.
        site: id of one site; None counts all that are seen.
        class_name: only those that highlight this class; empty counts all.
        model: only those of the model with this SHA-256; empty counts all.
    """

    first: date
    last: date
    site: int | None = None
    class_name: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """A proportion with its exact interval at 95 %; without trials there is no value."""

    successes: int
    trials: int
    low: float | None
    high: float | None

    @property
    def value(self) -> float | None:
        """Return the share itself."""
        return self.successes / self.trials if self.trials else None


@dataclass(frozen=True, slots=True)
class Line:
    """What is known of one group.

    Attributes:
        key: site code, place of the officer, class name, SHA-256 of a model, or day.
        counts: see :class:`nii.store.tally.Tally`.
        shares: by the names in `SHARE_NAMES`.
        hits_per_1000: examinations that found something, per 1,000 inspections; None without any.
    """

    key: str
    counts: Tally
    shares: Mapping[str, Share]
    hits_per_1000: float | None

    @property
    def p50(self) -> float | None:
        """Return the median time to the first decision in seconds, None without any."""
        return None if math.isnan(self.counts.seconds_p50) else self.counts.seconds_p50

    @property
    def p95(self) -> float | None:
        """Return the 95th percentile of the time to the first decision in seconds."""
        return None if math.isnan(self.counts.seconds_p95) else self.counts.seconds_p95


@dataclass(frozen=True, slots=True)
class Drift:
    """How a daily number runs.

    Attributes:
        days: with at least one inspection.
        values: measured on each day.
        chart: limits; None where there are too few days for any.
    """

    days: tuple[date, ...]
    values: np.ndarray
    chart: Chart | None

    @property
    def outside(self) -> tuple[date, ...]:
        """Return the days outside their limits."""
        if self.chart is None:
            return ()
        return tuple(day for day, out in zip(self.days, self.chart.out, strict=True) if out)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Hold everything that the page shows.

    Attributes:
        total: all that is counted.
        groups: lines by grouping, see `GROUPINGS`.
        alarm_rate: share of alarms by day, on a p′ chart.
        risk: mean of the highest scores by day, on an EWMA chart.
        names: what the keys mean.
        officers: account and name of officers by key.
        models: an inspection of each model, by SHA-256, to name it by.
    """

    total: Line
    groups: Mapping[str, tuple[Line, ...]]
    alarm_rate: Drift
    risk: Drift
    names: Names
    officers: Mapping[str, str]
    models: Mapping[str, int]


def measure(columns: Columns, viewer: Viewer, wanted: Wanted) -> Numbers:
    """Count everything that the page shows.

    Raises:
        ValueError: the period is empty or too long.
    """
    if (wanted.last - wanted.first).days >= LONGEST_DAYS:
        msg = f"more than {LONGEST_DAYS} days"
        raise ValueError(msg)
    facts, names = columns.between(wanted.first, wanted.last)
    facts = _chosen(facts, names, viewer, wanted)
    masks = tally.masks_of(facts)
    officers = tally.by_officer(facts, masks)
    if not viewer.all_officers:
        own = {place for place, (user, _) in enumerate(names.officers) if user == viewer.user}
        officers = {place: one for place, one in officers.items() if place in own}
    days = tally.by_day(facts, masks)
    groups = {
        "site": tally.by_site(facts, names, masks),
        "officer": {str(place): one for place, one in officers.items()},
        "class": tally.by_class(facts, masks),
        "model": tally.by_model(facts, names, masks),
        "day": {date.fromordinal(day).isoformat(): one for day, one in days.items()},
    }
    return Numbers(
        line("", tally.tally(facts, masks)),
        {
            name: tuple(line(key, one, limits=name != "day") for key, one in group.items())
            for name, group in groups.items()
        },
        _alarm_rate(days),
        _risk(facts),
        names,
        {str(place): name for place, (_, name) in enumerate(names.officers)},
        _examples(facts, names),
    )


def line(key: str, counts: Tally, *, limits: bool = True) -> Line:
    """Return shares and rates of a group; limits may be spared where nobody looks at them."""
    shares = {}
    for name, successes, trials in _SHARES:
        one, all_of = getattr(counts, successes), getattr(counts, trials)
        low, high = _limits(one, all_of) if limits else (None, None)
        shares[name] = Share(one, all_of, low, high)
    hits = 1000 * counts.found / counts.scans if counts.scans else None
    return Line(key, counts, shares, hits)


def csv_text(numbers: Numbers, grouping: str, labels: Mapping[str, str]) -> str:
    """Return one grouping as CSV: counts, shares with trials and limits, times; a line a group.

    A text that a spreadsheet could take for a formula gets an apostrophe in front.

    Args:
        numbers: what was counted.
        grouping: one of `GROUPINGS`.
        labels: words for the keys, where there are any.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    head = [grouping, *_COUNTS]
    for name in SHARE_NAMES:
        head += [name, f"{name}_of", f"{name}_low95", f"{name}_high95"]
    writer.writerow([*head, "hits_per_1000", "seconds_p50", "seconds_p95", "timed"])
    for each in numbers.groups[grouping]:
        whole = line(each.key, each.counts)
        row: list[object] = [harmless(labels.get(each.key, each.key))]
        row += [getattr(each.counts, name) for name in _COUNTS]
        for name in SHARE_NAMES:
            share = whole.shares[name]
            row += [_cell(share.value), share.trials, _cell(share.low), _cell(share.high)]
        row += [_cell(each.hits_per_1000), _cell(each.p50), _cell(each.p95), each.counts.timed]
        writer.writerow(row)
    return out.getvalue()


def harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def newest_day(span: tuple[date, date] | None, today: date) -> date:
    """Return the last day that is shown unless another is asked for: of the newest inspection."""
    return min(today, span[1]) if span else today


def _chosen(facts: Facts, names: Names, viewer: Viewer, wanted: Wanted) -> Facts:
    keep = np.ones(len(facts), np.bool_)
    if viewer.sites is not None:
        keep &= np.isin(facts.site, viewer.sites)
    if wanted.site is not None:
        keep &= facts.site == wanted.site
    if wanted.class_name:
        keep &= tally.holds(facts, taxonomy.by_name(wanted.class_name).class_id)
    if wanted.model:
        place = names.models.index(wanted.model) if wanted.model in names.models else None
        keep &= False if place is None else facts.model == place
    return facts if keep.all() else facts.where(keep)


def _alarm_rate(days: Mapping[int, Tally]) -> Drift:
    counted = np.asarray([one.alarms for one in days.values()], np.int64)
    trials = np.asarray([one.scans for one in days.values()], np.int64)
    chart = control.p_chart(counted, trials) if len(days) else None
    return Drift(tuple(map(date.fromordinal, days)), counted / np.maximum(trials, 1), chart)


def _risk(facts: Facts) -> Drift:
    days = tally.risk_by_day(facts)
    values = np.asarray(list(days.values()), np.float64)
    return Drift(tuple(map(date.fromordinal, days)), values, control.ewma_chart(values))


def _examples(facts: Facts, names: Names) -> dict[str, int]:
    """Return the newest inspection of each model."""
    found = {}
    for place, sha256 in enumerate(names.models):
        rows = np.flatnonzero(facts.model == place)
        if len(rows):
            found[sha256] = int(facts.inspection[rows[-1]])
    return found


@lru_cache(maxsize=1 << 16)
def _limits(successes: int, trials: int) -> tuple[float | None, float | None]:
    interval = clopper_pearson(successes, trials)
    return (None, None) if interval is None else (interval.low, interval.high)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
