"""Fixtures: a scan that was inspected, in files and in a store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nii.inspection import Inspection
from nii.provenance import SourceFile, sha256_of_file, sha256_of_sources
from nii.store import inspections, scans
from nii.store.database import Store, open_folder
from nii.store.inspections import Filed

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
EXAMPLE = Path(__file__).parents[1] / "store" / "inspection.json"
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
