"""Weapons: firearms whole and in parts, ammunition, explosives.

Sizes and masses are in the docstrings; those without a source are assumptions.
"""

from __future__ import annotations

import numpy as np

from nii.simulate.hidden import Threat, centred, rectangle, slanted, weighing
from nii.simulate.shapes import HEAVY, ORGANIC, PAPER, STEEL, Polygon

_STEEL_DENSITY = 7.85


def firearm(rng: np.random.Generator) -> Threat:
    """Make a pistol (0.7-1.0 kg, about 20 cm), a rifle (3.2-3.9 kg, 90 cm), whole or in parts."""
    draw = float(rng.random())
    if draw < 0.6:  # noqa: PLR2004
        return _pistol(rng)
    return _rifle(rng) if draw < 0.85 else _rifle_parts(rng)  # noqa: PLR2004


def _pistol(rng: np.random.Generator) -> Threat:
    length, high = float(rng.uniform(0.17, 0.22)), float(rng.uniform(0.024, 0.034))
    rake, drop = float(rng.uniform(0.1, 0.35)), float(rng.uniform(0.09, 0.12))
    grip_width = float(rng.uniform(0.038, 0.05))
    slide = rectangle(0.0, 0.0, length, high)
    barrel = rectangle(-0.005, high * 0.35, length * 0.6, high * 0.75)
    frame = rectangle(length * 0.25, -0.018, length * 0.95, 0.002)
    grip = slanted(length - grip_width, -drop, grip_width, drop, rake)
    magazine = slanted(length - grip_width + 0.008, -drop * 0.95, grip_width - 0.016, drop, rake)
    guard = rectangle(length * 0.42, -0.045, length - grip_width * 0.9, 0.0)
    inside = rectangle(length * 0.42 + 0.005, -0.04, length - grip_width * 0.9, -0.014)
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
    return centred(weighing(Threat("firearm", "pistol", parts), float(rng.uniform(0.7, 1.0))))


def _rifle(rng: np.random.Generator) -> Threat:
    length = float(rng.uniform(0.82, 1.0))
    receiver = rectangle(0.42 * length, -0.035, 0.68 * length, 0.03)
    barrel = rectangle(0.0, 0.0, 0.45 * length, 0.018)
    gas_tube = rectangle(0.12 * length, 0.02, 0.42 * length, 0.032)
    guard = rectangle(0.22 * length, -0.02, 0.42 * length, 0.03)
    stock = np.array(
        [(0.68 * length, 0.02), (length, 0.0), (length, -0.12), (0.68 * length, -0.03)], np.float64
    )
    grip = slanted(0.62 * length, -0.13, 0.035, 0.1, 0.3)
    bend = np.linspace(0, 1, 8)
    front = np.stack([0.46 * length - 0.05 * bend**2, -0.03 - 0.2 * bend], 1)
    magazine = np.concatenate([front, front[::-1] + np.array([0.055, 0.0])])
    sight = rectangle(0.03 * length, 0.018, 0.045 * length, 0.055)
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
    return centred(weighing(Threat("firearm", "rifle", parts), float(rng.uniform(3.2, 3.9))))


def _rifle_parts(rng: np.random.Generator) -> Threat:
    """Return receiver, barrel and magazine of a rifle side by side, without stock: 2.0-2.9 kg."""
    barrel = rectangle(0.0, 0.0, float(rng.uniform(0.36, 0.45)), 0.018)
    receiver = rectangle(0.02, -0.08, float(rng.uniform(0.24, 0.28)), -0.018)
    bolt = rectangle(0.05, -0.055, 0.17, -0.032)
    bend = np.linspace(0, 1, 8)
    front = np.stack([0.3 + 0.16 * bend, -0.07 + 0.05 * bend**2], 1)
    magazine = np.concatenate([front, front[::-1] + np.array([0.01, 0.05])])
    parts = (
        Polygon((barrel,), (-0.009, 0.009), STEEL, 6.5),
        Polygon((receiver,), (-0.016, 0.016), STEEL, 2.6),
        Polygon((bolt,), (-0.01, 0.01), STEEL, 5.0),
        Polygon((magazine,), (-0.012, 0.012), STEEL, 1.8),
    )
    return centred(weighing(Threat("firearm", "rifle_parts", parts), float(rng.uniform(2.0, 2.9))))


def ammunition(rng: np.random.Generator) -> Threat:
    """Make steel cans of 28 x 18 x 15 cm with 9-16 kg of cartridges, or cartons of 0.5-0.7 kg."""
    if rng.random() < 0.5:  # noqa: PLR2004
        return _cans(rng)
    wide, high, deep = 0.155, 0.06, 0.08
    columns, rows, across = (int(rng.integers(1, n)) for n in (5, 6, 5))
    parts: list[Polygon] = []
    for column in range(columns):
        for row in range(rows):
            x, z = column * (wide + 0.004), row * (high + 0.002)
            parts += _cartridges((x, z), (wide, high), deep * across / 2, 10)
    whole = Threat("ammunition", "cartons", tuple(parts), rests=True)
    each = float(rng.uniform(0.5, 0.7))
    return centred(weighing(whole, each * columns * rows * across))


