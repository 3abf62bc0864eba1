"""ISO freight containers: dry boxes, reefers and tanks, as solid shapes.

Dimensions follow ISO 668 (outside) and the corrugation of common side walls (278 mm period, 36 mm
depth); plate thicknesses are typical values (assumption).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64

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
    mirror,
)

Body = Literal["dry", "reefer", "tank", "van", "flat", "wagon", "gondola", "hopper", "vessel"]
"""The first three are ISO containers; the others are bodies of lorries and railway wagons."""
ISO_BODIES: tuple[Body, ...] = ("dry", "reefer", "tank")
VESSELS: tuple[Body, ...] = ("tank", "vessel")

WIDTH_M = 2.438
LENGTHS_M: dict[str, float] = {"20": 6.058, "40": 12.192, "45": 13.716}
HEIGHT_M = 2.591
HIGH_CUBE_M = 2.896
_STEEL_DENSITY = 7.85
_FOAM_DENSITY = 0.04
_PLYWOOD_DENSITY = 0.7
_ALUMINIUM_DENSITY = 2.7
_VENTILATOR_M = 0.0011
"""Thinnest plate that is a repair; what would be thinner, three in ten, is a ventilator instead."""


@dataclass(frozen=True, slots=True)
class Container:
    """Say what stands where: a container, or another body that holds a load.

    Attributes:
        x_m: outer extent along the vehicle.
        z_m: outer extent in height.
        body: kind of container.
        doors_right: whether the doors are at the larger x.
        width_m: outer width.
    """

    x_m: tuple[float, float]
    z_m: tuple[float, float]
    body: Body
    doors_right: bool
    width_m: float = WIDTH_M

    @property
    def y_m(self) -> tuple[float, float]:
        """Return the outer extent across the vehicle."""
        return (-self.width_m / 2, self.width_m / 2)


@dataclass(frozen=True, slots=True)
class Room:
    """The clear space inside a container where cargo may stand, in metres."""

    x_m: tuple[float, float]
    y_m: tuple[float, float]
    z_m: tuple[float, float]

    @property
    def length_m(self) -> float:
        """Return the clear length."""
        return self.x_m[1] - self.x_m[0]

    @property
    def height_m(self) -> float:
        """Return the clear height."""
        return self.z_m[1] - self.z_m[0]


def room(container: Container) -> Room:
    """Return the clear space inside a container."""
    (x0, x1), (z0, z1) = container.x_m, container.z_m
    if container.body == "reefer":
        machinery, doors = 0.5, 0.1
        left, right = (machinery, doors) if container.doors_right else (doors, machinery)
        return Room((x0 + left, x1 - right), (-1.14, 1.14), (z0 + 0.26, z1 - 0.2))
    if container.body == "tank":
        radius = min((z1 - z0) / 2 - 0.21, WIDTH_M / 2 - 0.1)
        middle = (z0 + z1) / 2 + 0.05
        return Room((x0 + 0.45, x1 - 0.45), (-radius, radius), (middle - radius, middle + radius))
    if container.body == "dry":
        return Room((x0 + 0.08, x1 - 0.08), (-1.17, 1.17), (z0 + 0.17, z1 - 0.08))
    return _other_room(container)


def _other_room(container: Container) -> Room:
    """Return the clear space of a body of a lorry or wagon."""
    (x0, x1), (z0, z1), half = container.x_m, container.z_m, container.width_m / 2
    if container.body == "vessel":
        radius = (z1 - z0 - 0.3) / 2 - 0.012
        return Room((x0 + 0.4, x1 - 0.4), (-radius, radius), (z0 + 0.012, z0 + 2 * radius))
    if container.body == "wagon":
        return Room((x0 + 0.1, x1 - 0.1), (-half + 0.07, half - 0.07), (z0, z1 - 0.5))
    if container.body == "hopper":
        return Room((x0 + 1.2, x1 - 1.2), (-half + 0.1, half - 0.1), (z0 + 0.3, z1 - 0.25))
    inset = 0.1 if container.body == "gondola" else 0.05
    low = z0 + (0.03 if container.body == "van" else 0.0)
    return Room((x0 + inset, x1 - inset), (-half + inset, half - inset), (low, z1 - 0.08))


def build(container: Container, rng: np.random.Generator) -> list[Shape]:
    """Return the shapes of an empty ISO container.

    Raises:
        ValueError: it is another body.
    """
    builders = {"dry": _dry, "reefer": _reefer, "tank": _tank}
    if container.body not in builders:
        msg = f"{container.body} is no ISO container"
        raise ValueError(msg)
    shapes = _frame(container, rng) + builders[container.body](container, rng)
    if container.doors_right:
        return shapes
    return mirror(shapes, (container.x_m[0] + container.x_m[1]) / 2)


def _steel(
    x_m: tuple[float, float],
    y_m: tuple[float, float],
    z_m: tuple[float, float],
    share: float = 1.0,
    ripple_m: float = 0.0,
) -> Block:
    return Block(x_m, y_m, z_m, STEEL, _STEEL_DENSITY * share, ripple_m=ripple_m)


def _frame(container: Container, rng: np.random.Generator) -> list[Shape]:
    (x0, x1), (z0, z1), half = container.x_m, container.z_m, WIDTH_M / 2
    shapes: list[Shape] = []
    post = float(rng.uniform(0.1, 0.22))
    for inner, outer in ((-half, -half + 0.16), (half - 0.16, half)):
        for left in (x0, x1 - 0.178):
            shapes.extend(
                _steel((left, left + 0.178), (inner, outer), (low, low + 0.118), 0.45)
                for low in (z0, z1 - 0.118)
            )
        shapes.extend(
            _steel((left, left + 0.11), (inner, outer), (z0, z1), post) for left in (x0, x1 - 0.11)
        )
        rail = 0.17 if container.body != "tank" else 0.1
        shapes.append(_steel((x0, x1), (inner, inner + 0.012), (z0 + 0.02, z0 + rail)))
        shapes.append(_steel((x0, x1), (inner, inner + 0.01), (z1 - 0.07, z1 - 0.01)))
    shapes.extend(
        _steel((left, left + 0.06), (-half, half), (low, low + 0.08), 0.12)
        for left in (x0, x1 - 0.06)
        for low in (z0 + 0.04, z1 - 0.1)
    )
    return shapes


def _floor(container: Container, rng: np.random.Generator) -> list[Shape]:
    (x0, x1), z0 = container.x_m, container.z_m[0]
    shapes: list[Shape] = [
        Block(
            (x0 + 0.05, x1 - 0.05), (-1.17, 1.17), (z0 + 0.14, z0 + 0.168), PAPER, _PLYWOOD_DENSITY
        )
    ]
    spacing, web = float(rng.uniform(0.27, 0.36)), float(rng.uniform(0.004, 0.006))
    tunnel = x0 + (3.3 if x1 - x0 > 10 and rng.random() < 0.8 else 0.0)  # noqa: PLR2004
    for x in np.arange(x0 + 0.15, x1 - 0.1, spacing):
        left = float(x)
        sides = [(-1.2, -0.5), (0.5, 1.2)] if left < tunnel else [(-1.2, 1.2)]
        for side in sides:
            shapes.append(_steel((left, left + web), side, (z0 + 0.02, z0 + 0.14)))
            shapes.append(_steel((left, left + 0.045), side, (z0 + 0.02, z0 + 0.0245)))
    if tunnel > x0:
        shapes.append(_steel((x0 + 0.1, tunnel), (-0.55, 0.55), (z0 + 0.12, z0 + 0.124)))
    elif x1 - x0 < 7 and rng.random() < 0.7:  # noqa: PLR2004
        middle = (x0 + x1) / 2
        shapes.extend(
            _steel((middle + at, middle + at + 0.36), (-1.2, 1.2), (z0 + 0.02, z0 + 0.13), 0.03)
            for at in (-1.2, 0.84)
        )
    return shapes


def _dry(container: Container, rng: np.random.Generator) -> list[Shape]:
    (x0, x1), (z0, z1), half = container.x_m, container.z_m, WIDTH_M / 2
    sheet = float(rng.uniform(0.0016, 0.0021))
    shapes = _floor(container, rng)
    for y in (-half + 0.02, half - 0.02):
        shapes.append(
            _steel((x0 + 0.1, x1 - 0.1), (y, y + sheet), (z0 + 0.16, z1 - 0.06), 1.0, 0.278)
        )
    roof = (z1 - 0.03, z1 - 0.028)
    shapes.append(_steel((x0 + 0.05, x1 - 0.05), (-half + 0.02, half - 0.02), roof, 1.0, 0.209))
    inside = (-half + 0.1, half - 0.1)
    shapes.append(_steel((x0 + 0.02, x0 + 0.065), inside, (z0 + 0.15, z1 - 0.1), 0.05))
    shapes += _doors(container, rng) + _rings(container, rng) + _patches(container, rng)
    return shapes


def _doors(container: Container, rng: np.random.Generator) -> list[Shape]:
    x1, (z0, z1), half = container.x_m[1], container.z_m, WIDTH_M / 2
    shapes: list[Shape] = [
        _steel((x1 - 0.07, x1 - 0.03), (-half + 0.08, half - 0.08), (z0 + 0.12, z1 - 0.1), 0.065)
    ]
    for y in (-0.95, -0.35, 0.35, 0.95):
        bar = (x1 - 0.036, x1 - 0.002)
        shapes.append(
            Block(
                bar, (y - 0.017, y + 0.017), (z0 + 0.04, z1 - 0.04), STEEL, 7.85, "upright", 0.004
            )
        )
        lock = z0 + float(rng.uniform(0.9, 1.2))
        shapes.append(_steel((x1 - 0.045, x1), (y - 0.05, y + 0.25), (lock, lock + 0.04), 0.4))
    for z in np.linspace(z0 + 0.3, z1 - 0.3, int(rng.integers(4, 6))):
        hinge = (float(z) - 0.06, float(z) + 0.06)
        shapes.append(_steel((x1 - 0.08, x1), (-half, -half + 0.05), hinge, 0.7))
        shapes.append(_steel((x1 - 0.08, x1), (half - 0.05, half), hinge, 0.7))
    return shapes


def _rings(container: Container, rng: np.random.Generator) -> list[Shape]:
    if rng.random() < 0.4:  # noqa: PLR2004
        return []
    (x0, x1), (z0, z1) = container.x_m, container.z_m
    spacing = float(rng.uniform(0.9, 1.5))
    return [
        Polygon(disc((float(x), z), 0.035, 0.024), (y, y + 0.012), STEEL, _STEEL_DENSITY)
        for x in np.arange(x0 + 0.4, x1 - 0.2, spacing)
        for y, z in ((-1.17, z1 - 0.1), (1.15, z1 - 0.1), (-1.17, z0 + 0.2), (1.15, z0 + 0.2))
    ]


def _patches(container: Container, rng: np.random.Generator) -> list[Shape]:
    """Return repair plates, markings and ventilators, welded or glued to the walls."""
    (x0, x1), (z0, z1) = container.x_m, container.z_m
    shapes: list[Shape] = []
    for _ in range(int(rng.integers(0, 4))):
        left, low = float(rng.uniform(x0 + 0.3, x1 - 1)), float(rng.uniform(z0 + 0.3, z1 - 0.8))
        size = rng.uniform(0.1, 0.7, 2)
        side = float(rng.choice([-1.2, 1.2]))
        thick = float(rng.uniform(0.0005, 0.0025))
        if thick < _VENTILATOR_M:
            shapes += _ventilator((left, low), size * (0.3, 0.2) + (0.15, 0.12), side)
            continue
        shapes.append(
            _steel((left, left + float(size[0])), (side, side + thick), (low, low + float(size[1])))
        )
    return shapes


def _ventilator(
    corner_m: tuple[float, float], size_m: Float64[np.ndarray, " 2"], y_m: float
) -> list[Shape]:
    """Return a ventilator: a flat hood on the wall, open below, that shows by its edges."""
    (x, z), (wide, high) = corner_m, size_m.tolist()
    deep, edge = (min(y_m, 0.97 * y_m), max(y_m, 0.97 * y_m)), 0.022
    sides = [
        ((x, x + edge), (z, z + high)),
        ((x + wide - edge, x + wide), (z, z + high)),
        ((x, x + wide), (z + high - edge, z + high)),
    ]
    hood = _steel((x, x + wide), (y_m, y_m + 0.001), (z, z + high), 0.5)
    return [hood, *(_steel(along, deep, up, 0.2) for along, up in sides)]


def _reefer(container: Container, rng: np.random.Generator) -> list[Shape]:
    (x0, x1), (z0, z1), half = container.x_m, container.z_m, WIDTH_M / 2
    shapes: list[Shape] = []
    for y in (-half, half - 0.075):
        inside = (z0 + 0.1, z1 - 0.02)
        shapes.append(Block((x0 + 0.4, x1), (y, y + 0.075), inside, ORGANIC, _FOAM_DENSITY))
        shapes.append(_steel((x0 + 0.4, x1), (y, y + 0.0016), inside))
    hull = (-half, half)
    shapes.append(Block((x0 + 0.4, x1), hull, (z1 - 0.1, z1), ORGANIC, _FOAM_DENSITY))
    shapes.append(_steel((x0 + 0.4, x1), hull, (z1 - 0.1, z1 - 0.0985)))
    shapes.append(_steel((x0 + 0.4, x1), hull, (z1 - 0.0015, z1)))
    shapes.append(Block((x0 + 0.4, x1), hull, (z0 + 0.1, z0 + 0.2), ORGANIC, 0.06))
    floor = (z0 + 0.2, z0 + 0.26)
    shapes.append(Block((x0 + 0.45, x1 - 0.05), (-1.14, 1.14), floor, LIGHT_METAL, 0.45))
    shapes.append(_steel((x0 + 0.4, x1), hull, (z0 + 0.1, z0 + 0.103)))
    for x in np.arange(x0 + 0.7, x1 - 0.1, float(rng.uniform(0.35, 0.6))):
        beam = (float(x), float(x) + 0.005)
        shapes.append(_steel(beam, (-1.2, 1.2), (z0 + 0.01, z0 + 0.1)))
    shapes += _reefer_joints(container, rng) + _machinery(container, rng)
    door = Block((x1 - 0.09, x1 - 0.01), (-1.15, 1.15), (z0 + 0.1, z1 - 0.1), ORGANIC, 0.06)
    return [*shapes, door, *_doors(container, rng)]


def _reefer_joints(container: Container, rng: np.random.Generator) -> list[Shape]:
    (x0, x1), (z0, z1) = container.x_m, container.z_m
    shapes: list[Shape] = []
    step = float(rng.uniform(0.45, 1.2))
    for y in (-1.2, 1.18):
        for x in np.arange(x0 + 0.7, x1 - 0.1, step):
            left = float(x + rng.uniform(-0.04, 0.04))
            wide, deep = float(rng.uniform(0.01, 0.06)), float(rng.uniform(0.0008, 0.004))
            shapes.append(_steel((left, left + wide), (y, y + deep), (z0 + 0.1, z1 - 0.05)))
    for z in rng.uniform(z0 + 0.3, z1 - 0.3, int(rng.integers(0, 3))):
        low = float(z)
        shapes.append(_steel((x0 + 0.4, x1), (-1.19, -1.188), (low, low + 0.03)))
    return shapes


def _machinery(container: Container, rng: np.random.Generator) -> list[Shape]:
    x0, (z0, z1) = container.x_m[0], container.z_m
    shapes: list[Shape] = [
        _steel((x0, x0 + 0.42), (-1.15, 1.15), (z0 + 0.1, z1 - 0.05), 0.006),
        Block((x0 + 0.38, x0 + 0.45), (-1.15, 1.15), (z0 + 0.1, z1 - 0.05), LIGHT_METAL, 0.09),
    ]
    for _ in range(int(rng.integers(14, 30))):
        z, x = float(rng.uniform(z0 + 0.15, z1 - 0.3)), float(rng.uniform(x0, x0 + 0.25))
        wide, high = float(rng.uniform(0.05, 0.16)), float(rng.uniform(0.05, 0.35))
        deep, y = float(rng.uniform(0.1, 0.8)), float(rng.uniform(-1, 0.4))
        share = float(rng.uniform(0.05, 0.35))
        shapes.append(_steel((x, x + wide), (y, y + deep), (z, min(z + high, z1 - 0.05)), share))
    low = z0 + 0.35
    motor = Polygon(disc((x0 + 0.2, low), 0.13), (-0.5, 0.1), STEEL, 3.0)
    coil = Block((x0 + 0.1, x0 + 0.3), (-1.0, 1.0), (z1 - 1.1, z1 - 0.5), LIGHT_METAL, 0.5)
    return [*shapes, motor, coil]


def _tank(container: Container, rng: np.random.Generator) -> list[Shape]:
    (x0, x1), (z0, z1), half = container.x_m, container.z_m, WIDTH_M / 2
    radius = (z1 - z0) / 2 - float(rng.uniform(0.12, 0.2))
    radius = min(radius, half - 0.06)
    middle = (z0 + z1) / 2 + 0.05
    body = (x0 + 0.45, x1 - 0.45)
    circle_y, circle_z = (-radius, radius), (middle - radius, middle + radius)
    shapes: list[Shape] = [
        Block(body, circle_y, circle_z, STEEL, _STEEL_DENSITY, "lying", 0.006),
        Block(body, circle_y, circle_z, ORGANIC, 0.06, "lying", 0.05),
    ]
    for end in body:
        for step in range(3):
            inset = radius * (1 - 0.1 * (step + 1))
            side = -1 if end == body[0] else 1
            ring = sorted((end + side * 0.1 * step, end + side * 0.1 * (step + 1)))
            shell = (middle - inset, middle + inset)
            across = (-inset, inset)
            shapes.append(
                Block((ring[0], ring[1]), across, shell, STEEL, _STEEL_DENSITY, "lying", 0.012)
            )
    for x in np.linspace(body[0], body[1], int(rng.integers(3, 6))):
        ring_x = (float(x) - 0.03, float(x) + 0.03)
        shapes.append(Block(ring_x, circle_y, circle_z, STEEL, _STEEL_DENSITY, "lying", 0.02))
    hatch = (x0 + x1) / 2 + float(rng.uniform(-1, 1))
    top = min(middle + radius + 0.12, z1)
    shapes.append(_steel((hatch - 0.25, hatch + 0.25), (-0.25, 0.25), (top - 0.15, top), 0.15))
    light = _STEEL_DENSITY * 0.15
    shapes.extend(
        bar((x, z0), (x + 0.05, z1), 0.08, (y, y + 0.08), STEEL, light)
        for x in (x0 + 0.03, x1 - 0.08)
        for y in (-half + 0.05, half - 0.13)
    )
    saddle = (-half + 0.05, -half + 0.13)
    shapes.append(bar((x0, z0 + 0.05), (x0 + 1.6, z0 + 0.45), 0.08, saddle, STEEL, light))
    shapes.append(bar((x1 - 1.6, z0 + 0.45), (x1, z0 + 0.05), 0.08, saddle, STEEL, light))
    return shapes + _braces(container, rng)


def _braces(container: Container, rng: np.random.Generator) -> list[Shape]:
    """Return what holds a tank in its frame: braces with plates at the corners, ladder, valve."""
    (x0, x1), (z0, z1), half = container.x_m, container.z_m, WIDTH_M / 2
    along, high = float(rng.uniform(0.35, 1.1)), float(rng.uniform(0.35, 1.0))
    thick, share = float(rng.uniform(0.04, 0.1)), float(rng.uniform(0.08, 0.25))
    upper = rng.random() < 0.7  # noqa: PLR2004
    density = _STEEL_DENSITY * share
    shapes: list[Shape] = []
    for y in (-half + 0.05, half - 0.13):
        deep = (y, y + 0.08)
        for x, inward in ((x0, 1), (x1, -1)):
            near, far = x + inward * 0.08, x + inward * along
            corners = [(z0 + 0.1, z0 + high)] + [(z1 - 0.1, z1 - high)] * upper
            for corner, middle in corners:
                shapes.append(bar((far, corner), (near, middle), thick, deep, STEEL, density))
                step = 0.22 if middle > corner else -0.22
                plate = np.array(
                    [(near, corner), (near + inward * 0.25, corner), (near, corner + step)]
                )
                shapes.append(Polygon((plate,), (y, y + 0.012), STEEL, _STEEL_DENSITY))
    if rng.random() < 0.6:  # noqa: PLR2004
        rungs = np.arange(z0 + 0.3, z1 - 0.1, 0.3).tolist()
        shapes += [_steel((x1 - 0.32, x1 - 0.02), (0.3, 0.33), (z, z + 0.025), 0.5) for z in rungs]
        shapes += [
            _steel((x, x + 0.03), (0.3, 0.33), (z0 + 0.2, z1), 0.4) for x in (x1 - 0.33, x1 - 0.03)
        ]
    valve = (x1 - 0.25, z0 + float(rng.uniform(0.3, 0.5)))
    shapes += [
        bar(valve, (valve[0] + 0.2, valve[1] - 0.06), 0.09, (-0.06, 0.06), STEEL, 3.0),
        bar(valve, (valve[0] + 0.05, valve[1] + 0.22), 0.02, (-0.01, 0.01), STEEL, 6.0),
    ]
    return shapes
