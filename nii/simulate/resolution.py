"""Resolution: how fast contrast is lost with spatial frequency, on slanted edges and on slots.

The slanted edge crosses the pixels at all phases, so the spread of an edge is known at a quarter of
a pixel. What it gives is the modulation transfer (MTF) of detector element and blur together.

Reference:
    ISO 12233: slanted-edge spatial frequency response.
    Samei, Flynn and Reimann, Med. Phys. 25 (1998) 102: MTF from an angled edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from nii.simulate import phantoms
from nii.simulate.scanner import ScannerConfig, acquire

NYQUIST_PER_PX = 0.5
"""Finest pattern that pixels can carry, in cycles a pixel."""
_BINS_A_PX = 4
_REACH_PX = 12.0
_LEAST_SHIFT_PX = 1.0
_EDGE_DRAWS = 8
_SLOT_DRAWS = 4
_PHASES = (0.0, 0.25, 0.5, 0.75)
SLOTS_MM = (2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0)
"""Widths of the slots of the gauge (assumption)."""
_SLOT_DEPTH = 0.1
"""Least dip between slots as a share of the full contrast: the eye needs about so much (Rayleigh
asks for 0.19, the common limit of an MTF is 0.1)."""


@dataclass(frozen=True, slots=True)
class Mtf:
    """Hold one modulation transfer function up to the limit of the pixels (Nyquist).

    Attributes:
        frequency_per_px: cycles a pixel.
        modulation: share of the contrast that is left; 1 at frequency 0.
    """

    frequency_per_px: Float64[np.ndarray, " point"]
    modulation: Float64[np.ndarray, " point"]

    def frequency_at(self, modulation: float) -> float:
        """Return the frequency in cycles a pixel from which less than this is left; at most 0.5."""
        below = np.flatnonzero(self.modulation < modulation)
        if not len(below):
            return float(self.frequency_per_px[-1])
        last = int(below[0])
        return float(
            np.interp(
                modulation,
                self.modulation[[last, last - 1]],
                self.frequency_per_px[[last, last - 1]],
            )
        )


@dataclass(frozen=True, slots=True)
class Edge:
    """Hold the place of a straight edge that crosses the columns of a window.

    Attributes:
        column: where it crosses the first row, in pixels.
        slope: columns a row.
        residual_px: root mean square distance of the edge of single rows from the line.
    """

    column: float
    slope: float
    residual_px: float


def find_edge(window: Float32[np.ndarray, "height width"]) -> Edge:
    """Fit a line through the places where the rows of a window change most."""
    rows = np.arange(window.shape[0])
    change = np.abs(np.diff(window.astype(np.float64), axis=1))
    columns = np.arange(change.shape[1]) + 0.5
    middle: Float64[np.ndarray, " height"] = np.full(len(rows), columns[change.mean(0).argmax()])
    line, reach = np.zeros(2), max(window.shape[1] / 3, 3.0)
    centre = middle
    for _ in range(3):
        weight = change * (np.abs(columns[None, :] - middle[:, None]) <= reach)
        total = weight.sum(1)
        usable = total > 0
        centre = np.where(usable, (weight @ columns) / np.where(usable, total, 1), middle)
        line = np.polyfit(rows[usable], centre[usable], 1) if usable.sum() > 1 else line
        middle = np.polyval(line, rows)
        reach = max(reach / 2, 3.0)
    residual = float(np.sqrt(np.mean((centre - middle) ** 2)))
    return Edge(float(line[1]), float(line[0]), residual)


def edge_spread(
    window: Float32[np.ndarray, "height width"], edge: Edge
) -> Float64[np.ndarray, " bin"] | None:
    """Return the mean profile across an edge in quarter pixels, rising; None if it is not slanted.

    An edge along the pixels shows the same few phases in all rows, and nothing between them.
    """
    height, width = window.shape
    rows, columns = np.arange(height)[:, None], np.arange(width)[None, :]
    if abs(edge.slope) * height < _LEAST_SHIFT_PX:
        return None
    away = (columns - edge.column - edge.slope * rows) / np.hypot(1.0, edge.slope)
    count = int(2 * _REACH_PX * _BINS_A_PX)
    owner = np.floor((away + _REACH_PX) * _BINS_A_PX).astype(np.int64)
    inside = (owner >= 0) & (owner < count)
    hits = np.bincount(owner[inside], minlength=count)
    if (hits == 0).any():
        return None
    sums = np.bincount(owner[inside], window[inside].astype(np.float64), count)
    spread = sums / hits
    return spread if spread[-1] > spread[0] else spread[::-1].copy()


def mtf_of_spread(spread: Float64[np.ndarray, " bin"]) -> Mtf:
    """Return the MTF of the profile of an edge in quarter pixels.

    The line spread is weighted by a Tukey window (flat over the inner half, then a cosine), and
    what the bins and the difference of neighbours blur is undone.
    """
    line = np.diff(spread)
    outer = np.abs(np.linspace(-2, 2, len(line))).clip(1, 2) - 1
    line *= (1 + np.cos(np.pi * outer)) / 2
    padded = np.zeros(1024)
    padded[: len(line)] = line
    frequency = np.fft.rfftfreq(len(padded), 1 / _BINS_A_PX)
    modulation = np.abs(np.fft.rfft(padded)) / abs(line.sum())
    modulation /= np.sinc(frequency / _BINS_A_PX) ** 2
    kept = frequency <= NYQUIST_PER_PX
    return Mtf(frequency[kept], modulation[kept])


def edge_mtf(image: Float32[np.ndarray, "height width"], axis: int) -> Mtf | None:
    """Return the MTF along an axis of an image with one slanted edge; None if it is not slanted.

    Args:
        image: transmission, proportional to the signal.
        axis: 1 for the horizontal MTF, of an edge across the columns; 0 for the vertical one.
    """
    window = image if axis else np.ascontiguousarray(image.T)
    spread = edge_spread(window, find_edge(window))
    return None if spread is None else mtf_of_spread(spread)


def phantom_mtf(scanner: ScannerConfig, axis: int, pitch_mm: float, seed: int) -> Mtf:
    """Return the MTF of a scanner from the mean of some scans of the slanted edge."""
    scene = phantoms.edge_object(axis, pitch_mm)
    scans = [
        acquire(scene, scanner, np.random.default_rng((seed, draw))).transmission[0]
        for draw in range(_EDGE_DRAWS)
    ]
    found = edge_mtf(np.asarray(np.mean(scans, axis=0), np.float32), axis)
    if found is None:
        msg = "the slanted edge of the test object was not found slanted"
        raise RuntimeError(msg)
    return found


def slot_depth(slot_mm: float, scanner: ScannerConfig, axis: int, pitch_mm: float) -> float:
    """Return the weakest contrast between a slot and a bar beside it, as a share of the full one.

    It is the weakest over all slots and over four places of the gauge within a pixel: what a gauge
    shows depends on how it happens to lie. Values below 0 mean that slots and bars change places.
    """
    weakest = []
    for phase in _PHASES:
        scene = phantoms.slot_object(slot_mm, axis, phase, pitch_mm)
        scans = [
            acquire(scene, scanner, np.random.default_rng((draw, axis))).transmission[0]
            for draw in range(_SLOT_DRAWS)
        ]
        profile = np.mean(scans, axis=0, dtype=np.float64).mean(0 if axis else 1)
        centres = np.rint(phantoms.slot_centres(slot_mm, phase, pitch_mm)).astype(int)
        parts = profile[centres]
        dips = np.minimum(parts[:-2:2], parts[2::2]) - parts[1::2]
        weakest.append(float(dips.min() / (1 - profile[:8].mean())))
    return min(weakest)


def finest_slot_mm(depths: Sequence[float]) -> float | None:
    """Return the narrowest of `SLOTS_MM` that is resolved, as all wider ones are; None if none."""
    finest = None
    for width, depth in zip(reversed(SLOTS_MM), reversed(depths), strict=True):
        if depth < _SLOT_DEPTH:
            break
        finest = width
    return finest
