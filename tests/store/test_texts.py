"""Claims about texts that people type."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nii.errors import NiiError
from nii.store import texts


@given(st.text(max_size=150))
def test_a_name_that_is_kept_can_be_shown(text: str) -> None:
    """A name comes back readable, bounded and without white space around it, or is refused."""
    try:
        kept = texts.name("name", text)
    except NiiError:
        return
    assert kept
    assert kept == kept.strip()
    assert kept.isprintable()
    assert len(kept) <= texts.NAME_LIMIT
    assert texts.name("name", kept) == kept


@pytest.mark.parametrize("text", ["", "  ", "x" * 101, "A\x00", "A\nB", "\ud800"])
def test_unreadable_names_are_refused(text: str) -> None:
    """What is empty, too long or cannot be shown is no name."""
    with pytest.raises(NiiError):
        texts.name("name", text)


def test_a_remark_keeps_its_lines() -> None:
    """Line ends of every kind become line feeds; control characters are refused."""
    assert texts.remark("remark", " one\r\ntwo\n\tthree ") == "one\ntwo\n\tthree"
    assert texts.remark("remark", "") == ""
    for text in ("bell\a", "x" * 2001):
        with pytest.raises(NiiError):
            texts.remark("remark", text)


def test_one_line_may_be_empty() -> None:
    """An optional line is stripped; a second line is refused."""
    assert texts.optional("group", "  ") == ""
    with pytest.raises(NiiError, match="control characters"):
        texts.optional("group", "a\nb")
