"""Users: who may log in, as what, at which sites; every change is an event.

Passwords are hashed and rules are kept in :mod:`nii.review`; here stands what has to outlive a
restart. No hash and no digest of a secret ever goes into an event.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from nii.store import audit, tables, texts
from nii.store.audit import Actor
from nii.store.database import Store, moment, timestamp

_TABLE = tables.users
_SITES = tables.user_sites


class Role(StrEnum):
    """What a user may do: decide; also check others; also manage; only read."""

    OFFICER = "officer"
    SUPERVISOR = "supervisor"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Profile:
    """What an administrator says of a user.

    Attributes:
        name: as decisions show it.
        role: what the user may do.
        language: of the pages, such as ``en``.
        group: group of experts that it belongs to; None for none.
        sites: ids of the sites it sees; None for all.
    """

    name: str
    role: Role
    language: str = "en"
    group: str | None = None
    sites: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Check what is shown to others.

        Raises:
            NiiError: a text is missing, too long or cannot be shown, or `sites` is empty.
        """
        object.__setattr__(self, "name", texts.name("name", self.name))
        object.__setattr__(self, "language", texts.name("language", self.language, 8))
        object.__setattr__(self, "group", texts.optional("group", self.group or "", 64) or None)
        if self.sites is not None:
            object.__setattr__(self, "sites", tuple(sorted(set(self.sites))))
            if not self.sites:
                raise texts.refusal("sites", "no site", "one or more, or None", "Name a site.")


@dataclass(frozen=True, slots=True)
class Credentials:
    """How a user proves to be that user.

    Attributes:
        password_hash: Argon2id; None where it logs in through OpenID Connect only.
        subject: issuer and subject of OpenID Connect; None where it has none.
        must_change: the password is a one-time one.
    """

    password_hash: str | None = field(default=None, repr=False)
    subject: str | None = None
    must_change: bool = False


@dataclass(frozen=True, slots=True)
class User:
    """A user as it stands in the store."""

    id: int
    login: str
    profile: Profile
    credentials: Credentials
    failures: int
    locked_until: datetime | None
    disabled_at: datetime | None
    created_at: datetime

    @property
    def actor(self) -> Actor:
        """Return the user as the log names it."""
        return Actor(self.profile.name, self.id)

    def locked(self, now: datetime) -> bool:
        """Return whether too many wrong passwords keep it out at this time."""
        return self.locked_until is not None and now < self.locked_until


def create(
    store: Store,
    login: str,
    profile: Profile,
    credentials: Credentials,
    by: Actor,
    at: datetime,
) -> User:
    """Add a user.

    Raises:
        NiiError: the login or the subject is taken, a text cannot be shown, or a site is unknown.
    """
    with store.write() as connection:
        return _create(connection, login, profile, credentials, by, at)


def create_first(
    store: Store, login: str, profile: Profile, credentials: Credentials, at: datetime
) -> User | None:
    """Add the first user, or return None where there is one already; two at once make one."""
    with store.write() as connection:
        if connection.execute(sa.select(sa.exists().select_from(_TABLE))).scalar_one():
            return None
        by = Actor("first start")
        return _create(connection, login, profile, credentials, by, at)


def get(store: Store, user_id: int) -> User | None:
    """Return the user with this id, or None."""
    return _one(store, _TABLE.c.id == user_id)


def by_login(store: Store, login: str) -> User | None:
    """Return the user with this login, or None; case and surrounding white space do not count."""
    return _one(store, _TABLE.c.login == login.strip().lower())


def by_subject(store: Store, subject: str) -> User | None:
    """Return the user with this issuer and subject of OpenID Connect, or None."""
    return _one(store, _TABLE.c.subject == subject)


def listing(store: Store) -> tuple[User, ...]:
    """Return all users by login, disabled ones too."""
    with store.read() as connection:
        rows = connection.execute(sa.select(_TABLE).order_by(_TABLE.c.login)).all()
        return tuple(_user(connection, row._asdict()) for row in rows)


def change(store: Store, user_id: int, profile: Profile, by: Actor, at: datetime) -> User:
    """Change what is said of a user.

    Raises:
        NiiError: there is no such user or site, or the last administrator would be gone.
    """
    with store.write() as connection:
        before = _must(connection, user_id)
        _update(connection, user_id, _profile_row(profile))
        _set_sites(connection, user_id, profile.sites)
        _check_administrator(connection, before)
        facts = {"login": before.login, **_said(profile)}
        _log(connection, audit.USER_CHANGED, user_id, facts, by, at)
        return _must(connection, user_id)


