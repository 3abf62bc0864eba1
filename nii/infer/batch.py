"""Batch: many scans, one after the other; reading ahead and writing behind while the model runs.

The order of results is the order of the scans, whatever the threads do. A very large scan is
handled alone, so that memory holds one of them and nothing beside it. A scan that cannot be read or
written becomes a :class:`nii.infer.results.Failure`; the others go on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from nii import formats
from nii.errors import NiiError
from nii.infer import overlay, results
from nii.infer.anomaly import Map, map_png
from nii.infer.context import NOTHING, Context
from nii.infer.inspect import Finds, inspect_with_map, utc_now
from nii.infer.results import Failure
from nii.inspection import Inspection
from nii.scan import AnyScan

_LOG = logging.getLogger(__name__)

_LARGE_BYTES = 128 << 20
"""Files of a scan from which it is handled alone: assumption, ten times a container scan. A second
one beside it would be much for a workstation."""

Read = Callable[[Sequence[Path]], AnyScan]


@dataclass(frozen=True, slots=True)
class Inspected:
    """A scan that was inspected and whose results are written.

    Attributes:
        files: the files of the scan.
        stem: name that its results start with.
        scan: the image.
        grey: the picture of it for the eye.
        inspection: what was found.
        anomaly: the anomaly map on its cells; None where the model has none.
    """

    files: tuple[Path, ...]
    stem: str
    scan: AnyScan
    grey: UInt8[np.ndarray, "height width"]
    inspection: Inspection
    anomaly: Map | None = None


def read_group(files: Sequence[Path]) -> AnyScan:
    """Read the file or files of one scan; it keeps its 16-bit levels where they can be kept."""
    stored = formats.read_stored(files)
    if stored is not None:
        return stored
    return formats.read(files[0] if len(files) == 1 else list(files))


def inspect_files(  # noqa: PLR0913 - the flags of nii inspect
    groups: Sequence[tuple[Path, ...]],
    detector: Finds,
    out: Path,
    *,
    clock: Callable[[], datetime] = utc_now,
    read: Read = read_group,
    tdr: bool = False,
    context: Context = NOTHING,
) -> Iterator[Inspected | Failure]:
    """Inspect scans and write the results of each; yield them in the given order.

    Args:
        groups: the files of each scan, as :func:`nii.formats.find` returns them.
        detector: finds threats and structures.
        out: folder for the results; made if it is not there.
        clock: tells the time, with its zone.
        read: turns files into a scan.
        tdr: also write a DICOS threat detection report of each scan.
        context: what was declared of all scans, and what is usual at their site.

    Raises:
        OSError: the folder cannot be made.
    """
    out.mkdir(parents=True, exist_ok=True)
    names = results.stems(groups)
    look = partial(_look, detector=detector, clock=clock, context=context)
    reader, writer = _helpers()
    large = [_bytes(files) > _LARGE_BYTES for files in groups]
    ahead: Future[_Loaded | Failure] | None = None
    behind: Future[Inspected | Failure] | None = None
    try:
        for row, (files, stem) in enumerate(zip(groups, names, strict=True)):
            loaded = ahead.result() if ahead else _read(files, read)
            alone = large[row] or row + 1 == len(groups) or large[row + 1]
            ahead = None if alone else reader.submit(_read, groups[row + 1], read)
            if behind is not None and large[row]:
                yield behind.result()
                behind = None
            found = loaded if isinstance(loaded, Failure) else look(loaded)
            if behind is not None:
                yield behind.result()
            behind = writer.submit(_finish, found, out, stem, tdr=tdr)
            del loaded, found
            if large[row]:
                yield behind.result()
                behind = None
        if behind is not None:
            yield behind.result()
    finally:
        tasks: tuple[Future[Any] | None, ...] = (ahead, behind)
        wait([task for task in tasks if task is not None and not task.cancel()])


_OWN = threading.local()


def _forget_helpers() -> None:
    """Forget the executors of the parent: a forked process has none of their threads."""
    _OWN.__dict__.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_helpers)


def _helpers() -> tuple[ThreadPoolExecutor, ThreadPoolExecutor]:
    """Return the thread that reads and the one that writes for the calling thread, kept for it.

    OpenCV loads its font anew in every thread that draws a word: measured, 23 ms.
    """
    if not hasattr(_OWN, "helpers"):
        _OWN.helpers = ThreadPoolExecutor(1, "nii-read"), ThreadPoolExecutor(1, "nii-write")
    helpers: tuple[ThreadPoolExecutor, ThreadPoolExecutor] = _OWN.helpers
    return helpers


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A scan in memory and the milliseconds that reading it took."""

    files: tuple[Path, ...]
    scan: AnyScan
    read_ms: float


_Seen = tuple[_Loaded, Inspection, Map | None]


def _bytes(files: Sequence[Path]) -> int:
    """Return the size of all files; those that cannot be found count when they are read."""
    total = 0
    for path in files:
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total


def _read(files: tuple[Path, ...], read: Read) -> _Loaded | Failure:
    start = time.perf_counter()
    try:
        scan = read(files)
    except Exception as error:  # noqa: BLE001 - one bad file must not stop the others
        return _failure(files, error)
    return _Loaded(files, scan, 1e3 * (time.perf_counter() - start))


def _look(
    loaded: _Loaded, detector: Finds, clock: Callable[[], datetime], context: Context
) -> _Seen | Failure:
    try:
        return loaded, *inspect_with_map(loaded.scan, detector, clock, context)
    except Exception as error:  # noqa: BLE001 - one bad scan must not stop the others
        return _failure(loaded.files, error)


def _finish(found: _Seen | Failure, out: Path, stem: str, *, tdr: bool) -> Inspected | Failure:
    if isinstance(found, Failure):
        return found
    loaded, inspection, anomaly = found
    start = time.perf_counter()
    try:
        grey = overlay.render_grey(loaded.scan)
        extra = {
            results.OVERLAY_SUFFIX: overlay.draw_png(grey, inspection),
            results.THUMBNAIL_SUFFIX: overlay.thumbnail_png(grey, inspection),
        }
        if anomaly is not None:
            extra[results.ANOMALY_SUFFIX] = map_png(anomaly)
        drawn = 1e3 * (time.perf_counter() - start)
        timing = {"read": loaded.read_ms, **inspection.timing_ms, "overlay": drawn}
        rounded = {stage: round(ms, 2) for stage, ms in timing.items()}
        inspection = replace(inspection, timing_ms=rounded)
        if tdr:
            from nii.formats import dicos_tdr  # noqa: PLC0415 - pydicom takes long to load

            origin = dicos_tdr.origin_of(loaded.files, inspection.scan.sha256)
            extra[results.REPORT_SUFFIX] = dicos_tdr.encode(inspection, origin)
        name = results.free_stem(out, stem, loaded.scan.sha256)
        results.write_results(out, name, inspection, extra)
    except Exception as error:  # noqa: BLE001 - one full disk message a scan, and the report at the end
        return _failure(loaded.files, error)
    return Inspected(loaded.files, name, loaded.scan, grey, inspection, anomaly)


def _failure(files: Sequence[Path], error: Exception) -> Failure:
    name = str(files[0])
    if isinstance(error, NiiError):
        return Failure(name, str(error))
    if isinstance(error, OSError):
        return Failure(name, f"{error}. Check free space and access rights of the folders.")
    _LOG.error("unexpected error at %s", name, exc_info=error)
    return Failure(name, f"unexpected {type(error).__name__}: {error}. Please report this.")
