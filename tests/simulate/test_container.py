"""Container: outer dimensions, clear space and the weight of walls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nii.simulate.container import Body, Container, build, room
from nii.simulate.geometry import PARALLEL_M, Geometry
from nii.simulate.shapes import Block, extent, project


@pytest.mark.parametrize("doors_right", [False, True])
@pytest.mark.parametrize("body", ["dry", "reefer", "tank"])
def test_a_container_keeps_its_outer_dimensions(body: Body, *, doors_right: bool) -> None:
    """All parts lie within the ISO envelope, but for door gear of 3 cm."""
    box = Container((2.0, 8.058), (1.2, 3.791), body, doors_right)
    parts = np.array([extent(s) for s in build(box, np.random.default_rng(0))])
    assert parts[:, 0].min() == pytest.approx(2.0, abs=0.03)
    assert parts[:, 1].max() == pytest.approx(8.058, abs=0.03)
    assert parts[:, 2].min() == pytest.approx(1.2, abs=0.03)
    assert parts[:, 3].max() == pytest.approx(3.791, abs=0.03)


def test_two_walls_have_the_areal_density_of_their_sheets() -> None:
    """An empty dry box shows 2.5 to 3.7 g/cm2 in the middle: two sheets of 1.6-2.1 mm."""
    box = Container((0.0, 6.058), (0.0, 2.591), "dry", doors_right=True)
    sag = np.zeros(600, np.float32)
    view = Geometry(260, 600, (0.01, 0.01), 0.0, 2.6, PARALLEL_M, 1.5, 0.0, False, sag)  # noqa: FBT003
    grid = project(build(box, np.random.default_rng(1)), view, np.random.default_rng(1))
    assert 2.5 < float(np.median(grid.sum(0)[100:200, 100:500])) < 3.7


@pytest.mark.parametrize("body", ["dry", "reefer", "tank"])
def test_the_clear_space_lies_inside(body: Body) -> None:
    """Cargo space is smaller than the container on every side."""
    box = Container((2.0, 14.192), (1.2, 4.096), body, doors_right=True)
    space = room(box)
    assert box.x_m[0] < space.x_m[0] < space.x_m[1] < box.x_m[1]
    assert box.z_m[0] < space.z_m[0] < space.z_m[1] < box.z_m[1]
    assert box.y_m[0] < space.y_m[0] < space.y_m[1] < box.y_m[1]


@pytest.mark.parametrize("body", ["van", "flat", "wagon", "gondola", "hopper", "vessel"])
def test_other_bodies_have_a_clear_space(body: Body) -> None:
    """Every body holds its load inside; only ISO containers are built here."""
    box = Container((2.0, 15.6), (1.2, 4.2), body, doors_right=True, width_m=2.9)
    space = room(box)
    assert box.x_m[0] < space.x_m[0] < space.x_m[1] < box.x_m[1]
    assert box.y_m[0] < space.y_m[0] < space.y_m[1] < box.y_m[1]
    assert box.z_m[0] <= space.z_m[0] < space.z_m[1] < box.z_m[1]
    with pytest.raises(ValueError, match="no ISO container"):
        build(box, np.random.default_rng(0))


def test_containers_weigh_what_they_are(ledger: dict[str, Any]) -> None:
    """The image weighs what the steel weighs; tares are near those of real containers."""
    limits = {
        "dry_20_2.591": (1900, 2500),
        "dry_40_2.591": (3300, 4300),
        "dry_40_2.896": (3400, 4500),
        "dry_45_2.896": (3800, 5000),
        "reefer": (2700, 3700),
        "tank": (2600, 4300),
    }
    for name, (low, high) in limits.items():
        entry = ledger["structures"][name]
        assert entry["seen_kg"] == pytest.approx(entry["said_kg"], rel=0.01), name
        assert low < entry["said_kg"] < high, (name, entry["said_kg"])


def test_ventilators_show_by_their_edges() -> None:
    """One dry box in five or so has a hood on a wall, with edges of 4 to 7 g/cm2."""
    box, seen = Container((0.0, 6.058), (0.0, 2.591), "dry", doors_right=True), 0
    for seed in range(60):
        walls = [
            part
            for part in build(box, np.random.default_rng(seed))
            if isinstance(part, Block) and min(abs(y) for y in part.y_m) > 1.16
        ]
        edges = [part for part in walls if part.y_m[1] - part.y_m[0] == pytest.approx(0.036)]
        assert len(edges) % 3 == 0
        seen += bool(edges)
        for part in edges:
            through = 100 * (part.y_m[1] - part.y_m[0]) * part.density_g_per_cm3
            assert 4 < through < 7
            assert max(abs(y) for y in part.y_m) < box.width_m / 2
            assert min(part.x_m[1] - part.x_m[0], part.z_m[1] - part.z_m[0]) < 0.03
    assert 6 <= seen <= 30
