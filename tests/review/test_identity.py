"""Claims about who asks: cookies, tokens, one-time passwords, rates."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from nii.review import auth
from nii.review.app import create_app
from nii.review.auth import Right
from nii.review.limits import Rate
from nii.store import users
from nii.store.audit import Actor
from nii.store.database import Store
from nii.store.users import Role, User

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ORIGIN = "http://127.0.0.1:8000"
PASSWORD = "correct horse battery"
Account = Callable[..., User]


def program(app: Starlette, token: str) -> TestClient:
    """Return a client that sends a token and nothing else."""
    return TestClient(app, base_url=ORIGIN, headers={"Authorization": f"Bearer {token}"})


def make_token(store: Store, user: User, *rights: Right) -> str:
    """Return a token of a program that acts as a user."""
    return auth.add_token(store, user, "program", rights, NOON + timedelta(days=1), NOON)


def test_the_cookie_is_kept_from_scripts(stranger: TestClient, account: Account) -> None:
    """The cookie of a session is HttpOnly and SameSite=Strict, and ends with the browser."""
    account("officer")
    answer = stranger.post("/login", data={"login": "officer", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("nii-session=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Domain" not in cookie
    assert "Max-Age" not in cookie


def test_over_tls_the_cookie_is_bound_to_the_host(app: Starlette, account: Account) -> None:
    """Over TLS the cookie is Secure and has the prefix that binds it to this very host."""
    account("officer")
    origin = "https://127.0.0.1"
    client = TestClient(app, base_url=origin, headers={"Origin": origin}, follow_redirects=False)
    answer = client.post("/login", data={"login": "officer", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-nii=")
    assert "Secure" in cookie
    assert "Path=/" in cookie
    assert "Strict-Transport-Security" in answer.headers
    assert client.get("/").status_code == 200


def test_who_is_not_logged_in_comes_back(stranger: TestClient, account: Account) -> None:
    """After the log-in a stranger sees the page that was asked for."""
    account("officer")
    first = stranger.get("/?level=look&class=firearm")
    assert first.headers["Location"] == "/login?next=/%3Flevel%3Dlook%26class%3Dfirearm"
    page = stranger.get(first.headers["Location"]).text
    assert 'name="next" value="/?level=look&amp;class=firearm"' in page
    form = {"login": "officer", "password": PASSWORD, "next": "/?level=look&class=firearm"}
    assert stranger.post("/login", data=form).headers["Location"] == "/?level=look&class=firearm"


@pytest.mark.parametrize(
    "evil", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_no_log_in_leads_away(stranger: TestClient, account: Account, evil: str) -> None:
    """No address of another site is followed after the log-in."""
    account("officer")
    form = {"login": "officer", "password": PASSWORD, "next": evil}
    assert stranger.post("/login", data=form).headers["Location"] == "/"


def test_a_one_time_password_opens_one_page(
    stranger: TestClient, store: Store, account: Account
) -> None:
    """Who has a one-time password can change it and log out, and nothing else."""
    user = account("officer")
    password = auth.reset(store, user, Actor("boss"), NOON)
    stranger.post("/login", data={"login": "officer", "password": password})
    for path in ("/", "/inspections/1", "/account", "/events"):
        assert stranger.get(path).headers["Location"] == "/password"
    assert stranger.get("/api/v1/queue").status_code == 403
    assert stranger.get("/password").status_code == 200
    form = {"old": password, "new": "another horse battery", "again": "another horse battery"}
    assert stranger.post("/password", data=form).headers["Location"] == "/"
    assert stranger.get("/").status_code == 200


def test_tokens_work_without_origin(app: Starlette, store: Store, account: Account) -> None:
    """A program with a token needs no cookie and no Origin, and has the rights of its scopes."""
    user = account("officer")
    reader = program(app, make_token(store, user, Right.READ))
    assert reader.get("/api/v1/queue").status_code == 200
    assert reader.post("/api/v1/queue/next").status_code == 403
    decider = program(app, make_token(store, user, Right.READ, Right.DECIDE))
    assert decider.post("/api/v1/queue/next", content=b"").status_code == 204


def test_a_token_beside_a_cookie(client: TestClient) -> None:
    """A wrong token is not made good by the cookie of a browser."""
    wrong = {"Authorization": "Bearer wrong"}
    assert client.get("/api/v1/queue").status_code == 200
    assert client.get("/api/v1/queue", headers=wrong).status_code == 401
    assert client.get("/api/v1/queue", headers={"Authorization": "Basic eA=="}).status_code == 401
    away = {**wrong, "Origin": "http://evil.example"}
    assert client.post("/api/v1/queue/next", headers=away).status_code == 401


def test_closing_an_account_closes_the_browser(
    browse: Callable[..., TestClient], store: Store
) -> None:
    """The next request of a closed account leads to the log-in page."""
    browse("boss", Role.ADMINISTRATOR)
    client = browse()
    user = users.by_login(store, "officer")
    assert user is not None
    users.disable(store, user.id, Actor("boss"), NOON)
    assert client.get("/").status_code == 303


def test_strangers_are_slowed_down(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """One address without session may ask a number of times, then it must wait."""
    monkeypatch.setattr("nii.review.app.STRANGERS", Rate(burst=20, per_second=0.01))
    app = create_app(store, clock=lambda: NOON)
    client = TestClient(app, base_url=ORIGIN, follow_redirects=False)
    assert [client.get("/login").status_code for _ in range(20)] == [200] * 20
    last = client.get("/login")
    assert last.status_code == 429
    assert int(last.headers["Retry-After"]) >= 1
    assert client.get("/static/style.css").status_code == 200
    app.state.tiles.close()
