"""Railcars: tare, gauge and wheels of their kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nii.simulate.railcars import bogie, hold, poured, rails, sill, wagons
from nii.simulate.shapes import PAPER, STEEL, Block, Polygon, extent, mass_kg


def test_wagons_weigh_and_measure_what_they_should(ledger: dict[str, Any]) -> None:
    """The image weighs what the wagon weighs: 14-30 t; it ends at couplers and stands on z = 0."""
    assert {wagon.gauge_mm for wagon in wagons().values()} == {1520, 1435}
    families = {wagon.family for wagon in wagons().values()}
    assert families == {"box", "gondola", "hopper", "tank", "flat"}
    for kind, wagon in wagons().items():
        entry = ledger["structures"][kind]
        assert entry["seen_kg"] == pytest.approx(entry["said_kg"], rel=0.01), kind
        assert 14e3 < entry["said_kg"] < 30e3, (kind, entry["said_kg"])
        x0, _, z0, x1, _, z1 = entry["box_m"]
        assert (x0, x1) == pytest.approx((0, wagon.couplers_m), abs=0.02)
        assert z0 == pytest.approx(0, abs=0.01)
        assert z1 == pytest.approx(max(wagon.top_m, 1.2), abs=0.35)


def test_a_bogie_has_two_axles_of_its_gauge() -> None:
    """Treads stand as far apart as the rails, wheels touch them."""
    parts = bogie(0.0, 1520, 1.3, np.random.default_rng(0))
    rims = [p for p in parts if isinstance(p, Polygon) and extent(p)[3] > 0.85 and p.y_m[0] > 0]
    assert len({round(float(p.outlines_m[0][:, 0].mean()), 3) for p in rims}) == 2
    assert min(p.y_m[0] for p in rims) == pytest.approx(0.76 - 0.033)
    assert min(extent(p)[2] for p in parts) == pytest.approx(0, abs=0.01)


def test_rails_weigh_sixty_kilograms_a_metre() -> None:
    """Two rails of 60-65 kg/m under the wheels."""
    parts = rails((0.0, 10.0), 1520)
    assert 55 < sum(map(mass_kg, parts)) / 20 < 70
    assert max(extent(part)[3] for part in parts) == 0


def test_bulk_follows_the_slopes_of_a_hopper() -> None:
    """Poured goods are narrow at the bottom and weigh less than with upright ends."""
    body = hold(wagons()["hopper_1520"], 0.0)
    assert body is not None
    (x0, x1), z0 = body.x_m, body.z_m[0]
    x = np.linspace(x0 + 1.2, x1 - 1.2, 60)
    top = np.stack([x, np.full(60, z0 + 2.4)], 1)
    outline = np.concatenate([top, [(x[-1], z0 + 0.3), (x[0], z0 + 0.3)]])
    heap = Polygon((outline,), (-1.4, 1.4), PAPER, 0.7)
    lid = Block((x0, x1), (0.0, 1.0), (z0, z0 + 1), STEEL, 1.0)
    slid, kept = poured(body, [heap, lid])
    assert kept is lid
    assert isinstance(slid, Polygon)
    corners = slid.outlines_m[0]
    low = corners[corners[:, 1] < z0 + 0.2]
    assert np.ptp(low[:, 0]) < x1 - x0 - 2
    assert mass_kg(slid) > 0


def test_the_sill_lies_between_the_bogies() -> None:
    """The cavity of the centre sill is under the floor, inside the pivots."""
    wagon = wagons()["box_1520"]
    x_m, y_m, z_m = sill(wagon, 5.0)
    assert x_m[1] - x_m[0] < wagon.pivots_m
    assert y_m == (-0.16, 0.16)
    assert z_m[1] < wagon.floor_m
