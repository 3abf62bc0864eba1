"""Where a point of the world lands on the scan: a vertical fan of rays, swept along the vehicle.

World coordinates in metres: x along the vehicle, y across it (0 in the middle, negative towards the
source), z up from the ground. The source stands at y = -`source_distance_m`. Heights are measured
in the middle plane y = 0; what is nearer to the source is magnified. A distance of 1e6 m is a
parallel beam. A full model of an L-shaped array replaces :meth:`Geometry.row` and
:meth:`Geometry.slope`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64

PARALLEL_M = 1e6
"""Distance of the source that stands for a parallel beam."""


@dataclass(frozen=True, slots=True)
class Fan:
    """Say how the ray of each row lies to the axis of the beam.

    Attributes:
        rows: rows of the scan.
        top: rise of the ray at the upper edge of the first row, in metres of z a metre of y.
        bottom: rise of the ray at the lower edge of the last row.
        axis_deg: angle between the axis of the beam and the ground.
    """

    rows: int
    top: float
    bottom: float
    axis_deg: float

    def angle_deg(self) -> Float32[np.ndarray, " rows"]:
        """Return the angle between the axis and the ray through the middle of each row."""
        share = (np.arange(self.rows) + 0.5) / self.rows
        rise = self.top + (self.bottom - self.top) * share
        return np.asarray(np.degrees(np.arctan(rise)) - self.axis_deg, np.float32)

    def window(self, top: int, rows: int) -> Fan:
        """Return the rays of `rows` rows from row `top` on."""
        step = (self.bottom - self.top) / self.rows
        return Fan(rows, self.top + top * step, self.top + (top + rows) * step, self.axis_deg)


@dataclass(frozen=True, slots=True)
class Geometry:
    """Describe the projection from the world to pixels.

    Attributes:
        height_px: rows of the scan.
        width_px: columns of the scan.
        pitch_m: distance of neighbouring pixels at y = 0, (vertical, horizontal).
        left_m: x at the left edge of column 0; its right edge where `mirrored`.
        top_m: height in the middle plane at the upper edge of row 0.
        source_distance_m: from the source to the middle plane.
        source_height_m: height of the source above ground.
        skew: columns that one metre of depth shifts to the right, in metres (tangent of the angle
            between the fan and the normal of the vehicle's side).
        mirrored: whether x points left on the scan (the vehicle drives the other way).
        sag_px: downward shift of every column: slope, sway and uneven ground.
    """

    height_px: int
    width_px: int
    pitch_m: tuple[float, float]
    left_m: float
    top_m: float
    source_distance_m: float
    source_height_m: float
    skew: float
    mirrored: bool
    sag_px: Float32[np.ndarray, " width"]

    def column(
        self, x_m: Float64[np.ndarray, " n"], y_m: Float64[np.ndarray, " n"] | float
    ) -> Float64[np.ndarray, " n"]:
        """Return column coordinates; column 0 reaches from 0 to 1."""
        along = (self.left_m - x_m) if self.mirrored else (x_m - self.left_m)
        return np.asarray((along + self.skew * np.asarray(y_m)) / self.pitch_m[1], np.float64)

    def row(
        self, z_m: Float64[np.ndarray, " n"], y_m: Float64[np.ndarray, " n"] | float
    ) -> Float64[np.ndarray, " n"]:
        """Return row coordinates before sag; row 0 reaches from 0 to 1."""
        magnification = self.source_distance_m / (self.source_distance_m + np.asarray(y_m))
        seen = self.source_height_m + (z_m - self.source_height_m) * magnification
        return np.asarray((self.top_m - seen) / self.pitch_m[0], np.float64)

    def slope(self, row: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
        """Return the rise of the ray through a row, in metres of z a metre of y; never quite 0."""
        seen = self.top_m - row * self.pitch_m[0]
        rise = (seen - self.source_height_m) / self.source_distance_m
        return np.where(np.abs(rise) < 1e-9, 1e-9, rise)  # noqa: PLR2004

    def fan(self) -> Fan:
        """Return the rays of the rows; the axis of the beam points at the middle of the array.

        That the source is aimed so is an assumption.
        """
        top, bottom = self.slope(np.asarray([0.0, self.height_px]))
        axis = np.degrees(np.arctan([top, bottom])).mean()
        return Fan(self.height_px, float(top), float(bottom), float(axis))

    def box(
        self, x_m: tuple[float, float], y_m: tuple[float, float], z_m: tuple[float, float]
    ) -> tuple[float, float, float, float]:
        """Return x0, y0, x1, y1 in pixels of a cuboid, sag included, not cut to the scan."""
        corners = np.array([(x, y, z) for x in x_m for y in y_m for z in z_m], np.float64)
        columns = self.column(corners[:, 0], corners[:, 1])
        rows = self.row(corners[:, 2], corners[:, 1])
        left, right = float(columns.min()), float(columns.max())
        first = min(max(int(left), 0), self.width_px - 1)
        last = min(max(int(right), first + 1), self.width_px)
        sag = self.sag_px[first:last]
        return (
            left,
            float(rows.min()) + float(sag.min()),
            right,
            float(rows.max()) + float(sag.max()),
        )

    def window(self, top: int, left: int, height: int, width: int) -> Geometry:
        """Return the geometry of a part of the scan, given in pixels."""
        direction = -1 if self.mirrored else 1
        return replace(
            self,
            height_px=height,
            width_px=width,
            left_m=self.left_m + direction * left * self.pitch_m[1],
            top_m=self.top_m - top * self.pitch_m[0],
            sag_px=self.sag_px[left : left + width],
        )
