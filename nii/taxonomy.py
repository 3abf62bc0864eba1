"""Threat classes and structures, read from ``taxonomy.toml`` beside this module."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from nii.errors import ConfigError

Group = Literal["structure", "threat"]


@dataclass(frozen=True, slots=True)
class ThreatClass:
    """Describe one class.

    Attributes:
        class_id: row in the table; what :class:`nii.detections.Detections` carries.
        name: identifier used in files.
        label: words for an officer.
        group: ``structure`` (container, vehicle) or ``threat``.
        category: customs programme.
        dicos: DICOS ThreatCategory.
        colour: red, green, blue of the outline, 0-255.
    """

    class_id: int
    name: str
    label: str
    group: Group
    category: str
    dicos: str
    colour: tuple[int, int, int]


@cache
def classes() -> tuple[ThreatClass, ...]:
    """Return all classes in the order of their ids."""
    rows = tomllib.loads(files("nii").joinpath("taxonomy.toml").read_text("utf-8"))["classes"]
    return tuple(
        ThreatClass(
            index, r["name"], r["label"], r["group"], r["category"], r["dicos"], tuple(r["colour"])
        )
        for index, r in enumerate(rows)
    )


def by_name(name: str) -> ThreatClass:
    """Return the class called `name`.

    Raises:
        ConfigError: no class has that name.
    """
    for row in classes():
        if row.name == name:
            return row
    known = ", ".join(row.name for row in classes())
    raise ConfigError(
        name, found="an unknown class", expected=f"one of {known}", remedy="See nii/taxonomy.toml."
    )


def in_group(group: Group) -> tuple[ThreatClass, ...]:
    """Return the classes of one group in the order of their ids."""
    return tuple(row for row in classes() if row.group == group)
