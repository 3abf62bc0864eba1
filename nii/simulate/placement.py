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

from nii.simulate.container import VESSELS, Room
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
    base, top = room.z_m[0], top_of(one.cargo, aside.box_m, room)
    if top is not None and where == "top":
        base = top
    if top is not None and where == "inside":
        base = float(rng.uniform(base, max(top - turned.size_m[1], base)))
    standing = place(aside, 0.0, 0.0, base + 0.001 - aside.lowest_m)
    gone = displaced(standing.box_m, one.cargo)
    if gone is None or not stands(standing.box_m, room, one.cargo):
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


def stands(box: Cuboid, room: Room, cargo: Iterable[Shape]) -> bool:
    """Return whether a box lies in a room and on its floor, on its load, or deep in the load."""
    for (low, high), (first, last) in zip(box, (room.x_m, room.y_m, room.z_m), strict=True):
        if low < first - _TOUCH_M or high > last + _TOUCH_M:
            return False
    if box[2][0] - room.z_m[0] <= _LEVEL_M:
        return True
    listed = list(cargo)
    below = (box[0], box[1], (room.z_m[0], box[2][0] + _LEVEL_M))
    near = [s for s in listed if extent(s)[3] >= box[2][0] - _LEVEL_M and _meets(s, below)]
    if _covered(box[0], near) >= _SUPPORT_SHARE:
        return True
    gone = displaced(box, listed)
    return gone is not None and _enclosed(box, gone) >= _ENCLOSED_SHARE


def top_of(cargo: Iterable[Shape], box: Cuboid, room: Room) -> float | None:
    """Return how high the load stands where the box is, seen from above; None without load."""
    column = (box[0], box[1], room.z_m)
    tops = [_top_under(shape, box[0]) for shape in cargo if _meets(shape, column)]
    return min(max(tops), room.z_m[1]) if tops else None


def _top_under(shape: Shape, x_m: Span) -> float:
    """Return the highest point of a shape between two x."""
    if isinstance(shape, Block):
        return shape.z_m[1]
    outline = shape.outlines_m[0]
    inside = outline[(outline[:, 0] >= x_m[0]) & (outline[:, 0] <= x_m[1])]
    near = inside if len(inside) else outline[np.abs(outline[:, 0] - x_m[0]).argsort()[:2]]
    return float(near[:, 1].max())


def displaced(box: Cuboid, cargo: Iterable[Shape]) -> list[Block] | None:
    """Return the goods inside a box as blocks, or None where something rigid is in the way."""
    gone: list[Block] = []
    inner = tuple((low + _TOUCH_M, high - _TOUCH_M) for low, high in box)
    for shape in cargo:
        if not _meets(shape, inner):
            continue
        if isinstance(shape, Polygon) and not _overlaps(shape.outlines_m[0], box):
            continue
        if not _soft(shape, box):
            return None
        common = _common(shape, box)
        if common is not None:
            gone.append(common)
    return gone


def _soft(shape: Shape, box: Cuboid) -> bool:
    if isinstance(shape, Block):
        vessel = shape.form == "upright" or shape.wall_m > 0
        return shape.density_g_per_cm3 <= _RIGID_G_PER_CM3 and not vessel
    # Of a plate only a part that holds the whole box can be cut out as a box.
    return shape.density_g_per_cm3 <= _RIGID_G_PER_CM3 and _contains(shape, box)


def _common(shape: Shape, box: Cuboid) -> Block | None:
    x0, x1, z0, z1 = extent(shape)
    spans = [
        (max(low, first), min(high, last))
        for (low, high), (first, last) in zip(box, ((x0, x1), shape.y_m, (z0, z1)), strict=True)
    ]
    if any(high <= low for low, high in spans):
        return None
    return Block(spans[0], spans[1], spans[2], shape.material, shape.density_g_per_cm3)


def _meets(shape: Shape, box: tuple[Span, ...]) -> bool:
    x0, x1, z0, z1 = extent(shape)
    (a0, a1), (b0, b1), (c0, c1) = box
    return x0 < a1 and x1 > a0 and z0 < c1 and z1 > c0 and shape.y_m[0] < b1 and shape.y_m[1] > b0


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


def _covered(x_m: Span, shapes: Iterable[Shape]) -> float:
    """Return the share of an extent along x that has a shape under it."""
    places = np.linspace(x_m[0], x_m[1], 21)
    under = np.zeros(len(places), bool)
    for shape in shapes:
        x0, x1, _, _ = extent(shape)
        under |= (places >= x0) & (places <= x1)
    return float(under.mean())


def _enclosed(box: Cuboid, gone: Iterable[Block]) -> float:
    """Return the share of a box that goods fill; materials of one package count once."""
    volumes: dict[Cuboid, float] = {}
    for block in gone:
        wide, deep, high = (b - a for a, b in (block.x_m, block.y_m, block.z_m))
        volumes[block.x_m, block.y_m, block.z_m] = wide * deep * high
    wide, deep, high = (b - a for a, b in box)
    return sum(volumes.values()) / (wide * deep * high)
