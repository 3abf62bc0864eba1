"""Charts as SVG text and pictures as data addresses, for the image quality report.

`nii.evaluate.drawing` draws rates between 0 and 1 and lives a floor above; here y has any range.
"""

from __future__ import annotations

import base64
import math
from html import escape

import cv2
import numpy as np

from nii.simulate.quality import Chart, Curve, Picture

_WIDTH, _HEIGHT = 460, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 12, 44
_COLOURS = ("#0b5c8e", "#d98200")
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


def chart(drawn: Chart) -> str:
    """Return a chart as an ``<svg>`` element with a legend; all names in it are escaped."""
    xs = np.concatenate([curve.x for curve in drawn.curves])
    ys = np.concatenate([curve.y for curve in drawn.curves])
    across, up = ticks(float(xs.min()), float(xs.max())), ticks(min(0.0, float(ys.min())), ys.max())
    name = escape(f"{drawn.title}: {drawn.y_label} against {drawn.x_label}", quote=True)
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{name}">',
        *_grid(across, up),
        _label(f'x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 8}"', drawn.x_label),
        _label(f'transform="translate(12 {middle}) rotate(-90)"', drawn.y_label),
        *(_line(curve, k, across, up) for k, curve in enumerate(drawn.curves)),
        "</svg>",
    ]
    return "\n".join(parts) + (_legend(drawn) if len(drawn.curves) > 1 else "")


def ticks(low: float, high: float) -> tuple[float, ...]:
    """Return round numbers, about six, whose ends enclose a range."""
    wide = max(high - low, 1e-6 * max(abs(low), abs(high)), 1e-9)
    power = 10.0 ** math.floor(math.log10(wide / 5))
    step = next(power * nice for nice in _NICE if power * nice >= wide / 5 - 1e-12)
    first, last = math.floor(low / step + 1e-9), math.ceil((low + wide) / step - 1e-9)
    return tuple(step * k for k in range(first, max(last, first + 1) + 1))


def data_address(picture: Picture) -> str:
    """Return a picture as a data address: JPEG where it has colours, PNG where pixels count."""
    ending, options = (
        (".jpg", (cv2.IMWRITE_JPEG_QUALITY, 85)) if picture.pixels.ndim > 2 else (".png", ())  # noqa: PLR2004
    )
    _, encoded = cv2.imencode(ending, picture.pixels, options)
    kind = "jpeg" if ending == ".jpg" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(encoded.tobytes()).decode('ascii')}"


def _label(place: str, text: str) -> str:
    return f'<text {place} text-anchor="middle">{escape(text)}</text>'


def _grid(across: tuple[float, ...], up: tuple[float, ...]) -> list[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    for value in up:
        y = _y(value, up)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    for value in across:
        x = _x(value, across)
        parts.append(f'<path class="grid" d="M{x:.1f} {_TOP}V{bottom}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{value:.4g}</text>')
    return parts


def _line(curve: Curve, index: int, across: tuple[float, ...], up: tuple[float, ...]) -> str:
    points = [
        (_x(float(x), across), _y(float(y), up)) for x, y in zip(curve.x, curve.y, strict=True)
    ]
    colour = _COLOURS[index % len(_COLOURS)]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    marks = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{colour}"/>'
        for x, y in (points if len(points) <= 16 else ())  # noqa: PLR2004 - more would touch
    )
    return f'<path class="line" stroke="{colour}" d="M{path}"/>{marks}'


def _legend(drawn: Chart) -> str:
    items = [
        f'<li><i style="background:{_COLOURS[k % len(_COLOURS)]}"></i>{escape(curve.name)}</li>'
        for k, curve in enumerate(drawn.curves)
    ]
    return f'<ul class="legend">{"".join(items)}</ul>'


def _x(value: float, across: tuple[float, ...]) -> float:
    share = (value - across[0]) / (across[-1] - across[0])
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _y(value: float, up: tuple[float, ...]) -> float:
    share = (value - up[0]) / (up[-1] - up[0])
    return _TOP + (1 - share) * (_HEIGHT - _TOP - _BOTTOM)
