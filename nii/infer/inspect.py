"""Scan → Inspection: what was found, how urgent it is, where it lies and what to be wary of."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from nii import taxonomy
from nii.bundle import Card
from nii.detections import Detections
from nii.infer import health, position
from nii.infer.anomaly import Found, Map, anomaly_of
from nii.infer.context import NOTHING, Context, attention, contradictions, declarations
from nii.infer.load import load_of
from nii.inspection import (
    GuaranteeFacts,
    Inspection,
    Level,
    ModelFacts,
    ProviderFacts,
    Region,
    ScanFacts,
    Structure,
)
from nii.scan import AnyScan, Grey

_OPAQUE = 5e-4
"""Transmission taken for nothing: about 30 cm of steel at 9 MeV, beyond most cargo scanners."""
_OPAQUE_SHARE = 0.02
"""Share of a container that must be opaque to be worth a warning: assumption."""
_USUAL_ROWS = (400, 2000)
"""Heights of scans in pixels that models are trained on (700 to 1,100), with a margin:
assumption."""


@runtime_checkable
class Finds(Protocol):
    """What an inspection needs of a detector; :class:`nii.infer.detect.Detector` offers it."""

    @property
    def provider(self) -> ProviderFacts:
        """Return what the model really runs on."""

    @property
    def model(self) -> ModelFacts:
        """Return which model looks."""

    @property
    def card(self) -> Card:
        """Return the facts about the model."""

    def detect(self, scan: AnyScan) -> tuple[Detections, Mapping[str, float]]:
        """Return everything found, and milliseconds by stage."""


@runtime_checkable
class Examines(Finds, Protocol):
    """A detector that also gives the anomaly map of a scan."""

    def examine(self, scan: AnyScan) -> Found:
        """Return everything found, milliseconds by stage, and the map if there is one."""


def utc_now() -> datetime:
    """Return the time with its zone; the clock that inspections carry unless told otherwise."""
    return datetime.now(UTC)


@runtime_checkable
class Settles(Protocol):
    """What a detector offers that follows drift; see :mod:`nii.infer.promise`."""

    def settle(self, facts: GuaranteeFacts) -> GuaranteeFacts:
        """Return what the guarantee is worth once the scores of one more scan are known."""


def inspect(
    scan: AnyScan,
    detector: Finds,
    clock: Callable[[], datetime] = utc_now,
    context: Context = NOTHING,
) -> Inspection:
    """Return what an officer gets for one scan.

    Args:
        scan: the image.
        detector: finds threats and structures.
        clock: tells the time, with its zone.
        context: what was declared, and what is usual at the site.

    Raises:
        ProviderError: the hardware gave up.
        ConfigError: the scan is not of the site that `context` was learnt at.
    """
    return inspect_with_map(scan, detector, clock, context)[0]


def inspect_with_map(
    scan: AnyScan,
    detector: Finds,
    clock: Callable[[], datetime] = utc_now,
    context: Context = NOTHING,
) -> tuple[Inspection, Map | None]:
    """Return what :func:`inspect` does, and the anomaly map where the model has one.

    Raises:
        ProviderError: the hardware gave up.
        ConfigError: the scan is not of the site that `context` was learnt at.
    """
    seen = look(scan, detector)
    return describe(scan, seen, detector, clock, context), seen.anomaly


def look(scan: AnyScan, detector: Finds) -> Found:
    """Return what a detector makes of a scan, with the anomaly map where it offers one.

    Raises:
        ProviderError: the hardware gave up.
    """
    if isinstance(detector, Examines):
        return detector.examine(scan)
    return Found(*detector.detect(scan))


def describe(
    scan: AnyScan,
    seen: Found,
    detector: Finds,
    clock: Callable[[], datetime] = utc_now,
    context: Context = NOTHING,
) -> Inspection:
    """Return what an officer gets for a scan that was looked at.

    Args:
        scan: the image.
        seen: what :func:`look` returned for it.
        detector: that looked.
        clock: tells the time, with its zone.
        context: what was declared, and what is usual at the site.

    Raises:
        ConfigError: the scan is not of the site that `context` was learnt at.
    """
    found, timing = seen.detections, seen.timing_ms
    start = time.perf_counter()
    plane = scan.plane()
    structures = _structures(found, detector.card, plane)
    layout = position.layout_of(structures, plane)
    regions = regions_of(found, detector.card, layout, scan.pixel_pitch_mm)
    condition = health.health_of(scan)
    guarantee = guarantee_of(found, structures, detector.card, scan.scanner)
    if isinstance(detector, Settles):
        guarantee = detector.settle(guarantee)
    stride = detector.card.decode.threat_stride
    odd = None if seen.anomaly is None else anomaly_of(seen.anomaly, structures, stride)
    declared = declarations(structures, context)
    return Inspection(
        scan=ScanFacts.of(scan),
        model=detector.model,
        provider=detector.provider,
        level=max((r.level for r in regions), key=lambda level: level.rank, default=Level.CLEAR),
        structures=structures,
        regions=regions,
        inspected_at=clock().isoformat(timespec="seconds"),
        warnings=(
            *contradictions(declared),
            *warnings_of(scan, structures, detector.card),
            *health.warnings_of(condition),
            *((guarantee.reason,) if guarantee.state == "suspended" else ()),
        ),
        health=condition,
        guarantee=guarantee,
        anomaly=odd,
        declarations=declared,
        attention=attention(scan, structures, context),
        timing_ms={
            **{stage: round(ms, 2) for stage, ms in timing.items()},
            "describe": round(1e3 * (time.perf_counter() - start), 2),
        },
    )


def guarantee_of(
    found: Detections, structures: Sequence[Structure], card: Card, scanner: str | None
) -> GuaranteeFacts:
    """Return what the card promises for a scan, drift aside."""
    boxes = [part.box_xyxy for part in structures if part.kind == "container"]
    scores = container_scores(found, boxes)
    promised = card.guarantee
    if promised is None:
        return GuaranteeFacts("none", "This model was not calibrated for a scanner.", scores)
    if not promised.holds:
        text = "The calibration of this model proved nothing that could be promised."
        return GuaranteeFacts("none", text, scores)
    if scanner and promised.scanner != scanner:
        text = f"The guarantee is for {promised.scanner}; this scan is from {scanner}."
        return GuaranteeFacts("none", text, scores)
    text = "The guarantee of the model's card holds, as far as one scan can tell."
    return GuaranteeFacts("holds", text, scores)


def container_scores(
    found: Detections, containers_xyxy: Sequence[tuple[float, float, float, float]]
) -> tuple[float, ...]:
    """Return the highest threat score in each container, 0 where there is none."""
    threats = [row.class_id for row in taxonomy.in_group("threat")]
    middle = (found.boxes_xyxy[:, :2] + found.boxes_xyxy[:, 2:]) / 2
    kept = np.isin(found.class_ids, threats)
    tops = []
    for x0, y0, x1, y1 in containers_xyxy:
        low, high = np.asarray([x0, y0]), np.asarray([x1, y1])
        inside = kept & ((middle >= low) & (middle < high)).all(axis=1)
        tops.append(round(float(found.scores[inside].max(initial=0.0)), 4))
    return tuple(tops)


def structures_of(found: Detections, card: Card, scan: AnyScan) -> tuple[Structure, ...]:
    """Return containers and vehicles above the card's threshold, each kind from left to right."""
    return _structures(found, card, scan.plane())


