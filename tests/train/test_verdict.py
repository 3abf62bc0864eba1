"""An adapted model may replace its base only where that is shown, and forgets little."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="training needs torch, which is not installed")

from nii.evaluate.compare import Difference, Verdict
from nii.evaluate.intervals import Interval
from nii.train.verdict import forgetful, verdict_of, within


def _difference(gap: float, low: float, high: float) -> Difference:
    verdict: Verdict = "better" if low > 0 else "worse" if high < 0 else "not decided"
    return Difference("P_d", 0.5 + gap, 0.5, gap, Interval(low, high, "bootstrap"), verdict)


@pytest.mark.parametrize(
    ("local", "elsewhere", "word"),
    [
        (_difference(0.2, 0.1, 0.3), _difference(-0.01, -0.05, 0.03), None),
        (_difference(0.05, -0.02, 0.1), _difference(0.1, 0.05, 0.2), "not shown to be better"),
        (_difference(-0.2, -0.3, -0.1), _difference(0.1, 0.05, 0.2), "not shown to be better"),
        (_difference(0.2, 0.1, 0.3), _difference(-0.06, -0.1, -0.02), "worse elsewhere"),
        (None, _difference(0.1, 0.05, 0.2), "too few"),
    ],
)
def test_only_what_is_better_here_and_no_worse_there_is_accepted(
    local: Difference | None, elsewhere: Difference | None, word: str | None
) -> None:
    """The interval must lie above zero locally, and the loss elsewhere within the tolerance."""
    told = verdict_of(local, elsewhere, 0.02)
    assert (told is None) == (word is None)
    assert word is None or word in str(told)


@pytest.mark.parametrize(
    ("local", "elsewhere", "expected"),
    [
        (_difference(0.2, 0.1, 0.3), _difference(-0.06, -0.1, -0.02), True),
        (_difference(0.2, 0.1, 0.3), _difference(-0.01, -0.05, 0.03), False),
        (_difference(0.05, -0.02, 0.1), _difference(-0.06, -0.1, -0.02), False),
        (None, _difference(-0.06, -0.1, -0.02), False),
        (_difference(0.2, 0.1, 0.3), None, False),
    ],
)
def test_only_what_learnt_and_forgot_is_worth_another_try(
    local: Difference | None, elsewhere: Difference | None, *, expected: bool
) -> None:
    """A model that is no better here gains nothing from the weights before."""
    assert forgetful(local, elsewhere, 0.02) is expected


def test_an_interval_is_told_where_there_is_one() -> None:
    """Both limits with their sign."""
    row = _difference(0.2, 0.1, 0.3)
    assert within(row) == " (95 % interval of the difference +0.100 to +0.300)"
    bare = Difference("P_d", 0.5, 0.5, 0.0, None, "not decided")
    assert within(bare) == ""
