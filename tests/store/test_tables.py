"""Claims about the schema."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from nii.store import decisions, tables
from nii.store.database import Store
from nii.store.inspections import Filed

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)

OPTIONS = {"compare_type": True, "compare_server_default": True}


@pytest.mark.slow
def test_migrations_build_the_tables(store: Store) -> None:
    """The migrations end at the schema that tables.py states."""
    with store.read() as connection:
        context = MigrationContext.configure(connection, opts=OPTIONS)
        assert compare_metadata(context, tables.metadata) == []


def test_the_comparison_sees_a_difference(store: Store) -> None:
    """The comparison above fails when a column is missing."""
    with store.write() as connection:
        connection.execute(sa.text("ALTER TABLE scans ADD COLUMN extra INTEGER"))
    with store.read() as connection:
        context = MigrationContext.configure(connection, opts=OPTIONS)
        assert compare_metadata(context, tables.metadata)


@pytest.mark.slow
def test_names_of_constraints_agree(store: Store) -> None:
    """Foreign keys, unique constraints and indexes carry the names that tables.py gives them."""
    with store.read() as connection:
        inspector = sa.inspect(connection)
        for name, table in tables.metadata.tables.items():
            unique = {key["name"] for key in inspector.get_unique_constraints(name)}
            found = unique | {key["name"] for key in inspector.get_foreign_keys(name)}
            primary = table.primary_key.name
            assert found == {str(one.name) for one in table.constraints if one.name != primary}
            indexes = {index["name"] for index in inspector.get_indexes(name)}
            assert indexes - unique == {str(index.name) for index in table.indexes}


@pytest.mark.parametrize("table", tables.APPEND_ONLY)
@pytest.mark.parametrize("statement", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}"])
def test_rows_are_only_added(filled: Store, table: str, statement: str) -> None:
    """The database itself refuses to change or delete a row of any table of evidence."""
    column = tables.metadata.tables[table].columns.keys()[0]
    with pytest.raises(sa.exc.DBAPIError, match="only be added"), filled.write() as connection:
        connection.execute(sa.text(statement.format(table, column)))


@pytest.mark.slow
@pytest.mark.parametrize("table", tables.APPEND_ONLY)
def test_no_row_is_replaced(filled: Store, table: str) -> None:
    """SQLite's INSERT OR REPLACE, which deletes without asking, is refused as well."""
    if filled.engine.dialect.name != "sqlite":
        pytest.skip("only SQLite knows INSERT OR REPLACE")
    with pytest.raises(sa.exc.DBAPIError, match="only be added"), filled.write() as connection:
        connection.execute(sa.text(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}"))  # noqa: S608


def test_numbers_of_evidence_are_never_used_again(store: Store) -> None:
    """In SQLite, too, a number that was given away stays so when its row is gone."""
    if store.engine.dialect.name != "sqlite":
        pytest.skip("a sequence of PostgreSQL never goes back")
    with store.read() as connection:
        found = connection.execute(sa.text("SELECT name, sql FROM sqlite_master")).all()
    texts = {row.name: row.sql for row in found if row.sql}
    for name, table in tables.metadata.tables.items():
        assert table.dialect_options["sqlite"]["autoincrement"] == ("AUTOINCREMENT" in texts[name])


@pytest.fixture
def filled(store: Store, file_scan: Callable[..., Filed]) -> Store:
    """Give a store with a row in every table of evidence."""
    filed = file_scan("one")
    opinion = decisions.Opinion(decisions.Verdict.INSPECT, "A. Officer")
    decisions.add(store, filed.id, opinion, NOON)
    with store.write() as connection:
        about = {"inspection_id": filed.id, "officer": "A. Officer"}
        at = "2026-01-02T12:00:00.000000+00:00"
        rows: dict[sa.Table, dict[str, Any]] = {
            tables.marks: about | {"mark": "drawn", "marked_at": at},
            tables.outcomes: about | {"found": True, "examined_at": at},
            tables.documents: {
                "scan_sha256": filed.scan_sha256,
                "kind": "plate",
                "value": "01KG123ABC",
                "linked_at": at,
                "linked_by": "test",
            },
        }
        for table, row in rows.items():
            connection.execute(sa.insert(table).values(row))
    return store
