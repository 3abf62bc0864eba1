"""Scans that wait for a model: brought by a program, kept, not inspected yet."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from nii.store import audit, tables
from nii.store.database import Store

PUSHED = "pushed"
"""Event: a program brought a scan without an inspection."""
UNINSPECTED = "uninspected"
"""Event: a scan cannot be inspected, and why; it waits no longer."""
_AT_ONCE = 500


def uninspected(store: Store) -> tuple[tuple[str, ...], int]:
    """Return all scans that wait, in the order of their arrival, and the last event so far."""
    scan = tables.scans.c
    known = sa.exists().where(tables.inspections.c.scan_sha256 == scan.sha256)
    query = sa.select(scan.sha256).where(~known).order_by(scan.kept_at, scan.sha256)
    newest = sa.select(sa.func.coalesce(sa.func.max(tables.events.c.number), 0))
    with store.read() as connection:
        last = int(connection.execute(newest).scalar_one())
        found = connection.execute(query).scalars().all()
        given_up = set(_told(connection, UNINSPECTED, 0))
    return tuple(sha256 for sha256 in found if sha256 not in given_up), last


def pushed_after(store: Store, number: int) -> tuple[tuple[str, ...], int]:
    """Return the scans that programs brought after this event, and the last event so far."""
    newest = sa.select(sa.func.coalesce(sa.func.max(tables.events.c.number), 0))
    with store.read() as connection:
        last = int(connection.execute(newest).scalar_one())
        return tuple(_told(connection, PUSHED, number)), last


def inspected_among(store: Store, identities: Collection[str]) -> frozenset[str]:
    """Return which of these scans have an inspection."""
    column, asked, found = tables.inspections.c.scan_sha256, sorted(identities), set[str]()
    with store.read() as connection:
        for start in range(0, len(asked), _AT_ONCE):
            part = asked[start : start + _AT_ONCE]
            found.update(connection.execute(sa.select(column).where(column.in_(part))).scalars())
    return frozenset(found)


def give_up(store: Store, sha256: str, reason: Mapping[str, Any], at: datetime) -> None:
    """Enter into the log that a scan cannot be inspected, once.

    Args:
        store: where the scan is.
        sha256: identity of the scan.
        reason: what was found, what was expected, and what can be done.
        at: time for the record.
    """
    with store.write() as connection:
        if sha256 in _told(connection, UNINSPECTED, 0):
            return
        payload = {"scan_sha256": sha256, "reason": dict(reason)}
        audit.append(connection, audit.Entry(UNINSPECTED, None, payload), at)


def _told(connection: sa.Connection, kind: str, after: int) -> list[str]:
    """Return the scans that events of a kind speak of."""
    event = tables.events.c
    about = (event.inspection_id.is_(None)) & (event.kind == kind) & (event.number > after)
    query = sa.select(event.payload).where(about).order_by(event.number)
    return [json.loads(text)["scan_sha256"] for text in connection.execute(query).scalars()]
