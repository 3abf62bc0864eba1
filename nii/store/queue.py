"""The queue: what waits for an officer, most urgent first; filters, pages and counts.

Each inspection has one row, made when it is filed. The row follows from events, which are the
record; it is here so that a page of 200,000 inspections comes at once. What moves a row is in
:mod:`nii.store.claims` and :mod:`nii.store.decisions`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from nii.errors import NiiError
from nii.inspection import Inspection, Level
from nii.store import settings, tables, texts
from nii.store.database import Store, moment, timestamp
from nii.store.search import Search
from nii.store.sites import Scanner

_TABLE = tables.queue
SETTINGS = "queue"
"""Name under which the settings of the queue are stored."""
_LEVELS = tuple(Level)
_CONTRADICTED = '"contradicted":true'
"""What the canonical JSON of an inspection holds where a declaration is contradicted, and no other:
within a text the quotes would be escaped."""


class State(StrEnum):
    """Where a row stands: waiting, decided, or replaced by a newer inspection of the same scan."""

    OPEN = "open"
    DECIDED = "decided"
    SUPERSEDED = "superseded"


class Why(StrEnum):
    """What a row waits for: a first look, another officer, a supervisor, experts, an audit."""

    NEW = "new"
    SECOND = "second"
    RECHECK = "recheck"
    GROUP = "group"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """Say how the queue is run. One store has one set of these; see :mod:`nii.store.settings`."""

    audit_share: float = 0.02
    """Share of the scans called clear that are drawn for an officer to check, 0 to 1."""
    audit_wait_minutes: float = 60.0
    """Minutes after which a drawn clear scan goes before everything else."""
    blind_share: float = 0.0
    """Share of all scans whose regions are shown only after the decision, 0 to 1."""
    claim_minutes: float = 10.0
    """Minutes for which a claim keeps others away."""
    reason_from: Level = Level.SEARCH
    """Lowest level that is not released without a reason code."""
    second_from: Level | None = None
    """Lowest level whose release waits for a second officer; None asks for none."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: a share or a time is out of its range.
        """
        for share in (self.audit_share, self.blind_share):
            if not 0.0 <= share <= 1.0:
                msg = f"the share {share} is not from 0 to 1"
                raise ValueError(msg)
        if not (self.claim_minutes > 0.0 and self.audit_wait_minutes >= 0.0):
            msg = "a claim lasts longer than no time, and no time is below zero"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Claim:
    """Who is at work on a scan, and until when that keeps others away."""

    user_id: int
    name: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Item:
    """A row of the queue with what a list shows of it.

    Attributes:
        inspection_id: the inspection.
        scan_sha256: its scan.
        state: open, decided or superseded.
        why: what it waits for, or was waiting for when it was decided.
        level: the model's advice.
        risk: sorts within a level, 0 to 1.
        waiting_since: when it began to wait for what it waits for.
        filed_at: when the inspection was stored.
        site: code of the site; None where the scanner stands at none.
        site_id: the site.
        scanner: name of the scanner; None where the scan names none.
        group: group of experts that is asked.
        blind: regions are shown only after the decision.
        sampled: called clear, and drawn for a check.
        claim: who has claimed it; over where its time is past.
        not_by: user who may not decide now.
        verdict: of the newest decision.
        decided_at: time of the newest decision.
        classes: classes of the regions, most urgent first, each once.
        papers: kind and value of its documents.
        contradicted: a container was declared empty and is not.
    """

    inspection_id: int
    scan_sha256: str
    state: State
    why: Why
    level: Level
    risk: float
    waiting_since: datetime
    filed_at: datetime
    site: str | None
    site_id: int | None
    scanner: str | None
    group: str | None
    blind: bool
    sampled: bool
    claim: Claim | None
    not_by: int | None
    verdict: str | None
    decided_at: datetime | None
    classes: tuple[str, ...]
    papers: tuple[tuple[str, str], ...]
    contradicted: bool = False

    @property
    def cursor(self) -> str:
        """Return the place of this row, for :attr:`Query.after`."""
        waiting = timestamp(self.waiting_since)
        return f"{self.level.rank}_{self.risk!r}_{waiting}_{self.inspection_id}"

    def claimed(self, now: datetime) -> Claim | None:
        """Return the claim that keeps others away at this time, if there is one."""
        return self.claim if self.claim is not None and now < self.claim.until else None


@dataclass(frozen=True, slots=True)
class Query:
    """Say which rows a page shows."""

    sites: tuple[int, ...] | None = None
    """Ids of the sites that the reader may see; None for all, also those without a site."""
    site_id: int | None = None
    """Only this site."""
    scanner_id: int | None = None
    """Only this scanner."""
    level: Level | None = None
    """Only this level; counts do not heed it."""
    class_name: str | None = None
    """Only inspections with a region of this class."""
    document: str | None = None
    """Only scans with a document whose value begins so."""
    since: datetime | None = None
    """Only inspections filed at this time or later."""
    until: datetime | None = None
    """Only inspections filed before this time."""
    state: State | None = State.OPEN
    """Only rows in this state; None for all."""
    why: Why | None = None
    """Only rows that wait for this."""
    group: str | None = None
    """Only rows for this group of experts."""
    mine: int | None = None
    """Only rows that this user has claimed, whether the claim still holds or not."""
    order: Literal["urgent", "newest"] = "urgent"
    """Level, then risk, then age; or the newest inspections first."""
    limit: int = 50
    """Highest number of rows on the page."""
    after: str | None = None
    """Cursor of the last row of the page before; None starts at the top."""

    def __post_init__(self) -> None:
        """Check what people type.

        Raises:
            NiiError: a text is too long or cannot be shown, or the page has no row.
        """
        for name in ("class_name", "document", "group"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, texts.optional(name, value, 128) or None)
        if self.limit < 1:
            raise texts.refusal("limit", f"{self.limit}", "1 or more", "Ask for more.")


def page(store: Store, query: Query) -> tuple[Item, ...]:
    """Return a page of the queue.

    Raises:
        NiiError: `after` is no cursor.
    """
    with store.read() as connection:
        return _page(connection, query)


def _page(connection: sa.Connection, query: Query) -> tuple[Item, ...]:
    searched = tuple(_search(query).conditions(_TABLE.c.inspection_id, connection))
    if query.state is None and query.order == "urgent":
        # The index of the order begins with the state: the best of each state, then of these.
        parts = [_rows(replace(query, state=state), searched).subquery() for state in State]
        rows = sa.union_all(*(sa.select(part) for part in parts)).subquery().c
        found = sa.select(rows.inspection_id).order_by(*_order(query, rows)).limit(query.limit)
    else:
        found = _rows(query, searched)
    numbers = connection.execute(found).scalars().all()
    items = items_of(connection, tuple(numbers))
    return tuple(items[number] for number in numbers)


def _rows(query: Query, searched: Sequence[sa.ColumnElement[bool]]) -> sa.Select[Any]:
    """Return what selects the rows of a page, in order; the number of the inspection first."""
    place = (_TABLE.c.inspection_id, _TABLE.c.urgency, _TABLE.c.risk, _TABLE.c.waiting_since)
    statement = sa.select(*place)
    for condition in (*_conditions(query), *searched):
        statement = statement.where(condition)
    if query.level is not None:
        statement = statement.where(_TABLE.c.urgency == query.level.rank)
    if query.after is not None:
        statement = statement.where(_beyond(query))
    return statement.order_by(*_order(query, _TABLE.c)).limit(query.limit)


def counts(store: Store, query: Query) -> dict[Level, int]:
    """Return how many rows each level has, whatever level and page the query asks for."""
    statement = sa.select(_TABLE.c.urgency, sa.func.count()).group_by(_TABLE.c.urgency)
    for condition in (*_conditions(query), *_search(query).conditions(_TABLE.c.inspection_id)):
        statement = statement.where(condition)
    with store.read() as connection:
        found: dict[int, int] = {row[0]: row[1] for row in connection.execute(statement)}
    return {level: found.get(level.rank, 0) for level in Level}


def get(store: Store, inspection_id: int) -> Item | None:
    """Return the row of one inspection, or None if there is no such inspection."""
    with store.read() as connection:
        return items_of(connection, (inspection_id,)).get(inspection_id)


def place(
    connection: sa.Connection,
    inspection_id: int,
    inspection: Inspection,
    scanner: Scanner | None,
    at: datetime,
) -> None:
    """Give a new inspection its row, within the transaction that files it.

    An earlier inspection of the same scan by another model leaves the queue, unless an officer is
    at work on it. Where the scan was decided on already, the new row waits only if the new model
    asks for more than the old one did.
    """
    rules = settings.read(connection, SETTINGS, QueueSettings)
    key = settings.draw_key(connection, at)
    identity = str(inspection.scan.sha256)
    sampled = inspection.level is Level.CLEAR and _drawn(key, "audit", identity, rules.audit_share)
    decided = _supersede(connection, inspection_id, identity, inspection.level, at)
    row = {
        "inspection_id": inspection_id,
        "state": State.OPEN.value,
        "why": (Why.AUDIT if sampled else Why.NEW).value,
        "urgency": inspection.level.rank,
        "risk": risk(inspection),
        "waiting_since": timestamp(at),
        "filed_at": timestamp(at),
        "site_id": None if scanner is None else scanner.site_id,
        "scanner_id": None if scanner is None else scanner.id,
        "blind": _drawn(key, "blind", identity, rules.blind_share),
        "sampled": sampled,
        **decided,
    }
    connection.execute(sa.insert(_TABLE).values(row))


def risk(inspection: Inspection) -> float:
    """Return what sorts inspections of one level: the highest score, or how unusual the scan is.

    That is the highest score of its regions; without regions that of the anomaly map, and without
    one the highest share of benign containers of the site that are less unusual. A container that
    was declared empty and is not counts as its probability to be loaded, where that is more.
    """
    against = [one.probability or 0.0 for one in inspection.declarations if one.contradicted]
    if inspection.regions:
        return max((*against, *(region.score for region in inspection.regions)))
    if inspection.anomaly is not None:
        return max((*against, inspection.anomaly.score))
    return max((*against, *(one.share for one in inspection.attention)), default=0.0)


def items_of(connection: sa.Connection, numbers: tuple[int, ...]) -> dict[int, Item]:
    """Return the rows of these inspections, by number, with what a list shows of them."""
    inspections, users = tables.inspections, tables.users
    joined = (
        _TABLE.join(inspections, inspections.c.id == _TABLE.c.inspection_id)
        .outerjoin(tables.sites, tables.sites.c.id == _TABLE.c.site_id)
        .outerjoin(tables.scanners, tables.scanners.c.id == _TABLE.c.scanner_id)
        .outerjoin(users, users.c.id == _TABLE.c.claimed_by)
    )
    columns = (
        _TABLE,
        inspections.c.scan_sha256,
        tables.sites.c.code.label("site"),
        tables.scanners.c.name.label("scanner"),
        users.c.name.label("claimed_name"),
        inspections.c.document.contains(_CONTRADICTED, autoescape=True).label("contradicted"),
    )
    query = sa.select(*columns).select_from(joined).where(_TABLE.c.inspection_id.in_(numbers))
    rows = [row._asdict() for row in connection.execute(query)]
    classes = _classes(connection, numbers)
    papers = _papers(connection, tuple(row["scan_sha256"] for row in rows))
    return {
        row["inspection_id"]: _item(
            row, classes.get(row["inspection_id"], ()), papers.get(row["scan_sha256"], ())
        )
        for row in rows
    }


def in_sites(sites: tuple[int, ...] | None) -> sa.ColumnElement[bool]:
    """Return the condition that a row belongs to one of these sites; all where they are None."""
    return sa.true() if sites is None else _TABLE.c.site_id.in_(sites)


def _conditions(query: Query) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if query.sites is not None:
        found.append(in_sites(query.sites))
    values = {
        _TABLE.c.state: query.state,
        _TABLE.c.why: query.why,
        _TABLE.c.site_id: query.site_id,
        _TABLE.c.scanner_id: query.scanner_id,
        _TABLE.c.group_name: query.group,
        _TABLE.c.claimed_by: query.mine,
    }
    found += [column == value for column, value in values.items() if value is not None]
    if query.since is not None:
        found.append(_TABLE.c.filed_at >= timestamp(query.since))
    if query.until is not None:
        found.append(_TABLE.c.filed_at < timestamp(query.until))
    return found


def _search(query: Query) -> Search:
    return Search(query.class_name, query.document)


def _order(
    query: Query, rows: ReadOnlyColumnCollection[str, sa.ColumnElement[Any]]
) -> tuple[sa.ColumnElement[Any], ...]:
    if query.order == "newest":
        return (rows.inspection_id.desc(),)
    return (rows.urgency.desc(), rows.risk.desc(), rows.waiting_since, rows.inspection_id)


def _beyond(query: Query) -> sa.ColumnElement[bool]:
    """Return the condition that a row comes after the cursor; the first part serves the index."""
    urgency, score, waiting, number = _cursor(query.after or "")
    table = _TABLE.c
    if query.order == "newest":
        return table.inspection_id < number
    later = (table.waiting_since > waiting) | (
        (table.waiting_since == waiting) & (table.inspection_id > number)
    )
    lower = (table.risk < score) | ((table.risk == score) & later)
    return (table.urgency <= urgency) & ((table.urgency < urgency) | lower)


def _cursor(text: str) -> tuple[int, float, str, int]:
    try:
        urgency, score, waiting, number = text.split("_")
        return int(urgency), float(score), timestamp(datetime.fromisoformat(waiting)), int(number)
    except ValueError as error:
        raise NiiError(
            "the place in the queue",
            found=repr(text[:100]),
            expected="the cursor of a row",
            remedy="Start at the top.",
        ) from error


def _supersede(
    connection: sa.Connection, inspection_id: int, identity: str, level: Level, at: datetime
) -> dict[str, Any]:
    """Take earlier rows of the scan out of the queue; return what the new one takes over."""
    table = tables.inspections
    own = (table.c.scan_sha256 == identity) & (table.c.id != inspection_id)
    earlier = sa.select(table.c.id).where(own)
    mine = _TABLE.c.inspection_id.in_(earlier)
    free = _TABLE.c.claimed_until.is_(None) | (_TABLE.c.claimed_until <= timestamp(at))
    waiting = mine & (_TABLE.c.state == State.OPEN.value) & free
    connection.execute(sa.update(_TABLE).where(waiting).values(state=State.SUPERSEDED.value))
    decided = mine & (_TABLE.c.state == State.DECIDED.value) & (_TABLE.c.urgency >= level.rank)
    query = sa.select(_TABLE.c.state, _TABLE.c.verdict, _TABLE.c.decided_at).where(decided)
    newest = connection.execute(query.order_by(_TABLE.c.decided_at.desc()).limit(1)).one_or_none()
    return {} if newest is None else newest._asdict()


def _drawn(key: bytes, purpose: str, identity: str, share: float) -> bool:
    digest = hmac.new(key, f"{purpose}:{identity}".encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:8], "big") < share * 2.0**64


def _classes(connection: sa.Connection, numbers: tuple[int, ...]) -> dict[int, tuple[str, ...]]:
    table = tables.regions
    query = sa.select(table.c.inspection_id, table.c.class_name)
    query = query.where(table.c.inspection_id.in_(numbers))
    found: dict[int, tuple[str, ...]] = {}
    for row in connection.execute(query.order_by(table.c.inspection_id, table.c.number)):
        classes = found.get(row.inspection_id, ())
        if row.class_name not in classes:
            found[row.inspection_id] = (*classes, row.class_name)
    return found


def _papers(
    connection: sa.Connection, scans: tuple[str, ...]
) -> dict[str, tuple[tuple[str, str], ...]]:
    table = tables.documents
    query = sa.select(table.c.scan_sha256, table.c.kind, table.c.value)
    query = query.where(table.c.scan_sha256.in_(scans)).order_by(table.c.id)
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for row in connection.execute(query):
        found[row.scan_sha256] = (*found.get(row.scan_sha256, ()), (row.kind, row.value))
    return found


def _item(
    row: dict[str, Any], classes: tuple[str, ...], papers: tuple[tuple[str, str], ...]
) -> Item:
    claim = None
    if row["claimed_by"] is not None:
        until = datetime.fromisoformat(row["claimed_until"])
        claim = Claim(row["claimed_by"], row["claimed_name"], until)
    return Item(
        inspection_id=row["inspection_id"],
        scan_sha256=row["scan_sha256"],
        state=State(row["state"]),
        why=Why(row["why"]),
        level=_LEVELS[row["urgency"]],
        risk=row["risk"],
        waiting_since=datetime.fromisoformat(row["waiting_since"]),
        filed_at=datetime.fromisoformat(row["filed_at"]),
        site=row["site"],
        site_id=row["site_id"],
        scanner=row["scanner"],
        group=row["group_name"],
        blind=row["blind"],
        sampled=row["sampled"],
        claim=claim,
        not_by=row["not_by"],
        verdict=row["verdict"],
        decided_at=moment(row["decided_at"]),
        classes=classes,
        papers=papers,
        contradicted=bool(row["contradicted"]),
    )


def must(connection: sa.Connection, inspection_id: int) -> Item:
    """Return the row of an inspection within an open transaction.

    Raises:
        NiiError: there is no such inspection.
    """
    item = items_of(connection, (inspection_id,)).get(inspection_id)
    if item is None:
        subject = f"inspection {inspection_id}"
        raise texts.refusal(subject, "no such inspection", "a stored one", "Check the id.")
    return item
