"""Measure a model bundle on a labelled set and write what was found.

Three files come of it, each whole or not there:

=====================  ===========================================================================
``metrics.json``       every number with its interval, counts and provenance, for machines
``detections.json``    what the model found, in the COCO result form, for other tools
``index.html``         the same numbers with curves and the worst cases, for people
=====================  ===========================================================================

Only classes that the truth file has categories for are judged: where a set has labels for
containers only, threat metrics are not applicable and threat detections are no false alarms. A
class that has labels but that the model does not know counts as missed. A scan that cannot be read,
or whose size is not that of its labels, is left out, counted and named.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nii import formats, taxonomy
from nii.annotations.coco import CocoImage
from nii.bundle import Card
from nii.config import to_dict
from nii.detections import Detections
from nii.errors import ConfigError, ScanFormatError
from nii.evaluate import summary
from nii.evaluate.compare import Comparison, metric_differences, stratum_differences
from nii.evaluate.examples import Gallery
from nii.evaluate.kept import Keeper, forget, looked_at
from nii.evaluate.load import LoadCall, load_calls, load_table
from nii.evaluate.match import JudgedScan, Truth, judge, threat_rows
from nii.evaluate.metrics import METRICS, Evidence
from nii.evaluate.page import comparison_page, page
from nii.evaluate.pixels import PixelTally, box_mask, painted, polygon_mask, spread
from nii.evaluate.summary import EvaluationResult, Failure
from nii.evaluate.truth_set import TruthSet, read_truth
from nii.formats.files import save
from nii.infer.anomaly import Map
from nii.infer.detect import Detector
from nii.infer.inspect import Finds
from nii.infer.overlay import render_grey
from nii.infer.runtime import ProviderSettings
from nii.scan import Grey, Scan

__all__ = ["METRICS", "EvaluationResult", "evaluate", "evaluate_pair"]

METRICS_FILE = "metrics.json"
DETECTIONS_FILE = "detections.json"
PAGE_FILE = "index.html"
COMPARISON_FILE = "comparison.json"
COMPARISON_PAGE_FILE = "comparison.html"
AGAINST_FOLDER = "against"
"""Folder for the report of the second model, within that of the first."""
ANSWERS_FOLDER = "answers"
"""Folder for what the model found, until the report is written."""


@dataclass(frozen=True, slots=True)
class _Order:
    """Say how many scans to look at, in how many processes, and whom to tell."""

    limit: int | None
    workers: int
    on_progress: Callable[[int, int], None] | None


@dataclass(slots=True)
class _Tally:
    """Gather what is kept of each scan while the set is read."""

    gallery: Gallery
    judged: list[JudgedScan]
    found: list[dict[str, Any]]
    loads: list[LoadCall]
    failures: list[Failure]
    pixels: PixelTally


def evaluate(  # noqa: PLR0913 - the flags of nii evaluate
    bundle: Path,
    data: Path,
    out: Path,
    *,
    images: Path | None = None,
    limit: int | None = None,
    workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> EvaluationResult:
    """Measure a model on a labelled set and write metrics, detections and a page.

    Interrupted, it goes on when run again.

    Args:
        bundle: folder of the model.
        data: COCO file, or a folder that holds exactly one; see `truth_set.FILE_NAMES`.
        out: folder for the three files; made if it is not there.
        images: folder that the image names start from; see `read_truth`.
        limit: how many scans to read, from the first on; None for all.
        workers: processes that look at scans.
        on_progress: is told after each scan how many are done, and how many there are.

    Returns:
        The numbers that ``metrics.json`` holds.

    Raises:
        AnnotationError: the truth is missing, ambiguous or contradicts itself.
        BundleError: the bundle is incomplete or altered.
        ConfigError: the limit or the number of workers is not positive, or an interrupted
            evaluation in the folder is of another model.
        ProviderError: the requested hardware cannot be used.
        ScanFormatError: not one of the scans can be read.
    """
    if limit is not None and limit < 1:
        raise ConfigError(
            "limit", found=str(limit), expected="1 or more", remedy="Leave it out for all scans."
        )
    order = _Order(limit, workers, on_progress)
    result = _measure(bundle, read_truth(data, images), out, order)[0]
    forget(out / ANSWERS_FOLDER)
    return result


def evaluate_pair(  # noqa: PLR0913 - the flags of nii evaluate
    bundle: Path,
    against: Path,
    data: Path,
    out: Path,
    *,
    images: Path | None = None,
    workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Measure two models on the same labelled set and compare them scan by scan.

    The folder gets the report of the first model, that of the second in ``against``, and
    ``comparison.json`` and ``comparison.html``.

    Args:
        bundle: folder of the first model.
        against: folder of the second.
        data: COCO file, or a folder that holds exactly one.
        out: folder for the results; made if it is not there.
        images: folder that the image names start from.
        workers: processes that look at scans.
        on_progress: is told after each scan how many are done, and how many there are.

    Raises:
        AnnotationError: the truth is missing, ambiguous or contradicts itself.
        BundleError: a bundle is incomplete or altered.
        ConfigError: the number of workers is not positive, or an interrupted evaluation in the
            folder is of other models.
        ProviderError: the requested hardware cannot be used.
        ScanFormatError: not one of the scans can be read.
    """
    truth = read_truth(data, images)
    order = _Order(None, workers, on_progress)
    result, first = _measure(bundle, truth, out, order)
    other, second = _measure(against, truth, out / AGAINST_FOLDER, order)
    seed, repeats = summary.SEED, summary.REPEATS
    comparison = Comparison(
        first=(result.model, result.bundle_sha256),
        second=(other.model, other.bundle_sha256),
        data=truth.path.name,
        data_sha256=truth.sha256,
        scans=len(first.scans),
        failures=len(result.failures),
        metrics=metric_differences(first, second, seed, repeats),
        strata=stratum_differences(first, second, seed, repeats),
        settings={"bootstrap seed": seed, "bootstrap repeats": repeats},
    )
    text = json.dumps(comparison.to_json(), indent=1, allow_nan=False, ensure_ascii=False)
    save(out / COMPARISON_FILE, (text + "\n").encode())
    save(out / COMPARISON_PAGE_FILE, comparison_page(comparison).encode())
    forget(out / ANSWERS_FOLDER)
    forget(out / AGAINST_FOLDER / ANSWERS_FOLDER)
    return comparison


