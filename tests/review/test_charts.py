"""Tests of the control charts as drawings: everything is there, at its place, and harmless."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nii.evaluate import control
from nii.review import charts
from nii.review.charts import HEIGHT, WIDTH, Drawing, draw

START = date(2026, 1, 1)


def drawing_of(values: list[float], *, limits: bool = True, title: str = "t") -> Drawing:
    """Return a drawing of values on days that follow each other."""
    array = np.asarray(values, np.float64)
    chart = control.ewma_chart(array) if limits else None
    days = [START + timedelta(days=k) for k in range(len(values))]
    return Drawing(title, days, array, chart, lambda value: f"{value:g}", date.isoformat)


def test_every_value_and_limit_lies_inside(rng: np.random.Generator) -> None:
    """No corner of any line leaves the picture."""
    svg = draw(drawing_of([*rng.normal(0.2, 0.02, 40).tolist(), 0.9]))
    for path in re.findall(r' d="M([^"Hl]+)"', svg):
        for corner in path.split("L"):
            x, y = map(float, corner.split())
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT


def test_days_outside_are_marked(rng: np.random.Generator) -> None:
    """As many diamonds as days outside the limits, above the limit that they leave."""
    drawing = drawing_of([*rng.normal(0.2, 0.01, 30).tolist(), *[0.5] * 5])
    assert drawing.chart is not None
    svg = draw(drawing)
    assert svg.count('class="out"') == drawing.chart.out.sum() >= 5
    assert svg.count('class="limit"') == 2
    assert svg.count('class="reference"') == 1


def test_without_limits_only_the_values_are_drawn() -> None:
    """Too few days give a line and no limits; no day gives an empty frame."""
    svg = draw(drawing_of([0.1, 0.2, 0.3], limits=False))
    assert 'class="value"' in svg
    assert "limit" not in svg
    assert 'path class="value"' not in draw(drawing_of([], limits=False))
    assert draw(drawing_of([0.0], limits=False)).count("<circle") == 1


def test_higher_values_lie_higher() -> None:
    """The y axis points up, and equal values give a straight line."""
    svg = draw(drawing_of([0.1, 0.4, 0.4], limits=False))
    found = re.search(r'class="value" d="M([^"]+)"', svg)
    assert found is not None
    rows = [float(corner.split()[1]) for corner in found[1].split("L")]
    assert rows[0] > rows[1] == rows[2]


def test_the_drawing_is_well_formed_and_harmless(rng: np.random.Generator) -> None:
    """Texts are escaped, and neither style nor script is in it, which the policy would refuse."""
    hostile = '"><script>alert(1)</script>&'
    svg = draw(drawing_of(rng.random(30).tolist(), title=hostile))
    root = ET.fromstring(svg)  # noqa: S314 - our own
    assert root.get("aria-label") == hostile
    assert "<script" not in svg
    assert "style=" not in svg


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_round_and_inside(low: float, width: float) -> None:
    """Ticks are evenly spaced, few, and within the range."""
    found = charts.ticks(low, low + width)
    assert 1 <= len(found) <= 7
    for one in found:
        assert low - 1e-6 * width <= one <= low + width * (1 + 1e-6)
    if len(found) > 1:
        assert np.allclose(np.diff(found), found[1] - found[0])


@pytest.mark.parametrize(("low", "high", "wanted"), [(0.0, 1.0, 6), (0.0, 0.25, 6), (0.0, 0.03, 4)])
def test_ticks_of_usual_ranges(low: float, high: float, wanted: int) -> None:
    """Usual axes have four to six ticks, the first at zero."""
    found = charts.ticks(low, high)
    assert (found[0], len(found)) == (0, wanted)
