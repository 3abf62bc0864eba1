"""Claims about what is read together of an inspection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from nii.inspection import Anomaly, Attention, Declaration, GuaranteeFacts, Inspection, Level
from nii.review import auth, records
from nii.review.auth import RIGHTS, Person
from nii.store import claims, queue
from nii.store.database import Store
from nii.store.inspections import Filed
from nii.store.users import Role, User

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
FileScan = Callable[..., Filed]


def person(user: User) -> Person:
    """Return somebody with a session."""
    return auth._person(user, RIGHTS[Role.OFFICER], session="s", since=None)


def full(inspection: Inspection) -> Inspection:
    """Add everything that a model may say."""
    reason = "Container 1 was declared empty but is not."
    part = replace(
        inspection.structures[0], load="loaded", load_score=0.9, filling="full", full_score=0.8
    )
    return replace(
        inspection,
        structures=(part,),
        anomaly=Anomaly(0.7, (1.0, 2.0), "scan"),
        declarations=(Declaration(1, contradicted=True, probability=0.9, reason=reason),),
        attention=(Attention(1, 0.99, 3.0, (1.0, 2.0), ((0.5,),), "0" * 64),),
        guarantee=GuaranteeFacts("holds", "because", (0.91,)),
        warnings=("The scan is dark.", reason),
    )


@pytest.mark.slow
def test_what_is_withheld(file_scan: FileScan) -> None:
    """Without what the model found, an inspection of a full scan is like one of a clear scan."""
    found = records.withheld(file_scan(change=full).inspection)
    clear = records.withheld(file_scan(Level.CLEAR).inspection)
    assert found.level is Level.CLEAR
    assert found.warnings == ("The scan is dark.",)
    same = replace(found, scan=clear.scan, structures=clear.structures, warnings=clear.warnings)
    assert same == clear
    assert found.structures[0].load is None
    assert found.structures[0].load_words is None


@pytest.mark.slow
def test_a_claim_holds_until_its_end(
    store: Store, account: Callable[..., User], file_scan: FileScan
) -> None:
    """The holder is named while the claim lasts, and to the holder it is theirs."""
    filed, one, other = file_scan(), account("one"), account("other")
    claims.claim(store, filed.id, one, NOON)
    until = NOON + timedelta(minutes=queue.QueueSettings().claim_minutes)
    mine = records.case(store, filed.id, person(one), NOON)
    theirs = records.case(store, filed.id, person(other), NOON)
    assert mine is not None
    assert theirs is not None
    assert (mine.holder, mine.mine) == ("One", True)
    assert (theirs.holder, theirs.mine) == ("One", False)
    over = records.case(store, filed.id, person(other), until)
    assert over is not None
    assert over.holder is None


@pytest.mark.slow
def test_passages_of_the_same_container(
    store: Store, account: Callable[..., User], file_scan: FileScan
) -> None:
    """Other scans with the container's number are found, not those of other containers."""

    def rename(inspection: Inspection) -> Inspection:
        return replace(
            inspection, scan=replace(inspection.scan, container_numbers=("MSKU1234565",))
        )

    officer = person(account("one"))
    first, second, _other = file_scan(), file_scan(), file_scan(change=rename)
    found = records.passages(store, officer, second.scan_sha256)
    assert [passage.id for passage in found] == [first.id]
    elsewhere = person(account("elsewhere", sites=(7,)))
    assert records.passages(store, elsewhere, second.scan_sha256) == ()


@pytest.mark.slow
def test_what_comes_after(store: Store, account: Callable[..., User], file_scan: FileScan) -> None:
    """Going on from the last id gives every case once, in order."""
    officer = person(account("one"))
    filed = [file_scan(Level.LOOK).id for _ in range(5)]
    found: list[int] = []
    while cases := records.cases_after(store, officer, found[-1] if found else 0, 2, NOON):
        found += [case.filed.id for case in cases]
    assert found == filed
