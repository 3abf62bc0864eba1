"""Claims about words: every value that the store knows has one."""

from __future__ import annotations

from nii.review import terms
from nii.review.auth import RIGHTS, Right
from nii.review.language import tongue
from nii.store.decisions import Verdict
from nii.store.documents import Kind
from nii.store.marks import Sign
from nii.store.queue import State, Why
from nii.store.users import Role


def test_every_value_has_its_word() -> None:
    """No page meets a value that it has no word for."""
    assert set(terms.VERDICTS) == set(Verdict)
    assert set(terms.WHYS) == set(Why)
    assert set(terms.STATES) == set(State)
    assert set(terms.ROLES) == set(Role) == set(RIGHTS)
    assert set(terms.DOCUMENTS) >= {kind.value for kind in Kind} - {"tip"}
    assert set(terms.MARKS) == set(Sign)
    assert set(terms.SCOPES) == set(Right) - {Right.ACCOUNTS}
    assert set(terms.GUARANTEES) == {"holds", "suspended", "none"}


def test_tables_are_said() -> None:
    """A table in another language has the same keys and other words."""
    said = terms.said(tongue("ru"), terms.VERDICTS)
    assert list(said) == list(terms.VERDICTS)
    assert said["release"] == "Выпустить"
