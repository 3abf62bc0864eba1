"""The table of metrics, what they are counted from, and how each gets its interval.

To add a metric, write a function of (evidence, drawn) and one line in `METRICS`; the conformance
tests (perfect, empty and permuted detector) then apply to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from jaxtyping import Int64

from nii import taxonomy
from nii.bundle import Thresholds
from nii.evaluate import average_precision, containers, curves
from nii.evaluate.average_precision import ClassPrecision, RankedClass
from nii.evaluate.containers import ContainerTable
from nii.evaluate.curves import ThreatTable
from nii.evaluate.intervals import Interval, Proportion, bootstrap, clopper_pearson, wider
from nii.evaluate.match import IOU_LIMITS, JudgedScan, threat_rows

Group = Literal["threat", "structure"]
AT_THRESHOLD = float(np.nextafter(0.0, -1.0))
"""A score relative to its threshold counts when it exceeds this, that is from 0 on."""


@dataclass(frozen=True, slots=True)
class StructureTable:
    """Count containers and vehicles of each scan at the card's threshold and IoU 0.5.

    Attributes:
        found: structures of the truth that were found.
        truths: structures of the truth.
        invented: detections that found none.
    """

    found: Int64[np.ndarray, " scan"]
    truths: Int64[np.ndarray, " scan"]
    invented: Int64[np.ndarray, " scan"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Hold everything that metrics are counted from; scans are sorted by name.

    Attributes:
        scans: what matching gave.
        class_ids: taxonomy rows that the truth set has labels for.
        threats: threats and false alarms with their scores.
        at_look: the same with scores relative to the look threshold of their class.
        at_search: the same with scores relative to the search threshold of their class.
        structures: containers and vehicles.
        containers: threats and alarms with containers as cases.
        containers_at_look: the same with scores relative to the look threshold of their class.
        precision: average precision of each class.
        ranked: detections of each class, best first.
    """

    scans: tuple[JudgedScan, ...]
    class_ids: tuple[int, ...]
    threats: ThreatTable
    at_look: ThreatTable
    at_search: ThreatTable
    structures: StructureTable
    containers: ContainerTable
    containers_at_look: ThreatTable
    precision: Mapping[int, ClassPrecision]
    ranked: Mapping[int, RankedClass]

    @classmethod
    def of(
        cls, scans: Iterable[JudgedScan], class_ids: Sequence[int], thresholds: Thresholds
    ) -> Evidence:
        """Count once what all metrics share; the order of the scans does not matter."""
        ordered = tuple(sorted(scans, key=lambda scan: scan.name))
        look = by_class_id(thresholds.look)
        return cls(
            scans=ordered,
            class_ids=tuple(class_ids),
            threats=curves.threat_table(ordered),
            at_look=curves.threat_table(ordered, look),
            at_search=curves.threat_table(ordered, by_class_id(thresholds.search)),
            structures=_structure_table(ordered, thresholds.structure),
            containers=containers.container_table(ordered),
            containers_at_look=containers.relative_table(ordered, look),
            precision=average_precision.coco_precision(ordered, class_ids),
            ranked={row: average_precision.rank(ordered, row) for row in class_ids},
        )

    def ids_of(self, group: Group) -> tuple[int, ...]:
        """Return the judged classes of one group."""
        known = {row.class_id for row in taxonomy.in_group(group)}
        return tuple(row for row in self.class_ids if row in known)


Value = Proportion | float | None
Compute = Callable[[Evidence, Int64[np.ndarray, " scan"]], Value]


