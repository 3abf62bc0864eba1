"""Large threats: mass and size of cars, motorcycles and persons."""

from __future__ import annotations

import numpy as np
import pytest

from nii.simulate import threats_large

LIMITS_KG = {
    "car": (1099.0, 1701.0),
    "motorcycle": (99.0, 201.0),
    "standing": (49.0, 96.0),
    "sitting": (49.0, 96.0),
    "lying": (49.0, 96.0),
}


@pytest.mark.parametrize("name", ["hidden_vehicle", "person"])
def test_mass_lies_in_the_stated_range(name: str) -> None:
    """Every kind weighs what its docstring says, and has the size of a thing of its class."""
    for seed in range(5):
        threat = getattr(threats_large, name)(np.random.default_rng(seed))
        low, high = LIMITS_KG[threat.kind]
        assert low <= threat.mass_kg <= high, (threat.kind, threat.mass_kg)
        assert threat.name == name
        assert 0.02 < max(threat.size_m) < 4.8
