"""Records of evidence: walked through beside the log, and held against what events say of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from nii.provenance import sha256_of_bytes
from nii.store import tables

Said = dict[int, tuple[int, dict[str, Any]]]
"""What events say of records: number of the event and facts, by id of the record."""
MOST_FAULTS = 20
"""A check stops after so many: a store with more is lost as evidence anyway."""
_BEFORE_ACCOUNTS = {
    "user_id": None,
    "reason_code": "",
    "why": "new",
    "seconds": None,
    "blind": False,
}
"""What a decision has in the columns that came later than its event."""
_REGION = ("number", "class_name", "category", "level", "score")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that does not hold.

    Attributes:
        number: of the event at which it shows; for what has no event, the number that would be
            next.
        reason: what is wrong with which record, in words.
    """

    number: int
    reason: str


@dataclass(slots=True)
class Records:
    """Walk once through a table of evidence, in the order of its ids.

    Records are written with their events, one after another, so ids rise with the numbers of
    events: a row that no event speaks of lies between two that events speak of, or at the end.
    """

    name: str
    table: sa.Table
    load: Callable[[sa.Connection, int, int], dict[int, dict[str, Any]]]
    last: int = 0
    loaded: dict[int, dict[str, Any]] = field(default_factory=dict)

    def compare(self, connection: sa.Connection, said: Said) -> list[Fault]:
        """Hold rows against what events say of them: number of the event and facts, by id."""
        faults = []
        rows = self.load(connection, self.last, max(said)) if max(said) > self.last else {}
        for number, (event, facts) in said.items():
            row = rows.pop(number, None)
            if number <= self.last:
                faults.append(Fault(event, f"{self.name} {number} comes out of order"))
            elif row is None:
                faults.append(Fault(event, f"{self.name} {number} is missing"))
            elif not _same(row, facts):
                faults.append(Fault(event, f"{self.name} {number} was altered"))
        for number in rows:
            event = min(event for other, (event, _) in said.items() if other > number)
            faults.append(Fault(event, f"{self.name} {number} has no event"))
        self.last = max(self.last, *said)
        return faults

    def rest(self, connection: sa.Connection, number: int) -> list[Fault]:
        """Return a fault for each row after the last that an event spoke of."""
        ids = sa.select(self.table.c.id).where(self.table.c.id > self.last)
        rows = connection.execute(ids.order_by(self.table.c.id).limit(MOST_FAULTS)).scalars()
        return [Fault(number, f"{self.name} {row} has no event") for row in rows]


def inspections() -> Records:
    """Return the inspections, each with its regions and the files of its scan."""
    return Records("inspection", tables.inspections, _inspections)


def others(name: str, table: sa.Table) -> Records:
    """Return the rows of a table whose events hold the whole row."""
    return Records(name, table, _rows_of(table))


def digest_of_regions(rows: list[dict[str, Any]]) -> str:
    """Return SHA-256 over the rows of an inspection's regions as canonical JSON."""
    text = json.dumps(rows, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256_of_bytes(text.encode())


def _same(row: dict[str, Any], facts: dict[str, Any]) -> bool:
    if "document" in row:
        return _same_inspection(row, facts)
    if "verdict" in row:
        return row == _BEFORE_ACCOUNTS | facts
    return row == facts


def _same_inspection(row: dict[str, Any], facts: dict[str, Any]) -> bool:
    found = {
        "scan_sha256": row["scan_sha256"],
        "files": json.loads(row["files"] or "null"),
        "model_sha256": row["model_sha256"],
        "urgency": row["urgency"],
        "filed_at": row["filed_at"],
        "document_sha256": sha256_of_bytes(row["document"].encode()),
    }
    if "regions_sha256" in facts:
        found["regions_sha256"] = digest_of_regions(row["regions"])
        return found == facts
    if found != facts:  # the document is as it was, so what it says of regions holds
        return False
    document = json.loads(row["document"])
    own = {"inspection_id": row["id"]}
    said = [own | {key: region[key] for key in _REGION} for region in document["regions"]]
    return bool(said == row["regions"])


def _inspections(connection: sa.Connection, after: int, last: int) -> dict[int, dict[str, Any]]:
    table, regions, scans = tables.inspections, tables.regions, tables.scans
    joined = table.outerjoin(scans, scans.c.sha256 == table.c.scan_sha256)
    query = sa.select(table, scans.c.files).select_from(joined)
    query = query.where(table.c.id > after, table.c.id <= last)
    rows = {row.id: row._asdict() | {"regions": []} for row in connection.execute(query)}
    found = sa.select(regions).where(
        regions.c.inspection_id > after, regions.c.inspection_id <= last
    )
    for region in connection.execute(found.order_by(regions.c.inspection_id, regions.c.number)):
        if region.inspection_id in rows:
            rows[region.inspection_id]["regions"].append(region._asdict())
    return rows


def _rows_of(table: sa.Table) -> Callable[[sa.Connection, int, int], dict[int, dict[str, Any]]]:
    def load(connection: sa.Connection, after: int, last: int) -> dict[int, dict[str, Any]]:
        query = sa.select(table).where(table.c.id > after, table.c.id <= last)
        return {row.id: row._asdict() for row in connection.execute(query)}

    return load
