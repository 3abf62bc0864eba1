"""Tests of the pictures of the worst cases."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from nii.bundle import Thresholds
from nii.detections import Detections
from nii.evaluate.examples import Gallery, cases_of, crop_jpeg
from nii.evaluate.match import JudgedScan, Truth, judge

LIMITS = Thresholds(look={"firearm": 0.3}, search={"firearm": 0.7})
CONTAINER, FIREARM = 1, 2
Boxes = list[tuple[float, float, float, float]]


def some(boxes: Boxes, scores: list[float], class_id: int = FIREARM) -> Detections:
    """Return boxes of one class."""
    return Detections(
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.asarray(scores, np.float32),
        np.full(len(boxes), class_id, np.int64),
    )


def looked_at(name: str, truth: Detections, found: Detections) -> JudgedScan:
    """Judge a scan for containers and firearms."""
    return judge(name, found, Truth.of(truth), (CONTAINER, FIREARM))


def grey() -> np.ndarray:
    """Return a picture of one even grey."""
    return np.full((200, 600), 128, np.uint8)


def test_cases_are_what_went_wrong_at_the_thresholds() -> None:
    """A weak hit is a miss, a weak false alarm is none, a strong hit and echo are no case."""
    truth = some([(0, 0, 20, 20), (100, 0, 120, 20)], [1, 1])
    boxes: Boxes = [(0, 0, 20, 20), (1, 0, 20, 20), (100, 0, 120, 20), (300, 0, 310, 10)]
    found = some([*boxes, (400, 0, 410, 10)], [0.9, 0.8, 0.2, 0.2, 0.5])
    cases = cases_of(looked_at("a", truth, found), LIMITS)
    assert [(case.kind, case.box_xyxy[0]) for case in cases] == [
        ("miss", 100.0),
        ("false alarm", 400.0),
    ]
    assert [case.score for case in cases] == pytest.approx([0.2, 0.5])


def test_structures_are_judged_by_their_outline() -> None:
    """A container whose box is far off is a miss and a false alarm."""
    truth = some([(0, 0, 300, 100)], [1], CONTAINER)
    found = some([(0, 0, 100, 100)], [0.9], CONTAINER)
    kinds = [case.kind for case in cases_of(looked_at("a", truth, found), LIMITS)]
    assert kinds == ["miss", "false alarm"]


def test_gallery_keeps_the_worst_and_draws_no_more_than_it_must() -> None:
    """Whatever the order, the highest scores stay; a scan without cases is never drawn."""
    scores = np.random.default_rng(0).permutation(np.linspace(0.31, 0.99, 30))
    gallery, drawn = Gallery(per_kind=4), 0

    def render() -> np.ndarray:
        nonlocal drawn
        drawn += 1
        return grey()

    for index, score in enumerate(scores):
        found = some([(10, 10, 30, 30), (90, 90, 99, 99)], [float(score), 0.1])
        gallery.offer(looked_at(str(index), Detections.empty(), found), LIMITS, render)
    kept = [example.case.score for example in gallery.worst("false alarm", "threat")]
    assert kept == pytest.approx(sorted(scores)[:-5:-1])
    assert drawn < len(scores)
    assert gallery.worst("miss", "threat") == ()


def test_the_larger_of_two_unseen_threats_is_the_worse_miss() -> None:
    """Among threats that no detection points at, size decides."""
    gallery = Gallery()
    truth = some([(0, 0, 20, 20), (100, 0, 160, 60)], [1, 1])
    gallery.offer(looked_at("a", truth, Detections.empty()), LIMITS, grey)
    worst = gallery.worst("miss", "threat")
    assert [example.case.box_xyxy[0] for example in worst] == [100.0, 0.0]
    assert worst[0].case.score is None


@pytest.mark.parametrize(
    "box", [(0.0, 0.0, 5.0, 5.0), (590.0, 190.0, 600.0, 200.0), (0.0, 0.0, 600.0, 200.0)]
)
def test_crops_at_the_border(box: tuple[float, float, float, float]) -> None:
    """A case in a corner, or as large as the scan, becomes a picture with its outline in it."""
    truth = some([box], [1])
    case = cases_of(looked_at("a", truth, Detections.empty()), LIMITS)[0]
    jpeg = crop_jpeg(grey(), case, (truth.boxes_xyxy, Detections.empty().boxes_xyxy))
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert max(picture.shape) <= 600
    blueness = picture[..., 0].astype(int) - picture[..., 2].astype(int)
    assert blueness.max() > 60


@pytest.mark.slow
def test_examples_are_small(make_scans: Callable[[int, int], tuple[JudgedScan, ...]]) -> None:
    """The pictures of a whole gallery stay under 8 MB, even where scans are pure noise."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (400, 400), np.uint8)
    gallery = Gallery()
    for scan in make_scans(1, 20):
        gallery.offer(scan, LIMITS, lambda: noise)
    kept = [
        *gallery.worst("miss", "threat"),
        *gallery.worst("false alarm", "threat"),
        *gallery.worst("miss", "structure"),
        *gallery.worst("false alarm", "structure"),
    ]
    assert len(kept) > 10
    assert sum(len(example.jpeg) for example in kept) < 8_000_000
