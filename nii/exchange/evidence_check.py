"""Check an evidence package: every byte, the signature, the records, the chain of the log.

Nothing here trusts what the package says of itself: digests are computed again, the events are
chained anew, and each record is held against the event that was written with it. What a package
alone cannot show is that events of this scan were left out of the extract; the log of the store
can, see :func:`against_store`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import struct
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from nii import dsse, signature
from nii.config import from_dict
from nii.errors import ConfigError, NiiError
from nii.exchange import evidence, evidence_records
from nii.exchange.evidence import Manifest
from nii.exchange.package import Member, entry_of
from nii.inspection import Inspection
from nii.provenance import SourceFile, sha256_of_bytes, sha256_of_sources
from nii.store import audit
from nii.store.database import Store

_CHUNK_BYTES = 1 << 20
_LARGEST_TEXT_BYTES = 64 << 20
"""Highest size of a text member: a log of many thousand events; assumption with a wide margin."""
_SMALL_BYTES = 64 << 10
_DAMAGE = (
    zipfile.BadZipFile,
    struct.error,
    ArithmeticError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What reading a damaged zip file, or one made to deceive, may end in."""
_EVENT_FACTS = ("number", "at", "kind", "inspection_id", "payload")
_RECORD_EVENTS = {
    "decisions": audit.DECIDED,
    "marks": audit.MARKED,
    "outcomes": audit.EXAMINED,
    "documents": audit.LINKED,
}
"""Table of a record: kind of the event that is written with it, or with several of its kind."""


@dataclass(frozen=True, slots=True)
class Report:
    """Say what a check found.

    Attributes:
        manifest: the list of contents; None where it cannot be read.
        faults: everything that does not hold, in words; none in an intact package.
        signed: whether a trusted key signed it.
        signer: who signed, in words; in capitals where nobody known did.
    """

    manifest: Manifest | None
    faults: tuple[str, ...]
    signed: bool
    signer: str

    @property
    def intact(self) -> bool:
        """Return whether every byte, digest and link holds."""
        return not self.faults


def check(path: Path, keys: Iterable[dsse.PublicKey] = ()) -> Report:
    """Check a package by itself.

    Args:
        path: the zip file.
        keys: keys of workstations that are trusted.

    Raises:
        OSError: the file cannot be read.
    """
    trusted = tuple(keys)
    with path.open("rb"):
        pass  # what cannot be read at all is no fault of the package
    try:
        with zipfile.ZipFile(path) as archive:
            return _check(path, archive, trusted)
    except NiiError as error:
        return _unreadable(f"{error.subject}: {error.found}; expected {error.expected}")
    except _DAMAGE as error:
        return _unreadable(f"a damaged package ({type(error).__name__}: {error})")


def against_store(path: Path, store: Store) -> tuple[str, ...]:
    """Return what does not fit between an intact package and the log of a store.

    Every event of the extract must stand in the log, no event about the scan may be missing from
    the extract, and the log must be intact.
    """
    with zipfile.ZipFile(path) as archive:
        manifest = _manifest(archive)
        log = _json(archive, evidence.LOG)
    verdict = audit.verify(store, manifest.head)
    faults = [f"log of the store: {fault.reason}" for fault in verdict.faults]
    with store.read() as connection:
        rows = evidence_records.events_of(
            connection, manifest.inspection_ids, manifest.scan_sha256, manifest.head.number
        )
    if rows != log["events"]:
        faults.append("the events of the package are not those of the store about this scan")
    return tuple(faults)


def event_digest(event: Mapping[str, Any]) -> str:
    """Return the SHA-256 that an event must have, by the rule that the package states."""
    facts = {key: event[key] for key in _EVENT_FACTS}
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256_of_bytes(f"{event['previous_sha256']}\n{text}".encode())


def chain_faults(log: Mapping[str, Any]) -> list[str]:
    """Return where the extract of a log does not hold together."""
    events, beside = log["events"], {int(key): one for key, one in log["neighbours"].items()}
    head = log["head"]
    digests = {event["number"]: event["sha256"] for event in events}
    faults, last = [], 0
    for event in events:
        number = event["number"]
        if number <= last:
            faults.append(f"event {number} stands after event {last}")
        if event_digest(event) != event["sha256"]:
            faults.append(f"event {number} was altered")
        before = beside.get(number - 1) if number > 1 else audit.ORIGIN_SHA256
        if event["previous_sha256"] != (digests.get(number - 1) or before):
            faults.append(f"event {number} does not follow the one before it")
        if number < head["number"] and number + 1 not in digests and number + 1 not in beside:
            faults.append(f"the digest of event {number + 1} is missing")
        last = number
    known = beside | digests
    if head["number"] < max(known, default=0) or (
        head["number"] in known and known[head["number"]] != head["sha256"]
    ):
        faults.append("the head of the log does not fit the events")
    return faults


