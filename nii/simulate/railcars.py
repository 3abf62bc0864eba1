"""Railway wagons: covered, open, hopper, tank and container wagons on bogies, as solid shapes.

The table is ``railcars.csv`` beside this module. Wheel diameters and wheelbases are those of the
common three-piece bogie on 1520 mm (0.95 m, 1.85 m) and of the Y25 on 1435 mm (0.92 m, 1.80 m);
plate thicknesses and the place of parts are typical values (assumption).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from itertools import pairwise

import numpy as np

from nii.simulate.container import Body, Container
from nii.simulate.lots import Span, steel
from nii.simulate.shapes import PAPER, STEEL, Block, Polygon, Shape, disc

_STEEL_G_PER_CM3 = 7.85
_COUPLING_M = 1.05
_RAIL_M = 0.18


@dataclass(frozen=True, slots=True)
class Wagon:
    """Describe one kind of wagon: a row of ``railcars.csv``.

    Attributes:
        kind: identifier, its part before the underscore is the family.
        gauge_mm: 1520 or 1435.
        couplers_m: length over couplers or buffers.
        body_m: length of the body or the loading deck.
        width_m: width of the body.
        floor_m: height of the floor, or of the lowest point of a tank, above the rails.
        top_m: height of the top above the rails.
        pivots_m: distance of the bogie pivots.
    """

    kind: str
    gauge_mm: int
    couplers_m: float
    body_m: float
    width_m: float
    floor_m: float
    top_m: float
    pivots_m: float

    @property
    def family(self) -> str:
        """Return ``box``, ``gondola``, ``hopper``, ``tank`` or ``flat``."""
        return self.kind.split("_")[0].rstrip("0123456789")


@cache
def wagons() -> dict[str, Wagon]:
    """Return all kinds of wagons by name, in the order of the table."""
    text = files("nii.simulate").joinpath("railcars.csv").read_text("utf-8")
    numbers = ("couplers_m", "body_m", "width_m", "floor_m", "top_m", "pivots_m")
    return {
        row["kind"]: Wagon(
            row["kind"], int(row["gauge_mm"]), **{key: float(row[key]) for key in numbers}
        )
        for row in csv.DictReader(text.splitlines())
    }


_BODIES: dict[str, Body] = {
    "box": "wagon",
    "gondola": "gondola",
    "hopper": "hopper",
    "tank": "vessel",
}


def hold(wagon: Wagon, x0_m: float) -> Container | None:
    """Return what the wagon carries its load in; None for a container wagon.

    Args:
        wagon: the kind.
        x0_m: left end over couplers.
    """
    if wagon.family == "flat":
        return None
    left = x0_m + (wagon.couplers_m - wagon.body_m) / 2
    return Container(
        (left, left + wagon.body_m),
        (wagon.floor_m, wagon.top_m),
        _BODIES[wagon.family],
        doors_right=True,
        width_m=wagon.width_m,
    )


def sill(wagon: Wagon, x0_m: float) -> tuple[Span, Span, Span]:
    """Return x, y and z of the hollow centre sill between the bogies."""
    middle = x0_m + wagon.couplers_m / 2
    half = wagon.pivots_m / 2 - 1.5
    top = wagon.floor_m - 0.03
    return (middle - half, middle + half), (-0.16, 0.16), (top - 0.3, top)


def build(wagon: Wagon, x0_m: float, rng: np.random.Generator) -> list[Shape]:
    """Return the shapes of an empty wagon whose left coupler ends at `x0_m`; rails at z = 0."""
    middle = x0_m + wagon.couplers_m / 2
    shapes = _underframe(wagon, x0_m, rng)
    for pivot in (middle - wagon.pivots_m / 2, middle + wagon.pivots_m / 2):
        shapes += bogie(pivot, wagon.gauge_mm, wagon.floor_m, rng)
    shapes += _couplers(wagon, x0_m)
    body = hold(wagon, x0_m)
    makers = {"wagon": _covered, "gondola": _open, "hopper": _hopper, "vessel": _tank}
    return shapes + (makers[body.body](body, rng) if body else _spigots(wagon, x0_m))


def rails(x_m: Span, gauge_mm: int) -> list[Shape]:
    """Return two rails of 60-65 kg/m with their heads at z = 0."""
    half = gauge_mm / 2000
    shapes: list[Shape] = []
    for side in (-half - 0.036, half + 0.036):
        shapes += [
            steel(x_m, (side - 0.036, side + 0.036), (-0.045, 0.0)),
            steel(x_m, (side - 0.009, side + 0.009), (-_RAIL_M + 0.02, -0.045)),
            steel(x_m, (side - 0.075, side + 0.075), (-_RAIL_M, -_RAIL_M + 0.02)),
        ]
    return shapes


def bogie(pivot_m: float, gauge_mm: int, floor_m: float, rng: np.random.Generator) -> list[Shape]:
    """Return a two-axle bogie: wheels, axles, boxes, side frames, springs and bolster."""
    broad = gauge_mm == 1520  # noqa: PLR2004
    base, radius = (1.85, 0.475) if broad else (1.80, 0.46)
    radius -= float(rng.uniform(0, 0.03))
    half = gauge_mm / 2000
    shapes: list[Shape] = []
    for x in (pivot_m - base / 2, pivot_m + base / 2):
        shapes += _wheelset((x, radius), half)
    arch = np.array([(-1.15, 0.08), (-1.05, 0.2), (-0.5, 0.2), (-0.35, 0.3), (0.35, 0.3),
                     (0.5, 0.2), (1.05, 0.2), (1.15, 0.08), (0.75, 0.04), (0.3, -0.22),
                     (-0.3, -0.22), (-0.75, 0.04)])  # fmt: skip
    window = np.array([(-0.28, 0.2), (0.28, 0.2), (0.28, -0.12), (-0.28, -0.12)])
    for y in (-half - 0.33, half + 0.21):
        frame = tuple(o + np.array([pivot_m, radius]) for o in (arch, window))
        shapes.append(Polygon(frame, (y, y + 0.12), STEEL, 6.5))
        for left in (-0.22, -0.06, 0.1):
            spring = (pivot_m + left, pivot_m + left + 0.12)
            low = (radius - 0.12, radius + 0.12)
            shapes.append(steel(spring, (y - 0.05, y + 0.17), low, 3.2))
    top = min(floor_m - 0.3, radius + 0.42)
    bolster = (pivot_m - 0.2, pivot_m + 0.2)
    shapes.append(steel(bolster, (-half - 0.3, half + 0.3), (radius + 0.12, top), 3.6))
    shapes.append(
        steel((pivot_m - 0.15, pivot_m + 0.15), (-0.15, 0.15), (top, floor_m - 0.25), 5.0)
    )
    rigging = (radius - 0.02, radius + 0.04)
    shapes.append(steel((pivot_m - 0.8, pivot_m + 0.8), (-0.03, 0.03), rigging, 5.0))
    return shapes


def _wheelset(centre: tuple[float, float], half: float) -> list[Shape]:
    radius = centre[1]
    shapes: list[Shape] = [Polygon(disc(centre, 0.08), (-half - 0.3, half + 0.3), STEEL, 7.85, 3)]
    for side in (-1, 1):
        tread = (half, half + 0.13) if side > 0 else (-half - 0.13, -half)
        flange = (half - 0.033, half) if side > 0 else (-half, -half + 0.033)
        box = (half + 0.2, half + 0.38) if side > 0 else (-half - 0.38, -half - 0.2)
        web = (tread[0] + 0.055, tread[0] + 0.08)
        shapes += [
            Polygon(disc(centre, radius, radius - 0.065), tread, STEEL, _STEEL_G_PER_CM3),
            Polygon(disc(centre, radius, radius - 0.04), flange, STEEL, _STEEL_G_PER_CM3),
            Polygon(disc(centre, radius - 0.06, 0.12), web, STEEL, _STEEL_G_PER_CM3),
            Polygon(disc(centre, 0.13, 0.08), tread, STEEL, _STEEL_G_PER_CM3),
            Polygon(disc(centre, 0.15), box, STEEL, 4.0),
        ]
    return shapes


def _underframe(wagon: Wagon, x0_m: float, rng: np.random.Generator) -> list[Shape]:
    left = x0_m + (wagon.couplers_m - wagon.body_m) / 2
    span, top = (left, left + wagon.body_m), wagon.floor_m - 0.03
    if wagon.family == "tank":
        top = 1.05
    shapes: list[Shape] = []
    for y in (-0.175, 0.167):
        shapes.append(steel(span, (y, y + 0.02), (top - 0.31, top)))
        shapes += [
            steel(span, (y - 0.1, y + 0.1), (z, z + 0.025)) for z in (top - 0.31, top - 0.025)
        ]
    half = wagon.width_m / 2
    shapes += [steel(span, (y, y + 0.08), (top - 0.2, top), 3.5) for y in (-half, half - 0.08)]
    shapes += [
        steel((x, x + 0.1), (-half, half), (top - 0.2, top - 0.02), 2.0)
        for x in np.linspace(span[0] + 0.05, span[1] - 0.15, int(wagon.body_m / 1.6)).tolist()
    ]
    middle = x0_m + wagon.couplers_m / 2
    cylinder = middle + float(rng.uniform(-1.2, 0.4))
    brake = Block(
        (cylinder, cylinder + 0.6), (-0.6, -0.25), (0.65, 1.0), STEEL, 7.85, "lying", 0.01
    )
    vessel = Block((cylinder + 1.0, cylinder + 1.8), (0.3, 0.6), (0.65, 0.95), STEEL, 7.85,
                   "lying", 0.006)  # fmt: skip
    rod = steel((middle - 3, middle + 3), (-0.2, -0.17), (0.75, 0.78))
    pipe = steel((x0_m + 0.2, x0_m + wagon.couplers_m - 0.2), (0.4, 0.43), (0.9, 0.93), 4.0)
    return [*shapes, brake, vessel, rod, pipe]


def _couplers(wagon: Wagon, x0_m: float) -> list[Shape]:
    left = x0_m + (wagon.couplers_m - wagon.body_m) / 2
    right = left + wagon.body_m
    end = x0_m + wagon.couplers_m
    height = (_COUPLING_M - 0.16, _COUPLING_M + 0.16)
    if wagon.gauge_mm == 1520:  # noqa: PLR2004
        return [
            *(
                steel(x, (-0.12, 0.12), height, 5.0)
                for x in ((x0_m, x0_m + 0.35), (end - 0.35, end))
            ),
            *(
                steel(x, (-0.07, 0.07), (_COUPLING_M - 0.09, _COUPLING_M + 0.09), 5.0)
                for x in ((x0_m + 0.3, left + 0.6), (right - 0.6, end - 0.3))
            ),
        ]
    shapes: list[Shape] = []
    for y in (-0.87, 0.87):
        for plate, shank in (
            ((x0_m, x0_m + 0.04), (x0_m, left)),
            ((end - 0.04, end), (right, end)),
        ):
            shapes.append(
                steel(plate, (y - 0.22, y + 0.22), (_COUPLING_M - 0.17, _COUPLING_M + 0.17))
            )
            shapes.append(Block(shank, (y - 0.1, y + 0.1), (_COUPLING_M - 0.1, _COUPLING_M + 0.1),
                                STEEL, 4.0, "lying"))  # fmt: skip
    hook = (_COUPLING_M - 0.05, _COUPLING_M + 0.05)
    return shapes + [
        steel(x, (-0.04, 0.04), hook) for x in ((x0_m + 0.1, left), (right, end - 0.1))
    ]


def _covered(body: Container, rng: np.random.Generator) -> list[Shape]:
    (x0, x1), (z0, z1), half = body.x_m, body.z_m, body.width_m / 2
    eaves, middle = z1 - 0.45, (x0 + x1) / 2
    shapes: list[Shape] = [Block((x0, x1), (-half, half), (z0 - 0.03, z0), PAPER, 0.7)]
    for y in (-half, half - 0.003):
        shapes.append(Block((x0, x1), (y, y + 0.0025), (z0, eaves), STEEL, 7.85, ripple_m=0.15))
        lining = y + 0.02 if y < 0 else y - 0.02
        shapes.append(
            Block((x0 + 0.05, x1 - 0.05), (lining, lining + 0.01), (z0, eaves), PAPER, 0.65)
        )
        shapes += [
            steel((x, x + 0.1), (y, y + 0.06), (z0, eaves), 2.0)
            for x in np.linspace(x0, x1 - 0.1, int(rng.integers(8, 11))).tolist()
        ]
        shapes += [
            steel((x, x + 0.05), (y, y + 0.05), (z0, z0 + 2.3), 3.0)
            for x in (middle - 1.9, middle, middle + 1.85)
        ]
        shapes.append(
            steel((middle - 3.8, middle + 3.8), (y, y + 0.05), (z0 + 2.3, z0 + 2.36), 2.5)
        )
    for low, high in pairwise(np.linspace(0, 1, 7).tolist()):
        arc = half * float(np.sqrt(1 - ((low + high) / 2) ** 2))
        ring = (eaves + 0.45 * low, eaves + 0.45 * high)
        shapes += [steel((x0, x1), (y, y + 0.006), ring, 5.0) for y in (-arc, arc - 0.006)]
    shapes.append(steel((x0, x1), (-half * 0.4, half * 0.4), (z1 - 0.004, z1)))
    shapes += [steel((x, x + 0.06), (-half, half), (z0, z1 - 0.2), 0.28) for x in (x0, x1 - 0.06)]
    return shapes


def _open(body: Container, rng: np.random.Generator) -> list[Shape]:
    (x0, x1), (z0, z1), half = body.x_m, body.z_m, body.width_m / 2
    shapes: list[Shape] = [steel((x0, x1), (-half, half), (z0 - 0.006, z0))]
    posts = int(rng.integers(7, 9))
    for y, rib in ((-half + 0.06, -half), (half - 0.065, half - 0.06)):
        shapes.append(steel((x0, x1), (y, y + 0.005), (z0, z1)))
        shapes.append(steel((x0, x1), (rib, rib + 0.06), (z1 - 0.1, z1), 2.2))
        shapes.append(steel((x0, x1), (rib, rib + 0.04), (z0 + 0.9, z0 + 1.0), 1.6))
        shapes += [
            steel((x, x + 0.14), (rib, rib + 0.06), (z0 - 0.15, z1), 1.4)
            for x in np.linspace(x0, x1 - 0.14, posts).tolist()
        ]
    shapes += [steel((x, x + 0.08), (-half, half), (z0, z1), 0.5) for x in (x0, x1 - 0.08)]
    shapes += [
        steel((x, x + 1.2), (-half + 0.1, -0.25), (z0 - 0.08, z0 - 0.02), 0.5)
        for x in np.linspace(x0 + 0.4, x1 - 1.3, 7).tolist()
    ]
    return shapes


def _hopper(body: Container, rng: np.random.Generator) -> list[Shape]:
    (x0, x1), (z0, z1), half = body.x_m, body.z_m, body.width_m / 2
    shapes: list[Shape] = []
    for y in (-half, half - 0.003):
        shapes.append(steel((x0 + 0.1, x1 - 0.1), (y, y + 0.003), (z0 + 0.3, z1 - 0.2)))
        shapes += [
            steel((x, x + 0.08), (y, y + 0.07), (z0 + 0.1, z1 - 0.2), 1.0)
            for x in np.linspace(x0 + 0.1, x1 - 0.2, int(rng.integers(9, 12))).tolist()
        ]
    slope = 1.1
    for foot, head in ((x0 + 1.6, x0 + 0.1), (x1 - 1.6, x1 - 0.1)):
        thick = 0.012 if foot < head else -0.012
        sheet = np.array([(foot, z0 - 0.1), (foot + thick, z0 - 0.1),
                          (head + thick, z0 + 1.5 * slope), (head, z0 + 1.5 * slope)])  # fmt: skip
        shapes.append(Polygon((sheet,), (-half, half), STEEL, 3.0))
    for x in np.linspace(x0 + 2.6, x1 - 2.6, 3).tolist():
        for side in (-1, 1):
            ridge, low = (x, z0 + 0.75), (x + 0.9 * side, z0 - 0.35)
            wide = 0.012 * side
            sheet = np.array([ridge, (ridge[0] + wide, ridge[1]), (low[0] + wide, low[1]), low])
            shapes.append(Polygon((sheet,), (-half * 0.9, half * 0.9), STEEL, 3.0))
    roof = (z1 - 0.2, z1 - 0.195)
    shapes.append(steel((x0 + 0.1, x1 - 0.1), (-half, half), roof))
    shapes += [
        steel((x, x + 0.7), (-0.35, 0.35), (z1 - 0.2, z1), 0.25)
        for x in np.linspace(x0 + 1.5, x1 - 2.2, 4).tolist()
    ]
    shapes += [
        steel((x, x + 0.05), (-half, half), (z0 + 1.5, z1 - 0.2), 0.4)
        for x in (x0 + 0.05, x1 - 0.1)
    ]
    return shapes


def poured(body: Container, bulk: Iterable[Shape]) -> list[Shape]:
    """Return bulk goods with the sloping ends of a hopper instead of upright ones.

    The slopes are those that the wagon's sheets have; what would lie below them is left out.
    """
    (x0, x1), z0 = body.x_m, body.z_m[0]
    rise = (1.65 + 0.1) / 1.5
    shapes: list[Shape] = []
    for shape in bulk:
        if not isinstance(shape, Polygon):
            shapes.append(shape)
            continue
        x, top = shape.outlines_m[0][:-2].T
        along = np.linspace(x0 + 0.12, x1 - 0.12, 80)
        level = np.interp(along, x, top)
        edge = np.minimum(along - x0, x1 - along)
        floor = np.maximum(z0 - 0.1, z0 - 0.1 + (1.6 - edge) * rise)
        for middle in np.linspace(x0 + 2.6, x1 - 2.6, 3).tolist():
            floor = np.maximum(floor, z0 + 0.75 - np.abs(along - middle) * 1.1 / 0.9)
        under = np.stack([along, np.minimum(floor, level - 0.002)], 1)[::-1]
        outline = np.concatenate([np.stack([along, level], 1), under])
        shapes.append(replace(shape, outlines_m=(outline,)))
    return shapes


def _tank(body: Container, rng: np.random.Generator) -> list[Shape]:
    (x0, x1), (z0, z1) = body.x_m, body.z_m
    radius = (z1 - z0 - 0.3) / 2
    across, high = (-radius, radius), (z0, z0 + 2 * radius)
    middle, wall = (x0 + x1) / 2, float(rng.uniform(0.008, 0.011))
    shell = (x0 + 0.4, x1 - 0.4)
    shapes: list[Shape] = [Block(shell, across, high, STEEL, 7.85, "lying", wall)]
    for step, (a, b) in enumerate(pairwise(np.linspace(0, 0.35, 5).tolist())):
        inner = radius * float(np.sqrt(1 - ((step + 0.5) / 4.3) ** 2))
        ring = (z0 + radius - inner, z0 + radius + inner)
        shapes += [
            Block(ends, (-inner, inner), ring, STEEL, 7.85, "lying", 0.03)
            for ends in ((shell[1] + a, shell[1] + b), (shell[0] - b, shell[0] - a))
        ]
    dome = (z0 + 2 * radius - 0.02, z0 + 2 * radius + 0.28)
    shapes.append(
        Block((middle - 0.35, middle + 0.35), (-0.35, 0.35), dome, STEEL, 7.85, "upright", 0.012)
    )
    for x in (middle - 3.6, middle, middle + 3.6):
        saddle = (x - 0.25, x + 0.25)
        if shell[0] < saddle[0] and saddle[1] < shell[1]:
            shapes.append(steel(saddle, (-radius * 0.6, radius * 0.6), (1.0, z0 + 0.2), 0.6))
    ladder = np.linspace(1.2, dome[0], 9).tolist()
    for y in (-1.45, 1.4):
        shapes += [
            steel((middle - 0.2, middle + 0.2), (y, y + 0.03), (z, z + 0.03), 5.0) for z in ladder
        ]
        shapes += [steel((middle + at, middle + at + 0.03), (y, y + 0.03), (1.1, dome[1]), 5.0)
                   for at in (-0.22, 0.2)]  # fmt: skip
    shapes.append(
        steel((middle - 1.3, middle + 1.3), (-0.45, 0.45), (dome[0], dome[0] + 0.02), 1.5)
    )
    return shapes


def _spigots(wagon: Wagon, x0_m: float) -> list[Shape]:
    left = x0_m + (wagon.couplers_m - wagon.body_m) / 2
    shapes: list[Shape] = []
    for x in np.linspace(left + 0.2, left + wagon.body_m - 0.3, 6).tolist():
        shapes += [
            steel((x, x + 0.12), (y, y + 0.12), (wagon.floor_m - 0.12, wagon.floor_m), 2.0)
            for y in (-1.2, 1.08)
        ]
    return shapes
