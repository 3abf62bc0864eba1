"""Hidden: turning, leaning and moving keep the mass; extent and material are those of the parts."""

from __future__ import annotations

import pytest

from nii.simulate.hidden import Threat, centred, place, rectangle, rotate, slanted, weighing
from nii.simulate.shapes import PAPER, STEEL, Polygon

THING = Threat(
    "brick",
    "single",
    (
        Polygon((rectangle(0.0, 0.0, 0.4, 0.2),), (-0.1, 0.1), PAPER, 1.0),
        Polygon((slanted(0.1, 0.0, 0.1, 0.2, 0.5),), (-0.05, 0.05), STEEL, 7.0),
    ),
)


def test_mass_and_material() -> None:
    """A box of 16 kg with a bar of 14 kg: mostly cellulose."""
    assert THING.mass_kg == pytest.approx(16 + 14)
    assert THING.material == "cellulose"
    assert weighing(THING, 3.0).mass_kg == pytest.approx(3)


def test_extent_follows_the_place() -> None:
    """A centred thing that is moved lies around where it was moved to."""
    box = place(centred(THING), 2.0, 0.5, 1.0).box_m
    assert box[0] == pytest.approx((1.8, 2.2))
    assert box[1] == pytest.approx((0.4, 0.6))
    assert box[2] == pytest.approx((0.9, 1.1))


def test_leaning_keeps_the_mass() -> None:
    """What looks shorter is deeper."""
    leant = rotate(THING, 0.3, 1.0)
    assert leant.mass_kg == pytest.approx(THING.mass_kg)
    assert leant.parts[0].y_m[1] > THING.parts[0].y_m[1]
