"""Loads: goods fit their body, chapters follow the goods, hollows stay empty."""

from __future__ import annotations

import numpy as np
import pytest

from nii.simulate.cargo import goods
from nii.simulate.container import Body, Container
from nii.simulate.loads import Hollow, Loaded, LoadShares, boxes_of, load
from nii.simulate.shapes import STEEL, Block, Polygon, disc, mass_kg

FULL = LoadShares(empty=0.0, partial=0.0)


def body(kind: Body, long: float = 6.058) -> Container:
    """Return a body of one kind."""
    return Container((2.0, 2.0 + long), (1.2, 3.9), kind, doors_right=True)


@pytest.mark.parametrize("kind", ["dry", "reefer", "van", "flat", "gondola", "hopper", "wagon"])
def test_goods_belong_into_their_body(kind: Body) -> None:
    """Every body carries goods of its own kind of place, with their chapters, within 70 t."""
    place = {"dry": "box"}.get(kind, kind)
    one = load(body(kind), FULL, np.random.default_rng(3))
    assert one.state == "full"
    assert one.cargo
    for name in one.goods:
        assert place in goods()[name].places
        assert goods()[name].hs_chapter in one.hs_chapters
    assert sum(map(mass_kg, one.cargo)) < 71e3


@pytest.mark.parametrize("kind", ["tank", "vessel"])
def test_liquid_stays_in_its_vessel(kind: Body) -> None:
    """What a tank holds lies inside its clear space, and is a liquid."""
    seen = 0
    for seed in range(5):
        one = load(body(kind), FULL, np.random.default_rng(seed))
        assert one.state == "tank"
        if not one.cargo:
            continue
        seen += 1
        assert one.boxes_m[:, 4].min() >= one.room.z_m[0] - 1e-6
        assert one.boxes_m[:, 5].max() <= one.room.z_m[1] + 1e-6
        assert set(one.hs_chapters) <= {"27", "29"}
    assert seen


@pytest.mark.parametrize("hollow", ["false_wall", "false_floor"])
def test_a_hollow_takes_from_the_room(hollow: str) -> None:
    """Cavity and room do not overlap and lie side by side."""
    kind: Hollow = "false_wall" if hollow == "false_wall" else "false_floor"
    one = load(body("dry"), LoadShares(empty=1.0), np.random.default_rng(0), kind)
    assert one.hollow is not None
    if kind == "false_floor":
        assert one.hollow.z_m[1] < one.room.z_m[0] < one.hollow.z_m[1] + 0.05
    else:
        assert one.hollow.x_m[1] < one.room.x_m[0] < one.hollow.x_m[1] + 0.1


def test_extents_are_those_of_the_shapes() -> None:
    """A body computes the extents of its goods unless they are given."""
    block = Block((0.0, 1.0), (2.0, 3.0), (4.0, 5.0), STEEL, 1.0)
    plate = Polygon(disc((1.0, 1.0), 1.0), (0.0, 0.5), STEEL, 1.0)
    one = Loaded(body("dry"), "full", load(body("dry"), FULL, np.random.default_rng(0)).room,
                 (block, plate))  # fmt: skip
    assert one.boxes_m == pytest.approx(np.array([[0, 1, 2, 3, 4, 5], [0, 2, 0, 0.5, 0, 2]]))
    assert boxes_of([]).shape == (0, 6)
