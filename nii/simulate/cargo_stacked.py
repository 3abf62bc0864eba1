"""Goods in sacks, bags, bales, cartons, crates and on pallets: one function a way of packing."""

from __future__ import annotations

import numpy as np

from nii.simulate.container import Room
from nii.simulate.lots import Lot, body, marks, pallet, rows, span, steel
from nii.simulate.shapes import LIGHT_METAL, ORGANIC, PAPER, STEEL, Block, Polygon, Shape, disc


def big_bags(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stand large rounded bags of 0.9-1.2 m side, two across, in one or two tiers."""
    width, tiers = float(rng.uniform(0.9, 1.15)), int(rng.integers(1, 3))
    level = room.height_m * float(rng.uniform(0.45, 0.95))
    shapes: list[Shape] = []
    for x in marks(room, width * 1.02):
        for y in rows(room, (room.y_m[1] - room.y_m[0]) / 2):
            deep = (y, y + (room.y_m[1] - room.y_m[0]) / 2 - 0.02)
            base, high = room.z_m[0], level * float(rng.uniform(0.9, 1.0)) / tiers
            for tier in range(tiers):
                z1 = min(base + high, room.z_m[1])
                low = base - (0.03 if tier else 0.0)
                shapes += body(
                    lot.varied(rng), (x, x + width), deep, (low, z1), "pillow", mottle=0.04
                )
                base = z1
    return shapes


def sacks(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Lay layers of small sacks, three deep, in stacks of uneven height."""
    layer, width = float(rng.uniform(0.13, 0.2)), float(rng.uniform(0.45, 0.85))
    level = room.height_m * float(rng.uniform(0.35, 0.9))
    deep = (room.y_m[1] - room.y_m[0]) / 3
    shapes: list[Shape] = []
    for y in rows(room, deep):
        for x in marks(room, width, float(rng.uniform(0, width / 3))):
            layers = max(round(level * float(rng.uniform(0.9, 1.0)) / layer), 1)
            stack = lot.varied(rng)
            for index in range(min(layers, int(room.height_m / layer))):
                low = room.z_m[0] + index * layer
                left = x + float(rng.uniform(-0.03, 0.03))
                ends = (max(low - 0.015, room.z_m[0]), low + layer + 0.015)
                shapes += body(stack, (left, left + width), (y, y + deep), ends, "pillow")
    return shapes


def bales(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stack pressed bales with straps, in up to three tiers and two across."""
    width = float(rng.uniform(0.5, 1.1))
    tiers = int(rng.integers(1, 4))
    high = room.height_m * float(rng.uniform(0.75, 0.98)) / tiers
    half = (room.y_m[1] - room.y_m[0]) / 2
    shapes: list[Shape] = []
    for x in marks(room, width * 1.03):
        for y in rows(room, half):
            for tier in range(tiers):
                low = room.z_m[0] + tier * high
                top = low + high * float(rng.uniform(0.95, 1.0))
                box = ((x, x + width), (y, y + half - 0.02), (low, top))
                shapes += body(lot.varied(rng), *box, "pillow", mottle=0.05)
        straps = (x + width * 0.3, x + width * 0.7)
        top = room.z_m[0] + tiers * high * 0.97
        shapes += [Block((s, s + 0.012), room.y_m, (room.z_m[0], top), STEEL, 0.02) for s in straps]
    return shapes


def cartons(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stow cartons by hand from wall to wall."""
    size = (float(rng.uniform(0.35, 0.75)), float(rng.uniform(0.2, 0.5)))
    high = room.height_m * float(rng.uniform(0.5, 0.97))
    return stow(Room(room.x_m, room.y_m, (room.z_m[0], room.z_m[0] + high)), size, lot, rng)


def frozen(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stow flat heavy cartons of frozen goods, brick-like, below the load line of a reefer."""
    size = (float(rng.uniform(0.4, 0.6)), float(rng.uniform(0.14, 0.22)))
    high = room.height_m * float(rng.uniform(0.6, 0.93))
    return stow(Room(room.x_m, room.y_m, (room.z_m[0], room.z_m[0] + high)), size, lot, rng)


def pallets(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stand pallets of cartons, two across."""
    length = float(rng.choice([0.8, 1.0, 1.2]))
    wide, high = float(rng.uniform(0.25, 0.6)), float(rng.uniform(0.2, 0.45))
    layers = int(rng.integers(2, max(int((room.height_m - 0.2) * 0.95 / high), 2) + 1))
    shapes: list[Shape] = []
    for x in marks(room, length + float(rng.uniform(0.02, 0.12))):
        for y in _two_across(room):
            shapes += pallet(x, length, y, room.z_m[0])
            count = max(layers - int(rng.integers(0, 2)), 1)
            base = room.z_m[0] + 0.145
            stack = Room((x, x + length), y, (base, base + count * high))
            shapes += stow(stack, (wide, high), lot, rng)
    return shapes


def cans(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stand pallets of tins in layers with a tray between each two."""
    tin = float(rng.uniform(0.075, 0.12))
    layers = max(int((room.height_m - 0.2) * float(rng.uniform(0.4, 0.9)) / tin), 2)
    shapes: list[Shape] = []
    for x in marks(room, 1.22):
        for y in _two_across(room):
            shapes += pallet(x, 1.2, y, room.z_m[0])
            for index in range(layers - int(rng.integers(0, 2))):
                low = room.z_m[0] + 0.147 + index * tin
                shapes += body(lot, (x + 0.02, x + 1.18), y, (low, low + tin * 0.94))
                sheet = (low + tin * 0.95, low + tin * 0.99)
                shapes.append(Block((x, x + 1.2), y, sheet, PAPER, 0.5))
    return shapes


def bottles(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stack crates of bottles: necks leave gaps above every layer, walls stand between cells."""
    cell, crate = float(rng.uniform(0.07, 0.1)), float(rng.uniform(0.24, 0.34))
    count = max(int(room.height_m * float(rng.uniform(0.4, 0.95)) / crate), 1)
    shapes: list[Shape] = []
    for index in range(count):
        base = room.z_m[0] + index * crate
        belly, neck = (base + 0.012, base + crate * 0.68), (base + crate * 0.68, base + crate * 0.9)
        shapes.append(Block(room.x_m, room.y_m, (base, base + 0.012), ORGANIC, 0.3))
        for x in marks(room, cell):
            shapes += body(lot, (x + 0.008, x + cell - 0.008), room.y_m, belly)
            thin = (x + cell * 0.36, x + cell * 0.64)
            shapes.append(Block(thin, room.y_m, neck, LIGHT_METAL, 0.25 * lot.density_g_per_cm3))
    walls = (room.z_m[0], room.z_m[0] + count * crate)
    shapes.extend(
        Block((x, x + 0.006), room.y_m, walls, ORGANIC, 0.3) for x in marks(room, cell * 5)
    )
    return shapes


def crates(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stack trays of fruit on pallets: rows of rounds between thin boards."""
    high, radius = float(rng.uniform(0.12, 0.24)), float(rng.uniform(0.03, 0.05))
    layers = max(int((room.height_m - 0.2) * float(rng.uniform(0.6, 0.97)) / high), 1)
    shapes: list[Shape] = []
    for x in marks(room, 1.03):
        shapes += pallet(x, 1.0, span(room, rng), room.z_m[0])
        for index in range(layers):
            base = room.z_m[0] + 0.146 + index * high
            shapes.append(Block((x, x + 1.0), room.y_m, (base, base + 0.008), PAPER, 0.5))
            shapes += [
                Block((end, end + 0.008), room.y_m, (base, base + high * 0.97), PAPER, 0.5)
                for end in (x, x + 0.492, x + 0.992)
            ]
            fruit = (base + 0.008, base + max(high - 0.03, 2 * radius))
            shapes += body(lot.varied(rng, 0.05), (x + 0.01, x + 0.99), room.y_m, fruit, mottle=0.1)
    return shapes


def stacks(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stand dense strapped stacks on pallets: sheets, tiles, ingots, batteries."""
    length, layer = float(rng.uniform(0.9, 1.2)), float(rng.uniform(0.02, 0.12))
    high = room.height_m * float(rng.uniform(0.3, 0.8))
    gap = float(rng.uniform(0.02, 0.3))
    shapes: list[Shape] = []
    for x in marks(room, length + gap):
        for y in _two_across(room):
            shapes += pallet(x, length, y, room.z_m[0])
            stack, base = lot.varied(rng, 0.03), room.z_m[0] + 0.146
            for low in np.arange(base, max(room.z_m[0] + high, base + layer), layer).tolist():
                slip = float(rng.uniform(0, 0.012))
                box = (x + slip, x + length - 0.012 + slip)
                shapes += body(stack, box, y, (low, low + layer * 0.96))
    return shapes


def panels(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stand packs of panels on edge, one pack of about thirty upright sheets a pallet."""
    pack, high = 1.15, min(float(rng.uniform(1.0, 1.15)), room.height_m - 0.15)
    sheet = float(rng.uniform(0.03, 0.04))
    tiers = 2 if room.height_m > 2 * (high + 0.15) and rng.random() < 0.8 else 1  # noqa: PLR2004
    shapes: list[Shape] = []
    for tier in range(tiers):
        base = room.z_m[0] + tier * (high + 0.15)
        for x in marks(room, pack + 0.03):
            shapes += pallet(x, pack, span(room, rng), base)
            inside = Room((x, x + pack), (-0.85, 0.85), (base + 0.146, base + high + 0.146))
            for left in marks(inside, sheet):
                glass = (left, left + sheet * 0.2)
                shapes += body(lot.varied(rng, 0.02), glass, inside.y_m, inside.z_m)
            rims = (inside.z_m[0], inside.z_m[1] - 0.01)
            for z in rims:
                shapes.append(Block(inside.x_m, inside.y_m, (z, z + 0.01), LIGHT_METAL, 0.4))
    return shapes


def metal_boxes(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stack mesh boxes of castings and pressings."""
    long, high = 1.2, float(rng.uniform(0.7, 0.97))
    tiers = max(int(room.height_m * float(rng.uniform(0.5, 1.0)) / high), 1)
    shapes: list[Shape] = []
    for x in marks(room, long + 0.04):
        for y in _two_across(room):
            for tier in range(tiers):
                base = room.z_m[0] + tier * high
                shapes += _mesh_box((x, x + long), y, (base, base + high), lot, rng)
    return shapes


def _mesh_box(
    x_m: tuple[float, float],
    y_m: tuple[float, float],
    z_m: tuple[float, float],
    lot: Lot,
    rng: np.random.Generator,
) -> list[Shape]:
    (x0, x1), (z0, z1) = x_m, z_m
    full = z0 + 0.12 + (z1 - z0 - 0.15) * float(rng.uniform(0.5, 1.0))
    shapes: list[Shape] = [steel(x_m, y_m, (z0 + 0.1, z0 + 0.12), 1.5)]
    shapes += [steel((x, x + 0.03), y_m, (z0, z1 - 0.02), 0.35) for x in (x0, x1 - 0.03)]
    shapes += body(lot, (x0 + 0.04, x1 - 0.04), y_m, (z0 + 0.12, full), mottle=0.35)
    middle = (y_m[0] + y_m[1]) / 2
    for _ in range(int(rng.integers(2, 6))):
        centre = (
            float(rng.uniform(x0 + 0.15, x1 - 0.15)),
            float(rng.uniform(z0 + 0.2, max(full - 0.05, z0 + 0.25))),
        )
        ring = disc(centre, float(rng.uniform(0.05, 0.09)), float(rng.uniform(0.01, 0.04)))
        shapes.append(Polygon(ring, (middle - 0.05, middle + 0.05), STEEL, 5.0))
    return shapes


def carcasses(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Hang sides of meat from rails under the roof, four across."""
    shapes: list[Shape] = []
    top = room.z_m[1] - 0.12
    for y in (-0.8, -0.3, 0.2, 0.7):
        shapes.append(steel(room.x_m, (y, y + 0.01), (top + 0.04, top + 0.09)))
        for x in marks(room, 0.42, float(rng.uniform(0, 0.2))):
            shapes += _side_of_meat((x + 0.2, top), y, lot, rng)
    return shapes


def _side_of_meat(
    hook: tuple[float, float], y: float, lot: Lot, rng: np.random.Generator
) -> list[Shape]:
    (x, top), drop = hook, float(rng.uniform(1.2, 1.5))
    share = np.linspace(0, 1, 12)
    girth = 0.16 * np.sin(np.pi * share**0.7) ** 0.8 * float(rng.uniform(0.85, 1.1)) + 0.03
    sway = x + 0.03 * np.sin(3 * share + float(rng.uniform(0, 6)))
    z = top - 0.1 - drop * share
    outline = np.concatenate(
        [np.stack([sway - girth, z], 1), np.stack([sway + girth * 0.8, z], 1)[::-1]]
    )
    flesh = [
        Polygon((outline,), (y - 0.08, y + 0.08), material, lot.density_g_per_cm3 * part, 2)
        for material, part in lot.materials
    ]
    return [*flesh, steel((x - 0.006, x + 0.006), (y, y + 0.012), (top - 0.12, top + 0.05))]


def stow(stack: Room, size: tuple[float, float], lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Fill a stack with cartons of (length, height); each weighs a little more or less."""
    columns = max(round(stack.length_m / size[0]), 1)
    wide = stack.length_m / columns
    shapes: list[Shape] = []
    for low in np.arange(stack.z_m[0], stack.z_m[1] - size[1] / 2, size[1]).tolist():
        high = (low + 0.003, min(low + size[1], stack.z_m[1]) - 0.003)
        for index in range(columns):
            left = stack.x_m[0] + index * wide
            ends = (left + 0.004, left + wide - 0.004)
            shapes += body(lot.varied(rng, 0.12), ends, stack.y_m, high)
    return shapes


def _two_across(room: Room) -> tuple[tuple[float, float], tuple[float, float]]:
    middle = (room.y_m[0] + room.y_m[1]) / 2
    return (room.y_m[0] + 0.03, middle - 0.03), (middle + 0.03, room.y_m[1] - 0.03)
