"""Threats: mass and size within what their docstrings state, at any rotation."""

from __future__ import annotations

import numpy as np
import pytest

from nii import taxonomy
from nii.simulate.threats import THREATS, place, rotate

LIMITS_KG = {
    "pistol": (0.69, 1.01),
    "rifle": (3.19, 3.91),
    "single": (1.0, 2.0),
    "cartons": (0.2, 90.0),
    "master_cases": (12.0, 650.0),
    "gold_bars": (0.9, 260.0),
    "lead_box": (3.0, 300.0),
    "shielded_parcel": (3.0, 200.0),
}


@pytest.mark.parametrize("name", THREATS)
def test_mass_lies_in_the_stated_range(name: str) -> None:
    """Every kind weighs what it should, and its class is in the taxonomy."""
    assert taxonomy.by_name(name).group == "threat"
    for seed in range(20):
        threat = THREATS[name](np.random.default_rng(seed))
        low, high = LIMITS_KG.get(threat.kind, (1.0, 400.0))
        assert low <= threat.mass_kg <= high, threat.kind
        assert threat.name == name
        assert 0.02 < max(threat.size_m) < 3


@pytest.mark.parametrize("name", THREATS)
def test_rotation_and_place_keep_mass(name: str) -> None:
    """Turning, leaning and moving an object never changes its mass."""
    threat = THREATS[name](np.random.default_rng(3))
    moved = place(rotate(threat, 0.7, 0.9), 3.0, -0.5, 1.0)
    assert moved.mass_kg == pytest.approx(threat.mass_kg)


def test_a_pistol_lies_on_its_lowest_point() -> None:
    """`lowest_m` is the distance from the middle to the ground at any angle."""
    pistol = THREATS["firearm"](np.random.default_rng(1))
    for angle in (0.0, 1.0, 2.5):
        turned = rotate(pistol, angle, 0.0)
        standing = place(turned, 0.0, 0.0, -turned.lowest_m)
        assert standing.lowest_m == pytest.approx(0)
