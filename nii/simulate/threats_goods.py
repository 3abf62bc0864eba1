"""Goods that are smuggled: narcotics, cigarettes, currency, gold and shielding.

Sizes and masses are in the docstrings; those without a source are assumptions.
"""

from __future__ import annotations

import numpy as np

from nii.simulate.hidden import Threat, centred, rectangle
from nii.simulate.shapes import HEAVY, ORGANIC, PAPER, STEEL, Polygon

_STEEL_DENSITY = 7.85
_STACKINGS = ("single", "row", "pile", "pyramid", "layer", "bag")
_STACKING_SHARES = (0.3, 0.25, 0.2, 0.08, 0.07, 0.1)


def brick(rng: np.random.Generator) -> Threat:
    """Make packages of 20 x 13 x 4 cm and about 1 kg (1.0-1.8 g/cm3) in one of five stackings."""
    density = float(rng.uniform(1.0, 1.8))
    kind = _STACKINGS[int(rng.choice(len(_STACKINGS), p=_STACKING_SHARES))]
    if kind == "bag":
        return _bag_of_bricks(density, rng)
    faces = ((0.2, 0.04, 0.13), (0.13, 0.04, 0.2), (0.2, 0.13, 0.04), (0.04, 0.2, 0.13))
    wide, high, deep = faces[int(rng.integers(len(faces)))]
    counts = _columns(kind, rng)
    half = deep * (1 if kind == "single" else int(rng.integers(1, 5))) / 2
    parts = []
    for column, count in enumerate(counts):
        for row in range(count):
            gap = float(rng.uniform(0.001, 0.006))
            x, z = column * (wide + 0.006) + gap, row * (high + 0.002)
            outline = rectangle(x, z, x + wide - 0.001, z + high - 0.001)
            parts.append(Polygon((outline,), (-half, half), PAPER, density))
    return centred(Threat("brick", kind, tuple(parts), rests=kind != "single"))


def _columns(kind: str, rng: np.random.Generator) -> list[int]:
    """Return how many bricks stand on each other in every column."""
    if kind == "single":
        return [1]
    wide = int(rng.integers(2, 7))
    if kind == "row":
        return [1] * wide
    if kind == "layer":
        return [int(rng.integers(1, 3))] * int(rng.integers(6, 16))
    high = int(rng.integers(2, 7))
    if kind == "pile":
        return [high] * wide
    return [max(high - abs(column - wide // 2), 1) for column in range(wide)]


def _bag_of_bricks(density: float, rng: np.random.Generator) -> Threat:
    """Return 4-20 bricks jumbled in a bag of cloth."""
    count = int(rng.integers(4, 21))
    wide = float(np.sqrt(count * 0.2 * 0.07 * 1.5))
    parts: list[Polygon] = []
    rows = max(int(count * 0.075 / wide) + 1, 1)
    for index in range(count):
        column, row = divmod(index, rows)
        flat = rectangle(-0.1, -0.02, 0.1, 0.02)
        angle = float(rng.normal(0, 0.25))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        at = np.array([0.1 + column * wide * rows / count, 0.06 + row * 0.07])
        y = float(rng.uniform(-0.1, 0.0))
        parts.append(Polygon((flat @ turn.T + at,), (y, y + 0.13), PAPER, density))
    points = np.concatenate([part.outlines_m[0] for part in parts])
    (x0, z0), (x1, z1) = points.min(0) - 0.01, points.max(0) + 0.01
    corner = 0.25 * (z1 - z0)
    cloth = np.array(
        [(x0 + corner, z0), (x1 - corner, z0), (x1, z0 + corner), (x1 - corner, z1),
         (x0 + corner, z1), (x0, z0 + corner)]
    )  # fmt: skip
    parts.append(Polygon((cloth,), (-0.12, 0.14), ORGANIC, 0.02))
    return centred(Threat("brick", "bag", tuple(parts), rests=True))


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
            outline = rectangle(x, z, x + wide, z + high)
            parts.append(Polygon((outline,), (-half, half), PAPER, density))
            seams = 9 if kind == "cartons" else 6
            parts += _seams(x, z, (wide, high), half, seams)
    return centred(Threat("cigarettes", kind, tuple(parts), rests=True))


def _seams(x: float, z: float, size: tuple[float, float], half: float, count: int) -> list[Polygon]:
    """Return the cardboard between packs or cartons, as thin upright lines."""
    wide, high = size
    marks = x + wide * np.arange(1, count + 1) / (count + 1)
    return [
        Polygon((rectangle(float(m), z, float(m) + 0.002, z + high),), (-half, half), PAPER, 0.15)
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
                rectangle(
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
    return centred(Threat("dense_object", "gold_bars", parts, rests=True))


def _shielded(
    kind: str, material: int, density: float, wall: float, rng: np.random.Generator
) -> Threat:
    wide, high, deep = (float(v) for v in rng.uniform([0.12, 0.1, 0.1], [0.45, 0.4, 0.4]))
    outer = rectangle(0.0, 0.0, wide, high)
    inner = rectangle(wall, wall, wide - wall, high - wall)
    half, thick = deep / 2, float(wall)
    parts = (
        Polygon((outer, inner), (-half, half), material, density),
        Polygon((outer,), (-half - thick, -half), material, density),
        Polygon((outer,), (half, half + thick), material, density),
        Polygon((inner,), (-half, half), PAPER, float(rng.uniform(0.0, 1.2))),
    )
    return centred(Threat("dense_object", kind, parts, rests=True))


def currency(rng: np.random.Generator) -> Threat:
    """Make bundles of banknotes, 0.8-1.0 g/cm3: 15.6 x 6.6 x 1.1 cm for a hundred, 1-150 kg."""
    density = float(rng.uniform(0.8, 1.0))
    wide, high, deep = 0.156, 0.055, 0.066
    columns, rows, across = (int(rng.integers(1, n)) for n in (5, 8, 6))
    half = deep * across / 2
    parts: list[Polygon] = []
    for column in range(columns):
        for row in range(rows):
            x, z = column * (wide + 0.004), row * (high + 0.002)
            notes = rectangle(x, z, x + wide, z + high)
            band = rectangle(x + 0.07, z, x + 0.09, z + high)
            parts.append(Polygon((notes,), (-half, half), PAPER, density))
            parts.append(Polygon((band,), (-half, half), PAPER, 0.05))
    whole = tuple(parts)
    if rng.random() < 0.4:  # noqa: PLR2004
        x1, z1 = columns * (wide + 0.004), rows * (high + 0.002)
        case = (rectangle(-0.02, -0.004, x1 + 0.02, z1 + 0.02),
                rectangle(-0.015, 0.0, x1 + 0.015, z1 + 0.015))  # fmt: skip
        return centred(
            Threat(
                "currency", "case", (*whole, Polygon(case, (-half, half), ORGANIC, 1.1)), rests=True
            )
        )
    return centred(Threat("currency", "bundles", whole, rests=True))
