"""Counts of inspections by day, site, officer, class or model; what each count means is said here.

Everything is counted over inspections: a scan that two models looked at counts once for each. An
*alarm* is an inspection of level look or search. *Judged* means that the verdict is inspect (open
it) or release (let it go); refer and rescan say neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from nii import taxonomy
from nii.store.decisions import Verdict
from nii.store.statistics import NONE, VERDICTS, Facts, Names

Masks = Mapping[str, Bool[np.ndarray, " inspection"]]
"""Which inspections count for each field of :class:`Tally`."""
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


def tally(facts: Facts, masks: Masks | None = None) -> Tally:
    """Count all inspections as one group; an empty group gives zeros.

    Args:
        facts: what is counted.
        masks: of :func:`masks_of`, where they are at hand, as in all functions here.
    """
    return _tallies(facts.seconds, np.zeros(len(facts), np.int64), 1, masks or masks_of(facts))[0]


def by_day(facts: Facts, masks: Masks | None = None) -> dict[int, Tally]:
    """Count each day that has an inspection, by ordinal of the day."""
    return _by_value(facts, facts.day, masks or masks_of(facts))


def by_site(facts: Facts, names: Names, masks: Masks | None = None) -> dict[str, Tally]:
    """Count each site by its code; what belongs to no site stands under an empty one."""
    found = _by_value(facts, facts.site, masks or masks_of(facts))
    return {names.sites.get(key, ""): one for key, one in found.items()}


def by_model(facts: Facts, names: Names, masks: Masks | None = None) -> dict[str, Tally]:
    """Count each model by its SHA-256."""
    found = _by_value(facts, facts.model, masks or masks_of(facts))
    return {names.models[key]: one for key, one in found.items() if key != NONE}


def by_officer(facts: Facts, masks: Masks | None = None) -> dict[int, Tally]:
    """Count what each officer decided first, by place in the table of officers."""
    found = _by_value(facts, facts.officer, masks or masks_of(facts))
    return {key: one for key, one in found.items() if key != NONE}


def by_class(facts: Facts, masks: Masks | None = None) -> dict[str, Tally]:
    """Count the inspections that highlight each class; one may count for several classes."""
    masks = masks or masks_of(facts)
    result = {}
    for row in taxonomy.classes():
        shown = np.flatnonzero(holds(facts, row.class_id))
        if len(shown):
            inside = {name: mask[shown] for name, mask in masks.items()}
            group = np.zeros(len(shown), np.int64)
            result[row.name] = _tallies(facts.seconds[shown], group, 1, inside)[0]
    return result


def holds(facts: Facts, class_id: int) -> Bool[np.ndarray, " inspection"]:
    """Tell which inspections highlight a class of the taxonomy."""
    return np.asarray((facts.classes >> np.uint64(class_id)) & np.uint64(1) == 1, np.bool_)


def risk_by_day(facts: Facts) -> dict[int, float]:
    """Return the mean of the highest scores of each day; an inspection without region counts 0."""
    if not len(facts):
        return {}
    first = int(facts.day.min())
    counts = np.bincount(facts.day - first)
    sums = np.bincount(facts.day - first, weights=facts.risk)
    days = np.flatnonzero(counts)
    return dict(zip((days + first).tolist(), (sums[days] / counts[days]).tolist(), strict=True))


def _by_value(
    facts: Facts, values: Int64[np.ndarray, " inspection"], masks: Masks
) -> dict[int, Tally]:
    if not len(values):
        return {}
    low = int(values.min())
    counts = np.bincount(values - low)  # values are days, ids or places: never far apart
    keys = np.flatnonzero(counts)
    places = np.zeros(len(counts), np.int64)
    places[keys] = np.arange(len(keys))
    found = _tallies(facts.seconds, places[values - low], len(keys), masks)
    return dict(zip((keys + low).tolist(), found, strict=True))


def _tallies(
    seconds: Float32[np.ndarray, " inspection"],
    group: Int64[np.ndarray, " inspection"],
    groups: int,
    masks: Masks,
) -> list[Tally]:
    counts = {
        name: np.bincount(group[chosen], minlength=groups).tolist()
        for name, chosen in masks.items()
    }
    timed = masks["timed"]
    p50, p95 = _percentiles(seconds[timed].astype(np.float64), group[timed], groups)
    return [
        Tally(
            **{name: values[place] for name, values in counts.items()},
            seconds_p50=float(p50[place]),
            seconds_p95=float(p95[place]),
        )
        for place in range(groups)
    ]


def masks_of(facts: Facts) -> Masks:
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
    seconds: Float64[np.ndarray, " timed"], group: Int64[np.ndarray, " timed"], groups: int
) -> tuple[Float64[np.ndarray, " group"], Float64[np.ndarray, " group"]]:
    """Return median and 95th percentile of each group: the smallest value that reaches it."""
    order = np.lexsort((seconds, group))
    counts = np.bincount(group, minlength=groups)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    some, result = counts > 0, np.full((2, groups), np.nan)
    for row, share in enumerate((0.5, 0.95)):
        rank = np.maximum(np.ceil(share * counts).astype(np.int64) - 1, 0)
        result[row, some] = seconds[order][(starts + rank)[some]]
    return result[0], result[1]
