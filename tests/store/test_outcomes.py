"""Claims about physical examinations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from nii.errors import NiiError
from nii.store import audit, outcomes
from nii.store.audit import Actor
from nii.store.database import Store
from nii.store.inspections import Filed
from nii.store.outcomes import Outcome

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
BY = Actor("A. Officer")


def test_outcomes_add_up(store: Store, file_scan: Callable[..., Filed]) -> None:
    """A later outcome stands beside the earlier one, each with its event."""
    number = file_scan("one").id
    first = outcomes.add(store, number, Outcome(found=False, examined_at=NOON), BY, NOON)
    more = Outcome(True, NOON, " firearm ", "2", "behind\r\nthe wall")  # noqa: FBT003
    second = outcomes.add(store, number, more, BY, NOON + timedelta(hours=1))
    assert outcomes.of_inspection(store, number) == (first, second)
    assert second.outcome.class_name == "firearm"
    assert second.outcome.remark == "behind\nthe wall"
    assert audit.verify(store).intact


def test_impossible_outcomes_are_refused(store: Store, file_scan: Callable[..., Filed]) -> None:
    """An examination is over, of an inspection that is there, and names no class of nothing."""
    number = file_scan("one").id
    fine = Outcome(found=True, examined_at=NOON)
    with pytest.raises(NiiError, match="is over"):
        outcomes.add(store, number, fine, BY, NOON - timedelta(seconds=1))
    with pytest.raises(NiiError, match="no such inspection"):
        outcomes.add(store, 99, fine, BY, NOON)
    with pytest.raises(NiiError, match="nothing"):
        Outcome(found=False, examined_at=NOON, class_name="firearm")
    with pytest.raises(NiiError, match="zone"):
        Outcome(found=True, examined_at=datetime(2026, 1, 2))  # noqa: DTZ001
    assert outcomes.of_inspection(store, number) == ()
