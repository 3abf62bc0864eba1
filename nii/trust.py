"""Trust: which bundles a workstation runs, and which one it ran last.

A bundle is admitted when a trusted key signed it, or when it is, byte for byte, one that was
shipped with this version of nii (``shipped.toml`` holds its digest). It is refused when it is older
than what was admitted before under its name, or has expired. The folder of trust holds public keys
(``*.pem``) and ``versions.json``; whoever may write there decides what runs.
"""

from __future__ import annotations

import json
import logging
import tomllib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from nii.bundle import Bundle
from nii.dsse import PrivateKey, PublicKey, UnknownSignerError, fingerprint, read_public_keys
from nii.errors import BundleError, ConfigError
from nii.folders import trust_folder, write_whole
from nii.signature import SIGNATURE_FILE, digest_of, sign_folder, verify_folder
from nii.versions import Issue, older, remember

RELEASE_FILE = "release.json"
SHIPPED_FILE = Path(__file__).with_name("shipped.toml")
"""Digests of the bundles in models/; scripts/record_models.py writes it."""
RELEASE_KEYS_FILE = Path(__file__).with_name("release.pem")
"""Public keys of the project; there is no such file as long as no release was signed."""
SHIPPED = "nii"
"""Signer of a bundle that is known by its digest."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trust:
    """Say what a runner may run."""

    folder: Path = field(default_factory=trust_folder)
    """Folder of public keys and versions; it need not exist."""
    allow_unsigned: bool = False
    """Run a bundle that nobody known has signed."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Tell on whose word a bundle is run.

    Attributes:
        signer: name and fingerprint of the key, ``nii`` for a shipped bundle, or None.
        warning: what to know where nobody vouches for it; else None.
        issued_at: time of signing, ISO 8601; empty where it is not known.
        expires: last day of use, ISO 8601; None for ever.
    """

    signer: str | None
    warning: str | None = None
    issued_at: str = ""
    expires: str | None = None


def admit(bundle: Bundle, trust: Trust, now: datetime) -> Admission:
    """Return on whose word a bundle may run, and remember its version.

    Args:
        bundle: a bundle whose files were found intact.
        trust: what may run.
        now: time with its zone.

    Raises:
        BundleError: it is unsigned, altered, signed by somebody unknown, expired, or older than
            the one that ran before.
        ConfigError: the folder of trust is damaged.
    """
    admission = judge(bundle, trust, now)
    if admission.warning:
        _LOG.warning("%s", admission.warning)
    if admission.signer is not None:
        try:
            remember(
                trust.folder, bundle.card.name, Issue(bundle.card.version, admission.issued_at)
            )
        except OSError as error:
            _LOG.warning(
                "the version of %s cannot be remembered (%s): an older one would not be refused",
                bundle.card.name,
                error,
            )
    return admission


def judge(bundle: Bundle, trust: Trust, now: datetime) -> Admission:
    """Return what :func:`admit` returns, and remember nothing.

    Raises:
        BundleError, ConfigError: as in :func:`admit`.
    """
    admission = _vouched(bundle, trust, now)
    if admission.signer is None:
        return admission
    issue = Issue(bundle.card.version, admission.issued_at)
    newest = older(trust.folder, bundle.card.name, issue)
    if newest is not None:
        raise BundleError(
            bundle.folder,
            found=str(issue),
            expected=f"{newest} or newer, which this machine has used before",
            remedy="Use the newer one; to go back on purpose: nii bundle trust FOLDER.",
        )
    return admission


def keys_of(folder: Path) -> dict[str, tuple[str, PublicKey]]:
    """Return name and key of everyone trusted, by fingerprint: the project's and the folder's.

    Raises:
        ConfigError: a file with the suffix .pem holds no public key.
    """
    files = [RELEASE_KEYS_FILE, *sorted(folder.glob("*.pem"))]
    return {
        fingerprint(key): (path.stem, key)
        for path in files
        if path.is_file()
        for key in read_public_keys(path)
    }


def add_key(folder: Path, path: Path) -> tuple[str, ...]:
    """Trust the public keys of a file from now on; return their fingerprints.

    Raises:
        ConfigError: the file holds no public key, or the name is taken by another key.
    """
    keys = read_public_keys(path)
    folder.mkdir(parents=True, exist_ok=True)
    name = path.name.removesuffix(".pub").removesuffix(".pem")
    place, content = folder / f"{name}.pem", path.read_bytes()
    if place.exists() and place.read_bytes() != content:
        raise ConfigError(
            place,
            found="another key of that name",
            expected="a name that is free",
            remedy="Rename the file of the new key, or remove the old key by hand.",
        )
    write_whole(place, content)
    return tuple(fingerprint(key) for key in keys)


def accept_version(bundle: Bundle, folder: Path, now: datetime) -> Admission:
    """Make this bundle's version the one from which on its name is run, be it an older one.

    Raises:
        BundleError: it is unsigned, altered, expired, or signed by somebody unknown.
        OSError: the folder of trust cannot be written.
    """
    admission = _vouched(bundle, Trust(folder), now)
    remember(folder, bundle.card.name, Issue(bundle.card.version, admission.issued_at))
    return admission


def sign_bundle(
    bundle: Bundle, key: PrivateKey, now: datetime, expires: date | None = None
) -> Path:
    """Seal a bundle: write when it was issued and until when it may be used, and sign all files.

    Args:
        bundle: a bundle whose files were found intact.
        key: of the signer.
        now: time of issue, with its zone.
        expires: last day of use; None for ever.

    Raises:
        BundleError: the folder holds something that cannot be signed.
    """
    release = {
        "name": bundle.card.name,
        "version": bundle.card.version,
        "issued_at": now.astimezone(UTC).isoformat(timespec="seconds"),
        "expires": expires.isoformat() if expires else None,
    }
    text = json.dumps(release, indent=2, sort_keys=True) + "\n"
    write_whole(bundle.folder / RELEASE_FILE, text.encode())
    try:
        return sign_folder(bundle.folder, key)
    except ValueError as error:
        raise _refusal(bundle, str(error), "Remove it from the folder.") from error


def shipped_digests() -> dict[str, str]:
    """Return the digest of each shipped bundle by name."""
    data = tomllib.loads(SHIPPED_FILE.read_text("utf-8"))
    return {name: str(row["sha256"]) for name, row in data.items()}


def _vouched(bundle: Bundle, trust: Trust, now: datetime) -> Admission:
    """Return on whose word a bundle may run, be it an older one."""
    admission = _signer(bundle, trust)
    last = date.fromisoformat(admission.expires) if admission.expires else date.max
    if now.astimezone(UTC).date() > last:
        raise BundleError(
            bundle.folder,
            found=f"a bundle that expired on {admission.expires} (now {now:%Y-%m-%d})",
            expected="a bundle that may still be used",
            remedy="Get a newer one from its signer, or set the clock of this machine.",
        )
    return admission


def _signer(bundle: Bundle, trust: Trust) -> Admission:
    if (bundle.folder / SIGNATURE_FILE).is_symlink() or (bundle.folder / SIGNATURE_FILE).exists():
        return _signed(bundle, trust)
    try:
        shipped = digest_of(bundle.folder) == shipped_digests().get(bundle.card.name)
    except ValueError as error:
        raise _refusal(bundle, str(error), "Copy the bundle again.") from error
    if shipped:
        return Admission(SHIPPED)
    return _stranger(bundle, trust, "no signature, and it is not as it was shipped with nii")


def _signed(bundle: Bundle, trust: Trust) -> Admission:
    keys = keys_of(trust.folder)
    try:
        signed = verify_folder(bundle.folder, [key for _, key in keys.values()])
    except UnknownSignerError as error:
        return _stranger(bundle, trust, str(error))
    except ValueError as error:
        raise _refusal(
            bundle, str(error), "Copy the whole bundle again from its signer; do not use this one."
        ) from error
    mark = fingerprint(signed.signer)
    release = _release(bundle)
    return Admission(
        f"{keys[mark][0]} {mark[:16]}",
        issued_at=release.get("issued_at") or "",
        expires=release.get("expires"),
    )


def _stranger(bundle: Bundle, trust: Trust, found: str) -> Admission:
    if trust.allow_unsigned:
        warning = f"{bundle.folder} is run although nobody known vouches for it: {found}"
        return Admission(None, warning)
    raise _refusal(
        bundle,
        found,
        "Trust its signer with nii bundle trust KEY.pub, sign your own with nii bundle sign, or "
        "take the risk with --allow-unsigned.",
    )


def _release(bundle: Bundle) -> dict[str, Any]:
    """Return what the signer wrote about the release; nothing where another tool signed."""
    path = bundle.folder / RELEASE_FILE
    if not path.exists():
        return {}
    try:
        data = json.loads(path.read_bytes())
        named = (data["name"], data["version"])
        datetime.fromisoformat(data["issued_at"])
        if data["expires"] is not None:
            date.fromisoformat(data["expires"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _refusal(bundle, f"no readable {RELEASE_FILE}", "Sign the bundle again.") from error
    if named != (bundle.card.name, bundle.card.version):
        raise _refusal(
            bundle, f"the release of {' '.join(map(str, named))}", "Sign the bundle again."
        )
    return dict(data)


def _refusal(bundle: Bundle, found: str, remedy: str) -> BundleError:
    return BundleError(
        bundle.folder, found=found, expected="a bundle that a trusted key signed", remedy=remedy
    )
