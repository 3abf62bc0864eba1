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

from nii.errors import NiiError
from nii.review import passwords
from nii.store import users
from nii.store.database import Store
from nii.store.users import User


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


RIGHTS: dict[str, frozenset[Right]] = {
    "officer": frozenset({Right.READ, Right.DECIDE, Right.NUMBERS, Right.EVENTS}),
    "supervisor": frozenset(
        {Right.READ, Right.DECIDE, Right.SUPERVISE, Right.NUMBERS, Right.EVENTS}
    ),
    "administrator": frozenset({Right.READ, Right.PUSH, Right.EVENTS, Right.ACCOUNTS}),
    "auditor": frozenset({Right.READ, Right.NUMBERS, Right.EVENTS, Right.LOG}),
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