def _measure(
    bundle: Path, truth: TruthSet, out: Path, order: _Order
) -> tuple[EvaluationResult, Evidence]:
    """Measure one model and write its three files."""
    detector: Finds = Detector.open(bundle, settings=ProviderSettings())
    keeper = Keeper(detector, out / ANSWERS_FOLDER)
    keeper.claim()
    tally = _run(keeper, bundle, truth, order)
    evidence = Evidence.of(tally.judged, truth.class_ids, detector.card.thresholds)
    result = _result(detector, truth, evidence, tally)
    save(out / DETECTIONS_FILE, json.dumps(tally.found, allow_nan=False).encode())
    save(out / PAGE_FILE, page(result, evidence, tally.gallery).encode())
    text = json.dumps(result.to_json(), indent=1, allow_nan=False, ensure_ascii=False)
    save(out / METRICS_FILE, (text + "\n").encode())
    return result, evidence


def _run(keeper: Keeper, bundle: Path, truth: TruthSet, order: _Order) -> _Tally:
    """Take up one scan after the other; no scan outlives its turn."""
    tally = _Tally(Gallery(), [], [], [], [], PixelTally())
    chosen = list(zip(truth.images, truth.image_ids, strict=True))[: order.limit]
    turns = looked_at(keeper, bundle, [image.path for image, _ in chosen], order.workers)
    for done, ((image, image_id), _) in enumerate(zip(chosen, turns, strict=True), start=1):
        try:
            scan = _read(image)
        except ScanFormatError as error:
            tally.failures.append(Failure(truth.name_of(image), str(error)))
        else:
            _judge(keeper, truth, (image, image_id, scan), tally)
        if order.on_progress is not None:
            order.on_progress(done, len(chosen))
    if not tally.judged:
        forget(keeper.folder)
        with suppress(OSError):  # it was there before, and holds something
            keeper.folder.parent.rmdir()
        raise ScanFormatError(
            truth.path,
            found=f"not one readable scan among {len(chosen)}; first: {tally.failures[0].reason}",
            expected="scans that nii.formats reads",
            remedy="Check the image folder.",
        )
    return tally


def _judge(
    keeper: Keeper,
    truth: TruthSet,
    labelled: tuple[CocoImage, int, Scan],
    tally: _Tally,
) -> None:
    image, image_id, scan = labelled
    seen, card = keeper.ask(image.path, scan), keeper.detector.card
    found = seen.detections
    objects = Truth(image.truth, image.behind_g_per_cm2, image.load_states)
    judged = replace(
        judge(truth.name_of(image), found, objects, truth.class_ids),
        scanner=_scanner(scan),
        pitch_mm=scan.pixel_pitch_mm,
    )
    tally.judged.append(judged)
    tally.found += coco_rows(judged.detections, image_id, truth.category_ids)
    tally.loads += load_calls(image, found, scan, card)
    _count_pixels(truth, labelled, judged, seen.anomaly, card, tally.pixels)
    tally.gallery.offer(judged, card.thresholds, lambda: render_grey(scan))


