"""Tests of :mod:`nii.infer.contour`: the outline follows the hill that the model answers with."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float32

from nii.infer.contour import contour_of

STRIDE = 4


def hill(box: tuple[float, float, float, float], peak: float) -> Float32[np.ndarray, "row column"]:
    """Return a hill as training teaches it: flat over 0.4 of each side, slopes of sigma 0.12."""
    y, x = (np.mgrid[:60, :80] + 0.5) * STRIDE
    x0, y0, x1, y1 = box
    across = np.maximum(np.abs(x - (x0 + x1) / 2) / (x1 - x0) - 0.2, 0) / 0.12
    down = np.maximum(np.abs(y - (y0 + y1) / 2) / (y1 - y0) - 0.2, 0) / 0.12
    return np.asarray(peak * np.exp(-(across**2 + down**2) / 2), np.float32)


def area(corners: Float32[np.ndarray, "corner 2"]) -> float:
    """Return the area of an outline."""
    return float(cv2.contourArea(corners))


@pytest.mark.parametrize("peak", [0.2, 0.9])
@pytest.mark.parametrize("box", [(80.0, 60.0, 200.0, 140.0), (100.0, 20.0, 140.0, 200.0)])
def test_the_outline_of_a_taught_hill_nearly_fills_the_box(
    box: tuple[float, float, float, float], peak: float
) -> None:
    """The hill of a box has its outline at 0.8 to 1 of the box's sides, whatever the score."""
    heat = hill(box, peak)
    place = np.unravel_index(int(heat.argmax()), heat.shape)
    corners = contour_of(heat, (int(place[0]), int(place[1])), box, STRIDE)
    low, high = corners.min(axis=0), corners.max(axis=0)
    assert (low >= box[:2]).all()
    assert (high <= box[2:]).all()
    share = (high - low) / np.subtract(box[2:], box[:2])
    assert (share > 0.8).all()
    assert area(corners) > 0.55 * np.prod(np.subtract(box[2:], box[:2]))


def test_a_slanted_hill_has_a_slanted_outline() -> None:
    """Where the answer fills half of its box along a diagonal, so does the outline."""
    y, x = np.mgrid[:60, :80]
    heat = np.exp(-(((x - y - 10) / 3.0) ** 2)).astype(np.float32)
    heat *= ((y > 15) & (y < 45)).astype(np.float32)
    corners = contour_of(heat, (30, 40), (100.0, 60.0, 220.0, 184.0), STRIDE)
    assert 0.1 < area(corners) / (120 * 124) < 0.45
    assert cv2.pointPolygonTest(corners, (110.0, 175.0), measureDist=False) < 0


def test_a_second_hill_is_left_out() -> None:
    """An answer to a neighbour in the same box is no part of the outline."""
    heat = hill((40.0, 60.0, 100.0, 120.0), 0.9)
    alone = contour_of(heat, (22, 17), (20.0, 40.0, 280.0, 140.0), STRIDE)
    both = np.maximum(heat, hill((200.0, 60.0, 260.0, 120.0), 0.9))
    np.testing.assert_array_equal(
        contour_of(both, (22, 17), (20.0, 40.0, 280.0, 140.0), STRIDE), alone
    )


@given(
    st.integers(0, 14),
    st.integers(0, 19),
    st.tuples(*[st.floats(0.125, 200, width=32)] * 4),
    st.integers(0, 1000),
)
def test_any_map_gives_an_outline_inside_the_box(
    row: int, column: int, sides: tuple[float, float, float, float], seed: int
) -> None:
    """Whatever the map and the box, there are three corners or more and none leaves the box."""
    heat = np.random.default_rng(seed).uniform(0, 1, (15, 20)).astype(np.float32)
    x, y = (column + 0.5) * STRIDE, (row + 0.5) * STRIDE
    left, top, right, bottom = sides
    box = max(0.0, x - left), max(0.0, y - top), min(80.0, x + right), min(60.0, y + bottom)
    corners = contour_of(heat, (row, column), box, STRIDE)
    assert len(corners) >= 3
    assert (corners >= np.asarray(box[:2], np.float32)).all()
    assert (corners <= np.asarray(box[2:], np.float32)).all()
