"""Examine: the steps that one scan goes through, and whose fault it is when one fails."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from nii import formats
from nii.errors import BundleError, MissingExtraError, NiiError, ProviderError, ScanFormatError
from nii.infer.context import Context
from nii.infer.inspect import Finds, inspect
from nii.infer.overlay import overlay_png
from nii.inspection import Inspection
from nii.provenance import SourceFile, sha256_of_file, sha256_of_sources
from nii.scan import Scan
from nii.watch import sidecar
from nii.watch.lane import Arrived

MODEL_ERRORS = (BundleError, MissingExtraError, ProviderError)
"""Errors that speak of the model or its hardware, not of the scan."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A scan in memory, its identity, and the milliseconds that reading it took."""

    arrived: Arrived
    identity: str
    scan: Scan
    read_ms: float


@dataclass(frozen=True, slots=True)
class Drawn:
    """The results of one scan, ready to be written: inspection as JSON, overlay as PNG."""

    inspection: Inspection
    document: str
    picture: bytes


def identity_of(paths: Sequence[Path]) -> str:
    """Return the SHA-256 that tells a scan by its content.

    Raises:
        OSError: a file cannot be read.
    """
    return sha256_of_sources(tuple(SourceFile(path.name, sha256_of_file(path)) for path in paths))


def load(arrived: Arrived, identity: str) -> Taken:
    """Read a scan and join the facts that came beside it.

    Raises:
        ScanFormatError: the files are no readable scan.
        OSError: a file cannot be read, or changed meanwhile.
    """
    start = time.perf_counter()
    scan = formats.read(list(arrived.paths))
    if scan.sha256 != identity or not arrived.is_unchanged():
        msg = f"{arrived.subject} changed while it was read"
        raise OSError(msg)
    scan = sidecar.join(scan, [sighting.path for sighting in arrived.sidecars])
    return Taken(arrived, identity, scan, 1e3 * (time.perf_counter() - start))


def look(taken: Taken, detector: Finds, clock: Callable[[], datetime]) -> Inspection:
    """Inspect a scan.

    Raises:
        ProviderError: the hardware gave up.
        OSError: what lies beside the scan cannot be reached.
    """
    beside = [sighting.path for sighting in taken.arrived.sidecars]
    context = Context(declared_empty=sidecar.declares_empty(beside))
    return inspect(taken.scan, detector, clock, context)


def draw(taken: Taken, inspection: Inspection) -> Drawn:
    """Return the results of a scan, ready to be written."""
    start = time.perf_counter()
    picture = overlay_png(taken.scan, inspection)
    drawn_ms = 1e3 * (time.perf_counter() - start)
    timing = {"read": taken.read_ms, **inspection.timing_ms, "overlay": drawn_ms}
    rounded = {stage: round(ms, 2) for stage, ms in timing.items()}
    inspection = replace(inspection, timing_ms=rounded)
    document = json.dumps(inspection.to_json(), allow_nan=False)
    return Drawn(inspection, document, picture)


def is_out_of_reach(error: Exception) -> bool:
    """Tell whether a file could not be reached, which may pass, from a file that is bad.

    The readers of formats turn errors of the system into their own; the number that the system
    gave tells them from complaints of a decoding library.
    """
    if isinstance(error, ScanFormatError):
        cause = error.__cause__
        return isinstance(cause, OSError) and cause.errno is not None
    return isinstance(error, OSError)


def ended_often(arrived: Arrived, times: int) -> NiiError:
    """Return the reason for a scan over which the process ended again and again."""
    return NiiError(
        arrived.subject,
        found=f"a process that ended unasked {times} times with this scan in hand",
        expected="a scan that can be read and inspected",
        remedy="Report this file to the makers of nii; inspect it apart with nii inspect.",
    )
