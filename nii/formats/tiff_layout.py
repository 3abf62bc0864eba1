"""How the pixels of a TIFF page lie in the file: read from its tags and checked.

Reference:
    TIFF revision 6.0 (Adobe, 1992), sections 3 to 8, 14 (predictor), 15 (tiles), 19 (formats).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nii.errors import ScanFormatError
from nii.formats.files import broken
from nii.formats.limits import Limits
from nii.formats.tiff_tags import Tags
from nii.formats.unpack import COMPRESSIONS, Buffer

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE = 0, 1, 2, 3
NO_PREDICTOR, HORIZONTAL = 1, 2
FLIPS: dict[int, tuple[slice, slice]] = {  # orientation → rows, columns
    1: (slice(None), slice(None)),
    2: (slice(None), slice(None, None, -1)),
    3: (slice(None, None, -1), slice(None, None, -1)),
    4: (slice(None, None, -1), slice(None)),
}

_DTYPES = {(1, 8): "u1", (1, 16): "u2", (3, 32): "f4"}  # SampleFormat, BitsPerSample → NumPy
_SEPARATE = 2  # PlanarConfiguration
_TILE_WIDTH, _TILE_LENGTH = 322, 323


@dataclass(frozen=True, slots=True)
class Layout:
    """Hold the checked header of one page.

    Attributes:
        planar: every channel has chunks of its own.
        tiled: chunks are tiles of full size; otherwise strips, the last of which may be lower.
        chunk: height and width of a strip or tile.
        offsets: where each chunk starts in the file, row by row.
        sizes: bytes of each chunk in the file.
        unpack: decompression of one chunk to a given number of bytes.
        orientation: which corner comes first; a key of `FLIPS`.
    """

    height: int
    width: int
    channels: int
    dtype: np.dtype[Any]
    photometric: int
    planar: bool
    tiled: bool
    chunk: tuple[int, int]
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    unpack: Callable[[Buffer, int], Buffer]
    predictor: int
    orientation: int

    @property
    def alike(self) -> tuple[object, ...]:
        """Return what the pages of one scan share."""
        return (self.height, self.width, self.channels, self.dtype, self.photometric)

    @property
    def is_plain(self) -> bool:
        """Tell whether the pixels lie in the file as one array of 16-bit levels, high is bright."""
        ends = [offset + size for offset, size in zip(self.offsets, self.sizes, strict=True)]
        whole = sum(self.sizes) == self.height * self.width * 2
        upright = (self.channels, self.tiled, self.orientation) == (1, False, 1)
        grey = (self.predictor, self.photometric) == (NO_PREDICTOR, BLACK_IS_ZERO)
        stored = self.unpack is COMPRESSIONS[1][1] and self.dtype.str[1:] == "u2"
        return upright and grey and stored and whole and ends[:-1] == list(self.offsets[1:])

    @property
    def chunk_channels(self) -> int:
        """Return how many channels one chunk holds."""
        return 1 if self.planar else self.channels


def unknown(path: Path, found: str, expected: str) -> ScanFormatError:
    """Return the error for a valid TIFF of a kind that is not read."""
    return ScanFormatError(
        path,
        found=found,
        expected=expected,
        remedy="Export 16-bit grey without compression, for example: tiffcp -c none in.tif out.tif",
    )


def layout_of(tags: Tags, limits: Limits) -> Layout:
    """Check the header of one page against the limits, the file size and what can be decoded.

    Raises:
        ScanFormatError: the page is too large, damaged or of a kind that is not read.
    """
    height, width, channels = tags.one(257, 0), tags.one(256, 0), tags.one(277, 1)
    limits.check_image(tags.path, height, width, channels)
    dtype = _dtype(tags, channels)
    planar = tags.one(284, 1) == _SEPARATE and channels > 1
    tiled = _TILE_WIDTH in tags.entries
    chunk = _chunk(tags, height, width)
    limits.check_image(tags.path, *chunk)
    count = math.ceil(height / chunk[0]) * math.ceil(width / chunk[1])
    offsets, sizes = _segments(tags, count * (channels if planar else 1))
    unpack, predictor = _compression(tags, dtype, height * width * channels, sum(sizes))
    return Layout(
        height=height,
        width=width,
        channels=channels,
        dtype=dtype,
        photometric=_photometric(tags, dtype),
        planar=planar,
        tiled=tiled,
        chunk=chunk,
        offsets=offsets,
        sizes=sizes,
        unpack=unpack,
        predictor=predictor,
        orientation=_orientation(tags),
    )


def _dtype(tags: Tags, channels: int) -> np.dtype[Any]:
    """Return the type of a sample, in the byte order of the file."""
    bits = set(tags.whole(258, (1,), channels))
    formats = set(tags.whole(339, (1,), channels))
    name = _DTYPES.get((min(formats), min(bits)))
    if len(bits) != 1 or len(formats) != 1 or name is None:
        found = f"samples of {sorted(bits)} bits and format {sorted(formats)}"
        raise unknown(tags.path, found, "unsigned 8 or 16 bits, or float of 32 bits")
    return np.dtype(tags.order + name)


def _photometric(tags: Tags, dtype: np.dtype[Any]) -> int:
    photometric = tags.one(262, BLACK_IS_ZERO)
    inverted_float = dtype.kind == "f" and photometric == WHITE_IS_ZERO
    if photometric > (PALETTE if dtype.itemsize == 1 else RGB) or inverted_float:
        raise unknown(tags.path, f"photometric interpretation {photometric}", "grey or RGB")
    return photometric


def _orientation(tags: Tags) -> int:
    orientation = tags.one(274, 1)
    if orientation not in FLIPS or tags.one(266, 1) != 1:
        found = f"orientation {orientation}, fill order {tags.one(266, 1)}"
        raise unknown(tags.path, found, "orientation 1 to 4 and fill order 1")
    return orientation


def _chunk(tags: Tags, height: int, width: int) -> tuple[int, int]:
    """Return height and width of a tile or of a full strip."""
    if _TILE_WIDTH in tags.entries:
        rows, columns = tags.one(_TILE_LENGTH, 0), tags.one(_TILE_WIDTH, 0)
    else:
        rows, columns = min(tags.one(278, height), height), width
    if min(rows, columns) < 1:
        raise broken(tags.path, "TIFF", f"strips or tiles of {rows} x {columns} pixels")
    return rows, columns


def _segments(tags: Tags, count: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return offsets and sizes of all strips or tiles, each inside the file."""
    places = (324, 325) if _TILE_WIDTH in tags.entries else (273, 279)
    offsets, sizes = (tags.whole(tag, (), count) for tag in places)
    if len(offsets) != count or len(sizes) != count:
        found = f"{len(offsets)} offsets and {len(sizes)} sizes of {count} strips or tiles"
        raise broken(tags.path, "TIFF", found)
    for offset, size in zip(offsets, sizes, strict=True):
        if offset + size > len(tags.data):
            found = f"pixels up to byte {offset + size} of {len(tags.data)}"
            raise broken(tags.path, "TIFF", found)
    return offsets, sizes


def _compression(
    tags: Tags, dtype: np.dtype[Any], samples: int, packed: int
) -> tuple[Callable[[Buffer, int], Buffer], int]:
    """Return unpacking and predictor; refuse more samples than `packed` bytes can hold."""
    compression, predictor = tags.one(259, 1), tags.one(317, NO_PREDICTOR)
    most = HORIZONTAL if dtype.kind == "u" else NO_PREDICTOR
    if compression not in COMPRESSIONS or not NO_PREDICTOR <= predictor <= most:
        names = ", ".join(sorted({name for name, _, _ in COMPRESSIONS.values()}))
        found = f"compression {compression} with predictor {predictor}"
        raise unknown(tags.path, found, f"{names}; float values without predictor")
    _, unpack, ratio = COMPRESSIONS[compression]
    if samples * dtype.itemsize > packed * ratio:
        raise broken(tags.path, "TIFF", f"{packed} bytes cannot hold {samples} samples")
    return unpack, predictor
