"""Tests of what is gathered about one scan."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from nii.errors import NiiError
from nii.exchange.evidence_records import gather, ids_of
from nii.store import audit, inspections, scans

if TYPE_CHECKING:
    from tests.exchange.conftest import Desk

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def test_all_inspections_of_a_scan_belong_together(desk: Desk) -> None:
    """Asked for either of two inspections of one scan, both are found, with their records."""
    first = desk.scan()
    other = replace(
        first.inspection, model=replace(first.inspection.model, sha256="2" * 64, version="2")
    )
    kept = scans.of(desk.store, first.scan_sha256)
    second = inspections.add(desk.store, kept, other, NOON)
    desk.scan()
    assert ids_of(desk.store, first.id) == ids_of(desk.store, second.id)
    ids, sha256 = ids_of(desk.store, first.id)
    assert ids == (first.id, second.id)
    desk.decide(second)
    dossier = gather(desk.store, ids, sha256)
    assert list(dossier.opinions.values()) == [first.inspection, other]
    assert [row["inspection_id"] for row in dossier.records["decisions"]] == [second.id]


def test_the_digests_beside_each_event_are_there(desk: Desk) -> None:
    """Right before and after each event of the scan stands an event of it or a known digest."""
    filed, other = desk.scan(), desk.scan()
    for _ in range(2):
        desk.decide(other)
        desk.decide(filed)
        desk.decide(filed)
    desk.decide(other)
    dossier = gather(desk.store, *ids_of(desk.store, filed.id))
    numbers = {event["number"] for event in dossier.events}
    for number in numbers:
        assert number == 1 or number - 1 in numbers or number - 1 in dossier.neighbours
        assert number + 1 in numbers or number + 1 in dossier.neighbours
    assert not numbers & dossier.neighbours.keys()
    assert dossier.head == audit.head(desk.store)


def test_an_unknown_inspection_is_refused(desk: Desk) -> None:
    """The error says where the number is to be found."""
    with pytest.raises(NiiError, match="address of its page"):
        ids_of(desk.store, 1)
