"""Who may do what, and how a person proves who they are: log-in, sessions, tokens.

A session is a random token in a cookie; the database holds its SHA-256 only. It ends when nobody
used it for a while, at the end of a shift at the latest, with the log-out, and when the password
or the account changes.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa

from nii.errors import NiiError
from nii.review import passwords
from nii.store import audit, sessions, tables, tokens, users
from nii.store.audit import Actor
from nii.store.database import Store
from nii.store.tokens import NewToken
from nii.store.users import Credentials, Profile, Role, User

OLD_PASSWORD = "old password"  # noqa: S105 - what an error is about
RESTED = "rested"
"""Event: somebody took a break from viewing."""


class Right(StrEnum):
    """What somebody may do; tokens of programs are given some of these as scopes."""

    READ = "read"
    """See scans, inspections, decisions and the queue of one's sites."""
    DECIDE = "decide"
    """Claim, decide, mark, enter the result of an examination."""
    SUPERVISE = "supervise"
    """Ask for another look, give back what others hold."""
    PUSH = "push"
    """Bring scans and inspections."""
    EVENTS = "events"
    """Follow the log as it grows."""
    NUMBERS = "numbers"
    """See statistics."""
    LOG = "log"
    """Read and check the whole log, export evidence."""
    ACCOUNTS = "accounts"
    """Add and change accounts and tokens."""


RIGHTS: dict[Role, frozenset[Right]] = {
    Role.OFFICER: frozenset({Right.READ, Right.DECIDE, Right.NUMBERS, Right.EVENTS}),
    Role.SUPERVISOR: frozenset(
        {Right.READ, Right.DECIDE, Right.SUPERVISE, Right.NUMBERS, Right.EVENTS}
    ),
    Role.ADMINISTRATOR: frozenset({Right.READ, Right.PUSH, Right.EVENTS, Right.ACCOUNTS}),
    Role.AUDITOR: frozenset({Right.READ, Right.NUMBERS, Right.EVENTS, Right.LOG}),
}
"""Who administers accounts decides nothing, and who decides administers nothing."""


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How long sessions last and when an account is locked."""

    idle_minutes: float = 30.0
    """A session ends after so long without a request."""
    longest_hours: float = 12.0
    """A session ends so long after the log-in: a shift."""
    lock_after: int = 5
    """Wrong passwords in a row that lock an account."""
    lock_minutes: float = 15.0
    """How long it stays locked."""
    rest_minutes: float = 5.0
    """A pause of this length counts as a break from viewing."""
    seen_seconds: float = 30.0
    """How exactly the last request of a session is kept: spares a write for each request."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks.

    Attributes:
        id: of the account.
        login: of the account.
        name: as decisions show it.
        role: officer, supervisor, administrator or auditor.
        rights: what may be done, by role and, for a program, by the scopes of its token.
        sites: ids of the sites that are seen; None means all.
        group: of experts.
        language: code of the language.
        must_change: the password is a one-time one, nothing else works before it is changed.
        session: SHA-256 of the session's token; None for a program.
        working_since: start of viewing without a break; None for a program.
    """

    id: int
    login: str
    name: str
    role: str
    rights: frozenset[Right]
    sites: tuple[int, ...] | None
    group: str | None
    language: str
    must_change: bool
    session: str | None
    working_since: datetime | None

    def may(self, right: str) -> bool:
        """Tell whether this person has a right."""
        return right in self.rights

    def sees(self, site_id: int | None) -> bool:
        """Tell whether this person sees what belongs to a site."""
        return self.sites is None or site_id in self.sites

    @property
    def actor(self) -> Actor:
        """Return this person as the log names it."""
        return Actor(self.name, self.id)


def digest(token: str) -> str:
    """Return what the database holds of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def log_in(
    store: Store, settings: SessionSettings, given: tuple[str, str], now: datetime, where: str
) -> str | None:
    """Open a session for who knows the password.

    Args:
        store: where the accounts are.
        settings: of sessions.
        given: login and password.
        now: the time.
        where: address that the request came from.

    Returns:
        The token of the session, or None; whoever asks does not learn why.
    """
    login, password = given
    user = users.by_login(store, login)
    right = passwords.fits(user.credentials.password_hash if user else None, password)
    if user is None:
        # What was typed is not logged: people type passwords into the wrong field.
        audit.log(store, audit.Entry(audit.LOGIN_FAILED, None, {"where": where}), now)
        return None
    if user.disabled_at is not None or user.locked(now):
        return None
    if not right:
        _count_failure(store, settings, user, now, where)
        return None
    return _start(store, settings, user, now, where)


