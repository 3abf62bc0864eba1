"""Scan: one X-ray image, its energies, pixel pitch, acquisition facts and identity."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import numpy as np
from jaxtyping import Float32

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
        self._check_facts()

    def _check_facts(self) -> None:
        energies = self.endpoint_mev
        if energies is not None:
            if self.grey is Grey.DISPLAY:
                msg = "a display image has no known end-point energy"
                raise ValueError(msg)
            if len(energies) != self.energy_count or list(energies) != sorted(energies)[::-1]:
                msg = f"end-points {energies} MeV do not fall over {self.energy_count} energies"
                raise ValueError(msg)
            if min(energies) <= 0:
                msg = f"end-points {energies} MeV are not positive"
                raise ValueError(msg)
        if self.pixel_pitch_mm is not None and min(self.pixel_pitch_mm) <= 0:
            msg = f"pixel pitch {self.pixel_pitch_mm} mm is not positive"
            raise ValueError(msg)
        if self.acquired_at is not None and self.acquired_at.tzinfo is None:
            msg = "time of acquisition has no time zone"
            raise ValueError(msg)

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
