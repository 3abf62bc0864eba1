"""Claims about the app as a whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from nii.review import guard
from nii.store.database import Store
from nii.store.inspections import Filed

ORIGIN = "http://127.0.0.1:8000"


def test_health(stranger: TestClient, store: Store) -> None:
    """The health page tells everybody whether the database answers."""
    assert stranger.get("/healthz").json()["status"] == "ok"
    store.close()
    shutil.rmtree(store.files.parent)
    assert stranger.get("/healthz").status_code == 503


@pytest.mark.parametrize("path", ["/inspections/1", "/api/v1/inspections/1"])
def test_failures_of_ours_tell_nothing(
    app: Starlette,
    client: TestClient,
    file_scan: Callable[..., Filed],
    monkeypatch: pytest.MonkeyPatch,
    path: str,
) -> None:
    """An unexpected error gives status 500 with the headers and without its inside."""

    def fail(*_: object) -> None:
        raise RuntimeError("secret")

    file_scan()
    monkeypatch.setattr("nii.store.decisions.of_inspection", fail)
    quiet = TestClient(app, base_url=ORIGIN, raise_server_exceptions=False, cookies=client.cookies)
    answer = quiet.get(path)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    for name, value in guard.HEADERS.items():
        assert answer.headers[name] == value


def test_errors_speak_to_who_asks(client: TestClient) -> None:
    """A page tells people in words, the API tells programs in JSON."""
    page = client.get("/nowhere")
    assert page.status_code == 404
    assert "There is nothing here, or not for you." in page.text
    answer = client.get("/api/v1/nowhere")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    page = client.get("/accounts")
    assert page.status_code == 403
    assert "not for your account" in page.text


def test_what_nobody_expected_to_be_refused(client: TestClient) -> None:
    """A refusal of the store that no page foresaw is told with its remedy, not as a failure."""
    page = client.get("/?after=nowhere")
    assert page.status_code == 422
    assert "Start at the top." in page.text


def test_a_database_that_is_away(
    app: Starlette, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the database does not answer, pages and programs get 503 and a time to try again."""
    import sqlalchemy as sa

    def fail(*_: object, **__: object) -> None:
        raise sa.exc.OperationalError("BEGIN", {}, Exception("database is locked"))

    quiet = TestClient(app, base_url=ORIGIN, raise_server_exceptions=False, cookies=client.cookies)
    with monkeypatch.context() as patch:
        patch.setattr("nii.store.queue.page", fail)
        page, answer = quiet.get("/"), quiet.get("/api/v1/queue")
    with monkeypatch.context() as patch:
        patch.setattr("nii.store.sessions.find", fail)
        stranger = quiet.get("/")
    for each in (page, answer, stranger):
        assert each.status_code == 503
        assert each.headers["Retry-After"] == "2"
    assert quiet.get("/").status_code == 200
