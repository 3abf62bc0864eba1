"""The record of what was found."""

from __future__ import annotations

import numpy as np
import pytest

from nii.detections import Detections


def some(count: int, rng: np.random.Generator) -> Detections:
    """Return random detections."""
    corners = rng.uniform(0, 100, (count, 2)).astype(np.float32)
    sides = rng.uniform(1, 20, (count, 2)).astype(np.float32)
    return Detections(
        np.concatenate([corners, corners + sides], axis=1),
        rng.uniform(size=count).astype(np.float32),
        rng.integers(0, 6, count),
    )


def equal(first: Detections, second: Detections) -> bool:
    """Tell whether two sets of detections hold the same values in the same order."""
    return (
        np.array_equal(first.boxes_xyxy, second.boxes_xyxy)
        and np.array_equal(first.scores, second.scores)
        and np.array_equal(first.class_ids, second.class_ids)
    )


def test_join_undoes_select(rng: np.random.Generator) -> None:
    """Parts cut out one after the other join to the whole."""
    whole = some(7, rng)
    first = np.arange(7) < 3
    assert equal(Detections.join(whole.select(first), whole.select(~first)), whole)


def test_select_keeps_the_order_asked_for(rng: np.random.Generator) -> None:
    """Indices choose rows in their own order, and twice gives the same rows again."""
    whole = some(5, rng)
    order = np.array([4, 0, 2])
    back = np.argsort(order)
    assert equal(whole.select(order).select(back), whole.select(np.sort(order)))


def test_empty_is_neutral(rng: np.random.Generator) -> None:
    """Joining with nothing changes nothing."""
    whole = some(3, rng)
    assert len(Detections.empty()) == 0
    assert equal(Detections.join(Detections.empty(), whole, Detections.empty()), whole)


def test_box_without_area_is_refused() -> None:
    """A box whose far corner does not lie beyond its near corner cannot be held."""
    with pytest.raises(ValueError, match="no area"):
        Detections(
            np.array([[5, 5, 5, 9]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64)
        )


def test_outlines_follow_their_detections() -> None:
    """Choosing and joining keep each outline with its box; where none has one there is none."""
    boxes = np.asarray([[0, 0, 4, 4], [5, 5, 9, 9], [2, 2, 3, 3]], np.float32)
    outlines = tuple(np.full((3, 2), index, np.float32) for index in range(3))
    ids = np.arange(3)
    found = Detections(boxes, np.ones(3, np.float32), ids, outlines)
    for keep in (np.asarray([2, 0]), np.asarray([True, False, True])):
        chosen = found.select(keep)
        assert [outline[0, 0] for outline in chosen.contours] == list(chosen.class_ids)
    bare = Detections(boxes[:1], np.ones(1, np.float32), ids[:1])
    joined = Detections.join(bare, found)
    assert [len(outline) for outline in joined.contours] == [0, 3, 3, 3]
    assert Detections.join(bare, Detections.empty()).contours == ()
    with pytest.raises(ValueError, match="2 contours of 3"):
        Detections(boxes, np.ones(3, np.float32), ids, outlines[:2])
