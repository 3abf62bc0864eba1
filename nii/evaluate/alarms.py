"""What alarms are worth: the share of stopped containers that hold a threat, and honest scores.

A sample with many threats says nothing about a border where one container in thousands has one. So
the positive predictive value (PPV) is worked out for a stated prevalence and a stated budget, the
share of all containers that can be looked at. Alarms are handed out from the highest score down
until the budget is spent:

    alarms = π · A(threat) + (1 - π) · A(benign),    PPV = π · P_d / alarms

where A is the share of containers alarmed, and P_d that with an alarm on a threat. A threat
container stopped for the wrong place counts as an alarm, not as a find. No alarm among a few benign
containers is no rate of nought: then no PPV is given, only the least that it can be when A(benign)
is as high as its exact upper limit.

Scores are honest when of the detections with a score near s a share s is right. That depends on how
many threats there are, so the diagram holds for this set; a detector that is honest here is too
sure of itself at a border.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float64, Int64

from nii.evaluate import curves
from nii.evaluate.containers import ContainerTable
from nii.evaluate.curves import ThreatTable
from nii.evaluate.intervals import (
    Interval,
    Proportion,
    bootstrap,
    clopper_pearson,
    upper_limit,
)
from nii.evaluate.match import JudgedScan, threat_rows

PREVALENCES = (0.01, 0.001, 0.0001)
"""Containers with a threat among all; what it is at a border is not known: assumption."""
BUDGETS = (0.1, 0.05, 0.01, 0.005)
"""Shares of all containers that are looked at; as the rates of `metrics.CONTAINER_RATES`."""
_BINS = 10
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Worth:
    """State what a budget buys at a prevalence.

    Attributes:
        prevalence: share of all containers that hold a threat.
        budget: largest share of all containers alarmed.
        alarms: share alarmed at the threshold that was reached.
        p_d: share of threat containers with an alarm on a threat.
        ppv: share of alarmed containers that are alarmed for a threat; None where no benign
            container of the set is alarmed, which shows no rate.
        interval: of the PPV, by bootstrap over scans.
        at_least: PPV with the exact one-sided upper limit (95 %) of the benign alarm rate, and P_d
            as measured; None without any alarm.
    """

    prevalence: float
    budget: float
    alarms: float
    p_d: float
    ppv: float | None
    interval: Interval | None
    at_least: float | None


@dataclass(frozen=True, slots=True)
class Spent:
    """Hold what a threshold alarms: shares of threat and benign containers, and P_d."""

    guilty: float
    p_d: float
    benign: Proportion

    def ppv(self, prevalence: float, benign: float) -> float | None:
        """Return the PPV at a prevalence and a benign alarm rate; None without any alarm."""
        alarms = prevalence * self.guilty + (1 - prevalence) * benign
        return prevalence * self.p_d / alarms if alarms > 0 else None


@dataclass(frozen=True, slots=True)
class ScoreBin:
    """Count detections with scores in a band: their mean score, and how many hit a threat."""

    low: float
    high: float
    mean_score: float
    right: Proportion
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Reliability:
    """Hold a reliability diagram.

    Attributes:
        bins: bands of the score that hold a detection.
        ece: expected calibration error: mean distance of score and share, weighted by number.
        interval: of the error, by bootstrap over scans.
    """

    bins: tuple[ScoreBin, ...]
    ece: float
    interval: Interval | None


def worth_of(
    cases: ContainerTable, scans: int, rng: np.random.Generator, repeats: int
) -> tuple[Worth, ...]:
    """Return what alarms are worth at every prevalence and budget; empty where undefined.

    Args:
        cases: containers, benign ones and others.
        scans: number of scans that were judged.
        rng: source of chance.
        repeats: number of resamples of the scans.
    """
    if not cases.benign.any() or cases.benign.all():
        return ()
    once = np.ones(scans, np.int64)
    rows = []
    for prevalence in PREVALENCES:
        for budget in BUDGETS:
            found = spend(cases, once, prevalence, budget)
            interval = bootstrap(
                partial(_ppv, cases, prevalence, budget), scans, rng, repeats=repeats
            )
            rows.append(_worth(found, prevalence, budget, interval))
    return tuple(rows)


def spend(
    cases: ContainerTable, drawn: Int64[np.ndarray, " scan"], prevalence: float, budget: float
) -> Spent | None:
    """Return what the lowest threshold that keeps the budget alarms.

    Returns:
        None where no benign container or none with a threat was drawn.
    """
    table, times = cases.table, cases.of_draw(drawn)
    guilty = np.where(table.benign, 0, times)
    benign = np.where(table.benign, times, 0)
    if not guilty.any() or not benign.any():
        return None
    hit = np.full(len(cases), curves.NEVER)
    np.maximum.at(hit, table.threat_scan, table.found_score)
    bars = np.unique(table.top_score[table.top_score > curves.NEVER])[::-1]
    alarmed, of_benign = (
        _share_from(table.top_score, weights, bars) for weights in (guilty, benign)
    )
    alarms = prevalence * alarmed + (1 - prevalence) * of_benign
    kept = int((alarms <= budget + _ROUNDING).sum())
    harmless = int(benign.sum())
    if kept == 0:
        return Spent(0.0, 0.0, Proportion(0, harmless))
    return Spent(
        guilty=float(alarmed[kept - 1]),
        p_d=float(_share_from(hit, guilty, bars)[kept - 1]),
        benign=Proportion(round(float(of_benign[kept - 1]) * harmless), harmless),
    )


def judged_scores(
    scans: Sequence[JudgedScan],
) -> tuple[
    Float64[np.ndarray, " detection"],
    Float64[np.ndarray, " detection"],
    Int64[np.ndarray, " detection"],
]:
    """Return the score of every threat detection, 1 where it hits a threat else 0, and its scan."""
    score, right, where = [np.zeros(0)], [np.zeros(0)], [np.zeros(0, np.int64)]
    for index, scan in enumerate(scans):
        rows = threat_rows(scan.detections.class_ids)
        threats = threat_rows(scan.truth.objects.class_ids)
        score.append(scan.detections.scores[rows].astype(np.float64))
        right.append(scan.hits[rows][:, threats].any(axis=1).astype(np.float64))
        where.append(np.full(int(rows.sum()), index, np.int64))
    return np.concatenate(score), np.concatenate(right), np.concatenate(where)


def reliability(
    table: ThreatTable,
    scores: tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]],
    scan: Int64[np.ndarray, " n"],
    rng: np.random.Generator,
    repeats: int,
) -> Reliability | None:
    """Return the reliability diagram of detections; None where there are none.

    Args:
        table: gives the number of scans.
        scores: of each detection, and 1 where it hits a threat, else 0.
        scan: of each detection.
        rng: source of chance.
        repeats: number of resamples of the scans.
    """
    score, right = scores
    if len(score) == 0:
        return None
    place = np.minimum((score * _BINS).astype(np.int64), _BINS - 1)
    bins = []
    for index in range(_BINS):
        members = place == index
        if members.any():
            counts = Proportion(int(right[members].sum()), int(members.sum()))
            bins.append(
                ScoreBin(
                    index / _BINS,
                    (index + 1) / _BINS,
                    float(score[members].mean()),
                    counts,
                    clopper_pearson(counts.successes, counts.trials),
                )
            )

    def error(drawn: Int64[np.ndarray, " scan"]) -> float | None:
        times = drawn[scan]
        gap = np.bincount(place, times * (score - right), minlength=_BINS)
        total = int(times.sum())
        return float(np.abs(gap).sum()) / total if total else None

    whole = error(table.everything_once())
    interval = bootstrap(error, table.scans, rng, repeats=repeats)
    return Reliability(tuple(bins), 0.0 if whole is None else whole, interval)


def _ppv(
    cases: ContainerTable, prevalence: float, budget: float, drawn: Int64[np.ndarray, " scan"]
) -> float | None:
    found = spend(cases, drawn, prevalence, budget)
    if found is None or found.benign.successes == 0:
        return None
    return found.ppv(prevalence, found.benign.value or 0.0)


def _worth(
    found: Spent | None, prevalence: float, budget: float, interval: Interval | None
) -> Worth:
    if found is None or found.guilty == found.benign.successes == 0:
        return Worth(prevalence, budget, 0.0, 0.0, None, None, None)
    share = found.benign.value or 0.0
    most = upper_limit(found.benign.successes, found.benign.trials) or 1.0
    alarms = prevalence * found.guilty + (1 - prevalence) * share
    ppv = found.ppv(prevalence, share) if found.benign.successes else None
    at_least = found.ppv(prevalence, most)
    return Worth(prevalence, budget, alarms, found.p_d, ppv, interval, at_least)


def _share_from(score: np.ndarray, weights: np.ndarray, bars: np.ndarray) -> np.ndarray:
    """Return the weighted share of cases that reach each bar; the bars fall."""
    order = np.argsort(-score, kind="stable")
    summed = np.concatenate([[0], np.cumsum(weights[order])])
    reached = np.searchsorted(-score[order], -bars, side="right")
    return np.asarray(summed[reached] / weights.sum())
