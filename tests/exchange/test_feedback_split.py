"""Tests of groups and splits: nothing leaks between them, and names tell nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nii.errors import ConfigError
from nii.exchange.feedback_split import Shares, groups_of, pseudonym, read_key, splits_of

KEY = bytes(32)
SCANS = [f"scan {k}" for k in range(12)]
TIES = st.lists(st.tuples(st.sampled_from(SCANS), st.sampled_from("ABCDEFGH")), max_size=20)


@given(TIES)
def test_groups_are_the_connected_parts(ties: list[tuple[str, str]]) -> None:
    """Scans are in one group exactly if a chain of shared things leads from one to the other."""
    groups = groups_of(ties, SCANS, KEY)
    reach = {scan: {scan} for scan in SCANS}
    for _ in SCANS:
        for one, tie in ties:
            for other, same in ties:
                if tie == same:
                    both = reach[one] | reach[other]
                    for scan in both:
                        reach[scan] = both
    for one in SCANS:
        for other in SCANS:
            assert (groups[one] == groups[other]) == (other in reach[one])


@given(TIES, st.randoms())
def test_groups_do_not_depend_on_the_order(ties: list[tuple[str, str]], random: object) -> None:
    """The same ties in any order give the same names."""
    shuffled = list(ties)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert groups_of(ties, SCANS, KEY) == groups_of(shuffled, SCANS, KEY)


@given(TIES, TIES)
def test_what_was_trained_on_never_comes_into_a_test(
    ties: list[tuple[str, str]], later: list[tuple[str, str]]
) -> None:
    """New ties move groups towards train only, and a group stays whole."""
    shares = Shares(0.3, 0.3)
    groups = groups_of(ties, SCANS, KEY)
    first = splits_of(groups, {}, KEY, shares)
    was = {scan: first[groups[scan]] for scan in SCANS}
    again = groups_of([*ties, *later], SCANS, KEY)
    second = splits_of(again, was, KEY, shares)
    order = ("train", "val", "test")
    for scan in SCANS:
        assert order.index(second[again[scan]]) <= order.index(was[scan])


def test_shares_are_kept_on_average() -> None:
    """Of 4,000 groups, val and test get their shares within four standard deviations."""
    names = [f"scan {k}" for k in range(4000)]
    splits = list(splits_of(groups_of([], names, KEY), {}, KEY, Shares(0.2, 0.1)).values())
    assert abs(splits.count("val") / 4000 - 0.2) < 4 * (0.2 * 0.8 / 4000) ** 0.5
    assert abs(splits.count("test") / 4000 - 0.1) < 4 * (0.1 * 0.9 / 4000) ** 0.5


@pytest.mark.slow
def test_large_groups_are_drawn_like_small_ones() -> None:
    """Whether many scans hang together or few, the chance of each split is the same."""
    ties = [(f"scan {k}", f"tie {k // 20}") for k in range(8_000)]
    groups = groups_of(ties, [scan for scan, _ in ties], KEY)
    splits = list(splits_of(groups, {}, KEY, Shares(0.2, 0.2)).values())
    assert len(splits) == 400
    assert abs(splits.count("train") / 400 - 0.6) < 4 * (0.6 * 0.4 / 400) ** 0.5


def test_pseudonyms_need_the_key() -> None:
    """The same number has another name under another key, and kinds are kept apart."""
    name = pseudonym(KEY, "scan", "MSKU1234565")
    assert name == pseudonym(KEY, "scan", "MSKU1234565")
    assert name not in (
        pseudonym(b"\1" * 32, "scan", "MSKU1234565"),
        pseudonym(KEY, "tie", "MSKU1234565"),
    )
    assert len(name) == 20


def test_the_key_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    """A second reading gives the same key; nobody else may read it; another file is refused."""
    path = tmp_path / "feedback.key"
    key = read_key(path)
    assert (len(key), read_key(path)) == (32, key)
    assert path.stat().st_mode & 0o077 == 0
    path.write_bytes(b"short")
    with pytest.raises(ConfigError, match="changes every name"):
        read_key(path)


@pytest.mark.parametrize("shares", [(-0.1, 0.1), (0.5, 0.5), (0.9, 0.2)])
def test_something_is_left_to_train_on(shares: tuple[float, float]) -> None:
    """Shares that leave nothing for training are refused."""
    with pytest.raises(ValueError, match="nothing to train on"):
        Shares(*shares)
