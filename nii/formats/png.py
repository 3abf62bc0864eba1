"""PNG: 16-bit grey, grey + alpha, RGB or RGBA as 1 to 4 energies; 8 bits and fewer as display.

The facts of a scan stand in one international text chunk (iTXt) with the keyword ``nii``.

Reference:
    PNG specification, third edition (W3C, 2025), chapters 5 (chunks), 9 (filters), 11 (types).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32, Integer, UInt8, UInt16

from nii.errors import ScanFormatError
from nii.formats.display import GREY_CURVE, grey_of_colour
from nii.formats.facts import (
    ASSUMED_OPEN_BEAM,
    HIGHEST_FIRST,
    KEY,
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
from nii.scan import Grey, Scan

SUFFIXES: tuple[str, ...] = (".png",)

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}  # channels → grey, grey + alpha, RGB, RGBA
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type → channels; 3 is a palette
_PLACES = {1: (0,), 2: (0, 3), 3: (2, 1, 0), 4: (2, 1, 0, 3)}  # of the channels in OpenCV's BGRA
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_DEFLATE_MOST = 1032  # the highest ratio that deflate reaches (zlib technical details)
_CHUNKS_MOST = 1 << 20  # assumption: more only keep the reader busy
_FACTS_MOST = 1 << 24  # assumption: facts beyond 16 MiB are no facts


@dataclass(frozen=True, slots=True)
class _Header:
    width: int
    height: int
    depth: int
    colour_type: int

    @property
    def channels(self) -> int:
        return _CHANNELS[self.colour_type]

    @property
    def raw_bytes(self) -> int:
        """Return a lower bound of the bytes before compression."""
        return self.height * (self.width * self.channels * self.depth // 8)


def sniff(head: bytes) -> bool:
    """Tell from the first bytes whether a file is PNG."""
    return head.startswith(_SIGNATURE)


def read(paths: tuple[Path, ...], limits: Limits) -> Scan:
    """Read the one file of a scan.

    Raises:
        ScanFormatError: the file is damaged, too large or of an unknown depth.
    """
    path = single(paths)
    chunks = tuple(_chunks(path, load(path, limits)))
    header = _header(path, chunks[0])
    limits.check_image(path, header.height, header.width)
    stored = _facts(path, chunks)
    pixels = _pixels(path, header, chunks)
    if header.depth < 16:  # noqa: PLR2004 - bits
        return _display(path, pixels, stored or Facts())
    levels = pixels if pixels.ndim == 3 else pixels[..., np.newaxis]  # noqa: PLR2004 - axes
    return _energies(path, levels, header, stored)


def write(scan: Scan, path: Path) -> tuple[Path, ...]:
    """Write 16 bits a channel with the facts beside them.

    Raises:
        ScanFormatError: the scan has more than four energies or is not normalised.
    """
    if scan.energy_count not in _COLOUR_TYPE:
        raise ScanFormatError(
            path,
            found=f"{scan.energy_count} energies",
            expected="1 to 4 energies in a PNG",
            remedy="Write TIFF or DICOS instead.",
        )
    levels, open_beam = to_levels(scan, path)
    text = to_text(facts_of(scan, open_beam)).encode("ascii")
    colour_type = _COLOUR_TYPE[scan.energy_count]
    header = struct.pack(">IIBBBBB", scan.width, scan.height, 16, colour_type, 0, 0, 0)
    parts = (
        _SIGNATURE,
        *_chunk(b"IHDR", header),
        *_chunk(b"iTXt", KEY.encode("ascii") + b"\0\0\0\0\0" + text),
        *_chunk(b"IDAT", _compress(levels)),
        *_chunk(b"IEND", b""),
    )
    save(path, b"".join(parts))
    return (path,)


def _compress(levels: UInt16[np.ndarray, "energy height width"]) -> bytes:
    """Return the rows, filtered by difference to the pixel on the left, as a zlib stream.

    Noise fills the lower byte of every pixel: a search for repeated strings finds nothing there,
    so run-length and Huffman coding alone are as small as full deflate and twice as fast.
    """
    energies, height, width = levels.shape
    step = 2 * energies
    rows = np.ascontiguousarray(levels.transpose(1, 2, 0)).astype(">u2").view(np.uint8)
    rows = rows.reshape(height, width * step)
    filtered = np.empty((height, width * step + 1), np.uint8)
    filtered[:, 0] = 1  # filter type Sub
    filtered[:, 1 : step + 1] = rows[:, :step]
    np.subtract(rows[:, step:], rows[:, :-step], out=filtered[:, step + 1 :])
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    return packer.compress(filtered.data) + packer.flush()


def _chunk(kind: bytes, data: bytes | memoryview) -> tuple[bytes | memoryview, ...]:
    """Return the parts of a chunk: length, type, data, check sum."""
    check = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)), kind, data, struct.pack(">I", check)


def _chunks(path: Path, data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield type and data of every chunk up to IEND, lengths and check sums verified."""
    view = memoryview(data)
    position = len(_SIGNATURE)
    for _ in range(_CHUNKS_MOST):
        if position + 12 > len(view):
            raise broken(path, "PNG chunks", f"the file ends at byte {len(view)} without IEND")
        (length,) = struct.unpack_from(">I", view, position)
        kind = bytes(view[position + 4 : position + 8])
        end = position + 8 + length
        if end + 4 > len(view):
            raise broken(path, "PNG chunks", f"{kind!r} claims {length} bytes, past the end")
        if zlib.crc32(view[position + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            raise broken(path, "PNG chunks", f"the check sum of {kind!r} is wrong")
        yield kind, view[position + 8 : end]
        if kind == b"IEND":
            return
        position = end + 4
    raise broken(path, "PNG chunks", f"more than {_CHUNKS_MOST} of them")


def _header(path: Path, chunk: tuple[bytes, memoryview]) -> _Header:
    kind, data = chunk
    if kind != b"IHDR" or len(data) != 13:  # noqa: PLR2004 - bytes of IHDR
        raise broken(path, "PNG header", f"{kind!r} of {len(data)} bytes comes first")
    width, height, depth, colour_type, _, _, _ = struct.unpack(">IIBBBBB", data)
    if depth not in _DEPTHS.get(colour_type, ()):
        raise ScanFormatError(
            path,
            found=f"PNG colour type {colour_type} with {depth} bits",
            expected="a depth and colour type of the PNG specification",
            remedy="Export the scan again as 16-bit grey.",
        )
    return _Header(width, height, depth, colour_type)


def _facts(path: Path, chunks: tuple[tuple[bytes, memoryview], ...]) -> Facts | None:
    """Return the facts of the text chunk with our keyword, None where there is none."""
    key = KEY.encode("ascii") + b"\0"
    found = [
        (kind, bytes(data[len(key) :]))
        for kind, data in chunks
        if kind in {b"iTXt", b"tEXt"} and len(data) <= _FACTS_MOST and bytes(data[:4]) == key
    ]
    if not found:
        return None
    if len(found) > 1:
        raise broken(path, "scan facts", f"{len(found)} text chunks named {KEY!r}")
    kind, data = found[0]
    if kind == b"iTXt":
        fields = data.split(b"\0", 4) if data[:1] == b"\0" else []
        if len(fields) != 5:  # noqa: PLR2004 - two flags, language, translated keyword, text
            raise broken(path, "scan facts", "a compressed or malformed text chunk")
        data = fields[4]
    with decoding(path, "text of the scan facts"):
        text = data.decode("utf-8")
    return from_text(path, text)


def _pixels(
    path: Path, header: _Header, chunks: tuple[tuple[bytes, memoryview], ...]
) -> Integer[np.ndarray, "height width *channel"]:
    """Decode by OpenCV, which sees nothing but the chunks that make the picture."""
    kept = [
        (kind, data)
        for kind, data in chunks
        if kind in {b"IHDR", b"IDAT", b"IEND"} or (kind == b"PLTE" and header.colour_type == 3)  # noqa: PLR2004
    ]
    packed = sum(len(data) for kind, data in kept if kind == b"IDAT")
    if header.raw_bytes > packed * _DEFLATE_MOST:
        raise broken(path, "PNG pixels", f"{packed} bytes cannot hold {header.raw_bytes}")
    clean = b"".join((_SIGNATURE, *(part for kind, data in kept for part in _chunk(kind, data))))
    with decoding(path, "PNG pixels"):
        pixels = cv2.imdecode(np.frombuffer(clean, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.shape[:2] != (header.height, header.width):
        raise broken(path, "PNG pixels", "the compressed stream does not fill the picture")
    return np.asarray(pixels)


def _display(path: Path, pixels: UInt8[np.ndarray, "height width *channel"], stored: Facts) -> Scan:
    """Return a picture of up to 8 bits as one display channel."""
    steps: tuple[str, ...] = (GREY_CURVE,)
    if pixels.ndim == 3:  # noqa: PLR2004 - axes
        if pixels.shape[2] == 4 and int(pixels[..., 3].min()) < 255:  # noqa: PLR2004
            steps += ("transparency was ignored",)
        grey, more = grey_of_colour(np.ascontiguousarray(pixels[..., :3]))
        steps += more
    else:
        grey = pixels
    facts = replace(stored, grey=Grey.DISPLAY)
    return assemble(path, from_levels(grey, 255)[np.newaxis], noted(facts, steps))


def _energies(
    path: Path,
    levels: UInt16[np.ndarray, "height width channel"],
    header: _Header,
    stored: Facts | None,
) -> Scan:
    """Return the channels of a 16-bit picture as energies."""
    facts = stored or Facts()
    transmission: Float32[np.ndarray, "e h w"] = np.empty(
        (header.channels, header.height, header.width), np.float32
    )
    places = _PLACES[header.channels] if levels.shape[2] > 1 else (0,)
    for energy, place in enumerate(places):
        transmission[energy] = from_levels(levels[..., place], facts.open_beam)
    steps: tuple[str, ...] = ()
    if stored is None:
        steps = (ASSUMED_OPEN_BEAM,)
        steps += (HIGHEST_FIRST,) if header.channels > 1 else ()
    return assemble(path, transmission, noted(facts, steps))
