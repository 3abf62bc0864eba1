"""The layout of a TIFF page is checked before a pixel is decoded."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from nii.errors import ScanFormatError
from nii.formats.limits import Limits
from nii.formats.tiff_layout import Layout, layout_of
from nii.formats.tiff_tags import directories

PATH = Path("truck.tif")


def layout(
    image: np.ndarray[Any, Any],
    limits: Limits | None = None,
    **options: Any,  # noqa: ANN401 - those of tifffile
) -> Layout:
    """Return the layout of an image written by tifffile."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, image, metadata=None, **options)
    return layout_of(directories(PATH, stream.getvalue())[0], limits or Limits())


def test_strips() -> None:
    """A page in strips of two rows has as many as it needs, the last one lower."""
    page = layout(np.zeros((5, 7), np.uint16), rowsperstrip=2)
    assert (page.height, page.width, page.channels, page.chunk) == (5, 7, 1, (2, 7))
    assert page.sizes == (28, 28, 14)
    assert not page.tiled


def test_tiles_and_planes() -> None:
    """Separate planes have their tiles one after the other."""
    image = np.zeros((3, 20, 40), np.uint8)
    page = layout(image, tile=(16, 16), photometric="rgb", planarconfig="separate")
    assert page.tiled
    assert page.planar
    assert page.chunk_channels == 1
    assert len(page.offsets) == 3 * 2 * 3


@pytest.mark.parametrize(
    "dtype", [np.int16, np.uint32, np.float64, np.float16, np.complex64, np.int8]
)
def test_other_depths_are_refused(dtype: type[np.generic]) -> None:
    """Signed, wide and complex samples are named in the message."""
    with pytest.raises(ScanFormatError, match="bits and format"):
        layout(np.zeros((4, 4), dtype))


def test_limits_come_first() -> None:
    """An image above the limit is refused by its header."""
    with pytest.raises(ScanFormatError, match="at most 10 pixels"):
        layout(np.zeros((4, 4), np.uint16), Limits(pixels=10))


@pytest.mark.parametrize(
    ("tag", "value", "message"),
    [
        ("Compression", 7, "compression 7"),
        ("RowsPerStrip", 0, "strips or tiles of 0"),
        ("RowsPerStrip", 1, "of 4 strips"),
        ("ImageLength", 400, "of 100 strips"),
        ("StripOffsets", 1 << 20, "pixels up to byte"),
        ("StripByteCounts", 5, "cannot hold"),
        ("PhotometricInterpretation", 6, "photometric interpretation 6"),
    ],
)
def test_tags_that_do_not_fit_are_refused(
    tag: str, value: int, message: str, tmp_path: Path
) -> None:
    """Each changed tag is found and named."""
    path = tmp_path / "changed.tif"
    tifffile.imwrite(path, np.zeros((4, 4), np.uint16), metadata=None)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages.first.tags[tag].overwrite(value)
    with pytest.raises(ScanFormatError, match=message):
        layout_of(directories(path, path.read_bytes())[0], Limits())
