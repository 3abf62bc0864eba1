"""The directories of a TIFF file, read strictly: every offset lies in the file or it is an error.

Common TIFF libraries skip a directory that lies past the end of the file. A scan that lost its
second energy would then pass as one with a single energy, so the chain is walked here.

Reference:
    TIFF revision 6.0 (Adobe, 1992), section 2; BigTIFF (libtiff design document).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from nii.formats.files import broken

_ORDERS = {b"II": "<", b"MM": ">"}
_BIG_TIFF = 43
_WHOLE = {1: "B", 3: "H", 4: "I", 16: "Q"}  # BYTE, SHORT, LONG, LONG8 → struct
_TAGS_MOST = 4096
_DIRECTORIES_MOST = 1024


@dataclass(frozen=True, slots=True)
class Tags:
    """Hold one directory.

    Attributes:
        order: byte order, ``<`` or ``>``.
        entries: tag → type, count, offset of the values.
    """

    path: Path
    data: bytes
    order: str
    entries: dict[int, tuple[int, int, int]]

    def whole(self, tag: int, default: tuple[int, ...], most: int) -> tuple[int, ...]:
        """Return the whole numbers of a tag, the default where it is absent.

        Raises:
            ScanFormatError: there are none, more than `most`, or they are of another type.
        """
        if tag not in self.entries:
            return default
        kind, count, offset = self.entries[tag]
        letter = _WHOLE.get(kind, "B")
        if kind not in _WHOLE or not 1 <= count <= most:
            raise broken(self.path, "TIFF tags", f"tag {tag} holds {count} values of type {kind}")
        if offset + count * struct.calcsize(letter) > len(self.data):
            raise broken(self.path, "TIFF tags", f"tag {tag} lies past the end of the file")
        return struct.unpack_from(f"{self.order}{count}{letter}", self.data, offset)

    def one(self, tag: int, default: int) -> int:
        """Return the single whole number of a tag."""
        return self.whole(tag, (default,), 1)[0]

    def text(self, tag: int) -> str:
        """Return the text of a tag, empty where it is absent."""
        _, count, offset = self.entries.get(tag, (0, 0, 0))
        if offset + count > len(self.data):
            raise broken(self.path, "TIFF tags", f"tag {tag} lies past the end of the file")
        return self.data[offset : offset + count].rstrip(b"\0").decode("utf-8", "replace")


def directories(path: Path, data: bytes) -> tuple[Tags, ...]:
    """Return the chain of directories, one a page.

    Raises:
        ScanFormatError: the chain leaves the file, runs in a circle or is absurdly long.
    """
    order = _ORDERS.get(data[:2])
    if order is None:
        raise broken(path, "TIFF header", f"{data[:4]!r}")
    big = len(data) > 16 and struct.unpack_from(order + "H", data, 2)[0] == _BIG_TIFF  # noqa: PLR2004
    found: list[Tags] = []
    seen: set[int] = set()
    try:
        (offset,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
        while offset:
            if offset in seen or len(seen) >= _DIRECTORIES_MOST:
                raise broken(path, "TIFF directories", "an endless chain")
            seen.add(offset)
            entries, offset = _directory(data, offset, order, big=big)
            found.append(Tags(path, data, order, entries))
    except (struct.error, OverflowError) as error:
        raise broken(path, "TIFF directories", "they lie past the end of the file") from error
    if not found:
        raise broken(path, "TIFF directories", "no page")
    return tuple(found)


def _directory(
    data: bytes, offset: int, order: str, *, big: bool
) -> tuple[dict[int, tuple[int, int, int]], int]:
    """Return the entries of one directory and the offset of the next."""
    count_letter, letter, inline = ("Q", "Q", 8) if big else ("H", "I", 4)
    (count,) = struct.unpack_from(order + count_letter, data, offset)
    if count > _TAGS_MOST:
        msg = f"{count} tags"
        raise struct.error(msg)
    offset += struct.calcsize(count_letter)
    entry = struct.Struct(f"{order}HH{letter}")
    entries: dict[int, tuple[int, int, int]] = {}
    for _ in range(count):
        tag, kind, values = entry.unpack_from(data, offset)
        place = offset + entry.size
        size = values * struct.calcsize(_WHOLE.get(kind, "B"))
        if size > inline:
            (place,) = struct.unpack_from(order + letter, data, place)
        entries[tag] = (kind, values, place)
        offset += entry.size + inline
    return entries, struct.unpack_from(order + letter, data, offset)[0]
