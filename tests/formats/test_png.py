"""PNG: our channels, and those that others write."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from nii.errors import ScanFormatError
from nii.formats import png, read, write
from nii.formats.facts import ASSUMED_OPEN_BEAM, HIGHEST_FIRST
from nii.scan import Grey, Scan

Refused = Callable[[str, bytes], ScanFormatError]
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return one chunk with its length and check sum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def picture(shape: tuple[int, int], depth: int, colour: int, raw: bytes, *more: bytes) -> bytes:
    """Return a PNG made by hand; `raw` are the filtered rows, `more` are chunks before them."""
    header = struct.pack(">IIBBBBB", shape[1], shape[0], depth, colour, 0, 0, 0)
    parts = (chunk(b"IHDR", header), *more, chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b""))
    return SIGNATURE + b"".join(parts)


@pytest.mark.parametrize(("channels", "colour"), [(1, 0), (2, 4), (3, 2), (4, 6)])
def test_channels_of_16_bits_are_energies(
    channels: int, colour: int, tmp_path: Path, rng: np.random.Generator
) -> None:
    """Grey, grey + alpha, RGB and RGBA give their channels in the order of the file."""
    levels = rng.integers(0, 65536, (5, 7, channels), dtype=np.uint16)
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    path = tmp_path / "other.png"
    path.write_bytes(picture((5, 7), 16, colour, raw))
    scan = read(path)
    assert np.array_equal(np.rint(scan.transmission * 65535), levels.transpose(2, 0, 1))
    assert scan.provenance.steps[0] == ASSUMED_OPEN_BEAM
    assert (HIGHEST_FIRST in scan.provenance.steps) == (channels > 1)


def test_opencv_sees_the_same(truck: Scan, tmp_path: Path) -> None:
    """Another decoder agrees with our encoder."""
    (path,) = write(truck, tmp_path / "truck.png")
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    assert np.array_equal(pixels[..., 0], np.rint(truck.transmission[0] * 65535))
    assert np.array_equal(pixels[..., 3], np.rint(truck.transmission[1] * 65535))


def test_eight_bits_are_display(tmp_path: Path, rng: np.random.Generator) -> None:
    """Grey, colour, transparent and palette pictures become one display channel."""
    grey = rng.integers(0, 256, (5, 7), dtype=np.uint8)

    def rows(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
        return b"".join(b"\0" + row.tobytes() for row in pixels)

    opaque = np.full_like(grey, 255)
    palette = chunk(b"PLTE", bytes(value for level in range(256) for value in (level,) * 3))
    made = (
        picture((5, 7), 8, 0, rows(grey)),
        picture((5, 7), 8, 2, rows(np.stack([grey] * 3, -1))),
        picture((5, 7), 8, 4, rows(np.stack([grey, opaque], -1))),
        picture((5, 7), 8, 6, rows(np.stack([grey] * 3 + [grey], -1))),
        picture((5, 7), 8, 3, rows(grey), palette, chunk(b"tRNS", bytes(256))),
    )
    for number, data in enumerate(made):
        path = tmp_path / "other.png"
        path.write_bytes(data)
        scan = read(path)
        assert scan.grey is Grey.DISPLAY
        assert np.array_equal(np.rint(scan.transmission[0] * 255), grey)
        assert ("transparency was ignored" in scan.provenance.steps) == (number == 3)


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    """Fewer bits than eight are stretched to the full range."""
    path = tmp_path / "mask.png"
    path.write_bytes(picture((1, 8), 1, 0, b"\0\xa5"))
    assert read(path).transmission.tolist() == [[[1, 0, 1, 0, 0, 1, 0, 1]]]


def test_colour_is_noted(tmp_path: Path) -> None:
    """A pseudo-colour picture is read as luminance, and the user is told."""
    path = tmp_path / "colour.png"
    cv2.imwrite(str(path), np.full((6, 6, 3), (0, 0, 255), np.uint8))
    assert any("pseudo-colour" in step for step in read(path).provenance.steps)


def test_five_energies_are_refused(tmp_path: Path) -> None:
    """The message names the formats that can hold them."""
    with pytest.raises(ScanFormatError, match="TIFF or DICOS"):
        write(Scan(np.ones((5, 2, 2), np.float32)), tmp_path / "five.png")


def test_the_oversized_are_refused(refused: Refused) -> None:
    """A header that claims a million by a million pixels costs no memory."""
    data = picture((1_000_000, 1_000_000), 16, 0, b"\0")
    assert "1000000 x 1000000" in refused("claims.png", data).found


def test_a_bomb_is_refused(refused: Refused) -> None:
    """Few bytes that claim 100 megapixels are refused before they are unpacked."""
    assert "cannot hold" in refused("bomb.png", picture((10_000, 10_000), 16, 6, b"\0")).found


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (SIGNATURE, "without IEND"),
        (SIGNATURE + chunk(b"IEND", b""), "comes first"),
        (SIGNATURE + struct.pack(">I4s", 1 << 31, b"IHDR") + bytes(99), "past the end"),
        (picture((2, 2), 8, 0, b"\0\0")[:-1], "IEND"),
        (picture((2, 2), 8, 0, b"\0\0\0"), "does not fill"),
        (picture((2, 2), 7, 0, b"\0\0\0"), "7 bits"),
        (picture((2, 2), 8, 5, b"\0\0\0"), "colour type 5"),
        (picture((2, 2), 16, 0, b"\0\0\0\0\0\0", chunk(b"IHDR", bytes(13))), "does not fill"),
        (picture((1, 1), 16, 0, b"\0\0\0", chunk(b"iTXt", b"nii\0\1\0\0\0zip")), "malformed"),
        (picture((1, 1), 16, 0, b"\0\0\0", chunk(b"tEXt", b"nii\0{")), "JSON"),
        (picture((1, 1), 16, 0, b"\0\0\0", *[chunk(b"tEXt", b"nii\0{}")] * 2), "2 text chunks"),
    ],
)
def test_broken_files_are_refused(data: bytes, message: str, refused: Refused) -> None:
    """Each kind of damage is found and named."""
    assert message in refused("broken.png", data).found


def test_a_wrong_check_sum_is_refused(truck: Scan, tmp_path: Path, refused: Refused) -> None:
    """One changed bit in the pixels is found."""
    (path,) = write(truck, tmp_path / "truck.png")
    data = bytearray(path.read_bytes())
    data[-30] ^= 1
    assert "check sum" in refused("flipped.png", bytes(data)).found


def test_plain_text_facts_are_read(tmp_path: Path) -> None:
    """Facts that another program wrote as tEXt count as well."""
    facts = chunk(b"tEXt", b'nii\0{"endpoint_mev": [9.0], "scanner": "X"}')
    path = tmp_path / "text.png"
    path.write_bytes(picture((1, 1), 16, 0, b"\0\xff\xff", facts))
    scan = read(path)
    assert (scan.endpoint_mev, scan.scanner) == ((9.0,), "X")
    assert scan.provenance.steps == ()


def test_sniff_wants_the_signature() -> None:
    """The first eight bytes decide."""
    assert png.sniff(SIGNATURE + bytes(10))
    assert not png.sniff(SIGNATURE[:-1])
