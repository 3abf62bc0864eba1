"""Phantoms: objects have the mass, the place and the orientation that they should have."""

from __future__ import annotations

import numpy as np
import pytest

from nii.physics.attenuation import by_name
from nii.simulate import phantoms

PITCH = 4.0


def test_the_four_arrows_are_one_arrow_turned() -> None:
    """All orientations have the same area and differ; four quarter turns give the first again."""
    masks = [phantoms.arrow_mask(k) for k in range(5)]
    assert len({int(mask.sum()) for mask in masks}) == 1
    assert (masks[0] == masks[4]).all()
    assert (masks[0] != masks[2]).sum() > 0.1 * masks[0].sum()


@pytest.mark.parametrize("diameter", [0.5, 3.0, 9.0])
def test_a_wire_keeps_its_mass(diameter: float) -> None:
    """Every row holds the cross-section of the wire, cut at its slope, times its density."""
    tangent = 0.4
    scene = phantoms.wire_object(diameter, 0.0, PITCH, tangent=tangent, offset_px=0.3)
    grams_per_cm = scene.areal_density_g_per_cm2[phantoms.STEEL].sum(1) * PITCH / 10
    area_cm2 = np.pi * (diameter / 20) ** 2 * np.hypot(1, tangent)
    expected = area_cm2 * by_name("copper").density_g_per_cm3
    assert grams_per_cm == pytest.approx(expected, rel=1e-4)


def test_a_wire_lies_where_it_is_said_to_lie() -> None:
    """The centre of mass of every row is the column of the axis, for a wire of several pixels."""
    scene = phantoms.wire_object(16.0, 0.0, PITCH, tangent=0.3, offset_px=-2.0)
    rows = scene.areal_density_g_per_cm2[phantoms.STEEL]
    centre = rows @ np.arange(rows.shape[1]) / rows.sum(1)
    assert centre == pytest.approx(phantoms.wire_columns(0.3, -2.0), abs=0.05)


@pytest.mark.parametrize("axis", [0, 1])
def test_slots_are_as_wide_as_said(axis: int) -> None:
    """What is missing from the block is the width of all slots, wherever they begin."""
    for phase in (0.0, 0.4):
        scene = phantoms.slot_object(5.0, axis, phase, PITCH)
        full = phantoms.g_per_cm2(phantoms.STEEL, phantoms.SLOT_MM)
        profile = scene.areal_density_g_per_cm2[phantoms.STEEL].mean(0 if axis else 1)
        assert (1 - profile / full).sum() * PITCH == pytest.approx(5.0 * phantoms.SLOTS, rel=1e-4)


def test_slot_centres_alternate_between_open_and_steel() -> None:
    """For slots of whole pixels the named middles are open and full in turn."""
    scene = phantoms.slot_object(3 * PITCH, 1, 0.0, PITCH)
    profile = scene.areal_density_g_per_cm2[phantoms.STEEL][0]
    parts = profile[np.rint(phantoms.slot_centres(3 * PITCH, 0.0, PITCH)).astype(int)]
    full = phantoms.g_per_cm2(phantoms.STEEL, phantoms.SLOT_MM)
    assert parts == pytest.approx([0, full, 0, full, 0, full, 0], abs=1e-3)


def test_the_edge_covers_half_the_field_and_turns() -> None:
    """The slanted edge hides half the field, and the other axis is its mirror."""
    one, other = (phantoms.edge_object(axis, PITCH).areal_density_g_per_cm2[2] for axis in (1, 0))
    assert one.mean() == pytest.approx(phantoms.g_per_cm2(2, phantoms.EDGE_MM) / 2, rel=1e-3)
    assert (one == other.T).all()


def test_the_strip_adds_to_the_plate() -> None:
    """Steel on steel: areal densities add up where the strip lies, and nowhere else."""
    grid = phantoms.strip_object(100.0, 2.0, PITCH).areal_density_g_per_cm2[phantoms.STEEL]
    strip = phantoms.strip_field()
    assert strip.sum() == np.prod(phantoms.STRIP_PX)
    assert grid[strip] == pytest.approx(phantoms.g_per_cm2(2, 102.0), rel=1e-6)
    assert grid[~strip] == pytest.approx(phantoms.g_per_cm2(2, 100.0), rel=1e-6)


def test_blocks_and_air_hold_what_they_should() -> None:
    """A row of blocks is one material; air is nothing at all."""
    grid = phantoms.block_object((5.0, 50.0), 8, PITCH).areal_density_g_per_cm2
    assert grid.shape == (4, 32, 16)
    assert (grid.sum(0)[:, :8] == 5).all()
    assert (grid[1, 8:16, 8:] == 50).all()
    assert not phantoms.air(6, 7, PITCH).areal_density_g_per_cm2.any()
    assert phantoms.penetration_object(80.0, 0, PITCH).areal_density_g_per_cm2[3].max() > 100
