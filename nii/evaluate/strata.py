"""P_d of threats in containers by stratum: class, areal density, size, scanner, load state.

The bars are those of the whole set: one bar for each rate of benign containers alarmed. A stratum
is then what such a detector does to a part of the threats, and a part of the benign containers
where the stratum is one of containers (scanner, load). Intervals are the wider of the exact one and
of the bootstrap over scans, in which the bars are found anew.

AP50 of a stratum counts its threats only: a detection of a threat outside it is left out, a false
alarm is kept, as COCO does for ranges of size (Lin et al. 2014).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float64, Int64

from nii import taxonomy
from nii.evaluate import curves
from nii.evaluate.average_precision import mean_of, precision_area
from nii.evaluate.containers import ContainerTable
from nii.evaluate.intervals import Interval, Proportion, clopper_pearson, resampled, wider
from nii.evaluate.match import JudgedScan
from nii.evaluate.metrics import CONTAINER_RATES, Evidence

SIZE_EDGES_PX = (16.0, 32.0, 64.0, 96.0, 128.0)
"""32 and 96 are the borders of COCO's small and large objects; the others halve or double them."""
SIZE_EDGES_CM = (5.0, 10.0, 20.0, 40.0, 80.0)
"""Doubling steps around a pistol (20 cm) and a brick (13 to 20 cm): assumption."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """Name a part of the threats, and of the containers where it is a part of these.

    Attributes:
        kind: what it is split by.
        name: which part.
        threats: the threats in it.
        containers: the containers in it; None where it is no stratum of containers.
    """

    kind: str
    name: str
    threats: Bool[np.ndarray, " threat"]
    containers: Bool[np.ndarray, " container"] | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """Hold a proportion with its interval."""

    counts: Proportion
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class StratumResult:
    """Hold the figures of one stratum.

    Attributes:
        kind: what it is split by.
        name: which part.
        threats: number of threats.
        scans: number of scans that they are in.
        p_d: share of its threats found at each rate of `metrics.CONTAINER_RATES`.
        p_fa: share of its benign containers alarmed at the same bars; empty where it is no stratum
            of containers.
        ap50: mean AP50 over the threat classes in it; None where there is no threat.
    """

    kind: str
    name: str
    threats: int
    scans: int
    p_d: tuple[Share, ...]
    p_fa: tuple[Share, ...]
    ap50: float | None


def strata_of(cases: ContainerTable) -> tuple[Stratum, ...]:
    """Return all strata that hold a threat or a container, in the order in which they are shown."""
    table = cases.table
    kinds = {row.name: table.threat_class == row.class_id for row in taxonomy.in_group("threat")}
    behind = bands(table.behind_g_per_cm2, curves.BEHIND_EDGES_G_PER_CM2, "g/cm²")
    crossed = {
        f"{kind}, {band}": members & within
        for kind, members in kinds.items()
        for band, within in behind.items()
    }
    groups: dict[str, Mapping[str, Bool[np.ndarray, " threat"]]] = {
        "all": {"all threats in containers": np.ones(len(table.threat_class), np.bool_)},
        "class": kinds,
        "areal density behind": behind,
        "class and areal density": crossed,
        "size in pixels": bands(cases.side_px, SIZE_EDGES_PX, "px"),
        "size in centimetres": bands(cases.side_cm, SIZE_EDGES_CM, "cm"),
    }
    rows = [
        Stratum(kind, name, members)
        for kind, parts in groups.items()
        for name, members in parts.items()
        if members.any()
    ]
    for kind, labels in (("scanner", cases.scanner), ("load of the container", cases.load)):
        names = np.asarray(labels, np.str_)
        for name in sorted(set(labels)):
            mine = names == name
            rows.append(Stratum(kind, name, mine[table.threat_scan], mine))
    return tuple(rows)


def bands(
    values: Float64[np.ndarray, " n"], edges: Sequence[float], unit: str
) -> dict[str, Bool[np.ndarray, " n"]]:
    """Return which values lie in each half-open band between edges; NaN lies in none."""
    result = {}
    for low, high in pairwise((0.0, *edges, np.inf)):
        name = f"{low:g}-{high:g} {unit}" if low else f"< {high:g} {unit}"
        name = name if high < np.inf else f"≥ {low:g} {unit}"
        result[name] = (values >= low) & (values < high)
    return result


def stratum_results(
    evidence: Evidence, rng: np.random.Generator, repeats: int
) -> tuple[StratumResult, ...]:
    """Measure every stratum; empty where the set has no labelled container."""
    cases = evidence.containers
    groups = strata_of(cases) if len(cases) else ()
    if not groups:
        return ()
    once = np.ones(len(evidence.scans), np.int64)
    found, of_found = shares(cases, groups, once)
    drawn = [shares(cases, groups, resampled(len(once), rng)) for _ in range(repeats)]
    results = []
    for row, stratum in enumerate(groups):
        benign = stratum.containers is not None and of_found[1][row] > 0
        p_d, p_fa = (
            tuple(
                _share(found[side], of_found[side], (row, rate), drawn, side)
                for rate in range(len(CONTAINER_RATES))
            )
            for side in (0, 1)
        )
        members = stratum.threats
        scans = len(set(cases.scan_of_threat[members].tolist()))
        counts = int(members.sum()), scans
        ap50 = stratum_ap50(evidence, stratum)
        results.append(
            StratumResult(stratum.kind, stratum.name, *counts, p_d, p_fa if benign else (), ap50)
        )
    return tuple(results)


Counts = tuple[Int64[np.ndarray, "group rate"], Int64[np.ndarray, "group rate"]]
Trials = tuple[Int64[np.ndarray, " group"], Int64[np.ndarray, " group"]]


def shares(
    cases: ContainerTable, groups: Sequence[Stratum], drawn: Int64[np.ndarray, " scan"]
) -> tuple[Counts, Trials]:
    """Count threats found and benign containers alarmed, by stratum and rate, and their totals.

    Without benign containers there are no bars, and all totals of threats are zero.
    """
    table, times = cases.table, cases.of_draw(drawn)
    bars = np.asarray([curves.bar_at_p_fa(table, times, rate) for rate in CONTAINER_RATES])
    members = np.stack([group.threats for group in groups]) * times[table.threat_scan]
    nowhere = np.zeros(len(cases), np.bool_)
    boxes = [nowhere if group.containers is None else group.containers for group in groups]
    harmless = np.stack(boxes) * (times * table.benign)
    if not (times * table.benign).any():
        members = members * 0
    found = members @ (table.found_score[:, None] > bars).astype(np.int64)
    alarmed = harmless @ (table.top_score[:, None] > bars).astype(np.int64)
    return (found, alarmed), (members.sum(axis=1), harmless.sum(axis=1))


def stratum_ap50(evidence: Evidence, stratum: Stratum) -> float | None:
    """Return the mean AP50 over the threat classes that have a threat in the stratum.

    A stratum of containers keeps the false alarms of its own scans only.
    """
    cases, inside = evidence.containers, stratum.threats
    rows: dict[int, list[int]] = {}
    for scan, row in zip(
        cases.scan_of_threat[inside].tolist(), cases.truth_row[inside].tolist(), strict=True
    ):
        rows.setdefault(scan, []).append(row)
    chosen = list(range(len(evidence.scans)))
    if stratum.containers is not None:
        chosen = sorted(set(cases.scan[stratum.containers].tolist()))
    parts = [(evidence.scans[scan], rows.get(scan, [])) for scan in chosen]
    return mean_of(_class_ap50(parts, kind) for kind in evidence.ids_of("threat"))


def _class_ap50(parts: Sequence[tuple[JudgedScan, list[int]]], class_id: int) -> float | None:
    scores, right, truths = [], [], 0
    for scan, rows in parts:
        classes = scan.truth.objects.class_ids
        wanted = np.isin(np.arange(len(classes)), rows) & (classes == class_id)
        truths += int(wanted.sum())
        mine = scan.detections.class_ids == class_id
        finds = scan.found_at_half[mine]
        good = finds[:, wanted].any(axis=1)
        judged = good | ~finds.any(axis=1)
        scores.append(scan.detections.scores[mine][judged])
        right.append(good[judged])
    if truths == 0:
        return None
    order = np.argsort(-np.concatenate(scores), kind="stable")
    found = np.cumsum(np.concatenate(right)[order])
    return precision_area(found, np.arange(1, len(found) + 1), truths)


def _share(
    found: np.ndarray,
    trials: np.ndarray,
    where: tuple[int, int],
    drawn: Sequence[tuple[Counts, Trials]],
    side: int,
) -> Share:
    counts = Proportion(int(found[where]), int(trials[where[0]]))
    exact = clopper_pearson(counts.successes, counts.trials)
    values = [one[side][where] / of[side][where[0]] for one, of in drawn if of[side][where[0]] > 0]
    return Share(counts, wider(exact, percentile(values)))


def percentile(values: Sequence[float]) -> Interval | None:
    """Return the middle 95 % of resampled values; None where they are all the same."""
    if not values:
        return None
    low, high = (float(value) for value in np.quantile(values, [0.025, 0.975]))
    return Interval(low, high, "bootstrap over scans") if low < high else None
