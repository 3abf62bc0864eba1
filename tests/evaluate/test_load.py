"""Load states against labels: counted by state, over the containers that were found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nii import taxonomy
from nii.annotations.coco import CocoImage
from nii.bundle import Card, DecodeSpec, FillingSpec, LoadSpec, Thresholds
from nii.detections import Detections
from nii.evaluate.load import LoadCall, load_calls, load_table
from nii.infer.load import FEATURES
from nii.preprocess import PreprocessSpec
from nii.scan import Scan

CONTAINER = taxonomy.by_name("container").class_id


def card(spec: LoadSpec | None) -> Card:
    """Return a card with or without a load state."""
    return Card(
        name="test",
        version="0",
        threats=("firearm",),
        structures=("container",),
        preprocess=PreprocessSpec(),
        decode=DecodeSpec(),
        thresholds=Thresholds({"firearm": 0.3}, {"firearm": 0.3}),
        provenance={},
        load=spec,
    )


def always(state: str) -> LoadSpec:
    """Return weights that call every container the same."""
    none, one = (0.0,) * len(FEATURES), (1.0,) * len(FEATURES)
    return LoadSpec(none, one, none, 5.0 if state == "loaded" else -5.0, "test")


def image() -> tuple[CocoImage, Scan]:
    """Return a scan with an empty container on the left and a full one on the right."""
    boxes = np.asarray([[0, 0, 300, 200], [400, 0, 700, 200]], np.float32)
    truth = Detections(boxes, np.ones(2, np.float32), np.full(2, CONTAINER))
    behind = np.full(2, np.nan, np.float32)
    labelled = CocoImage(Path("a.png"), 200, 700, truth, ("empty", "full"), behind)
    return labelled, Scan(np.full((1, 200, 700), 0.5, np.float32))


def found(boxes: list[list[float]]) -> Detections:
    """Return found containers."""
    array = np.asarray(boxes, np.float32).reshape(-1, 4)
    return Detections(array, np.full(len(array), 0.9, np.float32), np.full(len(array), CONTAINER))


@pytest.mark.parametrize(("said", "right"), [("empty", [True, False]), ("loaded", [False, True])])
def test_what_is_said_is_held_against_the_label(said: str, right: list[bool]) -> None:
    """A model that always says the same is right for one kind, and half right on balance."""
    labelled, scan = image()
    calls = load_calls(
        labelled, found([[0, 0, 300, 200], [410, 0, 700, 200]]), scan, card(always(said))
    )
    assert [call.right for call in calls] == right
    table = load_table(calls)
    assert table is not None
    assert table.balanced_accuracy == 0.5


def test_a_container_that_was_not_found_is_counted_as_such() -> None:
    """It is neither right nor wrong; without any loaded one found there is no balance."""
    labelled, scan = image()
    calls = load_calls(labelled, found([[0, 0, 300, 200]]), scan, card(always("empty")))
    assert [call.right for call in calls] == [True, None]
    table = load_table(calls)
    assert table is not None
    assert table.balanced_accuracy is None
    assert [(row.state, row.right.trials, row.not_found) for row in table.rows] == [
        ("empty", 1, 0),
        ("full", 0, 1),
    ]


def test_nothing_is_said_without_a_model_or_a_label() -> None:
    """A card without weights, and a set without labels, give no table."""
    labelled, scan = image()
    assert load_calls(labelled, found([[0, 0, 300, 200]]), scan, card(None)) == []
    assert load_table([]) is None


@pytest.mark.parametrize(("filling", "exact"), [(5.0, True), (-5.0, False)])
def test_partly_filled_and_full_are_held_against_the_label(filling: float, exact: bool) -> None:  # noqa: FBT001
    """Loaded is right for a full container either way; exactly right only where full was said."""
    labelled, scan = image()
    spec = always("loaded")
    spec = replace(spec, filling=FillingSpec(spec.mean, filling, "test"))
    calls = load_calls(labelled, found([[400, 0, 700, 200]]), scan, card(spec))
    assert [(call.right, call.exact) for call in calls] == [(None, None), (True, exact)]
    table = load_table([*calls, LoadCall("partial", True, True), LoadCall("tank", True)])  # noqa: FBT003
    assert table is not None
    assert table.exact_accuracy is None
    assert table.filling_accuracy == (1 + exact) / 2
    whole = load_table([*calls, LoadCall("partial", True, False), LoadCall("empty", True, True)])  # noqa: FBT003
    assert whole is not None
    assert whole.exact_accuracy == pytest.approx((1 + exact) / 3)


def test_partly_filled_and_tank_containers_are_loaded() -> None:
    """Only an empty container is empty."""
    table = load_table(
        [LoadCall("partial", right=True), LoadCall("tank", right=True), LoadCall("empty", False)]  # noqa: FBT003
    )
    assert table is not None
    assert table.balanced_accuracy == 0.5
