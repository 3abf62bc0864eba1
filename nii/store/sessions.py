"""Sessions: who is logged in. A session is known by the SHA-256 of its token, never by the token.

These rows come and go; that somebody logged in or out stays as an event.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from nii.store import audit, tables, texts, users
from nii.store.database import Store, moment, timestamp
from nii.store.users import User

_TABLE = tables.sessions


@dataclass(frozen=True, slots=True)
class Session:
    """A session as it stands in the store.

    Attributes:
        token_sha256: digest of the token in the browser.
        user_id: who is logged in.
        created_at: time of the login.
        seen_at: time of the last request that was noted.
        ends_at: when it ends at the latest.
        working_since: start of viewing without a break; None where nothing was viewed yet.
    """

    token_sha256: str
    user_id: int
    created_at: datetime
    seen_at: datetime
    ends_at: datetime
    working_since: datetime | None = None


def start(
    store: Store,
    token_sha256: str,
    user_id: int,
    ends_at: datetime,
    at: datetime,
    where: str = "",
) -> Session:
    """Start a session after a good login: forget the wrong tries before it, log the login.

    Raises:
        NiiError: there is no such user.
    """
    with store.write() as connection:
        user = users.joined(connection, user_id)
        if user is None:
            raise texts.refusal(f"user {user_id}", "no such user", "a stored one", "Log in again.")
        row = {
            "token_sha256": token_sha256,
            "user_id": user_id,
            "created_at": timestamp(at),
            "seen_at": timestamp(at),
            "ends_at": timestamp(ends_at),
        }
        connection.execute(sa.insert(_TABLE).values(row))
        clean = {"failures": 0, "locked_until": None}
        own = tables.users.c.id == user_id
        connection.execute(sa.update(tables.users).where(own).values(clean))
        facts = {"login": user.login, "where": where[: texts.NAME_LIMIT]}
        _log(connection, audit.LOGGED_IN, user, facts, at)
    return Session(token_sha256, user_id, at, at, ends_at)


def find(store: Store, token_sha256: str) -> tuple[Session, User] | None:
    """Return a session and its user, or None; whether it is still good is for the caller to say."""
    with store.read() as connection:
        query = sa.select(_TABLE).where(_TABLE.c.token_sha256 == token_sha256)
        row = connection.execute(query).one_or_none()
        user = None if row is None else users.joined(connection, row.user_id)
    return None if row is None or user is None else (_session(row._asdict()), user)


def touch(
    store: Store, token_sha256: str, at: datetime, working_since: datetime | None = None
) -> None:
    """Note a request, and since when the officer has been viewing without a break.

    Each call is a write, so call it when a minute or so has passed, not at every request.
    """
    row = {
        "seen_at": timestamp(at),
        "working_since": None if working_since is None else timestamp(working_since),
    }
    with store.write() as connection:
        own = _TABLE.c.token_sha256 == token_sha256
        connection.execute(sa.update(_TABLE).where(own).values(row))


def end(store: Store, token_sha256: str, at: datetime, why: str = "") -> None:
    """End a session and log it; nothing happens where it is over already."""
    with store.write() as connection:
        own = _TABLE.c.token_sha256 == token_sha256
        row = connection.execute(sa.select(_TABLE.c.user_id).where(own)).one_or_none()
        user = None if row is None else users.joined(connection, row.user_id)
        if user is None:
            return
        connection.execute(sa.delete(_TABLE).where(own))
        _log(connection, audit.LOGGED_OUT, user, {"login": user.login, "why": why}, at)


def sweep(store: Store, seen_before: datetime, at: datetime) -> int:
    """End all sessions that are over or were last seen before a time; return how many."""
    over = (_TABLE.c.ends_at <= timestamp(at)) | (_TABLE.c.seen_at < timestamp(seen_before))
    with store.read() as connection:
        found = list(connection.execute(sa.select(_TABLE.c.token_sha256).where(over)).scalars())
    for token_sha256 in found:
        end(store, token_sha256, at, "expired")
    return len(found)


def _log(
    connection: sa.Connection, kind: str, user: User, facts: dict[str, Any], at: datetime
) -> None:
    payload = {"user_id": user.id, **facts, "by": user.actor.to_json()}
    audit.append(connection, audit.Entry(kind, None, payload), at)


def _session(row: dict[str, Any]) -> Session:
    created, seen, ends = (
        datetime.fromisoformat(row[name]) for name in ("created_at", "seen_at", "ends_at")
    )
    since = moment(row["working_since"])
    return Session(row["token_sha256"], row["user_id"], created, seen, ends, since)
