"""Lots: shares are whole, bodies of several materials weigh what the lot weighs."""

from __future__ import annotations

import numpy as np
import pytest

from nii.simulate.container import Room
from nii.simulate.lots import Lot, bearers, blob, body, marks, pallet, plates, rows, span, steel
from nii.simulate.shapes import LIQUID, PAPER, STEEL, disc, mass_kg

ROOM = Room((1.0, 6.9), (-1.17, 1.17), (1.4, 3.7))


def test_shares_must_be_whole() -> None:
    """Materials that do not add up to the lot are refused."""
    with pytest.raises(ValueError, match="add up"):
        Lot(((PAPER, 0.5), (STEEL, 0.4)), 1.0)


def test_materials_share_the_mass() -> None:
    """A cubic metre of a lot of 0.8 g/cm3 weighs 800 kg, split as its shares say."""
    lot = Lot(((LIQUID, 0.75), (STEEL, 0.25)), 0.8)
    masses = [mass_kg(part) for part in body(lot, (0.0, 1.0), (0.0, 1.0), (0.0, 1.0))]
    assert masses == pytest.approx([600, 200])
    ring = [mass_kg(part) for part in plates(lot, disc((0.0, 0.0), 1.0), (0.0, 1.0))]
    assert sum(ring) == pytest.approx(800 * np.pi, rel=0.01)
    assert lot.varied(np.random.default_rng(0)).density_g_per_cm3 == pytest.approx(0.8, rel=0.08)


def test_marks_and_rows_stay_in_the_room() -> None:
    """What stands at marks and rows fits, and one more would not."""
    left = marks(ROOM, 0.8)
    assert left[0] == 1.0
    assert left[-1] + 0.8 <= 6.9 < left[-1] + 1.6
    near = rows(ROOM, 0.5)
    assert min(near) >= -1.17
    assert max(near) + 0.5 <= 1.17
    ends = span(ROOM, np.random.default_rng(0))
    assert -1.17 <= ends[0] < ends[1] <= 1.17


def test_wood_and_steel_weigh_what_they_should() -> None:
    """A pallet of 1.2 x 0.8 m weighs 10-30 kg, a metre of bearer 2-4 kg, a litre of steel 7.85."""
    assert 10 < sum(mass_kg(part) for part in pallet(0.0, 1.2, (0.0, 0.8), 0.0)) < 30
    beam = bearers(ROOM, 2.0)[0]
    assert 2 < mass_kg(beam) / 2.34 < 4
    assert mass_kg(steel((0.0, 0.1), (0.0, 0.1), (0.0, 0.1))) == pytest.approx(7.85)


def test_a_blob_stays_near_its_centre() -> None:
    """No corner lies farther away than twice the radius."""
    outline = blob(np.array([3.0, 2.0]), 0.2, np.random.default_rng(1))
    assert np.hypot(*(outline - [3.0, 2.0]).T).max() <= 0.4
