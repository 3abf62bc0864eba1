"""Loose and assembled goods: bulk, scrap, machines, household goods, furniture, appliances."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from nii.simulate.container import Room
from nii.simulate.lots import Lot, blob, body, marks, plates, rows, steel
from nii.simulate.shapes import (
    LIGHT_METAL,
    ORGANIC,
    PAPER,
    STEEL,
    Block,
    Form,
    Polygon,
    Shape,
    disc,
)


def bulk(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Pour grain, coal or ore: a body with a sloping surface that falls off at all sides."""
    x = np.linspace(room.x_m[0], room.x_m[1], 60)
    level = float(rng.uniform(0.4, 0.95)) * room.height_m
    phase = (x - room.x_m[0]) / room.length_m
    tilt = float(rng.uniform(-0.25, 0.25))
    edge = 1 - float(rng.uniform(0.05, 0.35)) * np.abs(2 * phase - 1) ** float(rng.uniform(2, 8))
    wave = 0.02 * np.sin(x * float(rng.uniform(1, 6)) + float(rng.uniform(0, 6)))
    top = np.clip(level * edge * (1 + tilt * (phase - 0.5)) + wave, 0.05, room.height_m - 0.05)
    round_off = float(rng.uniform(0.0, 0.3))
    half = (room.y_m[1] - room.y_m[0]) / 2
    shapes: list[Shape] = []
    for near, far in pairwise(np.linspace(room.y_m[0], room.y_m[1], 9).tolist()):
        lower = 1 - round_off * abs((near + far) / 2 / half) ** 3
        surface = np.stack([x, room.z_m[0] + top * lower], 1)
        base = np.array([(room.x_m[1], room.z_m[0]), (room.x_m[0], room.z_m[0])])
        outline = np.concatenate([surface, base])
        shapes += plates(lot, (outline,), (near, far), mottle=0.02)
    return shapes