def set_password(
    store: Store,
    user_id: int,
    password_hash: str,
    by: Actor,
    at: datetime,
    *,
    must_change: bool = False,
) -> None:
    """Set another password, unlock the user, and end all its sessions.

    Raises:
        NiiError: there is no such user.
    """
    with store.write() as connection:
        user = _must(connection, user_id)
        row = {"password_hash": password_hash, "must_change": must_change}
        _update(connection, user_id, row | {"failures": 0, "locked_until": None})
        _end_sessions(connection, user_id)
        facts = {"login": user.login, "must_change": must_change}
        _log(connection, audit.PASSWORD_SET, user_id, facts, by, at)


def set_language(store: Store, user_id: int, language: str) -> None:
    """Keep the language of the pages; no event, since nothing of weight changes.

    Raises:
        NiiError: the language is no name of one.
    """
    language = texts.name("language", language, 8)
    with store.write() as connection:
        _update(connection, user_id, {"language": language})


def failed(
    store: Store, user_id: int, locked_until: datetime | None, at: datetime, where: str = ""
) -> int:
    """Count a wrong password and lock the user until a time, if one is given; return the count.

    Args:
        store: where the user stands.
        user_id: whose password was wrong.
        locked_until: end of the lock; None locks nothing and leaves a lock as it is.
        at: time of the try.
        where: address that the try came from.

    Raises:
        NiiError: there is no such user.
    """
    with store.write() as connection:
        user = _must(connection, user_id)
        row: dict[str, Any] = {"failures": user.failures + 1}
        if locked_until is not None:
            row["locked_until"] = timestamp(locked_until)
        _update(connection, user_id, row)
        facts = {
            "login": user.login,
            "failures": user.failures + 1,
            "locked_until": row.get("locked_until"),
            "where": where[: texts.NAME_LIMIT],
        }
        _log(connection, audit.LOGIN_FAILED, user_id, facts, Actor("nobody"), at)
    return user.failures + 1


def unlock(store: Store, user_id: int, by: Actor, at: datetime) -> None:
    """Let a locked user try again.

    Raises:
        NiiError: there is no such user.
    """
    with store.write() as connection:
        user = _must(connection, user_id)
        _update(connection, user_id, {"failures": 0, "locked_until": None})
        facts = {"login": user.login, "unlocked": True}
        _log(connection, audit.USER_CHANGED, user_id, facts, by, at)


def disable(store: Store, user_id: int, by: Actor, at: datetime) -> None:
    """Keep a user out from now on: end its sessions, revoke its tokens, release its claims.

    Raises:
        NiiError: there is no such user, or it is the last administrator.
    """
    with store.write() as connection:
        user = _must(connection, user_id)
        _update(connection, user_id, {"disabled_at": timestamp(at)})
        _check_administrator(connection, user)
        _end_sessions(connection, user_id)
        own = (tables.tokens.c.user_id == user_id) & tables.tokens.c.revoked_at.is_(None)
        connection.execute(sa.update(tables.tokens).where(own).values(revoked_at=timestamp(at)))
        claimed = tables.queue.c.claimed_by == user_id
        free = {"claimed_by": None, "claimed_until": None}
        connection.execute(sa.update(tables.queue).where(claimed).values(free))
        facts = {"login": user.login, "disabled": True}
        _log(connection, audit.USER_CHANGED, user_id, facts, by, at)


def enable(store: Store, user_id: int, by: Actor, at: datetime) -> None:
    """Let a disabled user in again.

    Raises:
        NiiError: there is no such user.
    """
    with store.write() as connection:
        user = _must(connection, user_id)
        _update(connection, user_id, {"disabled_at": None, "failures": 0, "locked_until": None})
        facts = {"login": user.login, "disabled": False}
        _log(connection, audit.USER_CHANGED, user_id, facts, by, at)


def joined(connection: sa.Connection, user_id: int) -> User | None:
    """Return a user within an open transaction, or None."""
    found = connection.execute(sa.select(_TABLE).where(_TABLE.c.id == user_id)).one_or_none()
    return None if found is None else _user(connection, found._asdict())


