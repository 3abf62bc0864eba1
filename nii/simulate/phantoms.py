"""Test objects of the image quality report, as scenes on the detector grid.

All stand in the middle plane of the vehicle, so that a pixel is as wide as the object that it
shows. They are in the style of the objects of ANSI N42.46 and IEC 62523, whose exact dimensions are
not public: the sizes here are assumptions.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64

from nii.detections import Detections
from nii.physics.attenuation import by_name
from nii.simulate.scene import Scene

MATERIALS = ("polyethylene", "aluminium", "steel", "lead")
"""What the test objects are made of: one for each class that dual energy tells apart."""
PE, ALUMINIUM, STEEL, LEAD = range(len(MATERIALS))
ARROW_PX = 60
"""Length of the lead arrow in pixels (science of the field: a square of 60 pixels)."""
ARROW_MM = 100.0
"""Thickness of the arrow: lead that counts as a total absorber (assumption)."""
EDGE_MM = 20.0
"""Thickness of the steel plate of the slanted edge (assumption)."""
SLOT_MM = 50.0
"""Thickness of the steel of the slot gauge (assumption)."""
SLOTS = 4
"""Slots of one group of the gauge (assumption)."""
EDGE_SLOPE = 0.1
"""Pixels that the slanted edge moves from row to row: 5.7 degrees."""
_FIELD, _PLATE = 96, 80
_WIRE_FIELD = (96, 72)
_STRIP_FIELD, STRIP_PX = (96, 64), (60, 16)
_EDGE_FIELD = (128, 64)


def scene_of(
    areal_density_g_per_cm2: Float32[np.ndarray, "material height width"], pitch_mm: float
) -> Scene:
    """Return a scene without vehicle or truth that holds the areal densities of `MATERIALS`."""
    nothing = np.zeros(0, np.float32)
    return Scene(
        areal_density_g_per_cm2=areal_density_g_per_cm2,
        materials=MATERIALS,
        pixel_pitch_mm=(pitch_mm, pitch_mm),
        truth=Detections.empty(),
        load_states=(),
        behind_g_per_cm2=nothing,
        threat_kinds=(),
    )


def air(height_px: int, width_px: int, pitch_mm: float) -> Scene:
    """Return a scene with nothing in it."""
    return scene_of(np.zeros((len(MATERIALS), height_px, width_px), np.float32), pitch_mm)


def g_per_cm2(material: int, thickness_mm: float) -> float:
    """Return the areal density of a solid plate of one of `MATERIALS`."""
    return by_name(MATERIALS[material]).density_g_per_cm3 * thickness_mm / 10


def arrow_mask(quarter_turns: int) -> Bool[np.ndarray, "side side"]:
    """Return where an arrow of `ARROW_PX` lies that points up, turned to the left `quarter_turns`.

    The head is as long as the shaft, and half as wide again as it is long.
    """
    side = ARROW_PX
    drawn = np.zeros((side, side), np.uint8)
    corners = [(0.5, 0), (0.95, 0.5), (0.65, 0.5), (0.65, 1), (0.35, 1), (0.35, 0.5), (0.05, 0.5)]
    cv2.fillPoly(drawn, [np.rint(np.asarray(corners) * (side - 1)).astype(np.int32)], 1)
    return np.rot90(drawn > 0, quarter_turns).copy()


def arrow_field(quarter_turns: int) -> Bool[np.ndarray, "height width"]:
    """Return where the arrow lies in the field of :func:`penetration_object`."""
    margin = (_FIELD - ARROW_PX) // 2
    return np.pad(arrow_mask(quarter_turns), margin)


def plate_field(inset_px: int = 0) -> Bool[np.ndarray, "height width"]:
    """Return where the plate lies in the field of :func:`penetration_object`, less its border."""
    side = _PLATE - 2 * inset_px
    return np.pad(np.ones((side, side), np.bool_), (_FIELD - side) // 2)


def penetration_object(steel_mm: float, quarter_turns: int, pitch_mm: float) -> Scene:
    """Return a lead arrow behind a square plate of steel with open beam around it."""
    grid = np.zeros((len(MATERIALS), _FIELD, _FIELD), np.float32)
    grid[STEEL] = plate_field() * g_per_cm2(STEEL, steel_mm)
    grid[LEAD] = arrow_field(quarter_turns) * g_per_cm2(LEAD, ARROW_MM)
    return scene_of(grid, pitch_mm)


def wire_columns(tangent: float, offset_px: float) -> Float64[np.ndarray, " height"]:
    """Return the column in which the axis of a wire crosses the middle of each row."""
    height, width = _WIRE_FIELD
    rows = np.arange(height) - (height - 1) / 2
    return np.asarray((width - 1) / 2 + offset_px + tangent * rows, np.float64)


def wire_object(
    diameter_mm: float, steel_mm: float, pitch_mm: float, *, tangent: float, offset_px: float
) -> Scene:
    """Return a straight copper wire across a plate of steel that fills the field.

    Args:
        diameter_mm: of the wire; 0 leaves it away.
        steel_mm: thickness of the plate.
        pitch_mm: pixel pitch.
        tangent: columns that the wire moves from row to row.
        offset_px: place of its middle, columns from the middle of the field.
    """
    grid = np.zeros((len(MATERIALS), *_WIRE_FIELD), np.float32)
    grid[STEEL] = g_per_cm2(STEEL, steel_mm)
    cosine = 1 / np.hypot(1.0, tangent)
    columns = np.arange(_WIRE_FIELD[1])[None, :]
    away = (columns - wire_columns(tangent, offset_px)[:, None]) * pitch_mm * cosine
    half = pitch_mm * cosine / 2
    mean_mm = (_chord(away + half, diameter_mm) - _chord(away - half, diameter_mm)) / (2 * half)
    grid[STEEL] += mean_mm / 10 * by_name("copper").density_g_per_cm3
    return scene_of(grid, pitch_mm)


def _chord(
    away_mm: Float64[np.ndarray, "height width"], diameter_mm: float
) -> Float64[np.ndarray, "height width"]:
    """Return the area in mm2 of a disc up to a chord that lies `away_mm` from its middle."""
    radius = diameter_mm / 2
    if radius <= 0:
        return np.zeros_like(away_mm)
    u = np.clip(away_mm / radius, -1, 1)
    area = u * np.sqrt(1 - u**2) + np.arcsin(u) + np.pi / 2
    return np.asarray(radius**2 * area, np.float64)


def strip_field() -> Bool[np.ndarray, "height width"]:
    """Return where the strip of :func:`strip_object` lies."""
    (height, width), (long, wide) = _STRIP_FIELD, STRIP_PX
    return np.pad(
        np.ones(STRIP_PX, np.bool_), (((height - long) // 2,) * 2, ((width - wide) // 2,) * 2)
    )


def strip_object(steel_mm: float, strip_mm: float, pitch_mm: float) -> Scene:
    """Return a strip of steel on a plate of steel that fills the field."""
    grid = np.zeros((len(MATERIALS), *_STRIP_FIELD), np.float32)
    grid[STEEL] = g_per_cm2(STEEL, steel_mm) + strip_field() * np.float32(
        g_per_cm2(STEEL, strip_mm)
    )
    return scene_of(grid, pitch_mm)


def edge_object(axis: int, pitch_mm: float) -> Scene:
    """Return half a field of steel behind a slanted edge.

    Args:
        axis: 1 for an edge across the columns, which shows horizontal blur; 0 across the rows.
        pitch_mm: pixel pitch.
    """
    height, width = _EDGE_FIELD
    rows = (np.arange(height) - (height - 1) / 2)[:, None]
    columns = (np.arange(width) - (width - 1) / 2)[None, :]
    cover = np.clip(columns - EDGE_SLOPE * rows + 0.5, 0, 1)
    return _steel(cover * g_per_cm2(STEEL, EDGE_MM), axis, pitch_mm)


def slot_object(slot_mm: float, axis: int, phase_px: float, pitch_mm: float) -> Scene:
    """Return a block of steel with `SLOTS` open slots, as wide as the bars between them.

    Args:
        slot_mm: width of a slot.
        axis: 1 for slots that follow each other along a row, 0 along a column.
        phase_px: where the first slot begins within a pixel.
        pitch_mm: pixel pitch.
    """
    wide = slot_mm / pitch_mm
    width = int(np.ceil(2 * SLOTS * wide)) + 24
    edges = np.arange(width + 1) - 12 - phase_px
    open_up_to = sum(np.clip(edges - 2 * wide * k, 0, wide) for k in range(SLOTS))
    profile = (1 - np.diff(open_up_to)) * g_per_cm2(STEEL, SLOT_MM)
    return _steel(np.tile(profile, (32, 1)), axis, pitch_mm)


def slot_centres(slot_mm: float, phase_px: float, pitch_mm: float) -> Float64[np.ndarray, " part"]:
    """Return the middles of slots and of the bars between them, in turn, in pixels."""
    wide = slot_mm / pitch_mm
    return 12 + phase_px - 0.5 + wide * (np.arange(2 * SLOTS - 1) + 0.5)


def block_object(
    areal_densities_g_per_cm2: Sequence[float], side_px: int, pitch_mm: float
) -> Scene:
    """Return a wedge of each of `MATERIALS`: a row of square blocks, and a block for each step."""
    count = len(areal_densities_g_per_cm2)
    grid = np.zeros((len(MATERIALS), len(MATERIALS) * side_px, count * side_px), np.float32)
    wedge = np.repeat(np.asarray(areal_densities_g_per_cm2, np.float32), side_px)
    for row in range(len(MATERIALS)):
        grid[row, row * side_px : (row + 1) * side_px] = wedge
    return scene_of(grid, pitch_mm)


def _steel(plane: Float64[np.ndarray, "height width"], axis: int, pitch_mm: float) -> Scene:
    turned = plane if axis else plane.T
    grid = np.zeros((len(MATERIALS), *turned.shape), np.float32)
    grid[STEEL] = turned
    return scene_of(grid, pitch_mm)
