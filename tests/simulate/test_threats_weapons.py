"""Weapons: mass and size within what their docstrings state."""

from __future__ import annotations

import numpy as np
import pytest

from nii.simulate import threats_weapons

LIMITS_KG = {
    "pistol": (0.69, 1.01),
    "rifle": (3.19, 3.91),
    "rifle_parts": (1.99, 2.91),
    "cans": (8.9, 145.0),
    "cartons": (0.4, 56.0),
    "sticks": (0.1, 4.0),
    "blocks": (0.3, 77.0),
    "shells": (5.9, 81.0),
}


@pytest.mark.parametrize("name", ["firearm", "ammunition", "explosive"])
def test_mass_lies_in_the_stated_range(name: str) -> None:
    """Every kind weighs what its docstring says, and has the size of a thing of its class."""
    for seed in range(6):
        threat = getattr(threats_weapons, name)(np.random.default_rng(seed))
        low, high = LIMITS_KG[threat.kind]
        assert low <= threat.mass_kg <= high, (threat.kind, threat.mass_kg)
        assert threat.name == name
        assert 0.02 < max(threat.size_m) < 1.1
