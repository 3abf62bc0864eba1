"""TIFF: pages or channels of 16 bits or float32 as energies; 8 bits as display.

Headers are checked against the file size and every strip or tile is unpacked within the bounds
that they give. The facts of a scan stand as JSON in the ImageDescription of the first page:
``{"nii": {…}}``.

Reference:
    TIFF revision 6.0 (Adobe, 1992), sections 3 to 8, 14 (predictor), 15 (tiles) and 19 (formats).
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from jaxtyping import Float32, Shaped

import nii
from nii.errors import ScanFormatError
from nii.formats.display import GREY_CURVE, grey_of_colour
from nii.formats.facts import (
    ASSUMED_OPEN_BEAM,
    HIGHEST_FIRST,
    KEY,
    WHITE,
    Facts,
    assemble,
    facts_of,
    from_levels,
    from_text,
    noted,
    to_levels,
    to_text,
)
from nii.formats.files import broken, decoding, load, save, single
from nii.formats.limits import Limits
from nii.formats.tiff_tags import Tags, directories
from nii.formats.unpack import COMPRESSIONS, Buffer
from nii.scan import Grey, Scan

SUFFIXES: tuple[str, ...] = (".tif", ".tiff")

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DICOM_AT = 128  # a DICOM file may wear a TIFF header as its preamble
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE = 0, 1, 2, 3
_DTYPES = {(1, 8): "u1", (1, 16): "u2", (3, 32): "f4"}  # SampleFormat, BitsPerSample → NumPy
_NO_PREDICTOR, _HORIZONTAL = 1, 2
_BIG = (1 << 32) - (1 << 24)  # bytes from which on the offsets need 64 bits
_FLIPS: dict[int, tuple[slice, slice]] = {  # orientation → rows, columns
    1: (slice(None), slice(None)),
    2: (slice(None), slice(None, None, -1)),
    3: (slice(None, None, -1), slice(None, None, -1)),
    4: (slice(None, None, -1), slice(None)),
}


@dataclass(frozen=True, slots=True)
class _Layout:
    """What the header of one page says, checked; a chunk is a strip or a tile."""

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
    def chunk_channels(self) -> int:
        return 1 if self.planar else self.channels


def sniff(head: bytes) -> bool:
    """Tell from the first bytes whether a file is TIFF (and not DICOM in its clothes)."""
    return head[:4] in _MAGIC and head[_DICOM_AT : _DICOM_AT + 4] != b"DICM"


def read(paths: tuple[Path, ...], limits: Limits) -> Scan:
    """Read the one file of a scan.

    Raises:
        ScanFormatError: the file is damaged, too large, or of a depth or compression not known.
    """
    path = single(paths)
    data = load(path, limits)
    pages = [tags for tags in directories(path, data) if not tags.one(254, 0) & 1]  # no thumbnail
    if not pages:
        raise broken(path, "TIFF", "only reduced images")
    layouts = tuple(_layout(tags, limits) for tags in pages[: limits.energies + 1])
    first = layouts[0]
    limits.check_image(path, first.height, first.width, first.channels * len(pages))
    if any(layout.alike != first.alike for layout in layouts):
        sizes = ", ".join(f"{page.height} x {page.width}" for page in layouts)
        raise _unknown(path, f"pages that differ in size or depth: {sizes}", "alike, one an energy")
    stored = _facts(path, pages[0].text(270))
    if first.dtype.itemsize == 1:
        return _display(path, data, layouts, pages[0], stored or Facts())
    return _energies(path, data, layouts, stored)


def write(scan: Scan, path: Path) -> tuple[Path, ...]:
    """Write one page an energy, 16 bits, not compressed.

    Noise hardly packs (deflate saves 4 % to 22 %) and packed pages take ten times longer to read.

    Raises:
        ScanFormatError: the scan is not normalised to open beam.
    """
    levels, open_beam = to_levels(scan, path)
    description = json.dumps({KEY: json.loads(to_text(facts_of(scan, open_beam)))})
    stream = io.BytesIO()
    with (
        decoding(path, "TIFF encoding"),
        tifffile.TiffWriter(stream, bigtiff=levels.nbytes > _BIG) as writer,
    ):
        for energy, page in enumerate(levels):
            writer.write(
                page,
                photometric="minisblack",
                description=description if energy == 0 else None,
                software=f"nii {nii.__version__}",
                metadata=None,
            )
    save(path, stream.getvalue())
    return (path,)


def _unknown(path: Path, found: str, expected: str) -> ScanFormatError:
    return ScanFormatError(
        path,
        found=found,
        expected=expected,
        remedy="Export 16-bit grey without compression, for example: tiffcp -c none in.tif out.tif",
    )


def _layout(tags: Tags, limits: Limits) -> _Layout:
    """Check the header of one page against the file size and against what can be decoded."""
    path = tags.path
    height, width, channels = tags.one(257, 0), tags.one(256, 0), tags.one(277, 1)
    limits.check_image(path, height, width, channels)
    dtype = _dtype(tags, channels)
    photometric, predictor = tags.one(262, _BLACK_IS_ZERO), tags.one(317, _NO_PREDICTOR)
    compression = tags.one(259, 1)
    if compression not in COMPRESSIONS or predictor > (_HORIZONTAL if dtype.kind == "u" else 1):
        names = ", ".join(sorted({name for name, _, _ in COMPRESSIONS.values()}))
        found = f"compression {compression} with predictor {predictor}"
        raise _unknown(path, found, f"one of {names}; float values without predictor")
    if photometric > (_PALETTE if dtype.itemsize == 1 else _RGB) or (
        dtype.kind == "f" and photometric == _WHITE_IS_ZERO
    ):
        raise _unknown(path, f"photometric interpretation {photometric}", "grey or RGB")
    if tags.one(266, 1) != 1 or tags.one(274, 1) not in _FLIPS:
        raise _unknown(path, "turned pages or reversed bits", "orientation 1 to 4, fill order 1")
    planar = tags.one(284, 1) == 2 and channels > 1  # noqa: PLR2004 - separate planes
    tiled = 322 in tags.entries  # noqa: PLR2004 - TileWidth
    chunk = (tags.one(323, 0), tags.one(322, 0)) if tiled else (_strip_rows(tags, height), width)
    limits.check_image(path, *chunk)
    _, unpack, ratio = COMPRESSIONS[compression]
    offsets, sizes = _segments(
        tags,
        tiled,
        math.ceil(height / chunk[0]) * math.ceil(width / chunk[1]) * (channels if planar else 1),
    )
    if height * width * channels * dtype.itemsize > sum(sizes) * ratio:
        raise broken(path, "TIFF", f"{sum(sizes)} bytes cannot hold {height} x {width} pixels")
    return _Layout(
        height,
        width,
        channels,
        dtype,
        photometric,
        planar,
        tiled,
        chunk,
        offsets,
        sizes,
        unpack,
        predictor,
        tags.one(274, 1),
    )


def _strip_rows(tags: Tags, height: int) -> int:
    return max(1, min(tags.one(278, height), height))


def _dtype(tags: Tags, channels: int) -> np.dtype[Any]:
    """Return the type of a sample, in the byte order of the file."""
    bits = set(tags.whole(258, (1,), channels))
    formats = set(tags.whole(339, (1,), channels))
    name = _DTYPES.get((min(formats), min(bits)))
    if len(bits) != 1 or len(formats) != 1 or name is None:
        found = f"samples of {sorted(bits)} bits and format {sorted(formats)}"
        raise _unknown(tags.path, found, "unsigned 8 or 16 bits, or float of 32 bits")
    return np.dtype(tags.order + name)


def _segments(tags: Tags, tiled: bool, count: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return offsets and sizes of all strips or tiles, each inside the file."""
    offsets = tags.whole(324 if tiled else 273, (), count)
    sizes = tags.whole(325 if tiled else 279, (), count)
    if len(offsets) != count or len(sizes) != count:
        found = f"{len(offsets)} offsets and {len(sizes)} sizes of {count} strips or tiles"
        raise broken(tags.path, "TIFF", found)
    for offset, size in zip(offsets, sizes, strict=True):
        if offset + size > len(tags.data):
            detail = f"pixels up to byte {offset + size} of {len(tags.data)}"
            raise broken(tags.path, "TIFF", detail)
    return offsets, sizes


