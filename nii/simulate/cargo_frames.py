"""Goods and gear of thin bars that meet at angles: racks, garments on rails, what drivers carry.

Such things look most like firearms to a network that never saw them (docs/results.md names the
highest false alarms on real trucks). All sizes are those of common catalogue goods; assumption.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from nii.simulate.container import Room
from nii.simulate.lots import Lot, marks, steel
from nii.simulate.shapes import (
    LIGHT_METAL,
    ORGANIC,
    PAPER,
    STEEL,
    Block,
    Polygon,
    Shape,
    bar,
    disc,
    extent,
)

_TUBE = 0.28
"""Share of steel in the section of a common tube: 40 mm wide, 3 mm of wall."""
_STEEL_G_PER_CM3 = 7.85
_SUNK_M = 0.05
"""How far a thing may reach into the floor; a bar that lies there has corners below it."""
_ALUMINIUM_G_PER_CM3 = 2.7


def racks(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stand frames of tubes one behind the other: uprights, rails and diagonals in every bay."""
    length = float(min(rng.uniform(0.6, 2.4), room.length_m - 0.05))
    high = room.height_m * float(rng.uniform(0.4, 0.95))
    tube = float(rng.uniform(0.02, 0.06))
    rails = int(rng.integers(2, 5))
    crossed = rng.random() < 0.5  # noqa: PLR2004
    frames = int(rng.integers(3, 9))
    shapes: list[Shape] = []
    for x in marks(room, length + 0.05):
        for y in np.linspace(room.y_m[0] + 0.05, room.y_m[1] - 0.1, frames).tolist():
            left = x + float(rng.uniform(0, 0.05))
            frame = Room((left, left + length - 0.05), (y, y + tube), room.z_m)
            shapes += _frame(frame, high, lot, rails, crossed=crossed)
    return shapes


def _frame(place: Room, high: float, lot: Lot, rails: int, *, crossed: bool) -> list[Shape]:
    (x0, x1), low, tube = place.x_m, place.z_m[0], place.y_m[1] - place.y_m[0]
    density = lot.density_g_per_cm3
    levels = np.linspace(low, low + high - tube, rails).tolist()
    shapes: list[Shape] = [
        steel((x, x + tube), place.y_m, (low, low + high), density) for x in (x0, x1 - tube)
    ]
    shapes += [steel((x0, x1), place.y_m, (z, z + tube), density) for z in levels]
    for lower, upper in pairwise(levels):
        slants = [((x0, lower), (x1, upper))] + [((x0, upper), (x1, lower))] * crossed
        shapes += [bar(*ends, 0.8 * tube, place.y_m, STEEL, density) for ends in slants]
    return shapes


