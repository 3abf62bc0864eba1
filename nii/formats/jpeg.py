"""JPEG: 8-bit grey or colour as one display channel.

OpenCV fills up a JPEG that was cut short with grey and says nothing, so the markers are walked
first: a picture without its end marker is an error. A comment segment may hold the facts of a
scan, as ``nii`` + zero byte + JSON.

Reference:
    ITU-T T.81 (1992), annex B (markers and segments).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from nii.errors import ScanFormatError
from nii.formats.display import GREY_CURVE, grey_of_colour
from nii.formats.facts import KEY, Facts, assemble, facts_of, from_levels, from_text, noted, to_text
from nii.formats.files import broken, decoding, load, save, single
from nii.formats.limits import Limits
from nii.scan import Grey, Scan

SUFFIXES: tuple[str, ...] = (".jpg", ".jpeg", ".jpe")

_START, _END, _SCAN, _COMMENT = 0xD8, 0xD9, 0xDA, 0xFE
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # tables and reserved, not frames
_READABLE = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive; Huffman
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # neither stuffing nor a restart marker
_SCANS_MOST = 64  # a progressive file with more passes is made to keep the reader busy
_SEGMENTS_MOST = 1 << 16  # as for the scans
_QUALITY = 95
_SEGMENT_MOST = 65533
_FACTS_HEAD = KEY.encode("ascii") + b"\0"


def sniff(head: bytes) -> bool:
    """Tell from the first bytes whether a file is JPEG."""
    return head.startswith(b"\xff\xd8\xff")


def read(paths: tuple[Path, ...], limits: Limits) -> Scan:
    """Read the one file of a scan.

    Raises:
        ScanFormatError: the file is damaged, cut short, too large or of a rare kind.
    """
    path = single(paths)
    data = load(path, limits)
    segments = tuple(_segments(path, data))
    channels = _check_frame(path, segments, limits)
    flag = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR_BGR
    with decoding(path, "JPEG pixels"):
        buffer = np.frombuffer(data, np.uint8)
        pixels = cv2.imdecode(buffer, flag | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise broken(path, "JPEG pixels", "the decoder gave up")
    grey, steps = (pixels, ()) if channels == 1 else grey_of_colour(np.asarray(pixels))
    facts = replace(_facts(path, segments), grey=Grey.DISPLAY)
    transmission = from_levels(np.asarray(grey), 255)[np.newaxis]
    return assemble(path, transmission, noted(facts, (GREY_CURVE, *steps)))


def write(scan: Scan, path: Path) -> tuple[Path, ...]:
    """Write a display image of one channel with 8 bits.

    Raises:
        ScanFormatError: the scan is a transmission, has several channels or too long facts.
    """
    if scan.grey is not Grey.DISPLAY or scan.energy_count != 1:
        raise ScanFormatError(
            path,
            found=f"a {scan.grey.value} scan of {scan.energy_count} channel(s)",
            expected="a display image of one channel: JPEG keeps 8 bits, and not exactly",
            remedy="Write PNG, TIFF or DICOS instead.",
        )
    comment = _FACTS_HEAD + to_text(facts_of(scan)).encode("ascii")
    if len(comment) > _SEGMENT_MOST:
        raise ScanFormatError(
            path,
            found=f"{len(comment)} bytes of facts",
            expected=f"at most {_SEGMENT_MOST} bytes",
            remedy="Write PNG or TIFF instead.",
        )
    grey = np.rint(np.clip(scan.transmission[0], 0, 1) * 255).astype(np.uint8)
    _, encoded = cv2.imencode(".jpg", grey, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
    start, rest = encoded[:2].tobytes(), encoded[2:].tobytes()
    save(path, start + struct.pack(">BBH", 0xFF, _COMMENT, len(comment) + 2) + comment + rest)
    return (path,)


def _segments(path: Path, data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and content of every segment up to the end marker, which must be there."""
    position = 2
    for _ in range(_SEGMENTS_MOST):
        start = position
        while position < len(data) and data[position] == 0xFF:  # noqa: PLR2004 - fill bytes
            position += 1
        if position == start or position >= len(data):
            raise broken(path, "JPEG", f"no marker at byte {start}")
        marker = data[position]
        if marker == _END:
            return
        if position + 3 > len(data):
            raise broken(path, "JPEG", f"it ends at byte {len(data)} without an end marker")
        (length,) = struct.unpack_from(">H", data, position + 1)
        end = position + 1 + length
        if length < 2 or end > len(data):  # noqa: PLR2004 - the length counts itself
            raise broken(path, "JPEG", f"segment {marker:02X} at byte {start} passes the end")
        yield marker, data[position + 3 : end]
        position = _after_scan(path, data, end) if marker == _SCAN else end
    raise broken(path, "JPEG", f"more than {_SEGMENTS_MOST} segments")


def _after_scan(path: Path, data: bytes, position: int) -> int:
    """Return the place of the marker that follows entropy-coded data."""
    found = _AFTER_SCAN.search(data, position)
    if found is None:
        raise broken(path, "JPEG", f"it ends at byte {len(data)} without an end marker")
    return found.start()


def _check_frame(path: Path, segments: tuple[tuple[int, bytes], ...], limits: Limits) -> int:
    """Return the number of channels after checking the frame header."""
    frames = [(marker, content) for marker, content in segments if marker in _FRAMES]
    scans = sum(marker == _SCAN for marker, _ in segments)
    if len(frames) != 1 or len(frames[0][1]) < 6 or not 1 <= scans <= _SCANS_MOST:  # noqa: PLR2004
        raise broken(path, "JPEG", f"{len(frames)} frame headers and {scans} scans")
    marker, content = frames[0]
    depth, height, width, channels = struct.unpack_from(">BHHB", content)
    if marker not in _READABLE or depth != 8 or channels not in {1, 3}:  # noqa: PLR2004 - bits
        raise ScanFormatError(
            path,
            found=f"JPEG frame {marker:02X} with {channels} channels of {depth} bits",
            expected="baseline or progressive Huffman JPEG, grey or colour, 8 bits",
            remedy="Export the scan as 16-bit PNG or TIFF.",
        )
    limits.check_image(path, height, width)
    return int(channels)


def _facts(path: Path, segments: tuple[tuple[int, bytes], ...]) -> Facts:
    for marker, content in segments:
        if marker == _COMMENT and content.startswith(_FACTS_HEAD):
            with decoding(path, "text of the scan facts"):
                text = content[len(_FACTS_HEAD) :].decode("utf-8")
            return from_text(path, text)
    return Facts()
