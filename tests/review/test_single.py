"""Claims about the pages of the single sign-on, from our door to an open session."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

pytest.importorskip("authlib")

from nii.errors import ConfigError, NiiError
from nii.review import auth, single
from nii.review.desk import ReviewSettings
from nii.review.oidc import Door, Proven, Provider
from nii.store.audit import Actor
from nii.store.database import Store
from nii.store.users import Profile, Role, User

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Answering(Door):
    """A door whose provider has answered already."""

    def start(self, back: str, browser: str) -> str:
        """Return an address that shows what would be asked."""
        return f"https://id.example/authorize?back={back}&browser={browser}"

    def finish(self, state: str, code: str, issuer: str | None, browser: str) -> Proven:
        """Return somebody whom the state names."""
        assert issuer is None
        if not browser or code != "good":
            raise NiiError("log-in", found="nothing good", expected="a code", remedy="Try again.")
        return Proven(f"https://id.example {state}", state)


@pytest.fixture
def door(app: Starlette) -> None:
    """Set up a provider."""
    app.state.door = Answering(Provider("https://id.example", "nii", "secret", "The Customs"))


@pytest.mark.slow
@pytest.mark.usefixtures("door")
def test_from_the_door_to_the_queue(stranger: TestClient, store: Store) -> None:
    """The button leads to the provider; who comes back proven has a session."""
    auth.add_organisation_user(store, "b.officer", Profile("B", Role.OFFICER), Actor("boss"), NOON)
    assert "Log in with The Customs" in stranger.get("/login").text
    there = stranger.get("/oidc/start")
    assert there.status_code == 303
    assert "SameSite=lax" in there.headers["set-cookie"]
    assert "HttpOnly" in there.headers["set-cookie"]
    back = stranger.get("/oidc/back?state=b.officer&code=good")
    assert back.status_code == 200
    assert "nii-session" in back.headers["set-cookie"]
    assert stranger.get("/").status_code == 200


@pytest.mark.slow
@pytest.mark.usefixtures("door")
def test_who_has_no_account(stranger: TestClient, account: Callable[..., User]) -> None:
    """A proven identity without account here, or with a password account's name, stays out."""
    account("officer")
    stranger.get("/oidc/start")
    for name in ("nobody", "officer"):
        assert stranger.get(f"/oidc/back?state={name}&code=good").status_code == 403
    assert stranger.get("/oidc/back?state=officer&code=bad").status_code == 403
    assert stranger.get("/").status_code == 303


@pytest.mark.slow
def test_without_a_provider_there_is_no_door(stranger: TestClient) -> None:
    """Where none is set up there is no button and no page."""
    assert "/oidc/start" not in stranger.get("/login").text
    assert stranger.get("/oidc/start").status_code == 404
    assert stranger.get("/oidc/back").status_code == 404
    assert single.door_of(ReviewSettings()) is None


def test_the_secret_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider without secret is a mistake that the start tells of."""
    settings = ReviewSettings(oidc_issuer="https://id.example", oidc_client="nii")
    monkeypatch.delenv(single.SECRET_VARIABLE, raising=False)
    with pytest.raises(ConfigError, match="no secret"):
        single.door_of(settings)
    monkeypatch.setenv(single.SECRET_VARIABLE, "secret")
    assert single.door_of(settings) is not None
