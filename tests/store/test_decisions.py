"""Claims about officers' decisions."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nii.errors import NiiError
from nii.inspection import Level
from nii.store import audit, claims, decisions, inspections, queue, settings
from nii.store.audit import Actor
from nii.store.claims import is_held
from nii.store.database import Store
from nii.store.decisions import Opinion, Verdict
from nii.store.inspections import Filed
from nii.store.queue import QueueSettings, State, Why
from nii.store.users import User

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
FileScan = Callable[..., Filed]
AddUser = Callable[..., User]


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
        opinion = Opinion(verdict, "A. Officer", reason_code="artefact")
        assert decisions.add(store, filed.id, opinion, NOON).reason_code == "artefact"
    else:
        assert decisions.add(store, filed.id, Opinion(verdict, "A. Officer"), NOON).id


def test_rules_may_ask_for_more(store: Store, file_scan: FileScan, add_user: AddUser) -> None:
    """By the rules of a store, a look needs a reason too, and its release a second officer."""
    rules = QueueSettings(reason_from=Level.LOOK, second_from=Level.LOOK)
    settings.put(store, queue.SETTINGS, rules, Actor("root"), NOON)
    number, first, second = file_scan("one", Level.LOOK).id, add_user("aigul"), add_user("bolot")
    with pytest.raises(NiiError, match="reason"):
        decisions.add(store, number, Opinion(Verdict.RELEASE, "Aigul", user_id=first.id), NOON)
    for user, state in ((first, State.OPEN), (second, State.DECIDED)):
        opinion = Opinion(Verdict.RELEASE, "Aigul", user_id=user.id, reason_code="matches_papers")
        decisions.add(store, number, opinion, NOON)
        item = queue.get(store, number)
        assert item is not None
        assert (item.state, item.why) == (state, Why.SECOND)
    assert audit.verify(store).intact


def test_another_officers_claim_is_honoured(
    store: Store, file_scan: FileScan, add_user: AddUser
) -> None:
    """A decision on a scan that another officer holds is refused, and stays in the log."""
    number, first, second = file_scan("one").id, add_user("aigul"), add_user("bolot")
    claims.claim(store, number, first, NOON)
    opinion = Opinion(Verdict.INSPECT, "Bolot", "wires", user_id=second.id)
    with pytest.raises(NiiError, match="Aigul", check=is_held):
        decisions.add(store, number, opinion, NOON)
    assert decisions.of_inspection(store, number) == ()
    (refused,) = audit.events_after(store, 0, kinds=(audit.REFUSED,))
    assert (refused.payload["reason"], refused.payload["verdict"]) == ("wires", "inspect")
    own = Opinion(Verdict.INSPECT, "Aigul", user_id=first.id, seconds=3.5)
    assert decisions.add(store, number, own, NOON).seconds == 3.5
    later = NOON + timedelta(hours=1)
    decisions.add(store, number, opinion, later)
    assert len(decisions.of_inspection(store, number)) == 2
    assert audit.verify(store).intact


def test_the_second_of_two_is_told(store: Store, file_scan: FileScan) -> None:
    """Both decisions are kept, and the second one learns of the first it had not seen."""
    number = file_scan("one").id
    first = decisions.add(store, number, Opinion(Verdict.INSPECT, "Aigul", seen=0), NOON)
    second = decisions.add(store, number, Opinion(Verdict.RESCAN, "Bolot", seen=0), NOON)
    assert (first.unseen, second.unseen) == ((), (first.id,))
    undo = Opinion(Verdict.INSPECT, "Bolot", "was wrong", seen=second.id)
    assert decisions.add(store, number, undo, NOON).unseen == ()
    assert [each.verdict for each in decisions.of_inspection(store, number)] == [
        Verdict.INSPECT,
        Verdict.RESCAN,
        Verdict.INSPECT,
    ]


def test_a_blind_decision_says_so(store: Store, file_scan: FileScan) -> None:
    """Whether the regions were hidden follows from the queue, not from who decides."""
    settings.put(store, queue.SETTINGS, QueueSettings(blind_share=1.0), Actor("root"), NOON)
    number = file_scan("one").id
    decision = decisions.add(store, number, Opinion(Verdict.INSPECT, "A. Officer"), NOON)
    assert decision.blind
    assert decisions.of_inspection(store, number) == (decision,)


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


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason_code": "threat_seen"},
        {"reason_code": "other"},
        {"reason_code": "\x00"},
        {"seconds": -1.0},
        {"seconds": float("nan")},
        {"group": "experts"},
    ],
)
def test_parts_that_do_not_go_together_are_refused(wrong: dict[str, Any]) -> None:
    """A code of another verdict, an open one without words, an impossible time, a stray group."""
    with pytest.raises(NiiError):
        Opinion(Verdict.RELEASE, "A. Officer", **wrong)
