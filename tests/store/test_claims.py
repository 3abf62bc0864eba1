"""Claims about claims."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from nii.errors import NiiError
from nii.inspection import Level
from nii.store import audit, claims, decisions, queue, settings, sites
from nii.store.audit import Actor
from nii.store.claims import Ask, is_held
from nii.store.database import Store
from nii.store.decisions import Opinion, Verdict
from nii.store.inspections import Filed
from nii.store.queue import Query, QueueSettings, State, Why
from nii.store.users import Role, User

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=11)
ROOT = Actor("root")
FileScan = Callable[..., Filed]
AddUser = Callable[..., User]


def test_a_claim_keeps_others_away_until_it_expires(
    store: Store, file_scan: FileScan, add_user: AddUser
) -> None:
    """While a claim holds, nobody else gets the scan; then the next one does."""
    number, first, second = file_scan("one").id, add_user("aigul"), add_user("bolot")
    item = claims.claim(store, number, first, NOON)
    assert item.claim is not None
    assert (item.claim.user_id, item.claim.name) == (first.id, "Aigul")
    with pytest.raises(NiiError, match="Aigul", check=is_held):
        claims.claim(store, number, second, NOON)
    assert claims.next_for(store, second, NOON) is None
    assert queue.page(store, Query(mine=first.id)) == (item,)
    taken = claims.claim(store, number, second, LATER)
    assert taken.claim is not None
    assert taken.claim.user_id == second.id
    with pytest.raises(NiiError, check=is_held):
        claims.claim(store, number, first, LATER)


def test_a_claim_is_made_longer_without_an_event(
    store: Store, file_scan: FileScan, add_user: AddUser
) -> None:
    """Claiming again moves the end; only taking and giving back are events."""
    number, user = file_scan("one").id, add_user("aigul")
    claims.claim(store, number, user, NOON)
    before = audit.head(store)
    item = claims.claim(store, number, user, NOON + timedelta(minutes=5))
    assert item.claim is not None
    assert item.claim.until == NOON + timedelta(minutes=15)
    assert audit.head(store) == before
    assert claims.release(store, number, user, NOON)
    assert not claims.release(store, number, user, NOON)
    assert audit.head(store).number == before.number + 1
    assert audit.verify(store).intact


def test_a_supervisor_may_release_for_others(
    store: Store, file_scan: FileScan, add_user: AddUser
) -> None:
    """An officer cannot take away another one's claim; a supervisor can."""
    number, user = file_scan("one").id, add_user("aigul")
    claims.claim(store, number, user, NOON)
    with pytest.raises(NiiError, check=is_held):
        claims.release(store, number, add_user("bolot"), NOON)
    assert claims.release(store, number, add_user("chyngyz", Role.SUPERVISOR), NOON)
    item = queue.get(store, number)
    assert item is not None
    assert item.claim is None


@pytest.mark.slow
def test_nobody_gets_the_same_scan(store: Store, file_scan: FileScan, add_user: AddUser) -> None:
    """Officers who ask for the next scan at once get different ones, most urgent first."""
    levels = [Level.CLEAR, Level.SEARCH, Level.LOOK, Level.SEARCH]
    filed = [file_scan(str(number), level).id for number, level in enumerate(levels)]
    people = [add_user(f"officer{number}") for number in range(5)]
    with ThreadPoolExecutor(5) as pool:
        found = list(pool.map(lambda user: claims.next_for(store, user, NOON), people))
    given = [item.inspection_id for item in found if item is not None]
    assert sorted(given) == filed
    assert found.count(None) == 1
    assert audit.verify(store).intact


def test_next_comes_back_to_what_one_has(
    store: Store, file_scan: FileScan, add_user: AddUser
) -> None:
    """Who comes back finds the scan that was claimed, unless it is to be skipped."""
    first, second, user = file_scan("one").id, file_scan("two").id, add_user("aigul")
    for skip, expected in (((), first), ((), first), ((first,), second)):
        item = claims.next_for(store, user, NOON, skip)
        assert item is not None
        assert item.inspection_id == expected


