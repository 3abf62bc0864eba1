"""Placement: things stand on something, inside, and not in the same place as steel."""

from __future__ import annotations

import numpy as np
import pytest

from nii.simulate.container import Container, Room
from nii.simulate.hidden import Cuboid, Threat, rectangle
from nii.simulate.loads import Loaded, Plan
from nii.simulate.placement import common, displaced, put, stands, top_of
from nii.simulate.shapes import PAPER, STEEL, Block, Polygon, Shape, mass_kg

ROOM = Room((0.0, 6.0), (-1.1, 1.1), (1.0, 3.3))
BODY = Container((-0.1, 6.1), (0.9, 3.5), "dry", doors_right=True)
STACK = Block((1.0, 3.0), (-1.0, 1.0), (1.0, 2.0), PAPER, 0.4)
COIL = Block((4.0, 5.0), (-1.0, 1.0), (1.0, 2.0), STEEL, 7.0)


def hold(*cargo: Shape) -> Loaded:
    """Return a body with some goods."""
    return Loaded(BODY, "full", ROOM, cargo)


def at(x: float, z: float, size: float = 0.2) -> Cuboid:
    """Return a cube that begins at x, z, in the middle of the room."""
    return (x, x + size), (-size / 2, size / 2), (z, z + size)


@pytest.mark.parametrize(
    ("x", "z", "expected"),
    [
        (0.3, 1.0, True),  # on the floor
        (0.3, 1.5, False),  # in the air
        (1.5, 2.0, True),  # on the stack
        (2.95, 2.0, False),  # over the edge of the stack
        (1.5, 1.4, True),  # deep in the stack
        (0.9, 1.4, True),  # half in the stack
        (0.82, 1.4, False),  # mostly beside it
        (5.9, 1.0, False),  # through the wall
        (0.3, 3.2, False),  # through the roof
        (0.3, 0.9, False),  # under the floor
    ],
)
def test_what_is_not_supported_is_refused(x: float, z: float, *, expected: bool) -> None:
    """On the floor, on the load, or at least half inside it; never beyond the room."""
    one = hold(STACK)
    box = at(x, z)
    assert stands(box, one, displaced(box, one) or []) == expected


def test_soft_goods_give_way_and_steel_does_not() -> None:
    """A cube in cartons takes its own volume of them away; one in a coil cannot be."""
    gone = displaced(at(1.5, 1.4), hold(STACK, COIL))
    assert gone is not None
    assert sum(map(mass_kg, gone)) == pytest.approx(0.2**3 * 400)
    assert displaced(at(4.5, 1.4), hold(STACK, COIL)) is None
    assert displaced(at(3.4, 1.4), hold(STACK, COIL)) == []
    assert common(STACK, at(3.4, 1.4)) == []


def test_plates_give_way_only_where_they_hold_the_whole_box() -> None:
    """Bulk gives way inside; a box that sticks out of its slope is refused, one beside is free."""
    heap = Polygon(
        (np.array([(1.0, 2.0), (2.0, 2.0), (3.0, 1.0), (1.0, 1.0)]),), (-1.0, 1.0), PAPER, 0.5
    )
    one = hold(heap)
    inside = displaced(at(1.4, 1.4), one)
    assert inside is not None
    assert len(inside) == 1
    assert displaced(at(2.3, 1.6), one) is None
    assert displaced(at(2.75, 1.7), one) == []
    assert top_of(one, at(1.4, 2.5)) == pytest.approx(2.0)


def test_the_top_of_a_load_is_seen_from_above() -> None:
    """Over a stack its top, over bare floor nothing."""
    one = hold(STACK, COIL)
    assert top_of(one, at(1.5, 3.0)) == 2.0
    assert top_of(one, at(3.4, 3.0)) is None


def test_many_placements_stand() -> None:
    """Whatever is put somewhere lies inside, is supported and keeps clear of what is taken."""
    one = hold(STACK, COIL)
    plan = Plan((), (one,), (0.0, 6.0), (0.0, 3.5), None, 0.9)
    parcel = Threat("brick", "single", (Polygon((rectangle(-0.1, -0.05, 0.1, 0.05),), (-0.1, 0.1),
                                                PAPER, 1.0),))  # fmt: skip
    rng = np.random.default_rng(0)
    found = [placed for placed in (put(parcel, plan, [], rng) for _ in range(40)) if placed]
    assert len(found) > 15
    for placed in found:
        box = placed.threat.box_m
        assert stands(box, one, placed.displaced)
        assert not (box[0][1] > 4.01 and box[0][0] < 4.99 and box[2][0] < 1.99)
    everywhere = [((-9.0, 9.0), (-9.0, 9.0), (-9.0, 9.0))]
    assert put(parcel, plan, everywhere, rng) is None
