"""Drawing: axes enclose the data in round steps, and names do no harm."""

from __future__ import annotations

import base64
import re

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nii.simulate.quality import Chart, Curve, Picture
from nii.simulate.quality_drawing import chart, data_address, ticks


@given(st.floats(-1e4, 1e4), st.floats(0, 1e4))
def test_ticks_enclose_the_range(low: float, wide: float) -> None:
    """First and last tick lie outside the data, steps are equal and few."""
    found = ticks(low, low + wide)
    slack = 1e-6 * max(abs(low), wide, 1)
    assert found[0] <= low + slack
    assert found[-1] >= low + wide - slack
    assert 2 <= len(found) <= 8
    assert np.diff(found) == pytest.approx(found[1] - found[0])


def test_curves_lie_inside_and_names_are_escaped() -> None:
    """All points are on the paper; a hostile name stays text."""
    curves = tuple(
        Curve(name, np.asarray([0.0, 1.0, 5.0]), np.asarray([-2.0, 0.0, 30.0]))
        for name in ("<script>", "b")
    )
    text = chart(Chart("wires", "t", "x<", "y", curves))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    points = re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', text)
    assert len(points) == 6
    assert all(0 <= float(x) <= 460 and 0 <= float(y) <= 260 for x, y in points)


def test_a_flat_curve_is_drawn() -> None:
    """One point, or the same value throughout, has axes too."""
    for count in (1, 3):
        curve = Curve("a", np.zeros(count), np.zeros(count))
        assert "<svg" in chart(Chart("wires", "t", "x", "y", (curve,)))


def test_a_grey_picture_comes_back_exactly() -> None:
    """PNG inside the address holds the pixels; colours go as JPEG."""
    pixels = np.arange(240, dtype=np.uint8).reshape(12, 20)
    head, _, data = data_address(Picture("wires", "t", pixels)).partition(",")
    assert head == "data:image/png;base64"
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded is not None
    assert (np.asarray(decoded) == pixels).all()
    colour = Picture("wires", "t", np.repeat(pixels[..., None], 3, 2))
    assert data_address(colour).startswith("data:image/jpeg;base64,")
