"""What a scene is planned from: bodies with their loads, vehicles, and places to hide things in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Float64

from nii.annotations.coco import LoadState
from nii.simulate import cargo, cargo_frames, container, railcars
from nii.simulate.cargo_long import straps
from nii.simulate.container import ISO_BODIES, VESSELS, Body, Container, Room
from nii.simulate.lots import Span
from nii.simulate.shapes import Shape, extent

Hollow = Literal["false_wall", "false_floor"]

_PLACES: dict[Body, str] = {
    "dry": "box",
    "reefer": "reefer",
    "tank": "tank",
    "van": "van",
    "flat": "flat",
    "wagon": "wagon",
    "gondola": "gondola",
    "hopper": "hopper",
    "vessel": "tank",
}
_GEAR_IN_EMPTY = 0.4
"""Share of empty bodies in which a driver left gear; assumption."""
_POURED = ("gondola", "hopper")
"""Bodies that goods are poured into."""
_OPEN = (*_POURED, "flat")
"""Bodies without floor, roof or walls that gear would stand against."""
_FLOWING = ("bulk", "liquid", "flexitank", "scrap")
_PAYLOADS_T: dict[Body, float] = {
    "dry": 28.0,
    "reefer": 28.0,
    "tank": 27.0,
    "van": 25.0,
    "flat": 27.0,
    "wagon": 68.0,
    "gondola": 69.0,
    "hopper": 70.0,
    "vessel": 66.0,
}
"""Greatest load of a body; ISO 668 rates containers at 30.48 t gross, the others are typical."""


@dataclass(frozen=True, slots=True)
class LoadShares:
    """How often a container carries what; the rest is full."""

    empty: float = 0.45
    """Share of empty containers."""
    partial: float = 0.2
    """Share of partly filled containers."""
    no_container: float = 0.03
    """Share of road vehicles without a container."""
    two_containers: float = 0.18
    """Share of road vehicles with two containers."""
    on_ground: float = 0.06
    """Share of containers that stand on the ground without a vehicle."""
    rail: float = 0.06
    """Share of scans that show railway wagons."""
    coupled: tuple[int, int] = (1, 2)
    """Fewest and most wagons in a scan of wagons."""
    other_lorry: float = 0.06
    """Share of road vehicles with a curtain-sided body or an open deck instead of a container."""
    mixed: float = 0.25
    """Share of full loads that are of two kinds of goods."""


def boxes_of(shapes: Iterable[Shape]) -> Float64[np.ndarray, "n 6"]:
    """Return the extents of shapes: least and greatest x, y and z."""
    rows = [(*extent(shape)[:2], *shape.y_m, *extent(shape)[2:]) for shape in shapes]
    return np.asarray(rows, np.float64).reshape(-1, 6)


@dataclass(frozen=True, slots=True)
class Loaded:
    """One body and what is in it.

    Attributes:
        container: the body; a container where its kind is one of ``container.ISO_BODIES``.
        state: what it carries.
        room: its clear space, without what a false wall or floor cuts off.
        cargo: goods.
        lashing: straps, boards and air bags that secure them; nothing can stand on these.
        goods: kinds of goods, see ``cargo.csv``.
        hs_chapters: their chapters of the Harmonised System, in the same order, each once.
        hollow: the space behind a false wall or under a false floor.
        hollow_kind: which of the two.
        boxes_m: extents of the goods, x, y and z, least and greatest; computed where not given.
    """

    container: Container
    state: LoadState
    room: Room
    cargo: tuple[Shape, ...] = ()
    lashing: tuple[Shape, ...] = ()
    goods: tuple[str, ...] = ()
    hs_chapters: tuple[str, ...] = ()
    hollow: Room | None = None
    hollow_kind: Hollow | None = None
    boxes_m: Float64[np.ndarray, "n 6"] = field(default_factory=lambda: np.zeros((0, 6)))

    def __post_init__(self) -> None:
        """Compute the extents of the goods once."""
        if len(self.boxes_m) != len(self.cargo):
            object.__setattr__(self, "boxes_m", boxes_of(self.cargo))

    @property
    def is_container(self) -> bool:
        """Return whether the body is an ISO container."""
        return self.container.body in ISO_BODIES


@dataclass(frozen=True, slots=True)
class Vehicle:
    """One road vehicle or wagon: kind and outer extent."""

    kind: str
    x_m: Span
    z_m: Span


@dataclass(frozen=True, slots=True)
class Hide:
    """A cavity of a vehicle that things are hidden in.

    Attributes:
        kind: ``tyre``, ``fuel_tank`` or ``chassis_beam``.
        x_m: extent along the vehicle.
        y_m: extent across it.
        z_m: extent in height.
        filled: what fills it otherwise, for a tank.
    """

    kind: Literal["tyre", "fuel_tank", "chassis_beam"]
    x_m: Span
    y_m: Span
    z_m: Span
    filled: tuple[Shape, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that stands in the beam.

    Attributes:
        shapes: vehicle, containers and cargo.
        loads: containers and other bodies with what is in them.
        vehicle_x_m: extent of everything along x.
        vehicle_z_m: its extent in height.
        cab_x_m: extent of the tractor's cab; None without one.
        deck_m: height on which the containers stand.
        vehicles: road vehicle or wagons; none where a container stands on the ground.
        hides: cavities of the vehicle.
    """

    shapes: tuple[Shape, ...]
    loads: tuple[Loaded, ...]
    vehicle_x_m: Span
    vehicle_z_m: Span
    cab_x_m: Span | None
    deck_m: float
    vehicles: tuple[Vehicle, ...] = ()
    hides: tuple[Hide, ...] = ()