def record_faults(
    records: Mapping[str, Any], documents: Mapping[int, str], events: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Return which records differ from the events that were written with them.

    Args:
        records: rows by table.
        documents: stored text of each inspection by id.
        events: of the extract.
    """
    faults = []
    facts = {
        kind: [
            (one["inspection_id"], json.loads(one["payload"]))
            for one in events
            if one["kind"] == kind
        ]
        for kind in {one["kind"] for one in events}
    }
    digests = {key: fact.get("document_sha256") for key, fact in facts.get(audit.INSPECTED, ())}
    for number, text in documents.items():
        if digests.get(number) != sha256_of_bytes(text.encode()):
            faults.append(f"inspection {number} is not the one that the log tells of")
    faults += [f"inspection {key} is missing" for key in digests if key not in documents]
    for table, kind in _RECORD_EVENTS.items():
        told = [fact for _, whole in facts.get(kind, ()) for fact in whole.get(table, [whole])]
        logged = {fact["id"]: fact for fact in told}
        rows = {row["id"]: row for row in records[table]}
        for number in sorted(logged.keys() | rows.keys()):
            fault = _compare(logged.get(number), rows.get(number))
            faults += [f"{table}, {number}: {fault}"] if fault else []
    return faults


def _compare(fact: Mapping[str, Any] | None, row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "the log tells of it, and it is missing"
    if fact is None:
        return "the log does not tell of it"
    odd = sorted(key for key in fact.keys() & row.keys() if fact[key] != row[key])
    return f"{', '.join(odd)} differ from the log" if odd else ""


def _check(path: Path, archive: zipfile.ZipFile, keys: Sequence[dsse.PublicKey]) -> Report:
    manifest = _manifest(archive)
    names = [info.filename for info in archive.infolist()]
    listed = [member.name for member in manifest.members]
    expected = [*listed, evidence.MANIFEST]
    expected += [evidence.SIGNATURE] if manifest.signer else []
    faults = []
    if names != expected:
        odd = sorted(set(names) ^ set(expected))
        faults.append(f"unlisted, missing or re-ordered members: {', '.join(odd) or 'the order'}")
    present = [member for member in manifest.members if member.name in names]
    faults += [fault for member in present if (fault := _member_fault(archive, member))]
    if not faults:
        faults += _content_faults(archive, manifest)
    if not faults and not _laid_out_as_written(path, archive):
        faults.append("bytes between the members are not as nii writes them")
    signed, signer, wrong = _signer(archive, manifest, keys)
    return Report(manifest, (*faults, *wrong), signed and not faults, signer)


def _content_faults(archive: zipfile.ZipFile, manifest: Manifest) -> list[str]:
    """Return what does not fit between members whose digests all hold."""
    by_name = {member.name: member for member in manifest.members}
    before = [one for one in manifest.members if one.name != evidence.SUMS]
    faults = []
    if archive.read(evidence.SUMS) != evidence.sums_text(before).encode():
        faults.append(f"{evidence.SUMS} lists other digests than {evidence.MANIFEST}")
    files = tuple(
        SourceFile(name, member.sha256)
        for name, member in by_name.items()
        if name.startswith(evidence.ORIGINALS)
    )
    if not files or sha256_of_sources(files) != manifest.scan_sha256:
        faults.append("the original files are not the scan that the manifest names")
    documents = {}
    for number in manifest.inspection_ids:
        text = archive.read(f"{evidence.INSPECTIONS}{number}.json").decode("utf-8")
        documents[number] = text
        if Inspection.from_json(json.loads(text)).scan.sha256 != manifest.scan_sha256:
            faults.append(f"inspection {number} is about another scan")
    log, records = _json(archive, evidence.LOG), _json(archive, evidence.RECORDS)
    if log["head"] != {"number": manifest.head.number, "sha256": manifest.head.sha256}:
        faults.append("the head of the log is not the one in the manifest")
    faults += chain_faults(log)
    return faults + record_faults(records, documents, log["events"])


def _member_fault(archive: zipfile.ZipFile, member: Member) -> str:
    digest, size = hashlib.sha256(), 0
    info = archive.getinfo(member.name)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != member.bytes:
        return f"{member.name}: {info.file_size} bytes, {member.bytes} are listed"
    try:
        with archive.open(member.name) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
    except zipfile.BadZipFile as error:
        return f"{member.name}: {error}"
    return "" if digest.hexdigest() == member.sha256 else f"{member.name} was changed"


def _signer(
    archive: zipfile.ZipFile, manifest: Manifest, keys: Sequence[dsse.PublicKey]
) -> tuple[bool, str, tuple[str, ...]]:
    """Return whether a trusted key signed, who did in words, and what is wrong with that."""
    if manifest.signer is None:
        return False, "UNSIGNED: NO KEY VOUCHES FOR THIS PACKAGE", ()
    with tempfile.TemporaryDirectory(prefix="nii-evidence-") as name:
        folder = Path(name)
        for member in (evidence.MANIFEST, evidence.SIGNATURE, evidence.SIGNER):
            try:
                (folder / member).write_bytes(_small(archive, member))
            except KeyError:
                return False, "NOT SIGNED AS IT SHOULD BE", (f"{member} is missing",)
        return _verified(folder, manifest.signer, keys)


def _verified(
    folder: Path, fingerprint: str, keys: Sequence[dsse.PublicKey]
) -> tuple[bool, str, tuple[str, ...]]:
    bad = "NOT SIGNED AS IT SHOULD BE"
    try:
        included = dsse.read_public_keys(folder / evidence.SIGNER)
        signed = signature.verify_file(folder / evidence.MANIFEST, included)
    except (ConfigError, ValueError) as error:
        return False, bad, (f"signature: {error}",)
    found = dsse.fingerprint(signed.signer)
    if found != fingerprint:
        return False, bad, ("another key signed than the manifest names",)
    if fingerprint in {dsse.fingerprint(key) for key in keys}:
        return True, f"signed by the trusted key {fingerprint[:16]}", ()
    return False, f"SIGNED BY A KEY THAT IS NOT TRUSTED HERE: {fingerprint}", ()


class _Comparison(io.RawIOBase):
    """A stream that keeps nothing: what is written to it is compared with a file.

    Short pieces are compared at the end, since a zip file's heads are written twice.
    """

    def __init__(self, stream: BinaryIO) -> None:
        """Start at the beginning of the file."""
        super().__init__()
        self._stream = stream
        self._place = 0
        self._end = 0
        self._short: dict[int, bytes] = {}
        self.same = True

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._place

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._end}[whence]
        self._place = base + place
        return self._place

    def write(self, piece: Any) -> int:  # noqa: ANN401 - whatever bytes are
        """Compare a piece, now or at the end."""
        content = bytes(piece)
        if len(content) < _SMALL_BYTES:
            self._short[self._place] = content
        else:
            self._compare(self._place, content)
        self._place += len(content)
        self._end = max(self._end, self._place)
        return len(content)

    def finish(self) -> bool:
        """Return whether everything written equals the file, from its first to its last byte."""
        for place, content in self._short.items():
            self._compare(place, content)
        return self.same and self._stream.seek(0, os.SEEK_END) == self._end

    def _compare(self, place: int, content: bytes) -> None:
        self._stream.seek(place)
        self.same = self.same and self._stream.read(len(content)) == content


def _laid_out_as_written(path: Path, archive: zipfile.ZipFile) -> bool:
    """Tell whether writing the members anew gives this very file."""
    with path.open("rb") as stream:
        again = _Comparison(stream)
        with zipfile.ZipFile(again, "w", zipfile.ZIP_STORED) as copy:
            for info in archive.infolist():
                entry = entry_of(info.filename)
                entry.file_size = info.file_size
                with copy.open(entry, "w") as target:
                    for chunk in _chunks(archive, info):
                        target.write(chunk)
        return again.finish()


def _chunks(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(info) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    data = _json(archive, evidence.MANIFEST)
    if data.get("form") != evidence.FORM or data.get("schema_version") != evidence.SCHEMA_VERSION:
        raise _no_package(f"the form {data.get('form')!r}, version {data.get('schema_version')!r}")
    manifest = from_dict(Manifest, data, where=evidence.MANIFEST)
    text = evidence.as_json(data)
    if _small(archive, evidence.MANIFEST) != text:
        raise _no_package("a manifest that is not written as nii writes it")
    if any(not re.fullmatch(r"[0-9a-f]{64}", member.sha256) for member in manifest.members):
        raise _no_package("a digest that is no SHA-256")
    return manifest


def _json(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    try:
        data = json.loads(_small(archive, name).decode("utf-8"))
    except (KeyError, ValueError, RecursionError) as error:
        raise _no_package(f"no readable {name} ({error})") from error
    if not isinstance(data, dict):
        raise _no_package(f"a {name} of type {type(data).__name__}")
    return data


def _small(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > _LARGEST_TEXT_BYTES:
        raise _no_package(f"a {name} that is too long")
    return archive.read(name)


def _unreadable(fault: str) -> Report:
    return Report(None, (fault,), signed=False, signer="NOT KNOWN")


def _no_package(found: str) -> NiiError:
    return NiiError(
        "evidence package",
        found=found,
        expected=f"{evidence.FORM}, version {evidence.SCHEMA_VERSION}",
        remedy="Ask whoever sent the package for it again.",
    )
