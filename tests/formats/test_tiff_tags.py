"""TIFF directories are read strictly."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import tifffile

from nii.errors import ScanFormatError
from nii.formats.tiff_tags import directories

PATH = Path("truck.tif")


def tiff_bytes(
    *, bigtiff: bool = False, byteorder: Literal["<", ">"] = "<", pages: int = 2
) -> bytes:
    """Return a TIFF with a description, made by tifffile."""
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, bigtiff=bigtiff, byteorder=byteorder) as writer:
        for _ in range(pages):
            writer.write(np.zeros((5, 7), np.uint16), description="one text", metadata=None)
    return stream.getvalue()


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_tags_are_those_that_were_written(bigtiff: bool, byteorder: Literal["<", ">"]) -> None:  # noqa: FBT001
    """Classic and big files of both byte orders give the same values."""
    pages = directories(PATH, tiff_bytes(bigtiff=bigtiff, byteorder=byteorder))
    assert len(pages) == 2
    for tags in pages:
        assert (tags.one(256, 0), tags.one(257, 0), tags.one(258, 0)) == (7, 5, 16)
        assert tags.text(270) == "one text"
        assert tags.one(12345, 6) == 6


def test_a_lost_page_is_an_error() -> None:
    """A chain that leads past the end is not taken for its end."""
    data = tiff_bytes()
    first = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, first)[0]
    link = first + 2 + 12 * count
    cut = data[:link] + struct.pack("<I", len(data) + 100) + data[link + 4 :]
    with pytest.raises(ScanFormatError, match="past the end"):
        directories(PATH, cut)


def test_a_circle_is_an_error() -> None:
    """A directory that names itself as the next one does not run for ever."""
    data = struct.pack("<2sHIHI", b"II", 42, 8, 0, 8)
    with pytest.raises(ScanFormatError, match="endless"):
        directories(PATH, data)


@pytest.mark.parametrize(
    "data", [b"II*\0", b"II*\0\0\0\0\0", b"II+\0\x08\0\0\0", b"MM\0*\xff\xff\xff\xff"]
)
def test_a_file_without_a_page_is_an_error(data: bytes) -> None:
    """Nothing after the magic number, or nothing where it points."""
    with pytest.raises(ScanFormatError):
        directories(PATH, data)


def test_a_tag_of_absurd_length_is_an_error() -> None:
    """A tag that claims more values than its reader allows, or than the file holds, is refused."""
    entry = struct.pack("<HHII", 273, 4, 1 << 30, 8)
    tags = directories(PATH, struct.pack("<2sHIH", b"II", 42, 8, 1) + entry + bytes(4))[0]
    with pytest.raises(ScanFormatError, match="values"):
        tags.whole(273, (), 100)
    with pytest.raises(ScanFormatError, match="past the end"):
        tags.whole(273, (), 1 << 31)
    with pytest.raises(ScanFormatError, match="past the end"):
        tags.text(273)
