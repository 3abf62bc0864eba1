"""Which version was used before."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from nii.errors import ConfigError
from nii.versions import VERSIONS_FILE, Issue, older, read_versions, remember, version_key

RISING = (
    "0.1.0",
    "0.1.0+99",
    "0.1.0+412",
    "0.1.1",
    "0.2rc1",
    "0.2",
    "0.10",
    "1.0a",
    "1.0b2",
    "1.0b10",
    "1.0",
    "2026.9.30",
    "2026.11.22",
)


def test_versions_rise() -> None:
    """Numbers count as numbers, and what comes before a release is below it."""
    for lower, higher in itertools.combinations(RISING, 2):
        assert version_key(lower) < version_key(higher), (lower, higher)


def test_an_older_issue_is_told(tmp_path: Path) -> None:
    """Once an issue was used, those below it are older: by version, then by time; others not."""
    middle = Issue("1.2", "2026-02-01T00:00:00+00:00")
    remember(tmp_path, "lane", middle)
    assert older(tmp_path, "lane", Issue("1.1", "2026-03-01T00:00:00+00:00")) == middle
    assert older(tmp_path, "lane", Issue("1.2", "2026-01-01T00:00:00+00:00")) == middle
    assert older(tmp_path, "lane", Issue("1.2")) == middle
    assert older(tmp_path, "lane", middle) is None
    assert older(tmp_path, "lane", Issue("1.10", "2025-01-01T00:00:00+00:00")) is None
    assert older(tmp_path, "other", Issue("0")) is None


def test_each_name_is_remembered(tmp_path: Path) -> None:
    """Names do not disturb one another, and what was written comes back."""
    wanted = {"a/b \N{SNOWMAN}": Issue("1", "x"), "": Issue(""), "c": Issue("2")}
    for name, issue in wanted.items():
        remember(tmp_path, name, issue)
        remember(tmp_path, name, issue)
    assert read_versions(tmp_path) == wanted


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": "1"}', '{"a": 1}', '{"a": ["1"]}'])
def test_a_damaged_list_is_not_an_empty_one(tmp_path: Path, content: str) -> None:
    """A list that cannot be read is an error: silence would let older bundles run."""
    (tmp_path / VERSIONS_FILE).write_text(content)
    with pytest.raises(ConfigError, match="no readable list"):
        older(tmp_path, "a", Issue("1"))
