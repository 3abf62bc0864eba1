"""A package: one scan and what was found in it, in one zip file that needs no database.

===================  ==============================================================================
``manifest.json``    version of this form, identity of the scan, name, size and SHA-256 of each
                     other member
``inspection.json``  the inspection, see :mod:`nii.inspection`
``overlay.png``      the picture with the regions drawn in
``scan/<name>``      the original files, unchanged
===================  ==============================================================================

Members are stored without compression and without times: the same scan and inspection give the same
bytes, and a small file cannot unfold into a huge one. A reader refuses every member, key and byte
that this description does not know. The digests show damage and mix-ups; they do not prove who
sent a package.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nii
from nii.config import from_dict, to_dict
from nii.errors import ConfigError, NiiError
from nii.inspection import Inspection
from nii.provenance import SourceFile, sha256_of_bytes, sha256_of_file, sha256_of_sources

SCHEMA_VERSION = 1
SUFFIX = ".nii.zip"
MANIFEST = "manifest.json"
INSPECTION = "inspection.json"
OVERLAY = "overlay.png"
SCAN_FOLDER = "scan/"
_CHUNK_BYTES = 1 << 20
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MODE = 0o100644 << 16
_FORBIDDEN = '/\\:*?"<>|'
"""Characters that no file name on every system may hold."""
_LONGEST_NAME = 60
"""In characters: up to 240 bytes in UTF-8, and file systems hold 255."""
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?|.*[. ]")
"""File names that Windows gives another meaning, and the folders . and .."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a package beside the manifest."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The list of contents."""

    scan_sha256: str
    members: tuple[Member, ...]
    tool: str = f"nii {nii.__version__}"
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes above which a package is not read: assumptions, far above any known scan."""

    package_bytes: int = 4 << 30
    """Highest size of the zip file and of its members together."""
    text_bytes: int = 16 << 20
    """Highest size of the manifest and of the inspection, each."""
    members: int = 32
    """Highest number of members."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package whose every byte was checked, laid out in a folder.

    Attributes:
        folder: where the members lie, under their names.
        manifest: the list of contents.
        inspection: what was found.
    """

    folder: Path
    manifest: Manifest
    inspection: Inspection

    @property
    def scan_files(self) -> tuple[Path, ...]:
        """Return where the original files lie."""
        names = (member.name for member in self.manifest.members)
        return tuple(self.folder / name for name in names if name.startswith(SCAN_FOLDER))

    @property
    def overlay(self) -> Path:
        """Return where the picture lies."""
        return self.folder / OVERLAY


def write_package(
    path: Path, scan_files: Sequence[Path], inspection: Inspection, overlay_png: bytes
) -> Manifest:
    """Write a package; under its final name it is complete or not there.

    Raises:
        NiiError: a file name cannot travel, or the files are not those that were inspected.
    """
    names = portable_names([file.name for file in scan_files])
    text = json.dumps(inspection.to_json(), sort_keys=True, indent=2).encode()
    sources = tuple(SourceFile(file.name, sha256_of_file(file)) for file in scan_files)
    _check_identity(path, sources, inspection)
    members = [
        Member(INSPECTION, len(text), sha256_of_bytes(text)),
        Member(OVERLAY, len(overlay_png), sha256_of_bytes(overlay_png)),
    ]
    for name, file, source in zip(names, scan_files, sources, strict=True):
        members.append(Member(SCAN_FOLDER + name, file.stat().st_size, source.sha256))
    manifest = Manifest(sha256_of_sources(sources), tuple(members))
    listing = json.dumps(to_dict(manifest), sort_keys=True, indent=2).encode()
    with written_atomically(path) as archive:
        for name, content in ((MANIFEST, listing), (INSPECTION, text), (OVERLAY, overlay_png)):
            archive.writestr(entry_of(name), content)
        for name, file in zip(names, scan_files, strict=True):
            entry = entry_of(SCAN_FOLDER + name)
            entry.file_size = file.stat().st_size
            with file.open("rb") as source_stream, archive.open(entry, "w") as target:
                shutil.copyfileobj(source_stream, target, _CHUNK_BYTES)
    return manifest


