"""Signatures of folders and files, in the OpenSSF model-signing format.

A folder gets ``model.sig``: a Sigstore bundle with one DSSE envelope, whose in-toto statement lists
every file with its SHA-256. Whoever has the public key can check it with ``model_signing verify
key``, and what that tool signs is checked here. A single file gets a detached envelope beside it.

Reading is stricter than the format asks for: one file more, less or changed, a link, a path that
leads out of the folder, every kind of hash but SHA-256, and a signature that holds more than it
needs are refused, and no path is ignored.

Reference: OpenSSF Model Signing v1.0; in-toto Statement v1; Sigstore bundle v0.3.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, TypeGuard

from nii.dsse import PrivateKey, PublicKey, fingerprint, named_signer, seal, unseal
from nii.folders import write_whole
from nii.provenance import sha256_of_file

SIGNATURE_FILE = "model.sig"
DETACHED_SUFFIX = ".sig"
_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PARTS = {"mediaType", "verificationMaterial", "dsseEnvelope"}
_STATEMENT = "https://in-toto.io/Statement/v1"
_FOLDER_PREDICATE = "https://model_signing/signature/v1.0"
_FILE_PREDICATE = "urn:nii:signed-file:1"
_LARGEST_SIGNATURE_BYTES = 1 << 20
"""A signature lists a handful of files; assumption with a wide margin."""
_DIGEST_LENGTH = 64
_HEXDIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Signed:
    """What a good signature says.

    Attributes:
        signer: the key that signed.
        predicate: what it states beside the digests.
    """

    signer: PublicKey
    predicate: Mapping[str, Any]


def digests_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a folder but its signature, by name, in name order.

    Raises:
        ValueError: the folder holds a link or something that is neither file nor folder.
    """
    names = {}
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            msg = f"{path.name}, which is no plain file"
            raise ValueError(msg)
        if path.is_file():
            names[path.relative_to(folder).as_posix()] = path
    names.pop(SIGNATURE_FILE, None)
    return {name: sha256_of_file(names[name]) for name in sorted(names)}


def digest_of(folder: Path) -> str:
    """Return one SHA-256 for a folder: names and contents of all files but the signature.

    It is what ``sha256sum * | sha256sum`` prints inside a folder without subfolders.

    Raises:
        ValueError: as in :func:`digests_of`.
    """
    lines = "".join(f"{digest}  {name}\n" for name, digest in digests_of(folder).items())
    return hashlib.sha256(lines.encode()).hexdigest()


def sign_folder(folder: Path, key: PrivateKey) -> Path:
    """Sign every file of a folder; an older signature is replaced.

    Raises:
        ValueError: the folder holds something that is no plain file.
    """
    digests = digests_of(folder)
    resources = [
        {"name": name, "algorithm": "sha256", "digest": digest} for name, digest in digests.items()
    ]
    predicate = {
        "serialization": {
            "method": "files",
            "hash_type": "sha256",
            "allow_symlinks": False,
            "ignore_paths": [SIGNATURE_FILE],
        },
        "resources": resources,
    }
    subject = {"name": folder.resolve().name, "digest": {"sha256": _root(digests.values())}}
    bundle = {
        "mediaType": _MEDIA_TYPE,
        "verificationMaterial": {
            "publicKey": {"hint": fingerprint(key.public_key())},
            "tlogEntries": [],
        },
        "dsseEnvelope": seal(_statement(subject, _FOLDER_PREDICATE, predicate), key),
    }
    return _write(folder / SIGNATURE_FILE, bundle)


def verify_folder(folder: Path, keys: Iterable[PublicKey]) -> Signed:
    """Check that a folder holds exactly the files that were signed, by a key that is trusted.

    Raises:
        UnknownSignerError: none of the keys signed it.
        ValueError: anything else does not fit; the message says what was found.
    """
    bundle = _read(folder / SIGNATURE_FILE)
    named = bundle.get("verificationMaterial")
    hint = named["publicKey"].get("hint") if _is_key_material(named) else None
    fits = set(bundle) == _PARTS and bundle["mediaType"] == _MEDIA_TYPE and isinstance(hint, str)
    _require(fits, f"a signature that is no {_MEDIA_TYPE} made with a key")
    payload, signer = unseal(bundle["dsseEnvelope"], keys, str(hint))
    subject, predicate = _opened(payload, _FOLDER_PREDICATE)
    resources = predicate.get("resources")
    rows = [_resource(row) for row in resources] if isinstance(resources, list) else []
    signed = dict(rows)
    _require(bool(rows), "a signature that lists no files")
    _require(
        len(signed) == len(rows) and _root(digest for _, digest in rows) == subject,
        "a signature that contradicts itself",
    )
    _compare(signed, digests_of(folder))
    return Signed(signer, predicate)


