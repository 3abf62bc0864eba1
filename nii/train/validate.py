"""How good a network is on whole scans, and which thresholds its false alarms suggest."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from jaxtyping import Float64, UInt8
from torch import nn

from nii import taxonomy
from nii.bundle import Card, LoadSpec, ScoreSpec, Thresholds
from nii.detections import Detections
from nii.evaluate.average_precision import coco_precision, mean_of
from nii.evaluate.curves import p_d_at_false_alarms, threat_table
from nii.evaluate.match import JudgedScan, Truth, judge, threat_rows
from nii.evaluate.metrics import METRICS, Evidence, number_of
from nii.evaluate.pixels import PixelTally, pixel_auroc
from nii.infer.decode import Frame, OutputMaps, decode
from nii.infer.scores import comparable, logit_of
from nii.preprocess import ModelInput, preprocess
from nii.scan import Scan
from nii.train.card import assumed_thresholds, draft_card
from nii.train.config import TrainConfig
from nii.train.dataset import validation_scans
from nii.train.origin import describe

LOOK_SHARE = 0.05
"""Share of benign scans that may ask the officer to look: assumption, one truck in twenty."""
SEARCH_SHARE = 0.01
"""Share of benign scans for which a search may be advised: assumption, one truck in a hundred."""
HIGH_SHARE = 0.05
"""Share of benign scans whose highest heat of a class is called high: as for `LOOK_SHARE`."""
SHIFTED = 0.5
"""Share of the differences between classes that the scores take away. All of it would fit the
scanners that it was measured on; on a scanner and on real trucks that were not among them half
found more than none at nearly every rate of false alarms, and all of it less at some (docs/log.md).
"""
_LEAST_SCANS = 40
"""Benign scans below which no scale is taken from them: two of them have a high heat."""
FALSE_ALARMS_PER_SCAN = 1.0
FIELD = "p_d_inside_at_10_and_5_percent"

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Validation:
    """Hold what one validation found.

    Attributes:
        metrics: by name; None where the scans do not define it.
        thresholds: suggested scores of the graded levels.
        selection: what the best checkpoint is chosen by: mean AP50 of structures and threats, or
            the field's figure (`TrainConfig.select_by`).
        load: tells loaded containers from empty ones, where that was learnt.
    """

    metrics: dict[str, float | None]
    thresholds: Thresholds
    selection: float
    load: LoadSpec | None = None


def validate(network: nn.Module, config: TrainConfig) -> Validation:
    """Measure a network on the validation scans of `config`.

    Args:
        network: gives logits; it is used as it stands, on the device it is on.
        config: names scans, classes and how many scans at most.
    """
    card = draft_card(config)
    learnt = config.threats if config.train.detail else ()
    class_ids = tuple(taxonomy.by_name(name).class_id for name in (*config.structures, *learnt))
    scans = islice(validation_scans(config.validation), config.validation_scans)
    tally = PixelTally()
    judged = tuple(judge_scans(network, scans, card, class_ids, tally))
    metrics = measure(judged, config.structures, learnt)
    if card.anomaly and learnt:
        metrics["anomaly_pixel_auroc"] = pixel_auroc(tally)
    basis = f"of {describe(config.validation)}"
    thresholds = suggest_thresholds(judged, card, basis) if learnt else assumed_thresholds(config)
    parts: tuple[float | None, ...] = (metrics["ap50_structures"], metrics["ap50_threats"])
    if config.select_by == "field":
        metrics[FIELD] = field_figure(judged, class_ids, card)
        parts = (metrics[FIELD],)
    return Validation(metrics, thresholds, mean_of(parts) or 0.0)


def field_figure(
    judged: Sequence[JudgedScan], class_ids: tuple[int, ...], card: Card
) -> float | None:
    """Return P_d of threats in containers, mean of that at 10 and 5 % of benign ones alarmed.

    Returns:
        None where no threat lies in a labelled container.
    """
    evidence = Evidence.of(judged, class_ids, card.thresholds)
    once = np.ones(len(evidence.scans), np.int64)
    names = (f"inside_p_d_at_{rate}_percent_of_containers" for rate in (10, 5))
    return mean_of(number_of(METRICS[name].compute(evidence, once)) for name in names)


def judge_scans(
    network: nn.Module,
    scans: Iterable[tuple[Scan, Detections]],
    card: Card,
    class_ids: tuple[int, ...],
    tally: PixelTally | None = None,
) -> Iterable[JudgedScan]:
    """Yield what the network found in each scan against the truth; count its anomaly map.

    Where no threat is judged the network sees a corner of the detail only, which saves most of the
    time and changes nothing about structures.
    """
    corner = card.preprocess.detail_multiple
    threats = bool(set(card.threat_ids) & set(class_ids))
    for index, (scan, truth) in enumerate(scans):
        seen = preprocess(scan, card.preprocess)
        if not threats:
            part = np.ascontiguousarray(seen.detail[:, :corner, :corner])
            seen = replace(seen, detail=part)
        maps = output_maps(network, seen)
        found = decode(maps, card, Frame(seen.height, seen.width, seen.overview_scale))
        if tally is not None and maps.anomaly is not None and threats:
            tally.add(maps.anomaly[0], threat_masks(truth, maps.anomaly.shape[1:], card))
        yield judge(f"{index:06}", found, Truth.of(truth), class_ids)


def threat_masks(
    truth: Detections, shape: tuple[int, ...], card: Card
) -> list[UInt8[np.ndarray, "rows columns"]]:
    """Return the ellipse in the box of each threat, of any class, on the cells of the map."""
    stride = card.decode.threat_stride
    masks = []
    for box in truth.boxes_xyxy[threat_rows(truth.class_ids)].tolist():
        x0, y0, x1, y1 = (edge / stride for edge in box)
        across = (np.arange(shape[1]) + 0.5 - (x0 + x1) / 2) / max((x1 - x0) / 2, 0.5)
        down = (np.arange(shape[0]) + 0.5 - (y0 + y1) / 2) / max((y1 - y0) / 2, 0.5)
        masks.append((across[None] ** 2 + down[:, None] ** 2 <= 1).astype(np.uint8))
    return masks


def output_maps(network: nn.Module, seen: ModelInput) -> OutputMaps:
    """Return the maps of one scan, with probabilities in place of logits."""
    device = next(network.parameters()).device
    training = network.training
    network.eval()
    with torch.no_grad():
        inputs = (torch.from_numpy(view)[None].to(device) for view in (seen.detail, seen.overview))
        heat, ltrb, centre, inside, structure_ltrb, *anomaly = network(*inputs)
    network.train(training)
    maps = (heat.sigmoid(), ltrb, centre.sigmoid(), inside.sigmoid(), structure_ltrb)
    maps += tuple(part.sigmoid() for part in anomaly)
    return OutputMaps(*(part[0].float().cpu().numpy() for part in maps))


def measure(
    judged: Sequence[JudgedScan], structures: tuple[str, ...], threats: tuple[str, ...]
) -> dict[str, float | None]:
    """Return AP50 by class and by group, and P_d at one false alarm per scan."""
    ids = {name: taxonomy.by_name(name).class_id for name in (*structures, *threats)}
    precision = coco_precision(judged, tuple(ids.values()))
    ap50 = {name: precision[class_id].ap50 for name, class_id in ids.items()}
    table = threat_table(judged)
    p_d = p_d_at_false_alarms(table, table.everything_once(), FALSE_ALARMS_PER_SCAN)
    return {
        "scans": float(len(judged)),
        "ap50_structures": mean_of(ap50[name] for name in structures),
        "ap50_threats": mean_of(ap50[name] for name in threats),
        "p_d_at_1_false_alarm_per_scan": p_d.value if threats else None,
        **{f"ap50_{name}": value for name, value in ap50.items()},
    }


def suggest_thresholds(judged: Sequence[JudgedScan], card: Card, of: str) -> Thresholds:
    """Return the scores that false alarms reach in 5 % (look) and 1 % (search) of benign scans.

    All classes together keep to the share: every class lets the same number of benign scans pass,
    the largest for which the union stays within the share. Of n benign scans ⌊share · (n + 1)⌋ − 1
    may alarm, which holds the share for the next scan on average (split conformal prediction: Vovk,
    Gammerman and Shafer 2005, chapter 4). Where this is below 0 there are too few scans to show the
    share: then none alarms, and no threshold lies below the assumed one of the card.

    Args:
        judged: scans with and without threats; only those without count.
        card: classes in order, the lowest heat that is decoded, and the scale of the scores; its
            own thresholds are heats still.
        of: words about the scans, for the basis.
    """
    benign = _benign(judged)
    if not benign:
        _LOG.warning("thresholds stay an assumption: no benign scan among %d", len(judged))
        return replace(card.thresholds, basis=f"{card.thresholds.basis}, as no scan was benign")
    tops = _top_scores(benign, card)
    look, search, least = (
        comparable(np.asarray(heats, np.float32), card.threats, card.scores).tolist()
        for heats in (
            [card.thresholds.look[name] for name in card.threats],
            [card.thresholds.search[name] for name in card.threats],
            [card.decode.min_score] * len(card.threats),
        )
    )
    return Thresholds(
        look=dict(zip(card.threats, _limits(tops, LOOK_SHARE, look, least), strict=True)),
        search=dict(zip(card.threats, _limits(tops, SEARCH_SHARE, search, least), strict=True)),
        basis=_basis(len(benign), of),
    )


def suggest_scores(judged: Sequence[JudgedScan], card: Card, of: str) -> ScoreSpec | None:
    """Return the shifts that bring the heats of all classes nearer to one scale.

    High is the heat that the hottest place of a class exceeds in 5 % of the benign scans. A class
    whose high heat is higher than that of the others is mistaken more often, and is lowered by
    half of the difference; the mean over the classes stays. Ranking by the share of benign cases
    that are as high is ranking by conformal p-values (Vovk, Gammerman and Shafer 2005, chapter 4),
    which needs no threats.

    Args:
        judged: scans with and without threats; only those without count. Their scores are heats.
        card: classes in order, and the lowest heat that is decoded.
        of: words about the scans, for the basis.

    Returns:
        None where there are too few benign scans, or there is one class only.
    """
    benign = _benign(judged)
    if len(benign) < _LEAST_SCANS or len(card.threats) == 1:
        return None
    tops = np.maximum(_top_scores(benign, card), card.decode.min_score)
    high = logit_of(np.quantile(tops, 1 - HIGH_SHARE, axis=0))
    shift = SHIFTED * (high.mean() - high)
    basis = (
        f"classes shifted by half of what their heats differ by at {HIGH_SHARE:.0%} false alarms, "
        f"in {len(benign)} benign scans {of}"
    )
    rounded = {name: round(float(by), 4) for name, by in zip(card.threats, shift, strict=True)}
    return ScoreSpec(rounded, basis)


def with_scores(judged: JudgedScan, spec: ScoreSpec | None) -> JudgedScan:
    """Return a judged scan whose scores were heats with scores in their place."""
    found = judged.detections
    threats, names = threat_rows(found.class_ids), taxonomy.classes()
    scores = found.scores.copy()
    called = [names[int(kind)].name for kind in found.class_ids[threats]]
    scores[threats] = comparable(scores[threats], called, spec)
    return replace(judged, detections=replace(found, scores=scores))


def _benign(judged: Sequence[JudgedScan]) -> list[JudgedScan]:
    return [scan for scan in judged if not threat_rows(scan.truth.objects.class_ids).any()]


def _basis(benign: int, of: str) -> str:
    parts = []
    for word, share in (("look", LOOK_SHARE), ("search", SEARCH_SHARE)):
        allowed = _allowed(share, benign)
        few = "too few to show it: none alarmed, not below the assumed score"
        shown = f"at most {allowed} alarmed" if allowed >= 0 else few
        parts.append(f"{word} for {share:.0%} ({shown})")
    return f"false alarms in {benign} benign scans {of}, classes together: " + ", ".join(parts)


def _allowed(share: float, scans: int) -> int:
    return math.floor(share * (scans + 1) + 1e-9) - 1


def _top_scores(benign: Sequence[JudgedScan], card: Card) -> Float64[np.ndarray, "scan class"]:
    """Return the highest score of each threat class in each scan; 0 where there is none."""
    tops = np.zeros((len(benign), len(card.threats)))
    for row, scan in enumerate(benign):
        for column, class_id in enumerate(card.threat_ids):
            scores = scan.detections.scores[scan.detections.class_ids == class_id]
            tops[row, column] = scores.max(initial=0.0)
    return tops


def _limits(
    tops: Float64[np.ndarray, "scan class"],
    share: float,
    assumed: Iterable[float],
    least: Iterable[float],
) -> list[float]:
    """Return a threshold a class: just above the score that may no longer alarm."""
    allowed = _allowed(share, len(tops))
    falling = -np.sort(-tops, axis=0)
    chosen = falling[0]
    for limits in falling[1:]:
        if int((tops > limits).any(axis=1).sum()) > max(allowed, 0):
            break
        chosen = limits
    above = np.nextafter(chosen.astype(np.float32), np.float32(2))
    floors = [
        low if allowed >= 0 else max(low, score) for low, score in zip(least, assumed, strict=True)
    ]
    return [max(float(score), floor) for score, floor in zip(above, floors, strict=True)]
