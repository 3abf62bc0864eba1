"""Geometry: pitch, magnification, mirror image, windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nii.simulate.geometry import PARALLEL_M, Geometry


def make(distance: float = PARALLEL_M, *, mirrored: bool = False) -> Geometry:
    """Return a view of 100 x 200 pixels of 10 mm, whose upper left corner is x = 1, z = 2 m."""
    sag = np.zeros(200, np.float32)
    return Geometry(100, 200, (0.01, 0.01), 1.0, 2.0, distance, 1.5, 0.0, mirrored, sag)


def test_parallel_rays_keep_sizes() -> None:
    """In a parallel beam a metre is 100 pixels at any depth."""
    view = make()
    for depth in (-1.0, 0.0, 1.0):
        assert view.row(np.array([2.0, 1.0]), depth) == pytest.approx([0, 100], abs=1e-3)
        assert view.column(np.array([1.0, 2.0]), depth) == pytest.approx([0, 100])


def test_a_fan_magnifies_what_is_near() -> None:
    """At half the distance from the source a thing looks twice as high, at the same width."""
    view = make(4.0)
    near, middle = (np.ptp(view.row(np.array([1.0, 2.0]), y)) for y in (-2.0, 0.0))
    assert near == pytest.approx(2 * middle)
    assert view.row(np.array([1.5]), -2.0) == pytest.approx(view.row(np.array([1.5]), 2.0))


def test_a_ray_passes_through_what_it_shows() -> None:
    """A point on the ray of a row, at any depth, is seen in that row."""
    view = make(4.0)
    row = np.array([3.0, 40.0, 90.0])
    for depth in (-1.2, 0.7):
        z = view.source_height_m + view.slope(row) * (view.source_distance_m + depth)
        assert view.row(z, depth) == pytest.approx(row)


def test_the_fan_opens_around_its_middle() -> None:
    """Rays spread evenly around the middle of the array; parallel rays are all on the axis."""
    angle = make(1.0).fan().angle_deg()
    assert angle[0] == pytest.approx(-angle[-1], abs=1e-3)
    assert np.ptp(angle) == pytest.approx(2 * np.degrees(np.arctan(0.5)) * 0.99, rel=0.02)
    assert np.abs(make().fan().angle_deg()).max() < 1e-4


def test_a_part_of_a_fan_keeps_its_rays() -> None:
    """A window of a fan has the angles that the whole has in its rows."""
    fan = make(3.0).fan()
    np.testing.assert_allclose(fan.window(20, 50).angle_deg(), fan.angle_deg()[20:70], atol=1e-4)


def test_a_mirrored_view_turns_x_round() -> None:
    """The other driving direction shows the same columns in reverse order."""
    view, other = make(), replace(make(mirrored=True), left_m=3.0)
    x = np.array([1.2, 1.9, 2.7])
    assert 200 - view.column(x, 0.0) == pytest.approx(other.column(x, 0.0))


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_window_is_a_part(*, mirrored: bool) -> None:
    """A window sees the same points, shifted by its corner."""
    view = make(5.0, mirrored=mirrored)
    part = view.window(10, 30, 40, 50)
    x, z = np.array([1.5]), np.array([1.2])
    assert part.column(x, 0.3) == pytest.approx(view.column(x, 0.3) - 30)
    assert part.row(z, 0.3) == pytest.approx(view.row(z, 0.3) - 10)
    assert len(part.sag_px) == part.width_px == 50


def test_a_box_follows_the_sag() -> None:
    """Where columns sink by seven pixels, so does the box."""
    flat = make()
    low = replace(flat, sag_px=np.full(200, 7, np.float32))
    first = np.array(flat.box((1.2, 1.5), (-0.1, 0.1), (1.2, 1.8)))
    second = np.array(low.box((1.2, 1.5), (-0.1, 0.1), (1.2, 1.8)))
    assert second - first == pytest.approx([0, 7, 0, 7])
