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
from dataclasses import replace
from pathlib import Path

import numpy as np
import tifffile
from jaxtyping import Float32, Shaped, UInt8

import nii
from nii.formats.display import GREY_CURVE, grey_of_colour
from nii.formats.facts import (
    ASSUMED_OPEN_BEAM,
    HIGHEST_FIRST,
    KEY,
    WHITE,
    Facts,
    assemble,
    assemble_stored,
    facts_of,
    from_levels,
    from_text,
    noted,
    to_levels,
    to_text,
)
from nii.formats.files import broken, decoding, load, save, single
from nii.formats.limits import Limits
from nii.formats.tiff_layout import (
    FLIPS,
    HORIZONTAL,
    PALETTE,
    RGB,
    WHITE_IS_ZERO,
    Layout,
    layout_of,
    unknown,
)
from nii.formats.tiff_tags import Tags, directories
from nii.scan import Grey, Scan, StoredScan

SUFFIXES: tuple[str, ...] = (".tif", ".tiff")

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DICOM_AT = 128  # a DICOM file may wear a TIFF header as its preamble
_INVERTED = "grey was inverted: white is zero in the file"
_BIG = (1 << 32) - (1 << 24)  # bytes from which on the offsets need 64 bits


def sniff(head: bytes) -> bool:
    """Tell from the first bytes whether a file is TIFF (and not DICOM in its clothes)."""
    return head[:4] in _MAGIC and head[_DICOM_AT : _DICOM_AT + 4] != b"DICM"


def read(paths: tuple[Path, ...], limits: Limits) -> Scan:
    """Read the one file of a scan.

    Raises:
        ScanFormatError: the file is damaged, too large, or of a depth or compression not known.
    """
    path = single(paths)
    data, layouts, tags = _pages(path, limits)
    stored = _facts(path, tags.text(270))
    if layouts[0].dtype.itemsize == 1:
        return _display(path, data, layouts, tags, stored or Facts())
    return _energies(path, data, layouts, stored)


def read_stored(paths: tuple[Path, ...], limits: Limits) -> StoredScan | None:
    """Read the one file of a scan without making numbers of its levels.

    Returns:
        The scan, or None where its pixels do not lie in the file as they are needed: one page an
        energy, 16 bits, upright, not compressed, without gaps.

    Raises:
        ScanFormatError: as :func:`read`.
    """
    path = single(paths)
    data, layouts, tags = _pages(path, limits)
    if not all(layout.is_plain for layout in layouts):
        return None
    stored = _facts(path, tags.text(270))
    facts = noted(stored or Facts(), _assumed(stored, len(layouts)))
    if facts.grey is Grey.DISPLAY:
        return None
    planes = (
        np.frombuffer(data, p.dtype, p.height * p.width, p.offsets[0]).reshape(p.height, p.width)
        for p in layouts
    )
    return assemble_stored(path, tuple(planes), facts)


def _pages(path: Path, limits: Limits) -> tuple[bytes, tuple[Layout, ...], Tags]:
    """Return a file, its checked pages without thumbnails, and the tags of the first."""
    data = load(path, limits)
    pages = [tags for tags in directories(path, data) if not tags.one(254, 0) & 1]  # no thumbnail
    if not pages:
        raise broken(path, "TIFF", "only reduced images")
    layouts = tuple(layout_of(tags, limits) for tags in pages[: limits.energies + 1])
    first = layouts[0]
    limits.check_image(path, first.height, first.width, first.channels * len(pages))
    if any(layout.alike != first.alike for layout in layouts):
        sizes = ", ".join(f"{page.height} x {page.width}" for page in layouts)
        raise unknown(path, f"pages that differ in size or depth: {sizes}", "alike, one an energy")
    return data, layouts, pages[0]


def write(scan: Scan, path: Path) -> tuple[Path, ...]:
    """Write one page an energy, 16 bits, not compressed.

    Noise hardly packs (deflate saves 4 % to 22 %) and packed pages take ten times longer to read.

    Raises:
        ScanFormatError: the scan is not normalised to open beam.
    """
    levels, open_beam = to_levels(scan, path)
    description = json.dumps({KEY: json.loads(to_text(facts_of(scan, open_beam)))})
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, bigtiff=levels.nbytes > _BIG) as writer:
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


