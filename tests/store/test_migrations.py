"""Claims about the way from one schema to the next."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from nii.errors import NiiError
from nii.inspection import Inspection, Level
from nii.provenance import sha256_of_bytes
from nii.store import audit, database, decisions, documents, inspections, queue, scans, sites
from nii.store.audit import canonical
from nii.store.database import Store, open_store
from nii.store.queue import Query, State
from nii.store.scans import KeptScan

AT = "2026-01-02T12:00:00.000000+00:00"


@pytest.fixture
def old(
    place: str | Path, tmp_path: Path, example: Callable[..., Inspection]
) -> tuple[str | Path, list[Inspection]]:
    """Give a database as version 0001 left it: two inspections, one of them decided."""
    store = _old_store(place, tmp_path)
    filed = []
    for number, content in enumerate((b"one", b"two"), 1):
        path = tmp_path / "truck.tif"
        path.write_bytes(content)
        kept = scans.keep(store, [path])
        inspection = example(kept.sha256, Level.SEARCH if number == 1 else Level.LOOK)
        facts = replace(inspection.scan, scanner="Lane 1", acquired_at="2026-01-01T08:00:00+06:00")
        filed.append(replace(inspection, scan=facts))
        with store.write() as connection:
            _file(connection, number, kept, filed[-1])
    with store.write() as connection:
        row = {
            "inspection_id": 1,
            "verdict": "inspect",
            "reason": "",
            "officer": "A. Officer",
            "decided_at": AT,
        }
        _insert(connection, "decisions", row)
        _log(connection, "decided", 1, {"id": 1, **row})
    store.close()
    return place, filed


@pytest.fixture
def place(database: str | Path) -> str | Path:
    """Give the place of an empty database, under a name that no module has."""
    return database


@pytest.mark.slow
def test_a_store_of_the_first_version_is_carried_over(
    old: tuple[str | Path, list[Inspection]], tmp_path: Path
) -> None:
    """Nothing is lost; inspections wait or are decided; scanners and numbers have their rows."""
    place, filed = old
    store = open_store(place, tmp_path / "files")
    for number, inspection in enumerate(filed, 1):
        found = inspections.get(store, number)
        assert found is not None
        assert found.inspection == inspection
        item = queue.get(store, number)
        assert item is not None
        assert item.state is (State.DECIDED if number == 1 else State.OPEN)
        assert item.risk == queue.risk(inspection)
        assert item.scanner == "Lane 1"
        numbers = [each.value for each in documents.of_scan(store, found.scan_sha256)]
        assert numbers == [documents.normal(one) for one in inspection.scan.container_numbers]
    assert [scanner.code for scanner in sites.scanners(store)] == ["Lane 1"]
    (decision,) = decisions.of_inspection(store, 1)
    assert (decision.verdict, decision.user_id, decision.why) == ("inspect", None, "new")
    with store.read() as connection:
        times = connection.execute(sa.text("SELECT scanned_at FROM scans")).scalars().all()
    assert set(times) == {"2026-01-01T02:00:00.000000+00:00"}
    check = audit.verify(store)
    assert check.intact, check.faults
    opinion = decisions.Opinion(decisions.Verdict.RESCAN, "A. Officer")
    assert decisions.add(store, 2, opinion, datetime.now(UTC)).id == 2
    assert queue.page(store, Query()) == ()
    assert audit.verify(store).intact
    store.close()


@pytest.mark.slow
def test_what_was_altered_before_is_found_after(
    old: tuple[str | Path, list[Inspection]], tmp_path: Path
) -> None:
    """A region of the first version, whose event knows no digest of it, is checked all the same."""
    place, _ = old
    store = open_store(place, tmp_path / "files")
    with store.engine.connect() as connection:
        on_file = connection.dialect.name == "sqlite"
        guard = "DROP TRIGGER regions_no_update"
        if not on_file:
            guard = "ALTER TABLE regions DISABLE TRIGGER USER"
        connection.exec_driver_sql(guard)
        connection.exec_driver_sql("UPDATE regions SET score = 0.01 WHERE inspection_id = 2")
        connection.commit()
    assert audit.verify(store).reason == "inspection 2 was altered"
    store.close()


def test_rows_that_point_to_nothing_stop_the_step(place: str | Path, tmp_path: Path) -> None:
    """A SQLite file whose rows do not belong together is left as it was."""
    if not isinstance(place, Path):
        pytest.skip("PostgreSQL never lets such rows in")
    store = _old_store(place, tmp_path)
    raw = store.engine.raw_connection()
    raw.cursor().execute("PRAGMA foreign_keys=OFF")
    raw.cursor().execute(f"INSERT INTO decisions VALUES (1, 9, 'inspect', '', 'A', '{AT}')")  # noqa: S608
    raw.invalidate()
    raw.close()
    store.close()
    with pytest.raises(NiiError, match="point to nothing"):
        open_store(place, tmp_path / "files")
    engine = sa.create_engine(f"sqlite:///{place}")
    with engine.connect() as connection:
        version = connection.execute(sa.text("SELECT version_num FROM alembic_version"))
        assert version.scalar_one() == "0001"
    engine.dispose()


def _old_store(place: str | Path, folder: Path) -> Store:
    (folder / "files").mkdir()
    url = database._url(place)
    kind = database._sqlite if isinstance(place, Path) else database._postgresql
    store = Store(kind(url), folder / "files")
    with store.write() as connection:
        command.upgrade(database.migration_config(connection), "0001")
    return store


def _file(connection: sa.Connection, number: int, kept: KeptScan, inspection: Inspection) -> None:
    files = [asdict(file) for file in kept.files]
    scan = {"sha256": kept.sha256, "files": canonical(files), "kept_at": AT}
    _insert(connection, "scans", scan)
    document = canonical(inspection.to_json())
    row = {
        "scan_sha256": kept.sha256,
        "model_sha256": inspection.model.sha256,
        "urgency": inspection.level.rank,
        "filed_at": AT,
    }
    _insert(connection, "inspections", row | {"document": document})
    for region in inspection.regions:
        facts = {
            "inspection_id": number,
            "number": region.number,
            "class_name": region.class_name,
            "category": region.category,
            "level": region.level.value,
            "score": region.score,
        }
        _insert(connection, "regions", facts)
    said = {"files": files, "document_sha256": sha256_of_bytes(document.encode())}
    _log(connection, "inspected", number, row | said)


def _log(connection: sa.Connection, kind: str, about: int, payload: dict[str, Any]) -> None:
    newest = sa.text("SELECT number, sha256 FROM events ORDER BY number DESC LIMIT 1")
    last = connection.execute(newest).one_or_none()
    row = {
        "number": 1 if last is None else last.number + 1,
        "at": AT,
        "kind": kind,
        "inspection_id": about,
        "payload": json.dumps(payload, sort_keys=True, separators=(",", ":")),
        "previous_sha256": audit.ORIGIN_SHA256 if last is None else last.sha256,
    }
    _insert(connection, "events", row | {"sha256": audit.digest_of(row)})


def _insert(connection: sa.Connection, table: str, row: dict[str, Any]) -> None:
    marks = ", ".join(f":{name}" for name in row)
    text = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"  # noqa: S608
    connection.execute(sa.text(text), row)