def _image(path: Path, data: bytes, page: _Layout) -> Shaped[np.ndarray, "channel height width"]:
    """Decode one page."""
    view = memoryview(data)
    image = np.empty((page.channels, page.height, page.width), page.dtype.newbyteorder("="))
    rows, columns = page.chunk
    across = math.ceil(page.width / columns)
    down = math.ceil(page.height / rows)
    for number, (offset, size) in enumerate(zip(page.offsets, page.sizes, strict=True)):
        plane, place = divmod(number, across * down)
        top, left = place // across * rows, place % across * columns
        height = rows if page.tiled else min(rows, page.height - top)
        shape = (height, columns, page.chunk_channels)
        chunk = _chunk(path, view[offset : offset + size], page, shape)
        target = image[plane : plane + shape[2], top : top + height, left : left + columns]
        target[...] = chunk.transpose(2, 0, 1)[:, : target.shape[1], : target.shape[2]]
    return image[:, *_FLIPS[page.orientation]]


def _chunk(
    path: Path, packed: memoryview, page: _Layout, shape: tuple[int, int, int]
) -> Shaped[np.ndarray, "height width channel"]:
    """Decode one strip or tile."""
    samples = math.prod(shape)
    with decoding(path, "TIFF pixels"):
        raw = page.unpack(packed, samples * page.dtype.itemsize)
    if len(raw) < samples * page.dtype.itemsize:
        raise broken(path, "TIFF pixels", f"{len(raw)} bytes in a part of {shape}")
    chunk = np.frombuffer(raw, page.dtype, samples).reshape(shape)
    if page.predictor == _HORIZONTAL:
        chunk = np.cumsum(chunk, axis=1, dtype=page.dtype.newbyteorder("="))
    return chunk


