"""Tests of the parts that pages are put together of."""

from __future__ import annotations

import pytest

from nii.evaluate import elements
from nii.evaluate.intervals import Interval, Proportion

EVIL = "<script>alert(1)</script>"


def test_titles_are_text() -> None:
    """Titles of pages, sections and tables are escaped."""
    whole = elements.whole_page(EVIL, [elements.section(EVIL, elements.table((EVIL,), []))])
    assert "<script" not in whole
    assert whole.count("&lt;script&gt;") == 3


def test_shares_show_their_counts() -> None:
    """A share stands with its interval and the counts behind it."""
    text = elements.share(Proportion(3, 4), Interval(0.2, 0.99, "exact"))
    assert all(part in text for part in ("0.750", "0.200 to 0.990", "3 of 4"))
    assert "–" in elements.share(Proportion(0, 0), None)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], (0.001, 1.0)), ([0.5], (0.001, 1.0)), ([3e-5, 20.0], (1e-5, 100.0))],
)
def test_axes_hold_all_values(values: list[float], expected: tuple[float, float]) -> None:
    """The range is three decades at least, and holds every positive value."""
    assert elements.decade_range([0.0, *values], 1.0) == pytest.approx(expected)
