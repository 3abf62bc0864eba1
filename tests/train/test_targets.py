"""Tests of :mod:`nii.train.targets`: hills, insides and distances say where the boxes are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nii.train.targets import TOP, Grid, structure_targets, threat_targets

GRID = Grid(rows=32, columns=48, stride=4)
boxes = st.tuples(
    st.integers(2, 120), st.integers(2, 70), st.integers(6, 60), st.integers(6, 50)
).map(lambda b: np.asarray([[b[0], b[1], b[0] + b[2], b[1] + b[3]]], np.float32))


@pytest.mark.slow
@given(boxes)
def test_the_hill_is_one_where_the_centre_is_and_distances_lead_to_the_sides(
    box: np.ndarray,
) -> None:
    """From the top of the hill the four distances reach exactly the sides of the box."""
    targets = threat_targets(box, np.zeros(1, np.int64), 2, GRID)
    assert np.count_nonzero(targets.centre[0] == 1) >= 1
    assert targets.centre[1].max() == 0
    tops = np.argwhere(targets.centre[0] == 1)
    row, column = tops[len(tops) // 2]
    x, y = (column + 0.5) * GRID.stride, (row + 0.5) * GRID.stride
    left, top, right, bottom = targets.ltrb[:, row, column]
    np.testing.assert_allclose([x - left, y - top, x + right, y + bottom], box[0], atol=1e-4)
    assert targets.weight[0, row, column] == targets.top[0, row, column] == 1


@pytest.mark.parametrize("evenness", [0.0, 0.5, 1.0])
def test_a_threat_counts_as_a_power_of_its_cells_and_a_structure_as_all(evenness: float) -> None:
    """A small threat has few cells; the more evenly threats count, the more each of them does."""
    both = np.asarray([[4, 4, 24, 24], [40, 20, 120, 100]], np.float32)
    planes = np.asarray([0, 1], np.int64)
    threats = threat_targets(both, planes, 2, GRID, evenness)
    cells = np.count_nonzero(threats.top, axis=(1, 2))
    assert cells[1] >= 9 * cells[0]
    np.testing.assert_allclose(threats.top.sum(axis=(1, 2)), cells ** (1 - evenness), rtol=1e-6)
    np.testing.assert_array_equal(threats.top > 0, threats.centre >= TOP)
    structures = structure_targets(both, planes, 2, GRID)
    assert set(np.unique(structures.top)) == {0, 1}


@given(boxes)
def test_the_inside_holds_the_area_of_the_box(box: np.ndarray) -> None:
    """Summed over cells, the inside is the area of the box within the picture."""
    targets = structure_targets(box, np.zeros(1, np.int64), 1, GRID)
    clipped = np.minimum(box[0], [192, 128, 192, 128])
    area = (clipped[2] - clipped[0]) * (clipped[3] - clipped[1])
    np.testing.assert_allclose(targets.inside.sum() * GRID.stride**2, area, rtol=1e-4)


def test_no_box_gives_empty_maps() -> None:
    """A benign picture has no hill and no weight."""
    none = np.zeros((0, 4), np.float32)
    targets = threat_targets(none, np.zeros(0, np.int64), 4, GRID)
    assert targets.centre.max() == 0
    assert targets.weight.max() == 0
    assert targets.ltrb.shape == (4, 32, 48)
