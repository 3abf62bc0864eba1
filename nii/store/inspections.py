"""Inspections: file each one once, find them again, page through them by urgency."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from nii.errors import NiiError
from nii.inspection import Inspection, Level, Region
from nii.provenance import sha256_of_bytes
from nii.store import audit, documents, queue, records, scans, sites, tables, texts
from nii.store.audit import Actor, canonical
from nii.store.database import Store, timestamp
from nii.store.documents import Paper
from nii.store.scans import KeptScan

_TABLE = tables.inspections


@dataclass(frozen=True, slots=True)
class Filed:
    """An inspection as it stands in the store.

    Attributes:
        id: counts inspections from 1.
        inspection: what the model reported.
        filed_at: when it was stored.
        decided: whether an officer has decided on it.
    """

    id: int
    inspection: Inspection
    filed_at: datetime
    decided: bool

    @property
    def scan_sha256(self) -> str:
        """Return the identity of the scan; :func:`add` made sure that there is one."""
        return str(self.inspection.scan.sha256)


@dataclass(frozen=True, slots=True)
class Query:
    """Say which inspections a page shows."""

    level: Level | None = None
    """Only this level; None shows all."""
    class_name: str | None = None
    """Only inspections with a region of this class; None shows all."""
    undecided: bool = False
    """Only those that nobody has decided on."""
    limit: int = 50
    """Highest number of inspections on the page."""
    before: int | None = None
    """Id of the last inspection of the page before; None starts with the most urgent."""


def add(
    store: Store,
    scan: KeptScan,
    inspection: Inspection,
    at: datetime,
    papers: tuple[Paper, ...] = (),
) -> Filed:
    """File an inspection, its scan, its row in the queue and the event, together or not at all.

    Container numbers that came with the scan are linked to it, and so are `papers`. The same model
    has one opinion on one scan: a second inspection of it by the same bundle is not stored, and the
    first is returned.

    Raises:
        NiiError: the inspection is about another scan, or says what no model says.
    """
    if inspection.scan.sha256 != scan.sha256:
        raise NiiError(
            "inspection",
            found=f"an inspection of {inspection.scan.sha256}",
            expected=f"one of the scan {scan.sha256}",
            remedy="A file changed while it was read, or was mixed up: inspect the scan again.",
        )
    _check(inspection)
    with store.write() as connection:
        same = (_TABLE.c.scan_sha256 == scan.sha256) & (
            _TABLE.c.model_sha256 == inspection.model.sha256
        )
        earlier = connection.execute(_select().where(same)).one_or_none()
        if earlier is not None:
            return _filed(earlier._asdict())
        scanner = sites.of_code(connection, inspection.scan.scanner)
        made = scans.Made(inspection.scan.acquired_at, scanner.id if scanner else None)
        registered = scans.register(connection, scan, at, made)
        number = _insert(connection, registered, inspection, at)
        queue.place(connection, number, inspection, scanner, at)
        linked = documents.papers_of(inspection.scan.container_numbers)
        linked += documents.tests_of(inspection.scan.assumptions)
        identity, by = registered.sha256, Actor("scan")
        documents.link_all(connection, identity, number, linked + papers, by, at)
        row = connection.execute(_select().where(_TABLE.c.id == number)).one()
    return _filed(row._asdict())


def get(store: Store, inspection_id: int) -> Filed | None:
    """Return one inspection, or None if there is none with this id."""
    with store.read() as connection:
        found = connection.execute(_select().where(_TABLE.c.id == inspection_id))
        row = found.one_or_none()
    return None if row is None else _filed(row._asdict())


def latest(store: Store, scan_sha256: str) -> Filed | None:
    """Return the newest inspection of a scan, or None if it was never inspected."""
    query = _select().where(_TABLE.c.scan_sha256 == scan_sha256)
    with store.read() as connection:
        newest = connection.execute(query.order_by(_TABLE.c.id.desc()).limit(1))
        row = newest.one_or_none()
    return None if row is None else _filed(row._asdict())


def page(store: Store, query: Query) -> tuple[Filed, ...]:
    """Return a page of inspections: most urgent level first, then the longest waiting first."""
    statement = _select().order_by(_TABLE.c.urgency.desc(), _TABLE.c.id).limit(query.limit)
    for condition in _conditions(query):
        statement = statement.where(condition)
    with store.read() as connection:
        if query.before is not None:
            last = sa.select(_TABLE.c.urgency).where(_TABLE.c.id == query.before)
            urgency = connection.execute(last).scalar_one_or_none()
            if urgency is None:
                return ()
            later = (_TABLE.c.urgency == urgency) & (_TABLE.c.id > query.before)
            statement = statement.where((_TABLE.c.urgency < urgency) | later)
        rows = connection.execute(statement).all()
    return tuple(_filed(row._asdict()) for row in rows)


def counts(store: Store, query: Query) -> dict[Level, int]:
    """Return how many inspections each level has, whatever level the query asks for."""
    statement = sa.select(_TABLE.c.urgency, sa.func.count()).group_by(_TABLE.c.urgency)
    for condition in _conditions(Query(class_name=query.class_name, undecided=query.undecided)):
        statement = statement.where(condition)
    with store.read() as connection:
        found: dict[int, int] = {row[0]: row[1] for row in connection.execute(statement)}
    return {level: found.get(level.rank, 0) for level in Level}


def without_event(store: Store, kind: str) -> tuple[int, ...]:
    """Return the ids of the inspections that have no event of this kind, oldest first."""
    done = sa.exists().where(
        tables.events.c.inspection_id == _TABLE.c.id, tables.events.c.kind == kind
    )
    with store.read() as connection:
        rows = connection.execute(sa.select(_TABLE.c.id).where(~done).order_by(_TABLE.c.id))
        return tuple(rows.scalars())


def has_event(store: Store, inspection_id: int, kind: str) -> bool:
    """Return whether the inspection has an event of this kind."""
    same = (tables.events.c.inspection_id == inspection_id) & (tables.events.c.kind == kind)
    with store.read() as connection:
        return bool(connection.execute(sa.select(sa.exists().where(same))).scalar_one())


def _check(inspection: Inspection) -> None:
    """Check what comes from outside against what every engine can hold."""
    texts.name("digest of the model", inspection.model.sha256, 64)
    for region in inspection.regions:
        texts.name("class", region.class_name, 64)
        texts.name("category", region.category, 64)
        if not 0.0 <= region.score <= 1.0:
            raise texts.refusal("score", f"{region.score}", "0 to 1", "Inspect the scan again.")


def _insert(connection: sa.Connection, scan: KeptScan, inspection: Inspection, at: datetime) -> int:
    document = canonical(inspection.to_json())
    row = {
        "scan_sha256": scan.sha256,
        "model_sha256": inspection.model.sha256,
        "urgency": inspection.level.rank,
        "filed_at": timestamp(at),
    }
    values = row | {"document": document}
    result = connection.execute(sa.insert(_TABLE).values(values).returning(_TABLE.c.id))
    number = int(result.scalar_one())
    found = [_region_row(number, region) for region in inspection.regions]
    if found:
        connection.execute(sa.insert(tables.regions), found)
    facts = {
        "files": [asdict(file) for file in scan.files],
        "document_sha256": sha256_of_bytes(document.encode()),
        "regions_sha256": records.digest_of_regions(found),
    }
    audit.append(connection, audit.Entry(audit.INSPECTED, number, row | facts), at)
    return number


def _region_row(inspection_id: int, region: Region) -> dict[str, Any]:
    return {
        "inspection_id": inspection_id,
        "number": region.number,
        "class_name": region.class_name,
        "category": region.category,
        "level": region.level.value,
        "score": float(region.score),
    }


def _select() -> sa.Select[Any]:
    decided = sa.exists().where(tables.decisions.c.inspection_id == _TABLE.c.id)
    return sa.select(_TABLE.c.id, _TABLE.c.document, _TABLE.c.filed_at, decided.label("decided"))


def _conditions(query: Query) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if query.level is not None:
        conditions.append(_TABLE.c.urgency == query.level.rank)
    if query.class_name is not None:
        region = tables.regions.c
        same = (region.inspection_id == _TABLE.c.id) & (region.class_name == query.class_name)
        conditions.append(sa.exists().where(same))
    if query.undecided:
        conditions.append(~sa.exists().where(tables.decisions.c.inspection_id == _TABLE.c.id))
    return conditions


def _filed(row: dict[str, Any]) -> Filed:
    inspection = Inspection.from_json(json.loads(row["document"]))
    filed_at = datetime.fromisoformat(row["filed_at"])
    return Filed(row["id"], inspection, filed_at, bool(row["decided"]))
