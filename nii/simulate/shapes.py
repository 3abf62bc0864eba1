"""Solid shapes that a scene is made of, and their areal density on the detector grid.

Two shapes are enough. A :class:`Block` is a cuboid, a cylinder or a pillow along the axes of the
vehicle; its path length through a fan beam is exact. A :class:`Polygon` is a plate of any outline.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float32, Float64

from nii.simulate.geometry import Geometry

BASIS = ("polyethylene", "cellulose", "water", "aluminium", "steel", "lead")
"""Material groups of a scene, names in ``physics/materials.csv``. Any organic matter lies between
the first three (cocaine is within 1.5 % of cellulose), minerals are near aluminium, metals near
steel, and W, Au and Pb cannot be told apart (their attenuation ratios agree within 1.5 %)."""
ORGANIC, PAPER, LIQUID, LIGHT_METAL, STEEL, HEAVY = range(6)

_CM_PER_M = 100.0
_CM3_PER_M3 = 1e6
_GRAMS_PER_KG = 1000.0
_TINY = 1e-9
_SUBPIXEL_BITS = 4
_FINE_PIXELS = 60_000

Form = Literal["cuboid", "upright", "lying", "pillow"]


@dataclass(frozen=True, slots=True)
class Block:
    """A body along the axes of the vehicle.

    Attributes:
        x_m: extent along the vehicle.
        y_m: extent across the vehicle.
        z_m: extent in height.
        material: index into `BASIS`.
        density_g_per_cm3: mean density, gaps included.
        form: ``upright`` and ``lying`` are cylinders with a vertical axis and an axis along the
            vehicle; a ``pillow`` is rounded at all edges.
        wall_m: thickness of the shell of a cylinder; 0 is solid.
        ripple_m: period of a trapezoidal corrugation along x; 0 is flat.
        mottle: relative standard deviation of a random texture.
    """

    x_m: tuple[float, float]
    y_m: tuple[float, float]
    z_m: tuple[float, float]
    material: int
    density_g_per_cm3: float
    form: Form = "cuboid"
    wall_m: float = 0.0
    ripple_m: float = 0.0
    mottle: float = 0.0


@dataclass(frozen=True, slots=True)
class Polygon:
    """A plate that faces the source.

    Attributes:
        outlines_m: closed outlines (x, z); a second outline inside the first is a hole.
        y_m: extent across the vehicle; `slices` plates stand evenly within it.
        material: index into `BASIS`.
        density_g_per_cm3: mean density over the extent in y.
        slices: number of plates that share the extent, more for a softer edge in a fan beam.
        mottle: relative standard deviation of a random texture.
    """

    outlines_m: tuple[Float64[np.ndarray, "_ 2"], ...]
    y_m: tuple[float, float]
    material: int
    density_g_per_cm3: float
    slices: int = 1
    mottle: float = 0.0


Shape = Block | Polygon


def disc(
    centre_m: tuple[float, float], radius_m: float, hole_m: float = 0.0
) -> tuple[Float64[np.ndarray, "_ 2"], ...]:
    """Return the outlines of a disc, with a round hole where `hole_m` is positive."""
    angle = np.linspace(0, 2 * np.pi, 41)[:-1]
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    rings = [radius_m] if hole_m <= 0 else [radius_m, hole_m]
    return tuple(circle * radius + np.asarray(centre_m) for radius in rings)


def bar(
    start_m: tuple[float, float],
    stop_m: tuple[float, float],
    thick_m: float,
    y_m: tuple[float, float],
    material: int,
    density_g_per_cm3: float,
) -> Polygon:
    """Return a straight bar from one place (x, z) to another, `thick_m` wide across its length.

    Raises:
        ValueError: both places are the same.
    """
    (ax, az), (bx, bz) = start_m, stop_m
    length = float(np.hypot(bx - ax, bz - az))
    if length <= 0:
        msg = f"a bar from {start_m} to {stop_m} has no direction"
        raise ValueError(msg)
    nx, nz = -(bz - az) / length * thick_m / 2, (bx - ax) / length * thick_m / 2
    outline = np.array(
        [(ax + nx, az + nz), (bx + nx, bz + nz), (bx - nx, bz - nz), (ax - nx, az - nz)]
    )
    return Polygon((outline,), y_m, material, density_g_per_cm3)


def mirror(shapes: Iterable[Shape], about_x_m: float) -> list[Shape]:
    """Return the shapes with left and right exchanged at the plane x = `about_x_m`."""
    result: list[Shape] = []
    for shape in shapes:
        if isinstance(shape, Block):
            x0, x1 = shape.x_m
            result.append(replace(shape, x_m=(2 * about_x_m - x1, 2 * about_x_m - x0)))
        else:
            flip = np.array([-1.0, 1.0])
            shift = np.array([2 * about_x_m, 0.0])
            result.append(
                replace(shape, outlines_m=tuple(o * flip + shift for o in shape.outlines_m))
            )
    return result


def extent(shape: Shape) -> tuple[float, float, float, float]:
    """Return lowest and highest x, then lowest and highest z, in metres."""
    if isinstance(shape, Block):
        return (*shape.x_m, *shape.z_m)
    points = shape.outlines_m[0]
    low, high = points.min(0), points.max(0)
    return float(low[0]), float(high[0]), float(low[1]), float(high[1])


def mass_kg(shape: Shape) -> float:
    """Return what a shape weighs: its volume times its density."""
    if isinstance(shape, Polygon):
        holes = sum(abs(_signed_area(o)) for o in shape.outlines_m[1:])
        area = abs(_signed_area(shape.outlines_m[0])) - holes
        volume_m3 = area * (shape.y_m[1] - shape.y_m[0])
    else:
        volume_m3 = _volume_m3(shape)
    return volume_m3 * _CM3_PER_M3 * shape.density_g_per_cm3 / _GRAMS_PER_KG


def _volume_m3(block: Block) -> float:
    wide, deep, high = (b - a for a, b in (block.x_m, block.y_m, block.z_m))
    if block.form == "pillow":
        return float(wide * deep * high * (_pillow()[1][-1] / 2) ** 2)
    if block.form == "cuboid":
        run = _unrolled(np.array([wide]), block.ripple_m)[0] if block.ripple_m > 0 else wide
        return float(run) * deep * high
    across, along = (wide, deep) if block.form == "upright" else (high, wide)
    radius = across / 2
    bore = radius - block.wall_m if 0 < block.wall_m < radius else 0.0
    section = float(np.pi * (radius**2 - bore**2))
    # An upright cylinder may be deeper than wide: its section is stretched along y.
    return section * along / across * high if block.form == "upright" else section * along


def project(
    shapes: Iterable[Shape], geometry: Geometry, rng: np.random.Generator
) -> Float32[np.ndarray, "material height width"]:
    """Return the areal density in g/cm2 of every basis material on the detector grid."""
    grid = np.zeros((len(BASIS), geometry.height_px, geometry.width_px), np.float32)
    shapes = tuple(shapes)
    smooth = not any(shape.mottle > 0 for shape in shapes)
    grain = np.zeros((1, 1), np.float32) if smooth else _grain(rng)
    used: set[int] = set()
    for shape in shapes:
        if isinstance(shape, Block):
            painted = _paint_block(shape, geometry, grain, grid[shape.material])
        else:
            painted = _paint_polygon(shape, geometry, grain, grid[shape.material])
        if painted:
            used.add(shape.material)
    for index in sorted(used):
        np.maximum(grid[index], 0, out=grid[index])
    return sag(grid, geometry, tuple(sorted(used)))


def sag(
    grid: Float32[np.ndarray, "material height width"], geometry: Geometry, used: tuple[int, ...]
) -> Float32[np.ndarray, "material height width"]:
    """Return the grid with every column shifted down by its sag."""
    if not geometry.sag_px.any():
        return grid
    rows = np.arange(geometry.height_px, dtype=np.float32)[:, None] - geometry.sag_px
    columns = np.broadcast_to(np.arange(geometry.width_px, dtype=np.float32), rows.shape)
    fixed, fraction = cv2.convertMaps(np.ascontiguousarray(columns), rows, cv2.CV_16SC2)
    for index in used:
        grid[index] = cv2.remap(
            grid[index], fixed, fraction, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    return grid


def _paint_block(
    block: Block,
    geometry: Geometry,
    grain: Float32[np.ndarray, "side side"],
    plane: Float32[np.ndarray, "height width"],
) -> bool:
    left, right, top, bottom = _window(block, geometry)
    if left >= right or top >= bottom:
        return False
    path_m = _path_lengths(block, geometry, top, bottom)
    across = _cover(block, geometry, left, right)
    scale = np.float32(_CM_PER_M * block.density_g_per_cm3)
    patch = (path_m * scale)[:, None] * across[None, :]
    if block.mottle > 0:
        _mottle(patch, grain, block.mottle, (top, left))
    plane[top:bottom, left:right] += patch
    return True


def _window(block: Block, geometry: Geometry) -> tuple[int, int, int, int]:
    """Return first and last column, then first and last row, that a block may touch."""
    far = [abs(geometry.skew * y) for y in block.y_m]
    signs = -1.0 if geometry.mirrored else 1.0
    along = [signs * (x - geometry.left_m) / geometry.pitch_m[1] for x in block.x_m]
    slack = max(far) / geometry.pitch_m[1]
    distance, eye = geometry.source_distance_m, geometry.source_height_m
    seen = [eye + (z - eye) * distance / (distance + y) for z in block.z_m for y in block.y_m]
    rows = [(geometry.top_m - value) / geometry.pitch_m[0] for value in seen]
    return (
        max(int(np.floor(min(along) - slack)), 0),
        min(int(np.ceil(max(along) + slack)), geometry.width_px),
        max(int(np.floor(min(rows))), 0),
        min(int(np.ceil(max(rows))), geometry.height_px),
    )


def _inside(values: Float64[np.ndarray, " n"], size: int) -> tuple[int, int]:
    low, high = float(values.min()), float(values.max())
    return max(int(np.floor(low)), 0), min(int(np.ceil(high)), size)


def _path_lengths(
    block: Block, geometry: Geometry, top: int, bottom: int
) -> Float32[np.ndarray, " rows"]:
    """Return the mean path through a block over the height of every row, in metres; exact."""
    bounds = np.arange(top, bottom + 1, dtype=np.float64)
    slope = geometry.slope(bounds)
    middle = (slope[1:] + slope[:-1]) / 2
    stretch = np.sqrt(1 + middle**2)
    if block.form == "lying":
        return np.asarray(_chords(block, geometry, slope), np.float32)
    (y0, y1), (z0, z1) = block.y_m, block.z_m
    if block.form == "pillow":
        edges = geometry.row(np.array([z1, z0]), (y0 + y1) / 2)
        return np.asarray((y1 - y0) * _rounded(bounds, edges) * stretch, np.float32)
    above = _crossed(z1, (y0, y1), geometry, bounds) - _crossed(z0, (y0, y1), geometry, bounds)
    return np.asarray(np.diff(above) * stretch, np.float32)


def _crossed(
    z: float, y_m: tuple[float, float], geometry: Geometry, bounds: Float64[np.ndarray, " n"]
) -> Float64[np.ndarray, " n"]:
    """Integrate over depth how many rows lie between height `z` and each bound, if below `z`.

    A row bound is seen at a + h D / (D + y) rows below the height, D from the source; the integral
    of that over y, as far as it is positive, has a closed form.
    """
    distance = geometry.source_distance_m
    a = bounds - (geometry.top_m - geometry.source_height_m) / geometry.pitch_m[0]
    h = (z - geometry.source_height_m) / geometry.pitch_m[0]
    safe = np.where(np.abs(a) < _TINY, _TINY, a)
    cross = np.clip(-distance * (1 + h / safe), *y_m)
    start: Float64[np.ndarray, " n"] = np.full_like(a, y_m[0])
    stop: Float64[np.ndarray, " n"] = np.full_like(a, y_m[1])
    if h >= 0:
        stop = np.where(safe < 0, cross, stop)
    else:
        start = np.where(safe > 0, cross, stop)
    rise = h * distance * (np.log1p(stop / distance) - np.log1p(start / distance))
    return np.asarray(a * (stop - start) + rise, np.float64)


def _chords(
    block: Block, geometry: Geometry, slope: Float64[np.ndarray, " n"]
) -> Float64[np.ndarray, " m"]:
    centre_y, centre_z = sum(block.y_m) / 2, sum(block.z_m) / 2
    ray_z = geometry.source_height_m + slope * (geometry.source_distance_m + centre_y)
    distance = (centre_z - ray_z) / np.sqrt(1 + slope**2)
    return _ring(distance, (block.z_m[1] - block.z_m[0]) / 2, block.wall_m)


def _ring(
    bounds: Float64[np.ndarray, " n"], radius: float, wall: float
) -> Float64[np.ndarray, " m"]:
    """Return the mean chord of a ring between neighbouring distances from its centre."""
    area = _circle(bounds, radius)
    if 0 < wall < radius:
        area = area - _circle(bounds, radius - wall)
    return np.asarray(np.diff(area) / np.diff(bounds), np.float64)


def _circle(bounds: Float64[np.ndarray, " n"], radius: float) -> Float64[np.ndarray, " n"]:
    """Return the area of a circle up to a distance from its centre, but for a constant."""
    share = np.clip(bounds / radius, -1, 1)
    return np.asarray(radius**2 * (share * np.sqrt(1 - share**2) + np.arcsin(share)), np.float64)


def _cover(block: Block, geometry: Geometry, left: int, right: int) -> Float32[np.ndarray, " cols"]:
    centre = sum(block.y_m) / 2
    edges = np.sort(geometry.column(np.asarray(block.x_m), centre))
    bounds = np.arange(left, right + 1, dtype=np.float64)
    if block.form == "upright":
        radius_m = (block.x_m[1] - block.x_m[0]) / 2
        offset = (bounds - edges.mean()) * geometry.pitch_m[1]
        return (_ring(offset, radius_m, block.wall_m) / (2 * radius_m)).astype(np.float32)
    if block.form == "pillow":
        return np.asarray(_rounded(bounds, edges), np.float32)
    smear = abs(geometry.skew) * (block.y_m[1] - block.y_m[0]) / geometry.pitch_m[1]
    share = _trapezoid(bounds, edges, max(smear, 1e-6))
    if block.ripple_m > 0:
        share = share * _corrugation((bounds - edges[0]) * geometry.pitch_m[1], block.ripple_m)
    return np.asarray(share, np.float32)


def _rounded(
    bounds: Float64[np.ndarray, " n"], edges: Float64[np.ndarray, " 2"]
) -> Float64[np.ndarray, " m"]:
    """Return the mean profile of a pillow between bounds: 1 inside, falling to 0 at both edges."""
    half = max(abs(float(edges[1] - edges[0])) / 2, 1e-6)
    place, area = _pillow()
    return np.asarray(np.diff(np.interp((bounds - edges.mean()) / half, place, area)) * half)


@cache
def _pillow() -> tuple[Float64[np.ndarray, " k"], Float64[np.ndarray, " k"]]:
    """Return places from -1 to 1 and the area of the profile sqrt(1 - u^6) up to each."""
    place = np.sin(np.linspace(-np.pi / 2, np.pi / 2, 401))
    profile = np.sqrt(np.maximum(1 - place**6, 0))
    steps = np.diff(place) * (profile[1:] + profile[:-1]) / 2
    return place, np.concatenate([[0.0], np.cumsum(steps)])


def _trapezoid(
    bounds: Float64[np.ndarray, " n"], edges: Float64[np.ndarray, " 2"], smear: float
) -> Float64[np.ndarray, " m"]:
    knots = np.array([edges[0] - smear / 2, edges[0] + smear / 2])
    knots = np.concatenate([knots, knots + edges[1] - edges[0]])
    covered = (_ramp(bounds, knots[0], knots[1]) - _ramp(bounds, knots[2], knots[3])) / smear
    return np.asarray(np.diff(covered), np.float64)


def _ramp(x: Float64[np.ndarray, " n"], start: float, stop: float) -> Float64[np.ndarray, " n"]:
    inner = np.clip(x, start, stop) - start
    return np.asarray(inner**2 / 2 + np.maximum(x - stop, 0) * (stop - start), np.float64)


def _corrugation(bounds_m: Float64[np.ndarray, " n"], period_m: float) -> Float64[np.ndarray, " m"]:
    """Return the relative path of a corrugated sheet between neighbouring places along it."""
    return np.asarray(np.diff(_unrolled(bounds_m, period_m)) / np.diff(bounds_m), np.float64)


def _unrolled(x_m: Float64[np.ndarray, " n"], period_m: float) -> Float64[np.ndarray, " n"]:
    """Return the length of sheet up to x: flanks are longer by 1/cos (36 mm deep, 68 mm wide).

    Reference: common corrugation of ISO side walls, 278 mm period.
    """
    half = period_m / 2
    whole, rest = np.divmod(x_m, half)
    flank = half * 68 / 139
    longer = float(np.hypot(1, 36 / 68)) - 1
    return np.asarray(x_m + longer * (whole * flank + np.minimum(rest, flank)), np.float64)


def _paint_polygon(
    polygon: Polygon,
    geometry: Geometry,
    grain: Float32[np.ndarray, "side side"],
    plane: Float32[np.ndarray, "height width"],
) -> bool:
    (y0, y1), count = polygon.y_m, polygon.slices
    amount = np.float32(_CM_PER_M * polygon.density_g_per_cm3 * (y1 - y0) / count)
    painted = False
    for index in range(count):
        depth = y0 + (y1 - y0) * (index + 0.5) / count
        outlines = [
            np.stack([geometry.column(o[:, 0], depth), geometry.row(o[:, 1], depth)], 1)
            for o in polygon.outlines_m
        ]
        left, right = _inside(outlines[0][:, 0], geometry.width_px)
        top, bottom = _inside(outlines[0][:, 1], geometry.height_px)
        if left >= right or top >= bottom:
            continue
        patch = _fill(outlines, (left, top, right, bottom))
        slope = geometry.slope(np.arange(top, bottom) + 0.5)
        patch *= (np.sqrt(1 + slope**2) * amount).astype(np.float32)[:, None]
        if polygon.mottle > 0:
            _mottle(patch, grain, polygon.mottle, (top, left))
        plane[top:bottom, left:right] += patch
        painted = True
    return painted


def _fill(
    outlines: list[Float64[np.ndarray, "_ 2"]], window: tuple[int, int, int, int]
) -> Float32[np.ndarray, "height width"]:
    """Return the share of every pixel of a window that lies inside the outlines.

    OpenCV fills half a pixel too far. Small shapes are therefore drawn finer and scaled to their
    true area, so that a thin barrel keeps its mass.
    """
    left, top, right, bottom = window
    height, width = bottom - top, right - left
    fine = 4 if height * width < _FINE_PIXELS else 1
    canvas = np.zeros((height * fine, width * fine), np.uint8)
    scale = fine * (1 << _SUBPIXEL_BITS)
    half = (1 << _SUBPIXEL_BITS) // 2
    points = [((o - (left, top)) * scale - half).round().astype(np.int32) for o in outlines]
    cv2.fillPoly(canvas, points, 255, cv2.LINE_AA, _SUBPIXEL_BITS)
    mask = np.asarray(canvas, np.float32)
    if fine > 1:
        mask = np.asarray(
            cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA), np.float32
        )
    low, high = outlines[0].min(0), outlines[0].max(0)
    whole = low[0] >= left and low[1] >= top and high[0] <= right and high[1] <= bottom
    drawn = float(mask.sum()) / 255
    share = 1 / 255
    if whole and drawn > 0:
        area = abs(_signed_area(outlines[0])) - sum(abs(_signed_area(o)) for o in outlines[1:])
        share *= min(area / drawn, 1.0)
    return np.asarray(mask * np.float32(share), np.float32)


def _signed_area(outline: Float64[np.ndarray, "n 2"]) -> float:
    x, y = outline.T
    closing = x[-1] * y[0] - y[-1] * x[0]
    return float(np.dot(x[:-1], y[1:]) - np.dot(y[:-1], x[1:]) + closing) / 2


def _grain(rng: np.random.Generator) -> Float32[np.ndarray, "side side"]:
    side = 512
    layers = [
        cv2.resize(
            rng.standard_normal((side // step, side // step), dtype=np.float32),
            (side, side),
            interpolation=cv2.INTER_LINEAR,
        )
        for step in (4, 16, 64)
    ]
    total = np.asarray(sum(layers), np.float32)
    return np.asarray(total / total.std(), np.float32)


def _mottle(
    patch: Float32[np.ndarray, "height width"],
    grain: Float32[np.ndarray, "side side"],
    strength: float,
    origin: tuple[int, int],
) -> None:
    """Multiply a patch by a texture, in place, so that its sum stays what it is."""
    side = len(grain)
    # An offset that depends on the place keeps neighbours from sharing one pattern.
    rows = (np.arange(patch.shape[0]) + origin[0] * 7 + origin[1] * 3) % side
    columns = (np.arange(patch.shape[1]) + origin[1] * 11 + origin[0] * 5) % side
    before = float(patch.sum())
    patch *= np.maximum(
        1 + np.float32(strength) * grain[rows[:, None], columns[None, :]], np.float32(0)
    )
    after = float(patch.sum())
    if after > 0:
        patch *= np.float32(before / after)