def sign_file(path: Path, key: PrivateKey, now: datetime) -> Path:
    """Write a detached envelope beside a file, as FILE.sig.

    Args:
        path: the file.
        key: of the workstation, for example.
        now: time of signing, with its zone.
    """
    subject = {"name": path.name, "digest": {"sha256": sha256_of_file(path)}}
    predicate = {"signed_at": now.isoformat(timespec="seconds")}
    payload = _statement(subject, _FILE_PREDICATE, predicate)
    envelope = seal(payload, key, keyid=fingerprint(key.public_key()))
    return _write(path.with_name(path.name + DETACHED_SUFFIX), envelope)


def verify_file(path: Path, keys: Iterable[PublicKey]) -> Signed:
    """Check that a file is what its detached envelope signs; the file may have another name.

    Raises:
        UnknownSignerError: none of the keys signed it.
        ValueError: the envelope is missing or unreadable, or the file was changed.
    """
    envelope = _read(path.with_name(path.name + DETACHED_SUFFIX))
    payload, signer = unseal(envelope, keys, named_signer(envelope))
    subject, predicate = _opened(payload, _FILE_PREDICATE)
    _require(sha256_of_file(path) == subject, f"{path.name} was changed after it was signed")
    return Signed(signer, predicate)


def _is_key_material(named: object) -> TypeGuard[dict[str, Any]]:
    """Tell whether the signer is named by a key, and nothing else is said."""
    return (
        isinstance(named, dict)
        and set(named) == {"publicKey", "tlogEntries"}
        and named["tlogEntries"] == []
        and isinstance(named["publicKey"], dict)
        and set(named["publicKey"]) == {"hint"}
    )


def _compare(signed: Mapping[str, str], found: Mapping[str, str]) -> None:
    added, removed = sorted(found.keys() - signed.keys()), sorted(signed.keys() - found.keys())
    changed = sorted(name for name in found.keys() & signed.keys() if found[name] != signed[name])
    parts = (("added", added), ("missing", removed), ("changed", changed))
    texts = [f"{word} after it was signed: {', '.join(names)}" for word, names in parts if names]
    if texts:
        raise ValueError("; ".join(texts))


def _statement(subject: Mapping[str, Any], kind: str, predicate: Mapping[str, Any]) -> bytes:
    statement = {
        "_type": _STATEMENT,
        "subject": [subject],
        "predicateType": kind,
        "predicate": predicate,
    }
    return json.dumps(statement, sort_keys=True).encode()


def _opened(payload: bytes, kind: str) -> tuple[str, dict[str, Any]]:
    """Return digest and predicate of a statement about one subject."""
    statement = json.loads(payload)
    fits = (
        isinstance(statement, dict)
        and statement.get("_type") == _STATEMENT
        and statement.get("predicateType") == kind
        and isinstance(statement.get("predicate"), dict)
        and isinstance(statement.get("subject"), list)
        and len(statement["subject"]) == 1
    )
    _require(fits, f"a signature that is no statement of the kind {kind} about one thing")
    subject = statement["subject"][0]
    digest = subject.get("digest") if isinstance(subject, dict) else None
    text = digest.get("sha256") if isinstance(digest, dict) else None
    return _digest(text), statement["predicate"]


def _resource(resource: object) -> tuple[str, str]:
    """Return name and digest of a listed file."""
    row = resource if isinstance(resource, dict) else {}
    _require(row.get("algorithm") == "sha256", "a signature that lists a file without SHA-256")
    name = str(row.get("name"))
    parts = PurePosixPath(name).parts
    stays = "/".join(parts) == name and not {"..", "/"} & set(parts) and "\\" not in name
    _require(stays, f"a signature with the path {name!r}, which does not stay in the folder")
    return name, _digest(row.get("digest"))


def _digest(text: object) -> str:
    fits = isinstance(text, str) and len(text) == _DIGEST_LENGTH and set(text) <= _HEXDIGITS
    _require(fits, "a signature whose digest is no SHA-256")
    return str(text)


def _root(digests: Iterable[str]) -> str:
    """Return the SHA-256 of the raw digests one after the other, as the format defines it."""
    return hashlib.sha256(b"".join(map(bytes.fromhex, digests))).hexdigest()


def _require(fits: object, message: str) -> None:
    if not fits:
        raise ValueError(message)


def _read(path: Path) -> dict[str, Any]:
    try:
        small = not path.is_symlink() and path.stat().st_size <= _LARGEST_SIGNATURE_BYTES
        content = path.read_bytes() if small else b""
        # Nothing before or after it either, not even a line feed.
        data: Any = json.loads(content) if content.strip() == content else None
    except (OSError, RecursionError, ValueError) as error:
        msg = f"no readable {path.name} ({error})"
        raise ValueError(msg) from error
    _require(isinstance(data, dict), f"{path.name} is no signature")
    return dict(data)


def _write(path: Path, content: Mapping[str, Any]) -> Path:
    # Without a space, so that no byte of it can be changed unnoticed.
    write_whole(path, json.dumps(content, separators=(",", ":")).encode())
    return path
