"""Claims about reason codes."""

from __future__ import annotations

import pytest

from nii.store import reasons
from nii.store.decisions import Verdict


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_verdict_has_reasons(verdict: Verdict) -> None:
    """Each verdict has codes that fit the column, mean something, and end with the open one."""
    codes = reasons.codes(verdict)
    assert len(codes) > 1
    assert codes[-1] == reasons.OTHER
    for code in codes:
        assert code.isidentifier()
        assert len(code) <= 32
        assert reasons.meaning(verdict, code)


def test_codes_belong_to_their_verdict() -> None:
    """A code of another verdict is none."""
    with pytest.raises(KeyError):
        reasons.meaning("release", "threat_seen")
