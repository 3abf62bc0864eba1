"""Claims about tokens of programs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from nii.errors import NiiError
from nii.store import audit, tokens, users
from nii.store.audit import Actor
from nii.store.database import Store
from nii.store.tokens import NewToken
from nii.store.users import Credentials, Profile, Role

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def test_a_token_from_making_to_revoking(store: Store) -> None:
    """A token is good until its end or its revocation, and both are events."""
    profile = Profile("Root", Role.ADMINISTRATOR)
    user = users.create(store, "root", profile, Credentials("hash"), Actor("setup"), NOON)
    new = NewToken("customs system", ("write", "read"), NOON + timedelta(days=1))
    token = tokens.create(store, "a" * 64, new, user, NOON)
    assert token.scopes == ("read", "write")
    assert tokens.find(store, "a" * 64) == (token, user)
    assert tokens.find(store, "b" * 64) is None
    assert token.good(NOON)
    assert not token.good(NOON + timedelta(days=1))
    for _ in range(2):
        tokens.revoke(store, token.id, user.actor, NOON)
    (revoked,) = tokens.listing(store)
    assert not revoked.good(NOON)
    assert audit.head(store).number == 3
    assert audit.verify(store).intact
    with pytest.raises(NiiError, match="no such token"):
        tokens.revoke(store, 99, user.actor, NOON)


@pytest.mark.parametrize("scopes", [(), ("",), ("read write",)])
def test_scopes_are_words(scopes: tuple[str, ...]) -> None:
    """A token without scope, or with one that is no word, is refused."""
    with pytest.raises(NiiError, match="scope"):
        NewToken("program", scopes, NOON)
