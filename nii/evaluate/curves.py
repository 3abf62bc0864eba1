"""Threats found against false alarms: P_d, P_fa and the free-response curve (FROC).

A threat is found at a threshold when a detection that hits it (rule `HIT`) has that score or more.
A false alarm is a detection that hits nothing. Three rates come of it:

* P_d: share of all threats that are found. Every threat counts once.
* Scan P_d: share of the scans with a threat in which at least one threat is found. An alarm in the
  wrong place of a guilty scan does not count.
* P_fa: share of the benign scans (without any threat) in which there is at least one alarm.

False alarms per scan are counted over all scans, benign or not. "P_d at r false alarms per scan" is
P_d just above the score of the first false alarm that would be one too many: with N scans at most
⌊r N⌋ false alarms are let through, and equal scores stand or fall together. "P_d at P_fa" does the
same with the most suspicious place of every benign scan. Nothing is interpolated, and a threshold
never reaches below what the detector reports at all.

Every function takes `drawn`: how often each scan counts, which is how the bootstrap resamples.

Reference: Chakraborty 2017, Observer Performance Methods for Diagnostic Imaging, part on FROC.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float64, Int64

from nii import taxonomy
from nii.evaluate.intervals import Proportion
from nii.evaluate.match import JudgedScan, threat_rows

NEVER = -np.inf
"""Score of what no detection hit."""
_ROUNDING = 1e-9
"""Keeps ⌊0.01 · 100⌋ at 1."""
BEHIND_EDGES_G_PER_CM2 = (5.0, 20.0, 50.0, 100.0)
"""Borders of the strata: empty container, light, general, dense cargo, and beyond (assumption:
two container walls are 3 g/cm2 and the heaviest 40-foot load about 100 g/cm2)."""


@dataclass(frozen=True, slots=True)
class ThreatTable:
    """Hold what the rates are counted from; scans are numbered in the order given.

    Attributes:
        found_score: of each threat: best score of the detections that hit it, `NEVER` if none.
        threat_scan: scan of each threat.
        threat_class: taxonomy row of each threat.
        behind_g_per_cm2: areal density beside each threat itself; NaN where it is not known.
        alarm_score: scores of all false alarms, falling.
        alarm_scan: scan of each false alarm.
        top_score: highest score of any threat detection of each scan, `NEVER` if none.
        benign: which scans have no threat.
    """

    found_score: Float64[np.ndarray, " threat"]
    threat_scan: Int64[np.ndarray, " threat"]
    threat_class: Int64[np.ndarray, " threat"]
    behind_g_per_cm2: Float64[np.ndarray, " threat"]
    alarm_score: Float64[np.ndarray, " alarm"]
    alarm_scan: Int64[np.ndarray, " alarm"]
    top_score: Float64[np.ndarray, " scan"]
    benign: Bool[np.ndarray, " scan"]

    @property
    def scans(self) -> int:
        """Return the number of scans."""
        return len(self.benign)

    def everything_once(self) -> Int64[np.ndarray, " scan"]:
        """Return the draw in which each scan counts once."""
        return np.ones(self.scans, np.int64)


@dataclass(frozen=True, slots=True)
class Curve:
    """Hold the points of a curve from the strictest threshold to the loosest; both axes rise.

    Attributes:
        threshold: a detection counts from this score.
        x: false alarms per scan, or P_fa.
        p_d: share of the threats found.
    """

    threshold: Float64[np.ndarray, " point"]
    x: Float64[np.ndarray, " point"]
    p_d: Float64[np.ndarray, " point"]


def threat_table(
    scans: Sequence[JudgedScan], thresholds: Mapping[int, float] | None = None
) -> ThreatTable:
    """Collect threats and false alarms of all scans.

    Args:
        scans: what matching gave.
        thresholds: by taxonomy row: subtracted from the scores of that class, so that 0 means "at
            the threshold of its class". Without it scores stay as they are.
    """
    parts = [_of_scan(index, scan, thresholds or {}) for index, scan in enumerate(scans)]
    columns = [_joined(column) for column in zip(*parts, strict=True)] or [np.zeros(0)] * 8
    order = np.argsort(-columns[4], kind="stable")
    return ThreatTable(
        found_score=columns[0].astype(np.float64),
        threat_scan=columns[1].astype(np.int64),
        threat_class=columns[2].astype(np.int64),
        behind_g_per_cm2=columns[3].astype(np.float64),
        alarm_score=columns[4][order].astype(np.float64),
        alarm_scan=columns[5][order].astype(np.int64),
        top_score=columns[6].astype(np.float64),
        benign=columns[7].astype(np.bool_),
    )


def froc(table: ThreatTable) -> Curve:
    """Return P_d against false alarms per scan; no points where there is no threat."""
    return _curve(table, table.alarm_score, table.scans)


def p_d_against_p_fa(table: ThreatTable) -> Curve:
    """Return P_d against P_fa; no points where there is no threat or no benign scan."""
    return _curve(table, table.top_score[table.benign], int(table.benign.sum()))


def bar_at_false_alarms(
    table: ThreatTable, drawn: Int64[np.ndarray, " scan"], rate: float
) -> float:
    """Return the score that a detection must exceed for at most `rate` false alarms per scan."""
    allowed = math.floor(rate * int(drawn.sum()) + _ROUNDING)
    return _bar(table.alarm_score, drawn[table.alarm_scan], allowed)


def bar_at_p_fa(table: ThreatTable, drawn: Int64[np.ndarray, " scan"], p_fa: float) -> float:
    """Return the score that a detection must exceed for at most `p_fa` of benign scans alarmed."""
    benign = np.flatnonzero(table.benign)
    ranked = benign[np.argsort(-table.top_score[benign], kind="stable")]
    allowed = math.floor(p_fa * int(drawn[benign].sum()) + _ROUNDING)
    return _bar(table.top_score[ranked], drawn[ranked], allowed)


def p_d_at_false_alarms(
    table: ThreatTable, drawn: Int64[np.ndarray, " scan"], rate: float
) -> Proportion:
    """Share of threats found at no more than the stated number of false alarms per scan."""
    return p_d_above(table, drawn, bar_at_false_alarms(table, drawn, rate))


def p_d_at_p_fa(table: ThreatTable, drawn: Int64[np.ndarray, " scan"], p_fa: float) -> Proportion:
    """Share of threats found while no more than the stated share of benign scans alarms.

    Not defined (no trials) without benign scans.
    """
    if int(drawn[table.benign].sum()) == 0:
        return Proportion(0, 0)
    return p_d_above(table, drawn, bar_at_p_fa(table, drawn, p_fa))


def scan_p_d_at_p_fa(
    table: ThreatTable, drawn: Int64[np.ndarray, " scan"], p_fa: float
) -> Proportion:
    """Share of scans with threats in which one is found, at the stated share of benign alarms.

    Not defined (no trials) without benign scans.
    """
    if int(drawn[table.benign].sum()) == 0:
        return Proportion(0, 0)
    return scan_p_d_above(table, drawn, bar_at_p_fa(table, drawn, p_fa))


def p_d_above(table: ThreatTable, drawn: Int64[np.ndarray, " scan"], bar: float) -> Proportion:
    """Share of threats that a detection with a score above `bar` hits."""
    times = drawn[table.threat_scan]
    return Proportion(int(times[table.found_score > bar].sum()), int(times.sum()))


def scan_p_d_above(table: ThreatTable, drawn: Int64[np.ndarray, " scan"], bar: float) -> Proportion:
    """Share of scans with threats in which a detection with a score above `bar` hits one."""
    found = np.zeros(table.scans, np.bool_)
    found[table.threat_scan[table.found_score > bar]] = True
    return Proportion(int(drawn[found].sum()), int(drawn[~table.benign].sum()))


def p_fa_above(table: ThreatTable, drawn: Int64[np.ndarray, " scan"], bar: float) -> Proportion:
    """Share of benign scans with a detection whose score is above `bar`."""
    alarmed = table.benign & (table.top_score > bar)
    return Proportion(int(drawn[alarmed].sum()), int(drawn[table.benign].sum()))


def false_alarms_above(
    table: ThreatTable, drawn: Int64[np.ndarray, " scan"], bar: float
) -> float | None:
    """False alarms per scan with a score above `bar`; None without scans."""
    scans = int(drawn.sum())
    alarms = int(drawn[table.alarm_scan[table.alarm_score > bar]].sum())
    return alarms / scans if scans else None


def strata(table: ThreatTable) -> dict[str, Bool[np.ndarray, " threat"]]:
    """Return which threats belong to each stratum: by class, then by areal density behind.

    Threats of unknown areal density stand in no stratum of the second kind; empty strata are left
    out.
    """
    groups = {row.name: table.threat_class == row.class_id for row in taxonomy.in_group("threat")}
    edges = (0.0, *BEHIND_EDGES_G_PER_CM2, np.inf)
    for low, high in pairwise(edges):
        name = _stratum_name(low, high)
        groups[name] = (table.behind_g_per_cm2 >= low) & (table.behind_g_per_cm2 < high)
    return {name: rows for name, rows in groups.items() if rows.any()}


def p_d_of(table: ThreatTable, rows: Bool[np.ndarray, " threat"], bar: float) -> Proportion:
    """Share of the threats named by a mask that a detection with a score above `bar` hits."""
    return Proportion(int((table.found_score[rows] > bar).sum()), int(rows.sum()))


def _of_scan(
    index: int, scan: JudgedScan, thresholds: Mapping[int, float]
) -> tuple[np.ndarray, ...]:
    is_threat = threat_rows(scan.detections.class_ids)
    is_truth = threat_rows(scan.truth.objects.class_ids)
    ids = scan.detections.class_ids[is_threat]
    # Both in float32 first: 0.7 as a score and 0.7 as a threshold must be equal.
    limits = np.asarray([thresholds.get(int(row), 0.0) for row in ids], np.float32)
    scores = scan.detections.scores[is_threat].astype(np.float64) - limits.astype(np.float64)
    hits = scan.hits[is_threat][:, is_truth]
    best = np.where(hits, scores[:, None], NEVER).max(axis=0, initial=NEVER)
    alarms = scores[~hits.any(axis=1)]
    return (
        best,
        np.full(len(best), index),
        scan.truth.objects.class_ids[is_truth],
        scan.truth.behind_g_per_cm2[is_truth],
        alarms,
        np.full(len(alarms), index),
        scores.max(initial=NEVER, keepdims=True),
        np.asarray([not is_truth.any()]),
    )


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts)


def _bar(falling: np.ndarray, times: np.ndarray, allowed: int) -> float:
    too_many = np.flatnonzero(np.cumsum(times) > allowed)
    return float(falling[too_many[0]]) if len(too_many) else NEVER


def _curve(table: ThreatTable, alarms: np.ndarray, cases: int) -> Curve:
    found = table.found_score
    if len(found) == 0 or cases == 0:
        return Curve(np.zeros(0), np.zeros(0), np.zeros(0))
    both = np.concatenate([alarms, found])
    threshold = np.unique(both[both > NEVER])[::-1]
    return Curve(
        threshold, _share_from(alarms, threshold, cases), _share_from(found, threshold, len(found))
    )


def _share_from(scores: np.ndarray, threshold: np.ndarray, cases: int) -> np.ndarray:
    rising = np.sort(scores)
    return (len(rising) - np.searchsorted(rising, threshold, side="left")) / cases


def _stratum_name(low: float, high: float) -> str:
    if low == 0:
        return f"behind < {high:.0f} g/cm²"
    return f"behind ≥ {low:.0f} g/cm²" if high == np.inf else f"behind {low:.0f}-{high:.0f} g/cm²"
