"""A folder that packages leave from: each inspection is put there once.

The event ``packaged`` in the log is what tells that it was done. Should the program stop between
the writing of the file and of the event, the next run writes the same bytes under the same name
again: a receiver who took the first one away meanwhile gets a second copy of the same name, never
a different one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from nii.exchange.package import SUFFIX, write_package
from nii.provenance import sha256_of_file
from nii.store import audit, inspections, scans
from nii.store.database import Store
from nii.store.inspections import Filed


def waiting(store: Store) -> tuple[int, ...]:
    """Return the ids of the inspections that were not put into an outbox yet, oldest first."""
    return inspections.without_event(store, audit.PACKAGED)


def deliver(
    store: Store, folder: Path, filed: Filed, overlay: Callable[[], bytes], at: datetime
) -> Path | None:
    """Put the package of one inspection into the folder and log it.

    Args:
        store: where the inspection and its scan are kept.
        folder: the outbox.
        filed: the inspection.
        overlay: draws the picture as PNG; called only where a package is written.
        at: time for the log.

    Returns:
        The package, or None if this inspection was put into an outbox before.

    Raises:
        NiiError: the kept scan is missing or altered.
    """
    if inspections.has_event(store, filed.id, audit.PACKAGED):
        return None
    scan = scans.of(store, filed.scan_sha256)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{filed.id:08d}-{filed.scan_sha256[:16]}{SUFFIX}"
    with scans.original_files(store, scan) as files:
        write_package(path, files, filed.inspection, overlay())
    facts = {"file": path.name, "sha256": sha256_of_file(path)}
    with store.write() as connection:
        audit.append(connection, audit.Entry(audit.PACKAGED, filed.id, facts), at)
    return path
