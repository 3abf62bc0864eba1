"""Average precision by the COCO protocol, and a weighted form of it for the bootstrap.

AP50 is the area under precision against recall when an IoU of 0.5 is enough; mAP50:95 is its mean
over the IoU limits 0.50, 0.55, … 0.95. Precision is made falling and read at 101 recalls; at most
100 detections of a class count in one scan (Lin et al. 2014, Microsoft COCO; protocol of the COCO
evaluation server). A class without any truth has no AP: None, never 0 or 1. A mean over classes
leaves such classes out.

The measured values come from faster-coco-eval; the weighted form gives the same numbers when each
scan counts once (a test compares them) and is fast enough to be repeated hundreds of times.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from nii.evaluate.match import IOU_LIMITS, JudgedScan

MAX_PER_SCAN = 100
RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True, slots=True)
class ClassPrecision:
    """Hold the AP of one class and its curve.

    Attributes:
        ap50: area under the curve at IoU 0.5; None without truth.
        map50_95: mean over the IoU limits; None without truth.
        precision: at each recall of `RECALLS`, IoU 0.5; empty without truth.
    """

    ap50: float | None
    map50_95: float | None
    precision: Float64[np.ndarray, " recall"]


@dataclass(frozen=True, slots=True)
class RankedClass:
    """Hold all detections of one class, best first, ready to be weighted.

    Attributes:
        scan: which scan each detection is from.
        true_positive: for each IoU limit: whether the detection found a truth.
        truths: number of objects of the class in each scan.
    """

    scan: Int64[np.ndarray, " detection"]
    true_positive: Bool[np.ndarray, "limit detection"]
    truths: Int64[np.ndarray, " scan"]


def coco_precision(
    scans: Sequence[JudgedScan], class_ids: Sequence[int]
) -> dict[int, ClassPrecision]:
    """Return the average precision of each class as faster-coco-eval measures it."""
    truth, found = _coco_truth(scans, class_ids), _coco_found(scans, class_ids)
    present = {int(row) for scan in scans for row in scan.truth.objects.class_ids}
    counted = sorted(present.intersection(class_ids))
    result = {
        row: ClassPrecision(None, None, np.zeros(0)) for row in class_ids if row not in counted
    }
    if not counted:
        return result
    if not found:
        nothing = ClassPrecision(0.0, 0.0, np.zeros(len(RECALLS)))
        return result | dict.fromkeys(counted, nothing)
    precision = _measure(truth, found, counted)
    for column, row in enumerate(counted):
        curves = precision[:, :, column, 0, 0]
        result[row] = ClassPrecision(
            float(curves[0].mean()), float(curves.mean()), curves[0].astype(np.float64)
        )
    return result


def rank(scans: Sequence[JudgedScan], class_id: int) -> RankedClass:
    """Collect the detections of one class over all scans, best first."""
    scores, where, flags, truths = [], [], [], []
    for index, scan in enumerate(scans):
        rows = np.flatnonzero(scan.detections.class_ids == class_id)
        order = np.argsort(-scan.detections.scores[rows], kind="stable")[:MAX_PER_SCAN]
        rows = rows[order]
        scores.append(scan.detections.scores[rows])
        where.append(np.full(len(rows), index, np.int64))
        flags.append(scan.true_positive[:, rows])
        truths.append(int((scan.truth.objects.class_ids == class_id).sum()))
    if not scans:
        return RankedClass(
            np.zeros(0, np.int64), np.zeros((len(IOU_LIMITS), 0), np.bool_), np.zeros(0, np.int64)
        )
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return RankedClass(
        np.concatenate(where)[order],
        np.concatenate(flags, axis=1)[:, order],
        np.asarray(truths, np.int64),
    )


def weighted_precision(
    ranked: RankedClass, drawn: Int64[np.ndarray, " scan"], limits: int
) -> float | None:
    """Return the mean AP over the first so many IoU limits when scans count as often as drawn.

    Returns:
        With one limit AP50, with all ten mAP50:95; None when no truth was drawn.
    """
    truths = int((ranked.truths * drawn).sum())
    if truths == 0:
        return None
    times = drawn[ranked.scan]
    counted = np.cumsum(times)
    areas = [
        precision_area(np.cumsum(flags * times), counted, truths)
        for flags in ranked.true_positive[:limits]
    ]
    return float(np.mean(areas))


def mean_of(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are defined; None where none is."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def precision_area(
    found: Int64[np.ndarray, " detection"], counted: Int64[np.ndarray, " detection"], truths: int
) -> float:
    """Return the area under falling precision read at the recalls of COCO.

    Args:
        found: truths found by the best detections, by their number.
        counted: how many detections these are.
        truths: truths in all.
    """
    if len(found) == 0:
        return 0.0
    precision = found / np.maximum(counted, 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(found / truths, RECALLS, side="left")
    reached = places < len(falling)
    return float(falling[places[reached]].sum() / len(RECALLS))


def _measure(
    truth: dict[str, list[dict[str, object]]], found: list[dict[str, object]], rows: list[int]
) -> np.ndarray:
    """Return precision by IoU limit, recall, class, one area range and one number of detections."""
    from faster_coco_eval import COCO, COCOeval_faster  # noqa: PLC0415 - keeps other commands quick

    reference = COCO(truth)
    judge = COCOeval_faster(reference, reference.loadRes(found), iouType="bbox")
    judge.params.catIds = rows
    judge.params.imgIds = [row["id"] for row in truth["images"]]
    judge.params.maxDets = [MAX_PER_SCAN]
    judge.params.areaRng = [[0, 1e10]]
    judge.params.areaRngLbl = ["all"]
    judge.evaluate()
    judge.accumulate()
    return np.asarray(judge.eval["precision"])


def _coco_truth(
    scans: Sequence[JudgedScan], class_ids: Sequence[int]
) -> dict[str, list[dict[str, object]]]:
    annotations: list[dict[str, object]] = []
    for index, scan in enumerate(scans, start=1):
        objects = scan.truth.objects
        for box, row in zip(objects.boxes_xyxy, objects.class_ids, strict=True):
            corner = _xywh(box)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index,
                    "category_id": int(row),
                    "bbox": corner,
                    "area": corner[2] * corner[3],
                    "iscrowd": 0,
                }
            )
    return {
        "images": [{"id": index} for index in range(1, len(scans) + 1)],
        "categories": [{"id": row, "name": str(row)} for row in class_ids],
        "annotations": annotations,
    }


def _coco_found(scans: Sequence[JudgedScan], class_ids: Sequence[int]) -> list[dict[str, object]]:
    return [
        {
            "image_id": index,
            "category_id": int(row),
            "bbox": _xywh(box),
            "score": float(score),
        }
        for index, scan in enumerate(scans, start=1)
        for box, score, row in zip(
            scan.detections.boxes_xyxy,
            scan.detections.scores,
            scan.detections.class_ids,
            strict=True,
        )
        if int(row) in class_ids
    ]


def _xywh(box: np.ndarray) -> list[float]:
    x0, y0, x1, y1 = (float(value) for value in box)
    return [x0, y0, x1 - x0, y1 - y0]
