"""Observers: dose helps, steel hides, chance stays chance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nii.simulate import observers
from nii.simulate.observers import ObserverConfig, diameter_mm
from nii.simulate.scanner import ScannerConfig, preset

FEW = ObserverConfig(draws=32, wire_draws=8, contrast_draws=16)


def ignore(_text: str) -> None:
    """Take a step's name."""


def with_photons(photons: float) -> ScannerConfig:
    """Return the single-energy scanner at another dose."""
    scanner = preset("linac_6")
    return replace(scanner, detector=replace(scanner.detector, photons_per_pixel=photons))


@pytest.mark.slow
def test_more_dose_penetrates_deeper_and_never_less() -> None:
    """Each ten times the photons reach at least as deep, and a hundred times clearly deeper."""
    config = replace(FEW, step_mm=50.0)
    depths = [
        observers.penetration(with_photons(photons), config, ignore) for photons in (1e3, 1e4, 1e5)
    ]
    reached = [depth.steel_mm for depth in depths]
    assert reached == sorted(reached)
    assert reached[-1] > reached[0] + 30
    seen = [depth.visible_mm for depth in depths]
    assert seen == sorted(seen)
    assert all(s < r for s, r in zip(seen, reached, strict=True))


@pytest.mark.slow
def test_orientation_is_certain_in_air_and_chance_behind_too_much() -> None:
    """No steel: always right. Two metres of it: one in four, within four standard errors."""
    config = replace(FEW, draws=80)
    scanner = with_photons(1e5)
    assert observers.orientation_share(0.0, scanner, config) == 1.0
    chance = observers.orientation_share(2000.0, scanner, config)
    assert chance == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 80))


def test_noise_cut_at_black_is_noticed() -> None:
    """Without scatter, half of the noise behind much steel is cut; behind little, hardly any."""
    scanner = preset("linac_6")
    bare = replace(scanner, detector=replace(scanner.detector, scatter_fraction=0.0))
    assert observers.black_share(600.0, bare, FEW) > 0.4
    assert observers.black_share(100.0, bare, FEW) < 0.02
    assert observers.black_share(600.0, scanner, FEW) < 0.01


@pytest.mark.parametrize("limit", [-1, 0, 3, 9])
def test_halving_finds_the_last_that_passes(limit: int) -> None:
    """The search agrees with trying all, at both ends too."""
    found = observers.deepest(10, lambda index: index <= limit)
    assert found == (None if limit < 0 else limit)


def test_wire_gauges_are_those_of_the_standard() -> None:
    """Gauge 36 is 0.127 mm, gauge 0 is 8.25 mm (ASTM B258)."""
    assert diameter_mm(36) == pytest.approx(0.127)
    assert diameter_mm(0) == pytest.approx(8.252, abs=1e-3)


@pytest.mark.slow
def test_steel_hides_thin_wires() -> None:
    """Behind steel only thicker wires are found, and something is found in both cases."""
    scanner = preset("linac_6")
    found = [observers.wires(steel, scanner, FEW, ignore) for steel in (0.0, 100.0)]
    assert found[0].gauge is not None
    assert found[1].gauge is not None
    assert diameter_mm(found[1].gauge) > diameter_mm(found[0].gauge)


def test_a_line_is_found_where_it_was_drawn() -> None:
    """Stripes along rows and columns do not distract from a slanted line."""
    rng = np.random.default_rng(0)
    field = rng.normal(0, 1, (96, 72)).astype(np.float32)
    field += rng.normal(0, 3, (96, 1)) + rng.normal(0, 3, (1, 72))
    rows = np.arange(96)
    columns = 20 + 0.3 * rows
    field[rows, np.rint(columns).astype(int)] += 3
    score, line = observers.best_line(field)
    assert score > 8
    assert line == pytest.approx(columns, abs=1.5)


@pytest.mark.slow
def test_false_wires_keep_their_rate() -> None:
    """Above the threshold for one in twenty, so many fresh fields without wire report one."""
    rng = np.random.default_rng(1)
    scores = [
        observers.best_line(rng.normal(size=(96, 72)).astype(np.float32))[0] for _ in range(140)
    ]
    threshold = np.quantile(scores[:80], 0.95)
    assert np.mean(np.asarray(scores[80:]) > threshold) < 0.15


def test_contrast_needs_fewer_millimetres_with_more_dose() -> None:
    """A hundred times the photons show a thinner strip; a black plate shows none."""
    few, many = (observers.contrast_mm(150.0, with_photons(p), FEW) for p in (1e3, 1e5))
    assert few is not None
    assert many is not None
    assert many < few / 2
    assert observers.contrast_mm(1500.0, with_photons(1e4), FEW) is None


def test_crossing_is_interpolated() -> None:
    """The place is on the straight line between neighbours; ends are returned as they are."""
    x = np.asarray([0.0, 10.0, 20.0])
    assert observers.crossing(x, np.asarray([3.0, 2.0, 0.0]), 1.0) == pytest.approx(15)
    assert observers.crossing(x, np.asarray([3.0, 2.0, 2.0]), 1.0) == 20
    assert observers.crossing(x, np.asarray([0.5, 2.0, 2.0]), 1.0) == 0
