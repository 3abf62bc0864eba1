"""False colour: the field's hues, doubt in grey, dark where little comes through."""

from __future__ import annotations

import numpy as np
import pytest

from nii.physics.beam import make_beam, transmit
from nii.physics.dual_energy import WEDGES, MaterialClass, calibrate
from nii.physics.false_colour import colours, false_colour
from nii.physics.segments import SegmentConfig

CERTAIN = SegmentConfig(calibration_error=1e-4, scatter_left=0.0)


def picture(material: str, grams: float, config: SegmentConfig = CERTAIN) -> np.ndarray:
    """Return the colour picture of one block in air."""
    beam = make_beam((9.0, 6.0), WEDGES)
    grid = np.zeros((len(WEDGES), 40, 60), np.float32)
    grid[WEDGES.index(material), 10:30, 15:45] = grams
    return false_colour(transmit(beam, grid)[0], calibrate(beam), config)


@pytest.mark.parametrize(
    ("material", "strongest"), [("water", 0), ("aluminium", 1), ("iron", 2), ("lead", 2)]
)
def test_classes_have_the_hues_of_the_field(material: str, strongest: int) -> None:
    """Water is orange, aluminium green, iron blue and lead violet: red over green."""
    red, green, blue = pixel = picture(material, 40.0)[20, 30].astype(int)
    assert pixel.argmax() == strongest
    assert (red > blue) == (material == "water")
    if material == "lead":
        assert red > green
    assert pixel.max() - min(red, green, blue) > 30


def test_air_is_white_and_grey_has_no_hue() -> None:
    """Air has no colour, and neither has what could be anything."""
    assert (picture("iron", 40.0)[2, 2] == 255).all()
    vague = picture("iron", 1.0, SegmentConfig(calibration_error=0.5))[20, 30].astype(int)
    assert vague.max() - vague.min() < 8


def test_more_load_is_darker() -> None:
    """Brightness falls with areal density, and does not tell the class."""
    light = [int(picture("iron", grams)[20, 30].max()) for grams in (10.0, 40.0, 120.0)]
    assert light == sorted(light)[::-1]
    assert len(set(light)) == 3


def test_confidence_saturates() -> None:
    """The same block is more colourful where calibration leaves less doubt."""

    def chroma(error: float) -> int:
        shade = picture("aluminium", 15.0, SegmentConfig(calibration_error=error))[20, 30]
        return int(shade.max()) - int(shade.min())

    assert chroma(1e-4) > chroma(0.01) > chroma(0.1)


def test_every_class_has_a_colour() -> None:
    """The table names each class once, with shares between 0 and 1."""
    table = colours()
    assert set(table) == set(MaterialClass)
    assert all(((shade >= 0) & (shade <= 1)).all() for shade in table.values())
