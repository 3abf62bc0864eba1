"""Geometry of boxes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nii import boxes
from nii.boxes import Boxes

# Whole pixels, so that areas are exact in float32 and painting a mask counts the same area.
SIDE = 24
corner = st.integers(0, SIDE)


@st.composite
def some_boxes(draw: st.DrawFn, least: int = 0) -> Boxes:
    """Draw a few boxes with whole-numbered corners and an area."""
    span = st.tuples(corner, corner).filter(lambda pair: pair[0] != pair[1]).map(sorted)
    rows = draw(st.lists(st.tuples(span, span), min_size=least, max_size=8))
    flat = [(x[0], y[0], x[1], y[1]) for x, y in rows]
    return np.asarray(flat, np.float32).reshape(-1, 4)


def paint(box: np.ndarray) -> np.ndarray:
    """Return the pixels that a box covers."""
    mask = np.zeros((SIDE, SIDE), bool)
    x0, y0, x1, y1 = box.astype(int)
    mask[y0:y1, x0:x1] = True
    return mask


@pytest.mark.slow
@given(some_boxes(), some_boxes())
def test_areas_are_counts_of_pixels(first: Boxes, second: Boxes) -> None:
    """Area, intersection, union and coverage are those of the painted pixels."""
    masks_1, masks_2 = [paint(box) for box in first], [paint(box) for box in second]
    assert boxes.area(first).tolist() == [mask.sum() for mask in masks_1]
    shape = len(first), len(second)
    common = np.array([(a & b).sum() for a in masks_1 for b in masks_2]).reshape(shape)
    union = np.array([(a | b).sum() for a in masks_1 for b in masks_2]).reshape(shape)
    own = boxes.area(first)[:, None]
    np.testing.assert_array_equal(boxes.intersection(first, second), common)
    np.testing.assert_allclose(boxes.iou(first, second) * union, common, atol=1e-3)
    np.testing.assert_allclose(boxes.coverage(first, second) * own, common, atol=1e-3)


@given(some_boxes(), some_boxes())
def test_iou_is_symmetric(first: Boxes, second: Boxes) -> None:
    """Overlap does not depend on which box comes first and lies between 0 and 1."""
    overlap = boxes.iou(first, second)
    np.testing.assert_array_equal(overlap, boxes.iou(second, first).T)
    assert bool(((overlap >= 0) & (overlap <= 1)).all())


@given(some_boxes(least=1))
def test_iou_with_itself_is_one(some: Boxes) -> None:
    """A box overlaps itself wholly."""
    np.testing.assert_array_equal(np.diag(boxes.iou(some, some)), 1)


def test_boxes_turned_inside_out_are_empty() -> None:
    """A box whose corners are swapped has no area and overlaps nothing."""
    turned = np.array([[9, 9, 2, 2]], np.float32)
    assert boxes.area(turned).tolist() == [0]
    assert boxes.iou(turned, turned).tolist() == [[0]]


@given(some_boxes(), st.randoms(use_true_random=False), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_nms_equals_brute_force(some: Boxes, random: np.random.Generator, limit: float) -> None:
    """A box is kept exactly when no better kept box overlaps it beyond the limit."""
    scores = np.asarray([random.random() for _ in some], np.float32)
    kept: list[int] = []
    for index in sorted(range(len(some)), key=lambda i: (-scores[i], i)):
        if all(boxes.iou(some[[index]], some[[k]])[0, 0] <= limit for k in kept):
            kept.append(index)
    assert boxes.nms(some, scores, limit).tolist() == kept


@given(some_boxes())
def test_nms_breaks_ties_by_index(some: Boxes) -> None:
    """Of boxes with equal scores the first one wins, and nothing is lost at limit 1."""
    scores = np.full(len(some), 0.5, np.float32)
    assert boxes.nms(some, scores, 1.0).tolist() == list(range(len(some)))


def test_nms_equals_torchvision(rng: np.random.Generator) -> None:
    """Our suppression keeps the same boxes as torchvision's."""
    torch = pytest.importorskip("torch", reason="the extra [train] is not installed")
    ops = pytest.importorskip("torchvision.ops", reason="the extra [train] is not installed")
    corners = rng.uniform(0, 60, (200, 2))
    some = np.hstack([corners, corners + rng.uniform(4, 30, (200, 2))]).astype(np.float32)
    scores = rng.permutation(200).astype(np.float32) / 200
    theirs = ops.nms(torch.from_numpy(some), torch.from_numpy(scores), 0.45)
    assert boxes.nms(some, scores, 0.45).tolist() == theirs.tolist()


@given(some_boxes(), st.integers(1, SIDE), st.integers(1, SIDE))
def test_clip_keeps_what_lies_inside(some: Boxes, height: int, width: int) -> None:
    """A clipped box covers the pixels of the image that the box covers, and no others."""
    for box, cut in zip(some, boxes.clip(some, height, width), strict=True):
        np.testing.assert_array_equal(paint(cut)[:height, :width], paint(box)[:height, :width])
        assert paint(cut).sum() == paint(cut)[:height, :width].sum()
