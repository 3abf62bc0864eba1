"""The facts that travel beside the pixels, as JSON; grey levels ↔ transmission.

PNG, TIFF and JPEG keep the facts under the key ``nii`` as one JSON object. Every field may be left
out; a field of an unknown name or a wrong type makes the file unreadable rather than half-read.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Integer, UInt16

from nii.errors import ScanFormatError
from nii.formats.files import decoding
from nii.provenance import Provenance
from nii.scan import Grey, Scan, StoredScan

KEY = "nii"
WHITE = 65535
ASSUMED_OPEN_BEAM = f"assumed that level {WHITE} is the open beam"
HIGHEST_FIRST = "assumed that the first channel is the highest energy"

OPEN_BEAMS = (WHITE, 60000, 32767)  # levels offered for T = 1; room above it for noise in air


@dataclass(frozen=True, slots=True)
class Facts:
    """Hold what a file says about its pixels; the fields are those of a Scan.

    Attributes:
        open_beam: the grey level that means T = 1.
    """

    grey: Grey = Grey.TRANSMISSION
    open_beam: int = WHITE
    endpoint_mev: tuple[float, ...] | None = None
    pixel_pitch_mm: tuple[float, float] | None = None
    scanner: str | None = None
    acquired_at: datetime | None = None
    container_numbers: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)


def facts_of(scan: Scan, open_beam: int = WHITE) -> Facts:
    """Return the facts of a scan whose T = 1 is stored as `open_beam`."""
    return Facts(
        grey=scan.grey,
        open_beam=open_beam,
        endpoint_mev=scan.endpoint_mev,
        pixel_pitch_mm=scan.pixel_pitch_mm,
        scanner=scan.scanner,
        acquired_at=scan.acquired_at,
        container_numbers=scan.container_numbers,
        provenance=scan.provenance,
    )


def noted(facts: Facts, steps: tuple[str, ...]) -> Facts:
    """Return the facts with more steps at the end of their provenance."""
    provenance = facts.provenance
    for step in steps:
        provenance = provenance.with_step(step)
    return replace(facts, provenance=provenance)


def to_text(facts: Facts) -> str:
    """Return the facts as ASCII JSON."""
    return json.dumps(
        {
            "grey": facts.grey.value,
            "open_beam": facts.open_beam,
            "endpoint_mev": facts.endpoint_mev,
            "pixel_pitch_mm": facts.pixel_pitch_mm,
            "scanner": facts.scanner,
            "acquired_at": facts.acquired_at.isoformat() if facts.acquired_at else None,
            "container_numbers": facts.container_numbers,
            "provenance": facts.provenance.to_json(),
        },
        allow_nan=False,
    )


def from_text(path: Path, text: str) -> Facts:
    """Read back what :func:`to_text` wrote.

    The files that the stored provenance names become a step: the new source is the file itself.

    Raises:
        ScanFormatError: the text is no JSON object of known fields of the right types.
    """
    with decoding(path, "JSON of the scan facts"):
        data = json.loads(text)
    reader = _FieldReader(path, data)
    facts = Facts(
        grey=Grey(reader.one_of("grey", tuple(Grey), Grey.TRANSMISSION)),
        open_beam=reader.level("open_beam", WHITE),
        endpoint_mev=reader.numbers("endpoint_mev"),
        pixel_pitch_mm=reader.pair("pixel_pitch_mm"),
        scanner=reader.text("scanner"),
        acquired_at=reader.moment("acquired_at"),
        container_numbers=reader.texts("container_numbers"),
        provenance=provenance_from(path, reader.take("provenance", None)),
    )
    reader.finish()
    return facts


def provenance_from(path: Path, data: object) -> Provenance:
    """Rebuild a stored provenance; what it was made from becomes its first step.

    Raises:
        ScanFormatError: the record is not one that Provenance.to_json writes.
    """
    if data is None:
        return Provenance()
    if not isinstance(data, dict):
        raise _wrong(path, "provenance", data, "an object")
    reader = _FieldReader(path, data)
    tool = reader.text("tool") or "an unknown tool"
    sources = reader.take("sources", [])
    steps = reader.texts("steps")
    settings = reader.take("settings", {})
    reader.finish()
    if not isinstance(settings, dict):
        raise _wrong(path, "settings", settings, "an object")
    if not isinstance(sources, list) or not all(isinstance(source, dict) for source in sources):
        raise _wrong(path, "sources", sources, "a list of objects")
    origin = ", ".join(f"{source.get('name')} {source.get('sha256')}" for source in sources)
    written = (f"written by {tool} from {origin}",) if origin else ()
    return Provenance(steps=(*steps, *written), settings=settings)


def assemble(path: Path, transmission: Float32[np.ndarray, "e h w"], facts: Facts) -> Scan:
    """Join pixels and facts.

    Raises:
        ScanFormatError: they contradict each other, or a pixel is no transmission.
    """
    try:
        return Scan(transmission, **_shared(facts))
    except ValueError as error:
        raise _contradiction(path, error) from error


def assemble_stored(
    path: Path, levels: tuple[UInt16[np.ndarray, "h w"], ...], facts: Facts
) -> StoredScan:
    """Join 16-bit levels and facts.

    Raises:
        ScanFormatError: they contradict each other.
    """
    try:
        return StoredScan(levels, facts.open_beam, **_shared(facts))
    except ValueError as error:
        raise _contradiction(path, error) from error


def _shared(facts: Facts) -> dict[str, Any]:
    """Return the facts that a scan carries whatever its pixels are."""
    return {
        "grey": facts.grey,
        "endpoint_mev": None if facts.grey is Grey.DISPLAY else facts.endpoint_mev,
        "pixel_pitch_mm": facts.pixel_pitch_mm,
        "scanner": facts.scanner,
        "acquired_at": facts.acquired_at,
        "container_numbers": facts.container_numbers,
        "provenance": facts.provenance,
    }


def _contradiction(path: Path, error: ValueError) -> ScanFormatError:
    return ScanFormatError(
        path,
        found=str(error),
        expected="pixels and facts that form one scan",
        remedy="Correct the facts beside the pixels, or export the scan again.",
    )


def from_levels(levels: Integer[np.ndarray, "*axes"], white: int) -> Float32[np.ndarray, "*axes"]:
    """Return grey levels as a fraction of `white`, correctly rounded."""
    fraction: Float32[np.ndarray, "*axes"] = np.divide(levels, np.float32(white), dtype=np.float32)
    return fraction


def to_levels(scan: Scan, path: Path) -> tuple[UInt16[np.ndarray, "e h w"], int]:
    """Return 16-bit grey levels and the level of T = 1.

    That level is 65535, or lower where noise lifts air above 1, so that nothing is clipped.

    Raises:
        ScanFormatError: a transmission is above 2, so the scan was never normalised to open beam.
    """
    brightest = float(scan.transmission.max())
    for open_beam in OPEN_BEAMS:
        if round(brightest * open_beam) <= WHITE:
            levels = np.multiply(scan.transmission, np.float32(open_beam))
            return np.rint(levels, out=levels).astype(np.uint16), open_beam
    raise ScanFormatError(
        path,
        found=f"a transmission of {brightest:g}",
        expected="at most 2",
        remedy="Divide the signal by the open beam before writing the scan.",
    )


def _wrong(path: Path, name: str, value: object, expected: str) -> ScanFormatError:
    return ScanFormatError(
        path,
        found=f"{name} = {str(value)[:80]!r} among the scan facts",
        expected=expected,
        remedy="Correct the facts beside the pixels, or remove them.",
    )


class _FieldReader:
    """Take the fields of one JSON object, each checked; hold what is left."""

    def __init__(self, path: Path, data: object) -> None:
        if not isinstance(data, dict):
            raise _wrong(path, "the whole", data, "an object")
        self._path = path
        self._left: dict[str, Any] = dict(data)

    def take(self, name: str, default: object) -> object:
        return self._left.pop(name, default)

    def finish(self) -> None:
        if self._left:
            raise _wrong(self._path, next(iter(self._left)), "…", "only known names")

    def text(self, name: str) -> str | None:
        value = self.take(name, None)
        if value is None or isinstance(value, str):
            return value
        raise _wrong(self._path, name, value, "text")

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.take(name, [])
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise _wrong(self._path, name, value, "a list of texts")

    def one_of(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.take(name, default)
        if isinstance(value, str) and value in allowed:
            return value
        raise _wrong(self._path, name, value, " or ".join(allowed))

    def level(self, name: str, default: int) -> int:
        value = self.take(name, default)
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= WHITE:
            return value
        raise _wrong(self._path, name, value, f"a whole number from 1 to {WHITE}")

    def numbers(self, name: str) -> tuple[float, ...] | None:
        value = self.take(name, None)
        if value is None:
            return None
        if isinstance(value, list) and value and all(_is_finite(item) for item in value):
            return tuple(float(item) for item in value)
        raise _wrong(self._path, name, value, "a list of numbers")

    def pair(self, name: str) -> tuple[float, float] | None:
        match self.numbers(name):
            case None:
                return None
            case (vertical, horizontal):
                return vertical, horizontal
            case other:
                raise _wrong(self._path, name, other, "two numbers: vertical, horizontal")

    def moment(self, name: str) -> datetime | None:
        value = self.text(name)
        if value is None:
            return None
        try:
            return datetime.fromisoformat(value)
        except ValueError as error:
            raise _wrong(self._path, name, value, "a time by ISO 8601 with its zone") from error


def _is_finite(value: object) -> bool:
    """Tell a finite JSON number; a whole number too large for a float is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e300 and math.isfinite(value)  # noqa: PLR2004 - far beyond any fact
