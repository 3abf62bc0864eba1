"""Vehicles as cargo: mass and size of their kind, wheels on the ground."""

from __future__ import annotations

import numpy as np
import pytest

from nii.simulate.cargo_vehicles import car, cars, farm_tractors, motorcycle, motorcycles, weigh
from nii.simulate.container import Room
from nii.simulate.lots import Lot
from nii.simulate.shapes import STEEL, Polygon, disc, extent, mass_kg

LOT = Lot(((STEEL, 1.0),), 1.0)


def test_a_car_weighs_and_measures_like_one() -> None:
    """1.1-1.7 t, 3.9-4.7 m long, 1.4-1.8 m high, wheels at z = 0."""
    for seed in range(3):
        parts = car(np.random.default_rng(seed))
        boxes = np.array([extent(part) for part in parts])
        assert 1100 <= sum(map(mass_kg, parts)) <= 1701
        assert 3.85 < np.ptp(boxes[:, :2]) < 4.75
        assert 1.38 < boxes[:, 3].max() < 1.8
        assert boxes[:, 2].min() == pytest.approx(0, abs=0.01)


def test_a_motorcycle_weighs_like_one() -> None:
    """100-200 kg on two wheels."""
    parts = motorcycle(0.5, np.random.default_rng(0))
    assert 100 <= sum(map(mass_kg, parts)) <= 200
    assert min(extent(part)[2] for part in parts) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("maker", [cars, motorcycles, farm_tractors])
def test_vehicles_do_not_overlap_along_the_room(maker: object) -> None:
    """A longer room holds more of them; a room that is too short holds none."""
    assert callable(maker)
    counts = [
        len(maker(Room((0.0, long), (-1.15, 1.15), (0.0, 2.4)), LOT, np.random.default_rng(0)))
        for long in (1.5, 5.0, 9.9)
    ]
    assert counts[0] == 0 < counts[1] < counts[2]


def test_weighing_scales_all_parts() -> None:
    """Parts keep their proportions and add up to the mass asked for."""
    parts = [Polygon(disc((0.0, 0.0), r), (0.0, 0.1), STEEL, 2.0) for r in (0.1, 0.2)]
    first, second = weigh(parts, 50.0)
    assert mass_kg(first) + mass_kg(second) == pytest.approx(50)
    assert mass_kg(second) == pytest.approx(4 * mass_kg(first))
