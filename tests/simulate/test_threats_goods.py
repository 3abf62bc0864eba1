"""Smuggled goods: mass and size within what their docstrings state."""

from __future__ import annotations

import numpy as np
import pytest

from nii.simulate import threats_goods

LIMITS_KG = {
    "single": (1.0, 2.0),
    "row": (2.0, 45.0),
    "pile": (4.0, 270.0),
    "pyramid": (2.0, 200.0),
    "layer": (6.0, 220.0),
    "bag": (4.0, 40.0),
    "cartons": (0.2, 90.0),
    "master_cases": (12.0, 650.0),
    "gold_bars": (0.9, 260.0),
    "lead_box": (3.0, 300.0),
    "shielded_parcel": (3.0, 200.0),
    "bundles": (0.4, 80.0),
    "case": (0.4, 90.0),
}


@pytest.mark.parametrize("name", ["brick", "cigarettes", "dense_object", "currency"])
def test_mass_lies_in_the_stated_range(name: str) -> None:
    """Every kind weighs what its docstring says, and has the size of a thing of its class."""
    for seed in range(8):
        threat = getattr(threats_goods, name)(np.random.default_rng(seed))
        low, high = LIMITS_KG[threat.kind]
        assert low <= threat.mass_kg <= high, (threat.kind, threat.mass_kg)
        assert threat.name == name
        assert 0.02 < max(threat.size_m) < 3.2
