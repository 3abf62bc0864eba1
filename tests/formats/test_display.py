"""Pictures become one grey channel."""

from __future__ import annotations

import numpy as np
import pytest

from nii.formats.display import grey_of_colour


def test_grey_stays_grey(rng: np.random.Generator) -> None:
    """Three equal channels give that channel, and nothing is noted."""
    grey = rng.integers(0, 256, (7, 9), dtype=np.uint8)
    result, steps = grey_of_colour(np.repeat(grey[..., np.newaxis], 3, axis=2))
    assert np.array_equal(result, grey)
    assert steps == ()


@pytest.mark.parametrize(
    ("bgr", "luminance"), [((0, 0, 255), 76), ((0, 255, 0), 150), ((255, 0, 0), 29)]
)
def test_colour_becomes_luminance(bgr: tuple[int, int, int], luminance: int) -> None:
    """Pure red, green and blue get the weights of BT.601, and the colour is noted."""
    result, steps = grey_of_colour(np.full((4, 4, 3), bgr, np.uint8))
    assert (np.abs(result.astype(int) - luminance) <= 1).all()
    assert any("pseudo-colour" in step for step in steps)


def test_faint_colour_is_no_pseudo_colour() -> None:
    """Channels that differ as little as JPEG tears them are reduced without the warning."""
    _, steps = grey_of_colour(np.full((4, 4, 3), (100, 104, 98), np.uint8))
    assert len(steps) == 1
