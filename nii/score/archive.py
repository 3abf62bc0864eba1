"""Archive: scans in a local folder or in storage that fsspec reaches, such as S3.

A local folder is searched as :func:`nii.formats.find` does, by content. In remote storage a look
into each object costs a request, so objects count as scans by the ending of their name; only of
DICOS objects the head is read, which says which of them are one scan.

Reference: fsspec documentation, "Use cases" and the list of known implementations.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from nii import formats
from nii.errors import ScanFormatError
from nii.formats import dicos

Group = tuple[str, ...]
"""The files of one scan, as paths below the archive with slashes, in the order of reading."""

_HEAD_BYTES = 1 << 16
"""Bytes of a DICOS object that are fetched for its scan UID, which stands before all pictures:
assumption."""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder in some storage.

    Attributes:
        address: path of a folder, or URL such as ``s3://bucket/folder``.
        options: settings of the storage for fsspec, such as ``endpoint_url`` of an S3 server.
    """

    address: str
    options: tuple[tuple[str, Any], ...] = ()

    def open(self) -> tuple[Any, str]:
        """Return the file system and the path of the folder in it."""
        filesystem, root = fsspec.core.url_to_fs(self.address, **dict(self.options))
        return filesystem, str(root).rstrip("/")

    @property
    def local(self) -> Path | None:
        """Return the folder where it lies on this machine; else None."""
        if "://" in self.address and not self.address.startswith(("file://", "local://")):
            return None
        return Path(self.address.partition("://")[2] or self.address).absolute()


def find(archive: Place) -> tuple[Group, ...]:
    """Return the files of every scan of an archive, in sorted order.

    Raises:
        ScanFormatError: there is no such folder.
        OSError: the storage does not answer.
    """
    folder = archive.local
    if folder is None:
        return _find_remote(archive)
    if not is_there(archive):
        raise _no_archive(archive)
    groups = formats.find((folder,))
    return tuple(sorted(tuple(p.relative_to(folder).as_posix() for p in group) for group in groups))


def is_there(archive: Place) -> bool:
    """Tell whether an archive can be reached now."""
    folder = archive.local
    if folder is not None:
        return folder.is_dir()
    filesystem, root = archive.open()
    try:
        return bool(filesystem.isdir(root))
    except OSError:
        return False


@contextmanager
def fetched(archive: Place, group: Group) -> Iterator[tuple[Path, ...]]:
    """Give the files of one scan on the local disk; copies are removed afterwards.

    Raises:
        OSError: a file cannot be fetched.
        ScanFormatError: it is larger than any scan.
    """
    folder = archive.local
    if folder is not None:
        yield tuple(folder / name for name in group)
        return
    filesystem, root = archive.open()
    with tempfile.TemporaryDirectory(prefix="nii-score-") as name:
        paths = []
        for number, part in enumerate(group):
            place = Path(name, str(number))  # two files of a scan may have one name
            place.mkdir()
            path = place / PurePosixPath(part).name
            formats.Limits().check_file(path, filesystem.size(f"{root}/{part}"))
            path.write_bytes(filesystem.cat_file(f"{root}/{part}"))
            paths.append(path)
        yield tuple(paths)


def _find_remote(archive: Place) -> tuple[Group, ...]:
    if not is_there(archive):
        raise _no_archive(archive)
    filesystem, root = archive.open()
    names = sorted(
        path[len(root) + 1 :] if path.startswith(f"{root}/") else path
        for path in (str(found).rstrip("/") for found in filesystem.find(root))
    )
    endings = tuple(suffix for form in formats.FORMATS for suffix in form.SUFFIXES)
    wanted = [
        name
        for name in names
        if name.lower().endswith(endings)
        and not any(part.startswith(".") for part in name.split("/"))
    ]
    groups: dict[tuple[str, str], list[str]] = {}
    for name in wanted:
        identity = _scan_uid(filesystem, root, name)
        if identity is not None:
            groups.setdefault((os.path.dirname(name), identity), []).append(name)  # noqa: PTH120
    return tuple(sorted(tuple(names) for names in groups.values()))


def _scan_uid(filesystem: Any, root: str, name: str) -> str | None:  # noqa: ANN401
    """Return what tells the scan of a file in its folder; None for a report about a scan."""
    alone = f"file {name}"
    if not name.lower().endswith(dicos.SUFFIXES):
        return alone
    head = filesystem.cat_file(f"{root}/{name}", start=0, end=_HEAD_BYTES)
    with tempfile.TemporaryDirectory(prefix="nii-score-") as folder:
        path = Path(folder, "head.dcs")
        path.write_bytes(head)
        identity = dicos.identity(path)
    return None if identity.report else identity.scan_uid or alone


def _no_archive(archive: Place) -> ScanFormatError:
    return ScanFormatError(
        archive.address,
        found="no such folder",
        expected="a folder or URL with scans below it",
        remedy="Check the path, the access rights and the options of the storage.",
    )