def _structures(
    found: Detections, card: Card, transmission: Float32[np.ndarray, "height width"]
) -> tuple[Structure, ...]:
    kinds = {row.class_id: row.name for row in taxonomy.in_group("structure")}
    rows = [
        (kinds[int(class_id)], _box(box), round(float(score), 4))
        for box, score, class_id in zip(
            found.boxes_xyxy, found.scores, found.class_ids, strict=True
        )
        if int(class_id) in kinds and score >= card.thresholds.structure
    ]
    rows.sort(key=lambda row: (row[0], row[1]))
    count: Counter[str] = Counter()
    parts = []
    for kind, box, score in rows:
        count[kind] += 1
        spec = card.load if kind == "container" else None
        load = load_of(transmission, box, spec) if spec else None
        states = (load.state, load.score, load.filling, load.full_score) if load else ()
        parts.append(Structure(kind, count[kind], box, score, *states))
    return tuple(parts)


def regions_of(
    found: Detections,
    card: Card,
    layout: position.Layout,
    pixel_pitch_mm: tuple[float, float] | None,
) -> tuple[Region, ...]:
    """Return the threats from the look threshold on, most urgent first."""
    graded = []
    for row in range(len(found)):
        kind = taxonomy.classes()[int(found.class_ids[row])]
        score = float(found.scores[row])
        if kind.group == "threat" and score >= card.thresholds.look[kind.name]:
            search = score >= card.thresholds.search[kind.name]
            graded.append((Level.SEARCH if search else Level.LOOK, row))
    graded.sort(key=lambda pair: (-pair[0].rank, -float(found.scores[pair[1]]), pair[1]))
    return tuple(
        _region(number, level, found.select(np.asarray([row], np.int64)), layout, pixel_pitch_mm)
        for number, (level, row) in enumerate(graded, 1)
    )


