"""Claims about accounts, sessions and tokens."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from nii.errors import NiiError
from nii.review import auth
from nii.review.auth import RIGHTS, Right, SessionSettings
from nii.store import audit, tables, users
from nii.store.audit import Actor
from nii.store.database import Store
from nii.store.users import Credentials, Profile, Role, User

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
PASSWORD = "correct horse battery"
SETTINGS = SessionSettings()
WHERE = "192.0.2.1"
Account = Callable[..., User]


def minutes(number: float) -> datetime:
    """Return the time so many minutes after noon."""
    return NOON + timedelta(minutes=number)


def log_in(store: Store, login: str, password: str = PASSWORD, at: datetime = NOON) -> str | None:
    """Try to log in."""
    return auth.log_in(store, SETTINGS, (login, password), at, WHERE)


def kinds(store: Store) -> list[str]:
    """Return the kinds of all events, oldest first."""
    event = tables.events.c
    with store.read() as connection:
        return list(connection.execute(sa.select(event.kind).order_by(event.number)).scalars())


def test_a_session_knows_its_person(store: Store, account: Account) -> None:
    """Who knows the password gets a token, and the token says who they are and what they may."""
    user = account("officer", sites=(1,), group="drugs")
    token = log_in(store, "Officer ")
    assert token is not None
    person = auth.person_of_session(store, SETTINGS, token, NOON)
    assert person is not None
    assert (person.id, person.login, person.sites, person.group) == (
        user.id,
        "officer",
        (1,),
        "drugs",
    )
    assert person.rights == RIGHTS[Role.OFFICER]
    assert person.sees(1)
    assert not person.sees(2)
    assert not person.sees(None)


def test_the_database_holds_no_secret(store: Store, account: Account) -> None:
    """Neither password nor token of a session or program stands anywhere in the database."""
    user = account("officer")
    session = log_in(store, "officer")
    token = auth.add_token(store, user, "program", [Right.READ], minutes(60), NOON)
    with store.read() as connection:
        text = "".join(
            repr(connection.execute(sa.select(table)).all())
            for table in tables.metadata.tables.values()
        )
    for secret in (PASSWORD, session, token):
        assert secret is not None
        assert secret not in text


@pytest.mark.slow
@pytest.mark.parametrize(("login", "password"), [("officer", "wrong"), ("nobody", PASSWORD)])
def test_a_wrong_log_in(store: Store, account: Account, login: str, password: str) -> None:
    """A wrong name or password opens nothing and is logged, without what was typed."""
    account("officer")
    assert log_in(store, login, password) is None
    assert kinds(store)[-1] == audit.LOGIN_FAILED
    with store.read() as connection:
        payloads = connection.execute(sa.select(tables.events.c.payload)).scalars()
        assert not [
            text for text in payloads if password in text or "nobody" in text.split("by")[0]
        ]


def test_an_account_locks_and_opens_again(store: Store, account: Account) -> None:
    """Five wrong passwords in a row lock an account for a quarter of an hour, right ones too."""
    account("officer")
    for _ in range(SETTINGS.lock_after):
        assert log_in(store, "officer", "wrong") is None
    assert log_in(store, "officer") is None
    assert log_in(store, "officer", at=minutes(14.9)) is None
    assert log_in(store, "officer", at=minutes(15)) is not None


def test_a_good_log_in_forgets_bad_ones(store: Store, account: Account) -> None:
    """Mistypings spread over days lock nobody out."""
    account("officer")
    for _ in range(3):
        for _ in range(SETTINGS.lock_after - 1):
            log_in(store, "officer", "wrong")
        assert log_in(store, "officer") is not None


def test_an_idle_session_ends(store: Store, account: Account) -> None:
    """A session goes on while it is used, and ends after half an hour without a request."""
    account("officer")
    token = log_in(store, "officer")
    assert token is not None
    for at in (29, 58, 87):
        assert auth.person_of_session(store, SETTINGS, token, minutes(at)) is not None
    assert auth.person_of_session(store, SETTINGS, token, minutes(117)) is None
    assert auth.person_of_session(store, SETTINGS, token, minutes(88)) is None
    assert kinds(store)[-1] == audit.LOGGED_OUT


def test_no_session_outlasts_a_shift(store: Store, account: Account) -> None:
    """However busy, a session ends after twelve hours."""
    account("officer")
    token = log_in(store, "officer")
    assert token is not None
    for at in range(0, 720, 20):
        assert auth.person_of_session(store, SETTINGS, token, minutes(at)) is not None
    assert auth.person_of_session(store, SETTINGS, token, minutes(720)) is None


def test_a_log_out_ends_one_session(store: Store, account: Account) -> None:
    """Logging out ends that session and no other."""
    account("officer")
    first, second = log_in(store, "officer"), log_in(store, "officer")
    assert first
    assert second
    assert first != second
    person = auth.person_of_session(store, SETTINGS, first, NOON)
    assert person is not None
    auth.log_out(store, person, NOON)
    assert auth.person_of_session(store, SETTINGS, first, NOON) is None
    assert auth.person_of_session(store, SETTINGS, second, NOON) is not None


def test_a_closed_account_is_out_at_once(store: Store, account: Account) -> None:
    """Closing an account ends its sessions and tokens; a new one-time password opens it again."""
    account("boss", Role.ADMINISTRATOR)
    user = account("officer")
    session = log_in(store, "officer")
    token = auth.add_token(store, user, "program", [Right.READ], minutes(60), NOON)
    assert session
    users.disable(store, user.id, Actor("boss"), NOON)
    assert auth.person_of_session(store, SETTINGS, session, NOON) is None
    assert auth.person_of_token(store, token, NOON) is None
    assert log_in(store, "officer") is None
    closed = users.get(store, user.id)
    assert closed is not None
    password = auth.reset(store, closed, Actor("boss"), NOON)
    again = log_in(store, "officer", password)
    assert again is not None
    person = auth.person_of_session(store, SETTINGS, again, NOON)
    assert person is not None
    assert person.must_change


def test_a_changed_password(store: Store, account: Account) -> None:
    """Changing the password ends all other sessions and opens one that need not change it."""
    account("officer")
    other, mine = log_in(store, "officer"), log_in(store, "officer")
    assert other
    assert mine
    person = auth.person_of_session(store, SETTINGS, mine, NOON)
    assert person is not None

    def change(old: str, new: str) -> str:
        return auth.change_password((store, SETTINGS), person, (old, new), NOON, WHERE)

    with pytest.raises(NiiError, match=auth.OLD_PASSWORD):
        change("wrong", "another horse battery")
    for weak in ("short", PASSWORD):
        with pytest.raises(NiiError, match="password"):
            change(PASSWORD, weak)
    fresh = change(PASSWORD, "another horse battery")
    assert auth.person_of_session(store, SETTINGS, other, NOON) is None
    assert auth.person_of_session(store, SETTINGS, mine, NOON) is None
    assert auth.person_of_session(store, SETTINGS, fresh, NOON) is not None
    assert log_in(store, "officer") is None
    assert log_in(store, "officer", "another horse battery") is not None


def test_tokens_are_allowed_what_both_allow(store: Store, account: Account) -> None:
    """A token may do what its scopes and its account's role both allow, until it ends."""
    user = account("officer")
    wanted = [Right.READ, Right.PUSH, Right.ACCOUNTS]
    token = auth.add_token(store, user, "program", wanted, minutes(60), NOON)
    person = auth.person_of_token(store, token, NOON)
    assert person is not None
    assert person.rights == {Right.READ}
    assert auth.person_of_token(store, token, minutes(60)) is None
    assert auth.person_of_token(store, token + "x", NOON) is None
    with pytest.raises(NiiError, match="nothing that the account may do"):
        auth.add_token(store, user, "program", [Right.PUSH], minutes(60), NOON)


