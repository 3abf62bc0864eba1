"""Commands about the workstation itself: keys and signatures, signed findings, the doctor."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nii.errors import ConfigError
from nii.terminal import complain, say

if TYPE_CHECKING:
    from nii.trust import Trust

MODELS_DIR = Path(__file__).resolve().parents[1] / "models"
"""Shipped bundles, in a checkout."""
BUNDLE_VARIABLE = "NII_BUNDLE"


def bundle(
    action: Literal["verify", "sign", "trust", "keygen"],
    place: Path,
    *,
    key: Path | None = None,
    expires: str | None = None,
    trust: Path | None = None,
    allow_unsigned: bool = False,
) -> int:
    """Make keys, sign a model bundle, trust a signer, or check a bundle as a runner does.

    verify FOLDER: all files there, unaltered, signed by someone trusted, and the right numbers.
    sign FOLDER --key FILE: sign all files. keygen FILE: write a private key, and FILE.pub.
    trust FILE.pub: trust this signer from now on. trust FOLDER: go back to this older bundle.

    Example: nii bundle verify models/compact

    Args:
        action: what to do.
        place: the bundle, or the file of a key.
        key: private key to sign with; a passphrase stands in NII_KEY_PASSPHRASE.
        expires: last day on which the bundle may be used, like 2027-12-31; never where not given.
        trust: folder of trusted keys; that in NII_TRUST or of the user where not given.
        allow_unsigned: accept a bundle that nobody known has signed.
    """
    from nii import signing

    now, rules = datetime.now(UTC), rules_of(trust, allow_unsigned)
    actions: dict[str, Callable[[], list[str]]] = {
        "verify": lambda: signing.verify(place, rules, now),
        "sign": lambda: signing.sign(place, key, expires, now),
        "trust": lambda: signing.accept(place, rules, now),
        "keygen": lambda: signing.keygen(place),
    }
    say("\n".join(actions[action]()))
    return 0


def verify(*findings: Path, trust: Path | None = None) -> int:
    """Check findings that a workstation signed: unaltered, and signed by someone trusted.

    Example: nii verify report

    Args:
        findings: files NAME.inspection.json, or folders of them.
        trust: folder of trusted keys; that in NII_TRUST or of the user where not given.
    """
    from nii.signing import verify_findings

    good, bad = verify_findings(findings, rules_of(trust))
    for text in good:
        say(text)
    for text in bad:
        complain(text, 1)
    return int(bool(bad))


def doctor(
    *,
    bundle: Path | None = None,
    require_gpu: bool = False,
    provider: tuple[str, ...] | None = None,
    trust: Path | None = None,
    json: bool = False,
) -> int:
    """Show on one page whether this workstation is fit to run, and what to do where it is not.

    Example: nii doctor

    Args:
        bundle: folder of the model; where it is not given, that in NII_BUNDLE or in models/.
        require_gpu: call a workstation unfit that would run on the CPU.
        provider: ONNX Runtime execution provider to try; may be repeated.
        trust: folder of trusted keys; that in NII_TRUST or of the user where not given.
        json: print the page as JSON.
    """
    from json import dumps

    from nii.infer.doctor import examine
    from nii.infer.runtime import ProviderSettings

    settings, now = ProviderSettings(provider, require_gpu), datetime.now(UTC)
    health = examine([bundle_of(bundle)], settings, rules_of(trust), [Path.cwd()], now)
    say(dumps(health.to_json(), indent=2) if json else health.text())
    return int(not health.well)


def bundle_of(named: Path | None) -> Path:
    """Return the bundle that was named, or the only one that is shipped."""
    place = named or os.environ.get(BUNDLE_VARIABLE)
    if place:
        return Path(place)
    shipped = sorted(card.parent for card in MODELS_DIR.glob("*/card.json"))
    if len(shipped) == 1:
        return shipped[0]
    names = ", ".join(folder.name for folder in shipped) or "none"
    raise ConfigError(
        "bundle",
        found=f"{names} in {MODELS_DIR}",
        expected="exactly one model, or the name of one",
        remedy=f"Name one with --bundle, or in the environment variable {BUNDLE_VARIABLE}.",
    )


def rules_of(folder: Path | None, allow_unsigned: bool = False) -> Trust:  # noqa: FBT001, FBT002
    """Return whom a runner trusts."""
    from nii.folders import trust_folder
    from nii.trust import Trust

    return Trust(folder or trust_folder(), allow_unsigned)
