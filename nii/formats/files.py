"""Bytes from disk, bytes to disk, and the one place where errors of decoding libraries end."""

from __future__ import annotations

import logging
import os
import secrets
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nii.errors import ScanFormatError
from nii.formats.limits import Limits

_HANDLED = logging.NullHandler()  # keeps Python's last-resort handler from printing to stderr
_TALKATIVE = ("pydicom", "tifffile")


def unreadable(path: Path, reason: object) -> ScanFormatError:
    """Return the error for a path from which nothing can be read."""
    return ScanFormatError(
        path,
        found=str(reason),
        expected="a file that can be read",
        remedy="Check the path and the access rights.",
    )


def single(paths: tuple[Path, ...]) -> Path:
    """Return the only path, for a format that keeps a scan in one file.

    Raises:
        ScanFormatError: there are several paths, or none.
    """
    if len(paths) == 1:
        return paths[0]
    raise ScanFormatError(
        paths[0] if paths else "scan",
        found=f"{len(paths)} files for one scan",
        expected="one file: only DICOS keeps the energies of a scan in several",
        remedy="Read the files one by one.",
    )


def load(path: Path, limits: Limits) -> bytes:
    """Return all bytes of a regular file.

    Raises:
        ScanFormatError: the file is missing, no regular file, unreadable or too large.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise unreadable(path, "something that is not a regular file")
        limits.check_file(path, status.st_size)
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error.strerror or error) from error


def load_head(path: Path, size: int) -> bytes:
    """Return the first bytes of a regular file, at most `size`.

    Raises:
        ScanFormatError: the file is missing, no regular file or unreadable.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise unreadable(path, "something that is not a regular file")
        with path.open("rb") as stream:
            return stream.read(size)
    except OSError as error:
        raise unreadable(path, error.strerror or error) from error


def save(path: Path, data: bytes) -> None:
    """Write a file so that others see either nothing new or all of it.

    The bytes go to a hidden name in the same folder, which :func:`nii.formats.find` skips, and
    take the final name when they are safe on disk.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.open(temporary, flags, 0o666)  # the umask takes away what it must
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def decoding(path: Path, what: str) -> Iterator[None]:
    """Turn whatever a decoding library raises into a ScanFormatError, and keep it quiet.

    Put nothing but calls of the library inside. Broken files make such libraries raise almost any
    exception, from ``struct.error`` to ``RecursionError``, so every one is caught here.

    Args:
        path: the file, for the message.
        what: the part that is decoded, for example ``PNG pixels``.

    Raises:
        ScanFormatError: the library failed.
    """
    for name in _TALKATIVE:
        logging.getLogger(name).addHandler(_HANDLED)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ScanFormatError:
        raise
    except Exception as error:
        raise broken(path, what, f"{type(error).__name__}: {error}") from error


def broken(path: Path, what: str, detail: str) -> ScanFormatError:
    """Return the error for content that contradicts itself or ends early."""
    return ScanFormatError(
        path,
        found=f"broken {what} ({detail[:300]})",
        expected=f"complete {what}",
        remedy="The file is damaged or was cut short; copy or export it again.",
    )
