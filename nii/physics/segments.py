"""Segments of one thickness: cut a scan where it steps, measure and decode what lies inside.

One pixel says little about a material; hundreds of pixels of the same thing do. Only the core of a
segment is measured: in a pixel that an edge crosses, the logarithm of the mean transmission is not
the mean attenuation, and everything looks heavier than it is.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32

from nii.physics.dual_energy import Calibration, Decoded, FanCalibration, decode

_DARKEST = 0.5 / 65535
"""Half a grey step: below it there is no logarithm."""
_SECOND_DIFFERENCE = 6.0
"""Variance of x[i-1] - 2 x[i] + x[i+1] for independent x of variance 1."""
_FEWEST_LINES = 5
_SCATTER_REACH_PX = 32
"""How far scatter spreads (assumption, as in `nii.physics.detector`)."""
_SPREAD_PX2 = 0.55
"""Variance of what a pixel sees, in pixels squared: blur of 0.65 px (middle of the range in
`DetectorConfig`) and 1/12 for the pixel itself (assumption for real scans)."""
_UNKNOWN = 1e3
"""Standard deviation of what was not measured: every class is as probable as any other."""


@dataclass(frozen=True, slots=True)
class SegmentConfig:
    """Set how a scan is cut into segments."""

    air: float = 0.02
    """Mean -ln T below which a pixel is air."""
    step: float = 0.02
    """Smallest step of -ln T from pixel to pixel that is an edge, in air."""
    step_behind: float = 0.04
    """What one unit of -ln T adds to `step`: noise grows with what is in the beam."""
    widest_ratio: float = 1.5
    """Largest ratio of -ln T, counted from `step / step_behind` below air, in one segment."""
    smallest_px: int = 60
    """Flat places with fewer pixels join their neighbours."""
    edge_px: int = 2
    """Pixels along the border of a segment that are not measured: blur reaches that far."""
    smallest_core_px: int = 12
    """A segment whose core has fewer pixels is not decoded."""
    calibration_error: float = 2e-3
    """Standard deviation of -ln T that calibration leaves for a whole segment (assumption: gain
    of 0.2 % from module to module, and a segment in one module)."""
    scatter_left: float = 0.005
    """Scattered signal that nothing corrected, as a share of the mean signal around (assumption;
    0.1 to 2 % before correction). It lightens dark places and makes them look heavy."""


def segment(
    transmission: Float32[np.ndarray, "energy height width"],
    config: SegmentConfig = SegmentConfig(),
) -> Int32[np.ndarray, "height width"]:
    """Return a number for every pixel: 0 for air, then 1, 2, … for places of one thickness.

    Flat places (no step of the smoothed attenuation) are the seeds of a watershed that shares out
    the edges between them. A soft slope is cut where its attenuation has changed too much. Two
    materials of equal attenuation that touch are one segment.

    Args:
        transmission: I/I0, open beam is 1.
        config: what an edge is.
    """
    dark = np.maximum(transmission.mean(0), np.float32(_DARKEST))
    smooth = cv2.GaussianBlur(cv2.medianBlur(np.log(dark), 5), (0, 0), 1.0)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)) / 8
    relative = slope / (config.step - config.step_behind * np.minimum(smooth, 0))
    air = -smooth < config.air
    plateaus = _components((relative < 1) & ~air, config.smallest_px)
    seeds = _cut_slopes(plateaus, -smooth, config)
    markers = np.where(air, 1, np.where(seeds > 0, seeds + 1, 0))
    height = np.clip(relative * 40, 0, 255).astype(np.uint8)
    flooded = cv2.watershed(cv2.merge([height] * 3), np.ascontiguousarray(markers, np.int32))
    borders = cv2.dilate(flooded.astype(np.float32), np.ones((3, 3), np.uint8))
    whole = np.where(flooded < 0, borders.astype(np.int32), flooded)
    return np.asarray(np.maximum(whole - 1, 0), np.int32)


def _components(
    mask: Bool[np.ndarray, "height width"], smallest_px: int
) -> Int32[np.ndarray, "height width"]:
    """Return connected places numbered from 1, without those of fewer pixels."""
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=4
    )
    large = np.flatnonzero(statistics[1:, cv2.CC_STAT_AREA] >= smallest_px) + 1
    number = np.zeros(len(statistics), np.int32)
    number[large] = np.arange(1, len(large) + 1)
    return np.asarray(number[labels], np.int32)


def _cut_slopes(
    labels: Int32[np.ndarray, "height width"],
    attenuation: Float32[np.ndarray, "height width"],
    config: SegmentConfig,
) -> Int32[np.ndarray, "height width"]:
    """Return the places cut into bands of attenuation wherever they hold too much of it."""
    cut, count = np.zeros_like(labels), 0
    depth = np.log(np.maximum(attenuation, 0) + config.step / config.step_behind)
    for label in range(1, int(labels.max(initial=0)) + 1):
        inside = labels == label
        low, high = np.percentile(depth[inside], (2, 98))
        bands = max(int(np.ceil((high - low) / np.log(config.widest_ratio))), 1)
        band = np.clip((depth - low) / max(high - low, 1e-6) * bands, 0, bands - 1).astype(int)
        for step in range(bands):
            parts = _components(inside & (band == step), config.smallest_px)
            cut = np.where(parts > 0, parts + count, cut)
            count += int(parts.max())
    return np.asarray(cut, np.int32)


def core(mask: Bool[np.ndarray, "height width"], edge_px: int) -> Bool[np.ndarray, "height width"]:
    """Return the pixels of a mask that lie more than `edge_px` from its border."""
    disc = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * edge_px + 1, 2 * edge_px + 1))
    return np.asarray(cv2.erode(mask.astype(np.uint8), disc) > 0)


def decode_segments(
    transmission: Float32[np.ndarray, "2 height width"],
    labels: Int32[np.ndarray, "height width"],
    calibration: Calibration | FanCalibration,
    config: SegmentConfig = SegmentConfig(),
) -> Decoded:
    """Return what every segment consists of; row k belongs to label k + 1.

    A segment too narrow for a core is not decoded: every class is as probable.
    All that lies in the beam counts, container walls too: see `decode_object` for what is in front.
    With a calibration for the fan each segment is decoded at the angle of its middle row.
    """
    count = int(labels.max(initial=0))
    attenuation, sigma = np.zeros((count, 2)), np.full((count, 2), _UNKNOWN)
    row = np.zeros(count)
    for label in range(1, count + 1):
        inside = core(labels == label, config.edge_px)
        if inside.sum() >= config.smallest_core_px:
            found = measure(transmission, inside, config)
            attenuation[label - 1], sigma[label - 1] = found
            row[label - 1] = _middle_row(inside)
    if isinstance(calibration, Calibration):
        return decode(attenuation, sigma, calibration)
    return _decode_rows(attenuation, sigma, row, calibration)


def _middle_row(inside: Bool[np.ndarray, "height width"]) -> float:
    return float(np.average(np.arange(len(inside)), weights=inside.sum(1)))


def _decode_rows(
    attenuation: Float64[np.ndarray, "n 2"],
    sigma: Float64[np.ndarray, "n 2"],
    row: Float64[np.ndarray, " n"],
    fan: FanCalibration,
) -> Decoded:
    """Return what measurements in different rows say, each by the calibration of its angle."""
    place = np.clip(row.astype(np.int64), 0, len(fan.angles_deg) - 1)
    angle = fan.angles_deg[place]
    groups = [np.flatnonzero(angle == value) for value in np.unique(angle)]
    if not groups:
        return decode(attenuation, sigma, fan.at_row(0))
    parts = [decode(attenuation[g], sigma[g], fan.at_row(float(place[g[0]]))) for g in groups]
    order = np.argsort(np.concatenate(groups))
    joined = {
        entry.name: np.concatenate([getattr(part, entry.name) for part in parts])[order]
        for entry in fields(Decoded)
    }
    return Decoded(**joined)


def decode_object(
    transmission: Float32[np.ndarray, "2 height width"],
    mask: Bool[np.ndarray, "height width"],
    calibration: Calibration | FanCalibration,
    config: SegmentConfig = SegmentConfig(),
) -> Decoded:
    """Return what an object consists of, without what lies behind it, as one row.

    The ring around the object is decoded first. The object is what its core attenuates beyond the
    ring, in a beam that the ring's materials have hardened.

    Raises:
        ValueError: the mask has no core, or it fills the scan so that there is no ring.
    """
    inside = core(mask, config.edge_px)
    whole, whole_sigma = measure(transmission, inside, config)
    around, around_sigma = measure(transmission, ring(mask), config)
    if isinstance(calibration, FanCalibration):
        calibration = calibration.at_row(_middle_row(inside))
    behind = decode(around[None], around_sigma[None], calibration).wedge_g_per_cm2[0]
    sigma = np.hypot(whole_sigma, around_sigma)
    return decode((whole - around)[None], sigma[None], calibration, behind)


def ring(
    mask: Bool[np.ndarray, "height width"], gap_px: int = 2, width_px: int = 6
) -> Bool[np.ndarray, "height width"]:
    """Return the ring around a mask that shows what lies behind it; the gap leaves out its edge."""
    inner, outer = (
        cv2.dilate(
            mask.astype(np.uint8),
            cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)),
        )
        for reach in (gap_px, gap_px + width_px)
    )
    return np.asarray((outer > 0) & (inner == 0))


def measure(
    transmission: Float32[np.ndarray, "energy height width"],
    mask: Bool[np.ndarray, "height width"],
    config: SegmentConfig = SegmentConfig(),
) -> tuple[Float64[np.ndarray, " energy"], Float64[np.ndarray, " energy"]]:
    """Return the mean of -ln T over a mask and its standard deviation, for each energy.

    The noise is taken from the scan itself: from the second differences of the means of rows and
    of columns, so that jitter of a whole row or column counts in full. The bias of the logarithm
    of noisy numbers is taken off; that of steep places, where a pixel mixes thicknesses, is added
    to the standard deviation, as is what scatter and calibration may have left.

    Args:
        transmission: I/I0.
        mask: which pixels to measure.
        config: errors that no averaging removes.

    Raises:
        ValueError: the mask is empty.
    """
    if not mask.any():
        msg = "the mask is empty"
        raise ValueError(msg)
    window, around = _window(mask, 0), _window(mask, _SCATTER_REACH_PX)
    inside = mask[window]
    pairs = []
    for plane in transmission:
        signal = np.maximum(plane[window], _DARKEST).astype(np.float64)
        alpha = -np.log(signal)
        noise = _pixel_variance(alpha, inside)
        lines = [_variance_of_mean(alpha, inside, axis, noise) for axis in (0, 1)]
        scatter = config.scatter_left * float(plane[around].mean() / signal[inside].mean())
        systematic = (config.calibration_error, scatter, _partial_volume(alpha, inside))
        variance = sum(lines) + sum(error**2 for error in systematic)
        pairs.append((alpha[inside].mean() - noise / 2, np.sqrt(variance)))
    found = np.asarray(pairs, np.float64)
    return found[:, 0], found[:, 1]


def _window(mask: Bool[np.ndarray, "height width"], margin_px: int) -> tuple[slice, slice]:
    """Return the rows and columns that a mask touches, and a margin around them."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = max(rows[0] - margin_px, 0), max(columns[0] - margin_px, 0)
    return slice(top, rows[-1] + margin_px + 1), slice(left, columns[-1] + margin_px + 1)


