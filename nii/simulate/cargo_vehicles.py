"""Vehicles as cargo: passenger cars, motorcycles, farm tractors, seen from the side.

Silhouettes and the place of heavy parts follow common proportions; masses are those of the type
classes (assumption).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np
from jaxtyping import Float64

from nii.simulate.container import Room
from nii.simulate.lots import Lot
from nii.simulate.shapes import (
    LIGHT_METAL,
    LIQUID,
    ORGANIC,
    STEEL,
    Polygon,
    Shape,
    disc,
    mass_kg,
    mirror,
)

_PROFILES = {
    "saloon": (
        (0.0, 0.35), (0.0, 0.66), (0.03, 0.72), (0.26, 0.82), (0.37, 1.34), (0.44, 1.43),
        (0.62, 1.42), (0.78, 0.98), (0.97, 0.94), (1.0, 0.7), (0.995, 0.38),
    ),
    "hatchback": (
        (0.0, 0.35), (0.0, 0.7), (0.03, 0.78), (0.24, 0.92), (0.38, 1.42), (0.46, 1.5),
        (0.86, 1.44), (0.98, 0.95), (1.0, 0.7), (0.995, 0.4),
    ),
    "estate": (
        (0.0, 0.45), (0.0, 0.85), (0.03, 0.95), (0.25, 1.05), (0.36, 1.62), (0.43, 1.72),
        (0.93, 1.68), (0.99, 1.05), (1.0, 0.6),
    ),
}  # fmt: skip
"""Outline of each kind of car: share of the length, height in metres."""
_HALF_TRACK_M = 0.75


def car(rng: np.random.Generator) -> list[Polygon]:
    """Return a passenger car of 3.9-4.7 m and 1.1-1.7 t that stands on z = 0, nose at x = 0."""
    kind = list(_PROFILES)[int(rng.integers(len(_PROFILES)))]
    length, mass = float(rng.uniform(3.9, 4.7)), float(rng.uniform(1100, 1700))
    hull = np.array(_PROFILES[kind]) * [length, 1.0]
    radius, axles = float(rng.uniform(0.29, 0.34)), (0.2 * length, 0.79 * length)
    parts = _shell(hull, axles, radius) + _drive(length, axles, rng)
    for x in axles:
        parts += _wheel((x, radius), radius)
    return weigh(parts, mass)


def weigh(parts: Iterable[Polygon], mass: float) -> list[Polygon]:
    """Return the parts with densities scaled, so that together they have a mass in kg."""
    listed = list(parts)
    factor = mass / sum(mass_kg(part) for part in listed)
    return [replace(part, density_g_per_cm3=part.density_g_per_cm3 * factor) for part in listed]


def _shell(
    hull: Float64[np.ndarray, "n 2"], axles: tuple[float, float], radius: float
) -> list[Polygon]:
    length, top = float(hull[:, 0].max()), float(hull[:, 1].max())
    belt = top - 0.5
    glass = np.array(
        [(0.33 * length, belt), (0.42 * length, top - 0.08), (0.63 * length, top - 0.08),
         (0.72 * length, belt)]
    )  # fmt: skip
    parts: list[Polygon] = []
    for y in (-_HALF_TRACK_M - 0.05, _HALF_TRACK_M + 0.05):
        parts.append(Polygon((hull, glass), (y, y + 0.0018), STEEL, 7.85))
        parts.append(Polygon((glass,), (y, y + 0.004), LIGHT_METAL, 2.5))
    across = (-_HALF_TRACK_M, _HALF_TRACK_M)
    skin = _ring_inside(hull, 0.02)
    parts.append(Polygon(skin, across, STEEL, 0.35, 3))
    floor = _box(0.12 * length, 0.3, 0.92 * length, 0.33)
    sill = _box(axles[0] + radius + 0.05, 0.22, axles[1] - radius - 0.05, 0.32)
    parts.append(Polygon((floor,), across, STEEL, 0.5, 3))
    parts += [Polygon((sill,), (y, y + 0.08), STEEL, 1.2) for y in (-0.75, 0.67)]
    return parts


def _ring_inside(
    hull: Float64[np.ndarray, "n 2"], inset: float
) -> tuple[Float64[np.ndarray, "n 2"], ...]:
    centre = hull.mean(0)
    reach = np.abs(hull - centre).max(0)
    return hull, centre + (hull - centre) * (1 - inset * 2 / reach)


def _drive(length: float, axles: tuple[float, float], rng: np.random.Generator) -> list[Polygon]:
    engine = _box(0.07 * length, 0.35, 0.07 * length + 0.5, 0.35 + float(rng.uniform(0.35, 0.45)))
    gearbox = _box(0.07 * length + 0.1, 0.24, 0.07 * length + 0.55, 0.42)
    radiator = _box(0.03 * length, 0.35, 0.03 * length + 0.05, 0.75)
    tank = _box(axles[1] - 0.55, 0.28, axles[1] - 0.05, 0.45)
    exhaust = _box(0.25 * length, 0.2, 0.96 * length, 0.25)
    silencer = _box(axles[1] + 0.25, 0.18, axles[1] + 0.75, 0.33)
    battery = _box(0.1 * length + 0.45, 0.6, 0.1 * length + 0.65, 0.78)
    parts = [
        Polygon((engine,), (-0.25, 0.25), STEEL, 1.6, 3),
        Polygon((gearbox,), (-0.15, 0.35), LIGHT_METAL, 1.3),
        Polygon((radiator,), (-0.35, 0.35), LIGHT_METAL, 0.6),
        Polygon((tank,), (-0.4, 0.4), LIQUID, float(rng.uniform(0.1, 0.75))),
        Polygon((exhaust,), (0.0, 0.05), STEEL, 0.9),
        Polygon((silencer,), (0.1, 0.3), STEEL, 0.7),
        Polygon((battery,), (0.2, 0.38), STEEL, 2.2),
    ]
    for x in (0.4 * length, 0.62 * length):
        for y in (-0.6, 0.12):
            parts += _seat(x, (y, y + 0.48))
    for x in axles:
        strut = _box(x - 0.04, 0.3, x + 0.04, 0.75)
        parts += [Polygon((strut,), (y, y + 0.08), STEEL, 2.0) for y in (-0.6, 0.52)]
    return parts


def _seat(x: float, y_m: tuple[float, float]) -> list[Polygon]:
    cushion = _box(x, 0.42, x + 0.5, 0.56)
    back = np.array([(x + 0.42, 0.5), (x + 0.55, 0.5), (x + 0.72, 1.1), (x + 0.62, 1.12)])
    frame = np.array([(x + 0.5, 0.5), (x + 0.53, 0.5), (x + 0.7, 1.08), (x + 0.67, 1.1)])
    return [
        Polygon((cushion,), y_m, ORGANIC, 0.12),
        Polygon((back,), y_m, ORGANIC, 0.1),
        Polygon((frame,), y_m, STEEL, 0.25),
        Polygon((_box(x, 0.36, x + 0.5, 0.4),), y_m, STEEL, 0.4),
    ]


def _wheel(centre: tuple[float, float], radius: float, half_m: float = 0.7) -> list[Polygon]:
    parts: list[Polygon] = []
    for side in (-1, 1):
        y_m = (half_m, half_m + 0.19) if side > 0 else (-half_m - 0.19, -half_m)
        parts += [
            Polygon(disc(centre, radius, radius - 0.025), y_m, ORGANIC, 0.9),
            Polygon(disc(centre, radius, radius * 0.62), y_m, ORGANIC, 0.16),
            Polygon(disc(centre, radius * 0.64, radius * 0.57), y_m, STEEL, 0.9),
            Polygon(disc(centre, radius * 0.42), (y_m[0], y_m[0] + 0.02), STEEL, 7.2),
        ]
    return parts


def cars(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Park cars one behind the other; the second tier stands on racks where it is high enough."""
    del lot  # a car brings its own materials
    shapes: list[Shape] = []
    tiers = 2 if room.height_m > 3.4 else 1  # noqa: PLR2004
    for tier in range(tiers):
        base = room.z_m[0] + tier * room.height_m / 2
        x = room.x_m[0] + 0.05
        if tier:
            rack = np.array([(x, base - 0.08), (room.x_m[1], base - 0.08), (room.x_m[1], base),
                             (x, base)])  # fmt: skip
            shapes.append(Polygon((rack,), (-1.0, 1.0), STEEL, 0.6, 3))
        while True:
            parts = car(rng)
            long = _length(parts)
            if x + long > room.x_m[1]:
                break
            shapes += _put(parts, x, base, long, turned=rng.random() < 0.5)  # noqa: PLR2004
            x += long + float(rng.uniform(0.08, 0.4))
    return shapes


