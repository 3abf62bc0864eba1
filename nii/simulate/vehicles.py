"""Road vehicles that carry containers: tractor, skeletal trailer, yard trailer, flatbed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from nii.simulate.loads import Hide
from nii.simulate.shapes import (
    LIGHT_METAL,
    LIQUID,
    ORGANIC,
    STEEL,
    Block,
    Polygon,
    Shape,
    disc,
)

_STEEL_DENSITY = 7.85
_RUBBER_DENSITY = 1.1
_AXLE_SPACING_M = 1.32
_TANK_Y_M = (-1.2, -0.62)
_TANK_Z_M = (0.45, 1.0)
_TWO_BOARDS, _BLOCKS = 0.3, 0.65
"""Guides: shares of two boards, and of these or blocks; the rest is ribbed. Assumption."""


@dataclass(frozen=True, slots=True)
class Trailer:
    """Say what carries the containers.

    Attributes:
        x_m: extent of the loading plane.
        deck_m: height of the plane that containers stand on.
        axles: number of axles.
        flat: whether a closed deck lies on the chassis.
        guides: whether plates guide the container at its sides (yard trailer).
        overhang_m: from the last axle to the end of the loading plane.
        wheel_m: radius of a tyre.
    """

    x_m: tuple[float, float]
    deck_m: float
    axles: int
    flat: bool
    guides: bool
    overhang_m: float = 1.2
    wheel_m: float = 0.5

    @property
    def axles_x_m(self) -> tuple[float, ...]:
        """Return where the axles are."""
        first = self.x_m[1] - self.overhang_m - _AXLE_SPACING_M * (self.axles - 1)
        return tuple(first + _AXLE_SPACING_M * index for index in range(self.axles))


@dataclass(frozen=True, slots=True)
class FuelTank:
    """A fuel tank of a tractor.

    Attributes:
        x_m: extent along the vehicle.
        level_m: height of the surface of the fuel above ground.
    """

    x_m: tuple[float, float]
    level_m: float

    @property
    def fuel(self) -> Block:
        """Return the fuel."""
        return Block(self.x_m, _TANK_Y_M, (_TANK_Z_M[0], self.level_m), LIQUID, 0.84)


def draw_tank(rng: np.random.Generator) -> FuelTank:
    """Draw a fuel tank that hangs behind the cab of a tractor whose nose is at x = 0."""
    left = float(rng.uniform(1.7, 2.5))
    level = _TANK_Z_M[0] + (_TANK_Z_M[1] - _TANK_Z_M[0]) * float(rng.uniform(0.1, 0.95))
    return FuelTank((left, left + float(rng.uniform(0.6, 1.2))), level)


def tank_hide(tank: FuelTank) -> Hide:
    """Return the inside of a fuel tank as a place to hide things in."""
    (x0, x1), (z0, z1) = tank.x_m, _TANK_Z_M
    return Hide(
        "fuel_tank", (x0 + 0.01, x1 - 0.01), _TANK_Y_M, (z0 + 0.01, z1 - 0.01), (tank.fuel,)
    )


def trailer_hides(spec: Trailer) -> list[Hide]:
    """Return the tyres of a trailer and the space between its beams."""
    radius = spec.wheel_m
    hides = [
        Hide("tyre", (x - radius, x + radius), y_m, (0.0, 2 * radius))
        for x in spec.axles_x_m
        for y_m in ((-1.23, -0.68), (0.68, 1.23))
    ]
    beam = (spec.x_m[0] + 3.8, spec.axles_x_m[0] - 0.6)
    if beam[1] - beam[0] > 0.8:  # noqa: PLR2004
        hides.append(
            Hide("chassis_beam", beam, (-0.4, 0.34), (spec.deck_m - 0.2, spec.deck_m - 0.04))
        )
    return hides


def wheel(x: float, radius: float, rng: np.random.Generator, *, twin: bool = True) -> list[Shape]:
    """Return one wheel at both sides of an axle: tyre, rim, drum and hub."""
    width = 0.55 if twin else 0.28
    drum = float(rng.uniform(0.16, 0.22))
    shapes: list[Shape] = []
    for side in (-1, 1):
        outer = (0.68, 0.68 + width) if side > 0 else (-0.68 - width, -0.68)
        centre = (x, radius)
        tyre = disc(centre, radius, 0.29)
        shapes += [
            Polygon(tyre, outer, ORGANIC, _RUBBER_DENSITY * 0.45, 2),
            Polygon(disc(centre, radius, radius - 0.05), outer, ORGANIC, _RUBBER_DENSITY * 0.6, 2),
            Polygon(disc(centre, 0.3, 0.26), outer, STEEL, 1.2, 2),
            Polygon(disc(centre, 0.28), (outer[0], outer[0] + 0.02), STEEL, _STEEL_DENSITY),
            Polygon(disc(centre, drum, drum - 0.03), outer, STEEL, 3.0),
            Polygon(disc(centre, 0.09), outer, STEEL, 3.5),
        ]
    axle = Polygon(disc((x, radius), 0.065, 0.045), (-0.7, 0.7), STEEL, _STEEL_DENSITY)
    return [*shapes, axle]


def trailer(spec: Trailer, rng: np.random.Generator) -> list[Shape]:
    """Return the shapes of a semi-trailer without load."""
    (x0, x1), top = spec.x_m, spec.deck_m
    shapes = _beams(spec, rng) + _legs(spec, rng)
    radius = spec.wheel_m
    for x in spec.axles_x_m:
        shapes += wheel(x, radius, rng)
        for y in (-0.6, 0.5):
            spring = (x - 0.45, x + 0.35)
            shapes.append(Block(spring, (y, y + 0.1), (radius, radius + 0.1), STEEL, 4.0))
        bag = Polygon(disc((x + 0.3, radius + 0.25), 0.12), (-0.6, 0.6), ORGANIC, 0.25)
        shapes += [bag, _plate((x - 0.2, radius + 0.05), (0.25, 0.3), (-0.3, 0.3), STEEL, 0.5)]
    if spec.flat:
        deck = (top - 0.12, top)
        shapes.append(Block((x0, x1), (-1.24, 1.24), (top - 0.03, top), STEEL, 1.0))
        shapes.extend(
            Block((x0, x1), (y, y + 0.008), deck, STEEL, _STEEL_DENSITY) for y in (-1.24, 1.23)
        )
    if spec.guides:
        shapes += _guides(spec, rng)
    return shapes + _fittings(spec, rng)


def _beams(spec: Trailer, rng: np.random.Generator) -> list[Shape]:
    (x0, x1), top = spec.x_m, spec.deck_m
    depth, neck = float(rng.uniform(0.3, 0.5)), float(rng.uniform(2.2, 3.6))
    slim, flange = 0.16, float(rng.uniform(0.016, 0.03))
    shapes: list[Shape] = []
    for y in (-0.5, 0.35):
        web = np.array(
            [
                (x0, top), (x1, top), (x1, top - depth * 0.7), (x0 + neck + 0.6, top - depth),
                (x0 + neck, top - slim), (x0, top - slim),
            ]
        )  # fmt: skip
        shapes.append(Polygon((web,), (y + 0.06, y + 0.07), STEEL, _STEEL_DENSITY))
        shapes.append(Block((x0, x1), (y, y + 0.15), (top - flange, top), STEEL, _STEEL_DENSITY))
        lower = np.array(
            [
                (x0 + neck, top - slim), (x0 + neck + 0.6, top - depth), (x1, top - depth * 0.7),
                (x1, top - depth * 0.7 + flange), (x0 + neck + 0.6, top - depth + flange),
                (x0 + neck, top - slim + flange),
            ]
        )  # fmt: skip
        shapes.append(Polygon((lower,), (y, y + 0.15), STEEL, _STEEL_DENSITY))
    for x in np.arange(x0 + 0.1, x1, float(rng.uniform(0.9, 2.4))):
        left = float(x)
        low = top - (slim if left < x0 + neck else depth * 0.6)
        shapes.append(
            Block((left, left + 0.008), (-1.2, 1.2), (low, top - 0.03), STEEL, _STEEL_DENSITY)
        )
    for x in (x0, x1 - 0.14):
        bolster = (top - float(rng.uniform(0.12, 0.2)), top)
        shapes.append(Block((x, x + 0.14), (-1.22, 1.22), bolster, STEEL, 0.9))
    return shapes


def _legs(spec: Trailer, rng: np.random.Generator) -> list[Shape]:
    x = spec.x_m[0] + float(rng.uniform(2.4, 3.4))
    low = float(rng.uniform(0.25, 0.6))
    shapes: list[Shape] = []
    for y in (-0.9, 0.8):
        shapes.append(Block((x, x + 0.12), (y, y + 0.12), (low, spec.deck_m - 0.1), STEEL, 1.8))
        shapes.append(Block((x + 0.03, x + 0.09), (y, y + 0.08), (low, 0.9), STEEL, 3.0))
        shapes.append(_strut((x + 0.1, low + 0.3), (x + 0.8, spec.deck_m - 0.3), y))
    shapes.append(Block((x, x + 0.1), (-0.8, 0.8), (0.9, 0.95), STEEL, 1.0))
    return shapes


def _guides(spec: Trailer, rng: np.random.Generator) -> list[Shape]:
    """Return what guides a container on a yard trailer: blocks, two boards, or one ribbed board.

    Blocks reach up to 0.8 m above the deck and are as dark as cartons of cigarettes (seen on real
    trucks, where they were taken for these); a ribbed board runs along the whole deck, up to 0.5 m
    high (seen there too: empty containers behind it were called loaded).
    """
    (x0, x1), top = spec.x_m, spec.deck_m
    form = float(rng.random())
    if form < _TWO_BOARDS:
        middle = (x0 + x1) / 2
        spans = [(x0 + 1.2, middle - 0.6), (middle + 0.6, x1 - 1.2)]
    else:
        count, wide = int(rng.integers(3, 5)), float(rng.uniform(0.35, 1.0))
        centres = np.linspace(x0 + 1.3, x1 - 1.3, count) + rng.uniform(-0.3, 0.3, count)
        spans = [(float(c) - wide / 2, float(c) + wide / 2) for c in centres]
    rise, plate = float(rng.uniform(0.2, 0.8)), float(rng.uniform(0.006, 0.03))
    if form < _BLOCKS:
        boards = _boards(spec, spans, rise, plate)
    else:
        rise = min(rise, 0.5)
        boards = _boards(spec, [(x0 + 0.1, x1 - 0.1)], rise, plate / 3)
        boards += [
            Block((x, x + 0.05), (y, y + 0.06), (top - 0.3, top + rise), STEEL, 2.5)
            for x in np.arange(x0 + 0.1 + rise / 2, x1 - 0.1, 0.3 + rise / 2).tolist()
            for y in (-1.36, 1.3)
        ]
    ends = float(rng.uniform(0.1, 0.5))
    return boards + [
        Block((x, x + 0.08), (-1.2, 1.2), (top - 0.2, top + ends), STEEL, 0.8)
        for x in (x0 - 0.2, x1 + 0.1)
    ]


def _boards(
    spec: Trailer, spans: list[tuple[float, float]], rise_m: float, plate_m: float
) -> list[Shape]:
    """Return plates at both sides of the deck, each with a frame at its ends."""
    top = spec.deck_m
    shapes: list[Shape] = []
    for left, right in spans:
        shapes.extend(
            Block((left, right), (y, y + plate_m), (top - 0.3, top + rise_m), STEEL, 7.85)
            for y in (-1.3, 1.28)
        )
        shapes.extend(
            Block((x, x + 0.03), (-1.32, 1.32), (top - 0.35, top - 0.05), STEEL, 0.6)
            for x in (left, right - 0.03)
        )
    return shapes


def _fittings(spec: Trailer, rng: np.random.Generator) -> list[Shape]:
    (x0, x1), top = spec.x_m, spec.deck_m
    shapes: list[Shape] = []
    for _ in range(int(rng.integers(3, 10))):
        x, low = float(rng.uniform(x0 + 2.5, x1 - 0.8)), float(rng.uniform(0.45, top - 0.35))
        size = (float(rng.uniform(0.1, 0.7)), float(rng.uniform(0.08, 0.3)))
        share = float(rng.uniform(0.03, 0.5))
        depth = float(rng.uniform(0.1, 0.6))
        shapes.append(_plate((x, low), size, (-1.1, -1.1 + depth), STEEL, share))
    middle = (x0 + x1) / 2
    tank = middle + float(rng.uniform(-1, 1))
    vessel = disc((tank, float(rng.uniform(0.6, top - 0.3))), 0.14, 0.134)
    shapes.append(Polygon(vessel, (-0.6, 0.3), STEEL, _STEEL_DENSITY))
    if rng.random() < 0.5:  # noqa: PLR2004
        spare = disc((middle + float(rng.uniform(-1.5, 1)), top - 0.5), 0.48, 0.29)
        shapes.append(Polygon(spare, (-0.2, 0.1), ORGANIC, 0.9))
    if rng.random() < 0.6:  # noqa: PLR2004
        for z in rng.uniform(0.5, top - 0.2, 2):
            rail = (float(z), float(z) + 0.08)
            shapes.append(
                Block(
                    (x0 + 0.28 * (x1 - x0), x1 - 0.28 * (x1 - x0)),
                    (-1.2, -1.196),
                    rail,
                    LIGHT_METAL,
                    2.7,
                )
            )
    lamp = Block((x1, x1 + 0.08), (-1.2, 1.2), (0.5, 0.65), STEEL, 0.3)
    bumper = Block((x1 - 0.2, x1 - 0.1), (-1.1, 1.1), (0.4, 0.52), STEEL, 0.9)
    return [*shapes, lamp, bumper]


def _plate(
    corner: tuple[float, float],
    size: tuple[float, float],
    y_m: tuple[float, float],
    material: int,
    density: float,
) -> Block:
    (x, z), (wide, high) = corner, size
    return Block((x, x + wide), y_m, (z, z + high), material, density)


def _strut(start: tuple[float, float], stop: tuple[float, float], y: float) -> Polygon:
    (ax, az), (bx, bz) = start, stop
    outline = np.array([(ax - 0.025, az), (ax + 0.025, az), (bx + 0.025, bz), (bx - 0.025, bz)])
    return Polygon((outline,), (y, y + 0.05), STEEL, 2.5)


def tractor(
    x_m: tuple[float, float], rng: np.random.Generator, tank: FuelTank | None = None
) -> list[Shape]:
    """Return a tractor that looks towards smaller x; the trailer couples at `x_m[1]` - 1.3 m.

    Args:
        x_m: extent along the vehicle.
        rng: source of all draws.
        tank: its fuel tank; drawn anew where none is given.
    """
    x0, x1 = x_m
    cab_end = x0 + float(rng.uniform(1.8, 2.5))
    top = float(rng.uniform(2.7, 3.8))
    shapes = _cab((x0, cab_end), top, rng) + _engine(x0, rng)
    for y in (-0.45, 0.38):
        shapes.append(Block((x0 + 0.3, x1), (y, y + 0.009), (0.78, 1.04), STEEL, _STEEL_DENSITY))
        shapes.append(Block((x0 + 0.3, x1), (y, y + 0.08), (0.78, 0.79), STEEL, _STEEL_DENSITY))
        shapes.append(Block((x0 + 0.3, x1), (y, y + 0.08), (1.03, 1.04), STEEL, _STEEL_DENSITY))
    shapes += wheel(x0 + 1.35, 0.5, rng, twin=False)
    axles = int(rng.integers(1, 3))
    for index in range(axles):
        shapes += wheel(x1 - 0.75 - 1.35 * index, 0.51, rng)
        hub = disc((x1 - 0.75 - 1.35 * index, 0.55), 0.2)
        shapes.append(Polygon(hub, (-0.25, 0.25), STEEL, 2.5))
    saddle = Block((x1 - 1.7, x1 - 0.7), (-0.45, 0.45), (1.06, 1.2), STEEL, 1.6)
    return [*shapes, saddle, *_tanks(tank or draw_tank(rng))]


def _cab(x_m: tuple[float, float], top: float, rng: np.random.Generator) -> list[Shape]:
    x0, x1 = x_m
    slant = float(rng.uniform(0.05, 0.5))
    hull = np.array(
        [
            (x0, 0.5),
            (x0, 1.5),
            (x0 + slant, top - 0.25),
            (x0 + slant + 0.3, top),
            (x1, top),
            (x1, 0.9),
        ]
    )
    window = _inset_window(x0 + slant, top)
    shapes: list[Shape] = []
    for y in (-1.24, 1.24):
        shapes.append(Polygon((hull, window), (y, y + 0.0025), STEEL, _STEEL_DENSITY))
        shapes.append(Polygon((hull, window), (y - 0.02, y + 0.02), ORGANIC, 0.4))
        shapes.append(Polygon((window,), (y, y + 0.005), LIGHT_METAL, 2.5))
    wall = (x1 - 0.05, x1)
    shapes.append(Block(wall, (-1.2, 1.2), (0.9, top - 0.05), STEEL, 0.12))
    shapes.append(Block((x0 + slant + 0.3, x1), (-1.2, 1.2), (top - 0.03, top), STEEL, 0.5))
    shapes.append(Block((x0 + 0.1, x1), (-1.2, 1.2), (1.1, 1.13), STEEL, 0.8))
    dash = Block((x0 + 0.2, x0 + 0.55), (-1.1, 1.1), (1.5, 1.85), ORGANIC, 0.12)
    shapes.append(dash)
    for y in (-0.8, 0.35):
        seat = x0 + 1.05
        shapes.append(Block((seat, seat + 0.5), (y, y + 0.5), (1.45, 1.6), ORGANIC, 0.25, "pillow"))
        shapes.append(Block((seat + 0.4, seat + 0.55), (y, y + 0.5), (1.6, 2.2), ORGANIC, 0.2))
        shapes.append(Block((seat, seat + 0.5), (y, y + 0.5), (1.13, 1.45), STEEL, 0.1))
    grille = Block((x0, x0 + 0.06), (-1.1, 1.1), (0.5, 1.4), STEEL, 0.3)
    return [*shapes, grille]


def _inset_window(left: float, top: float) -> Float64[np.ndarray, "n 2"]:
    low, high = 1.75, min(top - 0.35, 2.55)
    return np.array([(left + 0.15, low), (left + 0.3, high), (left + 1.1, high), (left + 1.1, low)])


def _engine(x0: float, rng: np.random.Generator) -> list[Shape]:
    left = x0 + float(rng.uniform(0.35, 0.7))
    body = Block(
        (left, left + 1.1), (-0.35, 0.35), (0.7, 1.45), STEEL, float(rng.uniform(1.5, 2.6))
    )
    box = Block((left + 1.1, left + 2.0), (-0.25, 0.25), (0.7, 1.1), LIGHT_METAL, 1.3)
    radiator = Block((left - 0.25, left - 0.15), (-0.6, 0.6), (0.7, 1.7), LIGHT_METAL, 0.5)
    shapes: list[Shape] = [body, box, radiator]
    for _ in range(int(rng.integers(8, 18))):
        x, z = float(rng.uniform(left - 0.2, left + 1.6)), float(rng.uniform(0.55, 1.5))
        size = (float(rng.uniform(0.05, 0.35)), float(rng.uniform(0.05, 0.3)))
        density = float(rng.uniform(0.5, 3.0))
        material = STEEL if rng.random() < 0.6 else LIGHT_METAL  # noqa: PLR2004
        shapes.append(_plate((x, z), size, (-0.4, 0.2), material, density))
    return shapes


def _tanks(tank: FuelTank) -> list[Shape]:
    (left, right), (low, high), near = tank.x_m, _TANK_Z_M, _TANK_Y_M
    battery = Block((left, left + 0.55), (0.65, 1.15), (0.55, 0.85), STEEL, 1.6)
    shell = np.array([(left, low), (right, low), (right, high), (left, high)])
    inner = shell + np.array([(0.008, 0.008), (-0.008, 0.008), (-0.008, -0.008), (0.008, -0.008)])
    return [
        Polygon((shell, inner), near, LIGHT_METAL, 2.7),
        Polygon((shell,), (near[0], near[0] + 0.008), LIGHT_METAL, 2.7),
        tank.fuel,
        battery,
    ]