def _pixel_variance(
    alpha: Float64[np.ndarray, "height width"], inside: Bool[np.ndarray, "height width"]
) -> float:
    """Return the variance of one pixel without slow changes; 0 where there are too few."""
    whole = inside[:, :-2] & inside[:, 1:-1] & inside[:, 2:]
    bend = alpha[:, :-2] - 2 * alpha[:, 1:-1] + alpha[:, 2:]
    return float((bend[whole] ** 2).mean() / _SECOND_DIFFERENCE) if whole.any() else 0.0


def _partial_volume(
    alpha: Float64[np.ndarray, "height width"], inside: Bool[np.ndarray, "height width"]
) -> float:
    """Return how much the mean attenuation of blurred pixels is too low on a slope.

    -ln of a mean transmission falls below the mean of -ln T by half the variance of -ln T over what
    a pixel sees: slope^2 times the variance of its point spread and its own width.
    """
    plane = alpha.astype(np.float32)
    across, down = cv2.Sobel(plane, cv2.CV_32F, 1, 0), cv2.Sobel(plane, cv2.CV_32F, 0, 1)
    steepness = (across / 8) ** 2 + (down / 8) ** 2
    return float(steepness[inside].mean()) * _SPREAD_PX2 / 2


def _variance_of_mean(
    alpha: Float64[np.ndarray, "height width"],
    inside: Bool[np.ndarray, "height width"],
    axis: int,
    pixel_variance: float,
) -> float:
    """Return the variance of the mean that the scatter of the lines across `axis` shows."""
    counts = inside.sum(axis)
    full = counts > 0
    if full.sum() < _FEWEST_LINES:
        return pixel_variance / float(inside.sum())
    means = (alpha * inside).sum(axis)[full] / counts[full]
    bend = means[:-2] - 2 * means[1:-1] + means[2:]
    return float((bend**2).mean() / _SECOND_DIFFERENCE / full.sum())