def test_a_drawn_clear_scan_is_not_forgotten(
    store: Store, file_scan: FileScan, add_user: AddUser
) -> None:
    """A clear scan drawn for a check goes first once it has waited too long."""
    rules = QueueSettings(audit_share=1.0, audit_wait_minutes=30.0)
    settings.put(store, queue.SETTINGS, rules, ROOT, NOON)
    drawn, urgent = file_scan("one", Level.CLEAR).id, file_scan("two").id
    for minutes, expected in ((29, urgent), (30, drawn)):
        user = add_user(f"officer{minutes}")
        item = claims.next_for(store, user, NOON + timedelta(minutes=minutes))
        assert item is not None
        assert item.inspection_id == expected


def test_sites_bound_what_one_gets(store: Store, file_scan: FileScan, add_user: AddUser) -> None:
    """Whoever sees one site gets nothing of another one, not even word that it is there."""
    number = file_scan("one").id
    site = sites.add(store, "A", "A", ROOT, NOON)
    stranger = add_user("aigul", sites=(site.id,))
    assert claims.next_for(store, stranger, NOON) is None
    with pytest.raises(NiiError, match="no such inspection"):
        claims.claim(store, number, stranger, NOON)
    with pytest.raises(NiiError, match="no such inspection"):
        claims.ask(store, number, Ask(Why.SECOND), stranger, NOON)
    scanner = sites.scanners(store)[0]
    sites.assign(store, scanner.id, "Lane", site.id, ROOT, NOON)
    assert claims.next_for(store, stranger, NOON) is not None


def test_auditors_only_read(store: Store, file_scan: FileScan, add_user: AddUser) -> None:
    """An auditor claims nothing."""
    number, auditor = file_scan("one").id, add_user("aigul", Role.AUDITOR)
    with pytest.raises(NiiError, match="auditor"):
        claims.claim(store, number, auditor, NOON)
    assert claims.next_for(store, auditor, NOON) is None


def test_a_second_opinion_is_another_officers(
    store: Store, file_scan: FileScan, add_user: AddUser
) -> None:
    """Who decided first gets neither the scan nor the decision when a second look is asked for."""
    number, first, second = file_scan("one").id, add_user("aigul"), add_user("bolot")
    opinion = Opinion(Verdict.INSPECT, "Aigul", user_id=first.id)
    decisions.add(store, number, opinion, NOON)
    item = claims.ask(store, number, Ask(Why.SECOND, remark="left door"), second, NOON)
    assert (item.state, item.why, item.not_by) == (State.OPEN, Why.SECOND, first.id)
    assert claims.next_for(store, first, NOON) is None
    with pytest.raises(NiiError, match="decided before"):
        decisions.add(store, number, opinion, NOON)
    taken = claims.next_for(store, second, NOON)
    assert taken is not None
    done = decisions.add(store, number, Opinion(Verdict.INSPECT, "Bolot", user_id=second.id), NOON)
    assert done.why is Why.SECOND
    assert queue.page(store, Query()) == ()
    assert audit.verify(store).intact


@pytest.mark.slow
def test_groups_and_supervisors_get_what_is_theirs(
    store: Store, file_scan: FileScan, add_user: AddUser
) -> None:
    """A case for experts goes to their group, a re-check to a supervisor."""
    first, second = file_scan("one").id, file_scan("two").id
    officer, expert = add_user("aigul"), add_user("bolot", group="narcotics")
    supervisor = add_user("chyngyz", Role.SUPERVISOR)
    refer = Opinion(Verdict.REFER, "Aigul", user_id=officer.id, group="narcotics")
    decisions.add(store, first, refer, NOON)
    decisions.add(store, second, Opinion(Verdict.REFER, "Aigul", user_id=officer.id), NOON)
    assert claims.next_for(store, officer, NOON) is None
    assert claims.next_for(store, add_user("dina", group="weapons"), NOON) is None
    for user, number, why in ((expert, first, Why.GROUP), (supervisor, second, Why.RECHECK)):
        item = claims.next_for(store, user, NOON)
        assert item is not None
        assert (item.inspection_id, item.why) == (number, why)
    with pytest.raises(NiiError, match="group"):
        claims.claim(store, first, add_user("erkin", Role.SUPERVISOR), LATER)
    with pytest.raises(NiiError, match="supervisor"):
        claims.claim(store, second, add_user("farida"), LATER)


@pytest.mark.parametrize(("why", "group"), [(Why.NEW, ""), (Why.GROUP, ""), (Why.SECOND, "x")])
def test_requests_that_make_no_sense_are_refused(why: Why, group: str) -> None:
    """One asks for a second, a supervisor or a group that has a name."""
    with pytest.raises(NiiError):
        Ask(why, group)
