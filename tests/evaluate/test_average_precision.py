"""Tests of average precision against other implementations and against reason."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nii.detections import Detections
from nii.evaluate.average_precision import (
    MAX_PER_SCAN,
    coco_precision,
    mean_of,
    rank,
    weighted_precision,
)
from nii.evaluate.match import IOU_LIMITS, JudgedScan, Truth, judge

IDS = tuple(range(6))


@pytest.mark.slow
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_weighted_form_agrees_with_coco(
    seed: int, make_scans: Callable[[int, int], tuple[JudgedScan, ...]]
) -> None:
    """Where each scan counts once, our weighted form gives the numbers of faster-coco-eval."""
    scans = make_scans(seed, 12)
    once = np.ones(len(scans), np.int64)
    for row, measured in coco_precision(scans, IDS).items():
        ranked = rank(scans, row)
        for limits, expected in ((1, measured.ap50), (len(IOU_LIMITS), measured.map50_95)):
            found = weighted_precision(ranked, once, limits)
            assert found == (None if expected is None else pytest.approx(expected, abs=1e-9))


def test_agrees_with_pycocotools(scans: tuple[JudgedScan, ...]) -> None:
    """The numbers are those of the reference implementation of the protocol."""
    tools = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    truth, found = _as_coco(scans)
    with contextlib.redirect_stdout(io.StringIO()):
        reference = tools.COCO()
        reference.dataset = truth
        reference.createIndex()
        judged = evaluation.COCOeval(reference, reference.loadRes(found), "bbox")
        judged.evaluate()
        judged.accumulate()
    precision = judged.eval["precision"][:, :, :, 0, -1]
    for row, measured in coco_precision(scans, IDS).items():
        assert measured.ap50 == pytest.approx(precision[0, :, row].mean())
        assert measured.map50_95 == pytest.approx(precision[:, :, row].mean())


def test_drawing_a_scan_twice_is_having_it_twice(
    make_scans: Callable[[int, int], tuple[JudgedScan, ...]],
) -> None:
    """A weight of two gives the value of the set in which that scan stands twice."""
    scans = make_scans(3, 10)
    drawn = np.random.default_rng(4).integers(0, 3, len(scans))
    repeated = [scan for scan, times in zip(scans, drawn, strict=True) for _ in range(times)]
    once = np.ones(len(repeated), np.int64)
    for row in IDS:
        weighted = weighted_precision(rank(scans, row), drawn, 10)
        assert weighted == pytest.approx(weighted_precision(rank(repeated, row), once, 10))


def test_undefined_is_none_and_nothing_found_is_zero(
    scans: tuple[JudgedScan, ...],
    judge_again: Callable[[Sequence[JudgedScan], Sequence[Detections]], tuple[JudgedScan, ...]],
) -> None:
    """Without truth there is no AP; without detections it is 0."""
    blind = judge_again(scans, [Detections.empty()] * len(scans))
    assert all(found.ap50 == found.map50_95 == 0 for found in coco_precision(blind, IDS).values())
    empty = [judge("a", scans[0].detections, Truth.of(Detections.empty()), IDS)]
    assert all(found.ap50 is None for found in coco_precision(empty, IDS).values())
    assert all(found.ap50 is None for found in coco_precision([], IDS).values())
    assert weighted_precision(rank(empty, 0), np.ones(1, np.int64), 1) is None
    assert weighted_precision(rank([], 0), np.ones(0, np.int64), 1) is None
    assert mean_of([None, None]) is None
    assert mean_of([None, 0.5, 1.0]) == 0.75


def test_no_more_than_a_hundred_count_in_one_scan() -> None:
    """The hundred-and-first detection of a class in a scan is not looked at, by either form."""
    boxes = np.asarray([[0, 0, 10, 10]] * (MAX_PER_SCAN + 1), np.float32)
    boxes[:-1] += 50
    scores = np.linspace(1, 0.1, len(boxes)).astype(np.float32)
    found = Detections(boxes, scores, np.full(len(boxes), 2, np.int64))
    truth = Truth.of(found.select(np.asarray([MAX_PER_SCAN])))
    scans = [judge("a", found, truth, IDS)]
    assert coco_precision(scans, (2,))[2].ap50 == 0
    assert weighted_precision(rank(scans, 2), np.ones(1, np.int64), 1) == 0


def test_says_nothing(scans: tuple[JudgedScan, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """The library underneath prints nothing."""
    coco_precision(scans, IDS)
    assert capsys.readouterr() == ("", "")


def _as_coco(scans: Sequence[JudgedScan]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    truth = [
        row | {"id": number, "area": row["bbox"][2] * row["bbox"][3], "iscrowd": 0}
        for number, row in enumerate(_rows(scans, "truth"), start=1)
    ]
    images = [{"id": index} for index in range(len(scans))]
    categories = [{"id": row} for row in IDS]
    data = {"info": {}, "images": images, "categories": categories, "annotations": truth}
    return data, _rows(scans, "found")


def _rows(scans: Sequence[JudgedScan], kind: str) -> list[dict[str, Any]]:
    return [
        {
            "image_id": index,
            "category_id": int(row),
            "bbox": [float(v) for v in (box[0], box[1], box[2] - box[0], box[3] - box[1])],
            "score": float(score),
        }
        for index, scan in enumerate(scans)
        for side in [scan.truth.objects if kind == "truth" else scan.detections]
        for box, score, row in zip(side.boxes_xyxy, side.scores, side.class_ids, strict=True)
    ]
