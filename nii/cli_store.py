"""Commands about the store: take scans in, check the log."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nii.cli_station import bundle_of, database_of, rules_of
from nii.errors import ConfigError, NiiError, ScanFormatError
from nii.terminal import complain, progress, say

if TYPE_CHECKING:
    from nii.infer.detect import Detector
    from nii.inspection import Inspection
    from nii.store.audit import Head
    from nii.store.database import Store
    from nii.store.inspections import Filed


@dataclass(frozen=True, slots=True)
class _Source:
    """Where inspections come from: files beside the scans or in a folder, else the model."""

    findings: Path | None
    inspect: Callable[[Sequence[Path]], Inspection]

    def of(self, files: Sequence[Path], stem: str) -> Inspection:
        """Return the inspection of a scan.

        Raises:
            NiiError: the scan or an inspection beside it cannot be read.
            OSError: a file cannot be reached.
        """
        from nii.infer.results import INSPECTION_SUFFIX
        from nii.inspection import Inspection

        place = self.findings or files[0].parent
        names = dict.fromkeys((stem, *(each for path in files for each in (path.stem, path.name))))
        for name in names:
            found = place / f"{name}{INSPECTION_SUFFIX}"
            if not found.is_file():
                continue
            try:
                return Inspection.from_json(json.loads(found.read_text("utf-8")))
            except ValueError as error:
                raise ScanFormatError(
                    found,
                    found=str(error)[:200],
                    expected="an inspection that nii wrote",
                    remedy="Inspect the scan again, or take the file away.",
                ) from error
        return self.inspect(files)


def ingest(  # noqa: PLR0913 - each is a flag
    *scans: Path,
    store: Path,
    database: str | None = None,
    findings: Path | None = None,
    bundle: Path | None = None,
    require_gpu: bool = False,
    trust: Path | None = None,
    allow_unsigned: bool = False,
    quiet: bool = False,
) -> int:
    """Take scans into a store, for officers to review: each once, originals unchanged.

    An inspection NAME.inspection.json beside a scan is taken as it is; other scans are inspected.
    Facts in NAME.json or NAME.xml beside a scan, such as container numbers, join it. Running again
    adds nothing twice.

    Example: nii ingest data/samples --store desk

    Args:
        scans: scan files, or folders of them.
        store: folder of the store; made where it is new.
        database: address of a PostgreSQL database; that in NII_DATABASE where not given, else
            SQLite in the folder of the store.
        findings: folder with the inspections, where they do not lie beside the scans.
        bundle: folder of the model; where it is not given, that in NII_BUNDLE or in models/.
        require_gpu: refuse to run on the CPU.
        trust: folder of trusted keys; that in NII_TRUST or of the user where not given.
        allow_unsigned: run a bundle that nobody known has signed.
        quiet: print errors only.
    """
    from nii import formats
    from nii.infer.results import stems
    from nii.store.database import open_folder

    try:
        groups = formats.find(scans)
    except ScanFormatError as error:
        return complain(str(error), 2)
    if not groups:
        return complain("Nothing to do: there is no scan in what was named.", 2)
    model = _Model(bundle, require_gpu, trust, allow_unsigned)
    source = _Source(findings, model.inspect)
    opened = open_folder(store, database_of(database))
    counts = {"new": 0, "known": 0, "failed": 0}
    try:
        with progress("taking in", quiet=quiet) as advance:
            for done, (files, stem) in enumerate(zip(groups, stems(groups), strict=True), 1):
                counts[_take(opened, files, stem, source)] += 1
                advance(done, len(groups), "")
    finally:
        opened.close()
    parts = ", ".join(f"{count} {name}" for name, count in counts.items())
    say(f"{parts}; store: {store}", quiet=quiet)
    return int(bool(counts["failed"]))


def audit(
    action: Literal["verify", "head"],
    store: Path,
    *,
    database: str | None = None,
    head: str | None = None,
    files: bool = False,
) -> int:
    """Check that nothing in a store was changed, or print the head of its log to note elsewhere.

    verify STORE: every event, inspection, region, document, decision, mark and outcome; says which
    one was changed, is missing, was put in or changed places. head STORE: number and SHA-256 of the
    newest event; noted elsewhere, it shows later that nothing was cut off.

    Example: nii audit verify desk

    Args:
        action: what to do.
        store: folder of the store.
        database: address of a PostgreSQL database; that in NII_DATABASE where not given, else
            SQLite in the folder of the store.
        head: head that was noted earlier, as NUMBER:SHA256; it must still be in the log.
        files: check the content of every original scan file, too.
    """
    from nii.store import audit as trail
    from nii.store.database import DATABASE_FILE, open_folder

    address = database_of(database)
    if address is None and not (store / DATABASE_FILE).is_file():
        raise ConfigError(
            store, found="no store", expected=f"a folder with {DATABASE_FILE}", remedy="Check it."
        )
    witness = None if head is None else _head(head)
    opened = open_folder(store, address)
    try:
        if action == "head":
            newest = trail.head(opened)
            say(f"{newest.number}:{newest.sha256}")
            return 0
        return _verify(opened, witness, files=files)
    finally:
        opened.close()


@dataclass(slots=True)
class _Model:
    """The model, opened when the first scan needs it."""

    bundle: Path | None
    require_gpu: bool
    trust: Path | None
    allow_unsigned: bool
    detector: Detector | None = None

    def inspect(self, files: Sequence[Path]) -> Inspection:
        """Read and inspect one scan, with the facts that lie beside it."""
        from nii import formats
        from nii.infer.context import Context
        from nii.infer.detect import Detector
        from nii.infer.inspect import inspect, utc_now
        from nii.infer.runtime import ProviderSettings
        from nii.watch import sidecar

        if self.detector is None:
            provider = ProviderSettings(require_gpu=self.require_gpu)
            rules = rules_of(self.trust, self.allow_unsigned)
            self.detector = Detector.open(bundle_of(self.bundle), provider, rules)
        names = sidecar.names_for(tuple(files))
        beside = [path for path in files[0].parent.iterdir() if path.name.casefold() in names]
        scan = sidecar.join(formats.read(files), sorted(beside))
        context = Context(declared_empty=sidecar.declares_empty(beside))
        return inspect(scan, self.detector, utc_now, context)


def _take(store: Store, files: Sequence[Path], stem: str, source: _Source) -> str:
    """Take one scan in; return how it is counted."""
    from nii.provenance import SourceFile, sha256_of_file, sha256_of_sources
    from nii.store import inspections, scans

    try:
        sources = tuple(SourceFile(path.name, sha256_of_file(path)) for path in files)
        known: Filed | None = inspections.latest(store, sha256_of_sources(sources))
        if known is not None:
            return "known"
        inspection = source.of(files, stem)
        kept = scans.keep(store, tuple(files))
        inspections.add(store, kept, inspection, datetime.now(UTC))
    except (ScanFormatError, OSError) as error:
        complain(f"not taken in: {error}", 1)
        return "failed"
    except NiiError as error:
        if type(error) is not NiiError:
            raise  # no model, no provider: the next scan would fare no better
        complain(f"not taken in: {error}", 1)
        return "failed"
    return "new"


def _verify(store: Store, witness: Head | None, *, files: bool) -> int:
    from nii.store import audit as trail
    from nii.store import scans

    check = trail.verify(store, witness)
    for fault in check.faults:
        complain(f"event {fault.number}: {fault.reason}", 1)
    damaged = scans.damaged(store) if files else ()
    bad = len(check.faults)
    for text in damaged:
        complain(text, 1)
        bad += 1
    if bad:
        return complain(f"the store does not hold: {bad} faults", 1)
    beside = ", with all original files" if files else ""
    say(f"intact{beside}: {check.head.number} events, head {check.head.number}:{check.head.sha256}")
    return 0


def _head(text: str) -> Head:
    from nii.store.audit import Head

    number, _, sha256 = text.partition(":")
    if not re.fullmatch(r"[0-9]{1,12}", number) or not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ConfigError(
            "--head",
            found=text[:100],
            expected="NUMBER:SHA256, as nii audit head prints it",
            remedy="Copy it whole.",
        )
    return Head(int(number), sha256)