def load(
    box: Container, shares: LoadShares, rng: np.random.Generator, hollow: Hollow | None = None
) -> Loaded:
    """Draw what a body carries; the rest of the room where a hollow is cut off first."""
    space, cavity = container.room(box), None
    if hollow:
        space, cavity = _cut(space, box, hollow, rng)
    bare = Loaded(box, "empty", space, hollow=cavity, hollow_kind=hollow)
    if box.body in VESSELS:
        return _liquid(bare, rng)
    seldom = box.body in ("reefer", "wagon")
    empty = max(shares.empty, 0.6) if seldom and shares.empty > 0 else shares.empty
    draw = float(rng.random())
    if draw < empty:
        forgotten = rng.random() < _GEAR_IN_EMPTY and box.body not in _OPEN
        left = cargo_frames.gear(space, rng) if forgotten else []
        return replace(bare, lashing=tuple(left))
    if draw < empty + shares.partial * (1 - empty):
        return _stow(replace(bare, state="partial"), _part(space, rng), rng)
    return _stow(replace(bare, state="full"), _whole(space, shares, rng), rng)


def _cut(
    space: Room, box: Container, hollow: Hollow, rng: np.random.Generator
) -> tuple[Room, Room]:
    """Return the room that is left and the cavity at the end without doors, or under the floor."""
    (x0, x1), (z0, z1) = space.x_m, space.z_m
    if hollow == "false_floor":
        cut = z0 + float(rng.uniform(0.1, 0.22))
        return replace(space, z_m=(cut + 0.02, z1)), replace(space, z_m=(z0, cut))
    deep = float(rng.uniform(0.2, 0.6))
    if box.doors_right:
        return replace(space, x_m=(x0 + deep + 0.05, x1)), replace(space, x_m=(x0, x0 + deep))
    return replace(space, x_m=(x0, x1 - deep - 0.05)), replace(space, x_m=(x1 - deep, x1))


def _liquid(bare: Loaded, rng: np.random.Generator) -> Loaded:
    if rng.random() < 0.3:  # noqa: PLR2004
        return replace(bare, state="tank")
    loaded = _stow(replace(bare, state="tank"), [bare.room], rng)
    return replace(loaded, lashing=())


def _whole(space: Room, shares: LoadShares, rng: np.random.Generator) -> list[Room]:
    start, stop = space.x_m
    if rng.random() >= shares.mixed:
        stop -= float(rng.uniform(0.0, 0.12)) * space.length_m
        return [replace(space, x_m=(start, stop))]
    cut = start + space.length_m * float(rng.uniform(0.3, 0.7))
    return [replace(space, x_m=(start, cut)), replace(space, x_m=(cut, stop))]


def _part(space: Room, rng: np.random.Generator) -> list[Room]:
    length = space.length_m * float(rng.uniform(0.12, 0.65))
    at_front = rng.random() < 0.6  # noqa: PLR2004
    left = space.x_m[0] if at_front else float(rng.uniform(space.x_m[0], space.x_m[1] - length))
    return [replace(space, x_m=(left, left + length))]


def _stow(bare: Loaded, parts: list[Room], rng: np.random.Generator) -> Loaded:
    body = bare.container.body
    choice = cargo.carried(_PLACES[body])
    payload = _PAYLOADS_T[body] / bare.room.length_m
    rows, shapes = [], list[Shape]()
    for drawn in parts:
        row = choice[int(rng.integers(len(choice)))]
        # Short parts may be too short for long goods; something else then stands there.
        for _ in range(3):
            # What flows fills the floor from wall to wall.
            part = bare.room if row.packing in _FLOWING else drawn
            placed = cargo.fill(row, part, rng, payload)
            if placed:
                break
            row = choice[int(rng.integers(len(choice)))]
        if placed and not (shapes and row.packing in _FLOWING):
            rows.append(row)
            shapes += placed
        if row.packing in _FLOWING:
            break
    if not shapes:
        row = cargo.goods()["coal" if body in _POURED else "clothing"]
        rows, shapes = [row], cargo.fill(row, parts[0], rng, payload)
    lashing = straps if body == "flat" else cargo.dunnage
    if body == "hopper":
        shapes = railcars.poured(bare.container, shapes)
    return replace(
        bare,
        cargo=tuple(shapes),
        lashing=() if body in _POURED else tuple(lashing(bare.room, rng)),
        goods=tuple(row.kind for row in rows),
        hs_chapters=tuple(dict.fromkeys(row.hs_chapter for row in rows)),
    )
