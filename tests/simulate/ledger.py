"""Weigh everything that the tables can make, in a Python without type checks; prints JSON.

The tests run this file once as a program: with every array checked it would take minutes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

import numpy as np

from nii.simulate import container, railcars, superstructure
from nii.simulate.cargo import CARGO
from nii.simulate.container import Container, Room
from nii.simulate.conveyance import MODIFICATIONS
from nii.simulate.geometry import PARALLEL_M, Geometry
from nii.simulate.layout import make_plan
from nii.simulate.loads import Hollow, LoadShares, boxes_of
from nii.simulate.shapes import Shape, mass_kg, project
from nii.simulate.threats import THREATS

ROOM = Room((1.0, 6.9), (-1.17, 1.17), (1.4, 3.7))
_PLAIN = LoadShares(empty=0.5, on_ground=0.0, rail=0.0, no_container=0.0, other_lorry=0.0)


def entry(shapes: Iterable[Shape], pixel_m: float) -> dict[str, object]:
    """Return what shapes weigh, what their parallel view weighs, and their extent."""
    listed = list(shapes)
    box = boxes_of(listed)
    x0, z0, x1, z1 = box[:, 0].min(), box[:, 4].min(), box[:, 1].max(), box[:, 5].max()
    wide, high = (int((b - a) / pixel_m) + 5 for a, b in ((x0, x1), (z0, z1)))
    corner = (float(x0) - 1.7 * pixel_m, float(z1) + 1.3 * pixel_m)
    sag = np.zeros(wide, np.float32)
    view = Geometry(
        height_px=high,
        width_px=wide,
        pitch_m=(pixel_m, pixel_m),
        left_m=corner[0],
        top_m=corner[1],
        source_distance_m=PARALLEL_M,
        source_height_m=float(z0),
        skew=0.0,
        mirrored=False,
        sag_px=sag,
    )
    plane = project(listed, view, np.random.default_rng(0))
    return {
        "said_kg": sum(mass_kg(shape) for shape in listed),
        "seen_kg": float(plane.sum(dtype=np.float64)) * (100 * pixel_m) ** 2 / 1000,
        "box_m": [*box[:, ::2].min(0).tolist(), *box[:, 1::2].max(0).tolist()],
    }


def structures() -> dict[str, dict[str, object]]:
    """Return containers, bodies of lorries and wagons."""
    rng = np.random.default_rng(0)
    made: dict[str, list[Shape]] = {}
    for size, high in (("20", 2.591), ("40", 2.591), ("40", 2.896), ("45", 2.896)):
        box = Container((0.0, container.LENGTHS_M[size]), (1.2, 1.2 + high), "dry", True)  # noqa: FBT003
        made[f"dry_{size}_{high}"] = container.build(box, rng)
    for body in ("reefer", "tank"):
        box = Container((0.0, 6.058), (1.2, 3.791), body, True)  # noqa: FBT003
        made[body] = container.build(box, rng)
    lorry = Container((0.0, 13.6), (1.2, 4.05), "van", True, 2.55)  # noqa: FBT003
    made["van"], made["flat"] = superstructure.van(lorry, rng), superstructure.flat(lorry, rng)
    for kind, wagon in railcars.wagons().items():
        made[kind] = railcars.build(wagon, 0.0, rng)
    return {name: entry(shapes, 0.02) for name, shapes in made.items()}


def modifications() -> dict[str, dict[str, object]]:
    """Return the first place that every change of a vehicle finds."""
    made: dict[str, dict[str, object]] = {}
    for kind, maker in MODIFICATIONS.items():
        hollow: Hollow | None = None
        if kind == "false_wall":
            hollow = "false_wall"
        elif kind == "false_floor":
            hollow = "false_floor"
        for seed in range(40):
            rng = np.random.default_rng(seed)
            placed = maker(make_plan(_PLAIN, rng, hollow), rng)
            if placed:
                made[kind] = entry(placed.threat.parts, 0.005)
                break
    return made


def main() -> None:
    """Print the ledger of everything."""
    threats = {
        name: [entry(maker(np.random.default_rng(s)).parts, 0.004) for s in range(3)]
        for name, maker in THREATS.items()
    }
    cargo = {
        kind: entry(fill(ROOM, np.random.default_rng(3)), 0.03) for kind, fill in CARGO.items()
    }
    ledger = {
        "cargo": cargo,
        "threats": threats,
        "structures": structures(),
        "modifications": modifications(),
    }
    sys.stdout.write(json.dumps(ledger))


if __name__ == "__main__":
    main()
