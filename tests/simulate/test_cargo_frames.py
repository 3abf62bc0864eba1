"""Frames, garments and gear: thin bars at angles, inside their room, light enough to be left."""

from __future__ import annotations

import numpy as np
import pytest

from nii.simulate import cargo_frames, container
from nii.simulate.container import Container, Room
from nii.simulate.lots import Lot
from nii.simulate.shapes import PAPER, STEEL, Polygon, Shape, bar, extent, mass_kg

ROOM = Room((1.0, 6.9), (-1.17, 1.17), (1.4, 3.7))


def slants(shapes: list[Shape]) -> list[float]:
    """Return how steep the bars are that lie neither flat nor upright, in degrees."""
    found = []
    for shape in shapes:
        if isinstance(shape, Polygon) and len(shape.outlines_m[0]) == 4:
            along = shape.outlines_m[0][1] - shape.outlines_m[0][0]
            angle = np.degrees(np.arctan2(abs(along[1]), abs(along[0])))
            found += [float(angle)] if 2 < angle < 88 else []
    return found


def test_racks_have_diagonals_in_every_frame() -> None:
    """Each of several frames in depth has slanted tubes; none leaves the room."""
    lot = Lot(((STEEL, 1.0),), 3.0)
    shapes = cargo_frames.racks(ROOM, lot, np.random.default_rng(0))
    assert len(slants(shapes)) >= 6
    assert len({shape.y_m for shape in shapes}) >= 3
    parts = np.array([extent(shape) for shape in shapes])
    assert parts[:, 0].min() >= ROOM.x_m[0] - 0.03
    assert parts[:, 1].max() <= ROOM.x_m[1] + 0.03
    assert parts[:, 3].max() <= ROOM.z_m[1] + 0.03


def test_garments_hang_free_of_the_floor() -> None:
    """Cloth hangs below a rail near the roof, and its hooks are of steel."""
    lot = Lot(((PAPER, 1.0),), 0.1)
    shapes = cargo_frames.garments(ROOM, lot, np.random.default_rng(1))
    cloth = [shape for shape in shapes if shape.material == PAPER]
    assert len(cloth) > 20
    assert min(extent(shape)[2] for shape in cloth) > ROOM.z_m[0] + 0.05
    assert sum(shape.material == STEEL for shape in shapes) > 40


def test_gear_is_what_a_driver_can_carry() -> None:
    """Gear stays in the room; every load of it weighs less than 150 kg, and some draws are none."""
    weights = []
    for seed in range(60):
        shapes = cargo_frames.gear(ROOM, np.random.default_rng(seed))
        weights.append(sum(map(mass_kg, shapes)))
        for shape in shapes:
            x0, x1, low, top = extent(shape)
            assert ROOM.x_m[0] <= x0
            assert x1 <= ROOM.x_m[1]
            assert low >= ROOM.z_m[0] - 0.1
            assert top <= ROOM.z_m[1]
            assert ROOM.y_m[0] - 1e-9 <= shape.y_m[0] < shape.y_m[1] <= ROOM.y_m[1] + 1e-9
    assert max(weights) < 150
    assert min(weights) == 0
    assert np.median(weights) > 1


def test_gear_in_a_short_room_is_what_fits() -> None:
    """A room of half a metre holds no ladder; what does not fit is not there."""
    tight = Room((0.0, 0.5), (-1.0, 1.0), (0.0, 2.3))
    for seed in range(40):
        for shape in cargo_frames.gear(tight, np.random.default_rng(seed)):
            assert extent(shape)[1] <= 0.5


def test_tanks_stand_in_braced_frames() -> None:
    """Bars at a slant hold a tank at all four lower and upper corners or at the lower ones."""
    box = Container((0.0, 6.058), (0.0, 2.591), "tank", doors_right=True)
    braced = slants(container.build(box, np.random.default_rng(3)))
    assert sum(10 < angle < 80 for angle in braced) >= 6


def test_a_bar_is_as_wide_as_asked_at_any_slant() -> None:
    """Area is length times width; a bar without a length is refused."""
    made = bar((0.0, 0.0), (0.3, 0.4), 0.02, (0.0, 0.1), STEEL, 7.85)
    assert mass_kg(made) == pytest.approx(0.5 * 0.02 * 0.1 * 7850, rel=1e-6)
    with pytest.raises(ValueError, match="no direction"):
        bar((1.0, 1.0), (1.0, 1.0), 0.02, (0.0, 0.1), STEEL, 7.85)
