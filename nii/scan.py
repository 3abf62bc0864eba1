"""Scan: one X-ray image, its energies, pixel pitch, acquisition facts and identity."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

import numpy as np
from jaxtyping import Float32, UInt16

from nii.provenance import Provenance, sha256_of_sources


class Grey(StrEnum):
    """What a grey value means.

    ``TRANSMISSION``: I/I0, proportional to the signal; open beam is 1.
    ``DISPLAY``: a picture made for the eye, whose grey curve is unknown; white is 1.
    """

    TRANSMISSION = "transmission"
    DISPLAY = "display"


@dataclass(frozen=True, slots=True)
class Scan:
    """Hold one scan; the array is never changed in place.

    Attributes:
        transmission: I/I0 (or display grey, see `grey`), axes energy, height, width; y points down,
            x along the vehicle. The highest energy comes first. Values are finite and not negative;
            noise may lift air slightly above 1.
        grey: what the values mean.
        endpoint_mev: end-point energy of each beam in MeV, falling; None where unknown (always None
            for ``Grey.DISPLAY``).
        pixel_pitch_mm: distance of neighbouring pixels in the object plane, (vertical, horizontal).
        scanner: name of the machine that made the scan.
        acquired_at: time of acquisition, with time zone.
        container_numbers: ISO 6346 numbers that came with the scan, as written there.
        provenance: files read and assumptions made.
    """

    transmission: Float32[np.ndarray, "energy height width"]
    grey: Grey = Grey.TRANSMISSION
    endpoint_mev: tuple[float, ...] | None = None
    pixel_pitch_mm: tuple[float, float] | None = None
    scanner: str | None = None
    acquired_at: datetime | None = None
    container_numbers: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        """Check what every user of a scan relies upon.

        Raises:
            ValueError: the array or a fact about it is impossible.
        """
        array = self.transmission
        if array.ndim != 3 or array.dtype != np.float32 or 0 in array.shape:  # noqa: PLR2004
            found = f"{array.dtype}{list(array.shape)}"
            msg = f"transmission is {found}, not float32[energy, height, width]"
            raise ValueError(msg)
        lowest, highest = float(array.min()), float(array.max())
        if not (lowest >= 0.0 and np.isfinite(highest)):
            msg = f"transmission lies in [{lowest}, {highest}], not in [0, infinity)"
            raise ValueError(msg)
        _check_facts(self)

    @property
    def energy_count(self) -> int:
        """Return the number of energies."""
        return int(self.transmission.shape[0])

    @property
    def height(self) -> int:
        """Return the height in pixels."""
        return int(self.transmission.shape[1])

    @property
    def width(self) -> int:
        """Return the width in pixels."""
        return int(self.transmission.shape[2])

    @property
    def sha256(self) -> str | None:
        """Return the digest of the file(s) the scan was read from; None if it never was a file."""
        sources = self.provenance.sources
        return sha256_of_sources(sources) if sources else None

    def plane(
        self, rows: slice = slice(None), columns: slice = slice(None)
    ) -> Float32[np.ndarray, "rows columns"]:
        """Return the transmission of the highest energy, or a cut-out of it; a view."""
        return self.transmission[0, rows, columns]

    def part(self, rows: slice, columns: slice) -> Scan:
        """Return a cut-out with all facts; a view."""
        return replace(self, transmission=self.transmission[:, rows, columns])


@dataclass(frozen=True, slots=True)
class StoredScan:
    """Hold a scan whose pixels stay the 16-bit levels of its file.

    That is half of the memory (480 MB of a train of 2 x 3,000 x 40,000 pixels, not 960) and saves
    time, since what is computed pixel by pixel can be looked up. Facts are those of :class:`Scan`;
    pixels become transmission where they are asked for.

    Attributes:
        levels: one plane an energy, the highest first; never changed in place.
        open_beam: the level that means a transmission of 1.
    """

    levels: tuple[UInt16[np.ndarray, "height width"], ...]
    open_beam: int
    grey: Grey = Grey.TRANSMISSION
    endpoint_mev: tuple[float, ...] | None = None
    pixel_pitch_mm: tuple[float, float] | None = None
    scanner: str | None = None
    acquired_at: datetime | None = None
    container_numbers: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        """Check what every user of a scan relies upon.

        Raises:
            ValueError: the planes differ in size, or a fact about them is impossible.
        """
        shapes = {plane.shape for plane in self.levels}
        if len(shapes) != 1 or 0 in self.levels[0].shape or self.open_beam < 1:
            msg = f"planes of {sorted(shapes)} levels, open beam {self.open_beam}"
            raise ValueError(msg)
        _check_facts(self)

    @property
    def energy_count(self) -> int:
        """Return the number of energies."""
        return len(self.levels)

    @property
    def height(self) -> int:
        """Return the height in pixels."""
        return int(self.levels[0].shape[0])

    @property
    def width(self) -> int:
        """Return the width in pixels."""
        return int(self.levels[0].shape[1])

    @property
    def sha256(self) -> str | None:
        """Return the digest of the file(s) the scan was read from; None if it never was a file."""
        sources = self.provenance.sources
        return sha256_of_sources(sources) if sources else None

    def plane(
        self, rows: slice = slice(None), columns: slice = slice(None)
    ) -> Float32[np.ndarray, "rows columns"]:
        """Return the transmission of the highest energy, or a cut-out of it; made anew."""
        part: Float32[np.ndarray, "rows columns"]
        part = np.divide(
            self.levels[0][rows, columns], np.float32(self.open_beam), dtype=np.float32
        )
        return part

    def part(self, rows: slice, columns: slice) -> StoredScan:
        """Return a cut-out with all facts; a view."""
        return replace(self, levels=tuple(plane[rows, columns] for plane in self.levels))

    def table(self) -> Float32[np.ndarray, "1 level"]:
        """Return the transmission of every 16-bit level, in one row."""
        levels = np.arange(1 << 16, dtype=np.uint16)[None]
        table: Float32[np.ndarray, "1 level"]
        table = np.divide(levels, np.float32(self.open_beam), dtype=np.float32)
        return table

    def as_numbers(self) -> Scan:
        """Return the same scan as transmission, correctly rounded."""
        transmission = np.empty((self.energy_count, self.height, self.width), np.float32)
        for energy, plane in enumerate(self.levels):
            np.divide(plane, np.float32(self.open_beam), out=transmission[energy], dtype=np.float32)
        return Scan(
            transmission,
            grey=self.grey,
            endpoint_mev=self.endpoint_mev,
            pixel_pitch_mm=self.pixel_pitch_mm,
            scanner=self.scanner,
            acquired_at=self.acquired_at,
            container_numbers=self.container_numbers,
            provenance=self.provenance,
        )


AnyScan = Scan | StoredScan
"""A scan, however its pixels are kept."""


def _check_facts(scan: AnyScan) -> None:
    energies = scan.endpoint_mev
    if energies is not None:
        if scan.grey is Grey.DISPLAY:
            msg = "a display image has no known end-point energy"
            raise ValueError(msg)
        if len(energies) != scan.energy_count or list(energies) != sorted(energies)[::-1]:
            msg = f"end-points {energies} MeV do not fall over {scan.energy_count} energies"
            raise ValueError(msg)
        if min(energies) <= 0:
            msg = f"end-points {energies} MeV are not positive"
            raise ValueError(msg)
    if scan.pixel_pitch_mm is not None and min(scan.pixel_pitch_mm) <= 0:
        msg = f"pixel pitch {scan.pixel_pitch_mm} mm is not positive"
        raise ValueError(msg)
    if scan.acquired_at is not None and scan.acquired_at.tzinfo is None:
        msg = "time of acquisition has no time zone"
        raise ValueError(msg)
