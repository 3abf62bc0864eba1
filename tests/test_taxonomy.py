"""The table of classes."""

from __future__ import annotations

from itertools import combinations

import pytest

from nii import taxonomy
from nii.errors import ConfigError


def test_ids_are_rows() -> None:
    """The id of a class is its place in the table."""
    assert [row.class_id for row in taxonomy.classes()] == list(range(len(taxonomy.classes())))


def test_names_find_their_class() -> None:
    """Every name is unique and leads back to its row."""
    for row in taxonomy.classes():
        assert taxonomy.by_name(row.name) == row


def test_groups_divide_the_table() -> None:
    """Every class is either a structure or a threat."""
    together = taxonomy.in_group("structure") + taxonomy.in_group("threat")
    assert sorted(together, key=lambda row: row.class_id) == list(taxonomy.classes())
    assert {"container", "vehicle"} <= {row.name for row in taxonomy.in_group("structure")}


def test_colours_can_be_told_apart() -> None:
    """Colours are valid and no two classes have nearly the same one."""
    for row in taxonomy.classes():
        assert all(0 <= value <= 255 for value in row.colour)
    for one, other in combinations(taxonomy.classes(), 2):
        distance = sum((a - b) ** 2 for a, b in zip(one.colour, other.colour, strict=True)) ** 0.5
        assert distance > 40, (one.name, other.name)


def test_unknown_name_is_answered_with_the_known_ones() -> None:
    """An unknown class is an error that lists the classes."""
    with pytest.raises(ConfigError, match="firearm"):
        taxonomy.by_name("fire-arm")
