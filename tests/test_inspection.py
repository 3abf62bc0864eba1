"""The report about one scan."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nii.errors import ConfigError
from nii.inspection import (
    Anomaly,
    Health,
    Inspection,
    Level,
    ModelFacts,
    Problem,
    ProviderFacts,
    Region,
    ScanFacts,
    Structure,
)
from nii.provenance import Provenance, SourceFile, sha256_of_bytes
from nii.scan import Grey, Scan

NOW = "2026-11-22T12:00:00+00:00"
few = settings(max_examples=10)
"""An inspection takes long to draw, and few say as much where its content hardly matters."""

words = st.text(max_size=6)
lists_of_words = st.lists(words, max_size=2).map(tuple)
positive = st.floats(0.001, 1e4)
corners = st.tuples(positive, positive, positive, positive)

scans = st.builds(
    ScanFacts,
    files=lists_of_words,
    sha256=st.none() | st.binary(max_size=4).map(sha256_of_bytes),
    energies=st.integers(1, 2),
    height=st.integers(1, 9999),
    width=st.integers(1, 9999),
    grey=st.sampled_from(Grey),
    endpoint_mev=st.none() | st.tuples(positive, positive),
    pixel_pitch_mm=st.none() | st.tuples(positive, positive),
    scanner=st.none() | words,
    acquired_at=st.none() | st.just(NOW),
    container_numbers=lists_of_words,
    assumptions=lists_of_words,
)
regions = st.builds(
    Region,
    number=st.integers(1, 9),
    class_name=words,
    label=words,
    category=words,
    score=st.floats(0, 1),
    level=st.sampled_from([Level.LOOK, Level.SEARCH]),
    box_xyxy=corners,
    container=st.none() | st.integers(1, 4),
    position=words,
    size_mm=st.none() | st.tuples(positive, positive),
    contour_xy=st.none()
    | st.lists(st.tuples(positive, positive), min_size=3, max_size=4).map(tuple),
)
healths = st.builds(
    Health,
    air=st.floats(0, 2),
    opaque_share=st.floats(0, 1),
    blank_share=st.floats(0, 1),
    rows_apart=st.integers(0, 9),
    columns_apart=st.integers(0, 9),
    cut=st.sampled_from([(), ("left",), ("left", "top")]),
    problems=st.lists(st.sampled_from(Problem), max_size=2, unique=True).map(tuple),
)
anomalies = st.builds(
    Anomaly,
    score=st.floats(0, 1),
    highest_xy=st.tuples(positive, positive),
    looked_at=st.sampled_from(["container", "vehicle", "scan"]),
)
structures = st.builds(
    Structure,
    kind=st.sampled_from(["container", "vehicle"]),
    number=st.integers(1, 4),
    box_xyxy=corners,
    score=st.floats(0, 1),
)
providers = st.builds(
    ProviderFacts,
    used=lists_of_words,
    requested=lists_of_words,
    available=lists_of_words,
    device=st.sampled_from(["cpu", "gpu"]),
    reason=st.none() | words,
)


@st.composite
def inspections(draw: st.DrawFn) -> Inspection:
    """Draw an inspection whose level fits its regions."""
    found = tuple(draw(st.lists(regions, max_size=3)))
    return Inspection(
        scan=draw(scans),
        model=ModelFacts(draw(words), draw(words), draw(words)),
        provider=draw(providers),
        level=max((r.level for r in found), key=lambda level: level.rank, default=Level.CLEAR),
        structures=tuple(draw(st.lists(structures, max_size=3))),
        regions=found,
        inspected_at=NOW,
        timing_ms=draw(st.dictionaries(words, positive, max_size=2)),
        warnings=draw(lists_of_words),
        health=draw(st.none() | healths),
        anomaly=draw(st.none() | anomalies),
    )


@pytest.mark.slow
@given(inspections())
def test_round_trip_through_json_text(inspection: Inspection) -> None:
    """An inspection written as JSON text comes back equal."""
    assert Inspection.from_json(json.loads(json.dumps(inspection.to_json()))) == inspection


@few
@given(inspections())
def test_results_of_before_are_still_read(inspection: Inspection) -> None:
    """What older versions did not write, health, anomaly and outlines, is read as not known."""
    data = inspection.to_json()
    del data["health"], data["anomaly"]
    for region in data["regions"]:
        del region["contour_xy"]
    read = Inspection.from_json(data)
    assert read.health is None
    assert read.anomaly is None
    assert all(region.contour_xy is None for region in read.regions)


def schema() -> dict[str, Any]:
    """Return the published description of the JSON form."""
    description: dict[str, Any] = json.loads(
        files("nii").joinpath("inspection.schema.json").read_text("utf-8")
    )
    return description


@few
@given(inspections())
def test_json_fits_the_published_schema(inspection: Inspection) -> None:
    """What is written is what inspection.schema.json describes, and nothing beyond it."""
    validator = jsonschema.Draft202012Validator(schema())
    data = json.loads(json.dumps(inspection.to_json()))
    validator.validate(data)
    for broken in (data | {"verdict": "guilty"}, data | {"level": "maybe"}, data | {"regions": 3}):
        assert not validator.is_valid(broken)
    for key in data:
        assert not validator.is_valid({name: data[name] for name in data if name != key}), key


@few
@given(inspections(), st.sampled_from(Level))
def test_level_is_that_of_the_worst_region(inspection: Inspection, level: Level) -> None:
    """No inspection can advise more or less than its most urgent region."""
    if level is not inspection.level:
        with pytest.raises(ValueError, match="most urgent region"):
            dataclasses.replace(inspection, level=level)


@few
@given(inspections())
def test_time_needs_a_zone(inspection: Inspection) -> None:
    """A time of inspection without a zone is refused."""
    with pytest.raises(ValueError, match="zone"):
        dataclasses.replace(inspection, inspected_at="2026-11-22T12:00:00")


@few
@given(inspections())
def test_other_versions_and_unknown_keys_are_refused(inspection: Inspection) -> None:
    """JSON of another version, or with a key that this one does not know, is an error."""
    with pytest.raises(ConfigError, match="schema version 99"):
        Inspection.from_json(inspection.to_json() | {"schema_version": 99})
    with pytest.raises(ConfigError, match="verdict"):
        Inspection.from_json(inspection.to_json() | {"verdict": "guilty"})


@few
@given(inspections())
def test_containers_are_the_structures_of_that_kind(inspection: Inspection) -> None:
    """Containers keep their order; vehicles are left out."""
    others = tuple(part for part in inspection.structures if part.kind != "container")
    assert len(inspection.containers) + len(others) == len(inspection.structures)
    assert not set(inspection.containers) & set(others)


def test_levels_rise() -> None:
    """Clear is below look, look is below search."""
    assert Level.CLEAR.rank < Level.LOOK.rank < Level.SEARCH.rank


def test_scan_facts_are_those_of_the_scan() -> None:
    """Facts are copied from the scan, and its assumptions stay visible."""
    source = SourceFile("a.tif", "ab" * 32)
    scan = Scan(
        np.ones((2, 3, 4), np.float32),
        endpoint_mev=(9.0, 6.0),
        acquired_at=datetime(2026, 11, 22, 12, tzinfo=UTC),
        provenance=Provenance(sources=(source,), steps=("assumed: open beam is the brightest",)),
    )
    facts = ScanFacts.of(scan)
    assert (facts.energies, facts.height, facts.width) == (2, 3, 4)
    assert (facts.files, facts.sha256) == (("a.tif",), source.sha256)
    assert facts.acquired_at == NOW
    assert facts.assumptions == scan.provenance.steps
