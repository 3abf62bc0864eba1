"""Claims about officers' decisions."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from nii.errors import NiiError
from nii.inspection import Level
from nii.store import audit, decisions, inspections
from nii.store.database import Store
from nii.store.decisions import Opinion, Verdict
from nii.store.inspections import Filed

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
FileScan = Callable[..., Filed]


def test_decisions_add_up(store: Store, file_scan: FileScan) -> None:
    """A later decision stands beside the earlier one, in order."""
    filed = file_scan("one")
    first = decisions.add(store, filed.id, Opinion(Verdict.INSPECT, " A. Officer "), NOON)
    second = decisions.add(
        store, filed.id, Opinion(Verdict.RELEASE, "B. Officer", "opened:\r\nempty"), NOON
    )
    assert decisions.of_inspection(store, filed.id) == (first, second)
    assert (first.officer, second.reason) == ("A. Officer", "opened:\nempty")
    decided = inspections.get(store, filed.id)
    assert decided is not None
    assert decided.decided
    assert audit.verify(store).intact


def test_two_at_once_are_both_kept(store: Store, file_scan: FileScan) -> None:
    """Officers who decide at the same moment lose nothing, and the log stays whole."""
    filed = file_scan("one")
    officers = [f"officer {index}" for index in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda name: decisions.add(store, filed.id, Opinion(Verdict.REFER, name), NOON),
                officers,
            )
        )
    kept = decisions.of_inspection(store, filed.id)
    assert sorted(decision.officer for decision in kept) == officers
    assert audit.verify(store).intact


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("verdict", list(Verdict))
def test_only_releasing_a_search_needs_a_reason(
    store: Store, file_scan: FileScan, level: Level, verdict: Verdict
) -> None:
    """Of all pairs of level and verdict, one is refused without reason."""
    filed = file_scan("one", level)
    if (level, verdict) == (Level.SEARCH, Verdict.RELEASE):
        with pytest.raises(NiiError, match="reason"):
            decisions.add(store, filed.id, Opinion(verdict, "A. Officer", "  "), NOON)
        assert decisions.of_inspection(store, filed.id) == ()
        assert audit.verify(store).intact
    else:
        assert decisions.add(store, filed.id, Opinion(verdict, "A. Officer"), NOON).id


def test_an_unknown_inspection_is_refused(store: Store) -> None:
    """A decision needs an inspection."""
    with pytest.raises(NiiError, match="no such inspection"):
        decisions.add(store, 1, Opinion(Verdict.REFER, "A. Officer"), NOON)


@pytest.mark.parametrize(
    ("officer", "reason"),
    [("", ""), ("  ", ""), ("x" * 101, ""), ("A\x00", ""), ("A", "x" * 2001), ("A", "\ud800")],
)
def test_unreadable_texts_are_refused(officer: str, reason: str) -> None:
    """Names and reasons are there, short enough and printable."""
    with pytest.raises(NiiError):
        Opinion(Verdict.REFER, officer, reason)
