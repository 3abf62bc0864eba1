"""Goods that are round or in vessels: drums, tanks, reels, rolls, coils, pipes, tyres."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from nii.simulate.container import Room
from nii.simulate.lots import Lot, bearers, body, marks, pallet, plates, rows, steel
from nii.simulate.shapes import (
    ORGANIC,
    PAPER,
    STEEL,
    Block,
    Polygon,
    Shape,
    disc,
)

_STEEL_G_PER_CM3 = 7.85


def drums(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stand 200-litre drums of 1.2 mm steel, four across, in one or two tiers."""
    tiers, level = int(rng.integers(1, 3)), float(rng.uniform(0.75, 0.95))
    shapes: list[Shape] = []
    for tier in range(tiers):
        z = room.z_m[0] + tier * 0.9
        if z + 0.88 > room.z_m[1]:
            break
        for index, y in enumerate(rows(room, 1.15)):
            for x in marks(room, 0.59, 0.29 * (index % 2)):
                shapes += _two_drums((x, y, z), level * float(rng.uniform(0.95, 1.0)), lot)
    return shapes


def _two_drums(corner: tuple[float, float, float], level: float, lot: Lot) -> list[Shape]:
    """Return two drums one behind the other: a cylinder drawn out across shows the same."""
    x, y, z = corner
    wide, deep = (x, x + 0.57), (y, y + 1.14)
    shell = Block(wide, deep, (z, z + 0.88), STEEL, _STEEL_G_PER_CM3, "upright", 0.0012)
    ends = [
        Block(wide, deep, (at, at + 0.0012), STEEL, _STEEL_G_PER_CM3, "upright")
        for at in (z + 0.01, z + 0.87)
    ]
    hoops = [
        Block(wide, deep, (at, at + 0.012), STEEL, _STEEL_G_PER_CM3, "upright", 0.004)
        for at in (z + 0.29, z + 0.58)
    ]
    full = z + 0.012 + 0.855 * level
    return [shell, *ends, *hoops, *body(lot, wide, deep, (z + 0.012, full), "upright")]


