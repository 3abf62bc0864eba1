"""Tokens of programs: known by their SHA-256, with scopes and an end; every change is an event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from nii.store import audit, tables, texts, users
from nii.store.audit import Actor
from nii.store.database import Store, moment, timestamp
from nii.store.users import User

_TABLE = tables.tokens


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it stands in the store; the secret itself is shown once and never kept.

    Attributes:
        id: counts tokens from 1.
        name: the program that holds it.
        user_id: who made it, and whose sites it sees.
        scopes: what it may do, sorted.
        created_at: when it was made.
        ends_at: when it ends.
        revoked_at: when it was revoked; None if it was not.
    """

    id: int
    name: str
    user_id: int
    scopes: tuple[str, ...]
    created_at: datetime
    ends_at: datetime
    revoked_at: datetime | None = None

    def good(self, now: datetime) -> bool:
        """Return whether it may be used at this time."""
        return self.revoked_at is None and now < self.ends_at


@dataclass(frozen=True, slots=True)
class NewToken:
    """What a token is to be; see :class:`Token`."""

    name: str
    scopes: tuple[str, ...]
    ends_at: datetime

    def __post_init__(self) -> None:
        """Check the texts.

        Raises:
            NiiError: the name cannot be shown, or a scope is no word.
        """
        object.__setattr__(self, "name", texts.name("name", self.name))
        object.__setattr__(self, "scopes", tuple(sorted(set(self.scopes))))
        if not self.scopes or not all(scope and scope.split() == [scope] for scope in self.scopes):
            raise texts.refusal("scopes", f"{self.scopes}", "one or more words", "Name a scope.")


def create(store: Store, token_sha256: str, new: NewToken, by: User, at: datetime) -> Token:
    """Add a token that belongs to a user."""
    row = {
        "token_sha256": token_sha256,
        "name": new.name,
        "user_id": by.id,
        "scopes": " ".join(new.scopes),
        "created_at": timestamp(at),
        "ends_at": timestamp(new.ends_at),
    }
    with store.write() as connection:
        result = connection.execute(sa.insert(_TABLE).values(row).returning(_TABLE.c.id))
        number = int(result.scalar_one())
        facts = {key: row[key] for key in ("name", "scopes", "ends_at")}
        _log(connection, audit.TOKEN_CREATED, number, facts, by.actor, at)
    return Token(number, new.name, by.id, new.scopes, at, new.ends_at)


def find(store: Store, token_sha256: str) -> tuple[Token, User] | None:
    """Return a token and its user, or None; whether it is still good is for the caller to say."""
    with store.read() as connection:
        query = sa.select(_TABLE).where(_TABLE.c.token_sha256 == token_sha256)
        row = connection.execute(query).one_or_none()
        user = None if row is None else users.joined(connection, row.user_id)
    return None if row is None or user is None else (_token(row._asdict()), user)


def listing(store: Store) -> tuple[Token, ...]:
    """Return all tokens, newest first, revoked ones too."""
    with store.read() as connection:
        rows = connection.execute(sa.select(_TABLE).order_by(_TABLE.c.id.desc())).all()
    return tuple(_token(row._asdict()) for row in rows)


def revoke(store: Store, token_id: int, by: Actor, at: datetime) -> None:
    """Make a token useless from now on; nothing happens where it is already.

    Raises:
        NiiError: there is no such token.
    """
    with store.write() as connection:
        query = sa.select(_TABLE).where(_TABLE.c.id == token_id)
        row = connection.execute(query).one_or_none()
        if row is None:
            raise texts.refusal(f"token {token_id}", "no such token", "a stored one", "Check it.")
        if row.revoked_at is not None:
            return
        own = _TABLE.c.id == token_id
        connection.execute(sa.update(_TABLE).where(own).values(revoked_at=timestamp(at)))
        _log(connection, audit.TOKEN_REVOKED, token_id, {"name": row.name}, by, at)


def _log(
    connection: sa.Connection,
    kind: str,
    token_id: int,
    facts: dict[str, Any],
    by: Actor,
    at: datetime,
) -> None:
    payload = {"token_id": token_id, **facts, "by": by.to_json()}
    audit.append(connection, audit.Entry(kind, None, payload), at)


def _token(row: dict[str, Any]) -> Token:
    return Token(
        row["id"],
        row["name"],
        row["user_id"],
        tuple(row["scopes"].split()),
        datetime.fromisoformat(row["created_at"]),
        datetime.fromisoformat(row["ends_at"]),
        moment(row["revoked_at"]),
    )
