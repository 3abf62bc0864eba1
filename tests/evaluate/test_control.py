"""Tests of the control charts: they stay silent on chance, and cry out on change."""

from __future__ import annotations

import numpy as np
import pytest

from nii.evaluate import control


def test_p_chart_has_the_binomial_limits_where_days_vary_by_chance_alone() -> None:
    """Constant counts vary less than chance, so the limits are p ± 3 sqrt(p (1 − p) / n)."""
    counted, trials = np.full(30, 20), np.full(30, 100)
    chart = control.p_chart(counted, trials)
    assert chart is not None
    assert chart.centre == pytest.approx(0.2)
    assert chart.high[0] == pytest.approx(0.2 + 3 * 0.04)
    assert chart.low[0] == pytest.approx(0.2 - 3 * 0.04)
    assert not chart.out.any()


def test_p_chart_is_wider_on_days_with_fewer_scans() -> None:
    """Four times the trials halve the distance to the limit."""
    trials = np.asarray([100, 400] * 10)
    chart = control.p_chart(trials // 4, trials)
    assert chart is not None
    assert chart.high[0] - 0.25 == pytest.approx(2 * (chart.high[1] - 0.25))


def test_p_chart_rarely_cries_out_on_chance(rng: np.random.Generator) -> None:
    """Of 2,000 days of pure chance, fewer than one in a hundred lies outside three sigmas."""
    trials = rng.integers(100, 900, 2000)
    chart = control.p_chart(rng.binomial(trials, 0.15), trials, reference=1000)
    assert chart is not None
    assert chart.out.mean() < 0.01


def test_p_chart_bears_the_variation_that_a_site_always_had(rng: np.random.Generator) -> None:
    """Where cargo differs from day to day, chance alone would cry out often, and p′ seldom."""
    trials = np.full(600, 5000)
    counted = rng.binomial(trials, np.clip(rng.normal(0.2, 0.03, 600), 0, 1))
    chart = control.p_chart(counted, trials, reference=200)
    assert chart is not None
    chance = 3 * np.sqrt(0.2 * 0.8 / 5000)
    assert (np.abs(counted / trials - 0.2) > chance).mean() > 0.3
    assert chart.out.mean() < 0.02


def test_p_chart_sees_a_jump(rng: np.random.Generator) -> None:
    """Alarms that double after the reference days lie outside."""
    trials = np.full(40, 300)
    share = np.where(np.arange(40) < 25, 0.1, 0.2)
    chart = control.p_chart(rng.binomial(trials, share), trials)
    assert chart is not None
    assert chart.out[25:].mean() > 0.8
    assert not chart.out[:20].any()


def test_ewma_limits_follow_the_rule() -> None:
    """Half-widths start at 3 sigma times the weight and end at 3 sigma sqrt(w / (2 − w))."""
    values = np.asarray([0.0, 1.128] * 50)  # every moving range is 1.128: sigma is 1
    chart = control.ewma_chart(values)
    assert chart is not None
    assert chart.high[0] - chart.centre == pytest.approx(3 * 0.2)
    assert chart.high[-1] - chart.centre == pytest.approx(3 * np.sqrt(0.2 / 1.8))


def test_ewma_sees_a_small_shift_that_no_single_day_shows(rng: np.random.Generator) -> None:
    """A shift of one sigma is found within twenty days, while its days stay within three sigmas."""
    values = rng.normal(0, 1, 60)
    values[30:] += 1.5
    values = np.clip(values, -2.9, 2.9)
    chart = control.ewma_chart(values, reference=30)
    assert chart is not None
    assert chart.out[30:50].any()
    assert not chart.out[:30].any()


def test_ewma_seldom_cries_out_on_chance(rng: np.random.Generator) -> None:
    """Over 200 runs of pure chance, fewer than one day in twenty lies outside."""
    outside = []
    for _ in range(200):
        chart = control.ewma_chart(rng.normal(0, 1, 80))
        assert chart is not None
        outside.append(chart.out[20:].mean())
    assert np.mean(outside) < 0.05


@pytest.mark.parametrize("value", [0.0, 0.3, 1e6])
def test_ewma_of_equal_days_is_silent(value: float) -> None:
    """Days that are all the same are never out of control, whatever the rounding."""
    chart = control.ewma_chart(np.full(100, value))
    assert chart is not None
    assert not chart.out.any()


def test_short_references_give_no_limits() -> None:
    """Nine days are too few to say what is normal."""
    assert control.p_chart(np.ones(9, np.int64), np.full(9, 10)) is None
    assert control.ewma_chart(np.ones(9)) is None


def test_impossible_counts_are_refused() -> None:
    """More successes than trials, a day without trials or an infinite value is an error."""
    ten = np.full(10, 10)
    for counted, trials in ((ten + 1, ten), (ten * 0, ten * 0)):
        with pytest.raises(ValueError, match="trials"):
            control.p_chart(counted, trials)
    with pytest.raises(ValueError, match="finite"):
        control.ewma_chart(np.asarray([np.nan] * 20))
