"""Control charts: does a daily number vary as it used to, or has something changed?

Limits come from the first days, the *reference*; later days are held against them. Day-to-day
variation beyond chance is normal at a border (other cargo on market days), so limits that count
chance alone would cry out all the time. Both charts here take the variation of the reference days
itself.

Reference: Laney 2002, Improved control charts for attributes, Quality Engineering 14:531 (p′);
Roberts 1959, Control chart tests based on geometric moving averages, Technometrics 1:239 (EWMA);
NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.4 and 6.3.3.2; constant d2 = 1.128 for moving
ranges of two: Montgomery, Introduction to Statistical Quality Control, appendix VI.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

REFERENCE_DAYS = 20
"""Days that limits are taken from: Montgomery advises 20 to 25."""
LEAST_DAYS = 10
"""Fewer reference days give no limits: assumption."""
WEIGHT = 0.2
"""Weight of the newest day in the moving average: the usual choice for small shifts."""
_SIGMAS = 3.0
_D2 = 1.128


@dataclass(frozen=True, slots=True)
class Chart:
    """Hold a control chart.

    Attributes:
        values: what is drawn for each day.
        centre: mean of the reference days.
        low: lower limit of each day.
        high: upper limit of each day.
        out: days that lie outside their limits.
        reference: how many of the first days the limits come from.
    """

    values: Float64[np.ndarray, " day"]
    centre: float
    low: Float64[np.ndarray, " day"]
    high: Float64[np.ndarray, " day"]
    out: Bool[np.ndarray, " day"]
    reference: int


def p_chart(
    counted: Int64[np.ndarray, " day"],
    trials: Int64[np.ndarray, " day"],
    reference: int = REFERENCE_DAYS,
) -> Chart | None:
    """Return the p′ chart of a daily share; None where the reference is too short.

    The limits of a day are those of binomial chance, widened by how much more than that the
    reference days vary (never narrowed).

    Args:
        counted: successes of each day.
        trials: trials of each day, above zero.
        reference: days that the limits are taken from.

    Raises:
        ValueError: counts are impossible, or a day has no trials.
    """
    if np.any(counted < 0) or np.any(counted > trials):
        msg = "counts and trials do not belong together"
        raise ValueError(msg)
    if np.any(trials <= 0):
        msg = "a day without trials has no share"
        raise ValueError(msg)
    days = min(reference, len(counted))
    if days < LEAST_DAYS:
        return None
    share = counted / trials
    centre = float(counted[:days].sum() / trials[:days].sum())
    sigma = np.sqrt(centre * (1 - centre) / trials)
    if centre in (0.0, 1.0):
        spread = 1.0
    else:
        z = (share[:days] - centre) / sigma[:days]
        spread = max(1.0, float(np.abs(np.diff(z)).mean()) / _D2)
    half = _SIGMAS * sigma * spread
    low, high = np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
    return Chart(share, centre, low, high, (share < low) | (share > high), days)


def ewma_chart(
    values: Float64[np.ndarray, " day"], reference: int = REFERENCE_DAYS, weight: float = WEIGHT
) -> Chart | None:
    """Return the chart of an exponentially weighted moving average of a daily number.

    It remembers: a small shift that lasts shows within days, though no single day stands out.

    Args:
        values: one number a day, finite.
        reference: days that centre and spread are taken from; their spread is the mean moving
            range over 1.128, which a slow trend does not inflate.
        weight: of the newest day, 0 to 1.

    Raises:
        ValueError: a value is not finite, or the weight lies outside its range.
    """
    if not np.isfinite(values).all() or not 0 < weight <= 1:
        msg = "values must be finite and the weight in (0, 1]"
        raise ValueError(msg)
    days = min(reference, len(values))
    if days < LEAST_DAYS:
        return None
    centre = float(values[:days].mean())
    sigma = float(np.abs(np.diff(values[:days])).mean()) / _D2
    smooth = np.empty(len(values))
    last = centre
    for place, value in enumerate(values.tolist()):
        last = weight * value + (1 - weight) * last
        smooth[place] = last
    steps = np.arange(1, len(values) + 1)
    half = _SIGMAS * sigma * np.sqrt(weight / (2 - weight) * (1 - (1 - weight) ** (2 * steps)))
    slack = 1e-12 * max(1.0, abs(centre))  # equal values round differently
    out = np.abs(smooth - centre) > half + slack
    return Chart(smooth, centre, centre - half, centre + half, out, days)
