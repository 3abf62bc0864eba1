"""Claims about the log: whatever is altered behind its back is found."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from nii.store import audit, decisions, tables
from nii.store.database import Store
from nii.store.decisions import Opinion, Verdict
from nii.store.inspections import Filed

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ATTACKS = {
    "event's payload": ("UPDATE events SET payload = '{}' WHERE number = 2", 2),
    "event's kind": ("UPDATE events SET kind = 'other' WHERE number = 2", 2),
    "event's time": ("UPDATE events SET at = '2020' WHERE number = 4", 4),
    "event's link": ("UPDATE events SET previous_sha256 = sha256 WHERE number = 3", 3),
    "event taken out": ("DELETE FROM events WHERE number = 3", 3),
    "first event taken out": ("DELETE FROM events WHERE number = 1", 1),
    "events renumbered": (
        "DELETE FROM events WHERE number = 1; UPDATE events SET number = number - 1",
        1,
    ),
    "last event taken out": ("DELETE FROM events WHERE number = 4", 4),
    "decision's officer": ("UPDATE decisions SET officer = 'X' WHERE id = 1", 2),
    "decision's verdict": ("UPDATE decisions SET verdict = 'release' WHERE id = 2", 4),
    "decision taken out": ("DELETE FROM decisions WHERE id = 1", 2),
    "decision put in": (
        (
            "INSERT INTO decisions (inspection_id, verdict, reason, officer, decided_at) "
            "VALUES (1, 'release', '', 'X', '2026')"
        ),
        5,
    ),
    "inspection's document": ("UPDATE inspections SET document = '{}' WHERE id = 2", 3),
    "inspection's level": ("UPDATE inspections SET urgency = 0 WHERE id = 1", 1),
    "name of a file": ("UPDATE scans SET files = '[]'", 1),
}


@pytest.fixture
def logged(store: Store, file_scan: Callable[..., Filed]) -> Store:
    """Give a store with four events: two inspections, each with a decision."""
    for content in ("one", "two"):
        filed = file_scan(content)
        decisions.add(store, filed.id, Opinion(Verdict.INSPECT, "A. Officer"), NOON)
    return store


def test_an_honest_log_is_intact(logged: Store) -> None:
    """A log that nobody touched holds, and its head is the newest event."""
    check = audit.verify(logged)
    assert check.intact
    assert check.head == audit.head(logged)
    assert check.head.number == 4


def test_an_empty_log_is_intact(store: Store) -> None:
    """A new store holds and has no event."""
    assert audit.verify(store) == audit.Check(audit.Head(0, audit.ORIGIN_SHA256))


@pytest.mark.parametrize("attack", ATTACKS)
def test_alterations_are_found(logged: Store, attack: str) -> None:
    """Whoever switches the triggers off and alters a row is found out at the right event."""
    statements, place = ATTACKS[attack]
    _tamper(logged, *statements.split("; "))
    check = audit.verify(logged)
    assert check.broken_at == place
    assert check.reason


def test_a_cut_off_end_needs_a_witness(logged: Store) -> None:
    """Cutting off the newest event with its record shows against a head noted earlier."""
    witness = audit.head(logged)
    _tamper(logged, "DELETE FROM events WHERE number = 4", "DELETE FROM decisions WHERE id = 2")
    assert audit.verify(logged).intact
    assert audit.verify(logged, witness).broken_at == 4


def test_a_rewritten_log_contradicts_its_witness(logged: Store) -> None:
    """A log of the same length with other digests is not the one that was seen."""
    witness = audit.Head(2, "f" * 64)
    assert audit.verify(logged, witness).broken_at == 2


@given(st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), st.booleans()), max_size=5))
def test_canonical_has_one_form(data: dict[str, object]) -> None:
    """The order in which keys were put in never shows."""
    turned = dict(reversed(list(data.items())))
    assert audit.canonical(data) == audit.canonical(turned)


def test_canonical_refuses_what_is_no_json() -> None:
    """A number that JSON does not know is refused."""
    with pytest.raises(ValueError, match="JSON"):
        audit.canonical({"score": float("nan")})


def _tamper(store: Store, *statements: str) -> None:
    raw = store.engine.raw_connection()
    cursor = raw.cursor()
    if store.engine.dialect.name == "sqlite":
        cursor.execute("PRAGMA foreign_keys=OFF")
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in cursor.fetchall():
            cursor.execute(f"DROP TRIGGER {name}")
    else:
        for table in (*tables.APPEND_ONLY, "scans"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    for statement in statements:
        cursor.execute(statement)
    raw.commit()
    cursor.close()
    raw.invalidate()
    raw.close()
    with store.read() as connection:
        connection.execute(sa.text("SELECT 1"))
