"""Layout: shares are met, containers stand on the deck side by side."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from nii.simulate import railcars
from nii.simulate.layout import LoadShares, make_plan


def test_containers_stand_side_by_side_on_the_deck() -> None:
    """Two containers never overlap and stand at the height of the deck."""
    for seed in range(4):
        plan = make_plan(
            LoadShares(two_containers=1.0, on_ground=0.0, rail=0.0, no_container=0.0),
            np.random.default_rng(seed),
        )
        spans = sorted(load.container.x_m for load in plan.loads)
        assert all(load.container.z_m[0] == plan.deck_m for load in plan.loads)
        assert all(a[1] <= b[0] + 1e-9 for a, b in pairwise(spans))
        assert all(plan.vehicle_x_m[0] <= a and b <= plan.vehicle_x_m[1] for a, b in spans)


@pytest.mark.slow
def test_loads_follow_their_shares() -> None:
    """About 45 % of dry containers are empty by default, and all where it is asked for."""
    states: Counter[str] = Counter()
    for seed in range(60):
        plan = make_plan(LoadShares(on_ground=1.0), np.random.default_rng(seed))
        states.update(load.state for load in plan.loads if load.container.body == "dry")
    assert 0.3 < states["empty"] / states.total() < 0.6
    assert states["partial"] > 0
    assert states["full"] > states["partial"]


def test_empty_containers_hold_nothing() -> None:
    """The state of a load says whether there is any."""
    for seed in range(6):
        for load in make_plan(LoadShares(), np.random.default_rng(seed)).loads:
            if load.state != "tank":
                assert (load.state == "empty") == (not load.cargo)


def test_a_vehicle_may_be_bare() -> None:
    """A flatbed without container is a plan without loads."""
    plan = make_plan(
        LoadShares(no_container=1.0, on_ground=0.0, rail=0.0), np.random.default_rng(0)
    )
    assert plan.loads == ()
    assert plan.shapes


def test_lorries_and_wagons_occur() -> None:
    """Shares of 1 give a lorry body without container, or wagons without a cab."""
    lorry = make_plan(
        LoadShares(on_ground=0.0, rail=0.0, no_container=0.0, two_containers=0.0, other_lorry=1.0),
        np.random.default_rng(1),
    )
    assert [vehicle.kind for vehicle in lorry.vehicles] == ["lorry"]
    assert not any(one.is_container for one in lorry.loads)
    train = make_plan(LoadShares(on_ground=0.0, rail=1.0), np.random.default_rng(1))
    assert train.cab_x_m is None
    assert all(vehicle.kind in railcars.wagons() for vehicle in train.vehicles)


def test_a_false_wall_is_left_room_for() -> None:
    """What is wanted hollow has a cavity, and no goods in it."""
    shares = LoadShares(empty=0.0, on_ground=1.0)
    cut = 0
    for seed in range(6):
        one = make_plan(shares, np.random.default_rng(seed), "false_wall").loads[0]
        if one.hollow is None:
            continue
        cut += 1
        low, high = one.hollow.x_m
        middle = (one.boxes_m[:, 0] + one.boxes_m[:, 1]) / 2
        assert not ((middle > low) & (middle < high)).any()
    assert cut > 1
