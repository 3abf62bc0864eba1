"""What ``nii bundle`` and ``nii verify`` do: make keys, sign, check, trust; each tells it in lines.

A private key may be locked by a passphrase, which stands in the variable NII_KEY_PASSPHRASE.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path

from nii import dsse, signature, trust
from nii.bundle import read_bundle
from nii.errors import ConfigError
from nii.infer.detect import Detector
from nii.infer.runtime import CPU, ProviderSettings
from nii.trust import Trust


def keygen(path: Path, environment: Mapping[str, str] = os.environ) -> list[str]:
    """Make a pair of keys.

    Raises:
        ConfigError: a file of that name is there already.
    """
    key, phrase = dsse.new_key(), _passphrase(environment)
    public = dsse.write_key_pair(path, key, phrase)
    lock = "locked by the passphrase" if phrase else "not locked"
    return [
        f"private key: {path} ({lock}); keep it secret",
        f"public key: {public}; on each workstation: nii bundle trust {public.name}",
        f"fingerprint: {dsse.fingerprint(key.public_key())}",
    ]


def sign(
    folder: Path,
    key_path: Path | None,
    expires: str | None,
    now: datetime,
    environment: Mapping[str, str] = os.environ,
) -> list[str]:
    """Sign a bundle whose files are intact.

    Args:
        folder: the bundle.
        key_path: file of the private key.
        expires: last day of use, for example ``2027-12-31``; None for ever.
        now: time of issue, with its zone.
        environment: variables of the process.

    Raises:
        BundleError: the bundle is not intact.
        ConfigError: there is no key, or the day is none.
    """
    if key_path is None:
        raise ConfigError(
            "--key",
            found="nothing",
            expected="the file of a private key",
            remedy="Make one with nii bundle keygen FILE, and name it with --key FILE.",
        )
    if key_path.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(
            key_path,
            found="a private key inside the bundle",
            expected="a key that is kept elsewhere",
            remedy="Move it away: whoever gets the bundle must not get the key.",
        )
    bundle, last = read_bundle(folder), _day(expires)
    key = dsse.read_private_key(key_path, _passphrase(environment))
    path = trust.sign_bundle(bundle, key, now, last)
    until = f"until {last}" if last else "for ever"
    mark = dsse.fingerprint(key.public_key())
    return [f"{bundle.card.name} {bundle.card.version} signed {until} by {mark[:16]}: {path}"]


def verify(folder: Path, rules: Trust, now: datetime) -> list[str]:
    """Check a bundle as a runner does: intact, loadable, its numbers right, and trusted.

    Raises:
        NiiError: it is not.
    """
    admission = trust.judge(read_bundle(folder), rules, now)
    detector = Detector.open(folder, ProviderSettings((CPU,)))
    facts, card = detector.model, detector.card
    return [
        f"{facts.name} {facts.version} is intact (SHA-256 of its card {facts.sha256})",
        f"signed by {admission.signer}" if admission.signer else f"WARNING: {admission.warning}",
        f"finds {', '.join(card.threats + card.structures)}; thresholds: {card.thresholds.basis}",
        f"self-test: {detector.provider.self_test}",
    ]


def accept(place: Path, rules: Trust, now: datetime) -> list[str]:
    """Trust a public key from now on; or, for a bundle, its version, be it an older one.

    Raises:
        NiiError: it is neither a public key nor a bundle signed by a trusted one.
    """
    if place.is_dir():
        bundle = read_bundle(place)
        trust.accept_version(bundle, rules.folder, now)
        return [f"{bundle.card.name}: {bundle.card.version} and newer are run from now on"]
    marks = trust.add_key(rules.folder, place)
    return [f"trusted from now on: {mark} ({place.name}), in {rules.folder}" for mark in marks]


def verify_findings(places: Iterable[Path], rules: Trust) -> tuple[list[str], list[str]]:
    """Check signed findings; return lines about the good ones and about the bad ones.

    Args:
        places: inspection files, or folders of them.
        rules: says whose keys are trusted.

    Raises:
        ConfigError: the folder of trust is damaged, or there is nothing to check.
    """
    named = trust.keys_of(rules.folder)
    keys = [key for _, key in named.values()]
    paths = [path for place in places for path in _findings(place)]
    if not paths:
        raise ConfigError(
            "findings",
            found="no *.inspection.json",
            expected="findings to check",
            remedy="Name a folder that nii inspect --sign KEY wrote, or files in it.",
        )
    good, bad = [], []
    for path in paths:
        try:
            signed = signature.verify_file(path, keys)
        except (ValueError, OSError) as error:
            bad.append(f"{path}: {error}")
        else:
            name = named[dsse.fingerprint(signed.signer)][0]
            good.append(f"{path}: signed by {name} at {signed.predicate.get('signed_at')}")
    return good, bad


def sign_findings(path: Path, key: dsse.PrivateKey, now: datetime) -> Path:
    """Write a detached signature beside the findings of one scan.

    Args:
        path: file of the inspection.
        key: of the workstation, from :func:`read_key`.
        now: time of signing, with its zone.
    """
    return signature.sign_file(path, key, now)


def read_key(path: Path, environment: Mapping[str, str] = os.environ) -> dsse.PrivateKey:
    """Return the private key that findings are signed with.

    Raises:
        ConfigError: the file holds none, or the passphrase is missing.
    """
    return dsse.read_private_key(path, _passphrase(environment))


def _findings(place: Path) -> list[Path]:
    return sorted(place.rglob("*.inspection.json")) if place.is_dir() else [place]


def _passphrase(environment: Mapping[str, str]) -> bytes | None:
    return environment.get(dsse.PASSPHRASE_VARIABLE, "").encode() or None


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise ConfigError(
            "--expires", found=text or "", expected="a day like 2027-12-31", remedy="Correct it."
        ) from error
