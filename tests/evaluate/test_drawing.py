"""Tests of charts as SVG."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nii.evaluate.drawing import Axes, Line, chart, decades

BLUE = (0, 0, 255)


def points(svg: str) -> list[tuple[float, float]]:
    """Return the corners of the first curve of a chart."""
    path = re.search(r'class="line"[^>]* d="M([^"]*)"', svg)
    assert path is not None
    pairs = (corner.split() for corner in path.group(1).split("L"))
    return [(float(x), float(y)) for x, y in pairs]


def test_corners_of_the_plot() -> None:
    """The line from (0, 0) to (1, 1) goes from the lower left to the upper right of the frame."""
    unit = np.asarray([0.0, 1.0])
    (x0, y0), (x1, y1) = points(chart(Axes("x", "y"), [Line("a", BLUE, unit, unit)]))
    assert x0 < x1
    assert y0 > y1


def test_decades_lie_evenly_on_a_logarithmic_axis() -> None:
    """Powers of ten have equal distances, and what lies below the axis stands at its start."""
    x = np.asarray([0.0, 0.01, 0.1, 1.0])
    axes = Axes("x", "y", low=0.01, high=1.0, logarithmic=True)
    places = [place for place, _ in points(chart(axes, [Line("a", BLUE, x, x)]))]
    assert places[0] == places[1]
    assert places[2] - places[1] == pytest.approx(places[3] - places[2], abs=0.2)
    assert decades(0.01, 1.0) == pytest.approx((0.01, 0.1, 1.0))


def test_steps_hold_their_value() -> None:
    """A measured rate stays as it was until the next point, and to the end of the axis."""
    x, y = np.asarray([0.2, 0.4]), np.asarray([0.5, 1.0])
    corners = points(chart(Axes("x", "y"), [Line("a", BLUE, x, y, steps=True)]))
    assert len(corners) == 4
    assert corners[1] == (corners[2][0], corners[0][1])
    assert corners[3][1] == corners[2][1]


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=30))
def test_names_cannot_break_out(name: str) -> None:
    """Whatever stands in a name, the chart has the same elements as with a harmless one."""
    unit = np.asarray([0.0, 1.0])

    def elements(text: str) -> list[str]:
        lines = [Line(text, BLUE, unit, unit), Line("b", BLUE, unit, unit)]
        svg = chart(Axes(text, text), lines)
        return re.findall(r"<(\w+)", svg)

    assert elements(name) == elements("plain")


def test_quiet_lines_stand_in_no_legend() -> None:
    """A quiet line is drawn like any other, and only the others are named."""
    unit = np.asarray([0.0, 1.0])
    lines = [Line("a", BLUE, unit, unit), Line("b", BLUE, unit, unit, quiet=True)]
    text = chart(Axes("x", "y"), lines)
    assert text.count('class="line"') == 2
    assert text.count("<li>") == 1


def test_is_well_formed_and_thinned() -> None:
    """A curve of many points becomes a short, well-formed element."""
    many = np.linspace(0, 1, 50_000)
    svg = chart(Axes("x", "y"), [Line("a", BLUE, many, many)])
    assert ET.fromstring(svg).tag == "svg"  # noqa: S314 - our own text
    assert len(svg) < 20_000


def test_empty_curve_and_empty_range() -> None:
    """No points draw no curve; an axis without extent is refused."""
    nothing = np.zeros(0)
    assert 'class="line"' not in chart(Axes("x", "y"), [Line("a", BLUE, nothing, nothing)])
    for low, high in ((1.0, 1.0), (0.0, 1.0)):
        with pytest.raises(ValueError, match="cannot be drawn"):
            Axes("x", "y", low, high, logarithmic=True)