def _facts(path: Path, description: str) -> Facts | None:
    """Return the facts of an ImageDescription, None where somebody else wrote it."""
    if not description.startswith("{") or f'"{KEY}"' not in description:
        return None
    with decoding(path, "JSON of the image description"):
        data = json.loads(description)
        inner = json.dumps(data[KEY])
    return from_text(path, inner)


def _display(
    path: Path, data: bytes, layouts: tuple[_Layout, ...], tags: Tags, stored: Facts
) -> Scan:
    """Return a page of 8 bits as one display channel."""
    page = layouts[0]
    colour = page.photometric == _RGB and page.channels >= 3  # noqa: PLR2004
    if len(layouts) > 1 or not (colour or page.channels <= 2):  # noqa: PLR2004
        found = f"{len(layouts)} pages of {page.channels} channels with 8 bits"
        raise _unknown(path, found, "one page of grey or RGB; energies need 16 bits")
    image = _image(path, data, page)
    steps: tuple[str, ...] = (GREY_CURVE,)
    if page.channels in {2, 4}:
        steps += ("transparency was ignored",)
    grey = image[0]
    if colour:
        grey, more = grey_of_colour(np.ascontiguousarray(image[2::-1].transpose(1, 2, 0)))
        steps += more
    elif page.photometric == _PALETTE:
        table = np.array(tags.whole(320, (), 3 * 256), np.uint16)
        if table.size != 3 * 256:
            raise broken(path, "TIFF", f"a palette of {table.size} values")
        bgr = (table.reshape(3, 256)[::-1] >> 8).astype(np.uint8).T
        grey, more = grey_of_colour(bgr[grey])
        steps += more
    elif page.photometric == _WHITE_IS_ZERO:
        grey = 255 - grey
        steps += ("grey was inverted: white is zero in the file",)
    facts = noted(replace(stored, grey=Grey.DISPLAY), steps)
    return assemble(path, from_levels(grey, 255)[np.newaxis], facts)


def _energies(path: Path, data: bytes, layouts: tuple[_Layout, ...], stored: Facts | None) -> Scan:
    """Return pages and channels of 16 bits or float as energies."""
    facts = stored or Facts()
    page = layouts[0]
    whole = page.dtype.kind == "u"
    transmission: Float32[np.ndarray, "e h w"] = np.empty(
        (page.channels * len(layouts), page.height, page.width), np.float32
    )
    for number, layout in enumerate(layouts):
        image = _image(path, data, layout)
        image = WHITE - image if layout.photometric == _WHITE_IS_ZERO else image
        part = transmission[number * page.channels : (number + 1) * page.channels]
        np.divide(image, np.float32(facts.open_beam if whole else 1), out=part, dtype=np.float32)
    steps: tuple[str, ...] = ()
    if page.photometric == _WHITE_IS_ZERO:
        steps += ("grey was inverted: white is zero in the file",)
    if stored is None:
        steps += (ASSUMED_OPEN_BEAM if whole else "assumed that float values are I/I0",)
        steps += (HIGHEST_FIRST,) if len(transmission) > 1 else ()
    return assemble(path, transmission, noted(facts, steps))
