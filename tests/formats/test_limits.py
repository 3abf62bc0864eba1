"""Limits are checked from headers."""

from __future__ import annotations

from pathlib import Path

import pytest

from nii.errors import ScanFormatError
from nii.formats.limits import Limits

PATH = Path("truck.png")


def test_an_image_within_the_limits_passes() -> None:
    """The limits themselves are allowed."""
    limits = Limits(file_bytes=10, pixels=12, energies=2)
    limits.check_file(PATH, 10)
    limits.check_image(PATH, 3, 4, 2)


@pytest.mark.parametrize("shape", [(3, 5, 1), (3, 4, 3), (0, 4, 1), (4, 0, 1), (4, 3, 0)])
def test_an_image_outside_the_limits_is_refused(shape: tuple[int, int, int]) -> None:
    """Too many pixels, too many energies and empty images raise the error of the package."""
    with pytest.raises(ScanFormatError, match=r"truck\.png"):
        Limits(pixels=12, energies=2).check_image(PATH, *shape)


def test_a_large_file_is_refused() -> None:
    """The message says how large the file is and how large it may be."""
    with pytest.raises(ScanFormatError, match=r"11 bytes.*at most 10 bytes"):
        Limits(file_bytes=10).check_file(PATH, 11)
