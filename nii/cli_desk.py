"""Commands about the officers' desk: evidence for a court, feedback for training."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter
from cyclopts.validators import Number

from nii.cli_station import database_of, rules_of
from nii.terminal import complain, progress, say

if TYPE_CHECKING:
    from nii.store.database import Store

evidence = cyclopts.App(
    name="evidence",
    help=(
        "Export everything about one scan as a package that can be checked, and check one.\n\n"
        "Example: nii evidence /srv/nii 17 --out case.evidence.zip --key station"
    ),
)
feedback = cyclopts.App(
    name="feedback",
    help=(
        "Export what officers and examinations said as a labelled set, without personal data.\n\n"
        "Example: nii feedback export /srv/nii --out feedback"
    ),
)


@evidence.default
def export_evidence(  # noqa: PLR0913 - each is a flag
    store: Path,
    inspection: int,
    *,
    out: Path,
    key: Path | None = None,
    name: str | None = None,
    reason: str = "",
    database: str | None = None,
) -> int:
    """Export everything about the scan of an inspection, in one zip file.

    The package holds the original files unchanged, pictures, inspections, decisions, marks,
    outcomes, an extract of the log, digests, a report for people, and a signature where there is a
    key. Who exported it, and why, becomes an event of the log.

    Example: nii evidence /srv/nii 17 --out case.evidence.zip --key station

    Args:
        store: folder of the store.
        inspection: number of an inspection of the scan.
        out: the zip file.
        key: private key of the workstation; a passphrase stands in NII_KEY_PASSPHRASE. Without it
            the package is unsigned.
        name: who exports it; the user of this machine where not given.
        reason: why, for the log.
        database: address of a PostgreSQL database; that in NII_DATABASE where not given, else
            SQLite in the folder of the store.
    """
    from nii.exchange import evidence as packages
    from nii.signing import read_key

    signing_key = read_key(key) if key else None
    exporter = packages.Exporter(name or getpass.getuser(), reason=reason)
    opened = _open(store, database)
    try:
        now = datetime.now(UTC)
        manifest = packages.export(opened, inspection, out, exporter, now, signing_key)
    finally:
        opened.close()
    say(f"{len(manifest.members)} members, head of the log: event {manifest.head.number}: {out}")
    if manifest.signer is None:
        say("UNSIGNED: no key vouches for this package; name one with --key")
    return 0


@evidence.command(name="verify")
def verify_evidence(
    package: Path,
    *,
    trust: Path | None = None,
    key: Path | None = None,
    store: Path | None = None,
    database: str | None = None,
    allow_unsigned: bool = False,
) -> int:
    """Check an evidence package: every byte, the records, the chain of the log, the signature.

    Code 1 says that something does not hold, or that nobody trusted has signed.

    Example: nii evidence verify case.evidence.zip

    Args:
        package: the zip file.
        trust: folder of trusted keys; that in NII_TRUST or of the user where not given.
        key: a public key to trust besides.
        store: store that the package comes from; its log is checked as well.
        database: address of the store's PostgreSQL database; that in NII_DATABASE where not given.
        allow_unsigned: accept a package that nobody trusted has signed.
    """
    from nii import dsse
    from nii.exchange import evidence_check
    from nii.trust import keys_of

    known = [one for _, one in keys_of(rules_of(trust).folder).values()]
    report = evidence_check.check(package, [*known, *(dsse.read_public_keys(key) if key else ())])
    faults = list(report.faults)
    if report.intact and store is not None:
        opened = _open(store, database)
        try:
            faults += evidence_check.against_store(package, opened)
        finally:
            opened.close()
    for fault in faults:
        complain(fault, 1)
    say(report.signer)
    if report.manifest is not None and not faults:
        facts = report.manifest
        say(
            f"intact: {len(facts.members)} members, scan {facts.scan_sha256}, exported "
            f"{facts.exported_at} by {facts.exported_by}, log at event {facts.head.number} "
            f"({facts.head.sha256})"
        )
    return int(bool(faults) or not (report.signed or allow_unsigned))


@feedback.command(name="export")
def export_feedback(
    store: Path,
    *,
    out: Path,
    val: Annotated[float, Parameter(validator=Number(gte=0, lt=1))] = 0.15,
    test: Annotated[float, Parameter(validator=Number(gte=0, lt=1))] = 0.15,
    link: bool = False,
    database: str | None = None,
) -> int:
    """Export confirmed, rejected and drawn regions as COCO, with their scans.

    Writes train.json, val.json, test.json, the scans in images/, and feedback.json with counts. All
    scans of one container, wagon, plate or manifest are in one split. Run again, it adds what is
    new and nothing twice. There are no names, numbers or remarks in it.

    Example: nii feedback export /srv/nii --out feedback

    Args:
        store: folder of the store.
        out: folder of the set.
        val: share of the groups for validation.
        test: share of the groups for the final test.
        link: link the scans instead of copying them; never change a linked file.
        database: address of a PostgreSQL database; that in NII_DATABASE where not given, else
            SQLite in the folder of the store.
    """
    from nii.errors import ConfigError
    from nii.exchange import feedback as sets
    from nii.exchange.feedback_split import Shares

    try:
        settings = sets.FeedbackSettings(Shares(val, test), link)
    except ValueError as error:
        raise ConfigError(
            "--val, --test", found=str(error), expected="a sum below 1", remedy="Lower them."
        ) from error
    opened = _open(store, database)
    try:
        with progress("exporting") as advance:
            report = sets.export(
                opened,
                out,
                datetime.now(UTC),
                settings,
                lambda done, total: advance(done, total, ""),
            )
    finally:
        opened.close()
    for reason, count in report.left_out.items():
        say(f"left out: {count} ({reason})")
    counts = ", ".join(f"{count} {split}" for split, count in report.scans.items())
    say(f"{counts} scans; {report.added} added, {report.removed} removed: {out}")
    return 0


def _open(store: Path, database: str | None) -> Store:
    from nii.store.database import open_folder

    return open_folder(store, database_of(database))