def _image(path: Path, data: bytes, page: Layout) -> Shaped[np.ndarray, "channel height width"]:
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
    return image[:, *FLIPS[page.orientation]]


def _chunk(
    path: Path, packed: memoryview, page: Layout, shape: tuple[int, int, int]
) -> Shaped[np.ndarray, "height width channel"]:
    """Decode one strip or tile."""
    samples = math.prod(shape)
    with decoding(path, "TIFF pixels"):
        raw = page.unpack(packed, samples * page.dtype.itemsize)
    if len(raw) < samples * page.dtype.itemsize:
        raise broken(path, "TIFF pixels", f"{len(raw)} bytes in a part of {shape}")
    chunk = np.frombuffer(raw, page.dtype, samples).reshape(shape)
    if page.predictor == HORIZONTAL:
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
    path: Path, data: bytes, layouts: tuple[Layout, ...], tags: Tags, stored: Facts
) -> Scan:
    """Return a page of 8 bits as one display channel."""
    page = layouts[0]
    colour = page.photometric == RGB and page.channels >= 3  # noqa: PLR2004
    if len(layouts) > 1 or not (colour or page.channels <= 2):  # noqa: PLR2004
        found = f"{len(layouts)} pages of {page.channels} channels with 8 bits"
        raise unknown(path, found, "one page of grey or RGB; energies need 16 bits")
    grey, steps = _grey(_image(path, data, page), page, tags)
    steps = (GREY_CURVE, *steps)
    if page.channels in {2, 4}:
        steps += ("transparency was ignored",)
    facts = noted(replace(stored, grey=Grey.DISPLAY), steps)
    return assemble(path, from_levels(grey, 255)[np.newaxis], facts)


def _grey(
    image: UInt8[np.ndarray, "channel height width"], page: Layout, tags: Tags
) -> tuple[UInt8[np.ndarray, "height width"], tuple[str, ...]]:
    """Return one channel, low levels dark, and the steps to note."""
    if page.photometric == RGB:
        return grey_of_colour(np.ascontiguousarray(image[2::-1].transpose(1, 2, 0)))
    if page.photometric == PALETTE:
        table = np.array(tags.whole(320, (), 3 * 256), np.uint16)
        if table.size != 3 * 256:
            raise broken(tags.path, "TIFF", f"a palette of {table.size} values")
        bgr = (table.reshape(3, 256)[::-1] >> 8).astype(np.uint8).T
        return grey_of_colour(np.ascontiguousarray(bgr)[image[0]])
    if page.photometric == WHITE_IS_ZERO:
        return 255 - image[0], (_INVERTED,)
    return image[0], ()


def _energies(path: Path, data: bytes, layouts: tuple[Layout, ...], stored: Facts | None) -> Scan:
    """Return pages and channels of 16 bits or float as energies."""
    facts = stored or Facts()
    page = layouts[0]
    whole = page.dtype.kind == "u"
    transmission: Float32[np.ndarray, "e h w"] = np.empty(
        (page.channels * len(layouts), page.height, page.width), np.float32
    )
    for number, layout in enumerate(layouts):
        image = _image(path, data, layout)
        image = WHITE - image if layout.photometric == WHITE_IS_ZERO else image
        part = transmission[number * page.channels : (number + 1) * page.channels]
        np.divide(image, np.float32(facts.open_beam if whole else 1), out=part, dtype=np.float32)
    steps: tuple[str, ...] = ()
    if page.photometric == WHITE_IS_ZERO:
        steps += (_INVERTED,)
    steps += _assumed(stored, len(transmission), whole=whole)
    return assemble(path, transmission, noted(facts, steps))


def _assumed(stored: Facts | None, energies: int, *, whole: bool = True) -> tuple[str, ...]:
    """Return what is taken for granted where a file of somebody else says nothing."""
    if stored is not None:
        return ()
    level = ASSUMED_OPEN_BEAM if whole else "assumed that float values are I/I0"
    return (level, HIGHEST_FIRST) if energies > 1 else (level,)
