"""Original scan files: kept unchanged under the SHA-256 of their content.

A file with digest ``ab12…`` lies in ``ab/12/ab12…`` below the folder of the store. It is written
under a temporary name, flushed to the disk, made read-only and renamed, so a file with its final
name is complete. The scan that the files make up is registered together with its first inspection
(see :mod:`nii.store.inspections`); a copy without a row is harmless and is used again.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from nii.errors import NiiError, ScanFormatError
from nii.provenance import SourceFile, sha256_of_file, sha256_of_sources
from nii.store import tables
from nii.store.audit import canonical
from nii.store.database import Store, timestamp

_CHUNK_BYTES = 1 << 20
_READ_ONLY = 0o444


@dataclass(frozen=True, slots=True)
class KeptFile:
    """One original file: its name without folder, its SHA-256 (hex) and its size."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class KeptScan:
    """The original files of one scan.

    Attributes:
        sha256: identity of the scan, see :func:`nii.provenance.sha256_of_sources`.
        files: in the order in which they were given.
    """

    sha256: str
    files: tuple[KeptFile, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """Where a scan comes from.

    Attributes:
        at: time of acquisition with zone, ISO 8601; None where unknown.
        scanner_id: the machine; None where unknown.
    """

    at: str | None = None
    scanner_id: int | None = None


def keep(store: Store, paths: Sequence[Path]) -> KeptScan:
    """Copy the original files of one scan into the store.

    Keeping the same content again changes nothing and gives the same identity.

    Raises:
        ScanFormatError: two files share a name, or a name cannot be shown.
        NiiError: a file kept earlier was altered since.
        OSError: a file cannot be read or written.
    """
    names = [path.name for path in paths]
    if not names or len(set(names)) < len(names) or not all(map(str.isprintable, names)):
        raise ScanFormatError(
            "the files of a scan",
            found=f"the names {names!a}",
            expected="one or more different names that can be shown",
            remedy="Rename the files.",
        )
    kept = tuple(_keep_file(store, path) for path in paths)
    identity = sha256_of_sources(tuple(SourceFile(file.name, file.sha256) for file in kept))
    return KeptScan(identity, kept)


def register(
    connection: sa.Connection, scan: KeptScan, at: datetime, made: Made | None = None
) -> KeptScan:
    """Write the row of a scan into an open transaction, once; return what is registered.

    The same content under other names stays registered under the names that came first.
    """
    earlier = _row(connection, scan.sha256)
    if earlier is not None:
        return earlier
    files = canonical([asdict(file) for file in scan.files])
    made = made or Made()
    row = {
        "sha256": scan.sha256,
        "files": files,
        "kept_at": timestamp(at),
        "scanned_at": _utc(made.at),
        "scanner_id": made.scanner_id,
    }
    connection.execute(sa.insert(tables.scans).values(row))
    return scan


def get(store: Store, sha256: str) -> KeptScan | None:
    """Return the registered scan with this identity, or None."""
    with store.read() as connection:
        return _row(connection, sha256)


def of(store: Store, sha256: str) -> KeptScan:
    """Return the registered scan with this identity, which must be there.

    Raises:
        NiiError: it is not.
    """
    scan = get(store, sha256)
    if scan is None:
        raise NiiError(
            f"scan {sha256}",
            found="no such scan",
            expected="a scan of this store",
            remedy="Restore the store from a backup.",
        )
    return scan


def path_of(store: Store, sha256: str) -> Path:
    """Return where the file with this content lies."""
    return store.files / sha256[:2] / sha256[2:4] / sha256


def damaged(store: Store) -> Iterator[str]:
    """Read every kept file again, and say of each that is missing or altered what is wrong."""
    table, last = tables.scans, ""
    while True:
        query = sa.select(table).where(table.c.sha256 > last).order_by(table.c.sha256).limit(100)
        with store.read() as connection:
            rows = connection.execute(query).all()
        if not rows:
            return
        last = rows[-1].sha256
        for row in rows:
            for file in json.loads(row.files):
                wrong = _wrong(path_of(store, file["sha256"]), KeptFile(**file))
                if wrong:
                    yield f"scan {row.sha256}, {file['name']}: {wrong}"


@contextmanager
def original_files(store: Store, scan: KeptScan) -> Iterator[tuple[Path, ...]]:
    """Give the kept files under their original names, as links in a folder that then goes away.

    Raises:
        NiiError: a file is missing or has another size than when it was kept.
    """
    with tempfile.TemporaryDirectory(prefix="nii-scan-") as folder:
        links = []
        for file in scan.files:
            kept = path_of(store, file.sha256)
            if not kept.is_file() or kept.stat().st_size != file.bytes:
                raise _altered(kept, "a missing file or another size")
            link = Path(folder) / file.name
            link.symlink_to(kept.absolute())
            links.append(link)
        yield tuple(links)


def _row(connection: sa.Connection, sha256: str) -> KeptScan | None:
    query = sa.select(tables.scans.c.files).where(tables.scans.c.sha256 == sha256)
    text = connection.execute(query).scalar_one_or_none()
    if text is None:
        return None
    return KeptScan(sha256, tuple(KeptFile(**file) for file in json.loads(text)))


def _utc(at: str | None) -> str | None:
    moment = None if at is None else datetime.fromisoformat(at)
    return None if moment is None or moment.tzinfo is None else timestamp(moment)


def _keep_file(store: Store, path: Path) -> KeptFile:
    handle, temporary = tempfile.mkstemp(prefix=".incoming-", dir=store.files)
    try:
        with os.fdopen(handle, "wb") as target:
            digest = hashlib.sha256()
            with path.open("rb") as source:
                while chunk := source.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
            size = target.tell()
        sha256 = digest.hexdigest()
        _settle(Path(temporary), path_of(store, sha256), sha256)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return KeptFile(path.name, sha256, size)


def _wrong(place: Path, file: KeptFile) -> str:
    if not place.is_file():
        return "the file is missing"
    if place.stat().st_size != file.bytes or sha256_of_file(place) != file.sha256:
        return "the file was altered"
    return ""


def _settle(temporary: Path, final: Path, sha256: str) -> None:
    if final.exists():
        if sha256_of_file(final) != sha256:
            raise _altered(final, "other content than its name says")
        return
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary.chmod(_READ_ONLY)
    temporary.replace(final)
    for folder in (final.parent, final.parent.parent, final.parent.parent.parent):
        _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    if os.name != "posix":  # Windows cannot open a folder, and journals its renames
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _altered(path: Path, found: str) -> NiiError:
    return NiiError(
        path,
        found=found,
        expected="the original file, unchanged",
        remedy="Restore the folder of original files from a backup; do not delete the damaged one.",
    )
