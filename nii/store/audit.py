"""The log of what happened: append-only, each event chained to the one before by SHA-256.

An event's digest covers the digest of the event before it and its own canonical JSON, so nobody
can change or take out an event without breaking every later link. Every record of evidence is
checked against the event that was written with it. What the chain alone cannot show is that the
*newest* events and their records were cut off together: keep :func:`head` somewhere else from time
to time and give it to :func:`verify`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from nii.provenance import sha256_of_bytes
from nii.store import records, tables
from nii.store.database import Store, timestamp
from nii.store.records import MOST_FAULTS, Fault, Records, Said

_TABLE = tables.events
_AT_ONCE = 500
_KIND_LIMIT = 32
ORIGIN_SHA256 = "0" * 64
"""What stands in the first event in place of a digest before it."""

# Evidence: each of these events goes with a record, which is held against it.
INSPECTED = "inspected"
LINKED = "linked"
DECIDED = "decided"
MARKED = "marked"
EXAMINED = "examined"

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

    def __post_init__(self) -> None:
        """Check that the kind fits its column in every engine.

        Raises:
            ValueError: it is empty or too long.
        """
        if not 0 < len(self.kind) <= _KIND_LIMIT:
            msg = f"a kind of event of {len(self.kind)} characters"
            raise ValueError(msg)


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
class Event:
    """An event as it stands in the log.

    Attributes:
        number: counts events from 1 without a gap.
        at: when it was logged.
        kind: what happened.
        inspection_id: what it is about; None where it is about a user, a site or settings.
        payload: its facts, as JSON types.
        previous_sha256: digest of the event before.
        sha256: its digest.
    """

    number: int
    at: datetime
    kind: str
    inspection_id: int | None
    payload: dict[str, Any]
    previous_sha256: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Check:
    """Result of a check of the log.

    Attributes:
        head: the newest event that was read.
        faults: what does not hold, by the number of the event; at most `MOST_FAULTS`.
    """

    head: Head
    faults: tuple[Fault, ...] = ()

    @property
    def intact(self) -> bool:
        """Return whether everything held."""
        return not self.faults

    @property
    def broken_at(self) -> int | None:
        """Return the number of the first event at which something does not hold."""
        return self.faults[0].number if self.faults else None

    @property
    def reason(self) -> str:
        """Return the first thing that does not hold, in words; empty if everything does."""
        return self.faults[0].reason if self.faults else ""


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
    digest = digest_of(row)
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
        What does not hold, if anything, and the newest event.
    """
    last, faults = Head(0, ORIGIN_SHA256), list[Fault]()
    walks = _records()
    with store.read() as connection:
        while rows := _batch(connection, last.number):
            good = []
            for row in rows:
                found = _broken(row, last, witness)
                faults += found
                good += [] if found else [row]
                last = Head(row["number"], row["sha256"])
            faults += _compare(connection, walks, good)
            if len(faults) >= MOST_FAULTS:
                break
        else:
            for kind in walks.values():
                faults += kind.rest(connection, last.number + 1)
            if witness is not None and witness.number > last.number:
                faults.append(Fault(last.number + 1, "events that were seen earlier are missing"))
    faults.sort(key=lambda fault: fault.number)
    return Check(last, tuple(faults[:MOST_FAULTS]))


def events_after(
    store: Store, number: int, limit: int = 500, kinds: tuple[str, ...] = ()
) -> tuple[Event, ...]:
    """Return the events that follow a number, oldest first; only these kinds, if any are named."""
    query = sa.select(_TABLE).where(_TABLE.c.number > number)
    if kinds:
        query = query.where(_TABLE.c.kind.in_(kinds))
    return _events(store, query.order_by(_TABLE.c.number).limit(limit))


def of_inspection(store: Store, inspection_id: int) -> tuple[Event, ...]:
    """Return all events about an inspection, oldest first."""
    query = sa.select(_TABLE).where(_TABLE.c.inspection_id == inspection_id)
    return _events(store, query.order_by(_TABLE.c.number))


def digest_of(row: Mapping[str, Any]) -> str:
    """Return SHA-256 over the digest before, a line feed, and the event as canonical JSON.

    Args:
        row: number, at, kind, inspection_id, payload and previous_sha256 as the table holds them.
    """
    facts = {key: row[key] for key in ("number", "at", "kind", "inspection_id", "payload")}
    return sha256_of_bytes(f"{row['previous_sha256']}\n{canonical(facts)}".encode())


def _head(connection: sa.Connection) -> Head:
    newest = sa.select(_TABLE.c.number, _TABLE.c.sha256).order_by(_TABLE.c.number.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    return Head(0, ORIGIN_SHA256) if row is None else Head(row.number, row.sha256)


def _events(store: Store, query: sa.Select[Any]) -> tuple[Event, ...]:
    with store.read() as connection:
        rows = [row._asdict() for row in connection.execute(query)]
    return tuple(
        Event(
            **row | {"at": datetime.fromisoformat(row["at"]), "payload": json.loads(row["payload"])}
        )
        for row in rows
    )


def _records() -> dict[str, Records]:
    return {
        INSPECTED: records.inspections(),
        LINKED: records.others("document", tables.documents),
        DECIDED: records.others("decision", tables.decisions),
        MARKED: records.others("mark", tables.marks),
        EXAMINED: records.others("outcome", tables.outcomes),
    }


def _batch(connection: sa.Connection, after: int) -> list[dict[str, Any]]:
    table = _TABLE
    query = sa.select(table).where(table.c.number > after).order_by(table.c.number)
    return [row._asdict() for row in connection.execute(query.limit(_AT_ONCE))]


def _broken(row: dict[str, Any], last: Head, witness: Head | None) -> list[Fault]:
    number, found = row["number"], list[Fault]()
    if number != last.number + 1:
        first, last_gone = last.number + 1, number - 1
        gone = f"event {first} is" if first >= last_gone else f"events {first} to {last_gone} are"
        found.append(Fault(first, f"{gone} missing"))
    elif row["previous_sha256"] != last.sha256:
        found.append(Fault(number, f"event {number} does not follow the one before it"))
    if row["sha256"] != digest_of(row):
        found.append(Fault(number, f"event {number} was altered"))
    if witness is not None and number == witness.number and row["sha256"] != witness.sha256:
        found.append(Fault(number, f"another event {number} was seen earlier"))
    return found


def _compare(
    connection: sa.Connection, walks: dict[str, Records], events: list[dict[str, Any]]
) -> list[Fault]:
    said: dict[str, Said] = {}
    faults: list[Fault] = []
    for event in events:
        kind, number = event["kind"], event["number"]
        if kind not in walks:
            continue
        payload = json.loads(event["payload"])
        each = payload["documents"] if kind == LINKED else [payload]
        for facts in each:
            record = event["inspection_id"] if kind == INSPECTED else facts["id"]
            known = said.setdefault(kind, {})
            if record in known:
                name = walks[kind].name
                faults.append(Fault(number, f"{name} {record} comes out of order"))
            known[record] = (number, facts)
    for kind, known in said.items():
        faults += walks[kind].compare(connection, known)
    return faults
