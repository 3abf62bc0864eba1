"""What stands on a lorry or trailer instead of a container: curtain-sided box, stakes, headboard.

Outer width 2.55 m and inner height 2.7 m follow Council Directive 96/53/EC and common trailers;
thicknesses are typical values (assumption).
"""

from __future__ import annotations

import numpy as np

from nii.simulate.container import Container
from nii.simulate.lots import steel
from nii.simulate.shapes import LIGHT_METAL, ORGANIC, PAPER, STEEL, Block, Shape

VAN_WIDTH_M = 2.55
VAN_HEIGHT_M = 2.85


def van(body: Container, rng: np.random.Generator) -> list[Shape]:
    """Return a curtain-sided or boarded body: floor, headboard, posts, slats, roof, rear doors."""
    (x0, x1), (z0, z1), half = body.x_m, body.z_m, body.width_m / 2
    shapes: list[Shape] = [Block((x0, x1), (-half, half), (z0, z0 + 0.027), PAPER, 0.7)]
    shapes.append(Block((x0, x0 + 0.04), (-half, half), (z0, z1 - 0.1), LIGHT_METAL, 0.25))
    door = (x1 - 0.035, x1)
    shapes.append(Block(door, (-half, half), (z0, z1 - 0.1), LIGHT_METAL, 0.2))
    shapes += [
        Block((x1, x1 + 0.03), (y, y + 0.03), (z0 - 0.05, z1 - 0.1), STEEL, 7.85, "upright", 0.004)
        for y in (-0.9, -0.1, 0.1, 0.9)
    ]
    slats = np.linspace(z0 + 0.3, z1 - 0.6, int(rng.integers(2, 5))).tolist()
    posts = np.linspace(x0, x1 - 0.1, int(rng.integers(4, 6))).tolist()
    for y in (-half, half - 0.04):
        shapes.append(Block((x0, x1), (y, y + 0.001), (z0, z1), ORGANIC, 1.2))
        shapes.append(Block((x0, x1), (y, y + 0.04), (z0 - 0.1, z0), LIGHT_METAL, 1.3))
        shapes.append(Block((x0, x1), (y, y + 0.04), (z1 - 0.18, z1 - 0.02), LIGHT_METAL, 0.8))
        shapes += [Block((x0, x1), (y, y + 0.025), (z, z + 0.1), LIGHT_METAL, 0.6) for z in slats]
        shapes += [steel((x, x + 0.1), (y, y + 0.05), (z0, z1 - 0.05), 1.0) for x in posts]
    shapes += [
        Block((x, x + 0.04), (-half, half), (z1 - 0.05, z1 - 0.02), LIGHT_METAL, 0.3)
        for x in np.arange(x0 + 0.6, x1 - 0.3, 0.65).tolist()
    ]
    shapes.append(Block((x0, x1), (-half, half), (z1 - 0.003, z1 - 0.002), ORGANIC, 1.2))
    return shapes


def flat(body: Container, rng: np.random.Generator) -> list[Shape]:
    """Return what an open deck has: headboard, some stakes, low side boards."""
    (x0, x1), z0, half = body.x_m, body.z_m[0], body.width_m / 2
    shapes: list[Shape] = [Block((x0, x0 + 0.05), (-half, half), (z0, z0 + 1.5), LIGHT_METAL, 0.3)]
    if rng.random() < 0.6:  # noqa: PLR2004
        for x in np.linspace(x0 + 0.8, x1 - 0.5, int(rng.integers(4, 8))).tolist():
            shapes += [steel((x, x + 0.08), (y, y + 0.08), (z0, z0 + 1.9), 1.0)
                       for y in (-half, half - 0.08)]  # fmt: skip
    if rng.random() < 0.4:  # noqa: PLR2004
        shapes += [Block((x0, x1), (y, y + 0.025), (z0, z0 + 0.5), LIGHT_METAL, 0.7)
                   for y in (-half, half - 0.025)]  # fmt: skip
    return shapes