def _length(parts: Iterable[Polygon]) -> float:
    return max(float(part.outlines_m[0][:, 0].max()) for part in parts)


def _put(parts: list[Polygon], x: float, z: float, long: float, *, turned: bool) -> list[Shape]:
    shift = np.array([x, z])
    whole: list[Shape] = list(mirror(parts, long / 2)) if turned else list(parts)
    return [
        replace(part, outlines_m=tuple(o + shift for o in part.outlines_m))
        for part in whole
        if isinstance(part, Polygon)
    ]


def motorcycles(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stand motorcycles of 100-200 kg in crates, three across."""
    del lot
    shapes: list[Shape] = []
    for y in (-0.8, 0.0, 0.8):
        x = room.x_m[0] + 0.05
        while x + 2.1 < room.x_m[1]:
            shapes += _put(motorcycle(y, rng), x, room.z_m[0] + 0.05, 2.0, turned=False)
            crate = np.array(
                [(x, room.z_m[0]), (x + 2.1, room.z_m[0]), (x + 2.1, room.z_m[0] + 0.05),
                 (x, room.z_m[0] + 0.05)]
            )  # fmt: skip
            shapes.append(Polygon((crate,), (y - 0.3, y + 0.3), STEEL, 0.5))
            x += 2.15
    return shapes


def motorcycle(y: float, rng: np.random.Generator) -> list[Polygon]:
    """Return a motorcycle of 2 m and 100-200 kg in the plane y, front wheel at x = 0."""
    parts: list[Polygon] = []
    for x in (0.32, 1.65):
        parts.append(Polygon(disc((x, 0.31), 0.31, 0.25), (y - 0.06, y + 0.06), ORGANIC, 0.7))
        parts.append(Polygon(disc((x, 0.31), 0.25, 0.22), (y - 0.04, y + 0.04), STEEL, 1.2))
        parts.append(Polygon(disc((x, 0.31), 0.13, 0.03), (y, y + 0.006), STEEL, 7.0))
    lines = (
        ((0.32, 0.31), (0.62, 0.98)), ((0.6, 0.85), (1.25, 0.75)), ((0.65, 0.7), (0.8, 0.3)),
        ((1.0, 0.35), (1.65, 0.31)), ((0.8, 0.3), (1.15, 0.3)), ((1.15, 0.7), (1.55, 0.4)),
    )  # fmt: skip
    parts += [Polygon((_bar(a, b, 0.025),), (y - 0.05, y + 0.05), STEEL, 1.6) for a, b in lines]
    tank = np.array([(0.72, 0.8), (0.8, 0.98), (1.05, 0.95), (1.15, 0.78)])
    seat = np.array([(1.12, 0.76), (1.15, 0.86), (1.75, 0.9), (1.72, 0.8)])
    engine = _box(0.78, 0.3, 1.15, 0.68)
    parts += [
        Polygon((tank,), (y - 0.13, y + 0.13), LIQUID, 0.5),
        Polygon((seat,), (y - 0.13, y + 0.13), ORGANIC, 0.15),
        Polygon((engine,), (y - 0.15, y + 0.15), LIGHT_METAL, 2.2),
        Polygon((_bar((1.0, 0.3), (1.8, 0.4), 0.045),), (y + 0.1, y + 0.2), STEEL, 0.8),
    ]
    return weigh(parts, float(rng.uniform(100, 200)))


def farm_tractors(room: Room, lot: Lot, rng: np.random.Generator) -> list[Shape]:
    """Stand farm tractors of 2.5-4.5 t, cab off where the roof is low."""
    del lot
    shapes: list[Shape] = []
    x = room.x_m[0] + 0.1
    while x + 3.9 < room.x_m[1]:
        cab = room.height_m > 2.75  # noqa: PLR2004
        shapes += _put(_farm_tractor(rng, cab=cab), x, room.z_m[0], 3.8, turned=False)
        x += 4.0 + float(rng.uniform(0, 0.5))
    return shapes


def _farm_tractor(rng: np.random.Generator, *, cab: bool) -> list[Polygon]:
    parts: list[Polygon] = []
    for centre, radius in (((0.65, 0.5), 0.5), ((2.85, 0.78), 0.78)):
        for y in (-1.0, 0.6):
            tread = disc(centre, radius, radius - 0.09)
            side = disc(centre, radius, radius * 0.55)
            parts += [
                Polygon(tread, (y, y + 0.4), ORGANIC, 0.8, 2),
                Polygon(side, (y, y + 0.4), ORGANIC, 0.12),
                Polygon(disc(centre, radius * 0.56, radius * 0.48), (y, y + 0.3), STEEL, 0.7),
                Polygon(disc(centre, radius * 0.3), (y + 0.1, y + 0.14), STEEL, 7.8),
            ]
    engine, gearbox = _box(0.35, 0.65, 1.5, 1.25), _box(1.5, 0.55, 3.1, 1.05)
    hood = np.array([(0.15, 0.7), (0.2, 1.35), (1.6, 1.5), (1.6, 0.7)])
    parts += [
        Polygon((engine,), (-0.25, 0.25), STEEL, 3.5, 2),
        Polygon((gearbox,), (-0.25, 0.25), STEEL, 4.0, 2),
        Polygon((hood,), (-0.3, 0.3), STEEL, 0.15),
        Polygon((_box(0.0, 0.6, 0.2, 0.95),), (-0.3, 0.3), STEEL, 5.0),
        Polygon((_box(1.9, 1.2, 2.4, 1.35),), (-0.25, 0.25), ORGANIC, 0.3),
    ]
    posts = (
        ((1.6, 1.2), (1.7, 2.6), (3.1, 2.6), (3.2, 1.2), (1.7, 2.6))
        if cab
        else ((2.9, 1.0), (3.0, 2.1))
    )
    parts += [Polygon((_bar(a, b, 0.035),), (-0.75, 0.75), STEEL, 0.35) for a, b in pairwise(posts)]
    return weigh(parts, float(rng.uniform(2500, 4500)))


def _box(x0: float, z0: float, x1: float, z1: float) -> Float64[np.ndarray, "4 2"]:
    return np.array([(x0, z0), (x1, z0), (x1, z1), (x0, z1)], np.float64)


def _bar(
    start: tuple[float, float], stop: tuple[float, float], half: float
) -> Float64[np.ndarray, "4 2"]:
    a, b = np.array(start), np.array(stop)
    along = (b - a) / float(np.hypot(*(b - a)))
    side = np.array([-along[1], along[0]]) * half
    return np.stack([a + side, b + side, b - side, a - side])
