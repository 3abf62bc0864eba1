"""Detections against truth in one scan: who found what, under two rules.

The hit rule (`HIT`) is that of customs. An officer who is sent to the right place finds the threat,
whatever the outline looks like and whatever the machine called it. A detection hits a truth of the
same class group (threat or structure) when their IoU is at least 0.1 or the middle of the detection
lies inside the truth. One detection may hit several truths (a stack of bricks), several detections
may hit one truth; none of them is a false alarm. A detection that hits nothing is one.

The box rule (`BOX_RULES`, one for each IoU of COCO) asks for the right class and the right outline.
It is one to one: detections choose in the order of their scores, each takes the free truth that it
overlaps most, and a second detection of the same truth is a false alarm.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, Int64

from nii import boxes as geometry
from nii import taxonomy
from nii.detections import Detections

IOU_LIMITS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""The IoU limits that COCO averages over: Lin et al. 2014, Microsoft COCO, section on metrics."""


@dataclass(frozen=True, slots=True)
class Rule:
    """State when a detection finds a truth.

    Attributes:
        min_iou: overlap from which it does.
        centre_counts: whether it also does when its middle lies inside the truth.
        one_to_one: whether each truth can be found by one detection only.
        same: what has to agree: the ``class``, or only its ``group`` (threat, structure).
    """

    min_iou: float
    centre_counts: bool
    one_to_one: bool
    same: Literal["class", "group"]


HIT = Rule(min_iou=0.1, centre_counts=True, one_to_one=False, same="group")
BOX_RULES = tuple(
    Rule(limit, centre_counts=False, one_to_one=True, same="class") for limit in IOU_LIMITS
)


@dataclass(frozen=True, slots=True)
class Truth:
    """What really is in one scan.

    Attributes:
        objects: boxes and classes; scores are 1.
        behind_g_per_cm2: areal density of what the beam passes beside each object itself; NaN where
            it is not known.
        load_states: load of each object that is a container, None for others and where it is not
            known; empty where it is known of none.
    """

    objects: Detections
    behind_g_per_cm2: Float32[np.ndarray, " m"]
    load_states: tuple[str | None, ...] = ()

    def __post_init__(self) -> None:
        """Check that the arrays belong together.

        Raises:
            ValueError: their lengths differ.
        """
        if len(self.behind_g_per_cm2) != len(self.objects):
            msg = f"{len(self.behind_g_per_cm2)} areal densities for {len(self.objects)} objects"
            raise ValueError(msg)
        if len(self.load_states) not in (0, len(self.objects)):
            msg = f"{len(self.load_states)} load states for {len(self.objects)} objects"
            raise ValueError(msg)

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.objects)

    @classmethod
    def of(cls, objects: Detections) -> Truth:
        """Return a truth without knowledge of what lies behind."""
        return cls(objects, np.full(len(objects), np.nan, np.float32))

    def select(self, keep: Bool[np.ndarray, " m"]) -> Truth:
        """Return the objects that a mask names."""
        states = tuple(itertools.compress(self.load_states, keep.tolist()))
        return Truth(self.objects.select(keep), self.behind_g_per_cm2[keep], states)


def matched(detections: Detections, truth: Detections, rule: Rule) -> Bool[np.ndarray, "n m"]:
    """Return which of n detections finds which of m truths under a rule.

    A row without any True is a false alarm; a column without any True is a miss. The result follows
    the order of the arguments; equal scores are settled by that order.
    """
    overlap = geometry.iou(detections.boxes_xyxy, truth.boxes_xyxy)
    finds = overlap >= np.float32(rule.min_iou)
    if rule.centre_counts:
        finds |= centre_inside(detections.boxes_xyxy, truth.boxes_xyxy)
    finds &= _kind(detections, rule)[:, None] == _kind(truth, rule)[None, :]
    if not rule.one_to_one:
        return finds
    return _one_to_one(finds, overlap, detections.scores)


def judged(detections: Detections, class_ids: tuple[int, ...]) -> Detections:
    """Return the detections of classes that the truth set has labels for, in the same order.

    What a set has no labels for can be neither found nor a false alarm.
    """
    return detections.select(np.isin(detections.class_ids, class_ids))


def threat_rows(class_ids: Int64[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Return which rows are of a threat class."""
    threats = [row.class_id for row in taxonomy.in_group("threat")]
    return np.asarray(np.isin(class_ids, threats))


@dataclass(frozen=True, slots=True)
class JudgedScan:
    """Hold what evaluation keeps of one scan: no picture, only boxes and who found what.

    Attributes:
        name: file name, for reports.
        detections: of the classes judged, in the order the model gave them.
        truth: objects of the classes judged.
        hits: under `HIT`.
        true_positive: for each IoU limit of `IOU_LIMITS`: whether the detection found a truth.
        found_at_half: which truth was found by which detection at IoU 0.5.
        scanner: name of the machine, or what is known instead; empty where nothing is.
        pitch_mm: distance of neighbouring pixels (vertical, horizontal); None where not known.
    """

    name: str
    detections: Detections
    truth: Truth
    hits: Bool[np.ndarray, "n m"]
    true_positive: Bool[np.ndarray, "limit n"]
    found_at_half: Bool[np.ndarray, "n m"]
    scanner: str = ""
    pitch_mm: tuple[float, float] | None = None


def judge(
    name: str, detections: Detections, truth: Truth, class_ids: tuple[int, ...]
) -> JudgedScan:
    """Match one scan under all rules, for the classes that the truth set has labels for."""
    found = judged(detections, class_ids)
    objects = truth.select(np.isin(truth.objects.class_ids, class_ids))
    pairs = [matched(found, objects.objects, rule) for rule in BOX_RULES]
    return JudgedScan(
        name=name,
        detections=found,
        truth=objects,
        hits=matched(found, objects.objects, HIT),
        true_positive=np.stack([pair.any(axis=1) for pair in pairs]),
        found_at_half=pairs[0],
    )


def _kind(found: Detections, rule: Rule) -> np.ndarray:
    return found.class_ids if rule.same == "class" else threat_rows(found.class_ids)


def centre_inside(
    first_xyxy: Float32[np.ndarray, "n 4"], second_xyxy: Float32[np.ndarray, "m 4"]
) -> Bool[np.ndarray, "n m"]:
    """Return which of n boxes have their middle inside which of m boxes."""
    centre = (first_xyxy[:, None, :2] + first_xyxy[:, None, 2:]) / 2
    inside = (centre >= second_xyxy[None, :, :2]) & (centre < second_xyxy[None, :, 2:])
    return np.asarray(inside.all(axis=2))


def _one_to_one(
    finds: Bool[np.ndarray, "n m"],
    overlap: Float32[np.ndarray, "n m"],
    scores: Float32[np.ndarray, " n"],
) -> Bool[np.ndarray, "n m"]:
    chosen = np.zeros_like(finds)
    if finds.shape[1] == 0:
        return chosen
    free = np.ones(finds.shape[1], np.bool_)
    for row in np.argsort(-scores, kind="stable"):
        possible = finds[row] & free
        if not possible.any():
            continue
        # COCO lets the later of two truths with equal overlap win; so does this.
        reversed_overlap = np.where(possible, overlap[row], -1)[::-1]
        column = len(free) - 1 - int(np.argmax(reversed_overlap))
        chosen[row, column], free[column] = True, False
    return chosen
