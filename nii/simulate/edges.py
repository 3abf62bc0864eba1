"""Sharpness of a scan without a test object: the straight edges that containers bring along.

A container post is no knife edge, so that an edge on a scan shows at least the blur of the scanner;
the sharpest quarter of the edges is taken as nearest to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from nii.simulate.resolution import Edge, find_edge

_BAND_PX, _HALF_PX = 64, 12
_LEAST_CONTRAST = 0.25
"""Least change at an edge, as a share of white (assumption)."""
_MOST_RESIDUAL_PX = 0.35
_MOST_ROUGH = 0.06
"""Most standard deviation beside an edge, as a share of its contrast (assumption)."""
_FLAT_PX = 6.0
_LEAST_EDGES = 4
_MOST_EDGES = 400
_SHARPEST = 0.25
_SIGMAS_PX = np.geomspace(0.25, 4.0, 60)
_SHIFTS_PX = np.linspace(-0.75, 0.75, 31)
_BIN_PX = 0.25
_GAUSS_MTF50 = float(np.sqrt(np.log(2) / 2) / np.pi)
"""MTF50 in cycles a pixel of a Gaussian blur of one pixel: exp(-2 pi^2 s^2 f^2) = 1/2."""


@dataclass(frozen=True, slots=True)
class Sharpness:
    """Hold the blur along one axis.

    Attributes:
        sigma_px: standard deviation of the Gaussian that fits the sharpest quarter of the edges,
            detector element included.
        edges: edges that were fitted.
    """

    sigma_px: float
    edges: int

    @property
    def mtf50_per_px(self) -> float:
        """Return the frequency at which a Gaussian of this width leaves half the contrast."""
        return _GAUSS_MTF50 / self.sigma_px


def sharpness(plane: Float32[np.ndarray, "height width"], axis: int) -> Sharpness | str:
    """Return the blur along an axis (1 horizontal, 0 vertical), or why it cannot be measured."""
    if min(plane.shape) < _BAND_PX:
        return f"the scan is smaller than {_BAND_PX} pixels"
    turned = plane if axis else np.ascontiguousarray(plane.T)
    white = float(np.quantile(turned[::4, ::4], 0.99))
    widths: list[float] = []
    for row, column in _candidates(turned, white):
        window = turned[row : row + _BAND_PX, column - _HALF_PX : column + _HALF_PX]
        edge = find_edge(window)
        sigma = _sigma(window, edge, white) if edge.residual_px <= _MOST_RESIDUAL_PX else None
        widths += [] if sigma is None else [sigma]
    if len(widths) < _LEAST_EDGES:
        return f"{len(widths)} straight, clean edges in the scan, fewer than {_LEAST_EDGES}"
    return Sharpness(float(np.quantile(widths, _SHARPEST / 2)), len(widths))


def _candidates(plane: Float32[np.ndarray, "height width"], white: float) -> list[tuple[int, int]]:
    """Return first row and middle column of windows with one strong change, strongest first."""
    found: list[tuple[float, int, int]] = []
    for row in range(0, plane.shape[0] - _BAND_PX + 1, _BAND_PX // 2):
        band = plane[row : row + _BAND_PX].mean(0, dtype=np.float64)
        change = np.abs(band[3:] - band[:-3])
        peaks = np.flatnonzero(
            (change[1:-1] >= change[:-2])
            & (change[1:-1] > change[2:])
            & (change[1:-1] > _LEAST_CONTRAST * white)
        )
        for peak in peaks + 1:
            middle = int(peak) + 2
            if _HALF_PX <= middle <= plane.shape[1] - _HALF_PX:
                found.append((float(change[peak]), row, middle))
    return [(row, column) for _, row, column in sorted(found, reverse=True)[:_MOST_EDGES]]


def _sigma(window: Float32[np.ndarray, "height width"], edge: Edge, white: float) -> float | None:
    """Return the width of the Gaussian edge that fits best; None if the sides are not flat."""
    rows, columns = np.indices(window.shape)
    away = (columns - edge.column - edge.slope * rows) / np.hypot(1.0, edge.slope)
    low, high = window[away < -_FLAT_PX], window[away > _FLAT_PX]
    if min(low.size, high.size) < _BAND_PX:
        return None
    contrast = abs(float(high.mean()) - float(low.mean()))
    if contrast < _LEAST_CONTRAST * white or max(low.std(), high.std()) > _MOST_ROUGH * contrast:
        return None
    place, mean = _binned(away, window)
    return _fit(place, mean)


def _binned(
    away: Float64[np.ndarray, "height width"], window: Float32[np.ndarray, "height width"]
) -> tuple[Float64[np.ndarray, " bin"], Float64[np.ndarray, " bin"]]:
    """Return mean distance and mean value in bins across the edge that hold any pixel."""
    near = np.abs(away) < _HALF_PX - 2
    owner = np.floor(away[near] / _BIN_PX).astype(np.int64)
    owner -= owner.min()
    hits = np.bincount(owner)
    used = hits > 0
    place = np.bincount(owner, away[near])[used] / hits[used]
    mean = np.bincount(owner, window[near].astype(np.float64))[used] / hits[used]
    return place, mean


def _fit(place: Float64[np.ndarray, " bin"], mean: Float64[np.ndarray, " bin"]) -> float | None:
    """Return the width of the best a + b * Phi((place - shift) / sigma); None at a limit."""
    u = (place - _SHIFTS_PX[:, None])[None] / _SIGMAS_PX[:, None, None]
    model = _normal(u)
    model -= model.mean(-1, keepdims=True)
    target = mean - mean.mean()
    power = (model**2).sum(-1)
    rest = target @ target - (model @ target) ** 2 / np.maximum(power, 1e-12)
    best = int(np.argmin(rest.min(1)))
    return None if best in {0, len(_SIGMAS_PX) - 1} else float(_SIGMAS_PX[best])


_GRID = np.linspace(-6.0, 6.0, 2401)
_CUMULATIVE = np.cumsum(np.exp(-(_GRID**2) / 2))
_CUMULATIVE /= _CUMULATIVE[-1]


def _normal(u: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """Return the cumulative normal distribution, from a table."""
    return np.asarray(np.interp(u, _GRID, _CUMULATIVE), np.float64)
