"""Tests of :mod:`nii.infer.inspect`: levels, membership, sizes and warnings."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nii import taxonomy
from nii.bundle import Bundle, Card
from nii.detections import Detections
from nii.infer.detect import Detector
from nii.infer.inspect import (
    describe,
    inspect,
    look,
    regions_of,
    structures_of,
    warnings_of,
)
from nii.infer.position import layout_of
from nii.infer.runtime import CPU, ProviderSettings
from nii.inspection import Inspection, Level, ModelFacts, ProviderFacts
from nii.scan import AnyScan, Grey, Scan

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
FIREARM = taxonomy.by_name("firearm").class_id
VEHICLE = taxonomy.by_name("vehicle").class_id
CONTAINER = taxonomy.by_name("container").class_id


@dataclass(frozen=True, slots=True)
class Fixed:
    """A detector that always finds the same."""

    found: Detections
    card: Card
    model: ModelFacts = ModelFacts("fixed", "1", "0" * 64)  # noqa: RUF009 - frozen
    provider: ProviderFacts = ProviderFacts((CPU,), (CPU,), (CPU,), "cpu", "not requested")  # noqa: RUF009

    def detect(self, scan: AnyScan) -> tuple[Detections, Mapping[str, float]]:
        """Return what was given."""
        del scan
        return self.found, {"run": 1.0}


def detections(rows: list[tuple[tuple[float, float, float, float], float, int]]) -> Detections:
    """Return detections from rows of box, score and class."""
    boxes = np.asarray([box for box, _, _ in rows], np.float32).reshape(-1, 4)
    scores = np.asarray([score for _, score, _ in rows], np.float32)
    return Detections(boxes, scores, np.asarray([row[2] for row in rows], np.int64))


@pytest.fixture
def card(tiny_bundle: Bundle) -> Card:
    """Return the card of the tiny model: look from 0.3, search from 0.7."""
    return tiny_bundle.card


def test_a_real_model_gives_a_valid_inspection(
    tiny_bundle: Bundle, make_scan: Callable[..., Scan], root: Path
) -> None:
    """The JSON of a real inspection fits the schema that is shipped, and comes back equal."""
    scan = make_scan(((320, 120), (560, 176)))
    detector = Detector.open(tiny_bundle.folder, ProviderSettings((CPU,)))
    result = inspect(scan, detector, lambda: NOON)
    text = json.dumps(result.to_json())
    schema = json.loads((root / "nii" / "inspection.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(json.loads(text))
    assert Inspection.from_json(json.loads(text)) == result
    assert result.level is Level.SEARCH
    assert [region.number for region in result.regions] == [1, 2]
    assert {region.position for region in result.regions} == {
        "container 1, left third, mid height",
        "container 1, right third, floor level",
    }
    assert set(result.timing_ms) == {"preprocess", "run", "decode", "describe"}


def test_the_schema_refuses_what_is_unknown(root: Path) -> None:
    """The schema of every record forbids other keys and demands all of its own."""
    schema = json.loads((root / "nii" / "inspection.schema.json").read_text("utf-8"))
    for record in (schema, *schema["$defs"].values()):
        assert record["additionalProperties"] is False
        assert record["required"] == list(record["properties"])
    fields = {field.name for field in dataclasses.fields(Inspection)}
    assert set(schema["properties"]) == fields


def test_looking_and_describing_are_inspecting(tiny_bundle: Bundle) -> None:
    """Whoever needs the detections too looks first and describes after: the result is the same."""
    detector = Fixed(detections([((10, 10, 40, 40), 0.8, FIREARM)]), tiny_bundle.card)
    scan = Scan(np.ones((2, 100, 200), np.float32))
    apart = describe(scan, look(scan, detector), detector, lambda: NOON)
    whole = inspect(scan, detector, lambda: NOON)
    assert apart.regions
    assert dataclasses.replace(apart, timing_ms={}) == dataclasses.replace(whole, timing_ms={})


@given(score=st.floats(0, 1, width=32))
def test_levels_follow_the_card(tiny_bundle: Bundle, score: float) -> None:
    """Below look nothing is shown, from search on a search is advised."""
    found = detections([((10, 10, 40, 40), score, FIREARM)])
    scan = Scan(np.ones((2, 100, 200), np.float32))
    result = inspect(scan, Fixed(found, tiny_bundle.card), lambda: NOON)
    expected = Level.SEARCH if score >= 0.7 else Level.LOOK if score >= 0.3 else Level.CLEAR
    assert result.level is expected
    assert len(result.regions) == (expected is not Level.CLEAR)


def test_regions_are_ordered_by_urgency(card: Card) -> None:
    """A search stands before a look, a higher score before a lower one; class limits differ."""
    low = dataclasses.replace(
        card.thresholds,
        look={"firearm": 0.1, "dense_object": 0.3},
        search={"firearm": 0.2, "dense_object": 0.9},
    )
    dense = taxonomy.by_name("dense_object").class_id
    rows = [
        ((0.0, 0.0, 9.0, 9.0), 0.8, dense),
        ((20.0, 0.0, 29.0, 9.0), 0.25, FIREARM),
        ((40.0, 0.0, 49.0, 9.0), 0.5, FIREARM),
    ]
    layout = layout_of((), np.ones((50, 60), np.float32))
    regions = regions_of(
        detections(rows), dataclasses.replace(card, thresholds=low), layout, (5.0, 4.0)
    )
    assert [(r.number, r.score, r.level) for r in regions] == [
        (1, 0.5, Level.SEARCH),
        (2, 0.25, Level.SEARCH),
        (3, 0.8, Level.LOOK),
    ]
    assert regions[0].size_mm == (36.0, 45.0)


def test_structures_are_numbered_from_the_left(card: Card) -> None:
    """Each kind counts from the left; what lies below the threshold is dropped."""
    rows = [
        ((500.0, 0.0, 900.0, 90.0), 0.9, CONTAINER),
        ((10.0, 0.0, 400.0, 90.0), 0.8, CONTAINER),
        ((0.0, 0.0, 950.0, 99.0), 0.9, VEHICLE),
        ((0.0, 0.0, 200.0, 99.0), 0.4, VEHICLE),
    ]
    parts = structures_of(detections(rows), card, Scan(np.ones((2, 100, 950), np.float32)))
    assert [(p.kind, p.number, p.box_xyxy[0]) for p in parts] == [
        ("container", 1, 10.0),
        ("container", 2, 500.0),
        ("vehicle", 1, 0.0),
    ]


@pytest.mark.parametrize(
    ("scan", "words"),
    [
        (Scan(np.ones((1, 800, 900), np.float32), Grey.DISPLAY), "grey curve is unknown"),
        (Scan(np.ones((1, 800, 900), np.float32)), "one energy"),
        (Scan(np.ones((2, 800, 900), np.float32)), "energies of the beams are unknown"),
        (Scan(np.ones((2, 800, 900), np.float32), endpoint_mev=(9.0, 6.0)), "No container"),
        (Scan(np.ones((1, 90, 900), np.float32)), "90 pixels high"),
    ],
)
def test_warnings(scan: Scan, words: str, card: Card) -> None:
    """What makes a result doubtful is said."""
    assert any(words in text for text in warnings_of(scan, (), card))


def test_a_good_scan_has_no_warning(card: Card) -> None:
    """Where nothing is doubtful nothing is said; what the beam did not get through is."""
    transmission = np.full((2, 800, 900), 0.5, np.float32)
    scan = Scan(transmission, endpoint_mev=(9.0, 6.0))
    found = detections([((100.0, 100.0, 500.0, 500.0), 0.9, CONTAINER)])
    parts = structures_of(found, card, scan)
    assert warnings_of(scan, parts, card) == ()
    dark = transmission.copy()
    dark[:, 100:200, 100:500] = 0
    (warning,) = warnings_of(dataclasses.replace(scan, transmission=dark), parts, card)
    assert "25 % of container 1" in warning


def test_uncalibrated_thresholds_are_said(card: Card) -> None:
    """The levels of a model whose thresholds are an assumption carry a warning."""
    assumed = dataclasses.replace(card.thresholds, basis="assumption: not calibrated")
    scan = Scan(np.ones((2, 800, 900), np.float32), endpoint_mev=(9.0, 6.0))
    texts = warnings_of(scan, (), dataclasses.replace(card, thresholds=assumed))
    assert any("not calibrated" in text for text in texts)
