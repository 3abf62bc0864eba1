"""Tests of the page of numbers: who sees which, filters, CSV, and that it is complete."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from nii.inspection import Level
from nii.store import audit, tables
from nii.store.database import Store, timestamp
from nii.store.inspections import Filed
from nii.store.users import Role

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
Browse = Callable[..., TestClient]
FileScan = Callable[..., Filed]


@pytest.fixture
def busy(store: Store, file_scan: FileScan, browse: Browse) -> list[Filed]:
    """Give three scans of two sites, two of them decided by two officers."""
    browse("aida", sites=(1,))
    browse("bek", sites=(2,))
    filed = [file_scan(level) for level in (Level.SEARCH, Level.LOOK, Level.CLEAR)]
    with store.write() as connection:
        users = sa.select(tables.users.c.login, tables.users.c.id)
        ids = {row.login: row.id for row in connection.execute(users)}
        for one, site in zip(filed, (1, 2, 2), strict=True):
            same = tables.queue.c.inspection_id == one.id
            connection.execute(sa.update(tables.queue).where(same).values(site_id=site))
        for one, login in zip(filed, ("aida", "bek"), strict=False):
            row = {"inspection_id": one.id, "verdict": "inspect", "reason": "x", "officer": login}
            row |= {"decided_at": timestamp(NOON), "user_id": ids[login], "seconds": 12.0}
            made = sa.insert(tables.decisions).values(row).returning(tables.decisions)
            facts = connection.execute(made).one()._asdict()
            audit.append(connection, audit.Entry(audit.DECIDED, one.id, facts), NOON)
    return filed


def rows(client: TestClient, by: str, **filters: object) -> list[dict[str, str]]:
    """Return the lines of a CSV."""
    answer = client.get("/numbers.csv", params={"by": by, **filters})
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))


def test_the_page_shows_every_number_with_its_meaning(browse: Browse, busy: list[Filed]) -> None:
    """Each number on the page has a definition on the page, and charts and tables are there."""
    page = browse("carla", Role.SUPERVISOR).get("/numbers").text
    meaning = page.partition('class="meaning"')[2]
    for word in (
        "Scans",
        "Alarm rate",
        "Precision at the officer",
        "Precision at the examination",
        "Overturn rate",
        "Agreement",
        "Blind agreement",
        "Hits per 1,000",
        "Time to decision",
        "Alarm rate by day",
        "Mean highest score by day",
    ):
        assert f"<dt>{word}</dt>" in meaning, word
    assert page.count("<svg") == 2
    assert "style=" not in page
    assert "%%" not in page
    assert len(busy) == 3


def test_officers_see_their_sites_and_themselves(browse: Browse, busy: list[Filed]) -> None:
    """An officer's numbers are those of the own site, and no other officer is named."""
    aida, bek = browse("aida"), browse("bek")
    assert [row["scans"] for row in rows(aida, "site")] == ["1"]
    assert [(row["site"], row["scans"]) for row in rows(bek, "site")] == [("s2", "2")]
    assert [row["officer"] for row in rows(bek, "officer")] == ["Bek"]
    page = bek.get("/numbers").text
    assert "Aida" not in page
    assert "s1" not in page
    assert busy


def test_supervisors_see_all_officers_of_their_sites(browse: Browse, busy: list[Filed]) -> None:
    """A supervisor of one site sees its officers, one of all sites and an auditor see all."""
    one = browse("carla", Role.SUPERVISOR, sites=(2,))
    assert [row["officer"] for row in rows(one, "officer")] == ["Bek"]
    for login, role in (("dana", Role.SUPERVISOR), ("erik", Role.AUDITOR)):
        everything = browse(login, role)
        assert {row["officer"] for row in rows(everything, "officer")} == {"Aida", "Bek"}
        assert sum(int(row["scans"]) for row in rows(everything, "site")) == len(busy)


def test_numbers_are_for_those_who_may(browse: Browse, stranger: TestClient) -> None:
    """Administrators decide nothing and see no numbers; strangers are sent to the log-in."""
    admin = browse("admin", Role.ADMINISTRATOR)
    for path in ("/numbers", "/numbers.csv"):
        assert admin.get(path).status_code == 403
        assert stranger.get(path).status_code in (303, 401, 403)


def test_filters(browse: Browse, busy: list[Filed]) -> None:
    """Days, site, class and model choose what is counted."""
    client = browse("carla", Role.SUPERVISOR)
    model = busy[0].inspection.model.sha256
    tomorrow = (NOON + timedelta(days=1)).date().isoformat()
    for filters, wanted in (
        ({}, 3),
        ({"site": 2}, 2),
        ({"class": "firearm"}, 1),
        ({"model": model}, 3),
        ({"model": "0" * 64}, 0),
        ({"from": tomorrow, "to": tomorrow}, 0),
    ):
        assert sum(int(row["scans"]) for row in rows(client, "day", **filters)) == wanted


@pytest.mark.parametrize(
    "query",
    [
        "by=teapot",
        "class=teapot",
        "model=1",
        "from=yesterday",
        "from=2026-01-03&to=2026-01-02",
        "site=x",
        "site=99999999999",
        "to=9999-12-31",
        "from=0001-01-01&to=0001-01-02",
    ],
)
def test_what_cannot_be_asked_is_not_found(browse: Browse, query: str) -> None:
    """A filter that is none of those that exist is 404, not an error of the server."""
    client = browse("carla", Role.SUPERVISOR)
    assert client.get(f"/numbers.csv?{query}").status_code == 404


def test_another_site_is_not_found(browse: Browse, busy: list[Filed]) -> None:
    """Asking for a site that one does not see tells nothing about it."""
    assert browse("bek").get("/numbers?site=1").status_code == 404
    assert busy


def test_a_new_decision_stands_in_the_next_answer(
    browse: Browse, busy: list[Filed], store: Store
) -> None:
    """What is decided now is counted now."""
    client = browse("carla", Role.SUPERVISOR)
    assert [row["decided"] for row in rows(client, "day")] == ["2"]
    row = {"inspection_id": busy[2].id, "verdict": "release", "reason": "", "officer": "x"}
    with store.write() as connection:
        new = sa.insert(tables.decisions).values(row | {"decided_at": timestamp(NOON)})
        facts = connection.execute(new.returning(tables.decisions)).one()._asdict()
        audit.append(connection, audit.Entry(audit.DECIDED, busy[2].id, facts), NOON)
    assert [row["decided"] for row in rows(client, "day")] == ["3"]


def test_an_empty_store_has_a_page(browse: Browse) -> None:
    """Without any scan the page says so."""
    answer = browse("carla", Role.SUPERVISOR).get("/numbers")
    assert answer.status_code == 200
    assert "Nothing was scanned in these days." in answer.text
