"""Small made-up sets of detections and truth for the tests of evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from nii import taxonomy
from nii.bundle import Thresholds
from nii.detections import Detections
from nii.evaluate.match import JudgedScan, Truth, judge
from nii.evaluate.metrics import Evidence

# Two structures and four threats, so that some thirty scans hold several of every class.
ALL_IDS = tuple(row.class_id for row in taxonomy.classes()[:6])
THREATS = tuple(row.name for row in taxonomy.classes()[2:6])
THRESHOLDS = Thresholds(look=dict.fromkeys(THREATS, 0.3), search=dict.fromkeys(THREATS, 0.7))
SIDE = 400


def objects(rng: np.random.Generator, count: int, ids: Sequence[int]) -> Detections:
    """Return so many boxes of random place, size and class; scores are 1."""
    corner = rng.integers(0, SIDE - 80, (count, 2))
    side = rng.integers(20, 80, (count, 2))
    boxes = np.concatenate([corner, corner + side], axis=1).astype(np.float32)
    classes = rng.choice(np.asarray(ids, np.int64), count)
    return Detections(boxes.reshape(-1, 4), np.ones(count, np.float32), classes)


def shaken(rng: np.random.Generator, truth: Detections, alarms: int) -> Detections:
    """Return what a middling detector would find: displaced boxes, misses and false alarms."""
    kept = truth.select(rng.random(len(truth)) < 0.8)
    moved = kept.boxes_xyxy + rng.normal(0, 3, kept.boxes_xyxy.shape).astype(np.float32)
    found = Detections.join(replace(kept, boxes_xyxy=moved), objects(rng, alarms, ALL_IDS))
    return replace(found, scores=rng.random(len(found)).astype(np.float32))


def judged_scans(seed: int, count: int = 30) -> tuple[JudgedScan, ...]:
    """Return scans of a middling detector; about a third carry no threat."""
    rng = np.random.default_rng(seed)
    scans = []
    for index in range(count):
        ids = ALL_IDS if rng.random() < 0.67 else ALL_IDS[:2]
        truth = objects(rng, int(rng.integers(0, 5)), ids)
        found = shaken(rng, truth, int(rng.integers(0, 4)))
        behind = rng.uniform(0, 150, len(truth)).astype(np.float32)
        scans.append(judge(f"{index:03d}.png", found, Truth(truth, behind), ALL_IDS))
    return tuple(scans)


def with_detections(
    scans: Sequence[JudgedScan], found: Sequence[Detections]
) -> tuple[JudgedScan, ...]:
    """Return the same scans and truth with other detections."""
    return tuple(
        judge(scan.name, other, scan.truth, ALL_IDS)
        for scan, other in zip(scans, found, strict=True)
    )


@pytest.fixture(scope="session")
def scans() -> tuple[JudgedScan, ...]:
    """Return scans that a middling detector looked at."""
    return judged_scans(seed=7)


@pytest.fixture(scope="session")
def make_scans() -> Callable[[int, int], tuple[JudgedScan, ...]]:
    """Return how scans are made of a seed and a number."""
    return judged_scans


@pytest.fixture(scope="session")
def judge_again() -> Callable[[Sequence[JudgedScan], Sequence[Detections]], tuple[JudgedScan, ...]]:
    """Return how the same scans are judged with other detections."""
    return with_detections


@pytest.fixture(scope="session")
def make_evidence() -> Callable[[Sequence[JudgedScan]], Evidence]:
    """Return how evidence is made of scans with all classes labelled."""
    return lambda scans: Evidence.of(scans, ALL_IDS, THRESHOLDS)


@pytest.fixture(scope="session")
def middling(scans: tuple[JudgedScan, ...]) -> Evidence:
    """Return the evidence about a middling detector."""
    return Evidence.of(scans, ALL_IDS, THRESHOLDS)


@pytest.fixture(scope="session")
def reversed_order(scans: tuple[JudgedScan, ...]) -> Evidence:
    """Return the evidence of the same scans read in the opposite order."""
    return Evidence.of(scans[::-1], ALL_IDS, THRESHOLDS)


@pytest.fixture(scope="session")
def perfect(scans: tuple[JudgedScan, ...]) -> Evidence:
    """Return the evidence about a detector that reports the truth and nothing else."""
    found = [scan.truth.objects for scan in scans]
    return Evidence.of(with_detections(scans, found), ALL_IDS, THRESHOLDS)


@pytest.fixture(scope="session")
def blind(scans: tuple[JudgedScan, ...]) -> Evidence:
    """Return the evidence about a detector that reports nothing."""
    found = [Detections.empty()] * len(scans)
    return Evidence.of(with_detections(scans, found), ALL_IDS, THRESHOLDS)


@pytest.fixture(scope="session")
def permuted(scans: tuple[JudgedScan, ...]) -> Evidence:
    """Return the evidence about a detector that reports the truth of another scan."""
    found = [scan.truth.objects for scan in scans]
    return Evidence.of(with_detections(scans, found[1:] + found[:1]), ALL_IDS, THRESHOLDS)


@pytest.fixture(scope="session")
def without_truth(scans: tuple[JudgedScan, ...]) -> Evidence:
    """Return the evidence of scans in which there is nothing, though all classes have labels."""
    nothing = Truth.of(Detections.empty())
    bare = [judge(scan.name, scan.detections, nothing, ALL_IDS) for scan in scans]
    return Evidence.of(bare, ALL_IDS, THRESHOLDS)


@pytest.fixture(scope="session")
def containers_only(scans: tuple[JudgedScan, ...]) -> Evidence:
    """Return the evidence of a set that has labels for containers only."""
    row = taxonomy.by_name("container").class_id
    only = [judge(scan.name, scan.detections, scan.truth, (row,)) for scan in scans]
    return Evidence.of(only, (row,), Thresholds({}, {}))
