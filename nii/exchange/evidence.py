"""The evidence package of one scan: everything the store holds about it, in one zip file.

=====================  ============================================================================
``README.txt``         what this is and how anyone can check it, without nii as well
``report.html``        all of it for people; needs no network and prints on paper
``original/NAME``      the files of the scanner, unchanged
``pictures/…``         the scan for the eye: as it is, and with the regions of each inspection
``inspections/N.json`` each inspection, byte for byte as it was stored
``records.json``       decisions, marks, outcomes of examinations, linked documents
``log.json``           the events about the scan, the digests beside each, the head of the log
``signer.pub``         the public key of the workstation; only where the package is signed
``SHA256SUMS``         digest of each member above, for ``sha256sum --check``
``manifest.json``      who exported what and when; name, size and SHA-256 of each member above
``manifest.json.sig``  signature over the manifest; only where the package is signed
=====================  ============================================================================

Members are stored without compression and without times: the same records give the same bytes.
Original files are copied in pieces, so a large scan does not fill the memory; the pictures need the
scan once. That a package was made is itself an event of the log, written before the package is.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import nii
from nii import dsse, signature
from nii.config import to_dict
from nii.errors import NiiError
from nii.exchange import evidence_page, evidence_pictures
from nii.exchange.evidence_pictures import Outline
from nii.exchange.evidence_records import Dossier, gather, ids_of
from nii.exchange.package import Member, entry_of, portable_names, written_atomically
from nii.provenance import sha256_of_bytes
from nii.store import audit, scans
from nii.store.database import Store
from nii.store.scans import KeptFile

SUFFIX = ".evidence.zip"
FORM = "nii evidence"
SCHEMA_VERSION = 1
README = "README.txt"
REPORT = "report.html"
RECORDS = "records.json"
LOG = "log.json"
SUMS = "SHA256SUMS"
SIGNER = "signer.pub"
MANIFEST = "manifest.json"
SIGNATURE = MANIFEST + signature.DETACHED_SUFFIX
ORIGINALS = "original/"
INSPECTIONS = "inspections/"
PICTURES = "pictures/"
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Exporter:
    """Say who asks for a package, as it shall stand in the log, and why."""

    name: str
    user_id: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """State what a package holds, who made it, and where the log stood then.

    Attributes:
        scan_sha256: identity of the scan.
        inspection_ids: inspections of this scan, oldest first.
        exported_at: time with zone, ISO 8601.
        exported_by: name of the person.
        reason: why it was exported; may be empty.
        signer: fingerprint of the key that signs it; None: nobody does.
        head: the newest event of the log when the records were read.
        members: every other member, in the order of the file.
        tool: program and version.
        form: always ``nii evidence``.
        schema_version: of this description.
    """

    scan_sha256: str
    inspection_ids: tuple[int, ...]
    exported_at: str
    exported_by: str
    reason: str
    signer: str | None
    head: audit.Head
    members: tuple[Member, ...]
    tool: str = f"nii {nii.__version__}"
    form: str = FORM
    schema_version: int = SCHEMA_VERSION


def export(
    store: Store,
    inspection_id: int,
    path: Path,
    exporter: Exporter,
    at: datetime,
    key: dsse.PrivateKey | None = None,
) -> Manifest:
    """Write the evidence package of the scan that an inspection is about.

    Args:
        store: where the scan is kept.
        inspection_id: any inspection of the scan; all of them go into the package.
        path: the zip file; under this name it is complete or not there.
        exporter: who asks for it; stands in the log from now on.
        at: time of the export.
        key: of the workstation; None leaves the package unsigned, and it says so.

    Raises:
        NiiError: there is no such inspection, a name is empty, or an original file was altered.
        OSError: the package cannot be written.
    """
    _check_name(exporter)
    ids, scan_sha256 = ids_of(store, inspection_id)
    signer = None if key is None else dsse.fingerprint(key.public_key())
    facts = {
        "what": "evidence package",
        "by": exporter.name,
        "user_id": exporter.user_id,
        "reason": exporter.reason,
        "scan_sha256": scan_sha256,
        "signer": signer,
    }
    audit.log(store, audit.Entry(audit.EXPORTED, inspection_id, facts), at)
    dossier = gather(store, ids, scan_sha256)
    with written_atomically(path) as archive:
        return _write(archive, store, dossier, _Ending(exporter, at, key, signer))


@dataclass(frozen=True, slots=True)
class _Ending:
    """What stands in the manifest beside the members."""

    exporter: Exporter
    at: datetime
    key: dsse.PrivateKey | None
    signer: str | None


@dataclass(frozen=True, slots=True)
class _Writer:
    """Write members and remember their digests."""

    archive: zipfile.ZipFile
    members: list[Member] = field(default_factory=list)

    def put(self, name: str, content: bytes) -> None:
        """Write a member that lies in memory."""
        self.archive.writestr(entry_of(name), content)
        self.members.append(Member(name, len(content), sha256_of_bytes(content)))

    def copy(self, name: str, source: Path, file: KeptFile) -> None:
        """Copy an original file in pieces.

        Raises:
            NiiError: it is not what was kept.
        """
        entry = entry_of(name)
        entry.file_size = file.bytes
        digest = hashlib.sha256()
        with source.open("rb") as stream, self.archive.open(entry, "w") as target:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
                target.write(chunk)
        if digest.hexdigest() != file.sha256:
            raise NiiError(
                source,
                found="other content than when the scan was kept",
                expected=f"the original file {file.name}, unchanged",
                remedy="Restore the folder of original files from a backup; keep the damaged one.",
            )
        self.members.append(Member(name, file.bytes, file.sha256))


def _write(archive: zipfile.ZipFile, store: Store, dossier: Dossier, ending: _Ending) -> Manifest:
    writer = _Writer(archive)
    writer.put(README, evidence_page.readme(signed=ending.key is not None).encode())
    pictures, preview = _pictures(store, dossier)
    page = evidence_page.Facts(
        exported_at=ending.at.isoformat(timespec="seconds"),
        exported_by=ending.exporter.name,
        reason=ending.exporter.reason,
        signer=ending.signer,
        preview=preview,
    )
    writer.put(REPORT, evidence_page.page(dossier, page).encode())
    names = portable_names([file.name for file in dossier.scan.files])
    for name, file in zip(names, dossier.scan.files, strict=True):
        writer.copy(ORIGINALS + name, scans.path_of(store, file.sha256), file)
    for name, png in pictures.items():
        writer.put(PICTURES + name, png)
    for number, text in dossier.inspections.items():
        writer.put(f"{INSPECTIONS}{number}.json", text.encode())
    writer.put(RECORDS, as_json(dossier.records))
    writer.put(LOG, as_json(log_extract(dossier)))
    if ending.key is not None:
        writer.put(SIGNER, dsse.public_pem(ending.key.public_key()))
    writer.put(SUMS, sums_text(writer.members).encode())
    manifest = Manifest(
        dossier.scan.sha256,
        tuple(dossier.inspections),
        ending.at.isoformat(timespec="seconds"),
        ending.exporter.name,
        ending.exporter.reason,
        ending.signer,
        dossier.head,
        tuple(writer.members),
    )
    listing = as_json(to_dict(manifest))
    writer.put(MANIFEST, listing)
    if ending.key is not None:
        writer.put(SIGNATURE, _signed(listing, ending.key, ending.at))
    return manifest


def log_extract(dossier: Dossier) -> dict[str, Any]:
    """Return the extract of the log as it stands in the package."""
    return {
        "rule": evidence_page.DIGEST_RULE,
        "events": [dict(row) for row in dossier.events],
        "neighbours": {str(key): value for key, value in sorted(dossier.neighbours.items())},
        "head": to_dict(dossier.head),
    }


def as_json(data: object) -> bytes:
    """Return JSON for people and programs: sorted keys, indented, UTF-8."""
    text = json.dumps(data, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def sums_text(members: Iterable[Member]) -> str:
    """Return the digests of members as ``sha256sum`` writes them."""
    return "".join(f"{member.sha256}  {member.name}\n" for member in members)


def _pictures(store: Store, dossier: Dossier) -> tuple[dict[str, bytes], bytes]:
    """Return the pictures by name, and a small one for the report."""
    scan = evidence_pictures.read_scan(store, dossier.scan)
    grey = evidence_pictures.grey_picture(scan)
    scale = grey.shape[1] / scan.width
    del scan  # it may be the largest thing in memory
    pictures = {"scan.png": evidence_pictures.to_png(grey)}
    drawn = grey
    for number, opinion in dossier.opinions.items():
        outlines = (*evidence_pictures.outlines_of(opinion), *_officers(dossier, number))
        drawn = evidence_pictures.with_outlines(grey, outlines, scale)
        pictures[f"inspection-{number}.png"] = evidence_pictures.to_png(drawn)
    return pictures, evidence_pictures.to_png(evidence_pictures.preview(drawn))


def _officers(dossier: Dossier, inspection_id: int) -> list[Outline]:
    """Return the boxes that officers drew and did not withdraw."""
    rows = [row for row in dossier.records["marks"] if row["inspection_id"] == inspection_id]
    gone = {row["withdraws"] for row in rows}
    return [
        Outline(tuple(json.loads(row["box_xyxy"])), f"officer: {row['class_name']}", "officer")
        for row in rows
        if row["box_xyxy"] and row["id"] not in gone
    ]


def _signed(listing: bytes, key: dsse.PrivateKey, at: datetime) -> bytes:
    with tempfile.TemporaryDirectory(prefix="nii-evidence-") as folder:
        path = Path(folder) / MANIFEST
        path.write_bytes(listing)
        return signature.sign_file(path, key, at).read_bytes()


def _check_name(exporter: Exporter) -> None:
    texts = exporter.name + exporter.reason
    if exporter.name.strip() and texts.replace("\n", " ").isprintable():
        return
    raise NiiError(
        "evidence package",
        found="no name of who exports it" if texts.isprintable() else "control characters",
        expected="a name that can be read, and a reason if there is one",
        remedy="Give your name.",
    )
