"""Lots: what a consignment is made of, and the solids that its packings build it from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from nii.simulate.container import Room
from nii.simulate.shapes import PAPER, STEEL, Block, Form, Polygon, Shape

Span = tuple[float, float]
Outlines = tuple[Float64[np.ndarray, "_ 2"], ...]

_WOOD_G_PER_CM3 = 0.5
"""Dry softwood of pallets and bearers; assumption."""


@dataclass(frozen=True, slots=True)
class Lot:
    """Say what one consignment consists of.

    Attributes:
        materials: index into ``shapes.BASIS`` and its share of the mass; the shares add up to 1.
        density_g_per_cm3: mean density of the packed goods, gaps inside a package included.
    """

    materials: tuple[tuple[int, float], ...]
    density_g_per_cm3: float

    def __post_init__(self) -> None:
        """Check the shares.

        Raises:
            ValueError: they do not add up to 1.
        """
        if abs(sum(share for _, share in self.materials) - 1) > 1e-6:  # noqa: PLR2004
            msg = f"shares {self.materials} do not add up to 1"
            raise ValueError(msg)

    def varied(self, rng: np.random.Generator, spread: float = 0.08) -> Lot:
        """Return the lot with another density, as one package differs from the next."""
        factor = float(rng.uniform(1 - spread, 1 + spread))
        return replace(self, density_g_per_cm3=self.density_g_per_cm3 * factor)


def body(
    lot: Lot, x_m: Span, y_m: Span, z_m: Span, form: Form = "cuboid", *, mottle: float = 0.0
) -> Iterator[Shape]:
    """Yield one block a material, which together weigh what the lot weighs in that volume."""
    for material, share in lot.materials:
        density = lot.density_g_per_cm3 * share
        yield Block(x_m, y_m, z_m, material, density, form, mottle=mottle)


def plates(
    lot: Lot, outlines_m: Outlines, y_m: Span, slices: int = 1, *, mottle: float = 0.0
) -> Iterator[Shape]:
    """Yield one polygon a material, which together weigh what the lot weighs in that volume."""
    for material, share in lot.materials:
        density = lot.density_g_per_cm3 * share
        yield Polygon(outlines_m, y_m, material, density, slices, mottle)


def marks(room: Room, step: float, shift: float = 0.0) -> list[float]:
    """Return the left edges of as many things of length `step` as fit."""
    count = int((room.length_m - shift) / step + 1e-9)
    return [room.x_m[0] + shift + index * step for index in range(count)]


def rows(room: Room, step: float) -> list[float]:
    """Return the near edges of as many things of depth `step` as fit, centred across the room."""
    wide = room.y_m[1] - room.y_m[0]
    count = max(int(wide / step + 1e-9), 1)
    first = (room.y_m[0] + room.y_m[1]) / 2 - count * step / 2
    return [first + index * step for index in range(count)]


def span(room: Room, rng: np.random.Generator) -> Span:
    """Return nearly the whole depth of a room, ragged as stowage is."""
    return (room.y_m[0] + float(rng.uniform(0, 0.15)), room.y_m[1] - float(rng.uniform(0, 0.15)))


def pallet(x: float, length: float, y_m: Span, z: float) -> list[Shape]:
    """Return a wooden pallet of 14.5 cm height with three runners (about 20 kg)."""
    deck = (z + 0.122, z + 0.144)
    shapes: list[Shape] = [
        Block((x, x + length), y_m, deck, PAPER, _WOOD_G_PER_CM3 * 0.8),
        Block((x, x + length), y_m, (z, z + 0.022), PAPER, _WOOD_G_PER_CM3 * 0.4),
    ]
    shapes.extend(
        Block((left, left + 0.1), y_m, (z + 0.022, z + 0.122), PAPER, _WOOD_G_PER_CM3 * 0.4)
        for left in (x, x + length / 2 - 0.05, x + length - 0.1)
    )
    return shapes


def bearers(room: Room, step: float, size: float = 0.08) -> list[Shape]:
    """Return beams of wood that lie across the room, under what cannot stand on the floor."""
    low = (room.z_m[0], room.z_m[0] + size)
    return [
        Block((x, x + size), room.y_m, low, PAPER, _WOOD_G_PER_CM3 * 0.8)
        for x in np.arange(room.x_m[0] + 0.2, room.x_m[1] - size, step).tolist()
    ]


def steel(x_m: Span, y_m: Span, z_m: Span, density_g_per_cm3: float = 7.85) -> Block:
    """Return a cuboid of steel, or of as much steel as its mean density says."""
    return Block(x_m, y_m, z_m, STEEL, density_g_per_cm3)


def blob(
    centre: Float64[np.ndarray, " 2"], radius: float, rng: np.random.Generator
) -> Float64[np.ndarray, "n 2"]:
    """Return a convex-ish outline of three to seven corners around a centre."""
    count = int(rng.integers(3, 8))
    angle = np.sort(rng.uniform(0, 2 * np.pi, count))
    reach = radius * rng.uniform(0.3, 1.0, (count, 1))
    stretch = np.array([float(rng.uniform(0.5, 2.0)), 1.0])
    return np.asarray(centre + np.stack([np.cos(angle), np.sin(angle)], 1) * reach * stretch)
