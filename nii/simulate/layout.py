"""Which vehicle carries which containers with which load: the plan of a scene."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nii.annotations.coco import LoadState
from nii.simulate import cargo, container, vehicles
from nii.simulate.container import HEIGHT_M, HIGH_CUBE_M, LENGTHS_M, Body, Container, Room
from nii.simulate.shapes import Shape

_SINGLE_SHARES: dict[tuple[str, Body], float] = {
    ("40", "dry"): 0.44,
    ("20", "dry"): 0.24,
    ("45", "dry"): 0.05,
    ("40", "reefer"): 0.16,
    ("20", "reefer"): 0.03,
    ("20", "tank"): 0.08,
}
_TRACTOR_M = (5.6, 6.6)
_COUPLING_M = 1.8


@dataclass(frozen=True, slots=True)
class LoadShares:
    """How often a container carries what; the rest is full."""

    empty: float = 0.45
    """Share of empty containers."""
    partial: float = 0.2
    """Share of partly filled containers."""
    no_container: float = 0.03
    """Share of vehicles without a container."""
    two_containers: float = 0.18
    """Share of vehicles with two containers."""
    on_ground: float = 0.06
    """Share of containers that stand on the ground without a vehicle."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """One container and what is in it."""

    container: Container
    state: LoadState
    room: Room
    cargo: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that stands in the beam.

    Attributes:
        shapes: vehicle, containers and cargo.
        loads: the containers.
        vehicle_x_m: extent of the conveyance along x.
        vehicle_z_m: its extent in height.
        cab_x_m: extent of the tractor's cab; None without one.
        deck_m: height on which the containers stand.
    """

    shapes: tuple[Shape, ...]
    loads: tuple[Loaded, ...]
    vehicle_x_m: tuple[float, float]
    vehicle_z_m: tuple[float, float]
    cab_x_m: tuple[float, float] | None
    deck_m: float


def make_plan(shares: LoadShares, rng: np.random.Generator) -> Plan:
    """Draw a vehicle with its containers and their loads."""
    if rng.random() < shares.on_ground:
        return _on_ground(shares, rng)
    if rng.random() < shares.no_container:
        return _on_trailers([[]], shares, rng)
    if rng.random() < shares.two_containers:
        kinds = [_two_body(rng), _two_body(rng)]
        if rng.random() < 0.3:  # noqa: PLR2004
            return _on_trailers([[kinds[0]], [kinds[1]]], shares, rng)
        return _on_trailers([kinds], shares, rng)
    return _on_trailers([[_one_body(rng)]], shares, rng)


def _one_body(rng: np.random.Generator) -> tuple[str, Body]:
    kinds = list(_SINGLE_SHARES)
    return kinds[int(rng.choice(len(kinds), p=list(_SINGLE_SHARES.values())))]


def _two_body(rng: np.random.Generator) -> tuple[str, Body]:
    return ("20", "tank") if rng.random() < 0.08 else ("20", "dry")  # noqa: PLR2004


def _on_ground(shares: LoadShares, rng: np.random.Generator) -> Plan:
    base = float(rng.uniform(0.0, 0.3))
    load = _load(_box(_one_body(rng), 0.0, base, rng), shares, rng)
    x_m, z_m = load.container.x_m, load.container.z_m
    shapes = (*container.build(load.container, rng), *load.cargo)
    return Plan(shapes, (load,), x_m, z_m, None, base)


def _on_trailers(
    groups: list[list[tuple[str, Body]]], shares: LoadShares, rng: np.random.Generator
) -> Plan:
    front = float(rng.uniform(*_TRACTOR_M))
    shapes: list[Shape] = vehicles.tractor((0.0, front), rng)
    loads: list[Loaded] = []
    deck, start = float(rng.uniform(1.15, 1.6)), front - _COUPLING_M
    for group in groups:
        spec = _trailer(group, start, deck, rng, alone=len(groups) == 1)
        boxes = _stand(group, spec, rng)
        shapes += vehicles.trailer(spec, rng)
        loads += [_load(box, shares, rng) for box in boxes]
        start = spec.x_m[1] + float(rng.uniform(0.7, 1.6))
    for load in loads:
        shapes += [*container.build(load.container, rng), *load.cargo]
    top = max([load.container.z_m[1] for load in loads], default=3.8)
    end = max([spec.x_m[1] + 0.1, *(load.container.x_m[1] for load in loads)])
    return Plan(tuple(shapes), tuple(loads), (0.0, end), (0.0, top), (0.0, 2.3), deck)


