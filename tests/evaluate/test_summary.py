"""Tests of what an evaluation says in JSON."""

from __future__ import annotations

import json

import pytest

from nii.evaluate import summary
from nii.evaluate.metrics import METRICS, Evidence
from nii.evaluate.summary import EvaluationResult


def result_of(evidence: Evidence) -> EvaluationResult:
    """Return the result of some evidence with made-up origins."""
    return EvaluationResult(
        model="m 1",
        bundle_sha256="0" * 64,
        data="val.json",
        data_sha256="1" * 64,
        provider={},
        counts=summary.counts_of(evidence, failures=0),
        estimates=summary.estimates(evidence, repeats=4),
        classes=summary.class_rows(evidence, repeats=4),
        strata=summary.stratum_rows(evidence),
    )


def test_every_metric_is_there_and_json_is_strict(middling: Evidence) -> None:
    """The file holds all metrics by name, and no number that JSON does not know."""
    data = result_of(middling).to_json()
    assert set(data["estimates"]) == set(METRICS)
    assert data["schema_version"] == summary.SCHEMA_VERSION
    assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_the_same_evidence_gives_the_same_numbers(
    middling: Evidence, reversed_order: Evidence
) -> None:
    """Two runs agree to the last digit, in whatever order scans were read."""
    assert result_of(middling) == result_of(reversed_order)


def test_class_rows_agree_with_the_mean(middling: Evidence) -> None:
    """The mean of the rows of a group is the group's metric."""
    rows = [row for row in summary.class_rows(middling, repeats=2) if row.group == "threat"]
    values = [row.ap50.value for row in rows if row.ap50.value is not None]
    mean = summary.estimates(middling, repeats=2)["threat_ap50"].value
    assert mean == pytest.approx(sum(values) / len(values))


def test_strata_of_classes_add_up(middling: Evidence) -> None:
    """Threats found by class are, together, the threats found."""
    rows = [row for row in summary.stratum_rows(middling) if not row.name.startswith("behind")]
    found = summary.estimates(middling, repeats=2)["p_d_at_look"].counts
    assert found is not None
    assert sum(row.at_look.trials for row in rows) == found.trials
    assert sum(row.at_look.successes for row in rows) == found.successes


def test_empty_sets_have_no_strata(without_truth: Evidence) -> None:
    """Without threats there are no strata, and the counts say so."""
    assert summary.stratum_rows(without_truth) == ()
    assert summary.counts_of(without_truth, failures=2)["threats"] == 0