def _count_pixels(
    truth: TruthSet,
    labelled: tuple[CocoImage, int, Scan],
    judged: JudgedScan,
    anomaly: Map | None,
    card: Card,
    tally: PixelTally,
) -> None:
    """Hold the anomaly map, or where the model has none the painted boxes, against the threats."""
    image, image_id, scan = labelled
    size = scan.height, scan.width
    tally.of_boxes, tally.of_map = not truth.threat_polygons, anomaly is not None
    if tally.of_boxes:
        threats = image.truth.boxes_xyxy[threat_rows(image.truth.class_ids)]
        masks = [box_mask(box, *size) for box in threats]
    else:
        shapes = truth.threat_polygons.get(image_id, ())
        masks = [polygon_mask(rings, *size) for rings in shapes]
    if anomaly is None:
        said = judged.detections.select(threat_rows(judged.detections.class_ids))
        tally.add(painted(said, *size), masks)
    else:
        tally.add(spread(anomaly, card.decode.threat_stride, *size), masks)


def _scanner(scan: Scan) -> str:
    """Return the name of the machine, and whether the picture was made for the eye."""
    kind = ("display picture",) if scan.grey is Grey.DISPLAY else ()
    return ", ".join((*((scan.scanner,) if scan.scanner else ()), *kind))


def coco_rows(
    found: Detections, image_id: int, category_ids: Mapping[int, int]
) -> list[dict[str, Any]]:
    """Return detections in the COCO result form, with the ids of the truth file."""
    rows = []
    for box, score, row in zip(found.boxes_xyxy, found.scores, found.class_ids, strict=True):
        x0, y0, x1, y1 = (round(float(value), 2) for value in box)
        rows.append(
            {
                "image_id": image_id,
                "category_id": category_ids[int(row)],
                "bbox": [x0, y0, round(x1 - x0, 2), round(y1 - y0, 2)],
                "score": round(float(score), 6),
            }
        )
    return rows


def _read(image: CocoImage) -> Scan:
    scan = formats.read(image.path)
    if (scan.height, scan.width) != (image.height, image.width):
        raise ScanFormatError(
            image.path,
            found=f"{scan.width} x {scan.height} pixels",
            expected=f"{image.width} x {image.height} pixels as the labels say",
            remedy="Label this image anew, or fetch the one that was labelled.",
        )
    return scan


def _result(
    detector: Finds, truth: TruthSet, evidence: Evidence, tally: _Tally
) -> EvaluationResult:
    card, failures = detector.card, tally.failures
    return EvaluationResult(
        model=f"{card.name} {card.version}",
        bundle_sha256=detector.model.sha256,
        data=truth.path.name,
        data_sha256=truth.sha256,
        provider=to_dict(detector.provider),
        counts=summary.counts_of(evidence, len(failures)),
        estimates=summary.estimates(evidence, summary.SEED, summary.REPEATS),
        classes=summary.class_rows(evidence, summary.SEED, summary.REPEATS),
        strata=summary.stratum_rows(evidence),
        containers=summary.container_result(
            evidence, card.thresholds.look, summary.SEED, summary.REPEATS
        ),
        pixels=summary.pixel_result(tally.pixels),
        load=load_table(tally.loads),
        failures=tuple(failures),
        warnings=_warnings(card, truth, evidence, len(failures)),
        settings={
            "thresholds": card.thresholds.basis,
            "lowest heat": card.decode.min_score,
            "bootstrap seed": summary.SEED,
            "bootstrap repeats": summary.REPEATS,
        },
    )


def _warnings(card: Card, truth: TruthSet, evidence: Evidence, failures: int) -> tuple[str, ...]:
    known = {*card.threat_ids, *card.structure_ids}
    labelled = set(truth.class_ids)
    read, listed = len(evidence.scans) + failures, len(truth.images)
    texts = (
        (failures, f"{failures} of {read} scans could not be evaluated and are left out."),
        (read < listed, f"Only the first {read} of {listed} scans were looked at."),
        (
            labelled - known,
            f"This model cannot report: {_names(labelled - known)}. They count as missed.",
        ),
        (
            known - labelled,
            f"The truth has no labels for: {_names(known - labelled)}. They are not judged.",
        ),
    )
    return tuple(text for holds, text in texts if holds)


def _names(rows: set[int]) -> str:
    return ", ".join(taxonomy.classes()[row].name for row in sorted(rows))
