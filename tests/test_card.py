"""The card: what contradicts itself is refused, and the page for people says what is promised."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nii.card import (
    Card,
    DecodeSpec,
    FillingSpec,
    GuaranteeSpec,
    LoadSpec,
    ScoreSpec,
    Thresholds,
    VariantSpec,
    card_text,
)
from nii.errors import ConfigError
from nii.preprocess import PreprocessSpec
from nii.provenance import Provenance

_NAMES = ("firearm", "brick")
_CARD = Card(
    name="plain",
    version="1",
    threats=_NAMES,
    structures=("vehicle", "container"),
    preprocess=PreprocessSpec(),
    decode=DecodeSpec(),
    thresholds=Thresholds(dict.fromkeys(_NAMES, 0.3), dict.fromkeys(_NAMES, 0.7)),
    provenance=Provenance(steps=("made for tests",)).to_json(),
)
_PROMISE = "With 95 % confidence at least 80 % of firearm are flagged."


@pytest.mark.parametrize(
    ("look", "search"),
    [
        ({"firearm": 0.5}, {"firearm": 0.4}),
        ({"firearm": -0.1}, {"firearm": 0.4}),
        ({"firearm": 0.1}, {"brick": 0.4}),
    ],
)
def test_thresholds_out_of_order_are_refused(
    look: dict[str, float], search: dict[str, float]
) -> None:
    """A search below a look, a negative score, or classes that differ are errors."""
    with pytest.raises(ValueError, match="threshold"):
        Thresholds(look, search)


def test_a_load_model_whose_numbers_do_not_belong_together_is_refused() -> None:
    """Lengths that differ and scales of nothing are errors."""
    with pytest.raises(ValueError, match="length"):
        LoadSpec((0.0,), (1.0, 1.0), (1.0,), 0.0, "b")
    with pytest.raises(ValueError, match="positive"):
        LoadSpec((0.0,), (0.0,), (1.0,), 0.0, "b")
    with pytest.raises(ValueError, match="length"):
        LoadSpec((0.0,), (1.0,), (1.0,), 0.0, "b", FillingSpec((1.0, 2.0), 0.0, "c"))


def test_what_a_card_cannot_mean_is_refused() -> None:
    """Unknown classes, classes without thresholds or score, and unknown precisions are errors."""
    for change in (
        {"threats": ("dragon",)},
        {"threats": ("firearm",)},
        {"scores": ScoreSpec({"firearm": 0.1})},
        {"variants": {"int3": VariantSpec("", "", 1, 1, 1.0, 1.0, 1.0)}},
    ):
        with pytest.raises(ValueError, match=r"taxonomy|differ|known"):
            replace(_CARD, **change)


def test_a_card_with_a_guarantee_survives_json_and_refuses_what_it_does_not_know() -> None:
    """Promises, scores and calibration come back as they were; a foreign key is an error."""
    spec = GuaranteeSpec("s", "basis", (_PROMISE,), reference=(0.1, 0.2), smallest={"5": "8 cm"})
    card = replace(_CARD, guarantee=spec, scores=ScoreSpec(dict.fromkeys(_NAMES, 0.1), "here"))
    assert "Scores: here." in card_text(card)
    data = json.loads(json.dumps(card.to_json()))
    assert Card.from_json(data) == card
    with pytest.raises(ConfigError, match="colour"):
        Card.from_json(data | {"colour": "red"})


def test_the_page_says_what_is_promised_and_that_nothing_is() -> None:
    """Every promise, its scanner and what is not covered stand on the page, or that none is."""
    assert "Nothing: not calibrated" in card_text(_CARD)
    spec = GuaranteeSpec("lane 1", "50 scans", (_PROMISE,), ("It costs.",), ("Other scanners.",))
    text = card_text(replace(_CARD, guarantee=spec))
    for part in ("Promised for lane 1", _PROMISE, "50 scans", "It costs.", "Other scanners."):
        assert part in text
    assert "Nothing: not calibrated" not in text