def scrap(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Heap scrap: a ragged body of small pieces, and large pieces that lie in it."""
    x = np.linspace(room.x_m[0], room.x_m[1], 80)
    high = room.height_m * float(rng.uniform(0.35, 0.85))
    ragged = np.interp(x, np.linspace(x[0], x[-1], 25), rng.uniform(0.7, 1.0, 25))
    top = room.z_m[0] + np.clip(high * ragged, 0.05, room.height_m)
    heap = replace(lot, density_g_per_cm3=lot.density_g_per_cm3 * 0.6)
    outline = np.concatenate(
        [np.stack([x, top], 1), [(room.x_m[1], room.z_m[0]), (room.x_m[0], room.z_m[0])]]
    )
    shapes = [*plates(heap, (outline,), room.y_m, 3, mottle=0.45)]
    shares = [share for _, share in lot.materials]
    for _ in range(int(28 * room.length_m)):
        left = float(rng.uniform(*room.x_m))
        ceiling = float(np.interp(left, x, top))
        centre = np.array([left, rng.uniform(room.z_m[0], max(ceiling - 0.05, room.z_m[0] + 0.01))])
        piece = blob(centre, float(rng.gamma(2, 0.06)) + 0.03, rng)
        piece = np.clip(piece, [room.x_m[0], room.z_m[0]], [room.x_m[1], ceiling])
        y = float(rng.uniform(room.y_m[0], room.y_m[1] - 0.25))
        material = lot.materials[int(rng.choice(len(shares), p=shares))][0]
        density = 2.5 * lot.density_g_per_cm3 * float(rng.uniform(0.2, 1.8))
        shapes.append(Polygon((piece,), (y, y + 0.25), material, density))
    return shapes


def machinery(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stand machines on skids: housings with motors, gears, tables and cabinets on a bed."""
    shapes: list[Shape] = []
    x = room.x_m[0]
    while x < room.x_m[1] - 0.9:
        wide = float(min(rng.uniform(0.9, 2.8), room.x_m[1] - x))
        high = room.height_m * float(rng.uniform(0.4, 0.92))
        box = Room((x, x + wide), (-0.8, 0.8), (room.z_m[0], room.z_m[0] + high))
        shapes += _machine(box, lot, rng)
        x += wide + float(rng.uniform(0.03, 0.6))
    return shapes


def _machine(box: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    (x0, x1), (z0, z1) = box.x_m, box.z_m
    bed = z0 + 0.1 + (z1 - z0) * float(rng.uniform(0.12, 0.3))
    shapes: list[Shape] = [steel((x0, x1), (y, y + 0.1), (z0, z0 + 0.1), 1.6) for y in (-0.6, 0.5)]
    shapes.append(steel((x0 + 0.03, x1 - 0.03), (-0.5, 0.5), (z0 + 0.1, bed), 1.5))
    if rng.random() < 0.6:  # noqa: PLR2004
        shapes += [steel((x0, x1), (y, y + 0.002), (z0 + 0.1, z1)) for y in (-0.8, 0.798)]
        shapes.append(steel((x0, x1), box.y_m, (z1 - 0.002, z1)))
    x = x0 + 0.05
    while x < x1 - 0.15:
        wide = float(min(rng.uniform(0.15, 0.7), x1 - x - 0.03))
        unit = Room(
            (x, x + wide), (-0.5, 0.5), (bed, bed + (z1 - bed) * float(rng.uniform(0.3, 1)))
        )
        shapes += (_column, _motor, _rotor)[int(rng.integers(3))](unit, lot, rng)
        x += wide + float(rng.uniform(0.0, 0.08))
    return shapes


def _column(unit: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Return a hollow casting with a lighter cabinet on it."""
    (x0, x1), split = unit.x_m, unit.z_m[0] + unit.height_m * float(rng.uniform(0.3, 0.9))
    inner = np.array([(x0 + 0.04, unit.z_m[0] + 0.04), (x1 - 0.04, unit.z_m[0] + 0.04),
                      (x1 - 0.04, split - 0.04), (x0 + 0.04, split - 0.04)])  # fmt: skip
    outer = np.array([(x0, unit.z_m[0]), (x1, unit.z_m[0]), (x1, split), (x0, split)])
    cabinet = replace(lot, density_g_per_cm3=lot.density_g_per_cm3 * 0.35)
    return [
        Polygon((outer, inner) if split - unit.z_m[0] > 0.12 else (outer,), (-0.25, 0.25), STEEL,  # noqa: PLR2004
                float(rng.uniform(1.0, 3.0))),
        *body(cabinet, (x0 + 0.01, x1 - 0.01), (-0.3, 0.3), (split, unit.z_m[1])),
    ]  # fmt: skip


def _motor(unit: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Return an electric motor lying along the bed: fins, windings, shaft."""
    del lot
    radius = min(unit.height_m / 2, 0.25)
    (x0, x1), z = unit.x_m, unit.z_m[0]
    ends = (z, z + 2 * radius)
    core = (z + radius * 0.5, z + radius * 1.5)
    across, inner = (-radius, radius), (-radius / 2, radius / 2)
    shaft = (z + radius - 0.02, z + radius + 0.02)
    return [
        Block((x0, x1), across, ends, LIGHT_METAL, float(rng.uniform(0.8, 1.6)), "lying"),
        Block((x0 + 0.03, x1 - 0.03), inner, core, STEEL, 3.5, "lying"),
        Block((x0 - 0.03, x1 + 0.03), (-0.02, 0.02), shaft, STEEL, 7.85, "lying"),
    ]


def _rotor(unit: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Return a wheel or gear on a bearing block, its axis across the vehicle."""
    del lot
    radius = min((unit.x_m[1] - unit.x_m[0]) / 2, unit.height_m / 2)
    centre = ((unit.x_m[0] + unit.x_m[1]) / 2, unit.z_m[0] + radius)
    stand = (centre[0] - radius * 0.4, centre[0] + radius * 0.4)
    rim = disc(centre, radius, radius * float(rng.uniform(0.5, 0.85)))
    return [
        Polygon(rim, (-0.1, 0.1), STEEL, float(rng.uniform(3, 7))),
        Polygon(disc(centre, radius * 0.25), (-0.2, 0.2), STEEL, float(rng.uniform(3, 7))),
        Polygon(disc(centre, radius), (-0.02, 0.02), STEEL, 4.0),
        steel(stand, (-0.3, 0.3), (unit.z_m[0], centre[1]), 0.8),
    ]


def household(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stack boxes and bags of all sizes, three deep, with odd metal things among them."""
    shapes: list[Shape] = []
    third = (room.y_m[1] - room.y_m[0]) / 3
    for y in rows(room, third):
        x = room.x_m[0]
        while x < room.x_m[1] - 0.2:
            wide = float(min(rng.uniform(0.25, 0.9), room.x_m[1] - x))
            top = room.z_m[0] + room.height_m * float(rng.uniform(0.4, 1.0))
            column = Room((x, x + wide), (y, y + third), (room.z_m[0], top))
            shapes += _odd_boxes(column, lot, rng)
            x += wide + float(rng.uniform(0, 0.05))
    return shapes


def _odd_boxes(column: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    shapes: list[Shape] = []
    shares = [share for _, share in lot.materials]
    base = column.z_m[0]
    while base < column.z_m[1] - 0.15:
        high = float(min(rng.uniform(0.15, 0.7), column.z_m[1] - base))
        material = lot.materials[int(rng.choice(len(shares), p=shares))][0]
        density = lot.density_g_per_cm3 * float(rng.uniform(0.4, 1.8))
        left = column.x_m[0] + float(rng.uniform(0, 0.06))
        form: Form = "pillow" if rng.random() < 0.35 else "cuboid"  # noqa: PLR2004
        box = ((left, column.x_m[1]), column.y_m, (base, base + high - 0.005))
        shapes.append(Block(*box, material, density, form))
        if rng.random() < 0.15:  # noqa: PLR2004
            inside = (base + 0.02, base + high * float(rng.uniform(0.2, 0.8)))
            metal = (left + 0.05, left + 0.05 + (column.x_m[1] - left - 0.05) * 0.5)
            middle = sum(column.y_m) / 2
            shapes.append(steel(metal, (middle - 0.1, middle + 0.1), inside, 0.8))
        base += high
    return shapes


def furniture(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Load cabinets (boards), sofas (foam on springs) and flat packs, two across."""
    shapes: list[Shape] = []
    half = (room.y_m[1] - room.y_m[0]) / 2
    for y in rows(room, half):
        x = room.x_m[0]
        while x < room.x_m[1] - 0.5:
            wide = float(min(rng.uniform(0.5, 2.1), room.x_m[1] - x))
            piece = Room((x, x + wide), (y + 0.05, y + half - 0.05), room.z_m)
            shapes += _pile(piece, lot, rng)
            x += wide + float(rng.uniform(0.01, 0.12))
    return shapes


def _pile(place: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    shapes: list[Shape] = []
    base = place.z_m[0]
    while base < place.z_m[1] - 0.4:
        high = float(min(rng.uniform(0.4, 1.1), place.z_m[1] - base))
        spot = Room(place.x_m, place.y_m, (base, base + high - 0.01))
        maker = (_cabinet, _sofa, _flat_pack)[int(rng.integers(3))]
        shapes += maker(spot, lot, rng)
        base += high
        if rng.random() < 0.2:  # noqa: PLR2004
            break
    return shapes


def _cabinet(spot: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    del lot
    (x0, x1), (z0, z1), board = spot.x_m, spot.z_m, 0.018
    shapes: list[Shape] = [Block((x0, x1), spot.y_m, (z, z + board), PAPER, 0.65)
                           for z in (z0, z1 - board)]  # fmt: skip
    shapes += [
        Block((x, x + board), spot.y_m, (z0, z1), PAPER, 0.65)
        for x in (x0, x1 - board, (x0 + x1) / 2)
    ]
    shapes += [Block((x0, x1), (y, y + 0.004), (z0, z1), PAPER, 0.8) for y in spot.y_m]
    for z in rng.uniform(z0 + 0.1, z1 - 0.1, int(rng.integers(1, 4))).tolist():
        shapes.append(Block((x0, x1), spot.y_m, (z, z + board), PAPER, 0.65))
        shapes.append(steel((x0 + 0.1, x0 + 0.14), (spot.y_m[0], spot.y_m[0] + 0.4), (z, z + 0.02)))
    return shapes


def _sofa(spot: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    (x0, x1), (z0, z1) = spot.x_m, spot.z_m
    seat = z0 + (z1 - z0) * 0.45
    foam = replace(
        lot, materials=((ORGANIC, 1.0),), density_g_per_cm3=float(rng.uniform(0.04, 0.1))
    )
    shapes = [*body(foam, (x0, x1), spot.y_m, (z0 + 0.1, seat), "pillow")]
    shapes += body(foam, (x0, x0 + min(0.3, (x1 - x0) / 3)), spot.y_m, (seat, z1), "pillow")
    shapes += [Block((x0, x1), spot.y_m, (z0 + 0.06, z0 + 0.1), PAPER, 0.35)]
    shapes += [
        steel((x, x + 0.06), spot.y_m, (z0 + 0.12, seat - 0.05), 0.04)
        for x in np.arange(x0 + 0.08, x1 - 0.1, 0.12).tolist()
    ]
    shapes += [steel((x, x + 0.04), spot.y_m, (z0, z0 + 0.06), 0.15) for x in (x0, x1 - 0.04)]
    return shapes


def _flat_pack(spot: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    shapes: list[Shape] = []
    thick = float(rng.uniform(0.05, 0.12))
    packed = replace(
        lot, materials=((PAPER, 1.0),), density_g_per_cm3=float(rng.uniform(0.35, 0.6))
    )
    level = spot.z_m[0] + spot.height_m * float(rng.uniform(0.4, 1.0))
    for low in np.arange(spot.z_m[0], max(level - thick, spot.z_m[0] + 0.01), thick).tolist():
        shapes += body(packed.varied(rng), spot.x_m, spot.y_m, (low, low + thick - 0.004))
    return shapes


def appliances(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stack washing machines (drum, counterweight) or refrigerators (compressor), three across."""
    washing = rng.random() < 0.6  # noqa: PLR2004
    high = 0.88 if washing else min(float(rng.uniform(1.5, 1.9)), room.height_m - 0.02)
    tiers = max(int(room.height_m * float(rng.uniform(0.6, 1.0)) / high), 1)
    shapes: list[Shape] = []
    for x in marks(room, 0.64):
        for y in rows(room, 0.7):
            for tier in range(tiers):
                base = room.z_m[0] + tier * high
                box = Room((x, x + 0.62), (y, y + 0.66), (base, base + high - 0.02))
                shapes += _washing_machine(box, lot) if washing else _refrigerator(box, lot)
    return shapes


def _washing_machine(box: Room, lot: Lot) -> list[Shape]:
    (x0, x1), (z0, z1) = box.x_m, box.z_m
    middle, centre = (box.y_m[0] + box.y_m[1]) / 2, ((x0 + x1) / 2, z0 + 0.45)
    shell = replace(lot, density_g_per_cm3=lot.density_g_per_cm3 * 0.35)
    barrel = (middle - 0.2, middle + 0.2)
    return [
        *body(shell, box.x_m, box.y_m, box.z_m),
        Polygon(disc(centre, 0.24, 0.225), barrel, STEEL, 1.5),
        Polygon(disc((centre[0] + 0.02, z0 + 0.12), 0.07), barrel, STEEL, 1.0),
        Block((x0 + 0.1, x1 - 0.1), barrel, (z1 - 0.17, z1 - 0.07), LIGHT_METAL, 1.4),
    ]


def _refrigerator(box: Room, lot: Lot) -> list[Shape]:
    (x0, x1), (z0, z1) = box.x_m, box.z_m
    shell = replace(lot, density_g_per_cm3=lot.density_g_per_cm3 * 0.25)
    middle = (box.y_m[0] + box.y_m[1]) / 2
    shelves = [
        Block((x0 + 0.06, x1 - 0.06), box.y_m, (z, z + 0.006), LIGHT_METAL, 2.0)
        for z in np.linspace(z0 + 0.4, z1 - 0.3, 4).tolist()
    ]
    motor = Polygon(disc((x0 + 0.14, z0 + 0.14), 0.1), (middle - 0.1, middle + 0.1), STEEL, 3.0)
    return [*body(shell, box.x_m, box.y_m, box.z_m), *shelves, motor]
