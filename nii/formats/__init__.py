"""Scans on disk: recognise, read and write them. One file of this package = one scan format.

To add a format, write a module beside the others that offers what :class:`Format` states, and name
it in `FORMATS`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from nii.errors import ScanFormatError
from nii.formats import dicos, jpeg, png, tiff
from nii.formats.files import load_head, unreadable
from nii.formats.limits import Limits
from nii.provenance import Provenance, SourceFile, sha256_of_file
from nii.scan import Scan, StoredScan

__all__ = ["FORMATS", "Format", "Limits", "find", "read", "read_stored", "write"]

_HEAD_BYTES = 256


@runtime_checkable
class Format(Protocol):
    """State what the module of a format offers."""

    SUFFIXES: tuple[str, ...]
    """Endings of file names, in lower case, the preferred one first; used for writing only."""

    def sniff(self, head: bytes, /) -> bool:
        """Tell from the first 256 bytes whether a file is of this format, and of no other."""

    def read(self, paths: tuple[Path, ...], limits: Limits, /) -> Scan:
        """Read all files of one scan; most formats accept exactly one file."""

    def write(self, scan: Scan, path: Path, /) -> tuple[Path, ...]:
        """Write a scan and return the files written."""


FORMATS: tuple[Format, ...] = (dicos, png, tiff, jpeg)


def find(inputs: Sequence[Path]) -> tuple[tuple[Path, ...], ...]:
    """Expand files and folders into scans, each the tuple of its files.

    Folders are searched with everything below them, in sorted order, links to folders and hidden
    names left out. There, a file counts as a scan if its content is of a known format, or if its
    name says so: reading the latter reports what is wrong with it. A file named explicitly always
    counts. Objects of one DICOS scan in one folder belong together, however they were named.

    Raises:
        ScanFormatError: an input does not exist.
    """
    scans: dict[tuple[Path, ...], None] = {}
    folders: dict[Path, dict[Path, tuple[Path, ...]]] = {}
    for path in inputs:
        if not path.exists():
            raise unreadable(path, "no such file or folder")
        for file in _files_below(path) if path.is_dir() else (path,):
            form = _form(file)
            if form is dicos:
                if file.parent not in folders:
                    folders[file.parent] = _dicos_scans(file.parent)
                group = folders[file.parent].get(file, () if file != path else (file,))
                scans.update({group: None} if group else {})
            elif form is not None or file.suffix.lower() in _suffixes() or file == path:
                scans[(file,)] = None
    return tuple(scans)


def read(paths: Path | Sequence[Path], limits: Limits | None = None) -> Scan:
    """Read one scan.

    Args:
        paths: one file, to which the other objects of its DICOS scan in the same folder are added;
            or all files of one scan, as :func:`find` returns them.
        limits: the largest scan to accept; the default where None.

    Returns:
        The scan; its provenance names every file with its SHA-256 and every assumption made.

    Raises:
        ScanFormatError: the files are no readable scan.
    """
    if isinstance(paths, Path):
        paths = find((paths,))[0] if paths.is_file() else (paths,)
    files = tuple(paths)
    scan = _form_of(files).read(files, limits or Limits())
    return replace(scan, provenance=_from_files(scan.provenance, files))


def read_stored(files: Sequence[Path], limits: Limits | None = None) -> StoredScan | None:
    """Read one scan whose pixels stay 16-bit levels, for one too large as numbers.

    Args:
        files: all files of one scan, as :func:`find` returns them.
        limits: the largest scan to accept; the default where None.

    Returns:
        The scan; None where a file is packed, tiled, turned, no 16-bit grey, or of a format that
        always is (PNG, JPEG): :func:`read` may still read it.

    Raises:
        ScanFormatError: the files are no readable scan.
    """
    form = _form_of(tuple(files))
    if form not in (tiff, dicos):
        return None
    reader = tiff.read_stored if form is tiff else dicos.read_stored
    scan = reader(tuple(files), limits or Limits())
    if scan is None:
        return None
    return replace(scan, provenance=_from_files(scan.provenance, tuple(files)))


def _from_files(provenance: Provenance, files: tuple[Path, ...]) -> Provenance:
    sources = tuple(SourceFile(path.name, sha256_of_file(path)) for path in files)
    return replace(provenance, sources=sources)


def _form_of(files: tuple[Path, ...]) -> Format:
    """Return the one format of all files of a scan."""
    forms = [_known_form(path) for path in files]
    if len({id(form) for form in forms}) != 1:
        raise ScanFormatError(
            files[0] if files else "scan",
            found=f"{len(files)} files of {len(set(map(id, forms)))} formats for one scan",
            expected="the files of one scan, all of one format",
            remedy="Let nii.formats.find group the files.",
        )
    return forms[0]


def write(scan: Scan, path: Path) -> tuple[Path, ...]:
    """Write a scan in the format that the ending of `path` names, and return the files written.

    A file appears under its name only when it is complete. DICOS writes one file an energy:
    ``truck.dcs`` becomes ``truck.high.dcs`` and ``truck.low.dcs``.

    Raises:
        ScanFormatError: no format has this ending, or the format cannot hold this scan.
    """
    for form in FORMATS:
        if path.suffix.lower() in form.SUFFIXES:
            return form.write(scan, path)
    raise ScanFormatError(
        path,
        found=f"the ending {path.suffix!r}",
        expected="one of " + " ".join(_suffixes()),
        remedy="Give the file a name with one of these endings.",
    )


def _suffixes() -> tuple[str, ...]:
    return tuple(suffix for form in FORMATS for suffix in form.SUFFIXES)


def _form(path: Path) -> Format | None:
    """Return the format of a file by its content; None if unknown or unreadable."""
    try:
        head = load_head(path, _HEAD_BYTES)
    except ScanFormatError:
        return None
    return next((form for form in FORMATS if form.sniff(head)), None)


def _known_form(path: Path) -> Format:
    head = load_head(path, _HEAD_BYTES)
    for form in FORMATS:
        if form.sniff(head):
            return form
    raise ScanFormatError(
        path,
        found=f"content that starts with {head[:8]!r}" if head else "an empty file",
        expected="DICOS, PNG, TIFF or JPEG content",
        remedy="Export the scan in one of these formats.",
    )


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder and below, sorted, without hidden ones."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(parent, name)


def _dicos_scans(folder: Path) -> dict[Path, tuple[Path, ...]]:
    """Return for each DICOS image of one folder all images of its scan, sorted by name.

    Threat Detection Reports carry the UID of their scan and are no part of it.
    """
    objects: Iterable[Path] = (
        path
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".") and path.is_file() and _form(path) is dicos
    )
    groups: dict[str, list[Path]] = {}
    for path in objects:
        identity = dicos.identity(path)
        if not identity.report:
            groups.setdefault(identity.scan_uid or f"file {path.name}", []).append(path)
    return {path: tuple(group) for group in groups.values() for path in group}
