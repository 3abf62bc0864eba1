"""Conformance of every metric, and of the interval that it gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from nii.detections import Detections
from nii.evaluate.intervals import Proportion
from nii.evaluate.match import JudgedScan
from nii.evaluate.metrics import METRICS, Evidence, estimate, number_of

Make = Callable[[Sequence[JudgedScan]], Evidence]
Again = Callable[[Sequence[JudgedScan], Sequence[Detections]], tuple[JudgedScan, ...]]
EVERY = pytest.mark.parametrize("name", METRICS)


def value_of(name: str, evidence: Evidence) -> float | None:
    """Return one metric of the scans as they are."""
    return number_of(METRICS[name].compute(evidence, evidence.threats.everything_once()))


@EVERY
def test_perfect_detector(name: str, perfect: Evidence) -> None:
    """A detector that reports the truth and nothing else gets the best value."""
    assert value_of(name, perfect) == pytest.approx(METRICS[name].best)


@EVERY
def test_blind_detector(name: str, blind: Evidence) -> None:
    """A detector that reports nothing finds nothing and gives no false alarm."""
    found = value_of(name, blind)
    if name == "structures_exact":  # scans without any structure are rightly left alone
        bare = np.mean([(scan.truth.objects.class_ids > 1).all() for scan in blind.scans])
        assert found == pytest.approx(bare)
    else:
        assert found == 0


@EVERY
def test_permuted_detector(name: str, permuted: Evidence) -> None:
    """Perfect detections of the wrong scans are far worse than perfect, and never undefined."""
    found = value_of(name, permuted)
    assert found is not None
    assert abs(found - METRICS[name].best) > 0.25


@EVERY
def test_order_of_scans_does_not_matter(
    name: str, middling: Evidence, reversed_order: Evidence
) -> None:
    """Number and interval are the same whatever the order in which scans were read."""
    first, second = (
        estimate(METRICS[name], evidence, np.random.default_rng(3), repeats=5)
        for evidence in (middling, reversed_order)
    )
    assert first == second


@EVERY
def test_interval_holds_the_number(name: str, middling: Evidence) -> None:
    """Every number that a middling detector gets lies within its own interval."""
    found = estimate(METRICS[name], middling, np.random.default_rng(0), repeats=20)
    assert found.value is not None
    assert found.interval is not None
    assert found.interval.low <= found.value <= found.interval.high
    assert found.interval.low < found.interval.high


@EVERY
def test_unlabelled_group_is_not_applicable(name: str, containers_only: Evidence) -> None:
    """Where a set has labels for containers only, threat metrics are None and say why."""
    found = estimate(METRICS[name], containers_only, np.random.default_rng(0), repeats=5)
    assert (found.value is None) == (METRICS[name].group == "threat")
    assert ("not applicable" in found.note) == (METRICS[name].group == "threat")


@EVERY
def test_no_truth_is_neither_zero_nor_one(name: str, without_truth: Evidence) -> None:
    """Without any object, only rates of false alarms and of scans can be counted."""
    found = estimate(METRICS[name], without_truth, np.random.default_rng(0), repeats=5)
    countable = METRICS[name].best == 0 or name == "structures_exact"
    countable &= name != "container_p_fa_at_look"  # without containers there is none to alarm
    assert (found.value is not None) == countable
    assert countable or found.note


@EVERY
def test_no_scans(name: str, make_evidence: Make) -> None:
    """Nothing is known of no scans."""
    found = estimate(METRICS[name], make_evidence([]), np.random.default_rng(0), repeats=10)
    assert found.value is None


def test_all_found_is_no_certainty(perfect: Evidence) -> None:
    """With every threat found the bootstrap is silent; the exact limit keeps the interval."""
    found = estimate(METRICS["p_d_at_look"], perfect, np.random.default_rng(0), repeats=10)
    assert isinstance(found.counts, Proportion)
    assert found.interval is not None
    assert found.interval.low == pytest.approx(0.025 ** (1 / found.counts.trials))


def test_rates_that_the_set_cannot_resolve_are_marked(middling: Evidence) -> None:
    """One false alarm in a hundred scans cannot be seen in thirty; the number says so."""
    for name in ("p_d_at_0.01_fa_per_scan", "p_d_at_1_percent_p_fa"):
        found = estimate(METRICS[name], middling, np.random.default_rng(0), repeats=5)
        assert "too few" in found.note
    assert not estimate(METRICS["p_d_at_look"], middling, np.random.default_rng(0), 5).note


def test_scores_at_the_threshold_count(
    scans: tuple[JudgedScan, ...], make_evidence: Make, judge_again: Again
) -> None:
    """A threat whose score is exactly the look threshold is found at look, not at search."""
    truths = [scan.truth.objects for scan in scans]
    found = [replace(one, scores=np.full(len(one), 0.3, np.float32)) for one in truths]
    evidence = make_evidence(judge_again(scans, found))
    assert value_of("p_d_at_look", evidence) == 1
    assert value_of("p_d_at_search", evidence) == 0