def log_in_proven(
    store: Store, settings: SessionSettings, proven: tuple[str, str], now: datetime, where: str
) -> str | None:
    """Open a session for whom an OpenID Connect provider vouches.

    Args:
        store: where the accounts are.
        settings: of sessions.
        proven: issuer and subject, and the login that the provider names.
        now: the time.
        where: address that the request came from.

    Returns:
        The token of the session, or None where there is no open account for that subject.
    """
    subject, login = proven
    user = users.by_subject(store, subject)
    if user is None and login:
        named = users.by_login(store, login)
        free = named is not None and named.credentials == Credentials(None, None, must_change=False)
        if named is not None and free:
            _tie(store, named, subject, now)
            user = named
    if user is None or user.disabled_at is not None:
        audit.log(store, audit.Entry(audit.LOGIN_FAILED, None, {"where": where}), now)
        return None
    return _start(store, settings, user, now, where)


def log_out(store: Store, person: Person, now: datetime) -> None:
    """End the session of this person."""
    if person.session is not None:
        sessions.end(store, person.session, now, "log-out")


def person_of_session(
    store: Store, settings: SessionSettings, token: str, now: datetime
) -> Person | None:
    """Return whose session a token is, or None where it is none that still goes on."""
    found = sessions.find(store, digest(token))
    if found is None:
        return None
    session, user = found
    silence = now - session.seen_at
    over = now >= session.ends_at or silence >= timedelta(minutes=settings.idle_minutes)
    if over or user.disabled_at is not None:
        sessions.end(store, session.token_sha256, now, "expired")
        return None
    since = session.working_since or session.created_at
    if silence >= timedelta(minutes=settings.rest_minutes):
        since = now
    if silence >= timedelta(seconds=settings.seen_seconds):
        sessions.touch(store, session.token_sha256, now, since)
    rights = RIGHTS[user.profile.role]
    return _person(user, rights, session=session.token_sha256, since=since)


def person_of_token(store: Store, token: str, now: datetime) -> Person | None:
    """Return as whom the holder of a token acts, or None where the token is not good."""
    found = tokens.find(store, digest(token))
    if found is None or not found[0].good(now) or found[1].disabled_at is not None:
        return None
    given, user = found
    rights = RIGHTS[user.profile.role] & {right for right in Right if right in given.scopes}
    return _person(user, rights, session=None, since=None)


def still_there(store: Store, settings: SessionSettings, person: Person, now: datetime) -> bool:
    """Tell whether a session goes on, without counting as a request; a program's always does."""
    if person.session is None:
        user = users.get(store, person.id)
        return user is not None and user.disabled_at is None
    found = sessions.find(store, person.session)
    if found is None or found[1].disabled_at is not None:
        return False
    silence = now - found[0].seen_at
    return now < found[0].ends_at and silence < timedelta(minutes=settings.idle_minutes)


def rest(store: Store, person: Person, now: datetime) -> None:
    """Note that somebody takes a break: the time of viewing starts anew."""
    if person.session is not None:
        sessions.touch(store, person.session, now, now)
        payload = {"user_id": person.id, "by": person.actor.to_json()}
        audit.log(store, audit.Entry(RESTED, None, payload), now)


def change_password(
    place: tuple[Store, SessionSettings],
    person: Person,
    given: tuple[str, str],
    now: datetime,
    where: str,
) -> str:
    """Change one's password, end all sessions of the account, and open a new one.

    Args:
        place: the store, and the settings of sessions.
        person: whose password.
        given: the password until now, and the new one.
        now: the time.
        where: address that the request came from.

    Returns:
        The token of the new session.

    Raises:
        NiiError: the old password is wrong, or the new one is too easy to guess.
    """
    (store, settings), (old, new) = place, given
    user = users.get(store, person.id)
    if user is None or user.locked(now) or not passwords.fits(user.credentials.password_hash, old):
        if user is not None and not user.locked(now):
            _count_failure(store, settings, user, now, where)
        raise NiiError(
            OLD_PASSWORD, found="another one", expected="that of the account", remedy="Try again."
        )
    passwords.check(new, user.login)
    if new == old:
        raise NiiError(
            "password", found="the old one", expected="a new one", remedy="Choose another."
        )
    users.set_password(store, user.id, passwords.hashed(new), user.actor, now)
    return _start(store, settings, user, now, where)