def _cans(rng: np.random.Generator) -> Threat:
    columns, rows = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    parts: list[Polygon] = []
    for column in range(columns):
        for row in range(rows):
            x, z = column * 0.29, row * 0.185
            outer, inner = (
                rectangle(x, z, x + 0.28, z + 0.18),
                rectangle(x + 0.001, z + 0.001, x + 0.279, z + 0.179),
            )
            parts.append(Polygon((outer, inner), (-0.075, 0.075), STEEL, _STEEL_DENSITY))
            for layer in range(3):
                low = (x + 0.005, z + 0.005 + 0.055 * layer)
                parts += _cartridges(low, (0.27, 0.052), 0.07, 18)
    whole = Threat("ammunition", "cans", tuple(parts), rests=True)
    return centred(weighing(whole, float(rng.uniform(9, 16)) * columns * rows))


def _cartridges(
    corner: tuple[float, float], size: tuple[float, float], half: float, count: int
) -> list[Polygon]:
    """Return rows of standing cartridges: cases of brass, bullets with lead cores on top."""
    (x, z), (wide, high) = corner, size
    step = wide / count
    parts: list[Polygon] = []
    for index in range(count):
        left = x + index * step
        case = rectangle(left, z, left + step * 0.8, z + high * 0.65)
        tip = np.array([(left, z + high * 0.65), (left + step * 0.8, z + high * 0.65),
                        (left + step * 0.45, z + high * 0.95)])  # fmt: skip
        parts.append(Polygon((case,), (-half, half), STEEL, 2.2))
        parts.append(Polygon((tip,), (-half, half), HEAVY, 5.0))
    return parts


def explosive(rng: np.random.Generator) -> Threat:
    """Make blocks of 0.38-0.43 kg (1.5-1.7 g/cm3) up to 180 of them, sticks, or 1-4 shells.

    A shell of 76-100 mm weighs 6-20 kg; sticks are 20 cm long, 3-8 of them.
    """
    choice = int(rng.integers(3))
    if choice == 0:
        return _shells(rng)
    if choice == 1:
        radius, count = float(rng.uniform(0.015, 0.02)), int(rng.integers(3, 9))
        parts = [
            Polygon((rectangle(0.0, k * 2.1 * radius, 0.2, (k * 2.1 + 2) * radius),),
                    (-radius, radius), PAPER, float(rng.uniform(1.1, 1.3)))
            for k in range(count)
        ]  # fmt: skip
        wire = rectangle(-0.06, 0.0, 0.0, 0.003)
        parts.append(Polygon((wire,), (-0.002, 0.002), STEEL, 6.0))
        return centred(Threat("explosive", "sticks", tuple(parts), rests=True))
    wide, high, deep = 0.1, 0.05, 0.05 * int(rng.integers(1, 7))
    columns, rows = int(rng.integers(1, 7)), int(rng.integers(1, 6))
    density = float(rng.uniform(1.5, 1.7))
    blocks = tuple(
        Polygon((rectangle(c * 0.102, r * 0.052, c * 0.102 + wide, r * 0.052 + high),),
                (-deep / 2, deep / 2), PAPER, density)
        for c in range(columns)
        for r in range(rows)
    )  # fmt: skip
    return centred(Threat("explosive", "blocks", blocks, rests=True))


def _shells(rng: np.random.Generator) -> Threat:
    """Return one to four shells of 82 mm or so: steel body, filling, fuse."""
    calibre, count = float(rng.uniform(0.076, 0.1)), int(rng.integers(1, 5))
    length = 4.2 * calibre
    nose = np.linspace(0, 1, 9)
    parts: list[Polygon] = []
    for index in range(count):
        z = (index + 0.5) * calibre * 1.05
        for scale, (material, density) in ((1.0, (STEEL, 5.0)), (0.7, (PAPER, 1.6))):
            half = calibre / 2 * scale
            curve = np.stack([length * (0.55 + 0.45 * scale * nose), half * (1 - nose**2)], 1)
            low = curve[::-1] * [1, -1]
            base = length * (1 - scale) * 0.3
            outline = np.concatenate([[(base, -half), (base, half)], curve, low]) + np.array([0, z])
            parts.append(Polygon((outline,), (-half * 0.8, half * 0.8), material, density))
    mass = float(rng.uniform(6, 9)) if calibre < 0.088 else float(rng.uniform(10, 20))  # noqa: PLR2004
    return centred(weighing(Threat("explosive", "shells", tuple(parts), rests=True), mass * count))
