"""Fixtures: a scan that was inspected, in files and in a store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from nii import formats
from nii.inspection import Inspection
from nii.provenance import SourceFile, sha256_of_file, sha256_of_sources
from nii.scan import Scan
from nii.store import audit, documents, inspections, scans, tables
from nii.store.audit import Actor
from nii.store.database import Store, open_folder
from nii.store.inspections import Filed

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
EXAMPLE = Path(__file__).parents[1] / "store" / "inspection.json"
AT = "2026-01-02T12:30:00.000000+00:00"
BOXES = ((20.0, 10.0, 50.0, 30.0), (100.0, 5.0, 140.0, 25.0))
PNG = b"\x89PNG\r\n\x1a\n and the rest of a picture"


@pytest.fixture
def scan_files(tmp_path: Path) -> tuple[Path, ...]:
    """Give the two files of a scan."""
    folder = tmp_path / "scan"
    folder.mkdir()
    for name in ("high.dcs", "low.dcs"):
        (folder / name).write_bytes(name.encode() * 1000)
    return folder / "high.dcs", folder / "low.dcs"


@pytest.fixture
def inspection_of() -> Callable[..., Inspection]:
    """Give a function that returns an inspection of these files."""

    def inspect(files: tuple[Path, ...]) -> Inspection:
        example = Inspection.from_json(json.loads(EXAMPLE.read_text("utf-8")))
        sources = tuple(SourceFile(file.name, sha256_of_file(file)) for file in files)
        names = tuple(file.name for file in files)
        scan = replace(example.scan, sha256=sha256_of_sources(sources), files=names)
        return replace(example, scan=scan)

    return inspect


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Give an empty store."""
    opened = open_folder(tmp_path / "store")
    yield opened
    opened.close()


@pytest.fixture
def filed(
    store: Store, scan_files: tuple[Path, ...], inspection_of: Callable[..., Inspection]
) -> Filed:
    """Give an inspection that is in the store."""
    kept = scans.keep(store, scan_files)
    return inspections.add(store, kept, inspection_of(scan_files), NOON)


@dataclass(frozen=True, slots=True)
class Desk:
    """A store with scans that can be read, and officers who say something about them."""

    store: Store
    folder: Path
    rng: np.random.Generator

    def scan(
        self, name: str = "truck.tif", change: Callable[[Inspection], Inspection] | None = None
    ) -> Filed:
        """File an inspection of a new scan in a file of this name."""
        image = self.rng.uniform(0.2, 1.0, (2, 60, 240)).astype(np.float32)
        folder = self.folder / f"incoming-{self.rng.integers(1 << 62)}"
        folder.mkdir()
        paths = formats.write(Scan(image, endpoint_mev=(9.0, 6.0)), folder / name)
        kept = scans.keep(self.store, paths)
        whole = Inspection.from_json(json.loads(EXAMPLE.read_text("utf-8")))
        files = tuple(path.name for path in paths)
        facts = replace(whole.scan, sha256=kept.sha256, height=60, width=240, files=files)
        regions = tuple(
            replace(region, box_xyxy=box) for region, box in zip(whole.regions, BOXES, strict=True)
        )
        inspection = replace(whole, scan=facts, regions=regions)
        return inspections.add(self.store, kept, change(inspection) if change else inspection, NOON)

    def decide(self, filed: Filed, **facts: object) -> int:
        """Add a decision."""
        row = {"verdict": "inspect", "reason": "dense", "officer": "A. Officer", "decided_at": AT}
        return self.add(tables.decisions, "decided", filed, **(row | facts))

    def mark(self, filed: Filed, mark: str, region: int | None = None, **facts: object) -> int:
        """Add a mark; keep `withdraws` for what it takes back."""
        row = {"mark": mark, "region_number": region, "officer": "A. Officer", "marked_at": AT}
        return self.add(tables.marks, "marked", filed, **(row | facts))

    def examine(self, filed: Filed, *, found: bool, **facts: object) -> int:
        """Add the outcome of an examination."""
        row = {"found": found, "officer": "B. Examiner", "examined_at": AT}
        return self.add(tables.outcomes, "examined", filed, **(row | facts))

    def document(self, filed: Filed, kind: str, value: str) -> None:
        """Tie a scan to a document."""
        paper = documents.Paper(documents.Kind(kind), value)
        documents.link(self.store, filed.scan_sha256, paper, Actor("manifest"), NOON)

    def add(self, table: sa.Table, kind: str, filed: Filed, **facts: object) -> int:
        """Add a row and its event, as the store does."""
        with self.store.write() as connection:
            values = {"inspection_id": filed.id} | facts
            new = sa.insert(table).values(values).returning(table)
            row = connection.execute(new).one()._asdict()
            audit.append(connection, audit.Entry(kind, filed.id, row), NOON)
        return int(row["id"])


@pytest.fixture(scope="session")
def desk_of() -> Callable[[Path, int], Desk]:
    """Give a function that opens a desk with an empty store in a folder; close its store."""

    def new(folder: Path, seed: int) -> Desk:
        return Desk(open_folder(folder / "store"), folder, np.random.default_rng(seed))

    return new


@pytest.fixture
def desk(store: Store, tmp_path: Path, rng: np.random.Generator) -> Desk:
    """Give officers at a desk with an empty store."""
    return Desk(store, tmp_path, rng)
