"""Claims about the pages of one's own account."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from nii.review import accounts
from nii.review.app import create_app
from nii.review.limits import Limiter, Rate
from nii.store import users
from nii.store.database import Store
from nii.store.users import User

ORIGIN = "http://127.0.0.1:8000"
PASSWORD = "correct horse battery"


def test_a_wrong_password_says_nothing_more(
    stranger: TestClient, account: Callable[..., User]
) -> None:
    """A wrong name and a wrong password give the same page."""
    account("officer")
    wrong_name = stranger.post("/login", data={"login": "nobody", "password": "x"})
    wrong_password = stranger.post("/login", data={"login": "officer", "password": "x"})
    assert wrong_name.status_code == wrong_password.status_code == 403
    assert wrong_name.text.replace("nobody", "officer") == wrong_password.text
    assert "Set-Cookie" not in wrong_name.headers


def test_log_ins_are_counted(store: Store, account: Callable[..., User]) -> None:
    """After some tries for one account, or many from one address, the next is refused."""
    account("officer")
    app = create_app(store)
    client = TestClient(app, base_url=ORIGIN, headers={"Origin": ORIGIN}, follow_redirects=False)
    app.state.from_one_place = Limiter(Rate(burst=accounts.TRIES.burst + 5, per_second=0.001))

    def log_in(login: str, password: str) -> int:
        answer = client.post("/login", data={"login": login, "password": password})
        return int(answer.status_code)

    assert [log_in("nobody", "x") for _ in range(accounts.TRIES.burst)] == [
        403
    ] * accounts.TRIES.burst
    assert log_in("nobody", "x") == 429
    assert log_in("officer", PASSWORD) == 303
    client.cookies.clear()
    assert [log_in(f"other{number}", "x") for number in range(4)][-1] == 429
    assert log_in("officer", PASSWORD) == 429
    app.state.tiles.close()


def test_log_out_ends_the_session(client: TestClient) -> None:
    """After the log-out the cookie opens nothing, not even if it was kept."""
    kept = dict(client.cookies)
    answer = client.post("/logout")
    assert answer.headers["Location"] == "/login"
    assert "storage" in answer.headers["Clear-Site-Data"]
    client.cookies.update(kept)
    assert client.get("/").status_code == 303


def test_passwords_are_changed(client: TestClient) -> None:
    """The page says what is wrong; a good change goes on in a new session."""

    def change(old: str, new: str, again: str) -> tuple[int, str]:
        answer = client.post("/password", data={"old": old, "new": new, "again": again})
        return answer.status_code, answer.text

    assert change(PASSWORD, "a new long one", "another long one")[0] == 422
    assert "is wrong" in change("wrong", "a new long one", "a new long one")[1]
    assert "too easy" in change(PASSWORD, "short", "short")[1]
    before = dict(client.cookies)
    assert change(PASSWORD, "a new long one", "a new long one")[0] == 303
    assert dict(client.cookies) != before
    assert client.get("/").status_code == 200


def test_the_language_is_kept(client: TestClient, stranger: TestClient, store: Store) -> None:
    """A stranger's language is kept in the browser, an officer's in the account."""
    assert 'lang="en"' in stranger.get("/login").text
    stranger.post("/language", data={"language": "ru", "back": "/login"})
    assert '<html lang="ru">' in stranger.get("/login").text
    answer = client.post("/language", data={"language": "zh", "back": "/account"})
    assert answer.headers["Location"] == "/account"
    assert "账户" in client.get("/account").text
    user = users.by_login(store, "officer")
    assert user is not None
    assert user.profile.language == "zh"
    assert client.post("/language", data={"language": "xx"}).status_code == 422


def test_a_break_is_noted(client: TestClient) -> None:
    """Stating a break leads back to where one was."""
    answer = client.post("/break", data={"back": "/account"})
    assert answer.headers["Location"] == "/account"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/", "/"),
        ("/inspections/1?x=y", "/inspections/1?x=y"),
        ("//evil", "/"),
        ("/\\evil", "/"),
        ("https://evil", "/"),
        ("evil", "/"),
        ("", "/"),
        ("/a\nb", "/"),
    ],
)
def test_only_own_paths_are_followed(text: str, path: str) -> None:
    """Where a form asks to be led to is on this server, or the queue."""
    assert accounts.own_path(text) == path
