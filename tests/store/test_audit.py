"""Claims about the log: whatever is altered behind its back is found."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from nii.store import audit, decisions, marks, outcomes, tables, users
from nii.store.database import Store
from nii.store.decisions import Opinion, Verdict
from nii.store.inspections import Filed
from nii.store.marks import Mark, Sign
from nii.store.outcomes import Outcome
from nii.store.users import Profile, Role

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
EVENTS = 16
"""Two inspections, each with: inspected 1, linked 2, decided 3, asked 4, marked 5 and 6, examined
7, viewed 8; the second ones 8 later."""
ATTACKS = {
    "event's payload": ("UPDATE events SET payload = '{}' WHERE number = 2", 2, "event 2"),
    "event's kind": ("UPDATE events SET kind = 'other' WHERE number = 2", 2, "event 2"),
    "event's time": ("UPDATE events SET at = '2020' WHERE number = 4", 4, "event 4"),
    "event's subject": ("UPDATE events SET inspection_id = 2 WHERE number = 4", 4, "event 4"),
    "event's link": (
        "UPDATE events SET previous_sha256 = sha256 WHERE number = 3",
        3,
        "event 3",
    ),
    "event taken out": ("DELETE FROM events WHERE number = 3", 3, "event 3"),
    "events taken out": ("DELETE FROM events WHERE number IN (3, 4, 5)", 3, "events 3 to 5"),
    "first event taken out": ("DELETE FROM events WHERE number = 1", 1, "event 1"),
    "events renumbered": (
        "DELETE FROM events WHERE number = 1; UPDATE events SET number = number - 1",
        1,
        "event 1",
    ),
    "events changed places": (
        (
            "UPDATE events SET number = 99 WHERE number = 4; "
            "UPDATE events SET number = 4 WHERE number = 5; "
            "UPDATE events SET number = 5 WHERE number = 99"
        ),
        4,
        "event 4",
    ),
    "last events taken out": ("DELETE FROM events WHERE number > 14", 15, "outcome 2"),
    "event put in": (
        (
            "INSERT INTO events SELECT 17, at, kind, inspection_id, payload, previous_sha256, "
            "'a' FROM events WHERE number = 16"
        ),
        17,
        "event 17",
    ),
    "decision's officer": ("UPDATE decisions SET officer = 'X' WHERE id = 1", 3, "decision 1"),
    "decision's account": ("UPDATE decisions SET user_id = NULL WHERE id = 1", 3, "decision 1"),
    "decision's verdict": (
        "UPDATE decisions SET verdict = 'release' WHERE id = 2",
        11,
        "decision 2",
    ),
    "decision taken out": ("DELETE FROM decisions WHERE id = 1", 3, "decision 1"),
    "decision put in": (
        (
            "INSERT INTO decisions (inspection_id, verdict, reason, officer, decided_at) "
            "VALUES (1, 'release', '', 'X', '2026')"
        ),
        17,
        "decision 3",
    ),
    "decision put in between": (
        (
            "UPDATE decisions SET id = 9 WHERE id = 2; "
            "INSERT INTO decisions (id, inspection_id, verdict, reason, officer, decided_at) "
            "VALUES (2, 1, 'release', '', 'X', '2026')"
        ),
        11,
        "decision 2",
    ),
    "decisions changed places": (
        (
            "UPDATE decisions SET id = 9 WHERE id = 2; "
            "UPDATE decisions SET id = 2 WHERE id = 1; "
            "UPDATE decisions SET id = 1 WHERE id = 9"
        ),
        3,
        "decision 1",
    ),
    "inspection's document": (
        "UPDATE inspections SET document = '{}' WHERE id = 2",
        9,
        "inspection 2",
    ),
    "inspection's level": ("UPDATE inspections SET urgency = 0 WHERE id = 1", 1, "inspection 1"),
    "inspection taken out": ("DELETE FROM inspections WHERE id = 1", 1, "inspection 1"),
    "region's score": (
        "UPDATE regions SET score = 0.1 WHERE inspection_id = 2 AND number = 1",
        9,
        "inspection 2",
    ),
    "region taken out": ("DELETE FROM regions WHERE inspection_id = 2", 9, "inspection 2"),
    "name of a file": ("UPDATE scans SET files = '[]'", 1, "inspection 1"),
    "document's value": ("UPDATE documents SET value = 'X' WHERE id = 1", 2, "document 1"),
    "mark's sign": ("UPDATE marks SET mark = 'rejected' WHERE id = 1", 5, "mark 1"),
    "mark's box": ("UPDATE marks SET box_xyxy = '[0,0,1,1]' WHERE id = 2", 6, "mark 2"),
    "mark taken out": ("DELETE FROM marks WHERE id = 3", 13, "mark 3"),
    "outcome's finding": ("UPDATE outcomes SET found = NOT found WHERE id = 1", 7, "outcome 1"),
    "outcome taken out": ("DELETE FROM outcomes WHERE id = 2", 15, "outcome 2"),
}


@pytest.fixture
def logged(store: Store, file_scan: Callable[..., Filed]) -> Store:
    """Give a store with two inspections and everything that can be said of them."""
    profile = Profile("A. Officer", Role.OFFICER)
    with store.write() as connection:  # no event, so that numbers of events stay easy to read
        row = {"login": "a", "name": "A. Officer", "role": "officer", "must_change": False}
        more = {"language": "en", "failures": 0, "created_at": "2026-01-01T00:00:00+00:00"}
        connection.execute(sa.insert(tables.users).values(row | more))
    user = users.get(store, 1)
    assert user is not None
    assert user.profile == profile
    for content in ("one", "two"):
        number = file_scan(content).id
        opinion = Opinion(Verdict.REFER, "A. Officer", "unsure", user.id, seconds=4.2)
        decisions.add(store, number, opinion, NOON)
        marks.add(store, number, Mark(Sign.CONFIRMED, 1), user.actor, NOON)
        box = (1.0, 2.0, 3.5, 4.0)
        marks.add(store, number, Mark(Sign.DRAWN, box_xyxy=box), user.actor, NOON)
        outcomes.add(
            store,
            number,
            Outcome(found=True, examined_at=NOON, class_name="firearm"),
            user.actor,
            NOON,
        )
        audit.log(store, audit.Entry(audit.VIEWED, number, {"regions": "shown"}), NOON)
    return store


@pytest.mark.slow
def test_an_honest_log_is_intact(logged: Store) -> None:
    """A log that nobody touched holds, and its head is the newest event."""
    check = audit.verify(logged)
    assert check.intact, check.faults
    assert check.head == audit.head(logged)
    assert check.head.number == EVENTS


def test_an_empty_log_is_intact(store: Store) -> None:
    """A new store holds and has no event."""
    assert audit.verify(store) == audit.Check(audit.Head(0, audit.ORIGIN_SHA256))


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS)
def test_alterations_are_found(logged: Store, attack: str) -> None:
    """Whoever switches the triggers off and alters a row is found out: which row, which event."""
    statements, place, which = ATTACKS[attack]
    _tamper(logged, *statements.split("; "))
    check = audit.verify(logged)
    assert check.broken_at == place
    assert which in check.reason


@pytest.mark.slow
def test_several_faults_are_all_named(logged: Store) -> None:
    """One fault does not hide another one."""
    _tamper(
        logged,
        "UPDATE decisions SET officer = 'X' WHERE id = 1",
        "DELETE FROM marks WHERE id = 4",
    )
    reasons = [fault.reason for fault in audit.verify(logged).faults]
    assert reasons == ["decision 1 was altered", "mark 4 is missing"]


@pytest.mark.slow
def test_a_check_in_parts_finds_the_same(logged: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few events are read at once, the result is the same."""
    for size in (1, 2, 3, 7):
        monkeypatch.setattr(audit, "_AT_ONCE", size)
        assert audit.verify(logged).intact
    _tamper(logged, "DELETE FROM decisions WHERE id = 1", "UPDATE marks SET id = 9 WHERE id = 3")
    found = []
    for size in (1, 3, 500):
        monkeypatch.setattr(audit, "_AT_ONCE", size)
        found.append({fault.reason for fault in audit.verify(logged).faults})
    assert found[0] == found[1] == found[2] >= {"decision 1 is missing", "mark 3 is missing"}


