"""Long cargo: it lies along the room, on the floor or on bearers, and is strapped at the sides."""

from __future__ import annotations

import numpy as np
import pytest

from nii.simulate import cargo_long
from nii.simulate.container import Room
from nii.simulate.lots import Lot
from nii.simulate.shapes import PAPER, Shape, extent

ROOM = Room((0.0, 6.0), (-1.15, 1.15), (0.0, 2.3))


def made(name: str, seed: int = 0) -> list[Shape]:
    """Return a room filled by one packing."""
    maker = getattr(cargo_long, name)
    shapes: list[Shape] = maker(ROOM, Lot(((PAPER, 1.0),), 0.6), np.random.default_rng(seed))
    return shapes


@pytest.mark.parametrize("name", ["logs", "boards", "bars", "beams"])
def test_long_goods_lie_along_the_room(name: str) -> None:
    """The longest part is much longer than high; all rest on the floor and stay inside."""
    parts = np.array([extent(shape) for shape in made(name)])
    assert (parts[:, 1] - parts[:, 0]).max() > 1.9
    assert parts[:, 2].min() == pytest.approx(0, abs=0.01)
    assert parts[:, 3].max() <= 2.31
    assert parts[:, 1].max() <= 6.01


def test_slabs_stand_on_edge() -> None:
    """Slabs are higher than thick and do not reach the roof."""
    parts = np.array([extent(shape) for shape in made("slabs")])
    upright = (parts[:, 3] - parts[:, 2]) > 20 * (parts[:, 1] - parts[:, 0])
    assert upright.sum() > 5
    assert parts[:, 3].max() < 2.0


def test_straps_run_along_both_sides() -> None:
    """Webbing lies outside the load, nearer and farther than it."""
    near = [shape.y_m[0] for shape in cargo_long.straps(ROOM, np.random.default_rng(0))]
    assert min(near) < -1.15 < 1.15 < max(near)
