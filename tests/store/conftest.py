"""Fixtures: a store on each database, and scans and inspections to put into it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nii.inspection import Inspection, Level
from nii.store import inspections, scans, users
from nii.store.audit import Actor
from nii.store.database import Store, open_store
from nii.store.inspections import Filed
from nii.store.users import Credentials, Profile, Role, User

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
EXAMPLE = Path(__file__).with_name("inspection.json")


@pytest.fixture
def store(desk_database: str | Path, tmp_path: Path) -> Iterator[Store]:
    """Give an empty store."""
    opened = open_store(desk_database, tmp_path / "files")
    yield opened
    opened.close()


@pytest.fixture
def file_scan(store: Store, tmp_path: Path) -> Callable[..., Filed]:
    """Give a function that files an inspection of a scan with this content at this level."""

    def file(
        content: str,
        level: Level = Level.SEARCH,
        change: Callable[[Inspection], Inspection] = lambda inspection: inspection,
        at: datetime = NOON,
    ) -> Filed:
        path = tmp_path / "truck.tif"
        path.write_text(content)
        kept = scans.keep(store, [path])
        return inspections.add(store, kept, change(_example(kept.sha256, level)), at)

    return file


@pytest.fixture
def add_user(store: Store) -> Callable[..., User]:
    """Give a function that adds a user."""

    def add(login: str, role: Role = Role.OFFICER, **more: Any) -> User:  # noqa: ANN401
        profile = Profile(login.title(), role, **more)
        return users.create(store, login, profile, Credentials("hash"), Actor("setup"), NOON)

    return add


@pytest.fixture
def example() -> Callable[..., Inspection]:
    """Give a function that returns an inspection of a scan that ends at this level."""
    return _example


def _example(scan_sha256: str, level: Level = Level.SEARCH) -> Inspection:
    whole = Inspection.from_json(json.loads(EXAMPLE.read_text("utf-8")))
    regions = tuple(region for region in whole.regions if region.level.rank <= level.rank)
    scan = replace(whole.scan, sha256=scan_sha256)
    return replace(whole, scan=scan, regions=regions, level=level)
