"""Changes of the vehicle that hide things: false walls and floors, stuffed cavities, rip-off bags.

Every kind is a function ``(plan, rng) -> Placed | None`` in the table `MODIFICATIONS`; None says
that this vehicle has no place for it. All are of the class ``modification``. Packages are those of
:mod:`nii.simulate.threats_goods`, 1.0-1.3 g/cm3; sizes of cavities are assumptions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nii.simulate.hidden import Cuboid, Span, Threat, rectangle
from nii.simulate.loads import Hide, Hollow, Loaded, Plan
from nii.simulate.placement import Placed, common, displaced, stands, top_of
from nii.simulate.shapes import PAPER, STEEL, Polygon

Modification = Callable[[Plan, np.random.Generator], Placed | None]

_BRICK_M = (0.2, 0.13)


def false_wall(plan: Plan, rng: np.random.Generator) -> Placed | None:
    """Stand a second corrugated end wall before the first one, with packages or air between."""
    one = _hollowed(plan, "false_wall")
    if one is None or one.hollow is None:
        return None
    (x0, x1), y_m, (z0, z1) = one.hollow.x_m, one.hollow.y_m, one.hollow.z_m
    at_front = x1 <= one.room.x_m[0]
    sheet = (x1, x1 + 0.045) if at_front else (x0 - 0.045, x0)
    # A sheet of 2 mm folded to a depth of 45 mm, as end walls are.
    wall = Polygon((rectangle(sheet[0], z0, sheet[1], z1),), y_m, STEEL, 7.85 * 0.05)
    parts = [wall]
    if rng.random() < 0.75:  # noqa: PLR2004
        level = z0 + (z1 - z0) * float(rng.uniform(0.3, 0.95))
        parts += _packages(((x0 + 0.01, x1 - 0.01), _share_of(y_m, rng), (z0, level)), rng)
    return Placed(Threat("modification", "false_wall", tuple(parts), rests=True))


def false_floor(plan: Plan, rng: np.random.Generator) -> Placed | None:
    """Lay a second floor of plywood 10-22 cm above the first one, with packages under it."""
    one = _hollowed(plan, "false_floor")
    if one is None or one.hollow is None:
        return None
    (x0, x1), y_m, (z0, z1) = one.hollow.x_m, one.hollow.y_m, one.hollow.z_m
    floor = Polygon((rectangle(x0, z1, x1, z1 + 0.018),), y_m, PAPER, 0.7)
    long = (x1 - x0) * float(rng.uniform(0.15, 0.7))
    left = float(rng.uniform(x0, x1 - long))
    cavity = ((left, left + long), _share_of(y_m, rng), (z0, z1 - 0.01))
    parts = [floor, *_packages(cavity, rng)]
    return Placed(Threat("modification", "false_floor", tuple(parts), rests=True))


def reefer_housing(plan: Plan, rng: np.random.Generator) -> Placed | None:
    """Stack packages beside the machinery of a refrigerated container."""
    reefers = [one for one in plan.loads if one.container.body == "reefer"]
    if not reefers:
        return None
    box = reefers[int(rng.integers(len(reefers)))].container
    left = box.x_m[0] + 0.03 if box.doors_right else box.x_m[1] - 0.39
    low = box.z_m[0] + float(rng.uniform(0.12, 0.7))
    high = low + _BRICK_M[1] * int(rng.integers(3, 11))
    near = -1.1 if rng.random() < 0.5 else 0.3  # noqa: PLR2004
    deep = float(rng.uniform(0.2, 0.8))
    cavity = ((left, left + 0.36), (near, near + deep), (low, min(high, box.z_m[1] - 0.2)))
    parts = tuple(_packages(cavity, rng, (0.17, 0.13)))
    return Placed(Threat("modification", "reefer_housing", parts, rests=True))


def rip_off(plan: Plan, rng: np.random.Generator) -> Placed | None:
    """Put one to four sports bags of 15-35 kg right behind the doors."""
    holds = [one for one in plan.loads if one.container.body in ("dry", "reefer", "van")]
    if not holds:
        return None
    one = holds[int(rng.integers(len(holds)))]
    wide, high, deep = float(rng.uniform(0.45, 0.6)), 0.32, 0.34
    room = one.room
    x0 = room.x_m[1] - wide - 0.03 if one.container.doors_right else room.x_m[0] + 0.03
    columns, tiers = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    y0 = float(rng.uniform(room.y_m[0] + 0.05, room.y_m[1] - 0.05 - columns * deep))
    spread: Span = (y0, y0 + columns * deep)
    box: Cuboid = ((x0, x0 + wide), spread, (room.z_m[0], room.z_m[0] + tiers * high))
    top = top_of(one, box)
    bases = [room.z_m[0]] if top is None else [room.z_m[0], top]
    for base in bases:
        box = (box[0], spread, (base + 0.001, base + tiers * high))
        gone = displaced(box, one)
        if gone is not None and stands(box, one, gone):
            bags = _bags(box, tiers, float(rng.uniform(15, 35)), rng)
            return Placed(Threat("modification", "rip_off", bags, rests=True), tuple(gone))
    return None


def _bags(box: Cuboid, tiers: int, each_kg: float, rng: np.random.Generator) -> tuple[Polygon, ...]:
    """Return bags as rounded bodies, each with bricks showing through."""
    (x0, x1), y_m, (z0, z1) = box
    high = (z1 - z0) / tiers
    volume_l = (x1 - x0) * (y_m[1] - y_m[0]) * high * 1000
    count = max(round((y_m[1] - y_m[0]) / 0.34), 1)
    density = min(each_kg * count / volume_l / 0.85, 1.2)
    parts: list[Polygon] = []
    for tier in range(tiers):
        low = z0 + tier * high
        angle = np.linspace(0, 2 * np.pi, 25)[:-1]
        round_off = (
            np.sign([np.cos(angle), np.sin(angle)]) * np.abs([np.cos(angle), np.sin(angle)]) ** 0.4
        )
        middle = np.array([(x0 + x1) / 2, low + high / 2])
        outline = middle + round_off.T * [(x1 - x0) / 2, high / 2]
        parts.append(Polygon((outline,), y_m, PAPER, density * 0.4))
        for _ in range(int(rng.integers(5, 10))):
            left = float(rng.uniform(x0 + 0.03, x1 - 0.24))
            foot = low + float(rng.uniform(0.03, high - 0.16))
            brick = rectangle(left, foot, left + 0.2, foot + float(rng.choice([0.05, 0.13])))
            parts.append(Polygon((brick,), y_m, PAPER, density * 0.25))
    return tuple(parts)


def stuffed_tyre(plan: Plan, rng: np.random.Generator) -> Placed | None:
    """Fill a part of a tyre between rim and tread with packages."""
    hide = _hide(plan, "tyre", rng)
    if hide is None:
        return None
    radius = (hide.x_m[1] - hide.x_m[0]) / 2
    centre = np.array([sum(hide.x_m) / 2, radius])
    inner, outer = 0.31, radius - 0.055
    count, first = int(rng.integers(5, 15)), float(rng.uniform(0, 2 * np.pi))
    density = float(rng.uniform(1.0, 1.3))
    y_m = (hide.y_m[0] + 0.03, hide.y_m[1] - 0.03)
    step = 2 * np.pi / 14
    parts = []
    for index in range(count):
        angle = first + index * step + np.array([0.03, step - 0.03])
        ray = np.stack([np.cos(angle), np.sin(angle)], 1)
        outline = centre + np.concatenate([ray * inner, ray[::-1] * outer])
        parts.append(Polygon((outline,), y_m, PAPER, density))
    return Placed(Threat("modification", "tyre", tuple(parts), rests=True))


def stuffed_tank(plan: Plan, rng: np.random.Generator) -> Placed | None:
    """Build a sealed box with packages into a fuel tank; fuel gives way to it."""
    hide = _hide(plan, "fuel_tank", rng)
    if hide is None:
        return None
    (x0, x1), (y0, y1), (z0, z1) = hide.x_m, hide.y_m, hide.z_m
    wide = (x1 - x0) * float(rng.uniform(0.3, 0.9))
    left = x0 if rng.random() < 0.5 else x1 - wide  # noqa: PLR2004
    high = z0 + (z1 - z0) * float(rng.uniform(0.4, 0.95))
    box: Cuboid = ((left, left + wide), (y0 + 0.02, y1 - 0.02), (z0, high))
    outer = rectangle(left, z0, left + wide, high)
    inner = rectangle(left + 0.003, z0 + 0.003, left + wide - 0.003, high - 0.003)
    shell = Polygon((outer, inner), box[1], STEEL, 7.85)
    inside = ((left + 0.01, left + wide - 0.01), box[1], (z0 + 0.005, high - 0.005))
    parts = (shell, *_packages(inside, rng))
    gone = tuple(block for shape in hide.filled for block in common(shape, box))
    return Placed(Threat("modification", "fuel_tank", parts, rests=True), gone)


def stuffed_beam(plan: Plan, rng: np.random.Generator) -> Placed | None:
    """Tie a row of packages between the beams of a chassis, or push it into a hollow sill."""
    hide = _hide(plan, "chassis_beam", rng)
    if hide is None:
        return None
    long = min(0.21 * int(rng.integers(3, 21)), hide.x_m[1] - hide.x_m[0])
    left = float(rng.uniform(hide.x_m[0], hide.x_m[1] - long))
    high = hide.z_m[1] - 0.01
    low = max(hide.z_m[0], high - float(rng.choice([0.05, 0.13, 0.26])))
    deep = float(rng.uniform(0.3, 1.0)) * (hide.y_m[1] - hide.y_m[0])
    cavity = ((left, left + long), (hide.y_m[0] + 0.01, hide.y_m[0] + deep), (low, high))
    parts = tuple(_packages(cavity, rng))
    return Placed(Threat("modification", "chassis_beam", parts, rests=True))


MODIFICATIONS: dict[str, Modification] = {
    "false_wall": false_wall,
    "false_floor": false_floor,
    "reefer_housing": reefer_housing,
    "rip_off": rip_off,
    "tyre": stuffed_tyre,
    "fuel_tank": stuffed_tank,
    "chassis_beam": stuffed_beam,
}


def _hollowed(plan: Plan, kind: Hollow) -> Loaded | None:
    return next((one for one in plan.loads if one.hollow_kind == kind), None)


def _hide(plan: Plan, kind: str, rng: np.random.Generator) -> Hide | None:
    hides = [hide for hide in plan.hides if hide.kind == kind]
    return hides[int(rng.integers(len(hides)))] if hides else None


def _share_of(y_m: Span, rng: np.random.Generator) -> Span:
    """Return a tenth to a half of a width, anywhere in it."""
    deep = (y_m[1] - y_m[0]) * float(rng.uniform(0.1, 0.5))
    near = float(rng.uniform(y_m[0], y_m[1] - deep))
    return near, near + deep


def _packages(
    cavity: Cuboid, rng: np.random.Generator, size: tuple[float, float] = _BRICK_M
) -> list[Polygon]:
    """Return packages in rows and layers that fill a cavity, as many as fit, at least one."""
    (x0, x1), y_m, (z0, z1) = cavity
    wide, high = min(size[0], x1 - x0), min(size[1], z1 - z0)
    columns, layers = max(int((x1 - x0) / wide + 1e-6), 1), max(int((z1 - z0) / high + 1e-6), 1)
    density = float(rng.uniform(1.0, 1.3))
    parts = []
    for column in range(columns):
        for layer in range(layers):
            x, z = x0 + column * wide, z0 + layer * high
            outline = rectangle(x + 0.003, z, x + wide - 0.003, z + high - 0.003)
            parts.append(Polygon((outline,), y_m, PAPER, density))
    return parts
