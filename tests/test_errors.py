"""The exceptions of `nii`."""

from __future__ import annotations

import pickle

import pytest

from nii import errors
from nii.errors import MissingExtraError, NiiError

KINDS = sorted(NiiError.__subclasses__(), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", KINDS)
def test_message_tells_all_four_parts(kind: type[NiiError]) -> None:
    """The message names the subject, what was found, what was expected and the remedy."""
    error = kind("a.tif", found="3 bands", expected="1 or 2 bands", remedy="Export it again.")
    for part in ("a.tif", "3 bands", "1 or 2 bands", "Export it again."):
        assert part in str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_crosses_process_borders(kind: type[NiiError]) -> None:
    """An error pickled in a worker process is rebuilt with its kind and parts."""
    error = kind("a.tif", found="b", expected="c", remedy="d")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    assert type(copy) is kind
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)


def test_tree_stays_small() -> None:
    """There are at most six kinds, all drawn in the tree at the top of the file."""
    assert len(KINDS) <= 6
    for kind in KINDS:
        assert f"── {kind.__name__} " in str(errors.__doc__)


def test_missing_extra_names_the_command() -> None:
    """A missing extra says which command installs it."""
    assert "training needs: pip install 'nii[train]'" in str(
        MissingExtraError.of("train", "training")
    )
