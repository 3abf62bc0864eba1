"""Control charts as SVG text: a daily number, its limits, and the days outside them.

Nothing in a chart is told by colour alone: days outside the limits are diamonds, limits are dashed,
the reference days lie on another ground.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape

import numpy as np
from jaxtyping import Float64

from nii.evaluate.control import Chart

WIDTH, HEIGHT = 960, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 14, 34
_MOST_DAY_LABELS = 7
_FEW = 100
"""So many days are marked one by one; more would hide the line."""
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Drawing:
    """Say what is drawn.

    Attributes:
        title: for those who cannot see the chart.
        days: one for each value.
        values: what was measured on each day.
        chart: limits, and a line through the days; None where there are too few for limits.
        say_value: writes a value of the y axis.
        say_day: writes a day of the x axis.
    """

    title: str
    days: Sequence[date]
    values: Float64[np.ndarray, " day"]
    chart: Chart | None
    say_value: Callable[[float], str]
    say_day: Callable[[date], str]


def draw(drawing: Drawing) -> str:
    """Return the chart as an ``<svg>`` element without style of its own; texts are escaped."""
    scale = _Scale.of(drawing)
    title = escape(drawing.title, quote=True)
    head = f'<svg class="control" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">'
    return "\n".join(
        [
            head,
            *_reference(drawing, scale),
            *_grid(drawing, scale),
            *_lines(drawing, scale),
            "</svg>",
        ]
    )


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers within a range, at most about so many."""
    if high <= low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in _STEPS if power * each >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [step * k for k in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class _Scale:
    first: int
    last: int
    low: float
    high: float

    @classmethod
    def of(cls, drawing: Drawing) -> _Scale:
        """Make room for every value and every limit; the axis starts at zero where it can."""
        shown = [drawing.values]
        if drawing.chart is not None:
            shown += [drawing.chart.low, drawing.chart.high, drawing.chart.values]
        everything = np.concatenate(shown) if drawing.days else np.zeros(1)
        low, high = min(0.0, float(everything.min())), float(everything.max())
        high = high if high > low else low + 1.0
        days = [day.toordinal() for day in drawing.days] or [0]
        return cls(min(days), max(*days, min(days) + 1), low, high + 0.05 * (high - low))

    def x(self, day: int) -> float:
        """Return the column of a day."""
        share = (day - self.first) / (self.last - self.first)
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Return the row of a value."""
        share = (value - self.low) / (self.high - self.low)
        return _TOP + (1 - share) * (HEIGHT - _TOP - _BOTTOM)


def _reference(drawing: Drawing, scale: _Scale) -> list[str]:
    if drawing.chart is None:
        return []
    last = drawing.days[drawing.chart.reference - 1].toordinal()
    wide = scale.x(last) - _LEFT
    size = f'width="{wide:.1f}" height="{HEIGHT - _TOP - _BOTTOM}"'
    return [f'<rect class="reference" x="{_LEFT}" y="{_TOP}" {size}/>']


def _grid(drawing: Drawing, scale: _Scale) -> list[str]:
    parts = []
    for value in ticks(scale.low, scale.high):
        y = scale.y(value)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>')
        text = escape(drawing.say_value(value))
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    count = min(_MOST_DAY_LABELS, len(drawing.days))
    for place in np.unique(np.linspace(0, len(drawing.days) - 1, count).round().astype(int)):
        day = drawing.days[int(place)]
        x = scale.x(day.toordinal())
        anchor = "start" if place == 0 else "end" if place == len(drawing.days) - 1 else "middle"
        text = escape(drawing.say_day(day))
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 10}" text-anchor="{anchor}">{text}</text>')
    return parts


def _lines(drawing: Drawing, scale: _Scale) -> list[str]:
    days = [day.toordinal() for day in drawing.days]
    if not days:
        return []
    chart = drawing.chart
    parts = []
    if chart is not None:
        centre = np.full(len(days), chart.centre)
        parts += [_path("centre", days, centre, scale)]
        parts += [_path("limit", days, each, scale) for each in (chart.low, chart.high)]
        parts += [_path("value", days, chart.values, scale)]
    smoothed = chart is not None and not np.array_equal(chart.values, drawing.values)
    if chart is None:
        parts += [_path("value", days, drawing.values, scale)]
    for place, (day, value) in enumerate(zip(days, drawing.values.tolist(), strict=True)):
        x, y = scale.x(day), scale.y(value)
        if smoothed or len(days) <= _FEW:
            parts.append(f'<circle class="day" cx="{x:.1f}" cy="{y:.1f}" r="2"/>')
        if chart is not None and chart.out[place]:
            y = scale.y(float(chart.values[place]))
            corners = f"M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z"
            parts.append(f'<path class="out" d="{corners}"/>')
    return parts


def _path(
    name: str, days: Sequence[int], values: Float64[np.ndarray, " day"], scale: _Scale
) -> str:
    corners = "L".join(
        f"{scale.x(day):.1f} {scale.y(value):.1f}"
        for day, value in zip(days, values.tolist(), strict=True)
    )
    return f'<path class="{name}" d="M{corners}"/>'
