"""Fixtures: a store with inspected scans, accounts, and a browser's view of it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from nii import formats
from nii.inspection import Inspection, Level
from nii.review import passwords
from nii.review.app import create_app
from nii.review.desk import ReviewSettings
from nii.review.limits import Rate
from nii.scan import Scan
from nii.store import inspections, scans, tables, users
from nii.store.audit import Actor
from nii.store.database import Store, open_folder
from nii.store.inspections import Filed
from nii.store.users import Credentials, Profile, Role, User

with warnings.catch_warnings():
    # Newer versions of Starlette prefer the package httpx2, and say so whenever they meet httpx.
    warnings.simplefilter("ignore")
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
EXAMPLE = Path(__file__).parents[1] / "store" / "inspection.json"
ORIGIN = "http://127.0.0.1:8000"
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def quick_hashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let passwords be hashed with few passes, but where a test is about the hashes."""
    if "real_hashes" not in request.keywords:
        quick = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
        monkeypatch.setattr(passwords, "HASHER", quick)
        monkeypatch.setattr(passwords, "_NOBODY", [])


BOTH_ENGINES = {
    "test_api": [pytest.mark.slow],
    "test_desk": [],
    "test_pages": [pytest.mark.slow],
    "test_records": [],
    "test_upload": [],
}
"""Tests of queue, decisions and API that PostgreSQL has to pass too, and the marks of that run."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run some files of tests on both database engines."""
    name = metafunc.module.__name__.rpartition(".")[2]
    if name in BOTH_ENGINES and "store" in metafunc.fixturenames:
        other = pytest.param("postgresql", marks=BOTH_ENGINES[name])
        metafunc.parametrize("store", ["sqlite", other], indirect=True)


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Give an empty store: in a SQLite file, or in PostgreSQL where the test is run on both."""
    if getattr(request, "param", "sqlite") == "sqlite":
        opened = open_folder(tmp_path / "store")
        yield opened
        opened.close()
        return
    server = request.getfixturevalue("postgres")
    url = server.desk()
    opened = open_folder(tmp_path / "store", url)
    yield opened
    opened.close()
    server.give_back(url)


@pytest.fixture
def account(store: Store) -> Callable[..., User]:
    """Give a function that adds an account whose password is known."""

    def add(
        login: str,
        role: Role = Role.OFFICER,
        sites: tuple[int, ...] | None = None,
        group: str | None = None,
    ) -> User:
        for number in sites or ():
            with store.write() as connection:
                table = tables.sites
                known = connection.execute(sa.select(table).where(table.c.id == number)).first()
                if known is None:
                    row = {"id": number, "code": f"s{number}", "name": f"Site {number}"}
                    connection.execute(sa.insert(table).values(row))
        profile = Profile(login.capitalize(), role, "en", group, sites)
        credentials = Credentials(passwords.hashed(PASSWORD))
        return users.create(store, login, profile, credentials, Actor("test"), NOON)

    return add


@pytest.fixture
def file_scan(store: Store, tmp_path: Path, rng: np.random.Generator) -> Callable[..., Filed]:
    """Give a function that files an inspection of a new scan; `change` alters the inspection."""

    def file(
        level: Level = Level.SEARCH,
        change: Callable[[Inspection], Inspection] = lambda inspection: inspection,
    ) -> Filed:
        image = rng.uniform(0.2, 1.0, (1, 60, 240)).astype(np.float32)
        kept = scans.keep(store, formats.write(Scan(image), tmp_path / "truck.tif"))
        whole = Inspection.from_json(json.loads(EXAMPLE.read_text("utf-8")))
        regions = tuple(region for region in whole.regions if region.level.rank <= level.rank)
        facts = replace(whole.scan, sha256=kept.sha256, height=60, width=240)
        inspection = replace(whole, scan=facts, regions=regions, level=level)
        return inspections.add(store, kept, change(inspection), NOON)

    return file


@pytest.fixture
def app(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Starlette]:
    """Give the web app over the store, at noon; it lets strangers ask as often as they like."""
    monkeypatch.setattr("nii.review.app.STRANGERS", Rate(burst=100_000, per_second=1.0))
    monkeypatch.setattr("nii.review.accounts.TRIES", Rate(burst=100_000, per_second=1.0))
    made = create_app(store, ReviewSettings(prepared=0), clock=lambda: NOON)
    yield made
    made.state.tiles.close()


@pytest.fixture
def stranger(app: Starlette) -> TestClient:
    """Give a client that behaves like a browser on one of our own pages, not logged in."""
    return _client(app)


@pytest.fixture
def browse(app: Starlette, store: Store, account: Callable[..., User]) -> Callable[..., TestClient]:
    """Give a function that logs somebody in, and adds the account where there is none."""

    def log_in(login: str = "officer", role: Role = Role.OFFICER, **more: object) -> TestClient:
        if users.by_login(store, login) is None:
            account(login, role, **more)
        client = _client(app)
        answer = client.post("/login", data={"login": login, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return client

    return log_in


@pytest.fixture
def client(browse: Callable[..., TestClient]) -> TestClient:
    """Give a browser in which an officer is logged in."""
    return browse()


def _client(app: Starlette) -> TestClient:
    headers = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
    return TestClient(app, base_url=ORIGIN, headers=headers, follow_redirects=False)
