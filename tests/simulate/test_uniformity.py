"""Uniformity: what was put into the open beam comes back, and what is not there is not measured."""

from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import Float32

from nii.scan import Grey, Scan
from nii.simulate import uniformity
from nii.simulate.uniformity import Air, Evenness


def air_scan(
    noise: float = 0.004, rows: float = 0.0, columns: float = 0.0, drift: float = 0.0
) -> Float32[np.ndarray, "height width"]:
    """Return a block of steel in the open beam, with noise and stripes of known size."""
    rng = np.random.default_rng(0)
    plane = np.ones((300, 400)) + drift * (np.arange(400) / 399 - 0.5)
    plane *= 1 + rows * rng.normal(size=(300, 1))
    plane *= 1 + columns * rng.normal(size=(1, 400))
    plane[150:, 100:300] *= 0.3
    return (plane + noise * rng.normal(size=plane.shape)).clip(0).astype(np.float32)


def measured(plane: Float32[np.ndarray, "height width"]) -> Evenness:
    """Return the evenness of a plane that has open beam."""
    air = uniformity.find_air(plane, Grey.TRANSMISSION)
    assert isinstance(air, Air)
    result = uniformity.evenness(plane, air)
    assert isinstance(result, Evenness)
    return result


def test_noise_and_stripes_come_back() -> None:
    """Each of noise, row stripes and column stripes is told from the others within a tenth."""
    result = measured(air_scan(noise=0.004, rows=0.006, columns=0.003))
    assert result.noise == pytest.approx(0.4, rel=0.1)
    assert result.row_stripes == pytest.approx(0.6, rel=0.1)
    assert result.column_stripes == pytest.approx(0.3, rel=0.1)


def test_noise_alone_makes_no_stripes() -> None:
    """Rows of noise differ by chance; what remains beyond it is small."""
    result = measured(air_scan(noise=0.01))
    assert max(result.row_stripes, result.column_stripes, result.uneven) < 0.05
    assert abs(result.drift) < 0.05


def test_drift_comes_back() -> None:
    """A change of 2 % along the scan is 1.75 % between the middles of its outer eighths."""
    result = measured(air_scan(drift=0.02))
    assert result.drift == pytest.approx(1.75, abs=0.1)
    assert result.uneven > 0.3


def test_air_keeps_away_from_objects() -> None:
    """The mask covers the open beam and nothing of the block or right beside it."""
    air = uniformity.find_air(air_scan(), Grey.TRANSMISSION)
    assert isinstance(air, Air)
    assert air.level == pytest.approx(1, abs=0.01)
    assert not air.mask[148:, 98:302].any()
    assert air.mask[:140].mean() > 0.99


def test_no_air_is_said() -> None:
    """A scan that is covered all over has no open beam to measure."""
    reason = uniformity.find_air(air_scan() * np.float32(0.6), Grey.TRANSMISSION)
    assert isinstance(reason, str)
    assert "no open beam" in reason


def test_clipped_air_is_said() -> None:
    """Where white is white, noise cannot be told."""
    plane = np.minimum(air_scan() + np.float32(0.1), np.float32(1))
    air = uniformity.find_air(plane, Grey.DISPLAY)
    assert isinstance(air, Air)
    reason = uniformity.evenness(plane, air)
    assert isinstance(reason, str)
    assert "one grey value" in reason


def test_dead_margins_are_neither_air_nor_object() -> None:
    """White and black margins change neither the air nor what is cut."""
    plane = air_scan()
    plane[:, :40], plane[:, -30:] = 1.0, 0.0
    assert uniformity.live_columns(plane) == slice(40, 370)
    air = uniformity.find_air(plane, Grey.TRANSMISSION)
    assert isinstance(air, Air)
    assert not air.mask[:, :40].any()
    lost = uniformity.losses(Scan(plane[None]), plane)
    assert (lost.cut_sides, lost.cut_top) == ((), False)


def test_losses_are_counted() -> None:
    """Black parts of the object, saturated pixels and cut sides come back."""
    plane = air_scan()
    plane[200:, 100:200] = 0
    plane[100:150, 330:] = 0.2
    plane[:30, :40] = 1.05
    lost = uniformity.losses(Scan(plane[None]), plane)
    assert lost.dark == pytest.approx(100 * 10_000 / 33_500, rel=0.03)
    assert lost.saturated == pytest.approx(100 * 1200 / 120_000, rel=1e-6)
    assert lost.cut_sides == ("right",)
    assert not lost.cut_top
    above = np.ascontiguousarray(plane[::-1])
    assert uniformity.losses(Scan(above[None]), above).cut_top


def test_the_power_of_all_bands_is_the_variance() -> None:
    """Parseval: the spectrum of white deviations adds up to their variance, and is flat."""
    effects = np.random.default_rng(0).normal(0, 0.5, 1000)
    frequency, power = uniformity.power_spectrum(effects)
    assert power.sum() == pytest.approx(0.25, rel=0.1)
    assert frequency[-1] < 0.5
    sine = np.sin(2 * np.pi * 0.25 * np.arange(1000))
    assert abs(frequency[uniformity.power_spectrum(sine)[1].argmax()] - 0.25) < 0.02
