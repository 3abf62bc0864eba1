"""Quality records: parts find their places, pictures keep the order of their values."""

from __future__ import annotations

import numpy as np

from nii.simulate.quality import (
    LIVE_TESTS,
    TESTS,
    Chart,
    Curve,
    Measurement,
    Picture,
    Table,
    assemble,
    stretched,
)


def test_parts_find_their_places() -> None:
    """Whatever the order of the parts, each kind is kept in its own order and none is lost."""
    line = np.zeros(2)
    figures = [Measurement("wires", key, key, 1.0, "mm") for key in "ab"]
    chart = Chart("wires", "t", "x", "y", (Curve("c", line, line),))
    picture = Picture("wires", "p", np.zeros((2, 2), np.uint8))
    table = Table("wires", "t", (), ())
    subject = assemble("n", "scan", [figures[0], table, chart, figures[1], picture], {"k": 1})
    assert subject.measurements == tuple(figures)
    assert (subject.charts, subject.pictures, subject.tables) == ((chart,), (picture,), (table,))
    assert (subject.name, subject.kind, subject.facts) == ("n", "scan", {"k": 1})


def test_stretching_keeps_order_and_uses_the_range() -> None:
    """Larger stays larger, the ends are black and white, and a flat plane is no division by 0."""
    ramp = np.linspace(3, 4, 200, dtype=np.float32)[None]
    shown = stretched(ramp)[0].astype(int)
    assert (np.diff(shown) >= 0).all()
    assert (shown[0], shown[-1]) == (0, 255)
    assert not stretched(np.ones((4, 4), np.float32)).any()


def test_tests_are_named_once() -> None:
    """No test stands twice in its list."""
    assert len(TESTS) == len(set(TESTS)) == 6
    assert len(LIVE_TESTS) == len(set(LIVE_TESTS))
