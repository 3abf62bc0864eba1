"""Position: where a region lies, in words that an officer at the vehicle can follow.

Inside a container the words count thirds of its length and of its height. "Front" and "rear" are
said only where the tractor was recognised: the vehicle reaches beyond the containers on one side,
and there is matter as high as the containers on that side. A bare chassis that sticks out is low,
so a short container at the front of a long trailer does not turn the words around.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32

from nii.inspection import Structure

Side = Literal["left", "right"]
Box = tuple[float, float, float, float]

_CAB_LENGTH = 0.05
"""Least share of the vehicle's length that a cab takes: assumption; a cab is 1.5 m or more, a road
train 16 to 19 m."""
_CAB_ROWS = (0.2, 0.8)
"""Rows between the containers' top and bottom that a cab reaches and a chassis does not."""
_MATTER = 0.85
"""Transmission below which there is matter: assumption, two centimetres of plastic."""
_CAB_FILLING = 0.3
"""Least share of matter in those rows of a column through a cab; a chassis has none."""
_MEMBER = 0.5
"""Least share of a region inside a container to belong to it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Say how a conveyance stands in the scan.

    Attributes:
        containers: from left to right.
        vehicle: the largest vehicle; None where none was found.
        front: the side where the tractor is; None where that is not certain.
        height: of the scan in pixels.
        width: of the scan in pixels.
    """

    containers: tuple[Structure, ...]
    vehicle: Structure | None
    front: Side | None
    height: int
    width: int


def layout_of(
    structures: Sequence[Structure], transmission: Float32[np.ndarray, "height width"]
) -> Layout:
    """Return how a conveyance stands in a scan.

    Args:
        structures: what was found, each kind from left to right.
        transmission: of the highest energy, or display grey.
    """
    height, width = transmission.shape
    containers = tuple(part for part in structures if part.kind == "container")
    vehicles = [part for part in structures if part.kind == "vehicle"]
    vehicle = max(vehicles, key=lambda part: _area(part.box_xyxy), default=None)
    front = _front(containers, vehicle, transmission) if containers and vehicle else None
    return Layout(containers, vehicle, front, height, width)


def container_of(box: Box, layout: Layout) -> int | None:
    """Return the number of the container that a region lies in; None outside all of them."""
    shares = [_common(box, part.box_xyxy) / _area(box) for part in layout.containers]
    if not shares or max(shares) < _MEMBER:
        return None
    return layout.containers[shares.index(max(shares))].number


def words(box: Box, layout: Layout) -> str:
    """Return the place of a region in words."""
    number = container_of(box, layout)
    if number is not None:
        inside = next(part for part in layout.containers if part.number == number).box_xyxy
        height = _third(box, inside, 1, ("under the roof", "mid height", "floor level"))
        return f"container {number}, {_along(box, inside, layout.front)}, {height}"
    if layout.vehicle is None:
        whole = (0.0, 0.0, float(layout.width), float(layout.height))
        return f"no container there; {_along(box, whole, None)} of the scan, {_height(box, whole)}"
    vehicle = layout.vehicle.box_xyxy
    where = "tractor" if _is_tractor(box, layout) else _along(box, vehicle, layout.front)
    return f"outside the containers, {where} of the vehicle, {_height(box, vehicle)}"


def _front(
    containers: Sequence[Structure],
    vehicle: Structure,
    transmission: Float32[np.ndarray, "height width"],
) -> Side | None:
    x0, _, x1, _ = vehicle.box_xyxy
    first, last = (
        min(part.box_xyxy[0] for part in containers),
        max(part.box_xyxy[2] for part in containers),
    )
    top = min(part.box_xyxy[1] for part in containers)
    bottom = max(part.box_xyxy[3] for part in containers)
    low, high = (top + share * (bottom - top) for share in _CAB_ROWS)
    least = _CAB_LENGTH * (x1 - x0)
    cab: dict[Side, bool] = {}
    spans: tuple[tuple[Side, float, float], ...] = (("left", x0, first), ("right", last, x1))
    for side, start, end in spans:
        rows, columns = slice(_index(low), _index(high)), slice(_index(start), _index(end))
        part = transmission[rows, columns]
        tall = (part < _MATTER).sum(axis=0) >= max(1, _CAB_FILLING * len(part))
        cab[side] = float(tall.sum()) >= least
    if cab["left"] == cab["right"]:
        return None
    return "left" if cab["left"] else "right"


def _is_tractor(box: Box, layout: Layout) -> bool:
    middle = (box[0] + box[2]) / 2
    if layout.front == "left":
        return middle < min(part.box_xyxy[0] for part in layout.containers)
    if layout.front == "right":
        return middle > max(part.box_xyxy[2] for part in layout.containers)
    return False


def _along(box: Box, inside: Box, front: Side | None) -> str:
    if front is None:
        return _third(box, inside, 0, ("left third", "middle third", "right third"))
    ends = ("front third", "middle third", "rear third")
    return _third(box, inside, 0, ends if front == "left" else (ends[2], ends[1], ends[0]))


def _height(box: Box, inside: Box) -> str:
    return _third(box, inside, 1, ("high", "mid height", "near the ground"))


def _third(box: Box, inside: Box, axis: int, names: tuple[str, str, str]) -> str:
    middle = (box[axis] + box[axis + 2]) / 2
    share = (middle - inside[axis]) / (inside[axis + 2] - inside[axis])
    return names[min(2, max(0, int(3 * share)))]


def _index(coordinate: float) -> int:
    return max(0, round(coordinate))


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _common(first: Box, second: Box) -> float:
    wide = min(first[2], second[2]) - max(first[0], second[0])
    high = min(first[3], second[3]) - max(first[1], second[1])
    return max(0.0, wide) * max(0.0, high)
