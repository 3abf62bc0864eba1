"""Tests of P_d by stratum."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from nii import taxonomy
from nii.evaluate import curves, strata
from nii.evaluate.containers import container_table
from nii.evaluate.intervals import Proportion
from nii.evaluate.match import JudgedScan
from nii.evaluate.metrics import CONTAINER_RATES, METRICS, Evidence, class_ap


def results(evidence: Evidence, repeats: int = 5) -> tuple[strata.StratumResult, ...]:
    """Return the strata of some evidence."""
    return strata.stratum_results(evidence, np.random.default_rng(0), repeats)


def test_bands_are_half_open() -> None:
    """A value on an edge belongs to the band above; what is unknown belongs to none."""
    found = strata.bands(np.asarray([4.9, 5.0, 20.0, np.nan]), (5.0, 20.0), "cm")
    assert {name: rows.tolist() for name, rows in found.items()} == {
        "< 5 cm": [True, False, False, False],
        "5-20 cm": [False, True, False, False],
        "≥ 20 cm": [False, False, True, False],
    }


def test_all_strata_of_one_kind_add_up(middling: Evidence) -> None:
    """Every way of splitting the threats gives all threats, found and not, at every rate."""
    rows = results(middling)
    whole = rows[0]
    for kind in {row.kind for row in rows}:
        mine = [row for row in rows if row.kind == kind]
        assert sum(row.threats for row in mine) == whole.threats
        for rate in range(len(CONTAINER_RATES)):
            found = sum(row.p_d[rate].counts.successes for row in mine)
            assert found == whole.p_d[rate].counts.successes


def test_the_whole_set_agrees_with_the_metrics(middling: Evidence) -> None:
    """The first stratum is the metric of the same name."""
    once = middling.threats.everything_once()
    for share, rate in zip(results(middling)[0].p_d, CONTAINER_RATES, strict=True):
        name = f"inside_p_d_at_{rate * 100:g}_percent_of_containers"
        assert share.counts == METRICS[name].compute(middling, once)


def test_benign_containers_are_alarmed_no_more_than_allowed(middling: Evidence) -> None:
    """Over all scanners, no more of the benign containers are alarmed than the rate says."""
    rows = [row for row in results(middling) if row.kind == "scanner"]
    assert len(rows) == 2
    for rate, share in enumerate(CONTAINER_RATES):
        parts = [row.p_fa[rate].counts for row in rows]
        assert sum(part.successes for part in parts) <= share * sum(p.trials for p in parts)


def test_intervals_hold_their_number(middling: Evidence) -> None:
    """Each share lies within its interval, and none is without one."""
    for row in results(middling, 20):
        for share in (*row.p_d, *row.p_fa):
            if share.counts.trials:
                assert share.interval is not None
                assert share.interval.low <= share.counts.value <= share.interval.high  # type: ignore[operator]


@pytest.mark.slow
def test_ap50_of_a_class_is_that_of_the_class(
    make_scans: Callable[[int, int], tuple[JudgedScan, ...]],
    make_evidence: Callable[[Sequence[JudgedScan]], Evidence],
) -> None:
    """With all threats in containers, the stratum of a class has the AP50 of the class."""
    scans = [
        scan
        for scan in make_scans(3, 60)
        if len(container_table([scan]).side_px) == len(curves.threat_table([scan]).found_score)
    ]
    evidence = make_evidence(scans)
    rows = {row.name: row for row in results(evidence, 1)}
    once = evidence.threats.everything_once()
    kinds = [kind for kind in taxonomy.in_group("threat") if kind.name in rows]
    assert len(kinds) == 4
    for kind in kinds:
        assert rows[kind.name].ap50 == pytest.approx(class_ap(evidence, once, kind.class_id, 1))


@pytest.mark.slow
def test_perfect_and_blind(perfect: Evidence, blind: Evidence) -> None:
    """A perfect detector finds all of every stratum, a blind one nothing of any."""
    for evidence, best in ((perfect, 1.0), (blind, 0.0)):
        for row in results(evidence):
            assert all(share.counts.value == best for share in row.p_d if share.counts.trials)
            assert row.ap50 in (best, None)


def test_nothing_to_split(containers_only: Evidence, without_truth: Evidence) -> None:
    """Without containers there are no strata; without benign ones no share is defined."""
    assert strata.stratum_results(without_truth, np.random.default_rng(0), 2) == ()
    rows = results(containers_only)
    assert all(share.counts == Proportion(0, 0) for row in rows for share in row.p_d)
