"""Fixtures: a store with inspected scans, and a browser's view of it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from nii import formats
from nii.inspection import Inspection, Level
from nii.review.app import create_app
from nii.scan import Scan
from nii.store import inspections, scans
from nii.store.database import Store, open_folder
from nii.store.inspections import Filed

with warnings.catch_warnings():
    # Newer versions of Starlette prefer the package httpx2, and say so whenever they meet httpx.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
EXAMPLE = Path(__file__).parents[1] / "store" / "inspection.json"
ORIGIN = "http://127.0.0.1:8000"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Give an empty store."""
    opened = open_folder(tmp_path / "store")
    yield opened
    opened.close()


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
def client(store: Store) -> Iterator[TestClient]:
    """Give a client that behaves like a browser on one of our own pages."""
    app = create_app(store, clock=lambda: NOON)
    headers = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
    with TestClient(app, base_url=ORIGIN, headers=headers, follow_redirects=False) as opened:
        yield opened