def _trailer(
    group: list[tuple[str, Body]],
    start: float,
    deck: float,
    rng: np.random.Generator,
    *,
    alone: bool,
) -> vehicles.Trailer:
    need = sum(LENGTHS_M[size] for size, _ in group) + 0.1 * max(len(group) - 1, 0)
    shortest = max(need, 6.2)
    choices = [shortest, shortest + float(rng.uniform(0, 1.0))]
    if alone and shortest < 12.4:  # noqa: PLR2004
        choices.append(float(rng.uniform(12.4, 14.0)))
    length = choices[int(rng.integers(len(choices)))]
    long = length > 9  # noqa: PLR2004
    return vehicles.Trailer(
        x_m=(start, start + length),
        deck_m=deck,
        axles=int(rng.integers(2, 4)) if long else int(rng.integers(1, 4)),
        flat=rng.random() < (0.5 if not group else 0.15),
        guides=rng.random() < 0.25,  # noqa: PLR2004
    )


def _stand(
    group: list[tuple[str, Body]], spec: vehicles.Trailer, rng: np.random.Generator
) -> list[Container]:
    need = sum(LENGTHS_M[size] for size, _ in group)
    free = max(spec.x_m[1] - spec.x_m[0] - need, 0.0)
    # A free length is shared between front, gaps and rear; most drivers use one end or the middle.
    where = float(rng.choice([0.0, 0.5, 1.0, rng.uniform()]))
    gap = min(free, float(rng.uniform(0.06, 1.2))) if len(group) > 1 else 0.0
    x = spec.x_m[0] + (free - gap) * where
    boxes = []
    for kind in group:
        box = _box(kind, x, spec.deck_m, rng)
        boxes.append(box)
        x = box.x_m[1] + gap
    return boxes


def _box(kind: tuple[str, Body], x: float, z: float, rng: np.random.Generator) -> Container:
    size, body = kind
    tall = size == "45" or (size == "40" and (body == "reefer" or rng.random() < 0.6))  # noqa: PLR2004
    height = HIGH_CUBE_M if tall else HEIGHT_M
    doors_right = rng.random() < 0.9  # noqa: PLR2004
    return Container((x, x + LENGTHS_M[size]), (z, z + height), body, doors_right)


def _load(box: Container, shares: LoadShares, rng: np.random.Generator) -> Loaded:
    space = container.room(box)
    if box.body == "tank":
        filling = container.tank_filling(box, rng) if rng.random() < 0.7 else []  # noqa: PLR2004
        return Loaded(box, "tank", space, tuple(filling))
    empty = shares.empty if box.body == "dry" else max(shares.empty, 0.6)
    draw = float(rng.random())
    if draw < empty:
        return Loaded(box, "empty", space, ())
    if draw < empty + shares.partial * (1 - empty):
        return Loaded(box, "partial", space, tuple(_partial(space, rng)))
    return Loaded(box, "full", space, tuple(_full(space, box.body, rng)))


def _full(space: Room, body: Body, rng: np.random.Generator) -> list[Shape]:
    start, stop = space.x_m
    if rng.random() < 0.75:  # noqa: PLR2004
        stop -= float(rng.uniform(0.0, 0.12)) * space.length_m
        parts = [replace(space, x_m=(start, stop))]
    else:
        cut = start + space.length_m * float(rng.uniform(0.3, 0.7))
        parts = [replace(space, x_m=(start, cut)), replace(space, x_m=(cut, stop))]
    return _fill(parts, space, body, rng)


def _partial(space: Room, rng: np.random.Generator) -> list[Shape]:
    length = space.length_m * float(rng.uniform(0.12, 0.65))
    at_front = rng.random() < 0.6  # noqa: PLR2004
    left = space.x_m[0] if at_front else float(rng.uniform(space.x_m[0], space.x_m[1] - length))
    return _fill([replace(space, x_m=(left, left + length))], space, "dry", rng)


def _fill(parts: list[Room], space: Room, body: Body, rng: np.random.Generator) -> list[Shape]:
    kinds = list(cargo.CARGO) if body == "dry" else ["cartons", "pallets", "crates", "bales"]
    shapes: list[Shape] = []
    for part in parts:
        kind = kinds[int(rng.integers(len(kinds)))]
        shapes += cargo.CARGO[kind](part, rng)
    return [*shapes, *cargo.dunnage(space, rng)]
