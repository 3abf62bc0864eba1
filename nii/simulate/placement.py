"""Where a thing can be hidden: inside, supported, clear of what is rigid; goods give way to it.

Soft goods (cartons, sacks, bulk, liquids) are taken away where the hidden thing is; it cannot be
in the same place as steel, stone or a closed drum.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float64

from nii.simulate.container import VESSELS
from nii.simulate.hidden import Cuboid, Span, Threat, place, rotate
from nii.simulate.loads import Loaded, Plan
from nii.simulate.shapes import Block, Polygon, Shape, extent

_RIGID_G_PER_CM3 = 1.5
"""Goods denser than this give no way; assumption."""
_TOUCH_M = 0.004
_SUPPORT_SHARE = 0.5
_ENCLOSED_SHARE = 0.5
_LEVEL_M = 0.03
_CAB_SHARE = 0.06


@dataclass(frozen=True, slots=True)
class Placed:
    """A thing at its place, and the goods that it takes the place of."""

    threat: Threat
    displaced: tuple[Block, ...] = ()


def put(
    threat: Threat, plan: Plan, taken: Iterable[Cuboid], rng: np.random.Generator
) -> Placed | None:
    """Return the threat at a place where it can stand, or None where this try found none.

    Args:
        threat: the thing, around the origin.
        plan: what stands in the beam.
        taken: where other hidden things are.
        rng: source of all draws.
    """
    loads = [one for one in plan.loads if _holds(one)]
    lean = 0.0 if threat.large else float(rng.uniform(0, 1.0))
    if plan.cab_x_m and rng.random() < _CAB_SHARE:
        placed = _put_in_cab(rotate(threat, 0.0, lean), plan.cab_x_m, rng)
    elif loads:
        placed = _put_in(threat, lean, loads[int(rng.integers(len(loads)))], rng)
    else:
        placed = None
    if placed is None or any(_cross(placed.threat.box_m, other) for other in taken):
        return None
    return placed


def _put_in_cab(threat: Threat, cab_x_m: Span, rng: np.random.Generator) -> Placed | None:
    if max(threat.size_m) > 1.1:  # noqa: PLR2004
        return None
    x = float(rng.uniform(cab_x_m[0] + 0.6, cab_x_m[1] - 0.4))
    # The floor of the cab ends at 1.13 m.
    return Placed(place(threat, x, float(rng.uniform(-0.7, 0.7)), 1.131 - threat.lowest_m))


def _holds(one: Loaded) -> bool:
    """Return whether things can be hidden in a load: no tank, no bare deck, no empty funnel."""
    body = one.container.body
    return body not in VESSELS and (body not in ("flat", "hopper") or bool(one.cargo))


def _put_in(threat: Threat, lean: float, one: Loaded, rng: np.random.Generator) -> Placed | None:
    where = str(rng.choice(["floor", "top", "inside"], p=[0.25, 0.3, 0.45]))
    buried = where == "inside" and bool(one.cargo)
    turned = rotate(threat, 0.0 if threat.rests else _angle(rng, buried=buried), lean)
    (x0, x1), (y0, y1), _ = turned.box_m
    room = one.room
    spare = (room.x_m[0] - x0 + 0.02, room.x_m[1] - x1 - 0.02)
    side = (room.y_m[0] - y0 + 0.01, room.y_m[1] - y1 - 0.01)
    if spare[0] >= spare[1] or side[0] >= side[1]:
        return None
    aside = place(turned, float(rng.uniform(*spare)), float(rng.uniform(*side)), 0.0)
    base, top = room.z_m[0], top_of(one, aside.box_m)
    if top is not None and where == "top":
        base = top
    if top is not None and where == "inside":
        base = float(rng.uniform(base, max(top - turned.size_m[1], base)))
    standing = place(aside, 0.0, 0.0, base + 0.001 - aside.lowest_m)
    gone = displaced(standing.box_m, one)
    if gone is None or not stands(standing.box_m, one, gone):
        return None
    return Placed(standing, tuple(gone))


def _angle(rng: np.random.Generator, *, buried: bool) -> float:
    """Return how a thing lies: at any angle among goods, else along the floor or at a wall."""
    if buried:
        return float(rng.uniform(0, 2 * np.pi))
    upright = np.pi / 2 if rng.random() < 0.1 else 0.0  # noqa: PLR2004
    return upright + np.pi * int(rng.integers(2)) + float(rng.normal(0, 0.06))


def _cross(one: Cuboid, other: Cuboid) -> bool:
    return all(a[0] < b[1] and b[0] < a[1] for a, b in zip(one, other, strict=True))


def stands(box: Cuboid, one: Loaded, gone: Iterable[Block]) -> bool:
    """Return whether a box lies in the room, and on its floor, on the load, or deep in the load.

    Args:
        box: the extent of the thing.
        one: the body with its load.
        gone: the goods that give way to it.
    """
    room = one.room
    for (low, high), (first, last) in zip(box, (room.x_m, room.y_m, room.z_m), strict=True):
        if low < first - _TOUCH_M or high > last + _TOUCH_M:
            return False
    if box[2][0] - room.z_m[0] <= _LEVEL_M:
        return True
    level = (box[2][0] - _LEVEL_M, box[2][0] + _LEVEL_M)
    near = [k for k in _meeting(one, (box[0], box[1], level)) if one.boxes_m[k, 5] >= level[0]]
    if _covered(box[0], one.boxes_m[near, :2]) >= _SUPPORT_SHARE:
        return True
    return _enclosed(box, gone) >= _ENCLOSED_SHARE


def top_of(one: Loaded, box: Cuboid) -> float | None:
    """Return how high the load stands where the box is, seen from above; None without load."""
    column = (box[0], box[1], one.room.z_m)
    tops = [
        _top_under(shape, box[0]) if isinstance(shape, Polygon) else shape.z_m[1]
        for shape in (one.cargo[k] for k in _meeting(one, column))
    ]
    return min(max(tops), one.room.z_m[1]) if tops else None


def _meeting(one: Loaded, box: Cuboid) -> list[int]:
    """Return which goods have an extent that crosses a box."""
    (x0, x1), (y0, y1), (z0, z1) = box
    low, high = one.boxes_m[:, ::2], one.boxes_m[:, 1::2]
    cross = (low < np.array([x1, y1, z1])) & (high > np.array([x0, y0, z0]))
    return [int(k) for k in np.flatnonzero(cross.all(1))]


def _top_under(plate: Polygon, x_m: Span) -> float:
    """Return the highest point of a plate between two x."""
    outline = plate.outlines_m[0]
    inside = outline[(outline[:, 0] >= x_m[0]) & (outline[:, 0] <= x_m[1])]
    near = inside if len(inside) else outline[np.abs(outline[:, 0] - x_m[0]).argsort()[:2]]
    return float(near[:, 1].max())


def displaced(box: Cuboid, one: Loaded) -> list[Block] | None:
    """Return the goods inside a box as blocks, or None where something rigid is in the way."""
    gone: list[Block] = []
    (x0, x1), (y0, y1), (z0, z1) = box
    touch = _TOUCH_M
    inner = ((x0 + touch, x1 - touch), (y0 + touch, y1 - touch), (z0 + touch, z1 - touch))
    for index in _meeting(one, inner):
        shape = one.cargo[index]
        if isinstance(shape, Polygon) and not _overlaps(shape.outlines_m[0], box):
            continue
        if not _soft(shape, box):
            return None
        gone += common(shape, box)
    return gone


def _soft(shape: Shape, box: Cuboid) -> bool:
    if isinstance(shape, Block):
        vessel = shape.form == "upright" or shape.wall_m > 0
        return shape.density_g_per_cm3 <= _RIGID_G_PER_CM3 and not vessel
    # Of a plate only a part that holds the whole box can be cut out as a box.
    return shape.density_g_per_cm3 <= _RIGID_G_PER_CM3 and _contains(shape, box)


def common(shape: Shape, box: Cuboid) -> list[Block]:
    """Return the part of a shape's extent that lies in a box, as a block; none where they miss."""
    x0, x1, z0, z1 = extent(shape)
    spans = [
        (max(low, first), min(high, last))
        for (low, high), (first, last) in zip(box, ((x0, x1), shape.y_m, (z0, z1)), strict=True)
    ]
    if any(high <= low for low, high in spans):
        return []
    return [Block(spans[0], spans[1], spans[2], shape.material, shape.density_g_per_cm3)]


