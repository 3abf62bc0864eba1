"""Long goods and slabs: logs, boards, bars, beams, plates on edge."""

from __future__ import annotations

import numpy as np

from nii.simulate.container import Room
from nii.simulate.lots import Lot, bearers, body, marks, rows, steel
from nii.simulate.shapes import PAPER, STEEL, Block, Shape


def logs(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Pile logs of uneven thickness along the room, between stanchions."""
    length = float(min(rng.uniform(3.0, 6.0), room.length_m - 0.05))
    thick = float(rng.uniform(0.16, 0.34))
    level = room.height_m * float(rng.uniform(0.5, 0.9))
    count = max(int(level / (0.87 * thick)), 1)
    shapes: list[Shape] = []
    for x in marks(room, length + 0.05):
        for row in range(count):
            for y in rows(room, thick * 1.02)[row % 2 :]:
                size = thick * float(rng.uniform(0.8, 1.0))
                z = room.z_m[0] + row * 0.87 * thick
                end = x + length - float(rng.uniform(0, 0.25))
                near = y - (row % 2) * thick / 2
                box = ((x, end), (near, near + size), (z, min(z + size, room.z_m[1])))
                shapes += body(lot.varied(rng), *box, "lying")
        for post in (x + 0.4, x + length - 0.5):
            shapes += [
                steel((post, post + 0.08), (y, y + 0.006), room.z_m)
                for y in (room.y_m[0], room.y_m[1] - 0.006)
            ]
    return shapes


def boards(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stack packs of boards on bearers, two packs across, ends ragged."""
    high = float(rng.uniform(0.45, 1.0))
    length = float(min(rng.uniform(2.0, 5.8), room.length_m))
    board = float(rng.uniform(0.035, 0.09))
    tiers = int(rng.integers(1, max(int(room.height_m / high), 1) + 1))
    shapes: list[Shape] = []
    for tier in range(tiers):
        base = room.z_m[0] + tier * high
        for x in marks(room, length + 0.05):
            shapes += [
                Block((x + at, x + at + 0.08), room.y_m, (base, base + 0.08), PAPER, 0.4)
                for at in (0.3, length / 2, length - 0.4)
            ]
            top = min(base + high, room.z_m[1])
            for low in np.arange(base + 0.08, top - board, board).tolist():
                end = x + length - float(rng.uniform(0, 0.2))
                box = ((x, end), room.y_m, (low, low + board * 0.95))
                shapes += body(lot.varied(rng, 0.06), *box)
    return shapes


def bars(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Lay tied bundles of bars along the room on bearers."""
    thick = float(rng.uniform(0.12, 0.3))
    count = max(int(room.height_m * float(rng.uniform(0.05, 0.25)) / thick), 1)
    shapes = bearers(room, 2.0, 0.1)
    for row in range(count):
        z = room.z_m[0] + 0.1 + row * thick
        for y in rows(room, thick * float(rng.uniform(1.1, 2.0))):
            ends = (
                room.x_m[0] + float(rng.uniform(0, 0.3)),
                room.x_m[1] - float(rng.uniform(0, 0.3)),
            )
            shapes += body(lot, ends, (y, y + thick), (z, z + thick), "lying")
    return shapes


def beams(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Lay rolled steel beams along the room, webs upright, on bearers."""
    deep = float(rng.uniform(0.12, 0.3))
    web, flange = deep * 0.03, deep * 0.045
    count = max(int(room.height_m * float(rng.uniform(0.1, 0.4)) / deep), 1)
    density = lot.density_g_per_cm3
    shapes = bearers(room, 2.0, 0.1)
    for row in range(count):
        z = room.z_m[0] + 0.1 + row * (deep + 0.01)
        for y in rows(room, deep * 1.25):
            ends = (room.x_m[0] + float(rng.uniform(0, 0.2)), room.x_m[1])
            middle = y + deep / 2
            shapes += [
                steel(ends, (middle - web / 2, middle + web / 2), (z, z + deep), density),
                steel(ends, (y, y + deep), (z, z + flange), density),
                steel(ends, (y, y + deep), (z + deep - flange, z + deep), density),
            ]
    return shapes


def slabs(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stand slabs of stone or glass on A-frames, faces across the vehicle's length."""
    high = min(float(rng.uniform(0.55, 0.85)) * room.height_m, 1.9)
    shapes: list[Shape] = []
    for x in marks(room, float(rng.uniform(0.6, 1.4))):
        frame = steel((x + 0.3, x + 0.34), (-0.8, 0.8), (room.z_m[0], room.z_m[0] + high), 0.5)
        shapes += [frame, steel((x, x + 0.5), (-0.8, 0.8), (room.z_m[0], room.z_m[0] + 0.08), 0.6)]
        for index in range(int(rng.integers(2, 6))):
            left = x + 0.02 + index * 0.05
            top = room.z_m[0] + high * float(rng.uniform(0.85, 1.0))
            thick = float(rng.uniform(0.01, 0.03))
            box = ((left, left + thick), (-0.9, 0.9), (room.z_m[0] + 0.08, top))
            shapes += body(lot, *box)
    return shapes


def straps(room: Room, rng: np.random.Generator) -> list[Shape]:
    """Return ratchet straps over a load: webbing at both sides and a buckle each."""
    shapes: list[Shape] = []
    for x in rng.uniform(room.x_m[0], room.x_m[1] - 0.06, int(rng.integers(2, 7))).tolist():
        shapes += [
            Block((x, x + 0.05), (y, y + 0.003), room.z_m, PAPER, 1.2)
            for y in (room.y_m[0] - 0.01, room.y_m[1] + 0.007)
        ]
        buckle = room.z_m[0] + 0.35 * room.height_m
        shapes.append(
            Block((x, x + 0.06), (room.y_m[0] - 0.03, room.y_m[0] - 0.01),
                  (buckle, buckle + 0.2), STEEL, 3.0)
        )  # fmt: skip
    return shapes
