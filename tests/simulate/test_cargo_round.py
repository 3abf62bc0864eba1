"""Round cargo: vessels hold what they should, rings have their bore."""

from __future__ import annotations

import numpy as np
import pytest

from nii.simulate import cargo_round
from nii.simulate.container import Room
from nii.simulate.lots import Lot
from nii.simulate.shapes import LIQUID, PAPER, STEEL, Block, Polygon, Shape, extent, mass_kg

ROOM = Room((0.0, 2.9), (-1.15, 1.15), (0.0, 2.3))
STANDING = ("drums", "ibc", "cylinders", "flexitank", "reels", "rolls", "coils", "cable_drums",
            "pipes", "tyres", "pails")  # fmt: skip


def made(name: str, material: int, density: float) -> list[Shape]:
    """Return a room filled by one packing."""
    maker = getattr(cargo_round, name)
    shapes: list[Shape] = maker(ROOM, Lot(((material, 1.0),), density), np.random.default_rng(2))
    return shapes


@pytest.mark.parametrize("name", STANDING)
def test_round_things_lie_on_the_floor(name: str) -> None:
    """The lowest part touches the floor, nothing rises above the roof or out of the sides."""
    shapes = made(name, PAPER, 0.8)
    parts = np.array([extent(shape) for shape in shapes])
    assert parts[:, 2].min() == pytest.approx(0, abs=0.03)
    assert parts[:, 3].max() <= 2.31
    assert min(shape.y_m[0] for shape in shapes) >= -1.2
    assert max(shape.y_m[1] for shape in shapes) <= 1.2


def test_a_drum_holds_two_hundred_litres() -> None:
    """Water in a drum weighs 140-225 kg, the drum itself 14-30 kg."""
    shapes = made("drums", LIQUID, 1.0)
    pairs = [mass_kg(s) for s in shapes if s.material == LIQUID]
    shells = sum(mass_kg(s) for s in shapes if s.material == STEEL)
    assert all(140 < mass / 2 < 225 for mass in pairs)
    assert 14 < shells / len(pairs) / 2 < 30


def test_a_full_vessel_has_the_section_of_its_level() -> None:
    """Liquid in a lying vessel never exceeds the cylinder that just fits the room."""
    room = Room((0.0, 5.0), (-1.0, 1.0), (0.5, 2.5))
    for seed in range(4):
        lot = Lot(((LIQUID, 1.0),), 1.0)
        shapes = cargo_round.liquid(room, lot, np.random.default_rng(seed))
        assert 1000 < sum(map(mass_kg, shapes)) < 1000 * np.pi * 5
        assert max(extent(shape)[3] for shape in shapes) <= 2.5


def test_coils_and_pipes_are_hollow() -> None:
    """Coils show a hole towards the source, pipes have a wall thinner than their radius."""
    coils = [s for s in made("coils", STEEL, 7.0) if isinstance(s, Polygon) and s.material == STEEL]
    assert coils
    assert all(len(coil.outlines_m) == 2 for coil in coils)
    pipes = [s for s in made("pipes", STEEL, 7.85) if isinstance(s, Block) and s.form == "lying"]
    assert pipes
    assert all(0 < pipe.wall_m < (pipe.z_m[1] - pipe.z_m[0]) / 2 for pipe in pipes)
