"""Convoy: wagons of one gauge stand coupled on rails and carry what belongs on them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from nii.simulate.convoy import on_rails
from nii.simulate.loads import LoadShares
from nii.simulate.railcars import wagons

SHARES = LoadShares(empty=1.0, coupled=(3, 3))


def test_wagons_are_coupled() -> None:
    """Each wagon begins where the one before ends; all have one gauge; each has its sill."""
    for seed in range(3):
        plan = on_rails(SHARES, np.random.default_rng(seed))
        assert len(plan.vehicles) == 3
        assert all(a.x_m[1] == b.x_m[0] for a, b in pairwise(plan.vehicles))
        assert len({wagons()[vehicle.kind].gauge_mm for vehicle in plan.vehicles}) == 1
        assert [hide.kind for hide in plan.hides] == ["chassis_beam"] * 3


def test_containers_stand_on_the_deck_of_their_wagon() -> None:
    """Every body lies on one wagon, and containers at the height of its deck."""
    for seed in range(3):
        plan = on_rails(SHARES, np.random.default_rng(seed))
        for one in plan.loads:
            under = [
                vehicle
                for vehicle in plan.vehicles
                if vehicle.x_m[0] <= one.container.x_m[0] + 1e-6
                and one.container.x_m[1] <= vehicle.x_m[1] + 1e-6
            ]
            assert len(under) == 1
            wagon = wagons()[under[0].kind]
            assert one.container.z_m[0] == wagon.floor_m
            assert one.is_container == (wagon.family == "flat")
