"""What a model found in the scans of a labelled set, kept until its report is written.

Looking takes nearly all the time of an evaluation. So each answer is kept in a file of its own, and
an interrupted evaluation goes on; several processes may look at once. Once the report is there, the
folder goes: answers that outlive a change of the program would be no answers.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

import nii
from nii import formats
from nii.detections import Detections
from nii.errors import ConfigError, NiiError, ProviderError
from nii.folders import claim, write_whole
from nii.infer.anomaly import Found
from nii.infer.detect import REVISION, Detector
from nii.infer.inspect import Finds, look
from nii.infer.runtime import ProviderSettings
from nii.processes import follow_parent
from nii.provenance import sha256_of_file
from nii.scan import Scan

SETTINGS_FILE = "settings.json"
_REMEDY = "Remove the folder, or name another one for the results."


@dataclass(frozen=True, slots=True)
class Keeper:
    """Ask a model about scans, once about each.

    Attributes:
        detector: the model.
        folder: for the answers; made if it is not there.
    """

    detector: Finds
    folder: Path

    def claim(self) -> None:
        """Take the folder for this model, or go on in it.

        Raises:
            ConfigError: the folder holds answers of another model, provider or version.
        """
        provider = self.detector.provider
        made_with = {
            "model": self.detector.model.sha256,
            "providers": provider.used,
            "precision": provider.precision,
            "nii": nii.__version__,
            "revision": REVISION,
        }
        claim(self.folder / SETTINGS_FILE, made_with, "answers of an evaluation", _REMEDY)

    def ask(self, path: Path, scan: Scan | None = None) -> Found:
        """Return what the model found in a scan, now or before.

        Args:
            path: file of the scan.
            scan: the scan itself where it was read already.

        Raises:
            ProviderError: the hardware gave up.
            ScanFormatError: the scan cannot be read.
        """
        digest = scan.sha256 if scan is not None else None  # of the same bytes, taken on reading
        kept = self.folder / f"{digest or sha256_of_file(path)}.npz"
        before = _read(kept)
        if before is not None:
            return before
        found = look(formats.read(path) if scan is None else scan, self.detector)
        write_whole(kept, _packed(found))
        return found


def forget(folder: Path) -> None:
    """Remove the answers of an evaluation whose report is written."""
    shutil.rmtree(folder, ignore_errors=True)


def looked_at(keeper: Keeper, bundle: Path, paths: Sequence[Path], workers: int) -> Iterator[None]:
    """Yield once for each scan, in order, as soon as other processes looked at it.

    A scan that they could not read has no answer; who asks for it then meets the error itself.

    Args:
        keeper: whose folder takes the answers.
        bundle: folder of the model.
        paths: files of the scans.
        workers: processes, each with its part of the cores; with one, nobody looks ahead.

    Raises:
        ConfigError: fewer than one worker.
        ProviderError: a process died.
    """
    if workers < 1:
        raise ConfigError(
            "workers", found=str(workers), expected="1 or more", remedy="Leave it out for one."
        )
    if workers == 1:
        yield from [None] * len(paths)
        return
    threads = max(1, (os.cpu_count() or 1) // workers)
    opening = bundle, keeper.folder, threads
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _open, opening) as pool:
        try:
            yield from pool.map(_look, paths)
        except BrokenProcessPool as error:
            raise ProviderError(
                "workers",
                found="a process that looks at scans died, perhaps for want of memory",
                expected=f"{workers} processes at work",
                remedy="Run the command again; it goes on. Fewer workers need less memory.",
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


_keeper: list[Keeper] = []
"""That of a process which looks ahead; none in others."""


def _open(bundle: Path, folder: Path, threads: int) -> None:
    follow_parent()
    cv2.setNumThreads(1)  # one of several processes on the same cores
    detector = Detector.open(bundle, settings=ProviderSettings(threads=threads))
    _keeper.append(Keeper(detector, folder))


def _look(path: Path) -> None:
    with contextlib.suppress(NiiError):
        _keeper[0].ask(path)


def _packed(found: Found) -> bytes:
    rows, stream = found.detections, io.BytesIO()
    points = [np.asarray(line, np.float32).reshape(-1, 2) for line in rows.contours]
    arrays = {
        "boxes": rows.boxes_xyxy,
        "scores": rows.scores,
        "classes": rows.class_ids,
        "points": np.concatenate(points) if points else np.zeros((0, 2), np.float32),
        "lengths": np.asarray([len(line) for line in points], np.int64),
    }
    if found.anomaly is not None:
        arrays["anomaly"] = found.anomaly
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def _read(path: Path) -> Found | None:
    """Return an answer of before; None where there is none, or one that cannot be read."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as kept:
            lengths = kept["lengths"]
            ends = np.cumsum(lengths)[:-1]
            contours = tuple(np.split(kept["points"], ends)) if len(lengths) else ()
            rows = Detections(kept["boxes"], kept["scores"], kept["classes"], contours)
            return Found(rows, {}, kept.get("anomaly"))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
