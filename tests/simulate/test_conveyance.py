"""Conveyance: every change of a vehicle finds a place, inside it, with its mass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nii import taxonomy
from nii.simulate.conveyance import MODIFICATIONS
from nii.simulate.layout import make_plan
from nii.simulate.loads import Hollow, LoadShares, Plan

ROAD = LoadShares(empty=0.6, on_ground=0.0, rail=0.0, no_container=0.0, other_lorry=0.0)
BARE = Plan((), (), (0.0, 10.0), (0.0, 3.0), None, 1.2)


def test_every_change_weighs_what_it_shows(ledger: dict[str, Any]) -> None:
    """The image of each kind weighs what its parts weigh, between a bag and a tonne or two."""
    assert ledger["modifications"].keys() == MODIFICATIONS.keys()
    for kind, entry in ledger["modifications"].items():
        assert entry["seen_kg"] == pytest.approx(entry["said_kg"], rel=0.01), kind
        assert 5 < entry["said_kg"] < 2500, (kind, entry["said_kg"])


@pytest.mark.parametrize("kind", MODIFICATIONS)
def test_changes_lie_inside_the_vehicle(kind: str) -> None:
    """Each kind is found in some plan, within the extent of the vehicle, of the right class."""
    hollow: dict[str, Hollow] = {"false_wall": "false_wall", "false_floor": "false_floor"}
    for seed in range(30):
        rng = np.random.default_rng(seed)
        plan = make_plan(ROAD, rng, hollow.get(kind))
        placed = MODIFICATIONS[kind](plan, rng)
        if placed is None:
            continue
        (x0, x1), (y0, y1), (z0, z1) = placed.threat.box_m
        assert plan.vehicle_x_m[0] <= x0 < x1 <= plan.vehicle_x_m[1]
        assert -1.3 <= y0 < y1 <= 1.3
        assert 0 <= z0 < z1 <= plan.vehicle_z_m[1]
        assert placed.threat.kind == kind
        assert taxonomy.by_name(placed.threat.name).group == "threat"
        return
    pytest.fail(f"no place for {kind} in 30 plans")


@pytest.mark.parametrize("kind", MODIFICATIONS)
def test_where_there_is_no_cavity_nothing_is_hidden(kind: str) -> None:
    """A plan without loads and hides is left as it is."""
    assert MODIFICATIONS[kind](BARE, np.random.default_rng(0)) is None