def ibc(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stand 1,000-litre containers in cages on pallets, two across, in one or two tiers."""
    tiers = int(rng.integers(1, 3)) if room.height_m > 2.35 else 1  # noqa: PLR2004
    level = float(rng.uniform(0.8, 0.97))
    shapes: list[Shape] = []
    for x in marks(room, 1.03):
        for y in rows(room, 1.15):
            for tier in range(tiers):
                base = room.z_m[0] + tier * 1.16
                shapes += _ibc((x, x + 1.0), (y + 0.05, y + 1.1), base, (level, lot))
    return shapes


def _ibc(
    x_m: tuple[float, float], y_m: tuple[float, float], base: float, filling: tuple[float, Lot]
) -> list[Shape]:
    level, lot = filling
    (x0, x1), (y0, y1) = x_m, y_m
    low = base + 0.16
    shapes = pallet(x0, x1 - x0, y_m, base)
    shapes += body(lot, (x0 + 0.03, x1 - 0.03), (y0 + 0.03, y1 - 0.03), (low, low + 0.95 * level))
    for x in np.linspace(x0, x1 - 0.018, 7).tolist():
        shapes += [steel((x, x + 0.018), (y, y + 0.018), (low, low + 0.96), 1.7) for y in y_m]
    for z in np.linspace(low, low + 0.94, 5).tolist():
        shapes += [steel(x_m, (y, y + 0.018), (z, z + 0.018), 1.7) for y in y_m]
    return shapes


def cylinders(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stand steel gas cylinders of 50 l upright in frames; walls of 6 mm, hardly any content."""
    del lot  # what they are made of is fixed by their wall
    high = min(1.5, room.height_m - 0.1)
    shapes: list[Shape] = []
    for x in marks(room, 0.98, float(rng.uniform(0, 0.3))):
        base = room.z_m[0] + 0.1
        shapes += [
            steel((x, x + 0.95), (-0.95, 0.95), (at, at + 0.05), 0.5)
            for at in (room.z_m[0], base + 0.35, base + 1.0)
        ]
        for column in range(4):
            for row in range(8):
                left, near = x + 0.02 + column * 0.235, -0.94 + row * 0.235
                shell = ((left, left + 0.229), (near, near + 0.229), (base, base + high))
                shapes.append(Block(*shell, STEEL, _STEEL_G_PER_CM3, "upright", 0.006))
    return shapes


def flexitank(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Lay one bladder of 16-24 m3 in the box, with a bulkhead of steel bars at the doors."""
    level = min(float(rng.uniform(0.5, 0.62)) * 2.4, room.height_m)
    x0, x1 = room.x_m[0] + 0.05, room.x_m[1] - 0.15
    share = np.linspace(-1, 1, 41)
    top = level * (1 - share**8) ** 0.25
    shapes: list[Shape] = []
    for near, far in pairwise(np.linspace(room.y_m[0], room.y_m[1], 9).tolist()):
        side = abs((near + far) / (room.y_m[1] - room.y_m[0]))
        x = (x0 + x1) / 2 + share * (x1 - x0) / 2
        surface = np.stack([x, room.z_m[0] + 0.01 + top * (1 - 0.12 * side**4)], 1)
        base = np.array([(x1, room.z_m[0] + 0.005), (x0, room.z_m[0] + 0.005)])
        outline = np.concatenate([surface, base])
        shapes += plates(lot, (outline,), (near, far))
    bars = np.linspace(room.z_m[0] + 0.2, room.z_m[0] + level, 4).tolist()
    shapes += [steel((x1 + 0.08, x1 + 0.12), room.y_m, (z, z + 0.05), 1.0) for z in bars]
    return shapes


def reels(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stand reels of paper on end, up to two tiers."""
    diameter, high = float(rng.uniform(0.8, 1.2)), float(rng.uniform(0.7, 1.3))
    tiers = max(int(room.height_m / high), 1) if rng.random() < 0.6 else 1  # noqa: PLR2004
    shapes: list[Shape] = []
    for index, y in enumerate(rows(room, diameter)):
        for x in marks(room, diameter + 0.02, (index % 2) * diameter / 2):
            for tier in range(tiers):
                low = room.z_m[0] + tier * high
                ends = (low, min(low + high - 0.005, room.z_m[1]))
                wall = diameter / 2 - 0.045
                for material, share in lot.materials:
                    density = lot.density_g_per_cm3 * share
                    side = ((x, x + diameter), (y, y + diameter), ends)
                    shapes.append(Block(*side, material, density, "upright", wall))
    return shapes


def rolls(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Lay rolls of carpet or cloth along the room, nested row on row."""
    radius = float(rng.uniform(0.12, 0.25))
    length = float(min(rng.uniform(2.0, 4.2), room.length_m))
    count = max(int(room.height_m * float(rng.uniform(0.4, 0.95)) / (1.75 * radius)), 1)
    shapes: list[Shape] = []
    for x in marks(room, length + 0.03):
        for row in range(count):
            z = room.z_m[0] + row * 1.75 * radius
            for y in rows(room, 2 * radius)[row % 2 :]:
                near = y - (row % 2) * radius
                end = x + length - float(rng.uniform(0, 0.08))
                box = ((x, end), (near, near + 2 * radius), (z, z + 2 * radius))
                if box[2][1] <= room.z_m[1]:
                    shapes += body(lot, *box, "lying")
    return shapes


def coils(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Place coils of strip in wooden cradles, eye across the vehicle, well apart."""
    radius = float(rng.uniform(0.35, min(0.65, room.height_m / 2 - 0.1)))
    depth, gap = float(rng.uniform(0.3, 0.6)), float(rng.uniform(0.4, 1.6))
    bore = float(rng.uniform(0.25, 0.3))
    shapes: list[Shape] = []
    for x in marks(room, 2 * radius + gap):
        centre = (x + radius, room.z_m[0] + radius + 0.06)
        ring = disc(centre, radius, min(bore, radius * 0.7))
        shapes += plates(lot, ring, (-depth, depth), 5)
        for side in (-1, 1):
            wedge = np.array([(0.35, 0.06), (1.0, 0.06), (1.0, 0.32)]) * radius * [side, 1]
            outline = wedge + np.array([centre[0], room.z_m[0]])
            shapes.append(Polygon((outline,), (-0.7, 0.7), PAPER, 0.5))
        shapes.append(Block((x, x + 2 * radius), (-0.9, 0.9), _floor(room), PAPER, 0.4))
    return shapes


def _floor(room: Room) -> tuple[float, float]:
    return room.z_m[0], room.z_m[0] + 0.06


def cable_drums(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stand wooden drums of cable, flanges towards the source, one or two across."""
    radius = float(rng.uniform(0.45, min(0.95, room.height_m / 2 - 0.02)))
    wound, core = radius * float(rng.uniform(0.75, 0.92)), radius * 0.35
    places = ((-0.5, 0.5),) if rng.random() < 0.4 else ((-1.05, -0.1), (0.1, 1.05))  # noqa: PLR2004
    shapes: list[Shape] = []
    for x in marks(room, 2 * radius + float(rng.uniform(0.05, 0.6))):
        centre = (x + radius, room.z_m[0] + radius)
        for near, far in places:
            shapes += plates(lot, disc(centre, wound, core), (near + 0.05, far - 0.05), 4)
            flange = disc(centre, radius, 0.04)
            shapes += [
                Polygon(flange, side, PAPER, 0.55)
                for side in ((near, near + 0.05), (far - 0.05, far))
            ]
    return shapes


def pipes(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stack pipes along the room on bearers."""
    radius = float(rng.uniform(0.03, 0.16))
    wall = float(min(rng.uniform(0.004, 0.012), radius * 0.6))
    count = int(min((room.height_m - 0.1) * float(rng.uniform(0.15, 0.7)) / (2 * radius), 14))
    shapes = bearers(room, 1.6, 0.1)
    for row in range(max(count, 1)):
        z = room.z_m[0] + 0.1 + row * 2 * radius
        for y in rows(room, max(2 * radius, (room.y_m[1] - room.y_m[0] - 0.1) / 10)):
            end = room.x_m[1] - float(rng.uniform(0, 0.15))
            for material, share in lot.materials:
                box = ((room.x_m[0] + 0.05, end), (y, y + 2 * radius), (z, z + 2 * radius))
                density = lot.density_g_per_cm3 * share
                shapes.append(Block(*box, material, density, "lying", wall))
    return shapes


def tyres(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stand loose tyres in rows, row above row: thick tread, thin sides, steel in the belt."""
    radius, width = float(rng.uniform(0.28, 0.52)), float(rng.uniform(0.18, 0.3))
    count = max(int(room.height_m * float(rng.uniform(0.5, 0.97)) / (radius * 1.8)), 1)
    deep = (room.y_m[1] - room.y_m[0]) * 0.98
    across = max(int(deep / width), 1)
    tread, sides = 0.03 * radius / 0.3, min(0.016 * 2 * across / deep, 0.5)
    near = (-deep / 2, deep / 2)
    shapes: list[Shape] = []
    for row in range(count):
        z = room.z_m[0] + radius + row * radius * 1.8
        for x in marks(room, radius * 2.02, (row % 2) * radius):
            centre = (x + radius, min(z + float(rng.uniform(0, 0.03)), room.z_m[1] - radius))
            side = replace(lot, density_g_per_cm3=lot.density_g_per_cm3 * sides)
            shapes += plates(side, disc(centre, radius, radius * 0.58), near, 3)
            shapes += plates(lot, disc(centre, radius, radius - tread), near, 3)
            bead = disc(centre, radius * 0.61, radius * 0.58)
            shapes.append(Polygon(bead, near, STEEL, 0.5, 3))
    return shapes


def liquid(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Fill a lying vessel that just fits the room, up to a level: slabs between chords."""
    radius = min(room.height_m, room.y_m[1] - room.y_m[0]) / 2
    middle, level = room.z_m[0] + room.height_m / 2, float(rng.uniform(0.3, 0.97))
    cuts = np.linspace(-radius, -radius + 2 * radius * level, 25).tolist()
    shapes: list[Shape] = []
    for low, high in pairwise(cuts):
        chord = float(np.sqrt(max(radius**2 - ((low + high) / 2) ** 2, 0.0)))
        shapes += body(lot, room.x_m, (-chord, chord), (middle + low, middle + high))
    return shapes


def pails(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stack plastic pails of 20 l on pallets, seven rows across."""
    shapes: list[Shape] = []
    high = 0.38
    count = max(int((room.height_m - 0.2) * float(rng.uniform(0.3, 0.9)) / high), 1)
    across = (-1.015, 1.015)  # seven pails of 29 cm, one behind the other
    for x in marks(room, 1.22):
        shapes += pallet(x, 1.2, (-1.1, 1.1), room.z_m[0])
        for layer in range(count):
            base = room.z_m[0] + 0.146 + layer * high
            for left in (x, x + 0.3, x + 0.6, x + 0.9):
                side = (left, left + 0.29)
                shapes.append(
                    Block(side, across, (base, base + 0.37), ORGANIC, 0.95, "upright", 0.002)
                )
                shapes += body(lot, side, across, (base + 0.005, base + 0.33), "upright")
    return shapes
