"""Shapes: mass is kept by projection, and path lengths are those of solid geometry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nii.simulate.geometry import PARALLEL_M, Geometry
from nii.simulate.shapes import (
    BASIS,
    LIQUID,
    STEEL,
    Block,
    Form,
    Polygon,
    Shape,
    disc,
    extent,
    mirror,
    project,
)


def view(distance: float = PARALLEL_M, *, skew: float = 0.0) -> Geometry:
    """Return a view of 2 x 3 m at 5 mm a pixel; the source is 1 m high."""
    sag = np.zeros(600, np.float32)
    return Geometry(400, 600, (0.005, 0.005), 0.0, 2.0, distance, 1.0, skew, False, sag)  # noqa: FBT003


def draw(shape: Shape, geometry: Geometry) -> np.ndarray:
    """Return the areal density of one shape of steel."""
    return np.asarray(project([shape], geometry, np.random.default_rng(0))[STEEL])


def grams(plane: np.ndarray) -> float:
    """Return the mass of what is seen in a parallel view, in g."""
    return float(plane.sum() * 0.5 * 0.5)


@pytest.mark.parametrize(
    ("form", "volume_m3"),
    [
        ("cuboid", 0.5 * 0.4 * 0.4),
        ("lying", np.pi * 0.2**2 * 0.5),
        ("upright", np.pi / 4 * 0.5 * 0.4 * 0.4),
    ],
)
@pytest.mark.parametrize("skew", [0.0, 0.05])
def test_projection_keeps_mass(form: Form, volume_m3: float, skew: float) -> None:
    """The areal density of a body adds up to volume times density, off the pixel grid too."""
    body = Block((1.0013, 1.5013), (-0.2, 0.2), (0.8027, 1.2027), STEEL, 2.0, form)
    found = grams(draw(body, view(skew=skew)))
    assert found == pytest.approx(volume_m3 * 2.0 * 1e6, rel=0.01)


def test_a_wall_is_seen_as_thick_as_it_is() -> None:
    """A plate of 2 mm steel across a parallel beam has 1.57 g/cm2."""
    plate = Block((1.0, 2.0), (0.3, 0.302), (0.5, 1.5), STEEL, 7.85)
    assert draw(plate, view())[200, 300] == pytest.approx(1.57, rel=1e-4)


def test_a_flat_roof_is_crossed_obliquely() -> None:
    """A thin horizontal plate in a fan beam has the path thickness / sin(slope)."""
    geometry = view(5.0)
    roof = Block((1.0, 2.0), (-1.0, 1.0), (1.7, 1.702), STEEL, 7.85)
    plane = draw(roof, geometry)
    row = int(geometry.row(np.array([1.701]), 0.0)[0])
    slope = float(geometry.slope(np.array([row + 0.5]))[0])
    expected = 0.2 * 7.85 / np.sin(np.arctan(slope))
    assert plane[row, 300] == pytest.approx(expected, rel=0.01)


def test_a_hollow_cylinder_is_a_difference() -> None:
    """A pipe is the full cylinder without its bore."""
    pipe = Block((1.0, 2.0), (-0.2, 0.2), (0.8, 1.2), STEEL, 1.0, "lying", 0.05)
    full = replace(pipe, wall_m=0.0)
    bore = Block((1.0, 2.0), (-0.15, 0.15), (0.85, 1.15), STEEL, 1.0, "lying")
    difference = draw(full, view()) - draw(bore, view())
    np.testing.assert_allclose(draw(pipe, view()), difference, atol=0.6)
    assert grams(draw(pipe, view())) == pytest.approx(grams(difference), rel=0.01)


def test_a_polygon_has_its_area_and_hole() -> None:
    """A ring of 10 cm depth weighs what a ring weighs."""
    ring = Polygon(disc((1.5, 1.0), 0.4, 0.2), (-0.05, 0.05), STEEL, 3.0)
    expected = np.pi * (0.4**2 - 0.2**2) * 0.1 * 3.0 * 1e6
    assert grams(draw(ring, view())) == pytest.approx(expected, rel=0.02)
    assert draw(ring, view())[200, 300] == 0


def test_shapes_add_up() -> None:
    """Two bodies of different materials stay apart; of the same material they add."""
    one = Block((1.0, 2.0), (-0.1, 0.1), (0.5, 1.5), STEEL, 1.0)
    other = replace(one, material=LIQUID)
    grid = project([one, one, other], view(), np.random.default_rng(0))
    assert grid.shape == (len(BASIS), 400, 600)
    assert grid[STEEL, 200, 300] == pytest.approx(2 * grid[LIQUID, 200, 300])


def test_sag_shifts_columns() -> None:
    """A sag of three pixels moves a picture down by three pixels."""
    body = Block((1.0, 2.0), (-0.1, 0.1), (0.5, 1.5), STEEL, 1.0)
    flat = view()
    low = replace(flat, sag_px=np.full(600, 3, np.float32))
    np.testing.assert_allclose(draw(body, low)[3:], draw(body, flat)[:-3], atol=1e-4)


def test_mirror_turns_extent_round() -> None:
    """What began at 1 m before the mirror ends 1 m behind it."""
    shapes: list[Shape] = [
        Block((1.0, 2.0), (-0.1, 0.1), (0.5, 1.5), STEEL, 1.0),
        Polygon(disc((1.5, 1.0), 0.5), (0.0, 0.1), STEEL, 1.0),
    ]
    for shape in mirror(shapes, 3.0):
        assert extent(shape)[:2] == pytest.approx((4, 5))
