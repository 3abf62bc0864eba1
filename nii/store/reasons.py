"""Reason codes of decisions, from ``reasons.toml`` beside this module."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

OTHER = "other"
"""The code that asks for words."""


def codes(verdict: str) -> tuple[str, ...]:
    """Return the codes that go with a verdict, in the order in which officers see them."""
    return tuple(_table()[verdict])


def meaning(verdict: str, code: str) -> str:
    """Return what a code means, in English.

    Raises:
        KeyError: the verdict has no such code.
    """
    return _table()[verdict][code]


@cache
def _table() -> dict[str, dict[str, str]]:
    return tomllib.loads((files("nii.store") / "reasons.toml").read_text("utf-8"))
