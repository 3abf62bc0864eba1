"""Superstructure: bodies of lorries are light and end where they should."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(("name", "limits"), [("van", (900, 2500)), ("flat", (30, 1200))])
def test_bodies_are_light(ledger: dict[str, Any], name: str, limits: tuple[float, float]) -> None:
    """The image weighs what the parts weigh: a body of sheets, slats and posts."""
    entry = ledger["structures"][name]
    assert entry["seen_kg"] == pytest.approx(entry["said_kg"], rel=0.01)
    assert limits[0] < entry["said_kg"] < limits[1]
    assert entry["box_m"][0] == pytest.approx(0, abs=0.05)
    assert entry["box_m"][2] == pytest.approx(1.2, abs=0.15)
