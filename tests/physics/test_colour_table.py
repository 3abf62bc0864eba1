"""Claims about the table of colours by attenuation."""

from __future__ import annotations

import numpy as np
import pytest

from nii.physics import colour_table
from nii.physics.beam import make_beam, transmit
from nii.physics.colour_table import COLUMNS, DEEPEST, ROWS, ColourTable
from nii.physics.dual_energy import CLASSES, WEDGES, MaterialClass, calibrate, decode
from nii.physics.false_colour import shades

ENDS = (9.0, 6.0)


@pytest.fixture(scope="module")
def table() -> ColourTable:
    """Give the table of a common scanner."""
    return colour_table.make(ENDS, 0.005)


def cell(table: ColourTable, high: float, low: float) -> tuple[int, int]:
    """Return row and column of a pair of attenuations."""
    first, last = table.ratios
    row = round((low / high - first) / (last - first) * (ROWS - 1))
    return row, round(np.sqrt(high / DEEPEST) * (COLUMNS - 1))


@pytest.mark.parametrize(
    ("material", "grams", "expected"),
    [
        ("polyethylene", 40, MaterialClass.ORGANIC),
        ("water", 60, MaterialClass.ORGANIC),
        ("aluminium", 60, MaterialClass.MINERAL),
        ("iron", 60, MaterialClass.STEEL),
        ("lead", 40, MaterialClass.HEAVY),
    ],
)
def test_known_materials_have_their_class(
    table: ColourTable, material: str, grams: float, expected: MaterialClass
) -> None:
    """What lies in the beam of the scanner alone is looked up as what it is."""
    beam = make_beam(ENDS, (material,))
    passed = transmit(beam, np.full((1, 1, 1), grams, np.float32))[0][:, 0, 0]
    row, column = cell(table, *(-np.log(passed)))
    assert CLASSES[int(table.classes[row, column].argmax())] is expected
    assert table.classes[row, column].max() > 128


def test_the_table_says_what_decoding_says(table: ColourTable) -> None:
    """Every cell is the colour and the probabilities that `decode` gives there, rounded."""
    rng = np.random.default_rng(5)
    calibration = calibrate(make_beam(ENDS, WEDGES))
    for _ in range(20):
        row, column = int(rng.integers(ROWS)), int(rng.integers(40, COLUMNS))
        high = DEEPEST * (column / (COLUMNS - 1)) ** 2
        pair = np.asarray([[high, high * np.linspace(*table.ratios, ROWS)[row]]])
        noise = 0.005**2 / 49 * np.exp(pair) + (1e-4 * np.exp(pair)) ** 2 + 2e-3**2
        decoded = decode(pair, np.sqrt(noise), calibration)
        np.testing.assert_allclose(
            table.classes[row, column], 255 * decoded.probabilities[0], atol=0.51
        )
        np.testing.assert_allclose(
            table.shades[row, column, :3], 255 * shades(decoded)[0], atol=0.51
        )


def test_air_has_no_colour(table: ColourTable) -> None:
    """Where nothing lies in the beam the shade is white."""
    assert (table.shades[:, :5, :3] == 255).all()
    assert (table.shades[:, :5, 3] == 0).all()


def test_more_noise_means_less_colour(table: ColourTable) -> None:
    """The noisier a scan, the fewer cells are certain."""
    noisy = colour_table.make(ENDS, 0.05)
    assert (noisy.classes.max(2) > 200).mean() < 0.7 * (table.classes.max(2) > 200).mean()


def test_bytes_hold_the_whole_table(table: ColourTable) -> None:
    """The bytes are five numbers and both pictures, in the order that the viewer reads."""
    data = table.to_bytes()
    head = np.frombuffer(data, "<f4", 5)
    np.testing.assert_allclose(head, [ROWS, COLUMNS, DEEPEST, *table.ratios], rtol=1e-6)
    pictures = np.frombuffer(data, np.uint8, offset=20).reshape(2, ROWS, COLUMNS, 4)
    np.testing.assert_array_equal(pictures[0], table.shades)
    np.testing.assert_array_equal(pictures[1], table.classes)


@pytest.mark.parametrize("end", [4.0, 6.0, 9.0])
def test_steel_equivalent_follows_the_beam(end: float) -> None:
    """Looked up, the attenuation behind steel gives its thickness back within half a millimetre."""
    known = colour_table.steel_mm(end)
    beam = make_beam((end,), ("iron",))
    for thickness in (5.0, 33.0, 155.0, 305.0):
        grams = np.full((1, 1, 1), thickness * 0.787, np.float32)
        depth = -np.log(float(transmit(beam, grams)[0][0, 0, 0]))
        found = np.interp(depth, known["attenuation"], known["mm"])
        assert found == pytest.approx(thickness, abs=0.5)
    assert (np.diff(known["attenuation"]) > 0).all()
    assert known["attenuation"][0] == 0
