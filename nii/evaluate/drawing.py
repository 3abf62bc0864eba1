"""Line charts as SVG text, small enough to stand inside a page that works without a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from jaxtyping import Float64

_WIDTH, _HEIGHT = 460, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 18, 12, 44
_MOST_POINTS = 400
"""A curve is thinned to so many points: more than there are pixels gain nothing."""


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: its name, colour (red, green, blue) and points; y lies in 0 to 1.

    With `steps` it holds its value until the next point, as measured rates do. With `quiet` it
    stands in no legend.
    """

    name: str
    colour: tuple[int, int, int]
    x: Float64[np.ndarray, " point"]
    y: Float64[np.ndarray, " point"]
    steps: bool = False
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Axes:
    """Say what the axes mean; x runs from `low` to `high`, on a logarithmic scale if asked."""

    x_label: str
    y_label: str
    low: float = 0.0
    high: float = 1.0
    logarithmic: bool = False

    def __post_init__(self) -> None:
        """Check that the range can be drawn.

        Raises:
            ValueError: it is empty, or reaches zero on a logarithmic axis.
        """
        if not self.low < self.high or (self.logarithmic and self.low <= 0):
            msg = f"an axis from {self.low} to {self.high} cannot be drawn"
            raise ValueError(msg)


def chart(axes: Axes, lines: Sequence[Line]) -> str:
    """Return a chart as an ``<svg>`` element; all names in it are escaped."""
    name = escape(f"{axes.y_label} against {axes.x_label}", quote=True)
    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{name}">',
        *_grid(axes),
        *(_path(axes, line) for line in lines),
        "</svg>",
        _legend(lines),
    ]
    return "\n".join(parts)


def decades(low: float, high: float) -> tuple[float, ...]:
    """Return the powers of ten within a range, ends included."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    return tuple(10.0**power for power in range(first, last + 1))


def _legend(lines: Sequence[Line]) -> str:
    items = [
        f'<li><i style="background:rgb{line.colour}"></i>{escape(line.name)}</li>'
        for line in lines
        if not line.quiet
    ]
    return f'<ul class="legend">{"".join(items)}</ul>' if len(lines) > 1 else ""


def _grid(axes: Axes) -> list[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    for value in np.linspace(0, 1, 6):
        y = _y(float(value))
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.1f}</text>')
    for value in _ticks(axes):
        x = _x(axes, value)
        parts.append(f'<path class="grid" d="M{x:.1f} {_TOP}V{bottom}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{value:g}</text>')
    middle_x, middle_y = (_LEFT + right) / 2, (_TOP + bottom) / 2
    parts.append(
        f'<text x="{middle_x}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(axes.x_label)}</text>'
    )
    parts.append(
        f'<text transform="translate(12 {middle_y}) rotate(-90)" text-anchor="middle">'
        f"{escape(axes.y_label)}</text>"
    )
    return parts


def _ticks(axes: Axes) -> tuple[float, ...]:
    if axes.logarithmic:
        return decades(axes.low, axes.high)
    return tuple(float(value) for value in np.linspace(axes.low, axes.high, 6))


def _path(axes: Axes, line: Line) -> str:
    x, y = _thinned(line)
    corners: list[str] = []
    last = None
    for place, height in zip(x, y, strict=True):
        column, row = _x(axes, float(place)), _y(float(height))
        if line.steps and last is not None:
            corners.append(f"{column:.1f} {last:.1f}")
        corners.append(f"{column:.1f} {row:.1f}")
        last = row
    if line.steps and last is not None:
        corners.append(f"{_WIDTH - _RIGHT} {last:.1f}")
    if not corners:
        return ""
    return f'<path class="line" stroke="rgb{line.colour}" d="M{"L".join(corners)}"/>'


def _thinned(line: Line) -> tuple[np.ndarray, np.ndarray]:
    count = len(line.x)
    if count <= _MOST_POINTS:
        return line.x, line.y
    chosen = np.unique(np.linspace(0, count - 1, _MOST_POINTS).astype(np.int64))
    return line.x[chosen], line.y[chosen]


def _x(axes: Axes, value: float) -> float:
    low, high = axes.low, axes.high
    inside = min(max(value, low), high)
    if axes.logarithmic:
        share = math.log(inside / low) / math.log(high / low)
    else:
        share = (inside - low) / (high - low)
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _y(value: float) -> float:
    return _TOP + (1 - value) * (_HEIGHT - _TOP - _BOTTOM)
