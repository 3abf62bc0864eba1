"""TOML to frozen dataclasses."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nii.config import from_dict, load, to_dict
from nii.errors import ConfigError


class Colour(StrEnum):
    """Two colours."""

    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass(frozen=True, slots=True)
class Inner:
    """A nested record."""

    weight: float = 0.5
    names: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """A record with a field of every kind that is supported."""

    steps: int
    rate: float = 0.1
    quick: bool = False
    folder: Path = Path("runs")
    mode: Literal["fast", "slow"] = "fast"
    colour: Colour = Colour.RED
    limit: float | None = None
    size: tuple[int, int] = (2, 3)
    inner: Inner = dataclasses.field(default_factory=Inner)
    parts: tuple[Inner, ...] = ()
    shares: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a number of steps that makes no sense."""
        if self.steps < 0:
            msg = "steps is negative"
            raise ValueError(msg)


numbers = st.floats(-1e6, 1e6)
inners = st.builds(Inner, numbers, st.lists(st.text(max_size=5), max_size=3).map(tuple))
everything = st.builds(
    Settings,
    steps=st.integers(0, 10**9),
    rate=numbers,
    quick=st.booleans(),
    folder=st.sampled_from([Path("a"), Path("a/b"), Path("/c")]),
    mode=st.sampled_from(["fast", "slow"]),
    colour=st.sampled_from(Colour),
    limit=st.none() | numbers,
    size=st.tuples(st.integers(), st.integers()),
    inner=inners,
    parts=st.lists(inners, max_size=3).map(tuple),
    shares=st.dictionaries(st.text(max_size=5), numbers, max_size=3),
)


@given(everything)
def test_round_trip(settings: Settings) -> None:
    """Settings written as plain values come back equal."""
    assert from_dict(Settings, to_dict(settings)) == settings


def test_file_overrides_defaults(tmp_path: Path) -> None:
    """A TOML file changes what it names and nothing else."""
    path = tmp_path / "a.toml"
    path.write_text('steps = 7\ncolour = "blue"\n[inner]\nweight = 2\n')
    assert load(path, Settings) == Settings(steps=7, colour=Colour.BLUE, inner=Inner(weight=2.0))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"steps": 1, "rat": 0.2}, r"unknown key 'rat'.*Did you mean 'rate'"),
        ({"steps": 1, "inner": {"wieght": 1}}, r"inner.*Did you mean 'weight'"),
        ({"steps": "1"}, r"steps: found '1'; expected a whole number"),
        ({"steps": True}, "a whole number"),
        ({"steps": 1.0}, "a whole number"),
        ({"steps": 1, "rate": "fast"}, "a number"),
        ({"steps": 1, "quick": 1}, "bool"),
        ({"steps": 1, "mode": "medium"}, "one of"),
        ({"steps": 1, "colour": "green"}, "one of"),
        ({"steps": 1, "size": [1, 2, 3]}, "a list of 2 values"),
        ({"steps": 1, "size": [1, 2.5]}, "a whole number"),
        ({"steps": 1, "inner": 3}, "a table"),
        ({"steps": 1, "shares": {"a": "b"}}, "a number"),
        ({"steps": 1, "limit": "none"}, "a number"),
        ({}, "steps"),
        ({"steps": -1}, "steps is negative"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_an_error(data: dict[str, Any], words: str) -> None:
    """Unknown keys, wrong types and refused values are errors that name the place."""
    with pytest.raises(ConfigError, match=words):
        from_dict(Settings, data)


@pytest.mark.parametrize(
    "content", [None, b"steps = ", b"\xff\xfe"], ids=["missing", "bad", "binary"]
)
def test_unreadable_file_names_itself(tmp_path: Path, content: bytes | None) -> None:
    """A file that is missing or no TOML is an error that names the file."""
    path = tmp_path / "a.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"a\.toml"):
        load(path, Settings)
