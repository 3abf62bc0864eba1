"""Commands about the workstation itself: watch, keys and signatures, signed findings, doctor."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from nii.errors import ConfigError
from nii.terminal import complain, say, stop_signals
from nii.watch.settings import WatchSettings

if TYPE_CHECKING:
    from nii.trust import Trust

MODELS_DIRS = tuple(Path(__file__).resolve().parents[up] / "models" for up in (0, 1))
"""Shipped bundles: within the package where a wheel was installed, beside it in a checkout."""
DEFAULT_MODEL = "compact"
BUNDLE_VARIABLE = "NII_BUNDLE"
DATABASE_VARIABLE = "NII_DATABASE"
"""Address of a PostgreSQL database, where --database is not given: it may hold a password."""


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


def watch(  # noqa: D417, PLR0913 - settings are described by their fields; each is a flag
    settings: Annotated[WatchSettings | None, Parameter(name="*")] = None,
    *,
    bundle: Path | None = None,
    once: bool = False,
    dry_run: bool = False,
    require_gpu: bool = False,
    trust: Path | None = None,
    allow_unsigned: bool = False,
    quiet: bool = False,
) -> int:
    """Inspect scans as they arrive in folders: each once, for months, whatever ends in between.

    Ctrl-C and SIGTERM finish the scans in hand. With --pushed scans that programs pushed into the
    store are inspected as well.

    Example: nii watch /lane1 /lane2 --out results --port 9273

    Args:
        bundle: folder of the model; where it is not given, that in NII_BUNDLE or in models/.
        once: deal with what is there, then stop.
        dry_run: list what would be done, and write nothing.
        require_gpu: refuse to run on the CPU.
        trust: folder of trusted keys; that in NII_TRUST or of the user where not given.
        allow_unsigned: run a bundle that nobody known has signed.
        quiet: report troubles only.
    """
    from nii.infer.detect import Detector
    from nii.infer.promise import Watched
    from nii.infer.runtime import ProviderSettings
    from nii.watch import run as watching

    settings = settings or WatchSettings()
    if settings.store is not None:
        settings = replace(settings, database=database_of(settings.database))
    if dry_run:
        for found in watching.plan(settings):
            say(f"{found.status:11}  {', '.join(map(str, found.paths + found.sidecars))}")
        return 0
    logging.getLogger("nii.watch").setLevel(logging.WARNING if quiet else logging.INFO)
    model, provider = bundle_of(bundle), ProviderSettings(require_gpu=require_gpu)
    rules = rules_of(trust, allow_unsigned)
    work = watching.run_once if once else watching.run
    with stop_signals() as stop:
        summary = work(
            settings,
            lambda: Watched(Detector.open(model, provider, rules), settings.state_folder),
            stop,
        )
    say(str(summary), quiet=quiet)
    return int(bool(once and (summary.quarantined or summary.retried or summary.waiting)))


def bundle_of(named: Path | None) -> Path:
    """Return the bundle that was named, or the default one of those that are shipped.

    Raises:
        ConfigError: none was named, and the default one is not there.
    """
    place = named or os.environ.get(BUNDLE_VARIABLE)
    if place:
        return Path(place)
    for folder in MODELS_DIRS:
        if (folder / DEFAULT_MODEL / "card.json").is_file():
            return folder / DEFAULT_MODEL
    raise ConfigError(
        "bundle",
        found=f"no model {DEFAULT_MODEL} in {MODELS_DIRS[-1]}",
        expected="the name of a bundle, or the shipped one in its place",
        remedy=f"Name one with --bundle, or in the environment variable {BUNDLE_VARIABLE}.",
    )


def database_of(named: str | None) -> str | None:
    """Return the address of the store's database that was named, or that in the environment.

    None stands for SQLite in the folder of the store.
    """
    return named or os.environ.get(DATABASE_VARIABLE) or None


def rules_of(folder: Path | None, allow_unsigned: bool = False) -> Trust:  # noqa: FBT001, FBT002
    """Return whom a runner trusts."""
    from nii.folders import trust_folder
    from nii.trust import Trust

    return Trust(folder or trust_folder(), allow_unsigned)
