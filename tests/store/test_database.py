"""Claims about opening a store."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from nii.errors import ConfigError, NiiError
from nii.store import database as subject
from nii.store.database import Store, open_store


def test_open_again_keeps_what_is_there(database: str | Path, tmp_path: Path) -> None:
    """Opening a store a second time finds the rows of the first time."""
    row = {"sha256": "a" * 64, "files": "[]", "kept_at": "2026-01-01T00:00:00.000000+00:00"}
    for expected in (0, 1):
        store = open_store(database, tmp_path / "files")
        with store.write() as connection:
            count = connection.execute(sa.text("SELECT count(*) FROM scans")).scalar_one()
            if expected == 0:
                insert = (
                    "INSERT INTO scans (sha256, files, kept_at) VALUES (:sha256, :files, :kept_at)"
                )
                connection.execute(sa.text(insert), row)
        store.close()
        assert count == expected


@pytest.mark.slow
def test_open_by_many_at_once(database: str | Path, tmp_path: Path) -> None:
    """Programs that open a new store at the same time all succeed."""
    with ThreadPoolExecutor(4) as pool:
        opened = [pool.submit(open_store, database, tmp_path / "files") for _ in range(4)]
        for future in opened:
            future.result().close()


def test_a_newer_schema_is_refused(store: Store) -> None:
    """A database of a newer version is named as such and left alone."""
    with store.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    url = store.engine.url.render_as_string(hide_password=False)
    with pytest.raises(NiiError, match="newer"):
        open_store(url, store.files)


@pytest.mark.parametrize("url", ["mysql://localhost/nii", "sqlite://", "://", "sqlite:///:memory:"])
def test_other_databases_are_refused(url: str, tmp_path: Path) -> None:
    """Only SQLite files and PostgreSQL are supported."""
    with pytest.raises(ConfigError):
        open_store(url, tmp_path)


@pytest.mark.slow
def test_an_error_undoes_the_transaction(store: Store) -> None:
    """What was written before an error is not there afterwards."""
    insert = sa.text("INSERT INTO scans (sha256, files, kept_at) VALUES ('a', '[]', 'now')")
    with pytest.raises(sa.exc.IntegrityError), store.write() as connection:  # noqa: PT012
        connection.execute(insert)
        connection.execute(insert)
    with store.read() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM scans")).scalar_one() == 0


def test_sqlite_settings(tmp_path: Path) -> None:
    """SQLite runs with write-ahead log, foreign keys and full synchronisation."""
    store = subject.open_folder(tmp_path)
    with store.read() as connection:
        for pragma, expected in (("journal_mode", "wal"), ("foreign_keys", 1), ("synchronous", 2)):
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one() == expected
    store.close()


def test_a_time_needs_a_zone() -> None:
    """A time without zone is refused instead of guessed."""
    with pytest.raises(ValueError, match="zone"):
        subject.timestamp(datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.slow
def test_the_store_needs_neither_models_nor_the_web() -> None:
    """Importing the store brings in neither a model runtime nor the web app."""
    code = (
        "import sys, nii.store.inspections; "
        "print([name for name in sys.modules if name in {'torch', 'onnxruntime', 'starlette'}])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)  # noqa: S603
    assert result.stdout.strip() == b"[]"
