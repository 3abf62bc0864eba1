"""Loose and assembled cargo: heaps lie, stacks stand, nothing floats."""

from __future__ import annotations

import numpy as np
import pytest

from nii.simulate import cargo_loose
from nii.simulate.container import Room
from nii.simulate.lots import Lot
from nii.simulate.shapes import PAPER, Polygon, Shape, extent, mass_kg

ROOM = Room((0.0, 2.2), (-1.15, 1.15), (0.0, 2.3))


def made(name: str, seed: int = 0) -> list[Shape]:
    """Return a room filled by one packing."""
    maker = getattr(cargo_loose, name)
    shapes: list[Shape] = maker(ROOM, Lot(((PAPER, 1.0),), 0.4), np.random.default_rng(seed))
    return shapes


@pytest.mark.parametrize(
    "name", ["bulk", "scrap", "machinery", "household", "furniture", "appliances"]
)
def test_loose_goods_rest_on_the_floor(name: str) -> None:
    """The lowest part touches the floor and nothing leaves the room."""
    for seed in range(1):
        parts = np.array([extent(shape) for shape in made(name, seed)])
        assert parts[:, 2].min() == pytest.approx(0, abs=0.02)
        assert parts[:, 3].max() <= 2.31
        assert parts[:, 0].min() >= -0.05
        assert parts[:, 1].max() <= 2.25


def test_pieces_of_scrap_lie_in_their_heap() -> None:
    """No piece rises above the highest point of the body of small pieces."""
    shapes = made("scrap")
    heap = extent(shapes[0])[3]
    assert max(extent(shape)[3] for shape in shapes) <= heap + 1e-6


@pytest.mark.parametrize("name", ["household", "furniture"])
def test_boxes_stand_on_boxes(name: str) -> None:
    """Every box has the floor or the top of something else right under it."""
    parts = np.array([extent(shape) for shape in made(name)])
    for x0, x1, z0, z1 in parts:
        under = (parts[:, 0] < x1) & (parts[:, 1] > x0) & (parts[:, 2] < z1)
        gap = z0 - np.minimum(parts[under][:, 3], z0).max(initial=0.0)
        inside = ((parts[:, 2] < z0) & (parts[:, 3] >= z0) & under).any()
        assert z0 < 0.13 or gap < 0.08 or inside


def test_bulk_keeps_its_density() -> None:
    """A heap of 0.4 g/cm3 weighs at most what the room holds, and fills it wall to wall."""
    shapes = made("bulk")
    assert all(isinstance(shape, Polygon) for shape in shapes)
    assert 200 < sum(map(mass_kg, shapes)) < 400 * 2.2 * 2.3 * 2.3
    assert min(s.y_m[0] for s in shapes) == pytest.approx(-1.15)
    assert max(s.y_m[1] for s in shapes) == pytest.approx(1.15)
