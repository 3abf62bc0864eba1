"""DICOS: told by the first bytes of a file; the rest is loaded when such a file turns up.

pydicom takes a third of a second to load, which is a good part of a cold start, and most lanes hold
no DICOS at all. What reads and writes objects is in :mod:`nii.formats.dicos_objects`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from nii.formats.limits import Limits
from nii.scan import Scan, StoredScan

SUFFIXES: tuple[str, ...] = (".dcs", ".dcm", ".dicos")

_PREAMBLE = 128


@dataclass(frozen=True, slots=True)
class Identity:
    """State which scan a file belongs to.

    Attributes:
        scan_uid: the Scan Instance UID, None where it cannot be read.
        report: whether the object is a Threat Detection Report, which shares the UID of its scan.
        half: whether the object is one energy of two, so that another one belongs to it.
    """

    scan_uid: str | None
    report: bool
    half: bool = field(default=False, compare=False)


def sniff(head: bytes) -> bool:
    """Tell from the first bytes whether a file is DICOM, of which DICOS is a dialect."""
    return head[_PREAMBLE : _PREAMBLE + 4] == b"DICM"


def identity(path: Path) -> Identity:
    """Return which scan a file belongs to, reading no further than the UID of the scan."""
    from nii.formats import dicos_objects

    return dicos_objects.identity(path)


def read(paths: tuple[Path, ...], limits: Limits) -> Scan:
    """Read all objects of one scan; see :func:`nii.formats.dicos_objects.read`."""
    from nii.formats import dicos_objects

    return dicos_objects.read(paths, limits)


def read_stored(paths: tuple[Path, ...], limits: Limits) -> StoredScan | None:
    """Read all objects of one scan as levels; see :func:`nii.formats.dicos_objects.read_stored`."""
    from nii.formats import dicos_objects

    return dicos_objects.read_stored(paths, limits)


def write(scan: Scan, path: Path) -> tuple[Path, ...]:
    """Write one object an energy; see :func:`nii.formats.dicos_objects.write`."""
    from nii.formats import dicos_objects

    return dicos_objects.write(scan, path)
