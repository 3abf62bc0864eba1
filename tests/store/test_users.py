"""Claims about users."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from nii.errors import NiiError
from nii.store import audit, sessions, tables, tokens, users
from nii.store.audit import Actor
from nii.store.database import Store
from nii.store.users import Credentials, Profile, Role, User

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ROOT = Actor("root")
HOSTILE = "'; DROP TABLE users; -- <script>alert(1)</script> {{7*7}} %s ../../etc \\"


def _add(store: Store, login: str, role: Role = Role.OFFICER, subject: str | None = None) -> User:
    credentials = Credentials(f"hash of {login}", subject)
    return users.create(store, login, Profile(login.title(), role), credentials, ROOT, NOON)


def test_a_user_comes_back_as_it_was_made(store: Store) -> None:
    """A user is found by id, by login in any case, and by its subject."""
    user = _add(store, " Aigul ", subject="https://id.example 42")
    assert user.login == "aigul"
    assert users.get(store, user.id) == user
    assert users.by_login(store, "AIGUL") == user
    assert users.by_subject(store, "https://id.example 42") == user
    assert users.listing(store) == (user,)
    assert users.get(store, 99) is None
    assert users.by_login(store, "nobody") is None


def test_logins_and_subjects_are_taken_once(store: Store) -> None:
    """A second user of the same login or subject is refused, and nothing is logged."""
    _add(store, "aigul", subject="s")
    before = audit.head(store)
    for login, subject in (("AIGUL", "t"), ("bolot", "s")):
        with pytest.raises(NiiError, match="taken"):
            _add(store, login, subject=subject)
    assert audit.head(store) == before


def test_two_first_starts_make_one_administrator(store: Store) -> None:
    """Programs that start for the first time at once make one first user between them."""
    profile = Profile("Administrator", Role.ADMINISTRATOR)

    def start(number: int) -> User | None:
        return users.create_first(store, f"admin{number}", profile, Credentials("hash"), NOON)

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(start, range(4)))
    assert len([user for user in made if user is not None]) == 1
    assert len(users.listing(store)) == 1


def test_the_last_administrator_stays(store: Store) -> None:
    """Nobody can take away the last administrator who can log in."""
    first = _add(store, "first", Role.ADMINISTRATOR)
    demoted = replace(first.profile, role=Role.OFFICER)
    with pytest.raises(NiiError, match="administrator"):
        users.disable(store, first.id, ROOT, NOON)
    with pytest.raises(NiiError, match="administrator"):
        users.change(store, first.id, demoted, ROOT, NOON)
    _add(store, "second", Role.ADMINISTRATOR)
    assert users.change(store, first.id, demoted, ROOT, NOON).profile == demoted


def test_wrong_passwords_are_counted_and_lock(store: Store) -> None:
    """Wrong tries add up until a good login, an unlocking or a new password."""
    user = _add(store, "aigul")
    later = NOON + timedelta(minutes=15)
    assert users.failed(store, user.id, None, NOON) == 1
    assert users.failed(store, user.id, later, NOON, "10.0.0.1") == 2
    locked = users.get(store, user.id)
    assert locked is not None
    assert locked.locked(NOON)
    assert not locked.locked(later)
    users.unlock(store, user.id, ROOT, NOON)
    assert users.get(store, user.id) == user
    users.failed(store, user.id, later, NOON)
    users.set_password(store, user.id, "new", ROOT, NOON, must_change=True)
    changed = users.get(store, user.id)
    assert changed is not None
    assert (changed.failures, changed.locked_until) == (0, None)
    assert changed.credentials == Credentials("new", must_change=True)


def test_disabling_ends_everything(store: Store) -> None:
    """A disabled user has no session and no good token, until it is let in again."""
    _add(store, "admin", Role.ADMINISTRATOR)
    user = _add(store, "aigul")
    sessions.start(store, "a" * 64, user.id, NOON + timedelta(hours=8), NOON)
    new = tokens.NewToken("customs system", ("read",), NOON + timedelta(days=1))
    tokens.create(store, "b" * 64, new, user, NOON)
    users.disable(store, user.id, ROOT, NOON)
    assert sessions.find(store, "a" * 64) is None
    found = tokens.find(store, "b" * 64)
    assert found is not None
    assert not found[0].good(NOON)
    users.enable(store, user.id, ROOT, NOON)
    assert users.get(store, user.id) == user


def test_sites_of_a_user(store: Store) -> None:
    """A user sees the sites that were named, or all; an unknown site is refused."""
    with store.write() as connection:
        rows = [{"code": code, "name": code} for code in ("A", "B")]
        connection.execute(sa.insert(tables.sites), rows)
    user = _add(store, "aigul")
    assert user.profile.sites is None
    seen = users.change(store, user.id, replace(user.profile, sites=(2, 1, 2)), ROOT, NOON)
    assert seen.profile.sites == (1, 2)
    with pytest.raises(NiiError, match="sites"):
        users.change(store, user.id, replace(user.profile, sites=(3,)), ROOT, NOON)
    assert users.get(store, user.id) == seen


def test_no_secret_reaches_the_log(store: Store) -> None:
    """Events tell of users and passwords without any hash."""
    user = _add(store, "aigul")
    users.set_password(store, user.id, "hash of the second", ROOT, NOON)
    with store.read() as connection:
        logged = connection.execute(sa.select(tables.events.c.payload)).scalars().all()
    assert len(logged) == 2
    assert not any("hash of" in payload for payload in logged)
    assert "hash of" not in repr(user)
    assert audit.verify(store).intact


def test_hostile_texts_are_only_texts(store: Store) -> None:
    """SQL, HTML and templates in every field are stored as they were typed."""
    user = users.create(
        store, HOSTILE[:64], Profile(HOSTILE, Role.OFFICER), Credentials(HOSTILE), ROOT, NOON
    )
    assert user.profile.name == HOSTILE
    assert users.by_login(store, HOSTILE[:64]) == user
    assert users.by_login(store, "' OR 1=1 --") is None
    assert audit.verify(store).intact
