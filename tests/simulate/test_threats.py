"""Threats: the table matches the taxonomy and every image weighs what the thing weighs."""

from __future__ import annotations

from typing import Any

import pytest

from nii import taxonomy
from nii.simulate.scene import SceneConfig
from nii.simulate.threats import THREATS


def test_every_threat_class_can_be_made() -> None:
    """The table and ``modification`` are all threat classes; the default are the first four."""
    classes = {row.name for row in taxonomy.in_group("threat")}
    assert classes == {*THREATS, "modification"}
    assert SceneConfig().threat_classes == ("firearm", "brick", "cigarettes", "dense_object")


def test_the_image_weighs_what_the_thing_weighs(ledger: dict[str, Any]) -> None:
    """In a parallel view areal density adds up to the stated mass, within 1 %."""
    assert ledger["threats"].keys() == THREATS.keys()
    for name, entries in ledger["threats"].items():
        for entry in entries:
            assert entry["seen_kg"] == pytest.approx(entry["said_kg"], rel=0.01), name
