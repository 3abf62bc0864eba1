"""Keys and sealed envelopes: EC P-256 keys as PEM files, payloads sealed as DSSE.

An envelope holds a payload and a signature over payload and type together, so that nobody can pass
a payload of one kind for another.

Reference: DSSE protocol v1.0 (pre-authentication encoding); FIPS 186-5 (ECDSA); SEC 1 (P-256).
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from nii.errors import ConfigError
from nii.provenance import sha256_of_bytes

PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
PASSPHRASE_VARIABLE = "NII_KEY_PASSPHRASE"  # noqa: S105 - the name of a variable
_CURVE = ec.SECP256R1
_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)
_OWNER_ONLY = 0o600


class UnknownSignerError(ValueError):
    """Tell that none of the keys at hand is the one that signed."""


def new_key() -> PrivateKey:
    """Return a fresh private key on the curve P-256."""
    return ec.generate_private_key(_CURVE())


def public_pem(key: PublicKey) -> bytes:
    """Return a public key as PEM."""
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def fingerprint(key: PublicKey) -> str:
    """Return the SHA-256 of a public key's PEM form, by which model-signing names keys."""
    return sha256_of_bytes(public_pem(key))


def write_key_pair(path: Path, key: PrivateKey, passphrase: bytes | None = None) -> Path:
    """Write a private key, readable by its owner only, and its public key beside it as PATH.pub.

    Args:
        path: file of the private key; nothing that is there is replaced.
        key: the private key.
        passphrase: encrypts the file; None leaves it plain.

    Raises:
        ConfigError: one of the files is there already.
    """
    public = path.with_name(path.name + ".pub")
    for place in (path, public):
        if place.exists():
            raise ConfigError(
                place,
                found="a file",
                expected="a name that is free",
                remedy="Choose another name: keys are never replaced.",
            )
    lock: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        lock = serialization.BestAvailableEncryption(passphrase)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption_algorithm=lock
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    with os.fdopen(number, "wb") as stream:
        stream.write(pem)
    public.write_bytes(public_pem(key.public_key()))
    return public


def read_private_key(path: Path, passphrase: bytes | None = None) -> PrivateKey:
    """Read a private key on P-256.

    Raises:
        ConfigError: the file holds no such key, or is locked by another passphrase.
    """
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), passphrase or None)
    except (OSError, TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(
            path,
            found=f"no readable private key ({error})",
            expected="a private key on P-256 as PEM, made by nii bundle keygen",
            remedy=f"Check the path; a passphrase goes into {PASSPHRASE_VARIABLE}.",
        ) from error
    if isinstance(key, PrivateKey) and isinstance(key.curve, _CURVE):
        return key
    raise ConfigError(
        path,
        found="a key of another kind",
        expected="a private key on the curve P-256",
        remedy="Make one with nii bundle keygen.",
    )


def read_public_keys(path: Path) -> tuple[PublicKey, ...]:
    """Read all public keys on P-256 that a PEM file holds; at least one.

    Raises:
        ConfigError: the file holds none, or holds something else as well.
    """
    try:
        keys = [serialization.load_pem_public_key(pem) for pem in _PEM.findall(path.read_bytes())]
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(
            path,
            found=f"no readable public key ({error})",
            expected="a public key on P-256 as PEM",
            remedy="Use the .pub file that nii bundle keygen wrote.",
        ) from error
    fitting = tuple(
        key for key in keys if isinstance(key, PublicKey) and isinstance(key.curve, _CURVE)
    )
    if fitting and len(fitting) == len(keys):
        return fitting
    raise ConfigError(
        path,
        found="no public key on P-256" if not keys else "a public key of another kind",
        expected="public keys on the curve P-256 as PEM",
        remedy="Use the .pub file that nii bundle keygen wrote, never the private key.",
    )


def pae(payload: bytes) -> bytes:
    """Return the bytes that are signed: type and payload, each after its length."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def seal(payload: bytes, key: PrivateKey, *, keyid: str = "") -> dict[str, Any]:
    """Return an envelope with a payload and one signature."""
    signature = key.sign(pae(payload), ec.ECDSA(hashes.SHA256()))
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": keyid}],
    }


def unseal(envelope: object, keys: Iterable[PublicKey], hint: str) -> tuple[bytes, PublicKey]:
    """Return the payload of an envelope and the key that signed it.

    Args:
        envelope: as :func:`seal` returns it.
        keys: keys that are trusted.
        hint: fingerprint of the signer; only that key is tried.

    Raises:
        UnknownSignerError: the signer is not among the keys.
        ValueError: it is no envelope, or the signer did not sign this payload.
    """
    payload, signature = _parts(envelope, hint)
    signer = next((key for key in keys if fingerprint(key) == hint), None)
    if signer is None:
        msg = f"the signer {hint[:16]} is not among the trusted keys"
        raise UnknownSignerError(msg)
    try:
        signer.verify(signature, pae(payload), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        msg = f"a signature that does not fit the content, although it names the key {hint[:16]}"
        raise ValueError(msg) from error
    return payload, signer


def named_signer(envelope: object) -> str:
    """Return the fingerprint that an envelope names as its signer, which proves nothing yet.

    Raises:
        ValueError: it names none.
    """
    try:
        keyid = envelope["signatures"][0]["keyid"]  # type: ignore[index]
    except (LookupError, TypeError) as error:
        msg = "an envelope that names no signer"
        raise ValueError(msg) from error
    return str(keyid)


def _parts(envelope: object, hint: str) -> tuple[bytes, bytes]:
    """Return payload and signature of an envelope that holds nothing else."""
    rows = envelope.get("signatures") if isinstance(envelope, dict) else None
    row = rows[0] if isinstance(rows, list) and len(rows) == 1 else None
    fits = (
        isinstance(envelope, dict)
        and isinstance(row, dict)
        and set(envelope) == {"payload", "payloadType", "signatures"}
        and set(row) == {"sig", "keyid"}
        and envelope["payloadType"] == PAYLOAD_TYPE
        and row["keyid"] in ("", hint)
    )
    if not fits:
        msg = f"no envelope of type {PAYLOAD_TYPE} with one signature"
        raise ValueError(msg)
    return _bytes(envelope["payload"]), _bytes(row["sig"])  # type: ignore[index]


def _bytes(text: object) -> bytes:
    """Return what Base64 means, written in the one right way."""
    content = base64.b64decode(str(text), validate=True)
    if base64.b64encode(content).decode() != text:
        msg = "an envelope whose Base64 is not as it should be"
        raise ValueError(msg)
    return content
