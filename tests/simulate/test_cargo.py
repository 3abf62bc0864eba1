"""Cargo: every kind stays in its room, weighs what it says, and no more than is allowed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nii.simulate.cargo import CARGO, PACKINGS, PAYLOAD_T_PER_M, carried, dunnage, fill, goods
from nii.simulate.container import Room
from nii.simulate.shapes import extent, mass_kg

ROOM = Room((1.0, 6.9), (-1.17, 1.17), (1.4, 3.7))
SHORT = Room((1.0, 2.5), (-1.17, 1.17), (1.4, 3.7))
PLACES = {"box", "reefer", "van", "flat", "tank", "gondola", "hopper", "wagon", "car_carrier"}


def test_the_table_is_rich_and_whole() -> None:
    """At least 40 kinds in 40 chapters, each packed, carried somewhere, dense in order, sourced."""
    rows = goods().values()
    assert len(rows) >= 40
    assert len({row.hs_chapter for row in rows}) >= 40
    for row in rows:
        assert len(row.hs_chapter) == 2
        assert 1 <= int(row.hs_chapter) <= 98
        assert row.packing in PACKINGS
        assert row.places
        assert set(row.places) <= PLACES
        assert 0 < row.density_g_per_cm3[0] <= row.density_g_per_cm3[1] < 9
        assert sum(share for _, share in row.materials) == pytest.approx(1)
        assert row.source
    assert {row.packing for row in rows} == set(PACKINGS)
    assert all(carried(place) for place in PLACES)


@pytest.mark.slow
def test_the_image_weighs_what_the_goods_weigh(ledger: dict[str, Any]) -> None:
    """In a parallel view areal density adds up to volume times density, within 1 %."""
    assert ledger["cargo"].keys() == CARGO.keys()
    for kind, entry in ledger["cargo"].items():
        assert entry["seen_kg"] == pytest.approx(entry["said_kg"], rel=0.01), kind


def test_cargo_stays_in_its_room_and_payload(ledger: dict[str, Any]) -> None:
    """No kind leaves the clear space by more than 6 cm or weighs more than is allowed."""
    room = (ROOM.x_m, ROOM.y_m, ROOM.z_m)
    for kind, entry in ledger["cargo"].items():
        for axis, (low, high) in enumerate(room):
            assert entry["box_m"][axis] >= low - 0.06, kind
            assert entry["box_m"][axis + 3] <= high + 0.06, kind
        assert 200 < entry["said_kg"] <= 1001 * PAYLOAD_T_PER_M * ROOM.length_m, kind


def test_a_small_payload_lowers_the_load() -> None:
    """Half the payload gives at most half the mass, and a lower stack."""
    row = goods()["rice"]
    loads = [fill(row, SHORT, np.random.default_rng(1), tonnes) for tonnes in (3.0, 0.6)]
    tops = [max(extent(shape)[3] for shape in load) for load in loads]
    assert tops[1] < tops[0]
    assert sum(map(mass_kg, loads[1])) <= 0.6 * 1001 * SHORT.length_m


def test_dunnage_is_no_heavier_than_planks() -> None:
    """What secures a load weighs less than 150 kg."""
    for seed in range(5):
        assert sum(map(mass_kg, dunnage(ROOM, np.random.default_rng(seed)))) < 150
