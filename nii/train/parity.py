"""Proof that an exported model is the network that was trained: same maps, same boxes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32

from nii import boxes as geometry
from nii.bundle import Card
from nii.config import to_dict
from nii.detections import Detections
from nii.infer.decode import Frame, OutputMaps, decode
from nii.preprocess import ModelInput

Maps = Callable[[ModelInput], OutputMaps]

MAX_DIFFERENCE = 1e-3
"""Largest difference of any value: of a probability, or of a distance relative to the distance
(below one pixel: in pixels). Assumption: far above what float32 leaves after 60 layers (1e-6
measured), far below what changes a box."""
MOST_DIFFERENCE = 1e-4
"""The same for all but one in a thousand values."""
MIN_IOU = 0.99
MAX_SCORE_DIFFERENCE = 1e-3
_NEARLY_ALL = 0.999
_NOTHING = np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True)
class MapDifference:
    """Compare one output over all scans.

    Attributes:
        output: name of the output.
        largest: largest absolute difference.
        largest_relative: largest difference relative to the value, or absolute where it is below 1.
        nearly_all_relative: 99.9 % of the values differ by no more, measured in the same way.
    """

    output: str
    largest: float
    largest_relative: float
    nearly_all_relative: float


@dataclass(frozen=True, slots=True)
class Parity:
    """Report the comparison of two ways to compute the same maps.

    Attributes:
        sizes: height and width in pixels of the scans that were compared.
        maps: differences by output.
        boxes: number of boxes by scan, of the first way and of the second.
        boxes_agree: whether each box of one way is found by the other, down to the lowest heat.
    """

    sizes: tuple[tuple[int, int], ...]
    maps: tuple[MapDifference, ...]
    boxes: tuple[tuple[int, int], ...]
    boxes_agree: bool

    @property
    def passed(self) -> bool:
        """Return whether maps and boxes agree; no comparison is no agreement."""
        near = all(
            row.largest_relative <= MAX_DIFFERENCE and row.nearly_all_relative <= MOST_DIFFERENCE
            for row in self.maps
        )
        return bool(self.sizes) and near and self.boxes_agree

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON types, with the limits it was judged by."""
        limits = {
            "largest_relative": MAX_DIFFERENCE,
            "nearly_all_relative": MOST_DIFFERENCE,
            "box_iou": MIN_IOU,
            "score_difference": MAX_SCORE_DIFFERENCE,
        }
        report: dict[str, Any] = to_dict(self)
        return report | {"passed": self.passed, "limits": limits}


def compare(trained: Maps, exported: Maps, seen: Sequence[ModelInput], card: Card) -> Parity:
    """Compute every scan in both ways and compare maps and boxes."""
    pairs = [(trained(view), exported(view)) for view in seen]
    frames = [Frame(view.height, view.width, view.overview_scale) for view in seen]
    found = [
        (decode(first, card, frame), decode(second, card, frame))
        for (first, second), frame in zip(pairs, frames, strict=True)
    ]
    names = [
        field.name
        for field in dataclasses.fields(OutputMaps)
        if any(getattr(maps, field.name) is not None for pair in pairs for maps in pair)
    ]
    return Parity(
        sizes=tuple((view.height, view.width) for view in seen),
        maps=tuple(_difference(name, pairs) for name in names) if pairs else (),
        boxes=tuple((len(first), len(second)) for first, second in found),
        boxes_agree=all(same_boxes(first, second) for first, second in found),
    )


def same_boxes(first: Detections, second: Detections) -> bool:
    """Return whether each detection has one of its own in the other: class, place and score."""
    if len(first) != len(second):
        return False
    alike = (
        (geometry.iou(first.boxes_xyxy, second.boxes_xyxy) > MIN_IOU)
        & (first.class_ids[:, None] == second.class_ids[None, :])
        & (np.abs(first.scores[:, None] - second.scores[None, :]) < MAX_SCORE_DIFFERENCE)
    )
    for row in range(len(first)):
        free = np.flatnonzero(alike[row])
        if not len(free):
            return False
        alike[:, free[0]] = False
    return True


def _difference(name: str, pairs: Sequence[tuple[OutputMaps, OutputMaps]]) -> MapDifference:
    truth = _values(name, [first for first, _ in pairs])
    other = _values(name, [second for _, second in pairs])
    if truth.shape != other.shape:
        return MapDifference(name, float("inf"), float("inf"), float("inf"))
    # A value that is no number on either side is no agreement.
    absolute = np.nan_to_num(np.abs(truth - other), nan=np.inf)
    relative = absolute / np.maximum(np.nan_to_num(np.abs(truth)), 1)
    return MapDifference(
        name,
        float(absolute.max(initial=0)),
        float(relative.max(initial=0)),
        float(np.quantile(relative, _NEARLY_ALL, method="higher")),
    )


def _values(name: str, maps: Sequence[OutputMaps]) -> Float32[np.ndarray, " n"]:
    given = (getattr(part, name) for part in maps)
    return np.concatenate([part.ravel() for part in given if part is not None] or [_NOTHING])
