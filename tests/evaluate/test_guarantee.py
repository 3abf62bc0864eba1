"""Tests of what can be promised: exact binomial numbers, coverage, and honest silence."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from nii import taxonomy
from nii.bundle import Card, DecodeSpec, Thresholds, card_text
from nii.errors import ConfigError
from nii.evaluate import curves, guarantee
from nii.evaluate.containers import ContainerTable
from nii.evaluate.guarantee import GRID, GuaranteeConfig
from nii.preprocess import PreprocessSpec
from nii.provenance import Provenance

MakeCases = Callable[..., ContainerTable]
NAMES = [row.name for row in taxonomy.in_group("threat")]


@pytest.mark.parametrize(
    ("miss", "needed"),
    [
        (0.10, (29, 46, 103, 167)),
        (0.05, (59, 93, 208, 336)),
        (0.02, (149, 236, 523, 845)),
        (0.01, (299, 473, 1049, 1693)),
    ],
)
def test_exact_numbers_of_threats(miss: float, needed: tuple[int, ...]) -> None:
    """So many threats with 0, 1, 5 and 10 misses prove a miss rate with 95 % confidence.

    Reference: one-sided limits of Clopper and Pearson 1934.
    """
    found = tuple(guarantee.trials_needed(misses, miss) for misses in (0, 1, 5, 10))
    assert found == needed
    for misses, trials in zip((0, 1, 5, 10), needed, strict=True):
        assert guarantee.misses_allowed(trials, miss) == misses
        before = guarantee.misses_allowed(trials - 1, miss)
        assert (before if before is not None else -1) < misses


@pytest.mark.slow
def test_tail_agrees_with_scipy() -> None:
    """The binomial tail is that of an independent library, also far out."""
    binom = pytest.importorskip("scipy.stats").binom
    for count, trials, share in ((0, 29, 0.1), (25, 1000, 0.035), (3, 500, 0.3), (7, 7, 0.2)):
        expected = binom.cdf(count, trials, share)
        assert guarantee.binomial_tail(count, trials, share) == pytest.approx(expected, rel=1e-9)


def test_threshold_is_where_testing_stops() -> None:
    """Testing every threshold in turn with its own tail gives the same threshold."""
    rng = np.random.default_rng(1)
    for trials in (29, 60, 200):
        scores = rng.beta(4, 1, trials)
        last = math.nan
        for threshold in GRID:
            misses = int((scores < threshold).sum())
            if guarantee.binomial_tail(misses, trials, 0.1) > 0.05:
                break
            last = float(threshold)
        found = float(guarantee.controlled_threshold(scores, 0.1))
        assert found == pytest.approx(last, nan_ok=True)


def test_coverage_of_a_thousand_calibrations() -> None:
    """No more than 5 % of 1,000 calibrations miss more than promised, and the bound is not idle.

    Scores are uniform, so a threshold misses just its own share.
    """
    rng = np.random.default_rng(2)
    for trials, miss in ((46, 0.1), (150, 0.1), (300, 0.2)):
        found = guarantee.controlled_threshold(rng.random((1000, trials)), miss)
        broken = int((np.nan_to_num(found) > miss).sum())
        assert broken <= 68  # P(more than 68 of 1,000 at 5 %) is below 1 %
        assert broken >= 5


def test_coverage_when_threats_are_never_seen() -> None:
    """Scores of minus infinity count as misses: the promise holds, or none is made."""
    rng = np.random.default_rng(3)
    scores = rng.random((1000, 100))
    scores[rng.random(scores.shape) < 0.15] = curves.NEVER
    found = guarantee.controlled_threshold(scores, 0.1)
    assert np.isfinite(found).sum() <= 68  # the true miss rate is 15 % at any threshold
    easy = guarantee.controlled_threshold(scores, 0.3)
    missed = 0.15 + 0.85 * np.nan_to_num(easy)
    assert (missed[np.isfinite(easy)] > 0.3).sum() <= 68


def test_conformal_bar_keeps_its_share() -> None:
    """A further benign container exceeds the bar with no more than the stated probability."""
    rng = np.random.default_rng(4)
    for count, share in ((19, 0.05), (99, 0.01), (150, 0.1)):
        bars = [guarantee.conformal_bar(rng.random(count), share) for _ in range(4000)]
        exceeded = 1 - float(np.mean([bar for bar in bars if bar is not None]))
        exact = math.floor(share * (count + 1) + 1e-9) / (count + 1)
        assert exceeded == pytest.approx(exact, rel=0.1)
        assert exact <= share
    assert guarantee.conformal_bar(np.zeros(98), 0.01) is None


def test_one_threat_of_each_scan() -> None:
    """Among the members, each scan gives one; every member can be drawn."""
    scan = np.asarray([0, 0, 0, 1, 2, 2])
    members = np.asarray([True, True, False, True, False, False])
    seen = set()
    for seed in range(20):
        rows = guarantee.one_of_each(scan, members, np.random.default_rng(seed))
        assert scan[rows].tolist() == [0, 1]
        seen |= set(rows.tolist())
    assert seen == {0, 1, 3}


@pytest.mark.slow
def test_a_calibration_keeps_its_word_on_new_threats(make_cases: MakeCases) -> None:
    """Thresholds chosen on one set flag the promised share of another from the same source."""
    rng = np.random.default_rng(5)
    config = GuaranteeConfig(miss=0.2, search_share=0.02)
    kept = 0
    for _ in range(12):
        scores = {name: rng.beta(3, 1, 120).tolist() for name in NAMES}
        made = guarantee.calibrate(make_cases(scores, rng.beta(1, 8, 300).tolist()), config)
        kept += all(score**3 <= 0.2 for score in made.look.values())  # share of Beta(3, 1) below
        assert all(made.search[name] >= made.look[name] for name in NAMES)
        assert made.searched.successes <= 0.02 * 301
    assert kept >= 10


def test_sentences_say_what_is_promised(make_cases: MakeCases) -> None:
    """A class with enough threats gets the sentence, one with too few is told how many it takes."""
    scores = {"firearm": [0.9] * 60, "brick": [0.9] * 10, "cigarettes": [0.0] * 80}
    known = ("firearm", "brick", "cigarettes", "dense_object")
    config = GuaranteeConfig(classes=known)
    made = guarantee.calibrate(make_cases(scores, [0.1] * 120), config)
    texts = {row.class_name: row.text for row in made.promises}
    assert texts["firearm"] == (
        "With 95 % confidence at least 80 % of firearm in loads up to 20 g/cm² are flagged on this "
        "scanner."
    )
    assert made.look["firearm"] == pytest.approx(0.9)
    assert "10 threats in separate scans, and at least 20 are needed" in texts["brick"]
    assert "even at the lowest threshold 0 of 80" in texts["cigarettes"]
    assert "0 threats" in texts["dense_object"]
    assert made.look["brick"] == pytest.approx(0.1, abs=1e-6)
    assert made.looked_at.successes == 0
    assert len(made.cells) == 5 * len(known)
    assert made.not_covered


def test_threats_of_one_scan_are_one_trial(make_cases: MakeCases) -> None:
    """Sixty threats in five scans are five trials, too few for any promise."""
    made = guarantee.calibrate(
        make_cases({"firearm": [0.9] * 60}, [0.1] * 120, scans=5), GuaranteeConfig()
    )
    assert made.promises[0].counts.trials == 5
    assert made.promises[0].at_least is None


def test_heavier_loads_are_not_promised(make_cases: MakeCases) -> None:
    """Threats behind more than the limit are no evidence for lighter loads."""
    made = guarantee.calibrate(
        make_cases({"firearm": [0.9] * 60}, [0.1] * 120, behind=30.0), GuaranteeConfig()
    )
    assert made.promises[0].counts.trials == 0
    cells = {(row.class_name, row.up_to_g_per_cm2): row for row in made.cells}
    assert cells["firearm", 50.0].at_least == pytest.approx(0.8)
    assert "from 20 to 50" in cells["firearm", 50.0].text


def test_fixed_thresholds_are_proven_by_exact_limits(make_cases: MakeCases) -> None:
    """With 60 of 60 flagged and one row for each class and load, the limit is δ^(1/60)."""
    cases = make_cases({"firearm": [0.9] * 60}, [0.1] * 20)
    rows = guarantee.proven(cases, {"firearm": 0.5}, GuaranteeConfig())
    best = {row.up_to_g_per_cm2: row for row in rows}
    assert best[20.0].at_least == pytest.approx((0.05 / len(rows)) ** (1 / 60))
    assert best[5.0].at_least is None
    assert "Nothing is proven" in best[5.0].text
    blind = guarantee.proven(cases, {"firearm": 0.95}, GuaranteeConfig())
    assert all(row.at_least is None for row in blind)


def test_too_few_benign_containers(make_cases: MakeCases) -> None:
    """With too few benign ones for a search, none is advised; with hardly any, nothing is set."""
    made = guarantee.calibrate(make_cases({"firearm": [0.9] * 60}, [0.1] * 50), GuaranteeConfig())
    assert min(made.search.values()) > 1
    assert "99 are needed" in made.costs[1]
    with pytest.raises(ConfigError, match="8 benign containers"):
        guarantee.calibrate(make_cases({"firearm": [0.9] * 60}, [0.1] * 8), GuaranteeConfig())


def test_impossible_settings_are_refused() -> None:
    """Shares outside 0 to 1, loads between the edges and impossible counts are errors."""
    for wrong in ({"miss": 0.0}, {"confidence": 1.0}, {"up_to_g_per_cm2": 21.0}):
        with pytest.raises(ValueError, match=r"between|none of"):
            replace(GuaranteeConfig(), **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="trials"):
        guarantee.binomial_tail(3, 2, 0.5)
    assert guarantee.misses_allowed(0, 0.1) is None


def test_the_card_says_it(make_cases: MakeCases) -> None:
    """A card with a guarantee survives JSON and prints sentences, costs and limits."""
    made = guarantee.calibrate(make_cases({"firearm": [0.9] * 60}, [0.1] * 120), GuaranteeConfig())
    spec = guarantee.spec_of(made, "gate 1", "a set", {"< 5 g/cm²": "from 20 cm"})
    card = Card(
        name="a",
        version="1",
        threats=tuple(NAMES),
        structures=("container",),
        preprocess=PreprocessSpec(),
        decode=DecodeSpec(),
        thresholds=Thresholds(dict(made.look), dict(made.search)),
        provenance=Provenance().to_json(),
        guarantee=spec,
    )
    assert Card.from_json(json.loads(json.dumps(card.to_json(), allow_nan=False))) == card
    text = card_text(card)
    assert "## Promised for gate 1" in text
    assert "Proven on a set: 60 threats, 120 benign containers." in text
    for line in (*made.costs, *made.not_covered, *(row.text for row in made.promises)):
        assert line in text
    assert "Nothing: not calibrated" in card_text(replace(card, guarantee=None))


@pytest.mark.slow
@pytest.mark.parametrize(("trials", "miss"), [(200, 0.1), (60, 0.1), (500, 0.05), (120, 0.2)])
def test_mapie_finds_the_same_threshold(trials: int, miss: float) -> None:
    """Fixed-sequence learn-then-test of an independent library chooses the same threshold.

    MAPIE 1.6 rounds the number of misses up after a division, which may cost it one miss.
    """
    control = pytest.importorskip("mapie.risk_control")
    scores = np.random.default_rng(trials).beta(4, 1, trials)

    def predict(rows: np.ndarray) -> np.ndarray:
        return np.stack([1 - rows[:, 0], rows[:, 0]], axis=1)

    other = control.BinaryClassificationController(
        predict,
        "recall",
        target_level=1 - miss,
        confidence_level=0.95,
        list_predict_params=GRID[:-1],
        fwer_method="fixed_sequence",
    )
    other.calibrate(scores[:, None], np.ones(trials, np.int64))
    theirs = float(max(other.valid_predict_params))
    ours = float(guarantee.controlled_threshold(scores, miss))
    assert ours >= theirs
    assert (scores < ours).sum() - (scores < theirs).sum() <= 1
