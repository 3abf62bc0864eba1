"""The folder that a model travels in."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from nii import taxonomy
from nii.bundle import (
    CARD_FILE,
    MODEL_FILE,
    TEXT_FILE,
    Bundle,
    Card,
    DecodeSpec,
    Thresholds,
    read_bundle,
    write_bundle,
)
from nii.errors import BundleError
from nii.preprocess import PreprocessSpec
from nii.provenance import Provenance, sha256_of_bytes

MODEL = b"not a real network"
THREATS = tuple(row.name for row in taxonomy.in_group("threat"))
CARD = Card(
    name="tiny",
    version="2026.11.22",
    threats=THREATS,
    structures=("vehicle", "container"),
    preprocess=PreprocessSpec(overview_height=64),
    decode=DecodeSpec(min_score=0.1),
    thresholds=Thresholds(dict.fromkeys(THREATS, 0.3), dict.fromkeys(THREATS, 0.7)),
    provenance=Provenance(steps=("trained on nothing",)).to_json(),
    metrics={"p_d": 0.5},
    intended_use="Only for tests.",
    limits=("finds nothing",),
)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """Write a bundle whose model is no network: reading a bundle does not run it."""
    return write_bundle(tmp_path / "tiny", CARD, MODEL, {"largest_difference": 0.0})


def test_round_trip(bundle: Bundle) -> None:
    """A bundle reads back as it was written, with the digest of its model filled in."""
    again = read_bundle(bundle.folder)
    assert again == bundle
    assert again.card == dataclasses.replace(CARD, model_sha256=sha256_of_bytes(MODEL))
    assert again.model_path.read_bytes() == MODEL


def test_card_round_trip() -> None:
    """A card written as JSON text comes back equal."""
    assert Card.from_json(json.loads(json.dumps(CARD.to_json()))) == CARD


def test_ids_are_those_of_the_taxonomy() -> None:
    """The channels of the maps lead to rows of the taxonomy."""
    rows = taxonomy.classes()
    assert [rows[i].name for i in CARD.threat_ids + CARD.structure_ids] == [
        *CARD.threats,
        *CARD.structures,
    ]


def test_altered_model_is_refused(bundle: Bundle) -> None:
    """One changed byte of the model is found."""
    bundle.model_path.write_bytes(MODEL[:-1] + b"X")
    with pytest.raises(BundleError, match="altered or damaged"):
        read_bundle(bundle.folder)


def test_the_self_test_belongs_to_the_bundle(tmp_path: Path) -> None:
    """A self-test is found again by its digest; altered or missing it is refused."""
    bundle = write_bundle(tmp_path / "b", CARD, MODEL, {}, b"numbers")
    path = read_bundle(bundle.folder).self_test_path
    assert path is not None
    path.write_bytes(b"other numbers")
    with pytest.raises(BundleError, match="altered or damaged"):
        read_bundle(bundle.folder)
    path.unlink()
    with pytest.raises(BundleError, match=r"no selftest\.npz"):
        read_bundle(bundle.folder)


@pytest.mark.parametrize("name", [MODEL_FILE, CARD_FILE])
def test_incomplete_bundle_is_refused(bundle: Bundle, name: str) -> None:
    """A bundle without its model or its card is refused, and the file is named."""
    (bundle.folder / name).unlink()
    with pytest.raises(BundleError, match=name):
        read_bundle(bundle.folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format_version": 99}, "format version 99"),
        ({"colour": "red"}, "unknown key 'colour'"),
        ({"threats": ["dragon"]}, "dragon"),
        ({"threats": list(THREATS[:-1])}, "thresholds and threat classes differ"),
        ({"decode": {"nms_iou": "high"}}, "nms_iou"),
    ],
    ids=str,
)
def test_card_that_does_not_fit_is_refused(
    bundle: Bundle, change: dict[str, object], words: str
) -> None:
    """A newer, unknown or contradictory card is an error that says what is wrong."""
    path = bundle.folder / CARD_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BundleError, match=words):
        read_bundle(bundle.folder)


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_card_that_is_no_card_is_refused(bundle: Bundle, content: str) -> None:
    """A card that is no JSON object is an error of the bundle."""
    (bundle.folder / CARD_FILE).write_text(content)
    with pytest.raises(BundleError, match="card"):
        read_bundle(bundle.folder)


def test_name_is_that_of_the_content(bundle: Bundle, tmp_path: Path) -> None:
    """Equal content has an equal digest wherever it lies; another model has another one."""
    same = write_bundle(tmp_path / "same", CARD, MODEL, {})
    other = write_bundle(tmp_path / "other", CARD, MODEL + b"!", {})
    assert bundle.sha256 == same.sha256 != other.sha256


def test_writing_replaces_a_bundle_and_leaves_nothing_else(bundle: Bundle) -> None:
    """A second bundle takes the place of the first, without leftovers beside it."""
    fresh = write_bundle(bundle.folder, CARD, b"better", {})
    assert read_bundle(bundle.folder) == fresh
    assert [path.name for path in bundle.folder.parent.iterdir()] == ["tiny"]


def test_other_folders_are_never_replaced(tmp_path: Path) -> None:
    """A folder with anything but a bundle in it is left as it is."""
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BundleError, match="other content"):
        write_bundle(tmp_path, CARD, MODEL, {})
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_page_for_people_tells_use_limits_and_thresholds(bundle: Bundle) -> None:
    """The page beside the card says what the model is for, what it cannot do, and its levels."""
    text = (bundle.folder / TEXT_FILE).read_text()
    for part in (*CARD.limits, CARD.intended_use, *THREATS, "0.300", "0.700", "p_d"):
        assert part in text


@pytest.mark.parametrize(
    ("look", "search"),
    [({"brick": 0.5}, {"brick": 0.4}), ({"brick": 0.5}, {}), ({"a": -1.0}, {"a": 1.0})],
)
def test_thresholds_rise(look: dict[str, float], search: dict[str, float]) -> None:
    """A search is never advised where nobody would even look."""
    with pytest.raises(ValueError, match="thresholds"):
        Thresholds(look, search)
