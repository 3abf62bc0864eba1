"""Small made-up sets of detections and truth for the tests of evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from nii import taxonomy
from nii.bundle import Thresholds
from nii.detections import Detections
from nii.evaluate import curves
from nii.evaluate.containers import NOT_STATED, ContainerTable
from nii.evaluate.curves import ThreatTable
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


def halves(rng: np.random.Generator) -> Detections:
    """Return the left half of a picture as a container, the right half, or both."""
    half = SIDE // 2
    boxes = np.asarray([[0, 0, half, SIDE], [half, 0, SIDE, SIDE]], np.float32)
    chosen = boxes[list(((0,), (1,), (0, 1))[rng.integers(3)])]
    kind = taxonomy.by_name("container").class_id
    count = len(chosen)
    return Detections(chosen, np.ones(count, np.float32), np.full(count, kind, np.int64))


def judged_scans(seed: int, count: int = 30) -> tuple[JudgedScan, ...]:
    """Return scans of a middling detector; about a third carry no threat."""
    rng = np.random.default_rng(seed)
    scans = []
    for index in range(count):
        ids = ALL_IDS if rng.random() < 0.67 else ALL_IDS[:2]
        truth = Detections.join(objects(rng, int(rng.integers(0, 5)), ids), halves(rng))
        found = shaken(rng, truth, int(rng.integers(0, 4)))
        behind = rng.uniform(0, 150, len(truth)).astype(np.float32)
        kinds = truth.class_ids == taxonomy.by_name("container").class_id
        load = tuple(("full" if index % 3 else "empty") if kind else None for kind in kinds)
        judged = judge(f"{index:03d}.png", found, Truth(truth, behind, load), ALL_IDS)
        scans.append(replace(judged, scanner=f"machine {index % 2}", pitch_mm=(5.0, 4.0)))
    return tuple(scans)


def with_detections(
    scans: Sequence[JudgedScan], found: Sequence[Detections]
) -> tuple[JudgedScan, ...]:
    """Return the same scans and truth with other detections."""
    return tuple(
        replace(
            judge(scan.name, other, scan.truth, ALL_IDS),
            scanner=scan.scanner,
            pitch_mm=scan.pitch_mm,
        )
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


def cases_of(
    scores: dict[str, list[float]], benign: list[float], behind: float = 10.0, *, scans: int = 10**6
) -> ContainerTable:
    """Return containers: one threat in each with its score, and benign ones with theirs."""
    found = np.asarray([score for rows in scores.values() for score in rows])
    kinds = [taxonomy.by_name(name).class_id for name, rows in scores.items() for _ in rows]
    count, harmless = len(found), len(benign)
    top = np.concatenate([found, np.asarray(benign, np.float64)])
    table = ThreatTable(
        found_score=found.astype(np.float64),
        threat_scan=np.arange(count),
        threat_class=np.asarray(kinds, np.int64),
        behind_g_per_cm2=np.full(count, behind),
        alarm_score=np.sort(np.asarray(benign, np.float64))[::-1],
        alarm_scan=np.arange(harmless),
        top_score=top,
        benign=np.arange(count + harmless) >= count,
    )
    by_class = np.full((count + harmless, len(taxonomy.in_group("threat"))), curves.NEVER)
    by_class[count:, 0] = benign
    return ContainerTable(
        table=table,
        scan=np.arange(count + harmless) % scans,
        load=(NOT_STATED,) * (count + harmless),
        scanner=(NOT_STATED,) * (count + harmless),
        truth_row=np.zeros(count, np.int64),
        side_px=np.full(count, 20.0),
        side_cm=np.full(count, 10.0),
        own_score=found.astype(np.float64),
        top_by_class=by_class,
    )


@pytest.fixture(scope="session")
def make_cases() -> Callable[..., ContainerTable]:
    """Return how containers with one threat each, and benign ones, are made of scores."""
    return cases_of
