"""Claims about what an address may ask the queue for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from nii.review import asked as subject
from nii.review.asked import Asked

NAMES = ["level", "class", "number", "site", "scanner", "why", "state", "from", "to", "after"]


def test_every_filter_is_read() -> None:
    """Each parameter of an address lands in its filter."""
    found = subject.asked(
        {
            "level": "look",
            "class": "firearm",
            "number": "csqu 305",
            "site": "3",
            "scanner": "4",
            "why": "group",
            "state": "all",
            "from": "2026-01-02",
            "to": "2026-01-03",
            "after": "x",
            "limit": "7",
        },
        30,
    )
    expected = Asked("look", "firearm", "CSQU305", 3, 4, "group", "all", "2026-01-02", "2026-01-03")
    assert (found.after, found.limit) == ("x", 7)
    assert found.as_parameters() == expected.as_parameters()
    assert found.since == datetime(2026, 1, 2, tzinfo=UTC)
    assert found.until == datetime(2026, 1, 4, tzinfo=UTC)


def test_nothing_asked_shows_what_waits() -> None:
    """Without parameters, or with empty ones, the page shows the first of what is open."""
    empty = dict.fromkeys(NAMES, "")
    assert subject.asked({}, 30) == subject.asked(empty, 30) == Asked()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("level", "red"),
        ("class", "' OR 1=1"),
        ("site", "-1"),
        ("site", "99999999999"),
        ("scanner", "\u0663"),
        ("why", "because"),
        ("state", "gone"),
        ("from", "yesterday"),
        ("to", "2026-02-30"),
        ("limit", "many"),
    ],
)
def test_values_that_there_are_not(name: str, value: str) -> None:
    """A value that no filter has leads nowhere."""
    with pytest.raises(HTTPException) as error:
        subject.asked({name: value}, 30)
    assert error.value.status_code == 404


@given(st.dictionaries(st.sampled_from([*NAMES, "limit", "odd"]), st.text(max_size=300)))
def test_no_address_breaks_it(parameters: dict[str, str]) -> None:
    """Any parameters whatever give filters within their bounds, or 404."""
    try:
        found = subject.asked(parameters, 30)
    except HTTPException as error:
        status = error.status_code
    else:
        status = 404
        assert 1 <= found.limit <= 200
        assert len(found.after or "") <= 200
    assert status == 404
