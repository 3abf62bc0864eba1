"""Claims about the schema."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from nii.store import decisions, tables
from nii.store.database import Store
from nii.store.inspections import Filed

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)

OPTIONS = {"compare_type": True, "compare_server_default": True}


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
@pytest.mark.parametrize("statement", ["UPDATE {} SET inspection_id = 2", "DELETE FROM {}"])
def test_rows_are_only_added(
    store: Store, file_scan: Callable[..., Filed], table: str, statement: str
) -> None:
    """The database itself refuses to change or delete an event or a decision."""
    opinion = decisions.Opinion(decisions.Verdict.INSPECT, "A. Officer")
    decisions.add(store, file_scan("one").id, opinion, NOON)
    with pytest.raises(sa.exc.DBAPIError, match="only be added"), store.write() as connection:
        connection.execute(sa.text(statement.format(table)))
