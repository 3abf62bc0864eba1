"""The log of what happened: append-only, each event chained to the one before by SHA-256.

An event's digest covers the digest of the event before it and its own canonical JSON, so nobody
can change or take out an event without breaking every later link. Inspections and decisions are
checked against the event that was written with them. What the chain alone cannot show is that the
*newest* events and their rows were cut off together: keep :func:`head` somewhere else from time to
time and give it to :func:`verify`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from nii.provenance import sha256_of_bytes
from nii.store import tables
from nii.store.database import Store, timestamp

_TABLE = tables.events
ORIGIN_SHA256 = "0" * 64
"""What stands in the first event in place of a digest before it."""

# Evidence: each of these events goes with a record, which :func:`verify` holds against it.
INSPECTED = "inspected"
LINKED = "linked"
DECIDED = "decided"
MARKED = "marked"
EXAMINED = "examined"
_BEFORE_ACCOUNTS = {
    "user_id": None,
    "reason_code": "",
    "why": "new",
    "seconds": None,
    "blind": False,
}
"""What a decision has in the columns that came later than its event."""

# What happened to an inspection.
PACKAGED = "packaged"
EXPORTED = "exported"
VIEWED = "viewed"
CLAIMED = "claimed"
RELEASED = "released"
ASKED = "asked"
REFUSED = "refused"

# What users did, and what was done about them.
LOGGED_IN = "logged in"
LOGGED_OUT = "logged out"
LOGIN_FAILED = "login failed"
USER_CREATED = "user created"
USER_CHANGED = "user changed"
PASSWORD_SET = "password set"  # noqa: S105 - a kind of event, no password
TOKEN_CREATED = "token created"  # noqa: S105 - the same
TOKEN_REVOKED = "token revoked"  # noqa: S105 - the same
SITE_CHANGED = "site changed"
SETTINGS_CHANGED = "settings changed"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be logged: the kind of event, the inspection it is about if any, its facts."""

    kind: str
    inspection_id: int | None
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something: the name as shown then, and the user; None where a program did."""

    name: str
    user_id: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the actor as JSON types."""
        return {"name": self.name, "user_id": self.user_id}


@dataclass(frozen=True, slots=True)
class Head:
    """The newest event: its number (0 where there is none) and its SHA-256."""

    number: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Check:
    """Result of a check of the log.

    Attributes:
        head: the newest event that was read.
        broken_at: number of the first event whose link, facts or record do not hold; None if all
            do. A record without event counts as broken at the number the event would have next.
        reason: what is wrong, in words; empty if nothing is.
    """

    head: Head
    broken_at: int | None = None
    reason: str = ""

    @property
    def intact(self) -> bool:
        """Return whether everything held."""
        return self.broken_at is None


def canonical(data: Any) -> str:  # noqa: ANN401
    """Return JSON in one form only: sorted keys, no white space, ASCII.

    Raises:
        ValueError: a number is infinite or none.
    """
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def append(connection: sa.Connection, entry: Entry, at: datetime) -> Head:
    """Add an event within the writing transaction that `connection` is in."""
    last = _head(connection)
    row = {
        "number": last.number + 1,
        "at": timestamp(at),
        "kind": entry.kind,
        "inspection_id": entry.inspection_id,
        "payload": canonical(entry.payload),
        "previous_sha256": last.sha256,
    }
    digest = _digest(row)
    connection.execute(sa.insert(_TABLE).values(row | {"sha256": digest}))
    return Head(last.number + 1, digest)


def log(store: Store, entry: Entry, at: datetime) -> Head:
    """Add an event in a transaction of its own."""
    with store.write() as connection:
        return append(connection, entry, at)


def head(store: Store) -> Head:
    """Return the newest event."""
    with store.read() as connection:
        return _head(connection)


def verify(store: Store, witness: Head | None = None) -> Check:
    """Check every link of the log and every record that an event speaks of.

    Args:
        store: what to check.
        witness: a head that was noted earlier, somewhere else; it must still be in the log.

    Returns:
        The first thing that does not hold, if any.
    """
    with store.read() as connection:
        last = Head(0, ORIGIN_SHA256)
        for event in connection.execute(sa.select(_TABLE).order_by(_TABLE.c.number)):
            row = event._asdict()
            reason = _broken(connection, row, last)
            if not reason and witness and row["number"] == witness.number:
                reason = "" if row["sha256"] == witness.sha256 else "another event was seen here"
            if reason:
                return Check(last, last.number + 1, reason)
            last = Head(row["number"], row["sha256"])
        if witness and witness.number > last.number:
            return Check(last, last.number + 1, "events that were seen earlier are missing")
        reason = _unlogged(connection)
    return Check(last, last.number + 1, reason) if reason else Check(last)


def _head(connection: sa.Connection) -> Head:
    newest = sa.select(_TABLE.c.number, _TABLE.c.sha256).order_by(_TABLE.c.number.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    return Head(0, ORIGIN_SHA256) if row is None else Head(row.number, row.sha256)


def _digest(row: Mapping[str, Any]) -> str:
    """Return SHA-256 over the digest before, a line feed, and the event as canonical JSON."""
    facts = {key: row[key] for key in ("number", "at", "kind", "inspection_id", "payload")}
    return sha256_of_bytes(f"{row['previous_sha256']}\n{canonical(facts)}".encode())


def _broken(connection: sa.Connection, row: Mapping[str, Any], last: Head) -> str:
    if row["number"] != last.number + 1:
        return f"event {last.number + 1} is missing"
    if row["previous_sha256"] != last.sha256:
        return "the event does not follow the one before it"
    if row["sha256"] != _digest(row):
        return "the event was altered"
    check = {INSPECTED: _inspection_differs, DECIDED: _decision_differs}.get(row["kind"])
    return check(connection, row["inspection_id"], json.loads(row["payload"])) if check else ""


def _inspection_differs(connection: sa.Connection, number: int, payload: dict[str, Any]) -> str:
    table = tables.inspections
    query = sa.select(table).where(table.c.id == number)
    stored = connection.execute(query).one_or_none()
    if stored is None:
        return f"inspection {number} is missing"
    row = stored._asdict()
    files = sa.select(tables.scans.c.files).where(tables.scans.c.sha256 == row["scan_sha256"])
    found = {
        "scan_sha256": row["scan_sha256"],
        "files": json.loads(connection.execute(files).scalar_one_or_none() or "null"),
        "model_sha256": row["model_sha256"],
        "urgency": row["urgency"],
        "filed_at": row["filed_at"],
        "document_sha256": sha256_of_bytes(row["document"].encode()),
    }
    return "" if found == payload else f"inspection {number} was altered"


def _decision_differs(connection: sa.Connection, _number: int, payload: dict[str, Any]) -> str:
    table = tables.decisions
    query = sa.select(table).where(table.c.id == payload["id"])
    row = connection.execute(query).one_or_none()
    if row is None:
        return f"decision {payload['id']} is missing"
    return (
        ""
        if row._asdict() == _BEFORE_ACCOUNTS | payload
        else f"decision {payload['id']} was altered"
    )


def _unlogged(connection: sa.Connection) -> str:
    pairs = ((tables.inspections, INSPECTED), (tables.decisions, DECIDED))
    for table, kind in pairs:
        rows = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        logged = sa.select(sa.func.count()).select_from(_TABLE).where(_TABLE.c.kind == kind)
        if rows != connection.execute(logged).scalar_one():
            return f"{table.name} hold a record without event"
    return ""