def test_events_follow_a_number(logged: Store) -> None:
    """Whoever reads on from the last number it has seen gets every event once, in order."""
    seen: list[int] = []
    while part := audit.events_after(logged, seen[-1] if seen else 0, limit=3):
        seen += [event.number for event in part]
    assert seen == list(range(1, EVENTS + 1))
    decided = audit.events_after(logged, 3, kinds=(audit.DECIDED,))
    assert [event.number for event in decided] == [11]
    assert [event.number for event in audit.of_inspection(logged, 2)] == list(range(9, 17))


@pytest.mark.slow
def test_a_cut_off_end_needs_a_witness(logged: Store) -> None:
    """Cutting off the newest events with their records shows against a head noted earlier."""
    witness = audit.head(logged)
    _tamper(
        logged,
        "DELETE FROM events WHERE number >= 15",
        "DELETE FROM outcomes WHERE id = 2",
    )
    assert audit.verify(logged).intact
    check = audit.verify(logged, witness)
    assert (check.broken_at, check.reason) == (15, "events that were seen earlier are missing")


@pytest.mark.slow
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
        cursor.execute("SET session_replication_role = replica")  # no trigger, no foreign key
    for statement in statements:
        cursor.execute(statement)
    raw.commit()
    cursor.close()
    raw.invalidate()
    raw.close()
    with store.read() as connection:
        connection.execute(sa.text("SELECT 1"))
