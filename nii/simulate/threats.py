"""Things an officer looks for, as shapes around the origin; x right, z up, y away from the source.

Every kind is a function ``(rng) -> Threat`` in the table `THREATS`, keyed by its taxonomy name.
Sizes and masses are in the docstrings; those without a source are assumptions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from nii.simulate.shapes import HEAVY, ORGANIC, PAPER, STEEL, Polygon

_STEEL_DENSITY = 7.85
_CM3_PER_M3 = 1e6
_GRAMS_PER_KG = 1000.0

Outline = Float64[np.ndarray, "n 2"]


@dataclass(frozen=True, slots=True)
class Threat:
    """One object to hide.

    Attributes:
        name: taxonomy class.
        kind: what it is within the class.
        parts: plates in metres around the origin.
        rests: whether it may only stand (rotation 0), or lie at any angle.
    """

    name: str
    kind: str
    parts: tuple[Polygon, ...]
    rests: bool = False

    @property
    def mass_kg(self) -> float:
        """Return the mass."""
        return sum(_mass_kg(part) for part in self.parts)

    @property
    def size_m(self) -> tuple[float, float]:
        """Return width and height."""
        points = np.concatenate([part.outlines_m[0] for part in self.parts])
        width, height = points.max(0) - points.min(0)
        return float(width), float(height)

    @property
    def lowest_m(self) -> float:
        """Return the lowest z."""
        return min(float(part.outlines_m[0][:, 1].min()) for part in self.parts)


def rotate(threat: Threat, angle: float, tilt: float) -> Threat:
    """Return the threat turned by `angle` in the picture and leant out of it by `tilt`, in radians.

    Leaning shortens the picture along x and lengthens the path by the same factor: mass is kept.
    """
    lean = np.array([np.cos(tilt), 1.0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return replace(
        threat,
        parts=tuple(
            replace(
                part,
                outlines_m=tuple((o * lean) @ turn.T for o in part.outlines_m),
                y_m=(part.y_m[0] / float(lean[0]), part.y_m[1] / float(lean[0])),
            )
            for part in threat.parts
        ),
    )


def place(threat: Threat, x: float, y: float, z: float) -> Threat:
    """Return the threat moved, in metres."""
    shift = np.array([x, z])
    return replace(
        threat,
        parts=tuple(
            replace(
                part,
                outlines_m=tuple(o + shift for o in part.outlines_m),
                y_m=(part.y_m[0] + y, part.y_m[1] + y),
            )
            for part in threat.parts
        ),
    )


def firearm(rng: np.random.Generator) -> Threat:
    """Make a pistol (0.7-1.0 kg, about 20 cm) or a rifle (3.2-3.9 kg, about 90 cm)."""
    if rng.random() < 0.6:  # noqa: PLR2004
        return _pistol(rng)
    return _rifle(rng)


def _pistol(rng: np.random.Generator) -> Threat:
    length, high = float(rng.uniform(0.17, 0.22)), float(rng.uniform(0.024, 0.034))
    rake, drop = float(rng.uniform(0.1, 0.35)), float(rng.uniform(0.09, 0.12))
    grip_width = float(rng.uniform(0.038, 0.05))
    slide = _rectangle(0.0, 0.0, length, high)
    barrel = _rectangle(-0.005, high * 0.35, length * 0.6, high * 0.75)
    frame = _rectangle(length * 0.25, -0.018, length * 0.95, 0.002)
    grip = _slanted(length - grip_width, -drop, grip_width, drop, rake)
    magazine = _slanted(length - grip_width + 0.008, -drop * 0.95, grip_width - 0.016, drop, rake)
    guard = _rectangle(length * 0.42, -0.045, length - grip_width * 0.9, 0.0)
    inside = _rectangle(length * 0.42 + 0.005, -0.04, length - grip_width * 0.9, -0.014)
    steel_grip = rng.random() < 0.5  # noqa: PLR2004
    grip_part = (STEEL, 2.5) if steel_grip else (ORGANIC, 1.2)
    parts = (
        Polygon((slide,), (-0.012, 0.012), STEEL, 4.5),
        Polygon((barrel,), (-0.006, 0.006), STEEL, 5.5),
        Polygon((frame,), (-0.010, 0.010), STEEL if steel_grip else ORGANIC, 2.5),
        Polygon((grip,), (-0.014, 0.014), *grip_part),
        Polygon((magazine,), (-0.011, 0.011), STEEL, 3.0),
        Polygon((guard, inside), (-0.005, 0.005), STEEL, 5.0),
    )
    return _centred(_weigh(Threat("firearm", "pistol", parts), float(rng.uniform(0.7, 1.0))))


def _rifle(rng: np.random.Generator) -> Threat:
    length = float(rng.uniform(0.82, 1.0))
    receiver = _rectangle(0.42 * length, -0.035, 0.68 * length, 0.03)
    barrel = _rectangle(0.0, 0.0, 0.45 * length, 0.018)
    gas_tube = _rectangle(0.12 * length, 0.02, 0.42 * length, 0.032)
    guard = _rectangle(0.22 * length, -0.02, 0.42 * length, 0.03)
    stock = np.array(
        [(0.68 * length, 0.02), (length, 0.0), (length, -0.12), (0.68 * length, -0.03)], np.float64
    )
    grip = _slanted(0.62 * length, -0.13, 0.035, 0.1, 0.3)
    bend = np.linspace(0, 1, 8)
    front = np.stack([0.46 * length - 0.05 * bend**2, -0.03 - 0.2 * bend], 1)
    magazine = np.concatenate([front, front[::-1] + np.array([0.055, 0.0])])
    sight = _rectangle(0.03 * length, 0.018, 0.045 * length, 0.055)
    wooden = rng.random() < 0.6  # noqa: PLR2004
    furniture = (PAPER, 0.7, 0.02) if wooden else (STEEL, 2.0, 0.005)
    parts = (
        Polygon((receiver,), (-0.016, 0.016), STEEL, 4.0),
        Polygon((barrel,), (-0.009, 0.009), STEEL, 6.5),
        Polygon((gas_tube,), (-0.006, 0.006), STEEL, 4.0),
        Polygon((guard,), (-0.02, 0.02), PAPER, 0.7),
        Polygon((stock,), (-furniture[2], furniture[2]), furniture[0], furniture[1]),
        Polygon((grip,), (-0.014, 0.014), PAPER, 0.9),
        Polygon((magazine,), (-0.012, 0.012), STEEL, 3.5),
        Polygon((sight,), (-0.004, 0.004), STEEL, _STEEL_DENSITY),
    )
    return _centred(_weigh(Threat("firearm", "rifle", parts), float(rng.uniform(3.2, 3.9))))


def brick(rng: np.random.Generator) -> Threat:
    """Make packages of 20 x 13 x 4 cm and about 1 kg (1.0-1.8 g/cm3), alone, in rows or piles."""
    density = float(rng.uniform(1.0, 1.8))
    faces = ((0.2, 0.04, 0.13), (0.13, 0.04, 0.2), (0.2, 0.13, 0.04), (0.04, 0.2, 0.13))
    wide, high, deep = faces[int(rng.integers(len(faces)))]
    layout = float(rng.random())
    if layout < 0.35:  # noqa: PLR2004
        columns, rows, kind = 1, 1, "single"
    elif layout < 0.65:  # noqa: PLR2004
        columns, rows, kind = int(rng.integers(2, 7)), 1, "row"
    else:
        columns, rows, kind = int(rng.integers(2, 7)), int(rng.integers(2, 7)), "pile"
    depth = 1 if kind == "single" else int(rng.integers(1, 5))
    parts = []
    for row in range(rows):
        for column in range(columns):
            gap = rng.uniform(0.001, 0.006, 2)
            x, z = column * (wide + float(gap[0])), row * (high + 0.002)
            outline = _rectangle(x, z, x + wide, z + high - 0.001)
            half = deep * depth / 2
            parts.append(Polygon((outline,), (-half, half), PAPER, density))
    return _centred(Threat("brick", kind, tuple(parts), rests=kind != "single"))


def cigarettes(rng: np.random.Generator) -> Threat:
    """Make cartons of 43 x 4.6 x 8.8 cm or master cases of 60 x 45 x 38 cm, 0.13-0.25 g/cm3."""
    density = float(rng.uniform(0.13, 0.25))
    if rng.random() < 0.4:  # noqa: PLR2004
        faces, kind, most = ((0.43, 0.088, 0.046), (0.43, 0.046, 0.088)), "cartons", 8
    else:
        faces, kind, most = ((0.60, 0.38, 0.45), (0.45, 0.38, 0.60)), "master_cases", 4
    wide, high, deep = faces[int(rng.integers(len(faces)))]
    columns, rows = int(rng.integers(1, max(most // 2, 3))), int(rng.integers(1, most))
    depth = int(rng.integers(1, 6 if kind == "cartons" else 4))
    half = deep * depth / 2
    parts = []
    for row in range(rows):
        for column in range(columns):
            x, z = column * (wide + 0.008), row * (high + 0.004)
            outline = _rectangle(x, z, x + wide, z + high)
            parts.append(Polygon((outline,), (-half, half), PAPER, density))
            seams = 9 if kind == "cartons" else 6
            parts += _seams(x, z, (wide, high), half, seams)
    return _centred(Threat("cigarettes", kind, tuple(parts), rests=True))


def _seams(x: float, z: float, size: tuple[float, float], half: float, count: int) -> list[Polygon]:
    """Return the cardboard between packs or cartons, as thin upright lines."""
    wide, high = size
    marks = x + wide * np.arange(1, count + 1) / (count + 1)
    return [
        Polygon((_rectangle(float(m), z, float(m) + 0.002, z + high),), (-half, half), PAPER, 0.15)
        for m in marks
    ]


def dense_object(rng: np.random.Generator) -> Threat:
    """Make a lead box (walls 5-20 mm), gold bars (1 kg or 12.4 kg) or a steel-shielded parcel."""
    choice = int(rng.integers(3))
    if choice == 0:
        return _shielded("lead_box", HEAVY, 11.35, rng.uniform(0.005, 0.02), rng)
    if choice == 1:
        return _shielded("shielded_parcel", STEEL, _STEEL_DENSITY, rng.uniform(0.008, 0.02), rng)
    wide, high, deep = ((0.116, 0.009, 0.052), (0.25, 0.036, 0.07))[int(rng.integers(2))]
    columns, rows = int(rng.integers(1, 5)), int(rng.integers(1, 6))
    parts = tuple(
        Polygon(
            (
                _rectangle(
                    c * (wide + 0.004), r * high, c * (wide + 0.004) + wide, (r + 0.96) * high
                ),
            ),
            (-deep / 2, deep / 2),
            HEAVY,
            19.3,
        )
        for c in range(columns)
        for r in range(rows)
    )
    return _centred(Threat("dense_object", "gold_bars", parts, rests=True))


def _shielded(
    kind: str, material: int, density: float, wall: float, rng: np.random.Generator
) -> Threat:
    wide, high, deep = (float(v) for v in rng.uniform([0.12, 0.1, 0.1], [0.45, 0.4, 0.4]))
    outer = _rectangle(0.0, 0.0, wide, high)
    inner = _rectangle(wall, wall, wide - wall, high - wall)
    half, thick = deep / 2, float(wall)
    parts = (
        Polygon((outer, inner), (-half, half), material, density),
        Polygon((outer,), (-half - thick, -half), material, density),
        Polygon((outer,), (half, half + thick), material, density),
        Polygon((inner,), (-half, half), PAPER, float(rng.uniform(0.0, 1.2))),
    )
    return _centred(Threat("dense_object", kind, parts, rests=True))


THREATS: dict[str, Callable[[np.random.Generator], Threat]] = {
    "firearm": firearm,
    "brick": brick,
    "cigarettes": cigarettes,
    "dense_object": dense_object,
}


def _rectangle(x0: float, z0: float, x1: float, z1: float) -> Outline:
    return np.array([(x0, z0), (x1, z0), (x1, z1), (x0, z1)], np.float64)


def _slanted(x: float, z: float, width: float, height: float, rake: float) -> Outline:
    lean = rake * height
    return np.array(
        [(x + lean, z), (x + width + lean, z), (x + width, z + height), (x, z + height)], np.float64
    )


def _area_m2(outline: Outline) -> float:
    x, z = outline.T
    return float(abs(np.dot(x, np.roll(z, -1)) - np.dot(z, np.roll(x, -1))) / 2)


def _mass_kg(part: Polygon) -> float:
    holes = sum(_area_m2(hole) for hole in part.outlines_m[1:])
    volume_cm3 = (_area_m2(part.outlines_m[0]) - holes) * (part.y_m[1] - part.y_m[0]) * _CM3_PER_M3
    return volume_cm3 * part.density_g_per_cm3 / _GRAMS_PER_KG


def _weigh(threat: Threat, mass_kg: float) -> Threat:
    factor = mass_kg / threat.mass_kg
    return replace(
        threat,
        parts=tuple(
            replace(part, density_g_per_cm3=part.density_g_per_cm3 * factor)
            for part in threat.parts
        ),
    )


def _centred(threat: Threat) -> Threat:
    points = np.concatenate([part.outlines_m[0] for part in threat.parts])
    middle = (points.max(0) + points.min(0)) / 2
    return place(threat, float(-middle[0]), 0.0, float(-middle[1]))
