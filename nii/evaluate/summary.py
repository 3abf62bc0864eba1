"""What an evaluation says: numbers with intervals, by class and by stratum; to JSON.

`schema_version` changes when a reader of the older form would misread the newer one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from nii import taxonomy
from nii.config import to_dict
from nii.evaluate import curves
from nii.evaluate.intervals import Interval, Proportion, clopper_pearson
from nii.evaluate.load import LoadTable
from nii.evaluate.match import IOU_LIMITS
from nii.evaluate.metrics import (
    AT_THRESHOLD,
    METRICS,
    Estimate,
    Evidence,
    Metric,
    class_ap,
    estimate,
)

SCHEMA_VERSION = 1
SEED = 0
REPEATS = 200
STRATUM_RATE = 0.1
"""False alarms per scan at which strata are compared."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A scan that could not be evaluated, and why."""

    scan: str
    reason: str


@dataclass(frozen=True, slots=True)
class ClassRow:
    """Average precision of one class; `truths` objects against `detections` of any score."""

    name: str
    group: str
    truths: int
    detections: int
    ap50: Estimate
    map50_95: Estimate


@dataclass(frozen=True, slots=True)
class StratumRow:
    """Threats of one stratum: found at the look thresholds, and at 0.1 false alarms per scan.

    The thresholds are those of the whole set; the exact intervals take threats as independent.
    """

    name: str
    at_look: Proportion
    at_look_interval: Interval | None
    at_rate: Proportion
    at_rate_interval: Interval | None


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """Hold the outcome of one evaluation.

    Attributes:
        model: name and version of the model.
        bundle_sha256: digest that names the bundle.
        data: file name of the truth.
        data_sha256: digest of the truth file.
        provider: what the model ran on.
        counts: scans, failures, benign scans, threats, structures.
        estimates: by the names of `METRICS`.
        classes: average precision by class.
        strata: P_d by class and by areal density behind.
        load: which load states were called rightly; None where none is labelled or learnt.
        failures: scans that could not be read.
        warnings: what the reader should know before the numbers.
        settings: the values needed to get the same numbers again.
        schema_version: version of the JSON form.
    """

    model: str
    bundle_sha256: str
    data: str
    data_sha256: str
    provider: Mapping[str, Any]
    counts: Mapping[str, int]
    estimates: Mapping[str, Estimate]
    classes: tuple[ClassRow, ...]
    strata: tuple[StratumRow, ...]
    load: LoadTable | None = None
    failures: tuple[Failure, ...] = ()
    warnings: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON types."""
        result: dict[str, Any] = to_dict(self)
        return result


def estimates(evidence: Evidence, seed: int = SEED, repeats: int = REPEATS) -> dict[str, Estimate]:
    """Measure every metric; each has its own stream of chance, so that none depends on another."""
    streams = np.random.default_rng(seed).spawn(len(METRICS))
    return {
        name: estimate(metric, evidence, rng, repeats)
        for (name, metric), rng in zip(METRICS.items(), streams, strict=True)
    }


def class_rows(
    evidence: Evidence, seed: int = SEED, repeats: int = REPEATS
) -> tuple[ClassRow, ...]:
    """Measure the average precision of every judged class."""
    streams = np.random.default_rng([seed, 1]).spawn(len(evidence.class_ids))
    return tuple(
        _class_row(evidence, row, rng, repeats)
        for row, rng in zip(evidence.class_ids, streams, strict=True)
    )


def stratum_rows(evidence: Evidence) -> tuple[StratumRow, ...]:
    """Measure P_d by class and by areal density behind; empty where there is no threat."""
    table = evidence.threats
    bar = curves.bar_at_false_alarms(table, table.everything_once(), STRATUM_RATE)
    rows = []
    for name, members in curves.strata(table).items():
        look = curves.p_d_of(evidence.at_look, members, AT_THRESHOLD)
        rate = curves.p_d_of(table, members, bar)
        rows.append(StratumRow(name, look, _exact(look), rate, _exact(rate)))
    return tuple(rows)


def counts_of(evidence: Evidence, failures: int) -> dict[str, int]:
    """Count what the numbers rest on."""
    return {
        "scans": len(evidence.scans),
        "failures": failures,
        "benign_scans": int(evidence.threats.benign.sum()),
        "threats": len(evidence.threats.found_score),
        "structures": int(evidence.structures.truths.sum()),
        "detections": sum(len(scan.detections) for scan in evidence.scans),
    }


def _class_row(
    evidence: Evidence, class_id: int, rng: np.random.Generator, repeats: int
) -> ClassRow:
    kind = taxonomy.classes()[class_id]
    ap50, map50_95 = (
        estimate(
            Metric(partial(class_ap, class_id=class_id, limits=limits), label, kind.group),
            evidence,
            stream,
            repeats,
        )
        for limits, label, stream in zip(
            (1, len(IOU_LIMITS)), ("AP50", "mAP50:95"), rng.spawn(2), strict=True
        )
    )
    ranked = evidence.ranked[class_id]
    return ClassRow(
        kind.name, kind.group, int(ranked.truths.sum()), len(ranked.scan), ap50, map50_95
    )


def _exact(counted: Proportion) -> Interval | None:
    return clopper_pearson(counted.successes, counted.trials)
