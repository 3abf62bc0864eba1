"""A folder for scans that cannot be inspected: a copy of each with the reason beside it.

The original stays where it is. A case is complete under its name, which is the identity of the
scan, or not there.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from nii.errors import NiiError

REASON_FILE = "reason.json"


def holds(folder: Path, identity: str) -> bool:
    """Tell whether a scan lies in the quarantine.

    Raises:
        OSError: the folder cannot be reached.
    """
    return (folder / identity / REASON_FILE).exists()


def put(folder: Path, paths: Sequence[Path], identity: str, error: Exception, at: datetime) -> Path:
    """Copy the files of a scan into the quarantine, with what is wrong with them.

    Args:
        folder: the quarantine; made if it is not there.
        paths: the files.
        identity: SHA-256 of the scan.
        error: why it cannot be inspected.
        at: time for the record.

    Returns:
        The folder of the case; one that is there already stays as it is.

    Raises:
        OSError: a file cannot be read or written.
    """
    case = folder / identity
    if holds(folder, identity):
        return case
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".incoming-") as temporary:
        fresh = Path(temporary) / identity
        fresh.mkdir()
        for number, path in enumerate(paths, 1):
            shutil.copyfile(path, fresh / _name(number, path))
        reason = reason_of(error) | {
            "files": [str(path) for path in paths],
            "sha256": identity,
            "at": at.isoformat(),
        }
        with (fresh / REASON_FILE).open("w", encoding="ascii") as stream:
            json.dump(reason, stream, indent=2, sort_keys=True)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.rename(case)
    return case


def reason_of(error: Exception) -> dict[str, Any]:
    """Return in plain words what was found, what was expected and what can be done."""
    if isinstance(error, NiiError):
        return {
            "error": type(error).__name__,
            "found": error.found,
            "expected": error.expected,
            "remedy": error.remedy,
        }
    return {
        "error": type(error).__name__,
        "found": str(error),
        "expected": "a scan that can be read and inspected",
        "remedy": "Report this file format or this file to the makers of nii.",
    }


def _name(number: int, path: Path) -> str:
    """Return the name of a copy: that of the file, cut at the front where it is too long."""
    room = 255 - len(f"{number}-")  # what file systems allow, in bytes
    return f"{number}-{os.fsdecode(os.fsencode(path.name)[-room:])}"
