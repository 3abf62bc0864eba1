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
    mass_kg,
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


SOLIDS: list[Shape] = [
    Block((1.0013, 1.5013), (-0.4, 0.3), (0.8027, 1.2027), STEEL, 2.0, form)
    for form in ("cuboid", "pillow")
]
SOLIDS += [
    Block((1.0013, 1.4013), (-0.3, 0.1), (0.8027, 1.2027), STEEL, 2.0, "upright", wall)
    for wall in (0.0, 0.0012)
]
SOLIDS += [
    Block((1.0013, 1.5013), (-0.3, 0.1), (0.8027, 1.2027), STEEL, 2.0, "lying", wall)
    for wall in (0.0, 0.002)
]
SOLIDS += [
    Block((1.0013, 1.5013), (-1.1, 1.1), (1.3021, 1.3041), STEEL, 7.85),
    Block((1.0013, 1.9), (-1.2, -1.198), (0.6, 1.4), STEEL, 7.85, ripple_m=0.278),
    Block((1.0013, 1.9), (-0.5, 0.5), (0.6, 1.4), STEEL, 0.5, mottle=0.4),
    Polygon(disc((1.5, 1.0), 0.3, 0.2), (-0.5, 0.5), STEEL, 3.0, 4),
    Polygon(disc((1.5, 1.3), 0.004), (-0.3, 0.3), STEEL, 7.85),
]


@pytest.mark.parametrize("shape", SOLIDS)
@pytest.mark.parametrize("distance", [PARALLEL_M, 5.0])
def test_every_solid_weighs_what_it_says(shape: Shape, distance: float) -> None:
    """Mass from the image, each path freed of its slope and each depth of its magnification."""
    geometry = view(distance)
    plane = draw(shape, geometry)
    slope = geometry.slope(np.arange(400) + 0.5)[:, None]
    near, far = shape.y_m
    magnification = distance / (far - near) * np.log1p((far - near) / (distance + near))
    kg = grams(plane / np.sqrt(1 + slope**2)) / magnification / 1000
    assert kg == pytest.approx(mass_kg(shape), rel=0.01)


def test_a_wrong_mass_would_be_found() -> None:
    """The law fails for a shape that lies half outside the picture."""
    cut = Block((-0.25, 0.25), (-0.1, 0.1), (0.8, 1.2), STEEL, 2.0)
    assert grams(draw(cut, view())) / 1000 == pytest.approx(mass_kg(cut) / 2, rel=0.01)


def test_what_is_nearer_is_magnified() -> None:
    """A plate at 1 m before the middle plane is seen D / (D - 1) times as high as in it."""
    heights = []
    for depth in (-1.0, 0.0):
        plate = Block((1.0, 2.0), (depth, depth + 0.001), (0.6, 1.4), STEEL, 7.85)
        heights.append(float((draw(plate, view(4.0)) > 0.39).sum(0)[300]))
    assert heights[0] / heights[1] == pytest.approx(4 / 3, rel=0.02)


@pytest.mark.parametrize("distance", [PARALLEL_M, 5.0])
def test_the_mirror_image_is_the_image_mirrored(distance: float) -> None:
    """Driving the other way shows the same columns in reverse order."""
    shapes: list[Shape] = [
        Block((1.0, 1.3), (-0.5, 0.3), (0.5, 1.5), STEEL, 1.0, "pillow"),
        Polygon(disc((2.0, 1.0), 0.3), (-0.2, 0.1), STEEL, 1.0, 2),
    ]
    one = view(distance)
    other = replace(one, mirrored=True, left_m=3.0)
    rng = np.random.default_rng(0)
    seen, turned = (project(shapes, g, rng)[STEEL] for g in (one, other))
    np.testing.assert_allclose(turned[:, ::-1], seen, atol=0.01 * float(seen.max()))


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