def _create(
    connection: sa.Connection,
    login: str,
    profile: Profile,
    credentials: Credentials,
    by: Actor,
    at: datetime,
) -> User:
    login = texts.name("login", login, 64).lower()
    row = {
        "login": login,
        **_profile_row(profile),
        "password_hash": credentials.password_hash,
        "subject": credentials.subject,
        "must_change": credentials.must_change,
        "failures": 0,
        "created_at": timestamp(at),
    }
    taken = _TABLE.c.login == login
    if credentials.subject is not None:
        taken |= _TABLE.c.subject == credentials.subject
    if connection.execute(sa.select(sa.exists().where(taken))).scalar_one():
        raise texts.refusal(
            login, "a login or subject that is taken", "a new one", "Choose another login."
        )
    result = connection.execute(sa.insert(_TABLE).values(row).returning(_TABLE.c.id))
    user_id = int(result.scalar_one())
    _set_sites(connection, user_id, profile.sites)
    facts = {"login": login, **_said(profile), "subject": credentials.subject}
    _log(connection, audit.USER_CREATED, user_id, facts, by, at)
    return _must(connection, user_id)


def _profile_row(profile: Profile) -> dict[str, Any]:
    return {
        "name": profile.name,
        "role": profile.role.value,
        "language": profile.language,
        "group_name": profile.group,
    }


def _said(profile: Profile) -> dict[str, Any]:
    sites = None if profile.sites is None else list(profile.sites)
    return {"name": profile.name, "role": profile.role, "group": profile.group, "sites": sites}


def _set_sites(connection: sa.Connection, user_id: int, sites: tuple[int, ...] | None) -> None:
    connection.execute(sa.delete(_SITES).where(_SITES.c.user_id == user_id))
    if sites is None:
        return
    known = sa.select(sa.func.count()).where(tables.sites.c.id.in_(sites))
    if connection.execute(known).scalar_one() != len(sites):
        raise texts.refusal("sites", f"{list(sites)}", "sites of this store", "Add the site.")
    rows = [{"user_id": user_id, "site_id": site} for site in sites]
    connection.execute(sa.insert(_SITES), rows)


def _check_administrator(connection: sa.Connection, before: User) -> None:
    if before.profile.role is not Role.ADMINISTRATOR or before.disabled_at is not None:
        return
    able = (_TABLE.c.role == Role.ADMINISTRATOR.value) & _TABLE.c.disabled_at.is_(None)
    if not connection.execute(sa.select(sa.exists().where(able))).scalar_one():
        raise texts.refusal(
            "users",
            "no administrator left",
            "one that can log in",
            "Make another user an administrator first.",
        )


def _end_sessions(connection: sa.Connection, user_id: int) -> None:
    table = tables.sessions
    connection.execute(sa.delete(table).where(table.c.user_id == user_id))


def _update(connection: sa.Connection, user_id: int, row: dict[str, Any]) -> None:
    connection.execute(sa.update(_TABLE).where(_TABLE.c.id == user_id).values(row))


def _log(
    connection: sa.Connection,
    kind: str,
    user_id: int,
    facts: dict[str, Any],
    by: Actor,
    at: datetime,
) -> None:
    payload = {"user_id": user_id, **facts, "by": by.to_json()}
    audit.append(connection, audit.Entry(kind, None, payload), at)


def _one(store: Store, condition: sa.ColumnElement[bool]) -> User | None:
    with store.read() as connection:
        row = connection.execute(sa.select(_TABLE).where(condition)).one_or_none()
        return None if row is None else _user(connection, row._asdict())


def _must(connection: sa.Connection, user_id: int) -> User:
    user = joined(connection, user_id)
    if user is None:
        raise texts.refusal(f"user {user_id}", "no such user", "a stored one", "Check the id.")
    return user


def _user(connection: sa.Connection, row: dict[str, Any]) -> User:
    sites = sa.select(_SITES.c.site_id).where(_SITES.c.user_id == row["id"])
    seen = tuple(connection.execute(sites.order_by(_SITES.c.site_id)).scalars()) or None
    profile = Profile(row["name"], Role(row["role"]), row["language"], row["group_name"], seen)
    return User(
        row["id"],
        row["login"],
        profile,
        Credentials(row["password_hash"], row["subject"], row["must_change"]),
        row["failures"],
        moment(row["locked_until"]),
        moment(row["disabled_at"]),
        datetime.fromisoformat(row["created_at"]),
    )