def test_a_break_starts_the_time_of_viewing_anew(store: Store, account: Account) -> None:
    """Viewing time counts from the first request, from a long pause, or from a stated break."""
    account("officer")
    token = log_in(store, "officer")
    assert token

    def since(at: float) -> datetime | None:
        person = auth.person_of_session(store, SETTINGS, token, minutes(at))
        assert person is not None
        return person.working_since

    assert [since(at) for at in (0, 3, 7)] == [NOON] * 3
    assert since(13) == minutes(13)
    person = auth.person_of_session(store, SETTINGS, token, minutes(14))
    assert person is not None
    auth.rest(store, person, minutes(15))
    assert since(16) == minutes(15)
    assert auth.RESTED in kinds(store)


def test_the_first_start(store: Store) -> None:
    """An empty store gets one administrator with a one-time password, and only once."""
    made = auth.first_start(store, NOON)
    assert made is not None
    assert auth.first_start(store, NOON) is None
    assert not auth.is_set_up(store)
    token = log_in(store, *made)
    assert token
    person = auth.person_of_session(store, SETTINGS, token, NOON)
    assert person is not None
    assert person.must_change
    assert person.role == "administrator"
    auth.change_password((store, SETTINGS), person, (made[1], PASSWORD), NOON, WHERE)
    assert auth.is_set_up(store)


@pytest.mark.parametrize("login", ["a b", "ä", "<b>", "a'b", "../x", ""])
def test_odd_logins_are_refused(store: Store, login: str) -> None:
    """A login is made of plain letters, digits and few signs."""
    with pytest.raises(NiiError):
        auth.add_user(store, login, Profile("A", Role.OFFICER), Actor("boss"), NOON)


def test_no_role_both_decides_and_administers() -> None:
    """Who makes accounts cannot decide, who decides makes no accounts, and auditors only read."""
    for role, rights in RIGHTS.items():
        assert not {Right.DECIDE, Right.ACCOUNTS} <= rights, role
    assert not RIGHTS[Role.AUDITOR] & {Right.DECIDE, Right.SUPERVISE, Right.PUSH, Right.ACCOUNTS}


def test_accounts_of_the_organisation(store: Store, account: Account) -> None:
    """A provider's word opens an account without password by its name once, then by subject."""
    account("withpassword")
    profile = Profile("B", Role.OFFICER)
    made = auth.add_organisation_user(store, "B.officer", profile, Actor("boss"), NOON)

    def prove(subject: str, login: str) -> str | None:
        return auth.log_in_proven(store, SETTINGS, (subject, login), NOON, WHERE)

    assert prove("https://id x", "withpassword") is None
    assert prove("https://id x", "") is None
    assert prove("https://id 1", "b.officer") is not None
    assert prove("https://id 2", "b.officer") is None
    assert prove("https://id 1", "renamed") is not None
    stored = users.get(store, made.id)
    assert stored is not None
    assert stored.credentials == Credentials(None, "https://id 1", must_change=False)
    assert log_in(store, "b.officer", "") is None
    last = json.loads(_payload(store))
    assert last["login"] == "b.officer"
    assert audit.verify(store).intact


def _payload(store: Store) -> str:
    event = tables.events.c
    query = sa.select(event.payload).order_by(event.number.desc()).limit(1)
    with store.read() as connection:
        return str(connection.execute(query).scalar_one())