@dataclass(frozen=True, slots=True)
class Metric:
    """Describe one metric.

    Attributes:
        compute: the number, from the evidence and from how often each scan counts.
        label: what it is, in words.
        group: the classes it is about; where a set has no labels for any, it is not applicable.
        best: the value of a perfect detector.
        scans_are_trials: the number is a share of scans at a fixed threshold, whose exact interval
            holds as it stands.
        least_scans: below this many scans the number was measured without any false alarm.
        least_benign: the same for benign scans.
        least_containers: the same for benign containers; it is then a metric of containers.
    """

    compute: Compute
    label: str
    group: Group
    best: float = 1.0
    scans_are_trials: bool = False
    least_scans: int = 0
    least_benign: int = 0
    least_containers: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Hold one measured number.

    Attributes:
        label: what it is, in words.
        group: the classes it is about.
        value: None where it is not defined; `note` then says why.
        interval: 95 % limits; None where there are none.
        counts: successes and trials of a proportion.
        note: what the reader should know about this number.
    """

    label: str
    group: Group
    value: float | None
    interval: Interval | None = None
    counts: Proportion | None = None
    note: str = ""


def estimate(
    metric: Metric, evidence: Evidence, rng: np.random.Generator, repeats: int = 200
) -> Estimate:
    """Measure one metric with its interval.

    Proportions of scans at a fixed threshold get the interval of Clopper and Pearson, numbers that
    are no proportion the bootstrap over scans, all other proportions the wider of both.
    """
    if not evidence.ids_of(metric.group):
        note = f"not applicable: no {metric.group} class is labelled in this set"
        return Estimate(metric.label, metric.group, None, note=note)
    once = evidence.threats.everything_once()
    result = metric.compute(evidence, once)
    value = number_of(result)
    if value is None:
        note = "not defined: the set holds no case to count"
        return Estimate(metric.label, metric.group, None, note=note)
    counts = result if isinstance(result, Proportion) else None
    exact = clopper_pearson(counts.successes, counts.trials) if counts else None
    drawn = None
    if not metric.scans_are_trials:
        drawn = bootstrap(
            lambda times: number_of(metric.compute(evidence, times)),
            len(evidence.scans),
            rng,
            repeats=repeats,
        )
    interval = wider(exact, drawn)
    note = _note(metric, evidence, interval)
    return Estimate(metric.label, metric.group, value, interval, counts, note)


def number_of(result: Value) -> float | None:
    """Return a metric's result as a number; None where it is not defined."""
    return result.value if isinstance(result, Proportion) else result


def by_class_id(by_name: Mapping[str, float]) -> dict[int, float]:
    """Return thresholds by taxonomy row instead of by class name."""
    return {taxonomy.by_name(name).class_id: score for name, score in by_name.items()}


def mean_ap(
    evidence: Evidence, drawn: Int64[np.ndarray, " scan"], group: Group, limits: int
) -> float | None:
    """Mean average precision over the classes of a group that have truth, COCO protocol."""
    return average_precision.mean_of(
        class_ap(evidence, drawn, row, limits) for row in evidence.ids_of(group)
    )


def class_ap(
    evidence: Evidence, drawn: Int64[np.ndarray, " scan"], class_id: int, limits: int
) -> float | None:
    """Return AP50 (one IoU limit) or mAP50:95 (all ten) of one class."""
    if (drawn == 1).all():
        measured = evidence.precision[class_id]
        return measured.ap50 if limits == 1 else measured.map50_95
    return average_precision.weighted_precision(evidence.ranked[class_id], drawn, limits)


def _p_d(evidence: Evidence, drawn: Int64[np.ndarray, " scan"], rate: float) -> Value:
    return curves.p_d_at_false_alarms(evidence.threats, drawn, rate)


def _p_d_at_p_fa(evidence: Evidence, drawn: Int64[np.ndarray, " scan"], p_fa: float) -> Value:
    return curves.p_d_at_p_fa(evidence.threats, drawn, p_fa)


def _scan_p_d(evidence: Evidence, drawn: Int64[np.ndarray, " scan"], p_fa: float) -> Value:
    return curves.scan_p_d_at_p_fa(evidence.threats, drawn, p_fa)


def _look_p_d(evidence: Evidence, drawn: Int64[np.ndarray, " scan"]) -> Value:
    return curves.p_d_above(evidence.at_look, drawn, AT_THRESHOLD)


def _look_scan_p_d(evidence: Evidence, drawn: Int64[np.ndarray, " scan"]) -> Value:
    return curves.scan_p_d_above(evidence.at_look, drawn, AT_THRESHOLD)