def _overlaps(outline: Float64[np.ndarray, "_ 2"], box: Cuboid) -> bool:
    (x0, x1), _, (z0, z1) = box
    middle = [((x0 + x1) / 2, (z0 + z1) / 2), (x0, (z0 + z1) / 2), (x1, (z0 + z1) / 2)]
    points = [(x0, z0), (x1, z0), (x1, z1), (x0, z1), *middle]
    if any(_holds_point(outline, point) for point in points):
        return True
    x, z = outline.T
    return bool(((x > x0) & (x < x1) & (z > z0) & (z < z1)).any())


def _contains(plate: Polygon, box: Cuboid) -> bool:
    (x0, x1), _, (z0, z1) = box
    x, z = plate.outlines_m[0].T
    if bool(((x > x0) & (x < x1) & (z > z0) & (z < z1)).any()) or len(plate.outlines_m) > 1:
        return False
    corners = ((x0, z0 + _TOUCH_M), (x1, z0 + _TOUCH_M), (x1, z1), (x0, z1))
    return all(_holds_point(plate.outlines_m[0], corner) for corner in corners)


def _holds_point(outline: Float64[np.ndarray, "_ 2"], point: tuple[float, float]) -> bool:
    contour = np.asarray(outline, np.float32).reshape(-1, 1, 2)
    return cv2.pointPolygonTest(contour, (float(point[0]), float(point[1])), measureDist=False) >= 0


def _covered(x_m: Span, under_m: Float64[np.ndarray, "n 2"]) -> float:
    """Return the share of an extent along x that something lies under."""
    places = np.linspace(x_m[0], x_m[1], 21)[:, None]
    return float(((places >= under_m[:, 0]) & (places <= under_m[:, 1])).any(1).mean())


def _enclosed(box: Cuboid, gone: Iterable[Block]) -> float:
    """Return the share of a box that goods fill; materials of one package count once."""
    volumes: dict[Cuboid, float] = {}
    for block in gone:
        wide, deep, high = (b - a for a, b in (block.x_m, block.y_m, block.z_m))
        volumes[block.x_m, block.y_m, block.z_m] = wide * deep * high
    wide, deep, high = (b - a for a, b in box)
    return sum(volumes.values()) / (wide * deep * high)
