"""Large things that are hidden in a load: an undeclared vehicle, a person.

Sizes and masses are in the docstrings; those without a source are assumptions.
"""

from __future__ import annotations

import numpy as np

from nii.simulate.cargo_vehicles import car, motorcycle
from nii.simulate.hidden import Outline, Threat, centred, rectangle, weighing
from nii.simulate.shapes import LIGHT_METAL, LIQUID, Polygon, disc


def hidden_vehicle(rng: np.random.Generator) -> Threat:
    """Make a passenger car of 1.1-1.7 t or a motorcycle of 100-200 kg."""
    if rng.random() < 0.7:  # noqa: PLR2004
        return centred(Threat("hidden_vehicle", "car", tuple(car(rng)), rests=True, large=True))
    return centred(
        Threat("hidden_vehicle", "motorcycle", tuple(motorcycle(0.0, rng)), rests=True, large=True)
    )


def person(rng: np.random.Generator) -> Threat:
    """Make a person of 50-95 kg, 1.5-1.9 m tall, that stands, sits or lies; flesh as water."""
    tall, mass = float(rng.uniform(1.5, 1.9)), float(rng.uniform(50, 95))
    kind = ("standing", "sitting", "lying")[int(rng.integers(3))]
    parts = _sitting() if kind == "sitting" else _standing()
    if kind == "lying":
        parts = [
            Polygon(tuple(o[:, ::-1] for o in p.outlines_m), p.y_m, p.material, p.density_g_per_cm3)
            for p in parts
        ]
    scaled = tuple(
        Polygon(tuple(o * tall for o in p.outlines_m), p.y_m, p.material, p.density_g_per_cm3)
        for p in parts
    )
    return centred(weighing(Threat("person", kind, scaled, rests=True, large=True), mass))


def _standing() -> list[Polygon]:
    """Return a body of height 1, seen from its side."""
    torso = np.array([(-0.06, 0.5), (-0.075, 0.62), (-0.065, 0.8), (-0.03, 0.84), (0.03, 0.84),
                      (0.065, 0.76), (0.075, 0.6), (0.06, 0.5)])  # fmt: skip
    return [
        *_head((0.01, 0.93)),
        *_flesh(torso, 0.17),
        *_limb((0.0, 0.52), (0.0, 0.27), 0.05, 0.09),
        *_limb((0.0, 0.27), (-0.01, 0.03), 0.035, 0.07),
        *_flesh(rectangle(-0.04, 0.0, 0.1, 0.035), 0.06),
        *_limb((0.0, 0.8), (0.02, 0.5), 0.025, 0.2),
        Polygon((rectangle(-0.05, 0.5, -0.035, 0.84),), (-0.02, 0.02), LIGHT_METAL, 0.5),
    ]


def _sitting() -> list[Polygon]:
    torso = np.array([(-0.07, 0.0), (-0.08, 0.15), (-0.06, 0.32), (-0.02, 0.35), (0.03, 0.34),
                      (0.07, 0.2), (0.07, 0.0)])  # fmt: skip
    return [
        *_head((0.02, 0.44)),
        *_flesh(torso, 0.17),
        *_limb((0.0, 0.05), (0.24, 0.2), 0.05, 0.09),
        *_limb((0.24, 0.2), (0.3, 0.02), 0.035, 0.07),
        *_flesh(rectangle(0.26, 0.0, 0.38, 0.035), 0.06),
        *_limb((0.0, 0.3), (0.18, 0.2), 0.025, 0.2),
        Polygon((rectangle(-0.06, 0.02, -0.045, 0.34),), (-0.02, 0.02), LIGHT_METAL, 0.5),
    ]


def _head(centre: tuple[float, float]) -> list[Polygon]:
    ball, skull = disc(centre, 0.06), disc(centre, 0.06, 0.053)
    x, z = centre
    neck = rectangle(x - 0.03, z - 0.1, x + 0.03, z - 0.04)
    return [
        Polygon(ball, (-0.07, 0.07), LIQUID, 1.0, 3),
        Polygon(skull, (-0.07, 0.07), LIGHT_METAL, 0.6),
        Polygon((neck,), (-0.05, 0.05), LIQUID, 1.0),
    ]


def _flesh(outline: Outline, half: float) -> list[Polygon]:
    return [Polygon((outline,), (-half, half), LIQUID, 1.0, 3)]


def _limb(
    start: tuple[float, float], stop: tuple[float, float], half: float, deep: float
) -> list[Polygon]:
    """Return a limb with its bone; `deep` is half the extent across, both sides together."""
    a, b = np.array(start), np.array(stop)
    side = np.array([-(b - a)[1], (b - a)[0]]) / float(np.hypot(*(b - a)))
    flesh = np.stack(
        [a + side * half, b + side * half * 0.8, b - side * half * 0.8, a - side * half]
    )
    bone = np.stack([a + side * 0.01, b + side * 0.01, b - side * 0.01, a - side * 0.01])
    return [
        Polygon((flesh,), (-deep, deep), LIQUID, 0.8),
        Polygon((bone,), (-0.03, 0.03), LIGHT_METAL, 0.8),
    ]
