"""Tests of paired comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from nii.evaluate import compare
from nii.evaluate.match import JudgedScan
from nii.evaluate.metrics import METRICS, Evidence


def test_a_model_does_not_differ_from_itself(middling: Evidence) -> None:
    """Every difference of a model to itself is nought, and nothing is decided."""
    rows = compare.metric_differences(middling, middling, 0, 5)
    assert set(rows) == set(METRICS)
    for row in (*rows.values(), *compare.stratum_differences(middling, middling, 0, 5)):
        assert row.difference == 0
        assert row.verdict == "not decided"


def test_perfect_beats_blind_and_the_other_way_round(perfect: Evidence, blind: Evidence) -> None:
    """What is better one way is worse the other way, by the same amount."""
    ahead = compare.metric_differences(perfect, blind, 0, 5)
    behind = compare.metric_differences(blind, perfect, 0, 5)
    for name, row in ahead.items():
        assert row.difference == -behind[name].difference
    assert ahead["container_p_d_at_1_percent_of_containers"].difference == 1


@pytest.mark.slow
def test_better_and_worse_follow_the_metric(perfect: Evidence, middling: Evidence) -> None:
    """More found is better, more alarms are worse; intervals hold the difference."""
    rows = compare.metric_differences(perfect, middling, 0, 30)
    assert rows["p_d_at_look"].verdict == "better"
    assert rows["fa_per_scan_at_look"].verdict == "better"
    assert rows["fa_per_scan_at_look"].difference < 0
    for row in rows.values():
        if row.interval is not None:
            assert row.interval.low - 0.1 <= row.difference <= row.interval.high + 0.1
    other = compare.metric_differences(middling, perfect, 0, 30)
    assert other["fa_per_scan_at_look"].verdict == "worse"


def test_pairing_narrows_the_interval(middling: Evidence, perfect: Evidence) -> None:
    """Strata of a better detector are ahead at every rate that both can show."""
    rows = compare.stratum_differences(perfect, middling, 0, 20)
    assert rows
    assert all(row.difference >= 0 for row in rows)
    assert any(row.verdict == "better" for row in rows)


def test_other_scans_cannot_be_paired(
    middling: Evidence,
    make_scans: Callable[[int, int], tuple[JudgedScan, ...]],
    make_evidence: Callable[[Sequence[JudgedScan]], Evidence],
) -> None:
    """Two evaluations of different scans are refused."""
    other = make_evidence(make_scans(1, 7))
    with pytest.raises(ValueError, match="same scans"):
        compare.metric_differences(middling, other, 0, 2)
    with pytest.raises(ValueError, match="same scans"):
        compare.stratum_differences(middling, other, 0, 2)