def _look_p_fa(evidence: Evidence, drawn: Int64[np.ndarray, " scan"]) -> Value:
    return curves.p_fa_above(evidence.at_look, drawn, AT_THRESHOLD)


def _look_alarms(evidence: Evidence, drawn: Int64[np.ndarray, " scan"]) -> Value:
    return curves.false_alarms_above(evidence.at_look, drawn, AT_THRESHOLD)


def _container_p_d_at_p_fa(
    evidence: Evidence, drawn: Int64[np.ndarray, " scan"], p_fa: float
) -> Value:
    cases = evidence.containers
    return curves.scan_p_d_at_p_fa(cases.table, cases.of_draw(drawn), p_fa)


def _inside_p_d_at_p_fa(
    evidence: Evidence, drawn: Int64[np.ndarray, " scan"], p_fa: float
) -> Value:
    cases = evidence.containers
    return curves.p_d_at_p_fa(cases.table, cases.of_draw(drawn), p_fa)


def _container_p_d(evidence: Evidence, drawn: Int64[np.ndarray, " scan"]) -> Value:
    drawn = evidence.containers.of_draw(drawn)
    return curves.scan_p_d_above(evidence.containers_at_look, drawn, AT_THRESHOLD)


def _container_p_fa(evidence: Evidence, drawn: Int64[np.ndarray, " scan"]) -> Value:
    drawn = evidence.containers.of_draw(drawn)
    return curves.p_fa_above(evidence.containers_at_look, drawn, AT_THRESHOLD)


def _search_p_d(evidence: Evidence, drawn: Int64[np.ndarray, " scan"]) -> Value:
    return curves.p_d_above(evidence.at_search, drawn, AT_THRESHOLD)


def _search_p_fa(evidence: Evidence, drawn: Int64[np.ndarray, " scan"]) -> Value:
    return curves.p_fa_above(evidence.at_search, drawn, AT_THRESHOLD)


def _structures_found(evidence: Evidence, drawn: Int64[np.ndarray, " scan"]) -> Value:
    table = evidence.structures
    return Proportion(int((table.found * drawn).sum()), int((table.truths * drawn).sum()))


def _structures_invented(evidence: Evidence, drawn: Int64[np.ndarray, " scan"]) -> Value:
    scans = int(drawn.sum())
    return int((evidence.structures.invented * drawn).sum()) / scans if scans else None


def _structures_exact(evidence: Evidence, drawn: Int64[np.ndarray, " scan"]) -> Value:
    table = evidence.structures
    exact = (table.found == table.truths) & (table.invented == 0)
    return Proportion(int(drawn[exact].sum()), int(drawn.sum()))


