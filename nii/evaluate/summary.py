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
from nii.evaluate import alarms, curves, detectability, guarantee, pixels, strata
from nii.evaluate.alarms import Reliability, Worth
from nii.evaluate.containers import NOT_STATED
from nii.evaluate.detectability import DetectabilityMap
from nii.evaluate.guarantee import GuaranteeConfig, Promise
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
from nii.evaluate.pixels import PixelTally
from nii.evaluate.strata import StratumResult

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
class ContainerResult:
    """Say what was found with containers as cases.

    Attributes:
        containers: labelled containers.
        benign: those without any threat.
        threats: threats in containers.
        least_share: smallest false-alarm rate that so many benign containers can show; None without
            any.
        strata: P_d and AP50 by class, areal density, size, scanner and load.
        worth: what alarms are worth at stated prevalences and budgets.
        reliability: by scanner, and of all together under ``all``: how honest the scores are.
        promises: what the set proves about the look thresholds of the card.
        detectability: smallest size found behind each load; None where no load is labelled.
    """

    containers: int
    benign: int
    threats: int
    least_share: float | None
    strata: tuple[StratumResult, ...]
    worth: tuple[Worth, ...]
    reliability: Mapping[str, Reliability]
    promises: tuple[Promise, ...]
    detectability: DetectabilityMap | None


@dataclass(frozen=True, slots=True)
class PixelResult:
    """Hold the pixel figures of the threats, or why there are none."""

    auroc: float | None
    aupro: float | None
    regions: int
    note: str


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
        containers: what was found with containers as cases; None where none is labelled.
        pixels: pixel figures of the threats.
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
    containers: ContainerResult | None = None
    pixels: PixelResult | None = None
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


def container_result(
    evidence: Evidence, look: Mapping[str, float], seed: int = SEED, repeats: int = REPEATS
) -> ContainerResult | None:
    """Measure everything that is about containers; None where there is none.

    Args:
        evidence: what metrics are counted from.
        look: thresholds by class name, fixed before this set was seen.
        seed: of the resampling.
        repeats: number of resamples.
    """
    cases = evidence.containers
    if not len(cases) or not evidence.ids_of("threat"):
        return None
    streams = np.random.default_rng([seed, 3]).spawn(3)
    return ContainerResult(
        containers=len(cases),
        benign=int(cases.benign.sum()),
        threats=len(cases.side_px),
        least_share=cases.least_share(),
        strata=strata.stratum_results(evidence, streams[0], repeats),
        worth=alarms.worth_of(cases, len(evidence.scans), streams[1], repeats),
        reliability=_reliability(evidence, streams[2], repeats),
        promises=guarantee.proven(cases, look, GuaranteeConfig()),
        detectability=detectability.detectability(cases, look),
    )


def pixel_result(tally: PixelTally) -> PixelResult:
    """Return the pixel figures of the threats: by masks, or by boxes where there are no masks."""
    if not tally.regions:
        return PixelResult(None, None, 0, "not applicable: no threat is labelled in this set")
    source = (
        "that of the anomaly map"
        if tally.of_map
        else "that of the best threat box over it, 0 where there is none"
    )
    note = f"Score of a pixel: {source}."
    if tally.of_boxes:
        note += " The set holds no masks: all pixels in the box of a threat count as the threat."
    return PixelResult(pixels.pixel_auroc(tally), pixels.aupro(tally), len(tally.regions), note)


def _reliability(
    evidence: Evidence, rng: np.random.Generator, repeats: int
) -> dict[str, Reliability]:
    score, right, where = alarms.judged_scores(evidence.scans)
    scanners = np.asarray([scan.scanner or NOT_STATED for scan in evidence.scans], np.str_)
    names = sorted(set(scanners.tolist()))
    groups = {"all": np.ones(len(score), np.bool_)}
    if len(names) > 1:
        groups |= {name: scanners[where] == name for name in names}
    rows = {
        name: alarms.reliability(
            evidence.threats, (score[members], right[members]), where[members], rng, repeats
        )
        for name, members in groups.items()
    }
    return {name: row for name, row in rows.items() if row is not None}


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
