"""The pyramid of a scan: raw 16-bit levels at full, half, quarter … size, made once and kept.

Each smaller level holds two pictures of every energy: the *mean* of 2 × 2 pixels, and the *least*
of them, so that a small dense object is still there when the whole scan is a thousand pixels wide.
One file holds a pyramid; it is mapped into memory, so that a tile costs no more than its own bytes.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, UInt16

from nii.config import from_dict, to_dict
from nii.errors import ConfigError, NiiError
from nii.formats.facts import OPEN_BEAMS, WHITE
from nii.scan import AnyScan, Grey, Scan, StoredScan

FORM = 1
"""Version of the file and of what is in it; another one is made anew."""
_MAGIC = b"nii pyramid\n"
_HEAD_BYTES = 8192
"""Room for magic and facts; planes start behind it, aligned to pages."""
_SMALLEST_PX = 256
"""Halving ends where the longer side is at most this."""
_CENTILES = (0.1, 0.5, 1, 2, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9)
_SAMPLE_PX = 2048
"""Percentiles and noise are taken from a part of the pixels, at most this many a side."""
_DISPLAY_WHITE = 255
_NOISE_OF_MAD = 1.4826
"""Standard deviation of normal noise over its median absolute deviation."""
_AIR_ROWS = 128
"""Rows that the noise of air is taken from; times thousands of columns, more than it needs."""
_AIRY = 0.9
"""Transmission above which a pixel shows the noise of air."""

Plane = UInt16[np.ndarray, "height width"]
Half = UInt16[np.ndarray, "half_height half_width"]


@dataclass(frozen=True, slots=True)
class PixelFacts:
    """State what the levels of a pyramid mean.

    Attributes:
        height: of the scan in pixels.
        width: of the scan in pixels.
        white: the level that means a transmission of 1, or white on a display picture.
        grey: what the levels are proportional to.
        endpoint_mev: end-point of each energy that is kept, falling; None where unknown.
        pixel_pitch_mm: vertical, horizontal; None where unknown.
        scanner: name of the machine.
        acquired_at: time with zone, ISO 8601.
        energies_of_scan: how many the scan has; the highest and the lowest are kept.
        fan: how the rays of the rows lie, as the scan says; None where it does not.
        centiles: percentage → level of the highest energy below which so many pixels lie.
        air_noise: standard deviation of the transmission of one pixel in air; None where there is
            no air to measure it in.
    """

    height: int
    width: int
    white: int
    grey: Grey
    endpoint_mev: tuple[float, ...] | None
    pixel_pitch_mm: tuple[float, float] | None
    scanner: str | None
    acquired_at: str | None
    energies_of_scan: int
    fan: dict[str, Any] | None
    centiles: dict[str, float]
    air_noise: float | None

    @property
    def energies(self) -> int:
        """Return how many energies the pyramid keeps: one or two."""
        return min(self.energies_of_scan, 2)


@dataclass(frozen=True, slots=True)
class Level:
    """Hold one level: a plane an energy, the highest first; `least` is `mean` at full size."""

    mean: tuple[Plane, ...]
    least: tuple[Plane, ...]

    @property
    def height(self) -> int:
        """Return the height in pixels of this level."""
        return int(self.mean[0].shape[0])

    @property
    def width(self) -> int:
        """Return the width in pixels of this level."""
        return int(self.mean[0].shape[1])


@dataclass(frozen=True, slots=True)
class Pyramid:
    """Hold all levels, full size first."""

    facts: PixelFacts
    levels: tuple[Level, ...]


def build(scan: AnyScan) -> Pyramid:
    """Return the pyramid of a scan; its largest level shares the pixels of a stored scan."""
    planes, white = levels_of(scan)
    levels = [Level(planes, planes)]
    while max(levels[-1].height, levels[-1].width) > _SMALLEST_PX:
        above = levels[-1]
        mean = tuple(_halve(plane) for plane in above.mean)
        levels.append(Level(mean, tuple(_least(plane) for plane in above.least)))
    step = max(1, -(-max(scan.height, scan.width) // _SAMPLE_PX))
    sample = planes[0][::step, ::step]
    settings = scan.provenance.settings
    fan = settings.get("fan")
    facts = PixelFacts(
        height=scan.height,
        width=scan.width,
        white=white,
        grey=scan.grey,
        endpoint_mev=_ends(scan.endpoint_mev),
        pixel_pitch_mm=scan.pixel_pitch_mm,
        scanner=scan.scanner,
        acquired_at=scan.acquired_at.isoformat() if scan.acquired_at else None,
        energies_of_scan=scan.energy_count,
        fan=dict(fan) if isinstance(fan, dict) else None,
        centiles={
            f"{share:g}": float(level)
            for share, level in zip(_CENTILES, np.percentile(sample, _CENTILES), strict=True)
        },
        air_noise=_air_noise(planes[0], white) if scan.grey is Grey.TRANSMISSION else None,
    )
    return Pyramid(facts, tuple(levels))


def levels_of(scan: AnyScan) -> tuple[tuple[Plane, ...], int]:
    """Return the highest and the lowest energy as 16-bit levels, and the level of T = 1.

    Levels of a file come back as they were: a transmission is its level divided by the white level
    in single precision, which has more digits than 16 bits.
    """
    wanted = (0,) if scan.energy_count == 1 else (0, scan.energy_count - 1)
    if isinstance(scan, StoredScan):
        return tuple(_native(scan.levels[index]) for index in wanted), scan.open_beam
    white = _white_of(scan)
    planes = tuple(_rounded(scan.transmission[index], white) for index in wanted)
    return planes, white


def write(pyramid: Pyramid, path: Path) -> None:
    """Write a pyramid so that the file is whole or not there.

    Raises:
        OSError: the folder is full or may not be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    head = _MAGIC + json.dumps({"form": FORM, "facts": to_dict(pyramid.facts)}).encode("utf-8")
    if len(head) >= _HEAD_BYTES:
        raise NiiError(
            path,
            found=f"{len(head)} bytes of facts",
            expected=f"fewer than {_HEAD_BYTES}",
            remedy="Shorten the facts beside the scan.",
        )
    handle, temporary = tempfile.mkstemp(prefix=".pyramid-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as target:
            target.write(head.ljust(_HEAD_BYTES, b"\n"))
            for plane in all_planes(pyramid):
                np.ascontiguousarray(plane, dtype="<u2").tofile(target)
        Path(temporary).replace(path)  # no fsync: a lost pyramid is made again
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read(path: Path) -> Pyramid | None:
    """Return a kept pyramid, mapped into memory; None where it is missing, cut or of another form.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        with path.open("rb") as source:
            head = source.read(_HEAD_BYTES)
        if not head.startswith(_MAGIC):
            return None
        known = json.loads(head[len(_MAGIC) :])
        if known.get("form") != FORM:
            return None
        facts = from_dict(PixelFacts, known["facts"], where=str(path))
    except (FileNotFoundError, ValueError, KeyError, AttributeError, ConfigError):
        return None
    sizes = list(_sizes(facts.height, facts.width))
    counts = [facts.energies * (1 if number == 0 else 2) for number in range(len(sizes))]
    pixels = sum(rows * columns * n for (rows, columns), n in zip(sizes, counts, strict=True))
    if path.stat().st_size != _HEAD_BYTES + 2 * pixels:
        return None
    whole = np.memmap(path, dtype="<u2", mode="r", offset=_HEAD_BYTES, shape=(pixels,))
    return Pyramid(facts, tuple(_cut(np.asarray(whole), sizes, counts)))


def _cut(
    whole: UInt16[np.ndarray, " pixel"], sizes: list[tuple[int, int]], counts: list[int]
) -> Iterator[Level]:
    start = 0
    for (rows, columns), count in zip(sizes, counts, strict=True):
        stop = start + rows * columns * count
        planes = tuple(whole[start:stop].reshape(count, rows, columns))
        start = stop
        energies = counts[0]
        yield Level(planes[:energies], planes[energies:] or planes)


def all_planes(pyramid: Pyramid) -> Iterator[Plane]:
    """Yield the planes in the order of the file: a level's means, then its least ones."""
    for number, level in enumerate(pyramid.levels):
        yield from level.mean
        if number > 0:
            yield from level.least


def _sizes(height: int, width: int) -> Iterator[tuple[int, int]]:
    yield height, width
    while max(height, width) > _SMALLEST_PX:
        height, width = -(-height // 2), -(-width // 2)
        yield height, width


def _even(plane: Plane) -> Half:
    """Return the plane with its last row and column repeated where their number is odd."""
    height, width = plane.shape
    if height % 2 == 0 and width % 2 == 0:
        return plane
    border = cv2.copyMakeBorder(plane, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return np.asarray(border, np.uint16)


def _halve(plane: Plane) -> Half:
    """Return the means of 2 x 2 pixels, halves rounded up."""
    even = _even(plane)
    height, width = even.shape
    half = cv2.resize(even, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(half, np.uint16)


def _least(plane: Plane) -> Half:
    """Return the least of 2 x 2 pixels: the most attenuated one."""
    even = _even(plane)
    rows = np.minimum(even[0::2], even[1::2])
    least: Half = np.minimum(rows[:, 0::2], rows[:, 1::2])
    return least


def _native(plane: Plane) -> Plane:
    native: Plane = np.ascontiguousarray(plane, dtype=np.uint16)
    return native


def _rounded(values: Float32[np.ndarray, "height width"], white: int) -> Plane:
    levels = np.multiply(values, np.float32(white), dtype=np.float32)
    whole: Plane = np.minimum(np.rint(levels), WHITE).astype(np.uint16)
    return whole


def _white_of(scan: Scan) -> int:
    """Return the level of T = 1: 255 for pictures of 8 bits, else as high as 16 bits allow."""
    part = scan.transmission[0]
    if scan.grey is Grey.DISPLAY:
        levels = part * np.float32(_DISPLAY_WHITE)
        whole = bool((np.abs(levels - np.rint(levels)) < 1e-3).all())  # noqa: PLR2004 - of a level
        return _DISPLAY_WHITE if whole and float(part.max()) <= 1 else WHITE
    brightest = float(scan.transmission.max())
    known = next((white for white in OPEN_BEAMS if round(brightest * white) <= WHITE), None)
    return known or max(1, int(WHITE / brightest))


def _ends(endpoint_mev: tuple[float, ...] | None) -> tuple[float, ...] | None:
    if endpoint_mev is None or len(endpoint_mev) == 1:
        return endpoint_mev
    return endpoint_mev[0], endpoint_mev[-1]


def _air_noise(plane: Plane, white: int) -> float | None:
    """Return the noise of one pixel in air, from differences of neighbours in a row."""
    step = max(1, plane.shape[0] // _AIR_ROWS)
    rows = plane[::step].astype(np.float32) / np.float32(white)
    steps = np.diff(rows, axis=1)[(rows[:, 1:] > _AIRY) & (rows[:, :-1] > _AIRY)]
    if steps.size < 1000:  # noqa: PLR2004 - too few to tell
        return None
    return float(_NOISE_OF_MAD * np.median(np.abs(steps)) / np.sqrt(2))
