"""Facts survive as JSON, and what is no fact is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nii.errors import ScanFormatError
from nii.formats.facts import (
    Facts,
    assemble,
    facts_of,
    from_levels,
    from_text,
    noted,
    to_levels,
    to_text,
)
from nii.provenance import Provenance, SourceFile
from nii.scan import Scan

PATH = Path("truck.png")


def test_facts_survive(truck: Scan) -> None:
    """What is written is read, field by field."""
    facts = facts_of(truck, 60000)
    assert from_text(PATH, to_text(facts)) == facts


def test_stored_sources_become_a_step() -> None:
    """The file that is read is the new source; the old ones stay as history."""
    stored = Provenance("other 1", (SourceFile("a.raw", "ab12"),), ("cut",), {})
    facts = from_text(PATH, to_text(Facts(provenance=stored)))
    assert facts.provenance.sources == ()
    assert facts.provenance.steps == ("cut", "written by other 1 from a.raw ab12")


def test_steps_are_noted_in_order() -> None:
    """New steps come last."""
    facts = noted(noted(Facts(), ("one",)), ("two", "three"))
    assert facts.provenance.steps == ("one", "two", "three")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"colour": 1}',
        '{"grey": "blue"}',
        '{"grey": []}',
        '{"open_beam": 0}',
        '{"open_beam": true}',
        '{"endpoint_mev": "9"}',
        '{"endpoint_mev": [NaN]}',
        '{"endpoint_mev": [1e999]}',
        '{"endpoint_mev": [1' + "0" * 400 + "]}",
        '{"endpoint_mev": []}',
        '{"pixel_pitch_mm": [1]}',
        '{"scanner": 5}',
        '{"acquired_at": "yesterday"}',
        '{"container_numbers": [1]}',
        '{"provenance": 3}',
        '{"provenance": {"steps": "no list"}}',
        '{"provenance": {"settings": []}}',
        '{"provenance": {"sources": [3]}}',
        '{"scanner": ' + "[" * 100000,
    ],
)
def test_what_is_no_fact_is_refused(text: str) -> None:
    """Unknown names, wrong types and impossible numbers raise the error of the package."""
    with pytest.raises(ScanFormatError, match=r"truck\.png"):
        from_text(PATH, text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(sorted(json.loads(to_text(Facts())))), json_values))
def test_hostile_facts_do_no_harm(data: dict[str, object]) -> None:
    """Any JSON under our names gives facts or the error of the package."""
    try:
        facts = from_text(PATH, json.dumps(data))
        assemble(PATH, np.ones((1, 1, 1), np.float32), facts)
    except ScanFormatError as error:
        assert error.remedy  # noqa: PT017 - the other outcome is fine as well


def test_facts_that_contradict_the_pixels_are_refused() -> None:
    """Three end-points do not fit one energy."""
    facts = replace(Facts(), endpoint_mev=(9.0, 6.0, 4.0))
    with pytest.raises(ScanFormatError, match="end-points"):
        assemble(PATH, np.ones((1, 2, 2), np.float32), facts)


def test_all_levels_survive() -> None:
    """Each of the 65536 levels becomes a transmission and comes back."""
    levels = np.arange(65536, dtype=np.uint16).reshape(1, 256, 256)
    again, open_beam = to_levels(Scan(from_levels(levels, 65535)), PATH)
    assert open_beam == 65535
    assert np.array_equal(again, levels)


@pytest.mark.parametrize("brightest", [1.0, 1.05, 1.5, 2.0])
def test_air_above_one_is_not_clipped(brightest: float) -> None:
    """Where noise lifts air above 1, the level of the open beam is lowered."""
    scan = Scan(np.array([[[0.0, 0.5, brightest]]], np.float32))
    levels, open_beam = to_levels(scan, PATH)
    assert np.abs(from_levels(levels, open_beam) - scan.transmission).max() <= 0.51 / open_beam


def test_raw_counts_are_refused() -> None:
    """A scan that was never divided by the open beam is not written."""
    with pytest.raises(ScanFormatError, match="open beam"):
        to_levels(Scan(np.full((1, 2, 2), 4000, np.float32)), PATH)
