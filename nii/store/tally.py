"""Counts of inspections by day, site, officer, class or model; what each count means is said here.

Everything is counted over inspections: a scan that two models looked at counts once for each. An
*alarm* is an inspection of level look or search. *Judged* means that the verdict is inspect (open
it) or release (let it go); refer and rescan say neither.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from nii import taxonomy
from nii.store.decisions import Verdict
from nii.store.statistics import NONE, VERDICTS, Facts, Names

_RELEASE, _INSPECT = VERDICTS.index(Verdict.RELEASE), VERDICTS.index(Verdict.INSPECT)


@dataclass(frozen=True, slots=True)
class Tally:
    """Count one group of inspections.

    Attributes:
        scans: inspections filed.
        alarms: of these, level look or search.
        alarms_judged: alarms whose newest decision is inspect or release.
        alarms_inspected: of these, inspect.
        alarms_examined: alarms with the outcome of a physical examination.
        alarms_found: of these, where something was found.
        found: inspections, alarms or not, whose examination found something.
        decided: inspections with a decision.
        first_judged: inspections whose first and newest decision are inspect or release.
        overturned: of these, where the two differ.
        judged: inspections whose first decision is inspect or release.
        agreed: of these, where it is inspect on an alarm, or release without one.
        blind_judged: of the judged, where the officer decided before the regions were shown.
        blind_agreed: of these, where officer and model agree.
        seconds_p50: median of the seconds from opening a scan to its first decision; nan without.
        seconds_p95: the same, 95th percentile.
        timed: decisions that these two are taken from.
    """

    scans: int
    alarms: int
    alarms_judged: int
    alarms_inspected: int
    alarms_examined: int
    alarms_found: int
    found: int
    decided: int
    first_judged: int
    overturned: int
    judged: int
    agreed: int
    blind_judged: int
    blind_agreed: int
    seconds_p50: float
    seconds_p95: float
    timed: int


def tally(facts: Facts) -> Tally:
    """Count all inspections as one group; an empty group gives zeros."""
    return _counted(facts, np.zeros(len(facts), np.int64), 1)[0]


def by_day(facts: Facts) -> dict[int, Tally]:
    """Count each day that has an inspection, by ordinal of the day."""
    return _by_value(facts, facts.day)


def by_site(facts: Facts, names: Names) -> dict[str, Tally]:
    """Count each site by its code; what belongs to no site stands under an empty one."""
    return {names.sites.get(key, ""): one for key, one in _by_value(facts, facts.site).items()}


def by_model(facts: Facts, names: Names) -> dict[str, Tally]:
    """Count each model by its SHA-256."""
    known = facts.where(facts.model != NONE)
    return {names.models[key]: one for key, one in _by_value(known, known.model).items()}


def by_officer(facts: Facts) -> dict[int, Tally]:
    """Count what each officer decided first, by place in the table of officers."""
    decided = facts.where(facts.officer != NONE)
    return _by_value(decided, decided.officer)


def by_class(facts: Facts) -> dict[str, Tally]:
    """Count the inspections that highlight each class; one may count for several classes."""
    result = {}
    for row in taxonomy.classes():
        shown = holds(facts, row.class_id)
        if shown.any():
            result[row.name] = tally(facts.where(shown))
    return result


def holds(facts: Facts, class_id: int) -> Bool[np.ndarray, " inspection"]:
    """Tell which inspections highlight a class of the taxonomy."""
    return np.asarray((facts.classes >> np.uint64(class_id)) & np.uint64(1) == 1, np.bool_)


def risk_by_day(facts: Facts) -> dict[int, float]:
    """Return the mean of the highest scores of each day; an inspection without region counts 0."""
    days, places = np.unique(facts.day, return_inverse=True)
    sums = np.bincount(places, weights=facts.risk, minlength=len(days))
    return dict(
        zip(days.tolist(), (sums / np.maximum(np.bincount(places), 1)).tolist(), strict=True)
    )


def _by_value(facts: Facts, values: Int64[np.ndarray, " inspection"]) -> dict[int, Tally]:
    keys, places = np.unique(values, return_inverse=True)
    return dict(
        zip(keys.tolist(), _counted(facts, places.astype(np.int64), len(keys)), strict=True)
    )


def _counted(facts: Facts, group: Int64[np.ndarray, " inspection"], groups: int) -> list[Tally]:
    counts = {
        name: np.bincount(group[chosen], minlength=groups).tolist()
        for name, chosen in _masks(facts).items()
    }
    p50, p95 = (_percentiles(facts, group, groups, share) for share in (0.5, 0.95))
    return [
        Tally(
            **{name: values[place] for name, values in counts.items()},
            seconds_p50=float(p50[place]),
            seconds_p95=float(p95[place]),
        )
        for place in range(groups)
    ]


def _masks(facts: Facts) -> Mapping[str, Bool[np.ndarray, " inspection"]]:
    """Return which inspections count for each field of :class:`Tally`."""
    alarm = facts.urgency > 0
    judged_newest, judged = _judged(facts.newest), _judged(facts.first)
    agreed = judged & ((facts.first == _INSPECT) == alarm)
    examined = facts.outcome != NONE
    found = facts.outcome == 1
    both = judged & judged_newest
    return {
        "scans": np.ones(len(facts), np.bool_),
        "alarms": alarm,
        "alarms_judged": alarm & judged_newest,
        "alarms_inspected": alarm & (facts.newest == _INSPECT),
        "alarms_examined": alarm & examined,
        "alarms_found": alarm & found,
        "found": found,
        "decided": facts.decisions > 0,
        "first_judged": both,
        "overturned": both & (facts.first != facts.newest),
        "judged": judged,
        "agreed": agreed,
        "blind_judged": judged & facts.blind,
        "blind_agreed": agreed & facts.blind,
        "timed": np.isfinite(facts.seconds),
    }


def _judged(verdict: Int64[np.ndarray, " inspection"]) -> Bool[np.ndarray, " inspection"]:
    return np.asarray((verdict == _RELEASE) | (verdict == _INSPECT), np.bool_)


def _percentiles(
    facts: Facts, group: Int64[np.ndarray, " inspection"], groups: int, share: float
) -> Float64[np.ndarray, " group"]:
    """Return a percentile of the seconds in each group: the smallest value that reaches it."""
    timed = np.isfinite(facts.seconds)
    inside, seconds = group[timed], facts.seconds[timed].astype(np.float64)
    order = np.lexsort((seconds, inside))
    counts = np.bincount(inside, minlength=groups)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    rank = np.maximum(np.ceil(share * counts).astype(np.int64) - 1, 0)
    result = np.full(groups, np.nan)
    some = counts > 0
    result[some] = seconds[order][(starts + rank)[some]]
    return result


Grouping = Callable[[Facts], Mapping[str, Tally]]
"""A way to count groups."""
