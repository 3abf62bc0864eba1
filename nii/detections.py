"""Detections: what a model found in one scan, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64


@dataclass(frozen=True, slots=True)
class Detections:
    """Hold n detections, best first where a model made them.

    Attributes:
        boxes_xyxy: corners in scan pixels, x right, y down, upper bounds exclusive.
        scores: 0 (certainly not) to 1 (certainly); 1 for ground truth.
        class_ids: rows of the taxonomy (see :mod:`nii.taxonomy`).
        contours: corners x, y of each outline in scan pixels, none where there is none; empty where
            no detection has one.
    """

    boxes_xyxy: Float32[np.ndarray, "n 4"]
    scores: Float32[np.ndarray, " n"]
    class_ids: Int64[np.ndarray, " n"]
    contours: tuple[Float32[np.ndarray, "_ 2"], ...] = ()

    def __post_init__(self) -> None:
        """Check that the three arrays belong together.

        Raises:
            ValueError: lengths differ or a box has no area.
        """
        if not len(self.boxes_xyxy) == len(self.scores) == len(self.class_ids):
            lengths = len(self.boxes_xyxy), len(self.scores), len(self.class_ids)
            msg = f"{lengths} boxes, scores and classes do not belong together"
            raise ValueError(msg)
        if self.contours and len(self.contours) != len(self.scores):
            msg = f"{len(self.contours)} contours of {len(self.scores)} detections"
            raise ValueError(msg)
        if len(self) and not bool((self.boxes_xyxy[:, 2:] > self.boxes_xyxy[:, :2]).all()):
            msg = "a box has no area (x1 must exceed x0, y1 must exceed y0)"
            raise ValueError(msg)

    def __len__(self) -> int:
        """Return the number of detections."""
        return len(self.scores)

    @classmethod
    def empty(cls) -> Detections:
        """Return no detections."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))

    def select(self, keep: Bool[np.ndarray, " n"] | Int64[np.ndarray, " m"]) -> Detections:
        """Return the detections that a mask or a list of indices names, in that order."""
        rows = np.arange(len(self))[keep] if self.contours else ()
        contours = tuple(self.contours[row] for row in rows)
        return Detections(self.boxes_xyxy[keep], self.scores[keep], self.class_ids[keep], contours)

    @classmethod
    def join(cls, *parts: Detections) -> Detections:
        """Return all detections of the parts, one part after the other."""
        return cls(
            np.concatenate([p.boxes_xyxy for p in parts]),
            np.concatenate([p.scores for p in parts]),
            np.concatenate([p.class_ids for p in parts]),
            tuple(contour for p in parts for contour in p.contours or _none(len(p)))
            if any(p.contours for p in parts)
            else (),
        )


def _none(count: int) -> tuple[Float32[np.ndarray, "_ 2"], ...]:
    return (np.zeros((0, 2), np.float32),) * count
