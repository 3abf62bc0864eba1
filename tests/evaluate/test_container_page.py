"""Tests of the parts of the page that are about containers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nii.evaluate import container_page, curves, summary
from nii.evaluate.guarantee import NOT_COVERED
from nii.evaluate.metrics import Evidence
from nii.evaluate.summary import PixelResult

LOOK = {"firearm": 0.3, "brick": 0.3}


def test_every_part_is_there(middling: Evidence) -> None:
    """Strata, worth of alarms, honesty, promises with their limits, and the map."""
    result = summary.container_result(middling, LOOK, repeats=2)
    assert result is not None
    text = container_page.container_sections(result)
    assert text.count("<h2>") == 5
    assert all(row.name.replace("<", "&lt;") in text for row in result.strata)
    assert all(limit in text for limit in NOT_COVERED)
    assert f"{result.benign} benign containers" in text
    assert text.count("<details") == text.count("</details>")


def test_what_is_not_there_is_left_out(middling: Evidence, without_truth: Evidence) -> None:
    """Without containers there is no section; without worth or map, none of these."""
    assert summary.container_result(without_truth, LOOK, repeats=2) is None
    assert container_page.container_sections(None) == ""
    result = summary.container_result(middling, LOOK, repeats=2)
    assert result is not None
    bare = replace(result, worth=(), reliability={}, promises=(), detectability=None)
    assert container_page.container_sections(bare).count("<h2>") == 1
    assert container_page.container_curves(without_truth) == []


def test_curve_of_containers_holds_the_metric(middling: Evidence) -> None:
    """The curve's highest point within a rate is container P_d at that rate."""
    cases = middling.containers
    curve = container_page.container_curve(middling)
    once = cases.of_draw(np.ones(len(middling.scans), np.int64))
    for rate in (0.05, 0.1, 0.3, 0.6):
        value = curves.scan_p_d_at_p_fa(cases.table, once, rate).value
        assert curve.p_d[curve.x <= rate + 1e-12].max(initial=0) == pytest.approx(value)


def test_pixels_are_shown_or_excused() -> None:
    """Figures where there are masks, the reason where there are none."""
    assert "0.912" in container_page.pixel_note(PixelResult(0.912, 0.8, 3, "how"))
    assert "not applicable" in container_page.pixel_note(
        PixelResult(None, None, 0, "not applicable: no masks")
    )
    assert container_page.pixel_note(None) == ""
