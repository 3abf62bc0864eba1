"""Tests of exact limits and of the bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nii.evaluate.intervals import (
    Interval,
    Proportion,
    bootstrap,
    clopper_pearson,
    lower_limit,
    upper_limit,
    wider,
)


@pytest.mark.parametrize(
    ("promised", "misses", "threats"),
    [
        *((0.10, misses, n) for misses, n in ((0, 29), (1, 46), (5, 103), (10, 167))),
        *((0.05, misses, n) for misses, n in ((0, 59), (1, 93), (5, 208), (10, 336))),
        *((0.02, misses, n) for misses, n in ((0, 149), (1, 236), (5, 523), (10, 845))),
        *((0.01, misses, n) for misses, n in ((0, 299), (1, 473), (5, 1049), (10, 1693))),
    ],
)
def test_smallest_trial_that_proves_a_miss_rate(promised: float, misses: int, threats: int) -> None:
    """So many threats with so many misses prove the rate with 95 %, and one threat less does not.

    With no miss this is the first n with (1 − rate)^n ≤ 0.05; the rest follows from the binomial.
    """
    enough, too_few = upper_limit(misses, threats), upper_limit(misses, threats - 1)
    assert enough is not None
    assert too_few is not None
    assert enough <= promised < too_few


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 400), st.data())
def test_limits_solve_the_binomial(trials: int, data: st.DataObject) -> None:
    """At the lower limit, k or more successes have exactly the chance left over."""
    successes = data.draw(st.integers(1, trials))
    low = lower_limit(successes, trials, 0.95)
    assert low is not None
    chance = np.asarray([1.0])
    for _ in range(trials):
        chance = np.convolve(chance, [1 - low, low])
    assert chance[successes:].sum() == pytest.approx(0.05, rel=1e-6)


def test_agrees_with_the_beta_quantile() -> None:
    """The search gives what scipy's beta quantile gives, for small and large counts."""
    beta = pytest.importorskip("scipy.stats").beta
    for successes, trials in (
        (1, 1),
        (1, 2),
        (3, 10),
        (99, 100),
        (500, 1000),
        (4321, 20_000),
        (100_000, 200_000),
        (7, 200_000),
    ):
        low = beta.ppf(0.025, successes, trials - successes + 1)
        high = 1.0
        if successes < trials:
            high = beta.ppf(0.975, successes + 1, trials - successes)
        found = clopper_pearson(successes, trials)
        assert found is not None
        assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.data())
def test_interval_holds_the_share(trials: int, data: st.DataObject) -> None:
    """The interval holds the measured share and is the mirror of that of the failures."""
    successes = data.draw(st.integers(0, trials))
    found, mirror = clopper_pearson(successes, trials), clopper_pearson(trials - successes, trials)
    assert found is not None
    assert mirror is not None
    assert 0 <= found.low <= successes / trials <= found.high <= 1
    assert (found.low, found.high) == pytest.approx((1 - mirror.high, 1 - mirror.low))


def test_nothing_is_known_without_trials() -> None:
    """No trial gives no share and no limits, never 0 or 1."""
    assert Proportion(0, 0).value is None
    assert clopper_pearson(0, 0) is None
    assert upper_limit(0, 0) is None


@pytest.mark.parametrize(("successes", "trials"), [(-1, 3), (4, 3)])
def test_impossible_counts_are_refused(successes: int, trials: int) -> None:
    """Counts that cannot be are an error."""
    with pytest.raises(ValueError, match="successes"):
        clopper_pearson(successes, trials)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(0, 99))
def test_bootstrap_holds_the_estimate(values: list[float], seed: int) -> None:
    """The interval holds the statistic of the scans as they are."""
    array = np.asarray(values)

    def mean(drawn: np.ndarray) -> float:
        return float((array * drawn).sum() / drawn.sum())

    found = bootstrap(mean, len(array), np.random.default_rng(seed), repeats=20)
    if found is None:  # nothing varied
        assert len(array) < 4 or np.ptp(array) < 1e-9 or np.unique(array).size < len(array)
        return
    assert found.low - 1e-12 <= array.mean() <= found.high + 1e-12


def test_bootstrap_has_the_width_of_theory() -> None:
    """For a mean the interval is about 3.92 standard errors wide."""
    values = np.random.default_rng(1).normal(size=400)
    found = bootstrap(
        lambda drawn: float((values * drawn).sum() / drawn.sum()),
        len(values),
        np.random.default_rng(2),
        repeats=1000,
    )
    assert found is not None
    expected = 2 * 1.96 * values.std() / np.sqrt(len(values))
    assert found.high - found.low == pytest.approx(expected, rel=0.1)


def test_bootstrap_that_knows_nothing_is_none() -> None:
    """No scans, a statistic that most resamples lack, or one that never varies: no interval."""
    assert bootstrap(lambda _: 1.0, 30, np.random.default_rng(0)) is None
    assert bootstrap(lambda _: 1.0, 0, np.random.default_rng(0)) is None
    assert (
        bootstrap(lambda drawn: 1.0 if (drawn == 1).all() else None, 30, np.random.default_rng(0))
        is None
    )


def test_wider_holds_both() -> None:
    """The wider of two intervals reaches from the lowest to the highest limit."""
    first, second = Interval(0.1, 0.5, "a"), Interval(0.2, 0.7, "b")
    both = wider(first, second)
    assert both is not None
    assert (both.low, both.high) == (0.1, 0.7)
    assert wider(first, None) is first
    assert wider(None, None) is None
