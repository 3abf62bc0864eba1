"""Tests of the rules by which a detection finds a truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nii import taxonomy
from nii.detections import Detections
from nii.evaluate.match import BOX_RULES, HIT, Truth, judge, matched

Row = tuple[float, float, float, float]
FIREARM, BRICK, CONTAINER = (
    taxonomy.by_name(name).class_id for name in ("firearm", "brick", "container")
)
HALF = BOX_RULES[0]


def detections(
    boxes: Sequence[Row], class_id: int = FIREARM, scores: Sequence[float] = ()
) -> Detections:
    """Return boxes of one class; scores are 1 unless given."""
    return Detections(
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.asarray(scores or [1.0] * len(boxes), np.float32),
        np.full(len(boxes), class_id, np.int64),
    )


@pytest.mark.parametrize(
    ("box", "found"),
    [
        ((0, 0, 10, 10), True),
        ((4, 4, 6, 6), True),  # IoU 0.04, but the middle lies inside
        ((8, 0, 18, 10), True),  # IoU 0.11, middle outside
        ((9, 0, 19, 10), False),  # IoU 0.05, middle outside
        ((-10, -10, 10, 10), True),  # IoU 0.25, middle on the corner
        ((10, 10, 12, 12), False),  # touches
        ((-90, -90, 100, 100), True),  # far too large, but its middle is the place
    ],
)
def test_hit_rule(box: Row, *, found: bool) -> None:
    """A threat is hit by an overlap of 0.1 or a middle inside, whatever the threat class."""
    truth = detections([(0, 0, 10, 10)], BRICK)
    assert bool(matched(detections([box]), truth, HIT).any()) is found


def test_group_and_class() -> None:
    """Hits need the same group; boxes need the same class."""
    box: list[Row] = [(0, 0, 10, 10)]
    assert matched(detections(box, FIREARM), detections(box, BRICK), HIT).all()
    assert not matched(detections(box, CONTAINER), detections(box, BRICK), HIT).any()
    assert not matched(detections(box, FIREARM), detections(box, BRICK), HALF).any()
    assert matched(detections(box, BRICK), detections(box, BRICK), HALF).all()


def test_one_hit_may_count_for_a_stack_and_many_for_one() -> None:
    """The hit rule is many to many: neither a stack nor an echo makes a miss or a false alarm."""
    stack = detections([(0, 0, 10, 4), (0, 4, 10, 8)])
    assert matched(detections([(0, 0, 10, 8)]), stack, HIT).all()
    echo = detections([(0, 0, 10, 4), (1, 0, 11, 4)])
    assert matched(echo, stack, HIT)[:, 0].all()


def test_box_rule_is_one_to_one_and_the_best_score_chooses_first() -> None:
    """A second detection of the same object is a false alarm, and it is the weaker one."""
    truth = detections([(0, 0, 10, 10)])
    found = detections([(0, 0, 10, 9), (0, 0, 10, 10)], scores=[0.9, 0.5])
    assert matched(found, truth, HALF).tolist() == [[True], [False]]
    found = detections([(0, 0, 10, 9), (0, 0, 10, 10)], scores=[0.5, 0.9])
    assert matched(found, truth, HALF).tolist() == [[False], [True]]


def test_a_detection_takes_the_free_truth_it_overlaps_most() -> None:
    """Of two possible truths the nearer is taken; when that is gone, the other."""
    truth = detections([(0, 0, 10, 10), (0, 2, 10, 12)])
    found = detections([(0, 2, 10, 12), (0, 2, 10, 12)], scores=[0.9, 0.8])
    assert matched(found, truth, HALF).tolist() == [[False, True], [True, False]]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 8), st.integers(0, 8))
def test_one_to_one_never_exceeds_what_is_possible(seed: int, n: int, m: int) -> None:
    """No row or column is used twice, no pair lies below its limit, and stricter never adds."""
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 20, (n + m, 2))
    boxes = np.concatenate([corner, corner + rng.integers(4, 12, (n + m, 2))], axis=1)
    found = detections([tuple(row) for row in boxes[:n]], scores=list(rng.random(n)))
    truth = detections([tuple(row) for row in boxes[n:]])
    counts = []
    for rule in BOX_RULES:
        pairs = matched(found, truth, rule)
        assert pairs.sum(axis=0).max(initial=0) <= 1
        assert pairs.sum(axis=1).max(initial=0) <= 1
        counts.append(int(pairs.sum()))
    assert counts[-1] <= counts[0]


def test_only_labelled_classes_are_judged() -> None:
    """Where a set has labels for containers only, threats are neither found nor false alarms."""
    box: list[Row] = [(0, 0, 10, 10)]
    found = Detections.join(detections(box, CONTAINER), detections(box, FIREARM))
    scan = judge("a", found, Truth.of(found), (CONTAINER,))
    assert scan.detections.class_ids.tolist() == [CONTAINER]
    assert len(scan.truth) == 1
    assert scan.true_positive.shape == (10, 1)


def test_nothing_against_nothing() -> None:
    """A scan without detections and truth is judged without an error."""
    scan = judge("a", Detections.empty(), Truth.of(Detections.empty()), (CONTAINER,))
    assert scan.hits.shape == (0, 0)
    assert scan.true_positive.shape == (10, 0)


def test_areal_densities_belong_to_objects() -> None:
    """A truth with a density too few is refused."""
    with pytest.raises(ValueError, match="areal densities"):
        Truth(detections([(0, 0, 1, 1)]), np.zeros(2, np.float32))