def portable_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return names that every system can hold, all different; good names stay as they are.

    The names that the files really had stand in the inspection.
    """
    result: list[str] = []
    for index, name in enumerate(names, 1):
        plain = "".join(c if c.isprintable() and c not in _FORBIDDEN else "_" for c in name)
        plain = plain[-_LONGEST_NAME:]
        if not _is_portable(plain):
            plain = f"_{plain[1 - _LONGEST_NAME :].rstrip('. ')}_"
        if plain.casefold() in {other.casefold() for other in result}:
            plain = f"{index}-{plain[-_LONGEST_NAME // 2 :]}"
        result.append(plain)
    return tuple(result)


def _is_portable(name: str) -> bool:
    plain = name.isprintable() and not set(name) & set(_FORBIDDEN)
    return plain and 0 < len(name) <= _LONGEST_NAME and not _RESERVED.fullmatch(name)


def read_package(path: Path, folder: Path, limits: Limits | None = None) -> Package:
    """Check a package and lay its members out in a new folder.

    Args:
        path: the zip file.
        folder: where the members go; it appears only when everything was found in order.
        limits: sizes above which nothing is read.

    Raises:
        NiiError: the package is damaged, too large, of another version, holds something unknown,
            or the folder is there already.
        OSError: the file cannot be read.
    """
    limits = limits or Limits()
    if folder.exists():
        raise _refusal(folder, "a folder that is there already", "a new folder")
    if path.stat().st_size > limits.package_bytes:
        raise _refusal(path, f"{path.stat().st_size} bytes", f"at most {limits.package_bytes}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".package-") as temporary:
        fresh = Path(temporary) / "content"
        try:
            with zipfile.ZipFile(path) as archive:
                package = _lay_out(archive, path, fresh, limits)
        except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
            raise _refusal(path, f"a damaged zip file ({error})", "a whole one") from error
        fresh.rename(folder)
    return Package(folder, package.manifest, package.inspection)


def _lay_out(archive: zipfile.ZipFile, path: Path, folder: Path, limits: Limits) -> Package:
    entries = _entries(archive, path, limits)
    manifest = _read_manifest(archive, path, limits)
    _check_members(path, manifest, set(entries))
    (folder / SCAN_FOLDER).mkdir(parents=True)
    left = limits.package_bytes
    for member in manifest.members:
        left -= _copy_checked(archive, folder, member, left)
    inspection = _read_inspection(path, folder / INSPECTION, limits)
    scan = tuple(
        SourceFile(member.name, member.sha256)
        for member in manifest.members
        if member.name.startswith(SCAN_FOLDER)
    )
    _check_identity(path, scan, inspection)
    if manifest.scan_sha256 != inspection.scan.sha256:
        raise _refusal(path, "a manifest about another scan", "one about the scan inside")
    with (folder / OVERLAY).open("rb") as picture:
        if picture.read(len(_PNG_SIGNATURE)) != _PNG_SIGNATURE:
            raise _refusal(path, f"an {OVERLAY} that is no PNG", "a PNG picture")
    return Package(folder, manifest, inspection)


def _entries(archive: zipfile.ZipFile, path: Path, limits: Limits) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    if len(infos) > limits.members:
        raise _refusal(path, f"{len(infos)} members", f"at most {limits.members}")
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise _refusal(path, f"a packed or locked member {info.filename!r}", "plain members")
        if info.external_attr != _MODE:
            raise _refusal(path, f"a member {info.filename!r} that is no plain file", "files")
    entries = {info.filename: info for info in infos}
    if len({name.casefold() for name in entries}) < len(infos):
        raise _refusal(path, "two members of one name", "different names")
    return entries


def _read_manifest(archive: zipfile.ZipFile, path: Path, limits: Limits) -> Manifest:
    try:
        with archive.open(MANIFEST) as stream:
            data = _parse(path, stream.read(limits.text_bytes + 1), limits)
    except KeyError as error:
        raise _refusal(path, f"no {MANIFEST}", "a package of nii") from error
    version = data.get("schema_version")
    if version != SCHEMA_VERSION:
        raise _refusal(path, f"schema version {version!r}", f"schema version {SCHEMA_VERSION}")
    try:
        return from_dict(Manifest, data, where=f"{path}: {MANIFEST}")
    except ConfigError as error:
        raise _refusal(path, f"a manifest with {error.found}", error.expected) from error


def _read_inspection(path: Path, file: Path, limits: Limits) -> Inspection:
    with file.open("rb") as stream:
        data = _parse(path, stream.read(limits.text_bytes + 1), limits)
    try:
        return Inspection.from_json(data)
    except ConfigError as error:
        raise _refusal(path, f"an inspection with {error.found}", error.expected) from error


def _parse(path: Path, text: bytes, limits: Limits) -> dict[str, Any]:
    if len(text) > limits.text_bytes:
        raise _refusal(path, "a text that is too long", f"at most {limits.text_bytes} bytes")
    try:
        data = json.loads(text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise _refusal(path, f"bad JSON ({error})", "JSON") from error
    if not isinstance(data, dict):
        raise _refusal(path, f"JSON of type {type(data).__name__}", "a JSON object")
    return data


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        msg = "a key stands twice"
        raise ValueError(msg)
    return dict(pairs)


def _finite(name: str) -> float:
    msg = f"{name} is no JSON number"
    raise ValueError(msg)


def _check_members(path: Path, manifest: Manifest, found: set[str]) -> None:
    names = [member.name for member in manifest.members]
    scan = [name.removeprefix(SCAN_FOLDER) for name in names if name.startswith(SCAN_FOLDER)]
    expected = {INSPECTION, OVERLAY, *(SCAN_FOLDER + name for name in scan)}
    if set(names) != expected or len(names) != len(expected) or not scan:
        raise _refusal(path, f"members {sorted(names)}", f"{INSPECTION}, {OVERLAY} and a scan")
    for name in scan:
        _check_name(path, name)
    if found != expected | {MANIFEST}:
        odd = sorted(found ^ (expected | {MANIFEST}))
        raise _refusal(path, f"unlisted or missing members {odd}", "exactly those listed")


def _check_name(path: Path, name: str) -> None:
    if not _is_portable(name):
        raise _refusal(path, f"a file name {name!r}", "a plain name that every system can hold")


def _check_identity(path: Path, scan: tuple[SourceFile, ...], inspection: Inspection) -> None:
    identity = sha256_of_sources(scan)
    if identity != inspection.scan.sha256:
        raise _refusal(path, f"the scan {identity}", f"the one inspected, {inspection.scan.sha256}")


def _copy_checked(archive: zipfile.ZipFile, folder: Path, member: Member, most: int) -> int:
    digest, size = hashlib.sha256(), 0
    with archive.open(member.name) as source, (folder / member.name).open("xb") as target:
        while chunk := source.read(_CHUNK_BYTES):
            size += len(chunk)
            if size > min(member.bytes, most):
                break
            digest.update(chunk)
            target.write(chunk)
    if size != member.bytes or size > most or digest.hexdigest() != member.sha256:
        raise _refusal(member.name, "other content than the manifest lists", "the listed SHA-256")
    return size


def entry_of(name: str) -> zipfile.ZipInfo:
    """Return the head of a member that is stored without compression, time or owner."""
    entry = zipfile.ZipInfo(name)  # its time is the fixed start of 1980
    entry.create_system = 3
    entry.external_attr = _MODE
    return entry


@contextmanager
def written_atomically(path: Path) -> Iterator[zipfile.ZipFile]:
    """Give a zip file to write to; under its final name it is complete or not there."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
                yield archive
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)  # the program that sends it may be another user's
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _refusal(subject: object, found: str, expected: str) -> NiiError:
    return NiiError(
        subject,
        found=found,
        expected=expected,
        remedy="Do not use this package: ask its sender for it again.",
    )
