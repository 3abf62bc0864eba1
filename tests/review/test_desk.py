"""Claims about how requests are read."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from nii.inspection import Level
from nii.review.desk import Desk, number
from nii.review.pictures import Pictures
from nii.store.database import Store
from nii.store.inspections import Query


@pytest.fixture
def desk(store: Store) -> Desk:
    """Give a desk over an empty store."""
    return Desk(store, Pictures(store, store.files), 30, lambda: datetime.now(UTC))


@given(st.integers(0, 2**31 - 1))
def test_a_number_is_read(value: int) -> None:
    """Every id that the database can hold is read, with leading zeros too."""
    assert number(str(value)) == number(f"{value:010}") == value


@given(st.one_of(st.text(), st.integers(max_value=-1).map(str), st.integers(2**31).map(str)))
@example("٣")
@example("1_0")
@example(" 1")
def test_other_text_is_not_found(text: str) -> None:
    """Any other text is not found, digits of other scripts included."""
    assume(not re.fullmatch("[0-9]{1,10}", text) or int(text) >= 2**31)
    with pytest.raises(HTTPException, match="404"):
        number(text)


def test_queries(desk: Desk) -> None:
    """The address is read into a query; the length of a page stays within limits."""
    assert desk.query({}) == Query(undecided=True, limit=30)
    full = {"level": "look", "class": "brick", "all": "1", "limit": "5", "before": "7"}
    assert desk.query(full) == Query(Level.LOOK, "brick", undecided=False, limit=5, before=7)
    assert desk.query({"limit": "0"}).limit == 1
    assert desk.query({"limit": "100000"}).limit == 200