def _region(
    number: int,
    level: Level,
    found: Detections,
    layout: position.Layout,
    pixel_pitch_mm: tuple[float, float] | None,
) -> Region:
    kind = taxonomy.classes()[int(found.class_ids[0])]
    box = _box(found.boxes_xyxy[0])
    size = None
    if pixel_pitch_mm is not None:
        down, across = pixel_pitch_mm
        size = (round((box[2] - box[0]) * across, 1), round((box[3] - box[1]) * down, 1))
    return Region(
        number=number,
        class_name=kind.name,
        label=kind.label,
        category=kind.category,
        score=round(float(found.scores[0]), 4),
        level=level,
        box_xyxy=box,
        container=position.container_of(box, layout),
        position=position.words(box, layout),
        size_mm=size,
        contour_xy=_contour(found),
    )


def _contour(found: Detections) -> tuple[tuple[float, float], ...] | None:
    if not found.contours or not len(found.contours[0]):
        return None
    return tuple((round(x, 1), round(y, 1)) for x, y in found.contours[0].tolist())


def warnings_of(scan: AnyScan, structures: tuple[Structure, ...], card: Card) -> tuple[str, ...]:
    """Return what an officer should know before trusting the result."""
    display = scan.grey is Grey.DISPLAY
    single = scan.energy_count == 1
    low, high = _USUAL_ROWS
    texts = (
        (
            display,
            (
                "This is a display picture whose grey curve is unknown, not the scanner's raw "
                "data: dense places and materials are judged less well."
            ),
        ),
        (
            single and not display,
            "The scan has one energy: materials cannot be told apart.",
        ),
        (
            not single and not display and scan.endpoint_mev is None,
            "The energies of the beams are unknown: materials may be judged wrongly.",
        ),
        (
            not any(part.kind == "container" for part in structures),
            "No container was found: positions are given along the vehicle or the picture.",
        ),
        (
            not low <= scan.height <= high,
            (
                f"The scan is {scan.height} pixels high; the model knows scans of about {low} to "
                f"{high}: small objects may be missed."
            ),
        ),
        (
            card.thresholds.basis.startswith("assumption"),
            "The thresholds of this model are not calibrated: take the levels as a rough order.",
        ),
    )
    dark = () if display else _dark_warnings(scan, structures)
    return (*(text for holds, text in texts if holds), *dark)


def _dark_warnings(scan: AnyScan, structures: tuple[Structure, ...]) -> tuple[str, ...]:
    texts = []
    for part in structures:
        if part.kind != "container":
            continue
        x0, y0, x1, y1 = (round(value) for value in part.box_xyxy)
        opaque = scan.plane(slice(y0, y1), slice(x0, x1)) < _OPAQUE
        share = float(opaque.sum()) / max(1, opaque.size)
        if share >= _OPAQUE_SHARE:
            texts.append(
                f"The beam did not get through {100 * share:.0f} % of container {part.number}: "
                "nothing can be said about what is there."
            )
    return tuple(texts)


def _box(box: np.ndarray) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (round(float(value), 2) for value in box)
    return x0, y0, x1, y1
