"""How sure a measured number is: exact limits of a proportion, and the bootstrap over scans.

Two kinds of chance are kept apart. A proportion of independent trials has exact limits (Clopper and
Pearson 1934, Biometrika 26:404). Threats in one scan are not independent, and a threshold that was
chosen on the same scans adds chance of its own; the bootstrap over whole scans (Efron and
Tibshirani 1993, An Introduction to the Bootstrap, chapter 13) covers both, but says nothing where
all trials went the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

CONFIDENCE = 0.95
_SURE = 0.75
"""Confidence from which a lower limit is surely below the share itself."""
_FAR = 20
"""Standard deviations beyond which binomial terms are left out: below e^-150 of the largest."""
_STEPS = 200
"""Most steps towards a limit; a dozen are the rule."""
_CLOSE = 1e-15
"""Relative step that ends the search."""
_LEAST_REPEATS = 0.5
"""Share of the repeats that must be defined for an interval to be given: assumption."""


@dataclass(frozen=True, slots=True)
class Proportion:
    """So many successes in so many trials; `value` is None without trials."""

    successes: int
    trials: int

    @property
    def value(self) -> float | None:
        """Return the share of successes."""
        return self.successes / self.trials if self.trials else None


@dataclass(frozen=True, slots=True)
class Interval:
    """Two limits, and by which method they were found."""

    low: float
    high: float
    method: str


def lower_limit(successes: int, trials: int, confidence: float = CONFIDENCE) -> float | None:
    """Return the one-sided exact lower limit of a proportion; None without trials.

    It is the proportion p at which so many successes or more have the chance 1 − confidence:
    the quantile of a beta distribution, found here by Newton's method, in logarithms.

    Raises:
        ValueError: the counts or the confidence are impossible.
    """
    if not 0 <= successes <= trials or not 0 < confidence < 1:
        msg = f"{successes} successes in {trials} trials at confidence {confidence}"
        raise ValueError(msg)
    if trials == 0:
        return None
    if successes == 0:
        return 0.0
    low, high, wanted = 0.0, 1.0, math.log1p(-confidence)
    last = trials
    if confidence >= _SURE:  # the limit lies below the share, so far terms are nothing
        high = successes / trials
        spread = math.sqrt(successes * (1 - high) + 1)
        last = min(trials, successes + math.ceil(_FAR * spread) + _FAR)
    counts = np.arange(successes, last + 1)
    choices = log_choices(successes, trials, last)
    middle = high / 2
    for _ in range(_STEPS):
        terms = choices + counts * math.log(middle) + (trials - counts) * math.log1p(-middle)
        peak = float(terms.max())
        tail = peak + math.log(float(np.exp(terms - peak).sum()))
        low, high = (middle, high) if tail < wanted else (low, middle)
        # The slope of the tail is k/p times its first term: Newton's step, unless it leaves the
        # bracket, which is then halved.
        slope = successes / middle * math.exp(float(terms[0]) - tail)
        step = middle + (wanted - tail) / slope if slope > 0 else low
        following = step if low < step < high else (low + high) / 2
        if abs(following - middle) <= _CLOSE * middle or following in (low, high):
            return following
        middle = following
    return low


def upper_limit(successes: int, trials: int, confidence: float = CONFIDENCE) -> float | None:
    """Return the one-sided exact upper limit of a proportion; None without trials.

    Raises:
        ValueError: the counts or the confidence are impossible.
    """
    mirrored = lower_limit(trials - successes, trials, confidence)
    return None if mirrored is None else 1 - mirrored


def clopper_pearson(successes: int, trials: int, confidence: float = CONFIDENCE) -> Interval | None:
    """Return the two-sided exact interval of a proportion; None without trials.

    Raises:
        ValueError: the counts or the confidence are impossible.
    """
    each_side = (1 + confidence) / 2
    low = lower_limit(successes, trials, each_side)
    high = upper_limit(successes, trials, each_side)
    if low is None or high is None:
        return None
    return Interval(low, high, "Clopper-Pearson")


def bootstrap(
    statistic: Callable[[Int64[np.ndarray, " scan"]], float | None],
    scans: int,
    rng: np.random.Generator,
    *,
    repeats: int = 200,
    confidence: float = CONFIDENCE,
) -> Interval | None:
    """Return the percentile interval of a statistic under resampling of whole scans.

    Args:
        statistic: maps how often each scan was drawn to a number; None where it is not defined.
        scans: number of scans.
        rng: source of chance.
        repeats: number of resamples.
        confidence: share of the resamples inside the interval.

    Returns:
        The interval, stretched to hold the statistic of the scans as they are; None where the
        statistic is not defined, is not in more than half of the resamples, or is the same in all
        of them: that nothing varied is no proof of certainty.
    """
    centre = statistic(np.ones(scans, np.int64)) if scans else None
    if centre is None:
        return None
    draws = [statistic(resampled(scans, rng)) for _ in range(repeats)]
    values = [value for value in draws if value is not None]
    if len(values) <= _LEAST_REPEATS * repeats:
        return None
    beside = (1 - confidence) / 2
    low, high = np.quantile(values, [beside, 1 - beside])
    low, high = min(float(low), centre), max(float(high), centre)
    return Interval(low, high, "bootstrap over scans") if low < high else None


def wider(first: Interval | None, second: Interval | None) -> Interval | None:
    """Return the interval that holds both; where one is missing, the other."""
    if first is None or second is None:
        return first or second
    return Interval(
        min(first.low, second.low),
        max(first.high, second.high),
        f"the wider of {first.method} and {second.method}",
    )


def resampled(scans: int, rng: np.random.Generator) -> Int64[np.ndarray, " scan"]:
    """Draw so many scans with replacement and return how often each was drawn."""
    return np.bincount(rng.integers(scans, size=scans), minlength=scans).astype(np.int64)


def log_choices(first: int, trials: int, last: int | None = None) -> np.ndarray:
    """Return the logarithm of "trials choose k" for k from `first` to `last`, or to `trials`."""
    ks = np.arange(first, trials if last is None else last)
    start = math.lgamma(trials + 1) - math.lgamma(first + 1) - math.lgamma(trials - first + 1)
    return start + np.concatenate([[0.0], np.cumsum(np.log((trials - ks) / (ks + 1.0)))])
