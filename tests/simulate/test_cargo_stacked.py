"""Stacked cargo: it stands on the floor or hangs from the roof, and fills its volume."""

from __future__ import annotations

import numpy as np
import pytest

from nii.simulate import cargo_stacked
from nii.simulate.container import Room
from nii.simulate.lots import Lot
from nii.simulate.shapes import PAPER, Shape, extent, mass_kg

ROOM = Room((0.0, 1.3), (-1.15, 1.15), (0.0, 2.3))
STANDING = ("big_bags", "sacks", "bales", "cartons", "frozen", "pallets", "cans", "bottles",
            "crates", "stacks", "panels", "metal_boxes")  # fmt: skip


def made(name: str, density: float, seed: int = 0) -> list[Shape]:
    """Return a room filled by one packing."""
    maker = getattr(cargo_stacked, name)
    shapes: list[Shape] = maker(ROOM, Lot(((PAPER, 1.0),), density), np.random.default_rng(seed))
    return shapes


@pytest.mark.parametrize("name", STANDING)
def test_stacks_stand_on_the_floor(name: str) -> None:
    """The lowest part touches the floor, nothing rises above the roof."""
    parts = np.array([extent(shape) for shape in made(name, 0.4)])
    assert parts[:, 2].min() == pytest.approx(0, abs=0.02)
    assert parts[:, 3].max() <= 2.32


@pytest.mark.parametrize("name", STANDING)
def test_denser_goods_are_heavier(name: str) -> None:
    """The same packing of goods twice as dense weighs more, at most twice as much."""
    light, heavy = (sum(map(mass_kg, made(name, density))) for density in (0.3, 0.6))
    assert 1.2 * light < heavy < 2.01 * light


def test_meat_hangs() -> None:
    """Sides of meat begin under the roof and end above the floor."""
    parts = np.array([extent(shape) for shape in made("carcasses", 1.0)])
    assert parts[:, 2].min() > 0.3
    assert parts[:, 3].max() < 2.3


def test_cartons_fill_their_stack() -> None:
    """Cartons that fill a stack have its volume but for gaps of a few per cent."""
    stack = Room((0.0, 2.0), (-1.0, 1.0), (0.0, 1.0))
    lot = Lot(((PAPER, 1.0),), 0.5)
    shapes = cargo_stacked.stow(stack, (0.5, 0.25), lot, np.random.default_rng(0))
    assert sum(map(mass_kg, shapes)) == pytest.approx(2000, rel=0.08)
