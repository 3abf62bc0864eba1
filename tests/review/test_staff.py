"""Claims about the administration of accounts and tokens."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from nii.store import audit, sites, tokens, users
from nii.store.audit import Actor
from nii.store.database import Store
from nii.store.users import Role

Browse = Callable[..., TestClient]
EVIL = "<script>alert(1)</script>' OR 1=1 --"


@pytest.fixture
def boss(browse: Browse) -> TestClient:
    """Give a browser in which an administrator is logged in."""
    return browse("boss", Role.ADMINISTRATOR)


def secret(text: str) -> str:
    """Return the secret that a page shows once."""
    found = re.search(r'id="secret">([^<]+)<', text)
    assert found, text
    return found[1]


@pytest.mark.slow
def test_an_account_is_added_and_used(boss: TestClient, stranger: TestClient, store: Store) -> None:
    """A new account logs in with the one-time password that is shown once."""
    form = {"login": "New.Officer", "name": "N. Officer", "role": "officer", "group": "drugs"}
    password = secret(boss.post("/accounts", data=form).text)
    assert password not in boss.get("/accounts").text
    made = users.by_login(store, "new.officer")
    assert made is not None
    assert (made.profile.name, made.profile.group, made.profile.sites) == (
        "N. Officer",
        "drugs",
        None,
    )
    answer = stranger.post("/login", data={"login": "new.officer", "password": password})
    assert answer.status_code == 303
    assert audit.verify(store).intact


@pytest.mark.slow
def test_sites_and_roles_are_changed(boss: TestClient, browse: Browse, store: Store) -> None:
    """An account is given other sites and another role, and that counts at once."""
    site = sites.add(store, "A1", "Gate", Actor("boss"), users.listing(store)[0].created_at)
    officer = browse()
    user = users.by_login(store, "officer")
    assert user is not None
    form = {"act": "edit", "name": "Officer", "role": "supervisor", "site": str(site.id)}
    assert boss.post(f"/accounts/{user.id}", data=form).status_code == 303
    changed = users.get(store, user.id)
    assert changed is not None
    assert changed.profile.sites == (site.id,)
    assert "Gate" in officer.get("/account").text
    assert "supervisor" in officer.get("/account").text


@pytest.mark.slow
def test_closing_and_opening(boss: TestClient, browse: Browse, store: Store) -> None:
    """A closed account is out at once; opened again it has a one-time password."""
    officer = browse()
    user = users.by_login(store, "officer")
    assert user is not None
    boss.post(f"/accounts/{user.id}", data={"act": "disable"})
    assert officer.get("/").status_code == 303
    assert secret(boss.post(f"/accounts/{user.id}", data={"act": "enable"}).text)
    again = users.get(store, user.id)
    assert again is not None
    assert again.disabled_at is None
    assert again.credentials.must_change


@pytest.mark.slow
def test_the_last_administrator_stays(boss: TestClient, store: Store) -> None:
    """Nobody can close the last account that can administer."""
    user = users.by_login(store, "boss")
    assert user is not None
    answer = boss.post(f"/accounts/{user.id}", data={"act": "disable"})
    assert answer.status_code == 422
    assert boss.get("/accounts").status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize(
    "form",
    [
        {"login": "boss", "name": "B", "role": "officer"},
        {"login": EVIL, "name": "B", "role": "officer"},
        {"login": "b", "name": "", "role": "officer"},
        {"login": "b", "name": "B", "role": "king"},
        {"login": "b", "name": "x" * 101, "role": "officer"},
        {},
    ],
)
def test_odd_accounts_are_refused(boss: TestClient, store: Store, form: dict[str, str]) -> None:
    """What cannot be an account is refused with the reason, and nothing is added."""
    before = len(users.listing(store))
    assert boss.post("/accounts", data=form).status_code == 422
    assert len(users.listing(store)) == before


@pytest.mark.slow
def test_names_stay_text(boss: TestClient) -> None:
    """A name may hold any sign; on the page it is text."""
    boss.post("/accounts", data={"login": "b", "name": EVIL, "role": "officer"})
    text = boss.get("/accounts").text
    assert EVIL not in text
    assert "&lt;script&gt;" in text


@pytest.mark.slow
def test_tokens_are_made_and_revoked(boss: TestClient, browse: Browse, store: Store) -> None:
    """A token is shown once, works with its scopes, and not after it was revoked."""
    browse()
    user = users.by_login(store, "officer")
    assert user is not None
    form = {"name": "customs", "user": str(user.id), "scope": ["read", "events"], "days": "30"}
    token = secret(boss.post("/tokens", data=form).text)
    page = boss.get("/accounts").text
    assert token not in page
    assert "customs" in page
    program = {"Authorization": f"Bearer {token}"}
    assert boss.get("/api/v1/queue", headers=program).status_code == 200
    assert boss.post("/api/v1/queue/next", headers=program).status_code == 403
    (made,) = tokens.listing(store)
    boss.post(f"/tokens/{made.id}")
    assert boss.get("/api/v1/queue", headers=program).status_code == 401


@pytest.mark.slow
@pytest.mark.parametrize(
    "change", [{"days": "0"}, {"days": "x"}, {"scope": "none"}, {"name": " "}, {"user": "99"}]
)
def test_odd_tokens_are_refused(
    boss: TestClient, browse: Browse, store: Store, change: dict[str, str]
) -> None:
    """A token needs a name, an account, a scope and an end."""
    browse()
    form = {"name": "customs", "user": "2", "scope": "read", "days": "30"} | change
    assert boss.post("/tokens", data=form).status_code == 422
    assert tokens.listing(store) == ()