def first_start(store: Store, now: datetime) -> tuple[str, str] | None:
    """Make the first administrator; return login and one-time password, or None if not needed."""
    if users.listing(store):
        return None
    password = passwords.one_time()
    made = users.create_first(
        store,
        "admin",
        Profile("Administrator", Role.ADMINISTRATOR),
        Credentials(passwords.hashed(password), must_change=True),
        now,
    )
    return None if made is None else (made.login, password)


def is_set_up(store: Store) -> bool:
    """Tell whether an administrator has chosen a password: nothing else is safe on a network."""
    return any(
        user.profile.role is Role.ADMINISTRATOR
        and user.disabled_at is None
        and not user.credentials.must_change
        for user in users.listing(store)
    )


def add_user(
    store: Store, login: str, profile: Profile, by: Actor, now: datetime
) -> tuple[User, str]:
    """Add an account; return it and its one-time password.

    Raises:
        NiiError: the login is taken or odd, or the profile does not hold.
    """
    login = login.strip().lower()
    if not login.isascii() or not all(sign.isalnum() or sign in "._@-" for sign in login):
        raise NiiError(
            "login",
            found="other signs",
            expected="letters a to z, digits, . _ @ -",
            remedy="Choose another login.",
        )
    password = passwords.one_time()
    credentials = Credentials(passwords.hashed(password), must_change=True)
    return users.create(store, login, profile, credentials, by, now), password


def add_organisation_user(
    store: Store, login: str, profile: Profile, by: Actor, now: datetime
) -> User:
    """Add an account without password, for log-ins with OpenID Connect only.

    Raises:
        NiiError: the login is taken, or the profile does not hold.
    """
    return users.create(store, login.strip().lower(), profile, Credentials(), by, now)


def reset(store: Store, user: User, by: Actor, now: datetime) -> str:
    """Give an account a one-time password, open it where it was closed, end its sessions."""
    password = passwords.one_time()
    if user.disabled_at is not None:
        users.enable(store, user.id, by, now)
    users.set_password(store, user.id, passwords.hashed(password), by, now, must_change=True)
    return password


def add_token(
    store: Store, user: User, name: str, scopes: Collection[Right], ends_at: datetime, now: datetime
) -> str:
    """Make a token for a program that acts as a user; return it, it is stored nowhere.

    Raises:
        NiiError: the token would be allowed nothing, or the name does not hold.
    """
    allowed = RIGHTS[user.profile.role] & set(scopes) - {Right.ACCOUNTS}
    if not allowed:
        raise NiiError(
            "token",
            found="nothing that the account may do",
            expected="at least one of " + ", ".join(sorted(RIGHTS[user.profile.role])),
            remedy="Choose another account or scope.",
        )
    token = "nii_" + secrets.token_urlsafe(32)
    tokens.create(store, digest(token), NewToken(name, tuple(allowed), ends_at), user, now)
    return token


def _start(store: Store, settings: SessionSettings, user: User, now: datetime, where: str) -> str:
    token = secrets.token_urlsafe(32)
    ends_at = now + timedelta(hours=settings.longest_hours)
    sessions.start(store, digest(token), user.id, ends_at, now, where)
    return token


def _count_failure(
    store: Store, settings: SessionSettings, user: User, now: datetime, where: str
) -> None:
    lock = user.failures + 1 >= settings.lock_after
    until = now + timedelta(minutes=settings.lock_minutes) if lock else None
    users.failed(store, user.id, until, now, where)


def _tie(store: Store, user: User, subject: str, now: datetime) -> None:
    own = (tables.users.c.id == user.id) & tables.users.c.subject.is_(None)
    facts = {"user_id": user.id, "login": user.login, "subject": subject}
    with store.write() as connection:
        connection.execute(sa.update(tables.users).where(own).values(subject=subject))
        entry = audit.Entry(audit.USER_CHANGED, None, {**facts, "by": user.actor.to_json()})
        audit.append(connection, entry, now)


def _person(
    user: User, rights: frozenset[Right], *, session: str | None, since: datetime | None
) -> Person:
    profile = user.profile
    return Person(
        user.id,
        user.login,
        profile.name,
        profile.role.value,
        rights,
        profile.sites,
        profile.group,
        profile.language,
        user.credentials.must_change,
        session,
        since,
    )
