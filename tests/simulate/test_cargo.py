"""Cargo: every kind stays in its room and weighs what goods weigh."""

from __future__ import annotations

import numpy as np
import pytest

from nii.simulate.cargo import CARGO, dunnage
from nii.simulate.container import Room
from nii.simulate.geometry import PARALLEL_M, Geometry
from nii.simulate.shapes import extent, project

ROOM = Room((1.0, 6.9), (-1.17, 1.17), (1.4, 3.7))


def mean_g_per_cm2(kind: str, seed: int) -> float:
    """Return the mean areal density over the side of the room."""
    sag = np.zeros(295, np.float32)
    view = Geometry(115, 295, (0.02, 0.02), 1.0, 3.7, PARALLEL_M, 2.5, 0.0, False, sag)  # noqa: FBT003
    rng = np.random.default_rng(seed)
    return float(project(CARGO[kind](ROOM, rng), view, rng).sum(0).mean())


@pytest.mark.parametrize("kind", CARGO)
def test_cargo_stays_in_its_room(kind: str) -> None:
    """No shape leaves the clear space by more than 10 cm."""
    for seed in range(2):
        for shape in CARGO[kind](ROOM, np.random.default_rng(seed)):
            x0, x1, z0, z1 = extent(shape)
            assert x0 >= ROOM.x_m[0] - 0.1
            assert x1 <= ROOM.x_m[1] + 0.1
            assert z0 >= ROOM.z_m[0] - 0.1
            assert z1 <= ROOM.z_m[1] + 0.1


@pytest.mark.parametrize("kind", CARGO)
def test_cargo_weighs_what_goods_weigh(kind: str) -> None:
    """Mean areal density lies between light parcels and the heaviest legal load."""
    for seed in range(2):
        assert 0.5 < mean_g_per_cm2(kind, seed) < 160


def test_dunnage_is_no_heavier_than_planks() -> None:
    """Nothing exceeds a plank of 2.3 m seen end-on, 130 g/cm2."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        sag = np.zeros(295, np.float32)
        view = Geometry(115, 295, (0.02, 0.02), 1.0, 3.7, PARALLEL_M, 2.5, 0.0, False, sag)  # noqa: FBT003
        assert project(dunnage(ROOM, rng), view, rng).sum(0).max() < 130
