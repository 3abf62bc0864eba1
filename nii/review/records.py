"""What pages and API show of one inspection, read together: its place in the queue, its papers."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from nii.inspection import Inspection, Level
from nii.review.auth import Person
from nii.store import inspections, marks, tables
from nii.store.database import Store, moment, timestamp
from nii.store.decisions import Decision
from nii.store.documents import Document
from nii.store.inspections import Filed
from nii.store.marks import KeptMark, Sign
from nii.store.outcomes import KeptOutcome
from nii.store.queue import Item, State

_QUEUE = tables.queue
_MOST_PASSAGES = 10


@dataclass(frozen=True, slots=True)
class Case:
    """An inspection, its place in the queue, and what of it may be shown.

    Attributes:
        filed: as the store holds it.
        inspection: as it may be shown: without what the model found while officers look first.
        state: open, decided, or superseded by a newer inspection.
        why: new, second, recheck, group or audit.
        blind: the model's findings are withheld until an officer has decided.
        since: it waits since.
        site_id: where it was scanned; None where that is unknown.
        site: name of the site; empty where it is unknown.
        group: of experts that is asked.
        holder: who works on it now.
        mine: that is whoever asks.
    """

    filed: Filed
    inspection: Inspection
    state: str
    why: str
    blind: bool
    since: datetime
    site_id: int | None
    site: str
    group: str | None
    holder: str | None
    mine: bool

    @property
    def open(self) -> bool:
        """Return whether it waits for a decision."""
        return self.state == State.OPEN


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the queue as it may be shown.

    Attributes:
        id: of the inspection.
        level: clear, look, search, or blind.
        title: container numbers, or names of files.
        scan: identity of the scan.
        classes: of the regions, without repetition.
        site: name of the site.
        since: it waits since.
        waited: how long that is.
        why: new, second, recheck, group or audit.
        group: of experts that is asked.
        verdict: of the newest decision.
        holder: who works on it now.
        mine: that is whoever asks.
        contradicted: a container was declared empty and is not.
    """

    id: int
    level: str
    title: str
    scan: str
    classes: tuple[str, ...]
    site: str
    since: datetime
    waited: timedelta
    why: str
    group: str | None
    verdict: str | None
    holder: str | None
    mine: bool
    contradicted: bool


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the queue: rows, counts by level, and where the next page goes on."""

    rows: tuple[Row, ...]
    counts: dict[str, int]
    after: str | None


@dataclass(frozen=True, slots=True)
class Names:
    """What rows of the queue are called by: sites by id, files of scans by identity."""

    sites: dict[int, str]
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Passage:
    """Another scan of the same container."""

    id: int
    scan: str
    at: datetime
    verdict: str | None


@dataclass(frozen=True, slots=True)
class Papers:
    """What officers and papers say about an inspection."""

    decisions: tuple[Decision, ...]
    marks: tuple[KeptMark, ...]
    outcomes: tuple[KeptOutcome, ...]
    documents: tuple[Document, ...]
    passages: tuple[Passage, ...]

    @property
    def marked(self) -> dict[int, str]:
        """Return the newest mark of each region that stands, by its number."""
        return {
            kept.mark.region_number: kept.mark.sign.value
            for kept in marks.standing(self.marks)
            if kept.mark.region_number is not None
        }

    @property
    def drawn(self) -> tuple[KeptMark, ...]:
        """Return the boxes that officers drew and did not take back."""
        return tuple(kept for kept in marks.standing(self.marks) if kept.mark.sign is Sign.DRAWN)


def withheld(inspection: Inspection) -> Inspection:
    """Return an inspection without what the model found; what the scan itself is like stays."""
    texts = {declaration.reason for declaration in inspection.declarations}
    return replace(
        inspection,
        level=Level.CLEAR,
        regions=(),
        anomaly=None,
        declarations=(),
        attention=(),
        guarantee=None,
        warnings=tuple(text for text in inspection.warnings if text not in texts),
        structures=tuple(
            replace(part, load=None, load_score=None, filling=None, full_score=None)
            for part in inspection.structures
        ),
    )


def case(store: Store, inspection_id: int, person: Person, now: datetime) -> Case | None:
    """Return an inspection as a person may see it, or None where there is none for them."""
    filed = inspections.get(store, inspection_id)
    if filed is None:
        return None
    with store.read() as connection:
        row = connection.execute(_places().where(_QUEUE.c.inspection_id == inspection_id)).first()
    if row is None or not person.sees(row.site_id):
        return None
    return _case(filed, row, person, now)


def cases_after(
    store: Store, person: Person, after: int, limit: int, now: datetime
) -> tuple[Case, ...]:
    """Return the inspections filed after one, oldest first, as a person may see them."""
    query = _places().where(_QUEUE.c.inspection_id > after, _seen(person))
    with store.read() as connection:
        rows = connection.execute(query.order_by(_QUEUE.c.inspection_id).limit(limit)).all()
    found = ((inspections.get(store, row.inspection_id), row) for row in rows)
    return tuple(_case(filed, row, person, now) for filed, row in found if filed is not None)


def decision_ids_after(
    store: Store, person: Person, after: int, limit: int
) -> tuple[tuple[int, int], ...]:
    """Return ids of decisions and of their inspections, after one, oldest first."""
    table = tables.decisions.c
    query = (
        sa.select(table.id, table.inspection_id)
        .join(_QUEUE, _QUEUE.c.inspection_id == table.inspection_id)
        .where(table.id > after, _seen(person))
        .order_by(table.id)
        .limit(limit)
    )
    with store.read() as connection:
        return tuple((row[0], row[1]) for row in connection.execute(query))


def sites_of_scan(store: Store, scan_sha256: str) -> frozenset[int | None]:
    """Return the sites of the inspections of a scan; empty where it has none."""
    query = (
        sa.select(_QUEUE.c.site_id)
        .join(tables.inspections, tables.inspections.c.id == _QUEUE.c.inspection_id)
        .where(tables.inspections.c.scan_sha256 == scan_sha256)
    )
    with store.read() as connection:
        return frozenset(connection.execute(query).scalars())


def inspections_of_scan(store: Store, scan_sha256: str) -> tuple[int, ...]:
    """Return the ids of the inspections of a scan."""
    table = tables.inspections.c
    query = sa.select(table.id).where(table.scan_sha256 == scan_sha256).order_by(table.id)
    with store.read() as connection:
        return tuple(connection.execute(query).scalars())


def passages(store: Store, person: Person, scan_sha256: str) -> tuple[Passage, ...]:
    """Return other scans with a container, wagon or plate of this one, newest first."""
    mine, other = tables.documents.alias("mine"), tables.documents.alias("other")
    inspected = tables.inspections.c
    query = (
        sa.select(inspected.id, inspected.scan_sha256, inspected.filed_at, _QUEUE.c.verdict)
        .select_from(mine)
        .join(other, (other.c.value == mine.c.value) & (other.c.kind == mine.c.kind))
        .join(tables.inspections, inspected.scan_sha256 == other.c.scan_sha256)
        .join(_QUEUE, _QUEUE.c.inspection_id == inspected.id)
        .where(
            mine.c.scan_sha256 == scan_sha256,
            other.c.scan_sha256 != scan_sha256,
            mine.c.kind.in_(("container", "wagon", "plate")),
            _seen(person),
        )
        .distinct()
        .order_by(inspected.filed_at.desc())
        .limit(_MOST_PASSAGES)
    )
    with store.read() as connection:
        rows = connection.execute(query).all()
    return tuple(
        Passage(row.id, row.scan_sha256, datetime.fromisoformat(row.filed_at), row.verdict)
        for row in rows
    )


def names(store: Store, scans: tuple[str, ...]) -> Names:
    """Return what rows about these scans are called by."""
    table = tables.scans.c
    query = sa.select(table.sha256, table.files).where(table.sha256.in_(scans))
    with store.read() as connection:
        files = {
            row.sha256: ", ".join(file["name"] for file in json.loads(row.files))
            for row in connection.execute(query)
        }
    return Names(site_names(store), files)


def site_names(store: Store) -> dict[int, str]:
    """Return the name of each site by its id."""
    query = sa.select(tables.sites.c.id, tables.sites.c.name).order_by(tables.sites.c.name)
    with store.read() as connection:
        return {row.id: row.name for row in connection.execute(query)}


def scanner_names(store: Store, person: Person) -> dict[int, str]:
    """Return the name of each scanner that a person sees, by its id."""
    table = tables.scanners.c
    query = sa.select(table.id, table.name, table.site_id).order_by(table.name)
    with store.read() as connection:
        rows = connection.execute(query).all()
    return {row.id: row.name for row in rows if person.sees(row.site_id)}


def group_names(store: Store) -> tuple[str, ...]:
    """Return the groups of experts that somebody belongs to."""
    name = tables.users.c.group_name
    query = sa.select(name).where(name.is_not(None), tables.users.c.disabled_at.is_(None))
    with store.read() as connection:
        return tuple(connection.execute(query.distinct().order_by(name)).scalars())


def row(item: Item, person: Person, names: Names, now: datetime) -> Row:
    """Return a row of the queue as a person may see it."""
    blind = item.blind and item.state is State.OPEN
    claim = item.claimed(now)
    papers = [value for kind, value in item.papers if kind in ("container", "wagon", "plate")]
    return Row(
        id=item.inspection_id,
        level="blind" if blind else item.level.value,
        title=", ".join(papers) or names.files.get(item.scan_sha256, ""),
        scan=item.scan_sha256,
        classes=() if blind else item.classes,
        site=names.sites.get(item.site_id or 0, "") or item.scanner or "",
        since=item.waiting_since,
        waited=now - item.waiting_since,
        why=item.why.value,
        group=item.group,
        verdict=item.verdict,
        holder=claim.name if claim else None,
        mine=claim is not None and claim.user_id == person.id,
        contradicted=item.contradicted and not blind,
    )


def _seen(person: Person) -> sa.ColumnElement[bool]:
    if person.sites is None:
        return sa.true()
    return _QUEUE.c.site_id.in_(person.sites)


def _places() -> sa.Select[Any]:
    return (
        sa.select(
            _QUEUE, tables.users.c.name.label("holder"), tables.sites.c.name.label("site_name")
        )
        .outerjoin(tables.users, tables.users.c.id == _QUEUE.c.claimed_by)
        .outerjoin(tables.sites, tables.sites.c.id == _QUEUE.c.site_id)
    )


def _case(filed: Filed, row: Any, person: Person, now: datetime) -> Case:  # noqa: ANN401
    waits = row.state == "open"
    blind = waits and bool(row.blind)
    held = row.claimed_until is not None and row.claimed_until > timestamp(now)
    return Case(
        filed=filed,
        inspection=withheld(filed.inspection) if blind else filed.inspection,
        state=row.state,
        why=row.why,
        blind=blind,
        since=moment(row.waiting_since) or filed.filed_at,
        site_id=row.site_id,
        site=row.site_name or "",
        group=row.group_name,
        holder=row.holder if held else None,
        mine=held and row.claimed_by == person.id,
    )
