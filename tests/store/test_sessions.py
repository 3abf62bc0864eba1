"""Claims about sessions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from nii.errors import NiiError
from nii.store import audit, sessions, tables, users
from nii.store.audit import Actor
from nii.store.database import Store
from nii.store.users import Credentials, Profile, Role, User

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
EVENING = NOON + timedelta(hours=8)


@pytest.fixture
def user(store: Store) -> User:
    """Give an officer."""
    profile = Profile("A. Officer", Role.OFFICER)
    return users.create(store, "officer", profile, Credentials("hash"), Actor("root"), NOON)


def test_a_session_from_login_to_logout(store: Store, user: User) -> None:
    """A session is found with its user until it ends; both ends are events."""
    users.failed(store, user.id, EVENING, NOON)
    session = sessions.start(store, "a" * 64, user.id, EVENING, NOON, "10.0.0.1")
    assert sessions.find(store, "a" * 64) == (session, user)
    later = NOON + timedelta(minutes=5)
    sessions.touch(store, "a" * 64, later, working_since=NOON)
    found = sessions.find(store, "a" * 64)
    assert found is not None
    assert (found[0].seen_at, found[0].working_since) == (later, NOON)
    for _ in range(2):
        sessions.end(store, "a" * 64, later)
    assert sessions.find(store, "a" * 64) is None
    assert _kinds(store)[-2:] == [audit.LOGGED_IN, audit.LOGGED_OUT]
    assert audit.verify(store).intact


def test_a_session_needs_a_user(store: Store) -> None:
    """Nobody who is not there logs in."""
    with pytest.raises(NiiError, match="no such user"):
        sessions.start(store, "a" * 64, 1, EVENING, NOON)
    assert sessions.find(store, "a" * 64) is None


def test_sweeping_ends_what_is_over(store: Store, user: User) -> None:
    """Sessions past their end, and those not seen for long, are ended and logged."""
    for token, ends_at in (("a", NOON), ("b", EVENING), ("c", EVENING)):
        sessions.start(store, token * 64, user.id, ends_at, NOON - timedelta(hours=1))
    sessions.touch(store, "c" * 64, NOON)
    assert sessions.sweep(store, NOON - timedelta(minutes=30), NOON) == 2
    assert sessions.find(store, "c" * 64) is not None
    assert _kinds(store)[-2:] == [audit.LOGGED_OUT] * 2


def _kinds(store: Store) -> list[str]:
    with store.read() as connection:
        query = sa.select(tables.events.c.kind).order_by(tables.events.c.number)
        return list(connection.execute(query).scalars())
