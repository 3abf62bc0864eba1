"""Claims about the desk: rules that stand above the store's."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from nii.errors import NiiError
from nii.review import auth
from nii.review.auth import RIGHTS
from nii.review.desk import Desk, ReviewSettings, number
from nii.review.language import tongue
from nii.review.pictures import Pictures
from nii.store import queue, reasons, settings
from nii.store.audit import Actor
from nii.store.database import Store
from nii.store.decisions import Verdict
from nii.store.inspections import Filed
from nii.store.queue import QueueSettings
from nii.store.users import Role, User

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def desk(store: Store) -> Desk:
    """Give a desk over a store, at noon."""
    return Desk(store, Pictures(store, store.files), ReviewSettings(), lambda: NOON)


@given(st.integers(0, 2**31 - 1))
def test_a_number_is_read(value: int) -> None:
    """Every id that the database can hold is read, with leading zeros too."""
    assert number(str(value)) == number(f"{value:010}") == value


@given(st.one_of(st.text(), st.integers(max_value=-1).map(str), st.integers(2**31).map(str)))
@example("\u0663")
@example("1_0")
@example(" 1")
def test_other_text_is_not_found(text: str) -> None:
    """Any other text is not found, digits of other scripts included."""
    assume(not re.fullmatch("[0-9]{1,10}", text) or int(text) >= 2**31)
    with pytest.raises(HTTPException, match="404"):
        number(text)


def test_every_reason_has_words(desk: Desk) -> None:
    """Each decision offers its codes, in the officer's language."""
    found = desk.reasons(tongue("ru"))
    assert {verdict for _, _, verdict in found} == set(Verdict)
    for verdict in Verdict:
        assert [code for code, _, each in found if each == verdict] == list(reasons.codes(verdict))
    assert not [label for _, label, _ in found if label.isascii()]


@pytest.mark.slow
def test_blind_releases_always_give_a_reason(
    desk: Desk, store: Store, account: Callable[..., User], file_scan: Callable[..., Filed]
) -> None:
    """A blind release needs a reason whatever the model found, so asking tells nothing."""
    from nii.inspection import Level

    settings.put(store, queue.SETTINGS, QueueSettings(blind_share=1.0), Actor("boss"), NOON)
    person = auth._person(account("one"), RIGHTS[Role.OFFICER], session="s", since=None)
    told = set()
    for level in Level:
        case = desk.case(person, str(file_scan(level).id))
        assert case.blind
        with pytest.raises(NiiError) as error:
            desk.decide(person, case, {"verdict": "release"})
        told.add(str(error.value))
        desk.decide(person, case, {"verdict": "release", "reason_code": "nothing_seen"})
    assert len(told) == 1


@pytest.mark.parametrize("verdict", [None, "", "perhaps", "Release", 7])
def test_no_decision_without_verdict(
    desk: Desk, account: Callable[..., User], file_scan: Callable[..., Filed], verdict: object
) -> None:
    """What is none of the four is no decision."""
    person = auth._person(account("one"), RIGHTS[Role.OFFICER], session="s", since=None)
    case = desk.case(person, str(file_scan().id))
    with pytest.raises(NiiError, match="one of"):
        desk.decide(person, case, {"verdict": verdict})
