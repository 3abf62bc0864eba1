"""Open beam of a scan: where it is, how even it is, and what a scan has lost to white or black.

These measures need no test object, so that they run on every scan as a daily check. What a scan
does not show is not measured: the reason is given instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64

from nii.scan import Grey, Scan

_LEAST_OPEN = {Grey.TRANSMISSION: 0.9, Grey.DISPLAY: 0.8}
"""The open beam is at least so bright: two container walls pass 0.87 (assumption)."""
_BAND = 0.04
"""Pixels this near to the level of the air belong to it (assumption)."""
_BORDER_PX = 9
"""Air so near to anything else is left out: scatter and blur (assumption)."""
_LEAST_SHARE = 0.02
_COMMON_SHARE = 0.01
_LEAST_PIXELS = 16
_CLIPPED_SHARE = 0.5
_OBJECT = 0.8
_CUT_SHARE = 0.03
_DARK = {Grey.TRANSMISSION: 3.5 / 65535, Grey.DISPLAY: 2.5 / 255}
"""A pixel below has lost its content: electronic noise, or the last of 8 bits (assumption)."""
_BLOCK_PX = 32
_EDGE = slice(3, 6)
"""Columns at which a cut is looked for: those before them may be smeared by a dead margin."""
_BLACK_MARGIN, _BLACK_SHARE = 0.1, 0.9
"""So much of a column of a dead margin is so near to black (assumption)."""


@dataclass(frozen=True, slots=True)
class Air:
    """Hold the open beam of one plane.

    Attributes:
        level: its most common value.
        mask: where it is, away from objects and dead margins.
    """

    level: float
    mask: Bool[np.ndarray, "height width"]


@dataclass(frozen=True, slots=True)
class Evenness:
    """Hold how even the open beam is; all in percent of its level.

    Attributes:
        noise: standard deviation from pixel to pixel, without stripes.
        row_stripes: standard deviation of the rows that noise does not explain.
        column_stripes: the same of the columns.
        uneven: standard deviation of blocks of 32 pixels.
        drift: change from the first to the last eighth of the columns with air.
        rows: deviation of every row; nan where a row has too little air.
        columns: deviation of every column.
    """

    noise: float
    row_stripes: float
    column_stripes: float
    uneven: float
    drift: float
    rows: Float64[np.ndarray, " height"]
    columns: Float64[np.ndarray, " width"]


def find_air(plane: Float32[np.ndarray, "height width"], grey: Grey) -> Air | str:
    """Return the open beam of a plane, or the reason why there is none to measure."""
    smooth = cv2.blur(plane, (5, 5))
    level = _brightest_mode(plane)
    if level < _LEAST_OPEN[grey]:
        return f"no open beam: the brightest part of some size is at {level:.2f} of white"
    near = (np.abs(smooth - level) <= _BAND * level) & ~_dead(plane)
    mask = _touching_border(near, _LEAST_SHARE / 4)
    # Air above reaches as far as the border of the picture, so that only inner borders are cut.
    kernel = np.ones((_BORDER_PX, _BORDER_PX), np.uint8)
    mask = cv2.erode(mask, kernel, borderValue=1)
    kept = np.asarray(mask > 0, np.bool_) & ~_dead(plane)
    share = float(kept.mean())
    if share < _LEAST_SHARE:
        return f"no open beam: it covers {share:.1%} of the scan, less than {_LEAST_SHARE:.0%}"
    return Air(level, kept)


def evenness(plane: Float32[np.ndarray, "height width"], air: Air) -> Evenness | str:
    """Return how even the open beam is, or the reason why that cannot be told."""
    values = plane[air.mask]
    _, counts = np.unique(values, return_counts=True)
    share = float(counts.max() / len(values))
    if share > _CLIPPED_SHARE:
        return (
            f"{share:.0%} of the open beam has one grey value: it is clipped, or the steps coarse"
        )
    relative = np.where(air.mask, plane / np.float32(air.level), np.float32(0))
    rows, columns = _effects(relative, air.mask)
    noise = _pixel_noise(relative, air.mask)
    return Evenness(
        noise=100 * noise,
        row_stripes=100 * _stripes(rows, air.mask.sum(1), noise),
        column_stripes=100 * _stripes(columns, air.mask.sum(0), noise),
        uneven=100 * _block_spread(relative, air.mask, noise),
        drift=100 * _drift(columns),
        rows=100 * rows,
        columns=100 * columns,
    )


class Losses(NamedTuple):
    """Hold what a scan has lost; shares in percent.

    Attributes:
        saturated: pixels at the largest value, which more than one pixel in a thousand has.
        dark: pixels of the object that are as good as black.
        cut_sides: sides at which the object runs out of the picture, of left and right.
        cut_top: whether it does so at the top.
    """

    saturated: float
    dark: float
    cut_sides: tuple[str, ...]
    cut_top: bool


def losses(scan: Scan, plane: Float32[np.ndarray, "height width"]) -> Losses:
    """Return what a scan has lost to white, to black and beyond its borders."""
    smooth = cv2.blur(plane, (5, 5))
    level = max(_brightest_mode(plane), _OBJECT)
    dead = _dead(plane)
    inside = np.asarray(smooth < _OBJECT * level, np.bool_) & ~dead
    dark = float((plane[inside] < _DARK[scan.grey]).mean()) if inside.any() else 0.0
    top = float((plane == plane.max()).mean()) if plane.max() >= _LEAST_OPEN[scan.grey] else 0.0
    seen = inside[:, live_columns(plane)]
    ends = {"left": seen[:, _EDGE], "right": seen[:, ::-1][:, _EDGE]} if seen.size else {}
    cut = tuple(name for name, part in ends.items() if part.any(1).mean() > _CUT_SHARE)
    above = bool(inside[:3].any(0).mean() > _CUT_SHARE)
    return Losses(100 * top if top > 1e-3 else 0.0, 100 * dark, cut, above)  # noqa: PLR2004


def _brightest_mode(plane: Float32[np.ndarray, "height width"]) -> float:
    """Return the brightest value that a hundredth of the plane lies near to.

    An empty container may fill more of a scan than the air around it, but air is brighter. Dead
    margins do not count.
    """
    smooth = cv2.blur(plane, (5, 5))[~_dead(plane)]
    if not len(smooth):
        return 0.0
    highest = float(np.quantile(smooth[::7], 0.999))
    counts, edges = np.histogram(smooth, 40, (0.8 * highest, 1.0001 * highest + 1e-6))
    share = np.convolve(counts, np.ones(3), "same") / len(smooth)
    peaks = (share >= np.append(share[1:], 0)) & (share > np.append(0, share[:-1]))
    common = np.flatnonzero(peaks & (share > _COMMON_SHARE))
    best = int(common[-1]) if len(common) else int(np.argmax(share))
    return float((edges[best] + edges[best + 1]) / 2)


def live_columns(plane: Float32[np.ndarray, "height width"]) -> slice:
    """Return the columns between dead margins at the left and right end.

    A margin is one value throughout, or black but for the specks that compression leaves.
    """
    black = (plane < _BLACK_MARGIN).mean(0) > _BLACK_SHARE
    live = np.flatnonzero((plane.max(0) > plane.min(0)) & ~black)
    return slice(int(live[0]), int(live[-1]) + 1) if len(live) else slice(0, 0)


def _dead(plane: Float32[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """Return the pixels of dead margins."""
    dead = np.ones(plane.shape, np.bool_)
    dead[:, live_columns(plane)] = False
    return dead


def _touching_border(near: Bool[np.ndarray, "height width"], least_share: float) -> np.ndarray:
    """Return the large connected parts that reach the top, left or right border, as 0 and 1."""
    count, labels, facts, _ = cv2.connectedComponentsWithStats(near.astype(np.uint8))
    height, width = near.shape
    x, y, wide, _, area = facts.T
    kept = (area >= least_share * height * width) & ((y == 0) | (x == 0) | (x + wide == width))
    kept[0] = False
    return np.asarray(kept[:count].astype(np.uint8)[labels])


def _effects(
    relative: Float32[np.ndarray, "height width"], mask: Bool[np.ndarray, "height width"]
) -> tuple[Float64[np.ndarray, " height"], Float64[np.ndarray, " width"]]:
    """Return the deviation of every row and every column of the air from 1.

    Rows see the air of different columns, so the two are separated by turns (two-way fit).
    """
    weight = mask.astype(np.float64)
    rows: Float64[np.ndarray, " height"] = np.zeros(len(mask))
    columns: Float64[np.ndarray, " width"] = np.zeros(mask.shape[1])
    row_counts, column_counts = weight.sum(1), weight.sum(0)
    row_sums = relative.sum(1, dtype=np.float64) - row_counts
    column_sums = relative.sum(0, dtype=np.float64) - column_counts
    for _ in range(5):
        rows = (row_sums - weight @ columns) / np.maximum(row_counts, 1)
        columns = (column_sums - rows @ weight) / np.maximum(column_counts, 1)
    rows[row_counts < _LEAST_PIXELS] = np.nan
    columns[column_counts < _LEAST_PIXELS] = np.nan
    return rows, columns


def _pixel_noise(
    relative: Float32[np.ndarray, "height width"], mask: Bool[np.ndarray, "height width"]
) -> float:
    """Return the noise from squares of 2 x 2 pixels, in which stripes of both kinds cancel."""
    twice = relative[1:, 1:] - relative[1:, :-1] - relative[:-1, 1:] + relative[:-1, :-1]
    whole = mask[1:, 1:] & mask[1:, :-1] & mask[:-1, 1:] & mask[:-1, :-1]
    return float(twice[whole].std() / 2) if whole.any() else float("nan")


def _stripes(effects: Float64[np.ndarray, " n"], counts: np.ndarray, noise: float) -> float:
    """Return the standard deviation of lines less a smooth trend and less their own noise."""
    known = np.flatnonzero(np.isfinite(effects))
    if len(known) < _LEAST_PIXELS:
        return float("nan")
    place = (known - known.mean()) / len(effects)
    rest = effects[known] - np.polyval(np.polyfit(place, effects[known], 2), place)
    own = float(np.mean(noise**2 / counts[known]))
    return float(np.sqrt(max(float(rest.var()) - own, 0.0)))


def _block_spread(
    relative: Float32[np.ndarray, "height width"],
    mask: Bool[np.ndarray, "height width"],
    noise: float,
) -> float:
    """Return the standard deviation of the means of blocks that are air throughout."""
    height, width = (side // _BLOCK_PX * _BLOCK_PX for side in mask.shape)
    shape = (height // _BLOCK_PX, _BLOCK_PX, width // _BLOCK_PX, _BLOCK_PX)
    whole = mask[:height, :width].reshape(shape).all((1, 3))
    means = relative[:height, :width].reshape(shape).mean((1, 3), dtype=np.float64)[whole]
    if len(means) < 2:  # noqa: PLR2004
        return float("nan")
    return float(np.sqrt(max(float(means.var()) - (noise / _BLOCK_PX) ** 2, 0.0)))


def _drift(columns: Float64[np.ndarray, " width"]) -> float:
    known = columns[np.isfinite(columns)]
    eighth = len(known) // 8
    if eighth < 4:  # noqa: PLR2004
        return float("nan")
    return float(known[-eighth:].mean() - known[:eighth].mean())


def power_spectrum(
    effects: Float64[np.ndarray, " n"],
) -> tuple[Float64[np.ndarray, " point"], Float64[np.ndarray, " point"]]:
    """Return frequency in cycles a pixel and power of row or column deviations, in 32 bands.

    The power of all bands adds up to the variance of the deviations, trend left out; lines without
    air count as 0.
    """
    known = np.isfinite(effects)
    place = np.arange(len(effects)) / len(effects)
    rest = np.zeros(len(effects))
    if known.sum() > _LEAST_PIXELS:
        trend = np.polyval(np.polyfit(place[known], effects[known], 2), place)
        rest[known] = (effects - trend)[known]
    power = np.abs(np.fft.rfft(rest)[1:]) ** 2 * 2 / (len(rest) * max(int(known.sum()), 1))
    frequency = np.fft.rfftfreq(len(rest))[1:]
    owner = np.minimum((frequency * 64).astype(np.int64), 31)
    return (np.arange(32) + 0.5) / 64, np.bincount(owner, power, 32)
