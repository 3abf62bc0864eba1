"""Claims about the page of the log."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from nii.review import logbook
from nii.store import audit
from nii.store.database import Store
from nii.store.inspections import Filed
from nii.store.users import Role


@pytest.fixture
def auditor(browse: Callable[..., TestClient]) -> TestClient:
    """Give a browser in which an auditor is logged in."""
    return browse("auditor", Role.AUDITOR)


def test_events_are_shown_newest_first(
    auditor: TestClient, store: Store, file_scan: Callable[..., Filed]
) -> None:
    """Every event is on one of the pages, once, newest first."""
    file_scan()
    shown = [line.number for line in logbook.lines(store, None)]
    assert shown == list(range(audit.head(store).number, 0, -1))
    assert [line.number for line in logbook.lines(store, 3)] == [2, 1]
    text = auditor.get("/log").text
    assert "inspected" in text
    assert "user created" in text


def test_the_check_finds_what_was_altered(
    auditor: TestClient, store: Store, file_scan: Callable[..., Filed]
) -> None:
    """The button checks the chain; after somebody got round the database it says which event."""
    file_scan()
    assert "unchanged" in auditor.post("/log").text
    with store.write() as connection:
        names = connection.execute(
            sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        ).scalars()
        for name in list(names):
            connection.execute(sa.text(f'DROP TRIGGER "{name}"'))
        connection.execute(sa.text("UPDATE events SET kind = 'nothing' WHERE number = 1"))
    answer = auditor.post("/log").text
    assert "Event 1 does not hold" in answer
