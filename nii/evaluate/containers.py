"""Containers as cases: threats inside them, alarms inside them, and what is known of each.

Customs decides about containers, and the figures of the field are given for them: what share of the
containers with a threat is stopped when so many of the harmless ones are. So every labelled
container is one case. A threat belongs to the container that its middle lies in. A detection
belongs to a container when its middle lies inside, or when it hits a threat of it; one that hits a
threat elsewhere in the scan is no false alarm here. Alarms beside all containers (cab, wheels, the
next lane) do not count, and neither do threats there.

Containers of one scan are not independent, so resampling draws whole scans: `of_draw` says how
often each container counts.

Reference: Rogers et al. 2017, Proc. SPIE 10187 (P_d and false alarms given for each container).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64

from nii import taxonomy
from nii.evaluate import curves
from nii.evaluate.curves import ThreatTable
from nii.evaluate.match import JudgedScan, centre_inside, threat_rows

NOT_STATED = "not stated"


@dataclass(frozen=True, slots=True)
class ContainerTable:
    """Hold the containers of a set and the threats in them, in the order of the scans.

    Attributes:
        table: rates are counted from it as for scans; its "scans" are containers.
        scan: scan of each container.
        load: load state of each container, `NOT_STATED` where it is not labelled.
        scanner: machine that made the scan of each container, `NOT_STATED` where not known.
        truth_row: row of each threat among the objects of its scan.
        side_px: of each threat: side of a square as large as its box, in pixels.
        side_cm: the same in centimetres; NaN where the pixel pitch is not known.
        own_score: of each threat: best score of a detection of its own class that hits it,
            `curves.NEVER` if none.
        top_by_class: highest score of each threat class in each container, `curves.NEVER` if none;
            columns in the order of the taxonomy.
    """

    table: ThreatTable
    scan: Int64[np.ndarray, " container"]
    load: tuple[str, ...]
    scanner: tuple[str, ...]
    truth_row: Int64[np.ndarray, " threat"]
    side_px: Float64[np.ndarray, " threat"]
    side_cm: Float64[np.ndarray, " threat"]
    own_score: Float64[np.ndarray, " threat"]
    top_by_class: Float64[np.ndarray, "container kind"]

    def __len__(self) -> int:
        """Return the number of containers."""
        return len(self.scan)

    @property
    def benign(self) -> Bool[np.ndarray, " container"]:
        """Return which containers hold no threat."""
        return self.table.benign

    @property
    def scan_of_threat(self) -> Int64[np.ndarray, " threat"]:
        """Return the scan that each threat is in."""
        return np.asarray(self.scan[self.table.threat_scan])

    def of_draw(self, drawn: Int64[np.ndarray, " scan"]) -> Int64[np.ndarray, " container"]:
        """Return how often each container counts when scans count as often as drawn."""
        return np.asarray(drawn[self.scan])

    def least_share(self) -> float | None:
        """Return the smallest false-alarm rate that the benign containers can show, or None."""
        benign = int(self.benign.sum())
        return 1 / benign if benign else None


@dataclass(frozen=True, slots=True)
class ContainerCase:
    """Hold one container: what was judged in it, its load, and which objects of the scan it holds.

    Attributes:
        judged: threats inside and detections that belong here.
        load: load state, `NOT_STATED` where it is not labelled.
        truth_row: rows of its threats among the objects of the scan.
    """

    judged: JudgedScan
    load: str
    truth_row: Int64[np.ndarray, " threat"]


def container_table(scans: Sequence[JudgedScan]) -> ContainerTable:
    """Collect the containers of all scans; the scans are numbered in the order given."""
    owned = [(index, case) for index, scan in enumerate(scans) for case in containers_of(scan)]
    cases = [case.judged for _, case in owned]
    rows = [case.truth_row for _, case in owned]
    return ContainerTable(
        table=curves.threat_table(cases),
        scan=np.asarray([index for index, _ in owned], np.int64),
        load=tuple(case.load for _, case in owned),
        scanner=tuple(case.scanner or NOT_STATED for case in cases),
        truth_row=np.concatenate([np.zeros(0, np.int64), *rows]),
        side_px=_joined(_sides_px(case) for case in cases),
        side_cm=_joined(_sides_cm(case) for case in cases),
        own_score=_joined(_own_scores(case) for case in cases),
        top_by_class=_top_by_class(cases),
    )


def relative_table(scans: Sequence[JudgedScan], thresholds: Mapping[int, float]) -> ThreatTable:
    """Return the rates' table of all containers with scores relative to the threshold of a class.

    Args:
        scans: what matching gave, in the order of the container table.
        thresholds: by taxonomy row.
    """
    cases = [case.judged for scan in scans for case in containers_of(scan)]
    return curves.threat_table(cases, thresholds)


def containers_of(scan: JudgedScan) -> list[ContainerCase]:
    """Cut a judged scan into its containers: threats and threat detections, and the load state.

    A threat in the overlap of two containers belongs to the first.
    """
    objects = scan.truth.objects
    rows = np.flatnonzero(objects.class_ids == taxonomy.by_name("container").class_id)
    boxes = objects.boxes_xyxy[rows]
    threats, found = threat_rows(objects.class_ids), threat_rows(scan.detections.class_ids)
    lies = centre_inside(objects.boxes_xyxy, boxes) & threats[:, None]
    lies &= np.cumsum(lies, axis=1) == 1
    inside = centre_inside(scan.detections.boxes_xyxy, boxes) & found[:, None]
    parts = []
    for column, row in enumerate(rows):
        mine = lies[:, column]
        hits_mine = scan.hits[:, mine].any(axis=1)
        hits_other = scan.hits[:, threats & ~mine].any(axis=1)
        kept = found & (hits_mine | (inside[:, column] & ~hits_other))
        states = scan.truth.load_states
        load = (states[row] if states else None) or NOT_STATED
        parts.append(ContainerCase(part_of(scan, kept, mine), load, np.flatnonzero(mine)))
    return parts


def part_of(
    scan: JudgedScan, found: Bool[np.ndarray, " n"], objects: Bool[np.ndarray, " m"]
) -> JudgedScan:
    """Return a judged scan with some of its detections and objects only."""
    return replace(
        scan,
        detections=scan.detections.select(found),
        truth=scan.truth.select(objects),
        hits=scan.hits[found][:, objects],
        true_positive=scan.true_positive[:, found],
        found_at_half=scan.found_at_half[found][:, objects],
    )


def _sides_px(case: JudgedScan) -> np.ndarray:
    boxes = case.truth.objects.boxes_xyxy.astype(np.float64)
    return np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def _sides_cm(case: JudgedScan) -> np.ndarray:
    if case.pitch_mm is None:
        return np.full(len(case.truth), np.nan)
    return _sides_px(case) * float(np.sqrt(case.pitch_mm[0] * case.pitch_mm[1])) / 10


def _own_scores(case: JudgedScan) -> np.ndarray:
    same = case.detections.class_ids[:, None] == case.truth.objects.class_ids[None, :]
    scores = case.detections.scores.astype(np.float64)[:, None]
    return np.asarray(
        np.where(case.hits & same, scores, curves.NEVER).max(axis=0, initial=curves.NEVER)
    )


def _top_by_class(cases: Sequence[JudgedScan]) -> np.ndarray:
    kinds = [row.class_id for row in taxonomy.in_group("threat")]
    top = np.full((len(cases), len(kinds)), curves.NEVER)
    for row, case in enumerate(cases):
        for column, kind in enumerate(kinds):
            scores = case.detections.scores[case.detections.class_ids == kind]
            top[row, column] = scores.max(initial=curves.NEVER)
    return top


def _joined(parts: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0), *parts])