def garments(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Hang clothes from rails along the room, each bundle by the hooks of its hangers."""
    long = min(float(rng.uniform(0.7, 1.5)), room.height_m - 0.3)
    tiers = 2 if 2 * (long + 0.15) < room.height_m - 0.1 else 1
    step = float(rng.uniform(0.1, 0.35))
    post = float(rng.uniform(1.2, 2.6))
    shapes: list[Shape] = []
    for tier in range(tiers):
        top = room.z_m[1] - 0.08 - tier * (room.height_m / tiers)
        for y in (-0.7, 0.0, 0.7):
            shapes.append(steel(room.x_m, (y, y + 0.03), (top, top + 0.03), _tube()))
            for x in marks(room, step):
                if rng.random() < 0.1:  # noqa: PLR2004
                    continue
                end = top - 0.12 - long * float(rng.uniform(0.7, 1.0))
                place = Room((x, x + 0.85 * step), (y - 0.27, y + 0.27), (end, top))
                shapes += _hung(place, lot.varied(rng, 0.3))
    for x in marks(room, post):
        for y in (room.y_m[0], room.y_m[1] - 0.05):
            shapes.append(steel((x, x + 0.05), (y, y + 0.05), room.z_m, _tube()))
    return shapes


def _hung(place: Room, lot: Lot) -> list[Shape]:
    (x0, x1), (z0, z1) = place.x_m, place.z_m
    cloth = (z0, z1 - 0.12)
    shapes: list[Shape] = [
        Block(place.x_m, place.y_m, cloth, material, lot.density_g_per_cm3 * share, "pillow")
        for material, share in lot.materials
    ]
    middle = sum(place.y_m) / 2
    wire = (middle - 0.02, middle + 0.02)
    hook = (x0 + x1) / 2
    shapes += [
        bar((hook, z1), (hook, z1 - 0.1), 0.004, wire, STEEL, 4.0),
        bar((hook, z1 - 0.1), (hook - 0.03, z1 - 0.14), 0.006, wire, STEEL, 4.0),
    ]
    return shapes


def gear(room: Room, rng: np.random.Generator, most: int = 3) -> list[Shape]:
    """Return what drivers leave in a body: load bars, ladders, trestles, jacks, lashing, tools.

    Args:
        room: where it may stand.
        rng: source of all draws.
        most: number of things at most; often there are none.
    """
    shapes: list[Shape] = []
    for _ in range(int(rng.integers(0, most + 1))):
        thing = _GEAR[int(rng.integers(len(_GEAR)))]
        x = float(rng.uniform(room.x_m[0], max(room.x_m[1] - 0.7, room.x_m[0] + 0.01)))
        y = float(rng.uniform(room.y_m[0] + 0.05, room.y_m[1] - 0.3))
        made = thing(replace(room, x_m=(x, room.x_m[1]), y_m=(y, room.y_m[1])), rng)
        made = _pushed_in(made, room)
        if all(_within(shape, room) for shape in made):
            shapes += made
    return shapes


def _pushed_in(made: list[Shape], room: Room) -> list[Shape]:
    """Return a thing moved across the vehicle until it no longer reaches through a side wall."""
    low, high = min(one.y_m[0] for one in made), max(one.y_m[1] for one in made)
    by = max(room.y_m[0] - low, 0.0) - max(high - room.y_m[1], 0.0)
    if by == 0:
        return made
    return [replace(one, y_m=(one.y_m[0] + by, one.y_m[1] + by)) for one in made]


def _within(shape: Shape, room: Room) -> bool:
    x0, x1, low, top = extent(shape)
    along = x0 >= room.x_m[0] and x1 <= room.x_m[1]
    across = shape.y_m[0] >= room.y_m[0] - 1e-9 and shape.y_m[1] <= room.y_m[1] + 1e-9
    return along and across and low >= room.z_m[0] - _SUNK_M and top <= room.z_m[1]


def _load_bar(room: Room, rng: np.random.Generator) -> list[Shape]:
    """A telescopic bar, jammed between floor and roof, or across from wall to wall."""
    x, y, (z0, z1) = room.x_m[0], room.y_m[0], room.z_m
    wide = float(rng.uniform(0.03, 0.05))
    if rng.random() < 0.3:  # noqa: PLR2004
        z = float(rng.uniform(z0 + 0.3, z1 - 0.3))
        return [steel((x, x + wide), (-1.1, 1.1), (z, z + wide), 0.25 * _STEEL_G_PER_CM3)]
    joint = float(rng.uniform(z0 + 0.8, z0 + 1.4))
    return [
        steel((x, x + wide), (y, y + wide), (z0, joint + 0.2), _tube()),
        steel((x + 0.004, x + wide - 0.004), (y, y + wide), (joint, z1), _tube()),
        steel((x - 0.04, x + wide + 0.04), (y - 0.03, y + 0.08), (z0, z0 + 0.012), 2.0),
        bar((x + wide, joint), (x + wide + 0.1, joint + 0.2), 0.02, (y, y + wide), STEEL, 4.0),
    ]


def _ladder(room: Room, rng: np.random.Generator) -> list[Shape]:
    """A ladder of aluminium, lying at a wall or leaning against it."""
    x, y, z = room.x_m[0], room.y_m[0], room.z_m[0]
    long = float(rng.uniform(1.5, 2.6))
    lean = float(rng.choice([0.02, rng.uniform(0.3, 1.3)]))
    along = np.array([np.cos(lean), np.sin(lean)])
    across = np.array([-along[1], along[0]]) * float(rng.uniform(0.3, 0.42))
    foot = np.array([x, z + 0.03])
    deep = (y, y + 0.06)
    ends = [(foot + side, foot + side + long * along) for side in (0 * across, across)]
    rungs = [(foot + at * along, foot + at * along + across) for at in np.arange(0.2, long, 0.28)]
    bars = [*((e, 0.03) for e in ends), *((r, 0.028) for r in rungs)]
    shapes: list[Shape] = [
        bar(_pair(a), _pair(b), thick, deep, LIGHT_METAL, 0.4 * _ALUMINIUM_G_PER_CM3)
        for (a, b), thick in bars
    ]
    return shapes


def _trestle(room: Room, rng: np.random.Generator) -> list[Shape]:
    """A trestle: four legs that meet under a beam."""
    x, y, z = room.x_m[0], room.y_m[0], room.z_m[0]
    high, half = float(rng.uniform(0.5, 1.0)), float(rng.uniform(0.15, 0.35))
    wide, thick = float(rng.uniform(0.0, 0.6)), float(rng.uniform(0.025, 0.05))
    material, density = (PAPER, 0.5) if rng.random() < 0.3 else (STEEL, _tube())  # noqa: PLR2004
    legs = [
        ((x + at, z), (x + half + top, z + high))
        for top in (0.0, wide)
        for at in (top, top + 2 * half)
    ]
    shapes: list[Shape] = [bar(*leg, thick, (y, y + thick), material, density) for leg in legs]
    beam = (x + half - 0.05, x + half + wide + 0.05)
    return [*shapes, Block(beam, (y, y + 0.1), (z + high, z + high + 0.06), material, density)]


def _jack(room: Room, rng: np.random.Generator) -> list[Shape]:
    """A hand pallet truck: forks, rollers, and a handle at any slant."""
    x, y, z = room.x_m[0] + 0.7, room.y_m[0], room.z_m[0]
    lean = float(rng.uniform(0.95, 1.5))
    top = (x - 1.2 * float(np.cos(lean)), z + 0.2 + 1.1 * float(np.sin(lean)))
    deep = (y, y + 0.5)
    return [
        steel((x, x + 1.15), deep, (z + 0.05, z + 0.09), 0.8),
        Polygon(disc((x + 0.02, z + 0.1), 0.1), (y + 0.2, y + 0.3), ORGANIC, 1.6),
        Polygon(disc((x + 1.05, z + 0.04), 0.04), deep, ORGANIC, 0.6),
        steel((x - 0.06, x + 0.08), (y + 0.2, y + 0.3), (z + 0.15, z + 0.42), 2.5),
        bar((x, z + 0.35), top, 0.035, (y + 0.23, y + 0.27), STEEL, _tube()),
        bar(top, (top[0] - 0.05, top[1] + 0.12), 0.025, (y + 0.1, y + 0.4), STEEL, 1.0),
    ]


def _extinguisher(room: Room, rng: np.random.Generator) -> list[Shape]:
    """A fire extinguisher on a bracket at the wall, with its lever and hose."""
    x, y = room.x_m[0], room.y_m[0]
    z = room.z_m[0] + float(rng.choice([0.0, rng.uniform(0.3, 1.0)]))
    wide, high = float(rng.uniform(0.11, 0.17)), float(rng.uniform(0.35, 0.55))
    neck = (x + wide / 2, z + high)
    deep = (y + wide / 2 - 0.02, y + wide / 2 + 0.02)
    box = ((x, x + wide), (y, y + wide), (z, z + high))
    return [
        Block(*box, STEEL, _STEEL_G_PER_CM3, "upright", 0.0015),
        Block(*box, ORGANIC, 0.7, "upright"),
        bar(neck, (neck[0], neck[1] + 0.07), 0.03, deep, STEEL, 6.0),
        bar((neck[0], neck[1] + 0.06), (neck[0] + 0.12, neck[1] + 0.09), 0.012, deep, STEEL, 5.0),
        bar((neck[0], neck[1] + 0.04), (neck[0] - 0.1, z + 0.1), 0.018, deep, ORGANIC, 1.2),
    ]


def _chain(room: Room, rng: np.random.Generator) -> list[Shape]:
    """A lashing chain with its tensioner: links in a line that hangs or lies, and two hooks."""
    x, y = room.x_m[0], room.y_m[0]
    z = room.z_m[0] + float(rng.choice([0.02, rng.uniform(0.2, 1.5)]))
    link, count = float(rng.uniform(0.025, 0.05)), int(rng.integers(8, 40))
    points = np.cumsum(rng.normal(0, 0.35, count))
    turn = np.cumsum(np.stack([np.cos(points), 0.3 * np.sin(points)], 1) * link, 0)
    turn[:, 1] = np.maximum(turn[:, 1] + z, room.z_m[0] + 0.02)
    turn[:, 0] = np.clip(turn[:, 0] + x, *room.x_m) if room.length_m > 0 else x
    deep = (y, y + link)
    shapes: list[Shape] = [
        bar(_pair(a), _pair(b), 0.5 * link, deep, STEEL, 0.45 * _STEEL_G_PER_CM3)
        for a, b in pairwise(turn)
        if float(np.hypot(*(b - a))) > 1e-3  # noqa: PLR2004
    ]
    hold = _pair(turn[len(turn) // 2])
    tension = (hold[0] + float(rng.uniform(0.2, 0.35)), hold[1] + float(rng.uniform(0, 0.15)))
    shapes.append(bar(hold, tension, 0.03, deep, STEEL, 5.0))
    return shapes


def _tools(room: Room, rng: np.random.Generator) -> list[Shape]:
    """Brooms and shovels that lean, or brackets, hooks and spanners that lie about."""
    x, y, z = room.x_m[0], room.y_m[0], room.z_m[0]
    if rng.random() < 0.3:  # noqa: PLR2004
        lean, long = float(rng.uniform(1.0, 1.5)), float(rng.uniform(1.1, 1.6))
        top = (x + long * float(np.cos(lean)), z + long * float(np.sin(lean)))
        blade = (x - 0.1, x + 0.12)
        return [
            bar((x, z + 0.05), top, 0.03, (y, y + 0.03), PAPER, 0.6),
            Block(blade, (y, y + 0.15), (z, z + 0.06), ORGANIC, 0.4),
        ]
    shapes: list[Shape] = []
    for _ in range(int(rng.integers(1, 4))):
        at = np.array([x + rng.uniform(0, 0.5), z + 0.03 + rng.uniform(0, 1) ** 3 * 1.5])
        turn, bend = float(rng.uniform(0, np.pi)), float(rng.choice([0, 0.5, 1.0, 1.57, 2.0]))
        arms = rng.uniform(0.05, 0.45, 2)
        thick, deep = float(rng.uniform(0.01, 0.05)), float(rng.uniform(0.006, 0.05))
        knee = at + arms[0] * np.array([np.cos(turn), abs(np.sin(turn))])
        end = knee + arms[1] * np.array([np.cos(turn + bend), np.sin(turn + bend)])
        density = float(rng.choice([_STEEL_G_PER_CM3, _tube(), _ALUMINIUM_G_PER_CM3]))
        material = LIGHT_METAL if density == _ALUMINIUM_G_PER_CM3 else STEEL
        shapes += [
            bar(_pair(a), _pair(b), thick, (y, y + deep), material, density)
            for a, b in ((at, knee), (knee, end))
        ]
    return shapes


_GEAR: tuple[Callable[[Room, np.random.Generator], list[Shape]], ...] = (
    _load_bar,
    _ladder,
    _trestle,
    _jack,
    _extinguisher,
    _chain,
    _tools,
    _tools,
)


def _tube() -> float:
    return _TUBE * _STEEL_G_PER_CM3


def _pair(point: np.ndarray) -> tuple[float, float]:
    return float(point[0]), float(point[1])
