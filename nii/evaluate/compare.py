"""Two models on the same scans: paired differences with intervals.

Every resample draws the same scans for both models, so what is easy or hard about a scan falls out
of the difference. A difference is called decided when its 95 % interval does not hold zero; with
many rows, one in twenty is decided by chance alone.

Reference: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 8 (paired data).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64, Int64

from nii.config import to_dict
from nii.evaluate.intervals import Interval, resampled
from nii.evaluate.metrics import CONTAINER_RATES, METRICS, Evidence, number_of
from nii.evaluate.strata import Stratum, percentile, shares, strata_of

Verdict = Literal["better", "worse", "not decided"]


@dataclass(frozen=True, slots=True)
class Difference:
    """Hold one figure of two models.

    Attributes:
        label: what it is, in words.
        first: value of the first model.
        second: value of the second.
        difference: first minus second.
        interval: of the difference, by paired bootstrap; None where nothing varied.
        verdict: whether the first model is better.
    """

    label: str
    first: float
    second: float
    difference: float
    interval: Interval | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Comparison:
    """Hold the comparison of two models.

    Attributes:
        first: name, version and digest of the first model.
        second: the same of the second.
        data: file name of the truth.
        data_sha256: digest of the truth file.
        scans: scans that both could read.
        failures: scans that could not be read, and are left out.
        metrics: differences by the names of `metrics.METRICS`.
        strata: differences of P_d of threats in containers by stratum, at each rate.
        settings: the values needed to get the same numbers again.
    """

    first: tuple[str, str]
    second: tuple[str, str]
    data: str
    data_sha256: str
    scans: int
    failures: int
    metrics: dict[str, Difference]
    strata: tuple[Difference, ...]
    settings: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as JSON types."""
        result: dict[str, Any] = to_dict(self)
        return result


def metric_differences(
    first: Evidence, second: Evidence, seed: int, repeats: int
) -> dict[str, Difference]:
    """Return the paired difference of every metric that is defined for both.

    Raises:
        ValueError: the two are not about the same scans.
    """
    _check_same(first, second)
    draws = _draws(first, seed, repeats)
    once = np.ones(len(first.scans), np.int64)
    rows = {}
    for name, metric in METRICS.items():
        values = [number_of(metric.compute(side, once)) for side in (first, second)]
        if values[0] is None or values[1] is None:
            continue
        gaps = []
        for drawn in draws:
            one, other = (number_of(metric.compute(side, drawn)) for side in (first, second))
            if one is not None and other is not None:
                gaps.append(one - other)
        rows[name] = _difference(metric.label, (values[0], values[1]), gaps, up=metric.best > 0)
    return rows


def stratum_differences(
    first: Evidence, second: Evidence, seed: int, repeats: int
) -> tuple[Difference, ...]:
    """Return the paired difference of P_d of each stratum at each rate; each model at its own bars.

    Raises:
        ValueError: the two are not about the same scans.
    """
    _check_same(first, second)
    once = np.ones(len(first.scans), np.int64)
    if not len(first.containers):
        return ()
    groups = strata_of(first.containers)
    whole = [_p_d(side, groups, once) for side in (first, second)]
    gaps = [
        _p_d(first, groups, drawn) - _p_d(second, groups, drawn)
        for drawn in _draws(first, seed, repeats)
    ]
    rows = []
    for row, group in enumerate(groups):
        for rate, share in enumerate(CONTAINER_RATES):
            values = (float(whole[0][row, rate]), float(whole[1][row, rate]))
            if np.isfinite(values).all():
                drawn = [float(gap[row, rate]) for gap in gaps if np.isfinite(gap[row, rate])]
                label = f"{group.kind}: {group.name}, {100 * share:g} % alarmed"
                rows.append(_difference(label, values, drawn, up=True))
    return tuple(rows)


def _p_d(
    evidence: Evidence, groups: Sequence[Stratum], drawn: Int64[np.ndarray, " scan"]
) -> Float64[np.ndarray, "group rate"]:
    """Return P_d by stratum and rate, NaN without trials; the strata are those of the truth."""
    (found, _), (trials, _) = shares(evidence.containers, groups, drawn)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(found / trials[:, None], np.float64)


def _difference(
    label: str, values: tuple[float, float], gaps: list[float], *, up: bool
) -> Difference:
    gap = values[0] - values[1]
    interval = percentile(gaps)
    verdict: Verdict = "not decided"
    if interval is not None and (interval.low > 0 or interval.high < 0):
        verdict = "better" if (interval.low > 0) == up else "worse"
    return Difference(label, values[0], values[1], gap, interval, verdict)


def _draws(evidence: Evidence, seed: int, repeats: int) -> list[Int64[np.ndarray, " scan"]]:
    rng = np.random.default_rng([seed, 2])
    return [resampled(len(evidence.scans), rng) for _ in range(repeats)]


def _check_same(first: Evidence, second: Evidence) -> None:
    names = [[scan.name for scan in side.scans] for side in (first, second)]
    same = names[0] == names[1] and first.class_ids == second.class_ids
    if not same or len(first.threats.found_score) != len(second.threats.found_score):
        msg = "the two evaluations are not about the same scans and labels"
        raise ValueError(msg)
