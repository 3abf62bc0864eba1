"""The compressions of TIFF strips, each bounded: no more bytes come out than the header allows.

Reference:
    TIFF revision 6.0 (Adobe, 1992), sections 9 (PackBits) and 13 (LZW); Adobe Photoshop TIFF
    Technical Notes (2002) for deflate.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

Buffer = bytes | memoryview

_CLEAR, _END, _FIRST_FREE = 256, 257, 258
_WIDTH_LEAST, _WIDTH_MOST = 9, 12


def stored(data: Buffer, size: int) -> Buffer:
    """Return the first `size` bytes of data that is not compressed."""
    return data[:size]


def inflate(data: Buffer, size: int) -> bytes:
    """Return at most `size` bytes of a zlib stream.

    Raises:
        zlib.error: the stream is damaged.
    """
    return zlib.decompressobj().decompress(data, size)


def packbits(data: Buffer, size: int) -> bytes:
    """Return about `size` bytes of runs: n < 128 means n + 1 literals, n > 128 repeats 257 - n."""
    out = bytearray()
    position = 0
    while position < len(data) and len(out) < size:
        count = data[position]
        position += 1
        if count < 128:  # noqa: PLR2004 - the sign bit of the format
            out += data[position : position + count + 1]
            position += count + 1
        elif count > 128:  # noqa: PLR2004
            out += bytes(data[position : position + 1]) * (257 - count)
            position += 1
    return bytes(out[:size])


def lzw(data: Buffer, size: int) -> bytes:
    """Return at most `size` bytes; codes are 9 to 12 bits, high bit first, widened one early.

    Raises:
        ValueError: a code was never defined.
    """
    literals = [bytes((value,)) for value in range(256)] + [b"", b""]
    table = literals.copy()
    out: list[bytes] = []
    made = held = bits = 0
    width = _WIDTH_LEAST
    before = b""
    for byte in data:
        held, bits = held << 8 | byte, bits + 8
        if bits < width:
            continue
        bits -= width
        code, held = held >> bits, held & ((1 << bits) - 1)
        if code == _CLEAR:
            table, width, before = literals.copy(), _WIDTH_LEAST, b""
            continue
        if code == _END or made >= size:
            break
        entry = _entry(table, code, before)
        out.append(entry)
        made += len(entry)
        if before and len(table) < 1 << _WIDTH_MOST:
            table.append(before + entry[:1])
            width = min(_WIDTH_MOST, max(width, (len(table) + 1).bit_length()))
        before = entry
    return b"".join(out)[:size]


def _entry(table: list[bytes], code: int, before: bytes) -> bytes:
    """Return what a code stands for; the code being defined repeats the string before it."""
    if code < len(table) and code not in {_CLEAR, _END}:
        return table[code]
    if code == len(table) and before:
        return before + before[:1]
    msg = f"LZW code {code} was never defined"
    raise ValueError(msg)


COMPRESSIONS: dict[int, tuple[str, Callable[[Buffer, int], Buffer], int]] = {
    1: ("none", stored, 1),
    5: ("LZW", lzw, 4096),
    8: ("deflate", inflate, 1032),
    32946: ("deflate", inflate, 1032),
    32773: ("PackBits", packbits, 64),
}
"""TIFF compression → name, unpacking function, highest ratio that it reaches."""
