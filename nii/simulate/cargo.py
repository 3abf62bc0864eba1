"""Legal goods: what is shipped under which HS chapter, how it is packed, and a room filled with it.

The table is ``cargo.csv`` beside this module: one row a kind of goods. Its column ``packing`` names
a function ``(room, lot, rng) -> shapes`` in `PACKINGS`, its column ``places`` where such goods are
carried. Densities are bulk values of packed goods; each row states its source.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.resources import files

import numpy as np

from nii.simulate import (
    cargo_frames,
    cargo_long,
    cargo_loose,
    cargo_round,
    cargo_stacked,
    cargo_vehicles,
)
from nii.simulate.container import Room
from nii.simulate.lots import Lot
from nii.simulate.shapes import BASIS, ORGANIC, PAPER, Block, Shape, mass_kg

Packing = Callable[[Room, Lot, np.random.Generator], list[Shape]]
Filler = Callable[[Room, np.random.Generator], list[Shape]]

PAYLOAD_T_PER_M = 3.0
"""Payload a metre of length: 28 t in 40 feet are 2.3 t/m, in 20 feet 4.7 t/m; a value between."""

PACKINGS: dict[str, Packing] = {
    "appliances": cargo_loose.appliances,
    "bales": cargo_stacked.bales,
    "bars": cargo_long.bars,
    "beams": cargo_long.beams,
    "big_bags": cargo_stacked.big_bags,
    "boards": cargo_long.boards,
    "bottles": cargo_stacked.bottles,
    "bulk": cargo_loose.bulk,
    "cable_drums": cargo_round.cable_drums,
    "cans": cargo_stacked.cans,
    "carcasses": cargo_stacked.carcasses,
    "cars": cargo_vehicles.cars,
    "cartons": cargo_stacked.cartons,
    "coils": cargo_round.coils,
    "crates": cargo_stacked.crates,
    "cylinders": cargo_round.cylinders,
    "drums": cargo_round.drums,
    "farm_tractors": cargo_vehicles.farm_tractors,
    "flexitank": cargo_round.flexitank,
    "frozen": cargo_stacked.frozen,
    "furniture": cargo_loose.furniture,
    "garments": cargo_frames.garments,
    "household": cargo_loose.household,
    "ibc": cargo_round.ibc,
    "liquid": cargo_round.liquid,
    "logs": cargo_long.logs,
    "machinery": cargo_loose.machinery,
    "metal_boxes": cargo_stacked.metal_boxes,
    "motorcycles": cargo_vehicles.motorcycles,
    "pails": cargo_round.pails,
    "pallets": cargo_stacked.pallets,
    "panels": cargo_stacked.panels,
    "pipes": cargo_round.pipes,
    "racks": cargo_frames.racks,
    "reels": cargo_round.reels,
    "rolls": cargo_round.rolls,
    "sacks": cargo_stacked.sacks,
    "scrap": cargo_loose.scrap,
    "slabs": cargo_long.slabs,
    "stacks": cargo_stacked.stacks,
    "tyres": cargo_round.tyres,
}


@dataclass(frozen=True, slots=True)
class Goods:
    """Describe one kind of goods: a row of ``cargo.csv``.

    Attributes:
        kind: identifier.
        hs_chapter: two digits of the Harmonised System.
        packing: a name in `PACKINGS`.
        materials: index into ``shapes.BASIS`` and share of the mass.
        density_g_per_cm3: least and greatest mean density of the packed goods.
        places: where they are carried: ``box``, ``reefer``, ``van``, ``flat``, ``tank``,
            ``gondola``, ``hopper``, ``wagon``, ``car_carrier``.
        source: where the numbers come from.
    """

    kind: str
    hs_chapter: str
    packing: str
    materials: tuple[tuple[int, float], ...]
    density_g_per_cm3: tuple[float, float]
    places: tuple[str, ...]
    source: str


@cache
def goods() -> dict[str, Goods]:
    """Return all kinds of goods by name, in the order of the table."""
    text = files("nii.simulate").joinpath("cargo.csv").read_text("utf-8")
    return {row["kind"]: _row(row) for row in csv.DictReader(text.splitlines())}


def _row(row: dict[str, str]) -> Goods:
    pairs = (pair.split(":") for pair in row["materials"].split())
    return Goods(
        kind=row["kind"],
        hs_chapter=row["hs_chapter"],
        packing=row["packing"],
        materials=tuple((BASIS.index(name), float(share)) for name, share in pairs),
        density_g_per_cm3=(float(row["low_g_per_cm3"]), float(row["high_g_per_cm3"])),
        places=tuple(row["places"].split()),
        source=row["source"],
    )


def carried(place: str) -> tuple[Goods, ...]:
    """Return the kinds of goods that are carried in a kind of place."""
    return tuple(row for row in goods().values() if place in row.places)


def fill(
    row: Goods, room: Room, rng: np.random.Generator, payload_t_per_m: float = PAYLOAD_T_PER_M
) -> list[Shape]:
    """Fill a room with one kind of goods, as high as the payload allows.

    What is too heavy is loaded lower; what is too heavy in one layer is packed more loosely.
    """
    low, high = row.density_g_per_cm3
    lot = Lot(row.materials, float(rng.uniform(low, high)))
    limit_kg = payload_t_per_m * 1000 * room.length_m
    shapes = PACKINGS[row.packing](room, lot, rng)
    weight = sum(mass_kg(shape) for shape in shapes)
    if weight > limit_kg:
        # Half a metre holds one layer of most goods.
        level = max(room.height_m * limit_kg / weight, min(0.5, room.height_m))
        lower = replace(room, z_m=(room.z_m[0], room.z_m[0] + level))
        shapes = PACKINGS[row.packing](lower, lot, rng)
        weight = sum(mass_kg(shape) for shape in shapes)
    if weight <= limit_kg:
        return shapes
    return [replace(s, density_g_per_cm3=s.density_g_per_cm3 * limit_kg / weight) for s in shapes]


CARGO: dict[str, Filler] = {kind: partial(fill, row) for kind, row in goods().items()}
"""Every kind of goods as a function ``(room, rng) -> shapes``."""


def dunnage(room: Room, rng: np.random.Generator) -> list[Shape]:
    """Return what secures a load, and the gear left beside it: straps, boards, air bag, bars."""
    shapes: list[Shape] = cargo_frames.gear(room, rng, 2)
    for x in rng.uniform(room.x_m[0], room.x_m[1] - 0.05, int(rng.integers(0, 4))).tolist():
        near = (room.y_m[0] + 0.02, room.y_m[0] + 0.023)
        shapes.append(Block((x, x + 0.05), near, room.z_m, ORGANIC, 1.2))
    if rng.random() < 0.3:  # noqa: PLR2004
        x = room.x_m[1] - 0.08
        shapes += [
            Block((x, x + 0.04), room.y_m, (z, z + 0.12), PAPER, 0.5)
            for z in np.arange(room.z_m[0] + 0.1, room.z_m[1] - 0.5, 0.35).tolist()
        ]
    if rng.random() < 0.15:  # noqa: PLR2004
        x = float(rng.uniform(room.x_m[0], room.x_m[1] - 0.3))
        bag = (room.z_m[0] + 0.1, min(room.z_m[0] + 1.9, room.z_m[1]))
        shapes.append(Block((x, x + 0.25), (-0.5, 0.5), bag, PAPER, 0.004, "pillow"))
    return shapes
