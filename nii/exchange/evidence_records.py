"""Everything the store knows about one scan, read in one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nii.errors import NiiError
from nii.inspection import Inspection
from nii.store import audit, scans, tables
from nii.store.database import Store
from nii.store.scans import KeptScan

_RECORD_TABLES = (tables.decisions, tables.marks, tables.outcomes)


@dataclass(frozen=True, slots=True)
class Dossier:
    """Hold everything that the store knows about one scan, as of one moment.

    Attributes:
        scan: its original files.
        inspections: the stored text of each inspection by its id, oldest first.
        records: rows of decisions, marks, outcomes and documents by table, oldest first.
        events: rows of the log about it, oldest first.
        neighbours: digest of each event right before or after one of these, by number.
        head: newest event of the log.
    """

    scan: KeptScan
    inspections: Mapping[int, str]
    records: Mapping[str, Sequence[Mapping[str, Any]]]
    events: Sequence[Mapping[str, Any]]
    neighbours: Mapping[int, str]
    head: audit.Head

    @property
    def opinions(self) -> dict[int, Inspection]:
        """Return the inspections by id."""
        return {
            key: Inspection.from_json(json.loads(text)) for key, text in self.inspections.items()
        }


def ids_of(store: Store, inspection_id: int) -> tuple[tuple[int, ...], str]:
    """Return all inspections of the scan that one inspection is about, and its identity."""
    table = tables.inspections
    with store.read() as connection:
        one = sa.select(table.c.scan_sha256).where(table.c.id == inspection_id)
        sha256 = connection.execute(one).scalar_one_or_none()
        same = sa.select(table.c.id).where(table.c.scan_sha256 == sha256).order_by(table.c.id)
        ids = tuple(connection.execute(same).scalars()) if sha256 is not None else ()
    if not ids:
        raise NiiError(
            f"inspection {inspection_id}",
            found="no such inspection",
            expected="the number of a stored one",
            remedy="Look it up in the web app: the number stands in the address of its page.",
        )
    return ids, str(sha256)


def gather(store: Store, ids: Sequence[int], scan_sha256: str) -> Dossier:
    """Read everything about one scan in one transaction.

    Raises:
        NiiError: the scan is not registered.
    """
    with store.read() as connection:
        head = audit_head(connection)
        kept = _inspections(connection, ids)
        records = {table.name: _rows(connection, table, ids) for table in _RECORD_TABLES}
        papers = sa.select(tables.documents).where(tables.documents.c.scan_sha256 == scan_sha256)
        linked = connection.execute(papers.order_by(tables.documents.c.id))
        records[tables.documents.name] = [row._asdict() for row in linked]
        events = events_of(connection, ids, scan_sha256)
        neighbours = _neighbours(connection, [row["number"] for row in events])
    return Dossier(scans.of(store, scan_sha256), kept, records, events, neighbours, head)


def events_of(
    connection: sa.Connection, ids: Sequence[int], scan_sha256: str, last: int | None = None
) -> list[dict[str, Any]]:
    """Return the events about some inspections and their scan, oldest first.

    Documents may be linked before there is an inspection; such an event is found by its facts.

    Args:
        connection: reads.
        ids: of the inspections.
        scan_sha256: of the scan.
        last: number of the newest event that counts; None: all.
    """
    table = tables.events.c
    early = table.inspection_id.is_(None) & (table.kind == audit.LINKED)
    query = sa.select(tables.events).where(
        table.inspection_id.in_(ids) | (early & table.payload.contains(scan_sha256))
    )
    if last is not None:
        query = query.where(table.number <= last)
    return [row._asdict() for row in connection.execute(query.order_by(table.number))]


def audit_head(connection: sa.Connection) -> audit.Head:
    """Return the newest event as one reading transaction sees it."""
    table = tables.events
    newest = sa.select(table.c.number, table.c.sha256).order_by(table.c.number.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    return audit.Head(0, audit.ORIGIN_SHA256) if row is None else audit.Head(row[0], row[1])


def _inspections(connection: sa.Connection, ids: Sequence[int]) -> dict[int, str]:
    table = tables.inspections
    query = sa.select(table.c.id, table.c.document).where(table.c.id.in_(ids))
    return {row.id: row.document for row in connection.execute(query.order_by(table.c.id))}


def _rows(connection: sa.Connection, table: sa.Table, ids: Sequence[int]) -> list[dict[str, Any]]:
    query = sa.select(table).where(table.c.inspection_id.in_(ids))
    return [row._asdict() for row in connection.execute(query.order_by(table.c.id))]


def _neighbours(connection: sa.Connection, numbers: Sequence[int]) -> dict[int, str]:
    beside = {n + step for n in numbers for step in (-1, 1)} - set(numbers)
    table = tables.events
    query = sa.select(table.c.number, table.c.sha256).where(table.c.number.in_(sorted(beside)))
    return {row.number: row.sha256 for row in connection.execute(query)}