CONTAINER_RATES = (0.1, 0.05, 0.01, 0.005)
"""Shares of benign containers alarmed at which detectors are compared; the field states its results
between 0.2 and 6 %: Jaccard et al. 2016, arXiv 1606.08078 and 1609.02805."""
_ALL = len(IOU_LIMITS)
METRICS: dict[str, Metric] = {
    **{
        f"{name}_at_{p_fa * 100:g}_percent_of_containers": Metric(
            partial(compute, p_fa=p_fa),
            f"{words} with {p_fa * 100:g} % of benign containers alarmed",
            "threat",
            least_containers=round(1 / p_fa),
        )
        for name, compute, words in (
            ("container_p_d", _container_p_d_at_p_fa, "container P_d"),
            ("inside_p_d", _inside_p_d_at_p_fa, "P_d of threats in containers"),
        )
        for p_fa in CONTAINER_RATES
    },
    "container_p_d_at_look": Metric(
        _container_p_d, "container P_d at the look thresholds of the card", "threat"
    ),
    "container_p_fa_at_look": Metric(
        _container_p_fa, "share of benign containers alarmed at look", "threat", 0.0
    ),
    "p_d_at_look": Metric(_look_p_d, "P_d at the look thresholds of the card", "threat"),
    "scan_p_d_at_look": Metric(
        _look_scan_p_d, "scan P_d at the look thresholds", "threat", scans_are_trials=True
    ),
    "p_fa_at_look": Metric(
        _look_p_fa, "P_fa at the look thresholds", "threat", 0.0, scans_are_trials=True
    ),
    "fa_per_scan_at_look": Metric(
        _look_alarms, "false alarms per scan at the look thresholds", "threat", 0.0
    ),
    "p_d_at_search": Metric(_search_p_d, "P_d at the search thresholds of the card", "threat"),
    "p_fa_at_search": Metric(
        _search_p_fa, "P_fa at the search thresholds", "threat", 0.0, scans_are_trials=True
    ),
    **{
        f"p_d_at_{rate:g}_fa_per_scan": Metric(
            partial(_p_d, rate=rate),
            f"P_d at {rate:g} false alarms per scan",
            "threat",
            least_scans=round(1 / rate),
        )
        for rate in (0.01, 0.05, 0.1, 1.0)
    },
    **{
        f"{name}_at_{p_fa * 100:g}_percent_p_fa": Metric(
            partial(compute, p_fa=p_fa),
            f"{words} at P_fa = {p_fa * 100:g} %",
            "threat",
            least_benign=round(1 / p_fa),
        )
        for name, compute, words in (
            ("p_d", _p_d_at_p_fa, "P_d"),
            ("scan_p_d", _scan_p_d, "scan P_d"),
        )
        for p_fa in (0.05, 0.01)
    },
    "threat_ap50": Metric(
        partial(mean_ap, group="threat", limits=1), "AP50, mean over threat classes", "threat"
    ),
    "threat_map50_95": Metric(
        partial(mean_ap, group="threat", limits=_ALL), "mAP50:95 over threat classes", "threat"
    ),
    "structure_ap50": Metric(
        partial(mean_ap, group="structure", limits=1),
        "AP50, mean over containers and vehicles",
        "structure",
    ),
    "structure_map50_95": Metric(
        partial(mean_ap, group="structure", limits=_ALL),
        "mAP50:95 over containers and vehicles",
        "structure",
    ),
    "structures_found": Metric(
        _structures_found,
        "share of containers and vehicles found (IoU 0.5, threshold of the card)",
        "structure",
    ),
    "structures_invented_per_scan": Metric(
        _structures_invented, "containers and vehicles invented per scan", "structure", 0.0
    ),
    "structures_exact": Metric(
        _structures_exact,
        "scans with every container and vehicle found and none invented",
        "structure",
        scans_are_trials=True,
    ),
}


def _structure_table(scans: Sequence[JudgedScan], threshold: float) -> StructureTable:
    rows = []
    for scan in scans:
        is_structure = ~threat_rows(scan.detections.class_ids)
        counted = is_structure & (scan.detections.scores >= np.float32(threshold))
        found = int(scan.found_at_half[counted].any(axis=1).sum())
        truths = int((~threat_rows(scan.truth.objects.class_ids)).sum())
        rows.append((found, truths, int(counted.sum()) - found))
    table = np.asarray(rows, np.int64).reshape(-1, 3)
    return StructureTable(table[:, 0], table[:, 1], table[:, 2])


def _note(metric: Metric, evidence: Evidence, interval: Interval | None) -> str:
    scans, benign = len(evidence.scans), int(evidence.threats.benign.sum())
    harmless = int(evidence.containers.benign.sum())
    if harmless < metric.least_containers:
        least = f"{100 / harmless:.2g} %" if harmless else "no rate"
        return (
            f"{harmless} benign containers can show {least} at the least: "
            "measured without any alarm"
        )
    if scans < metric.least_scans:
        few = "1 scan is" if scans == 1 else f"{scans} scans are"
        return f"{few} too few for this rate: measured without any false alarm"
    if benign < metric.least_benign:
        few = "1 benign scan is" if benign == 1 else f"{benign} benign scans are"
        return f"{few} too few for this rate: measured without any alarm"
    return "" if interval else "no interval: all resamples of the scans agree"
