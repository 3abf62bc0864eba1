"""Legal goods: functions that fill a part of a container's clear space with solid shapes.

Every kind is a function ``(room, rng) -> shapes`` in the table `CARGO`. Densities are bulk values
of packed goods (assumption), so that areal densities reach from a few to about 120 g/cm2.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from nii.simulate.container import Room
from nii.simulate.shapes import (
    LIGHT_METAL,
    LIQUID,
    ORGANIC,
    PAPER,
    STEEL,
    Block,
    Form,
    Polygon,
    Shape,
    disc,
)

Filler = Callable[[Room, np.random.Generator], list[Shape]]


def big_bags(room: Room, rng: np.random.Generator) -> list[Shape]:
    """Fill with large rounded bags, columns of one to three."""
    width, density = float(rng.uniform(0.6, 1.25)), float(rng.uniform(0.25, 0.5))
    material = int(rng.choice([ORGANIC, PAPER, PAPER, LIGHT_METAL]))
    tiers = int(rng.integers(1, 3))
    level = room.height_m * float(rng.uniform(0.45, 0.95))
    shapes: list[Shape] = []
    for x in _marks(room, width * 1.02):
        base, high = room.z_m[0], level * float(rng.uniform(0.9, 1.02)) / tiers
        for _ in range(tiers):
            z1 = min(base + high, room.z_m[1])
            shapes.append(
                Block(
                    (x, x + width), _span(room, rng), (base - 0.04, z1), material,
                    density * float(rng.uniform(0.9, 1.1)), "pillow", mottle=0.05,
                )
            )  # fmt: skip
            base = z1
    return shapes


def sacks(room: Room, rng: np.random.Generator) -> list[Shape]:
    """Fill with layers of small sacks, three deep, in stacks of uneven height."""
    layer, width = float(rng.uniform(0.12, 0.2)), float(rng.uniform(0.45, 0.85))
    density, material = float(rng.uniform(0.3, 0.55)), int(rng.choice([PAPER, PAPER, LIGHT_METAL]))
    level = room.height_m * float(rng.uniform(0.35, 0.9))
    deep = (room.y_m[1] - room.y_m[0]) / 3
    shapes: list[Shape] = []
    for row in range(3):
        y = (room.y_m[0] + row * deep, room.y_m[0] + (row + 1) * deep)
        for x in _marks(room, width, float(rng.uniform(0, width / 3))):
            layers = max(round(level * float(rng.uniform(0.9, 1.0)) / layer), 1)
            for index in range(layers):
                low = room.z_m[0] + index * layer
                left = x + float(rng.uniform(-0.03, 0.03))
                shapes.append(
                    Block((left, left + width), y, (low - 0.02, low + layer + 0.02), material,
                          density, "pillow")
                )  # fmt: skip
    return shapes


def pallets(room: Room, rng: np.random.Generator) -> list[Shape]:
    """Fill with cartons on pallets, two pallets across."""
    length, goods = float(rng.choice([0.8, 1.0, 1.2])), float(rng.uniform(0.08, 0.45))
    carton = rng.uniform([0.25, 0.2], [0.6, 0.45])
    material = int(rng.choice([ORGANIC, PAPER, PAPER, LIQUID]))
    layers = int(rng.integers(2, max(int(room.height_m * 0.93 / carton[1]), 3)))
    gap = float(rng.uniform(0.02, 0.12))
    shapes: list[Shape] = []
    for x in _marks(room, length + gap):
        for y in ((room.y_m[0] + 0.03, -0.03), (0.03, room.y_m[1] - 0.03)):
            shapes += _pallet(x, length, y, room.z_m[0])
            count = layers - int(rng.integers(0, 2))
            base = room.z_m[0] + 0.15
            stack = Room((x, x + length), y, (base, base + count * float(carton[1])))
            shapes += _cartons(stack, (float(carton[0]), float(carton[1])), goods, material, rng)
    return shapes


def _pallet(x: float, length: float, y_m: tuple[float, float], z: float) -> list[Shape]:
    shapes: list[Shape] = [
        Block((x, x + length), y_m, (z + 0.12, z + 0.145), PAPER, 0.45),
        Block((x, x + length), y_m, (z, z + 0.022), PAPER, 0.2),
    ]
    shapes.extend(
        Block((left, left + 0.1), y_m, (z + 0.022, z + 0.12), PAPER, 0.25)
        for left in (x, x + length / 2 - 0.05, x + length - 0.1)
    )
    return shapes


def _cartons(
    stack: Room, size: tuple[float, float], density: float, material: int, rng: np.random.Generator
) -> list[Shape]:
    shapes: list[Shape] = []
    columns = max(round(stack.length_m / size[0]), 1)
    wide = stack.length_m / columns
    for z in np.arange(stack.z_m[0], stack.z_m[1] - size[1] / 2, size[1]):
        for index in range(columns):
            left = stack.x_m[0] + index * wide
            shapes.append(
                Block((left + 0.004, left + wide - 0.004), stack.y_m,
                      (float(z) + 0.003, float(z) + size[1] - 0.003), material,
                      density * float(rng.uniform(0.85, 1.1)))
            )  # fmt: skip
    return shapes


def cartons(room: Room, rng: np.random.Generator) -> list[Shape]:
    """Fill with hand-stowed cartons; frozen goods where dense."""
    size = (float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.15, 0.5)))
    density = float(rng.choice([rng.uniform(0.05, 0.2), rng.uniform(0.35, 0.55)]))
    level = float(rng.uniform(0.5, 0.97))
    stack = Room(room.x_m, room.y_m, (room.z_m[0], room.z_m[0] + room.height_m * level))
    return _cartons(stack, size, density, int(rng.choice([PAPER, ORGANIC, LIQUID])), rng)


def drums(room: Room, rng: np.random.Generator) -> list[Shape]:
    """Fill with 200-litre drums, four across, one or two tiers."""
    tiers, level = int(rng.integers(1, 3)), float(rng.uniform(0.5, 0.95))
    liquid = int(rng.choice([LIQUID, ORGANIC]))
    shapes: list[Shape] = []
    for tier in range(tiers):
        z = room.z_m[0] + tier * 0.9
        if z + 0.88 > room.z_m[1]:
            break
        for row in range(4):
            y = (room.y_m[0] + row * 0.585, room.y_m[0] + row * 0.585 + 0.57)
            for x in _marks(room, 0.59, 0.29 * (row % 2)):
                side = (x, x + 0.57)
                full = z + 0.88 * level * float(rng.uniform(0.9, 1.0))
                shapes.append(Block(side, y, (z, z + 0.88), STEEL, 7.85, "upright", 0.0012))
                shapes.append(Block(side, y, (z, full), liquid, 0.9, "upright"))
    return shapes


def reels(room: Room, rng: np.random.Generator) -> list[Shape]:
    """Fill with upright reels of paper or cable."""
    diameter, high = float(rng.uniform(0.8, 1.25)), float(rng.uniform(0.9, 2.0))
    density = float(rng.uniform(0.3, 0.65))
    shapes: list[Shape] = []
    for row in range(max(int(2.3 / diameter), 1)):
        y = (room.y_m[0] + row * diameter, room.y_m[0] + (row + 1) * diameter)
        for x in _marks(room, diameter + 0.02):
            top = min(room.z_m[0] + high, room.z_m[1])
            bore = diameter * 0.42
            shapes.append(
                Block((x, x + diameter), y, (room.z_m[0], top), PAPER, density, "upright", bore)
            )
    return shapes


def coils(room: Room, rng: np.random.Generator) -> list[Shape]:
    """Place metal coils or wheels of cable with their eye towards the source."""
    radius = float(rng.uniform(0.3, 0.65))
    material = STEEL if rng.random() < 0.6 else LIGHT_METAL  # noqa: PLR2004
    depth, gap = float(rng.uniform(0.1, 0.5)), float(rng.uniform(0.02, 1.0))
    density = float(rng.uniform(1.5, 3.5)) if material == STEEL else float(rng.uniform(0.8, 2.2))
    shapes: list[Shape] = []
    for x in _marks(room, 2 * radius + gap):
        centre = (x + radius, room.z_m[0] + radius + 0.05)
        ring = disc(centre, radius, radius * float(rng.uniform(0.35, 0.6)))
        shapes.append(Polygon(ring, (-depth, depth), material, density, 3))
        cradle = (x + radius * 0.4, x + radius * 1.6)
        shapes.append(Block(cradle, (-0.9, 0.9), (room.z_m[0], room.z_m[0] + 0.12), PAPER, 0.5))
    return shapes


def machinery(room: Room, rng: np.random.Generator) -> list[Shape]:
    """Place machines: housings full of odd metal parts."""
    shapes: list[Shape] = []
    x = room.x_m[0]
    while x < room.x_m[1] - 0.6:
        wide = float(min(rng.uniform(0.6, 2.6), room.x_m[1] - x))
        high = room.height_m * float(rng.uniform(0.3, 0.95))
        box = Room((x, x + wide), (-0.8, 0.8), (room.z_m[0], room.z_m[0] + high))
        shapes += _machine(box, rng)
        x += wide + float(rng.uniform(0.03, 0.6))
    return shapes


def _machine(box: Room, rng: np.random.Generator) -> list[Shape]:
    shapes: list[Shape] = [
        Block(box.x_m, (y, y + 0.003), box.z_m, STEEL, 7.85) for y in (-0.8, 0.8)
    ]
    shapes.append(Block(box.x_m, (-0.8, 0.8), (box.z_m[0], box.z_m[0] + 0.08), STEEL, 0.9))
    for _ in range(int(rng.integers(8, 26))):
        centre = rng.uniform([box.x_m[0], box.z_m[0]], [box.x_m[1], box.z_m[1]])
        outline = _blob(centre, float(rng.uniform(0.05, 0.35)), rng)
        outline = np.clip(outline, [box.x_m[0], box.z_m[0]], [box.x_m[1], box.z_m[1]])
        material = int(rng.choice([STEEL, STEEL, LIGHT_METAL, ORGANIC]))
        density = float(rng.uniform(0.3, 3.0))
        shapes.append(Polygon((outline,), (-0.2, 0.2), material, density))
    for _ in range(int(rng.integers(0, 5))):
        middle = rng.uniform([box.x_m[0] + 0.2, box.z_m[0] + 0.2], [box.x_m[1], box.z_m[1]])
        ring = disc((float(middle[0]) - 0.1, float(middle[1]) - 0.1), float(rng.uniform(0.06, 0.2)))
        shapes.append(Polygon(ring, (-0.15, 0.15), STEEL, float(rng.uniform(1, 6))))
    return shapes


def pipes(room: Room, rng: np.random.Generator) -> list[Shape]:
    """Stack pipes or bars along the container."""
    radius = float(rng.uniform(0.03, 0.16))
    wall = float(min(rng.uniform(0.004, 0.012), radius * 0.6))
    material, density = ((STEEL, 7.85), (ORGANIC, 0.95))[int(rng.random() < 0.3)]  # noqa: PLR2004
    rows = int(min(room.height_m * float(rng.uniform(0.15, 0.7)) / (2 * radius), 14))
    across = min(int(2.2 / (2 * radius)), 9)
    shapes: list[Shape] = []
    for row in range(max(rows, 1)):
        z = room.z_m[0] + 0.1 + row * 2 * radius
        for index in range(across):
            y = -1.1 + index * 2.2 / across
            end = room.x_m[1] - float(rng.uniform(0, 0.15))
            shapes.append(
                Block((room.x_m[0] + 0.05, end), (y, y + 2 * radius), (z, z + 2 * radius),
                      material, density, "lying", wall)
            )  # fmt: skip
    bearers = np.arange(room.x_m[0] + 0.4, room.x_m[1] - 0.2, 1.6)
    low = (room.z_m[0], room.z_m[0] + 0.1)
    shapes.extend(Block((float(x), float(x) + 0.1), (-1.1, 1.1), low, PAPER, 0.5) for x in bearers)
    return shapes


def timber(room: Room, rng: np.random.Generator) -> list[Shape]:
    """Stack packs of boards on bearers."""
    density, high = float(rng.uniform(0.25, 0.55)), float(rng.uniform(0.45, 1.1))
    length = float(min(rng.uniform(2.0, 5.8), room.length_m))
    board = float(rng.uniform(0.03, 0.09))
    shapes: list[Shape] = []
    base = room.z_m[0]
    for _ in range(int(rng.integers(1, 4))):
        if base + high > room.z_m[1]:
            break
        for x in _marks(room, length + 0.05):
            end = x + length - float(rng.uniform(0, 0.2))
            shapes.extend(
                Block((x, end), (-1.1, 1.1), (float(z), float(z) + board * 0.93), PAPER,
                      density * float(rng.uniform(0.93, 1.05)))
                for z in np.arange(base + 0.08, base + high, board)
            )  # fmt: skip
            shapes.extend(
                Block((x + at, x + at + 0.08), (-1.1, 1.1), (base, base + 0.08), PAPER, 0.45)
                for at in (0.3, length / 2, length - 0.4)
            )
        base += high
    return shapes


def bulk(room: Room, rng: np.random.Generator) -> list[Shape]:
    """Pour grain, powder or minerals: a body with a rounded, sloping surface."""
    x = np.linspace(room.x_m[0], room.x_m[1], 60)
    level = float(rng.uniform(0.3, 0.9)) * room.height_m
    phase = (x - room.x_m[0]) / room.length_m
    tilt = float(rng.uniform(-0.25, 0.25))
    edge = 1 - float(rng.uniform(0.05, 0.35)) * np.abs(2 * phase - 1) ** float(rng.uniform(2, 8))
    wave = 0.02 * np.sin(x * float(rng.uniform(1, 6)) + float(rng.uniform(0, 6)))
    top = np.clip(level * edge * (1 + tilt * (phase - 0.5)) + wave, 0.05, room.height_m - 0.05)
    density = float(rng.uniform(0.2, 0.55))
    material = int(rng.choice([PAPER, PAPER, ORGANIC, LIGHT_METAL]))
    round_off, shapes = float(rng.uniform(0.0, 0.35)), list[Shape]()
    depths = np.linspace(room.y_m[0], room.y_m[1], 11)
    for near, far in pairwise(depths):
        lower = 1 - round_off * abs(float(near + far) / 2 / room.y_m[1]) ** 3
        surface = np.stack([x, room.z_m[0] + top * lower], 1)
        base = np.array([(room.x_m[1], room.z_m[0]), (room.x_m[0], room.z_m[0])])
        outline = np.concatenate([surface, base])
        y_m = (float(near), float(far))
        shapes.append(Polygon((outline,), y_m, material, density, mottle=0.02))
    return shapes


def tyres(room: Room, rng: np.random.Generator) -> list[Shape]:
    """Stack loose tyres, standing, row above row."""
    radius = float(rng.uniform(0.28, 0.52))
    rows = max(int(room.height_m * float(rng.uniform(0.5, 0.97)) / (radius * 1.75)), 1)
    shapes: list[Shape] = []
    for row in range(rows):
        z = room.z_m[0] + radius + row * radius * 1.75
        for x in _marks(room, radius * 2.02, (row % 2) * radius):
            ring = disc((x + radius, z + float(rng.uniform(-0.03, 0.03))), radius, radius * 0.58)
            tread = disc((x + radius, z), radius, radius * 0.88)
            shapes.append(Polygon(ring, (-1.1, 1.1), ORGANIC, float(rng.uniform(0.12, 0.2)), 3))
            shapes.append(Polygon(tread, (-1.1, 1.1), ORGANIC, 0.15, 3))
    return shapes


def crates(room: Room, rng: np.random.Generator) -> list[Shape]:
    """Stack crates of bottles: a fine grid of cells."""
    cell, crate = float(rng.uniform(0.07, 0.1)), float(rng.uniform(0.24, 0.34))
    level = room.z_m[0] + room.height_m * float(rng.uniform(0.3, 0.85))
    fill, density = float(rng.uniform(0.0, 0.75)), float(rng.uniform(0.35, 0.8))
    shapes: list[Shape] = []
    for z in np.arange(room.z_m[0] + 0.1, level, crate):
        base = float(z)
        shapes.append(Block(room.x_m, room.y_m, (base, base + 0.012), ORGANIC, 0.25))
        shapes.append(Block(room.x_m, room.y_m, (base, base + crate * 0.8), LIGHT_METAL, 0.08))
        liquid = (base + 0.012, base + 0.012 + crate * 0.7 * fill)
        if fill > 0.1:  # noqa: PLR2004
            shapes.append(Block(room.x_m, room.y_m, liquid, LIQUID, density * 0.5))
    shapes.extend(
        Block((x, x + 0.012), room.y_m, (room.z_m[0] + 0.1, level), ORGANIC, 0.12)
        for x in _marks(room, cell)
    )
    return shapes


def scrap(room: Room, rng: np.random.Generator) -> list[Shape]:
    """Heap metal scrap of all sizes."""
    high = room.height_m * float(rng.uniform(0.2, 0.7))
    shapes: list[Shape] = []
    for _ in range(int(60 * room.length_m)):
        centre = np.array(
            [rng.uniform(*room.x_m), room.z_m[0] + high * float(rng.beta(1, 1.6))], np.float64
        )
        outline = _blob(centre, float(rng.gamma(2, 0.04)) + 0.02, rng)
        outline = np.clip(outline, [room.x_m[0], room.z_m[0]], [room.x_m[1], room.z_m[1]])
        y = float(rng.uniform(-1.1, 0.9))
        material = STEEL if rng.random() < 0.75 else LIGHT_METAL  # noqa: PLR2004
        shapes.append(Polygon((outline,), (y, y + 0.2), material, float(rng.uniform(0.1, 1.2))))
    return shapes


def bales(room: Room, rng: np.random.Generator) -> list[Shape]:
    """Stand slim bales side by side, as fibre, hides or waste paper are shipped."""
    width, density = float(rng.uniform(0.3, 0.6)), float(rng.uniform(0.2, 0.5))
    level = room.height_m * float(rng.uniform(0.7, 0.97))
    material = int(rng.choice([PAPER, ORGANIC]))
    shapes: list[Shape] = []
    for x in _marks(room, width * 1.04):
        top = room.z_m[0] + level * float(rng.uniform(0.96, 1.0))
        shapes.append(
            Block((x, x + width), room.y_m, (room.z_m[0], top), material, density, "pillow",
                  mottle=0.06)
        )  # fmt: skip
    return shapes


def slabs(room: Room, rng: np.random.Generator) -> list[Shape]:
    """Stand stone or glass slabs on frames, edge towards the source."""
    shapes: list[Shape] = []
    high = float(rng.uniform(0.5, 0.85)) * room.height_m
    material = LIGHT_METAL
    for x in _marks(room, float(rng.uniform(0.5, 1.4))):
        for index in range(int(rng.integers(1, 4))):
            left = x + index * 0.07
            top = room.z_m[0] + high * float(rng.uniform(0.85, 1.0))
            thick = float(rng.uniform(0.02, 0.05))
            body = (left, left + thick)
            shapes.append(Block(body, (-0.9, 0.9), (room.z_m[0] + 0.1, top), material, 2.4))
    frame = (room.z_m[0], room.z_m[0] + float(rng.uniform(0.1, 0.5)))
    shapes.append(Block(room.x_m, (-1.0, 1.0), frame, PAPER, 0.2))
    return shapes


def household(room: Room, rng: np.random.Generator) -> list[Shape]:
    """Mix light boxes, bags and odd metal parts, as removals and parcels."""
    shapes: list[Shape] = []
    for _ in range(int(14 * room.length_m)):
        wide, high = float(rng.uniform(0.2, 0.9)), float(rng.uniform(0.15, 0.8))
        x = float(rng.uniform(room.x_m[0], max(room.x_m[1] - wide, room.x_m[0] + 0.01)))
        z = room.z_m[0] + float(rng.beta(1, 2)) * (room.height_m - high)
        y = float(rng.uniform(-1.1, 0.4))
        material = int(rng.choice([PAPER, PAPER, ORGANIC, LIQUID, STEEL]))
        density = float(rng.uniform(0.02, 0.3))
        form: Form = "pillow" if rng.random() < 0.3 else "cuboid"  # noqa: PLR2004
        right = min(x + wide, room.x_m[1])
        shapes.append(Block((x, right), (y, y + 0.6), (z, z + high), material, density, form))
    return shapes


CARGO: dict[str, Filler] = {
    "big_bags": big_bags,
    "sacks": sacks,
    "pallets": pallets,
    "cartons": cartons,
    "drums": drums,
    "reels": reels,
    "coils": coils,
    "machinery": machinery,
    "pipes": pipes,
    "timber": timber,
    "bulk": bulk,
    "tyres": tyres,
    "crates": crates,
    "scrap": scrap,
    "bales": bales,
    "slabs": slabs,
    "household": household,
}


def dunnage(room: Room, rng: np.random.Generator) -> list[Shape]:
    """Return what secures a load: straps, a bulkhead of boards, an air bag."""
    shapes: list[Shape] = []
    for x in rng.uniform(room.x_m[0], room.x_m[1], int(rng.integers(0, 4))):
        band = (float(x), float(x) + 0.05)
        shapes.append(Block(band, (-1.15, -1.147), room.z_m, ORGANIC, 1.2))
    if rng.random() < 0.3:  # noqa: PLR2004
        x = room.x_m[1] - 0.08
        for z in np.arange(room.z_m[0] + 0.1, room.z_m[1] - 0.5, 0.35):
            board = (float(z), float(z) + 0.12)
            shapes.append(Block((x, x + 0.04), room.y_m, board, PAPER, 0.5))
    return shapes


def _marks(room: Room, step: float, shift: float = 0.0) -> list[float]:
    """Return the left edges of as many things of length `step` as fit."""
    count = int((room.length_m - shift) / step + 1e-9)
    return [room.x_m[0] + shift + index * step for index in range(count)]


def _span(room: Room, rng: np.random.Generator) -> tuple[float, float]:
    return (room.y_m[0] + float(rng.uniform(0, 0.15)), room.y_m[1] - float(rng.uniform(0, 0.15)))


def _blob(centre: np.ndarray, radius: float, rng: np.random.Generator) -> np.ndarray:
    count = int(rng.integers(3, 8))
    angle = np.sort(rng.uniform(0, 2 * np.pi, count))
    reach = radius * rng.uniform(0.3, 1.0, (count, 1))
    stretch = np.array([float(rng.uniform(0.5, 2.0)), 1.0])
    return np.asarray(centre + np.stack([np.cos(angle), np.sin(angle)], 1) * reach * stretch)
