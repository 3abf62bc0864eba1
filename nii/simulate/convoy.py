"""Railway wagons in a scan: which kinds are coupled and what they carry."""

from __future__ import annotations

import numpy as np

from nii.simulate import container, railcars
from nii.simulate.container import HEIGHT_M, HIGH_CUBE_M, LENGTHS_M, Body, Container
from nii.simulate.loads import Hide, Hollow, Loaded, LoadShares, Plan, Vehicle, load
from nii.simulate.railcars import Wagon
from nii.simulate.shapes import Shape

_GAUGES_MM = (1520, 1435)
_CONTAINER_WAGONS = 0.4
"""Share of wagons that carry containers; assumption."""


def on_rails(shares: LoadShares, rng: np.random.Generator, hollow: Hollow | None = None) -> Plan:
    """Draw one or several coupled wagons of one gauge with their loads."""
    gauge = int(rng.choice(_GAUGES_MM, p=[0.7, 0.3]))
    count = int(rng.integers(shares.coupled[0], shares.coupled[1] + 1))
    shapes: list[Shape] = []
    loads: list[Loaded] = []
    vehicles: list[Vehicle] = []
    hides: list[Hide] = []
    x = 0.0
    for _ in range(count):
        wagon = _kind(gauge, rng)
        shapes += railcars.build(wagon, x, rng)
        for body in _bodies(wagon, x, rng):
            hollow_here = hollow if body.body in ("dry", "wagon") else None
            loads.append(load(body, shares, rng, hollow_here))
            hollow = None if hollow_here else hollow
            if loads[-1].is_container:
                shapes += container.build(body, rng)
        end = x + wagon.couplers_m
        tops = [one.container.z_m[1] for one in loads if one.container.x_m[0] >= x]
        vehicles.append(Vehicle(wagon.kind, (x, end), (0.0, max([*tops, wagon.top_m]))))
        hides.append(Hide("chassis_beam", *railcars.sill(wagon, x)))
        x = end
    for one in loads:
        shapes += [*one.cargo, *one.lashing]
    shapes += railcars.rails((-6.0, x + 6.0), gauge)
    top = max(vehicle.z_m[1] for vehicle in vehicles)
    deck = min([one.container.z_m[0] for one in loads], default=1.2)
    return Plan(
        tuple(shapes), tuple(loads), (0.0, x), (0.0, top), None, deck, tuple(vehicles), tuple(hides)
    )


def _kind(gauge: int, rng: np.random.Generator) -> Wagon:
    kinds = [wagon for wagon in railcars.wagons().values() if wagon.gauge_mm == gauge]
    flats = [wagon for wagon in kinds if wagon.family == "flat"]
    others = [wagon for wagon in kinds if wagon.family != "flat"]
    pool = flats if rng.random() < _CONTAINER_WAGONS else others
    return pool[int(rng.integers(len(pool)))]


def _bodies(wagon: Wagon, x0: float, rng: np.random.Generator) -> list[Container]:
    own = railcars.hold(wagon, x0)
    if own is not None:
        return [own]
    left = x0 + (wagon.couplers_m - wagon.body_m) / 2
    groups: list[tuple[str, ...]] = [("40",), ("20", "20")]
    if wagon.body_m > 18:  # noqa: PLR2004
        groups = [("40", "20"), ("20", "40"), ("20", "20", "20"), ("45",), ("40",)]
    group = groups[int(rng.integers(len(groups)))]
    need = sum(LENGTHS_M[size] for size in group) + 0.08 * (len(group) - 1)
    x = left + (wagon.body_m - need) / 2
    boxes: list[Container] = []
    for size in group:
        tank = size == "20" and rng.random() < 0.2  # noqa: PLR2004
        body: Body = "tank" if tank else "reefer" if rng.random() < 0.1 else "dry"  # noqa: PLR2004
        tall = size == "45" or (size == "40" and rng.random() < 0.6)  # noqa: PLR2004
        height = HIGH_CUBE_M if tall else HEIGHT_M
        z_m = (wagon.floor_m, wagon.floor_m + height)
        doors_right = bool(rng.random() < 0.5)  # noqa: PLR2004
        boxes.append(Container((x, x + LENGTHS_M[size]), z_m, body, doors_right))
        x += LENGTHS_M[size] + 0.08
    return boxes
