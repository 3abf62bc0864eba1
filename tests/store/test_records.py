"""Claims about holding records against events; the attacks are in test_audit.py."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from nii.store import audit, decisions, records, tables
from nii.store.database import Store
from nii.store.decisions import Opinion, Verdict
from nii.store.inspections import Filed

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def facts(store: Store, file_scan: Callable[..., Filed]) -> dict[int, dict[str, object]]:
    """Give what events say of three decisions, by id."""
    number = file_scan("one").id
    for _ in range(3):
        decisions.add(store, number, Opinion(Verdict.INSPECT, "A. Officer"), NOON)
    events = audit.events_after(store, 0, kinds=(audit.DECIDED,))
    return {event.payload["id"]: event.payload for event in events}


def test_each_way_to_differ_has_its_words(
    store: Store, facts: dict[int, dict[str, object]]
) -> None:
    """A row may be missing, altered, without event or out of order; each is told apart."""
    cases = {
        "decision 9 is missing": {1: facts[1], 2: facts[2], 3: facts[3], 9: facts[3]},
        "decision 2 was altered": {1: facts[1], 2: facts[1], 3: facts[3]},
        "decision 2 has no event": {1: facts[1], 3: facts[3]},
        "decision 0 comes out of order": {0: facts[1], 1: facts[1], 2: facts[2], 3: facts[3]},
    }
    for expected, each in cases.items():
        walk = records.others("decision", tables.decisions)
        said = {number: (10 + number, dict(payload)) for number, payload in each.items()}
        with store.read() as connection:
            faults = walk.compare(connection, said)
            assert [fault.reason for fault in faults] == [expected]
            assert walk.rest(connection, 99) == []


def test_rows_after_the_last_event_are_told(
    store: Store, facts: dict[int, dict[str, object]]
) -> None:
    """Rows beyond what events speak of are named one by one."""
    walk = records.others("decision", tables.decisions)
    with store.read() as connection:
        assert walk.compare(connection, {1: (5, dict(facts[1]))}) == []
        reasons = [fault.reason for fault in walk.rest(connection, 99)]
    assert reasons == ["decision 2 has no event", "decision 3 has no event"]


def test_the_digest_of_regions_sees_every_field() -> None:
    """Any other value, and any other order, is another digest."""
    row = {"inspection_id": 1, "number": 1, "class_name": "firearm", "score": 0.5}
    other = row | {"number": 2}
    whole = records.digest_of_regions([row, other])
    assert whole != records.digest_of_regions([other, row])
    for key in row:
        assert whole != records.digest_of_regions([row | {key: "x"}, other])
