"""Vehicles: they stand on the ground and carry at the stated height."""

from __future__ import annotations

import numpy as np
import pytest

from nii.simulate.shapes import extent
from nii.simulate.vehicles import Trailer, tractor, trailer


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("length", [6.2, 12.4])
def test_a_trailer_stands_on_the_ground(length: float, *, flat: bool) -> None:
    """Wheels touch the ground and nothing but guides rises above the deck."""
    spec = Trailer((4.0, 4.0 + length), 1.4, 2, flat, guides=False)
    parts = np.array([extent(s) for s in trailer(spec, np.random.default_rng(0))])
    assert parts[:, 2].min() == pytest.approx(0, abs=0.01)
    assert parts[:, 3].max() == pytest.approx(1.4, abs=0.01)


def test_guides_rise_above_the_deck() -> None:
    """A yard trailer shows plates beside the foot of the container."""
    spec = Trailer((4.0, 16.0), 1.4, 2, flat=False, guides=True)
    parts = np.array([extent(s) for s in trailer(spec, np.random.default_rng(0))])
    assert 1.45 < parts[:, 3].max() < 2.0


def test_guides_are_blocks_boards_or_ribbed() -> None:
    """Each form comes; a ribbed board runs along the whole deck and stays below half a metre."""
    spec = Trailer((4.0, 16.0), 1.4, 2, flat=False, guides=True)
    plain = Trailer((4.0, 16.0), 1.4, 2, flat=False, guides=False)
    base = len(trailer(plain, np.random.default_rng(0)))
    seen = set()
    for seed in range(40):
        shapes = trailer(spec, np.random.default_rng(seed))
        parts = np.array([extent(s) for s in shapes])
        high = parts[parts[:, 3] > 1.45]
        length = high[:, 1] - high[:, 0]
        if length.max() > 11:
            seen.add("ribbed")
            assert parts[:, 3].max() <= 1.9 + 1e-6
            assert len(shapes) > base + 20
        else:
            seen.add("boards" if length.max() > 3 else "blocks")
    assert seen == {"ribbed", "boards", "blocks"}


def test_a_tractor_fills_its_length() -> None:
    """Cab and wheels stay within the stated extent and stand on the ground."""
    parts = np.array([extent(s) for s in tractor((0.0, 6.0), np.random.default_rng(0))])
    assert parts[:, 0].min() == pytest.approx(0, abs=0.1)
    assert parts[:, 1].max() <= 6.1
    assert parts[:, 2].min() == pytest.approx(0, abs=0.01)
    assert parts[:, 3].max() < 4
