"""Hard negatives: places where a network sees a threat and none is, for training to look at again.

Most of a scan is easy, and a network that trains on places drawn at random soon learns nothing from
them. What decides the false alarms are the few places that score highest; they are found by letting
the network look at its training scans, and crops around them are then taken more often.

Reference: Felzenszwalb et al. 2010, Object detection with discriminatively trained part-based
models, section 4.4, for the idea; here the threats of the same scans stay in training as they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from torch import nn

from nii import boxes as geometry
from nii.detections import Detections
from nii.evaluate.match import threat_rows
from nii.formats.files import save
from nii.infer.decode import Frame, decode
from nii.preprocess import preprocess
from nii.train.card import draft_card
from nii.train.config import TrainConfig
from nii.train.dataset import open_source
from nii.train.validate import output_maps

LEAST_SCORE = 0.1
"""Score from which a false alarm is worth another look: assumption."""
MOST_PLACES = 12
"""Places kept of one scan, the highest scores first: assumption."""


def mine(
    network: nn.Module,
    config: TrainConfig,
    path: Path,
    scans: int,
    on_progress: Callable[[int, int], None] = lambda _done, _count: None,
) -> int:
    """Let a network look at its first training scans, write its false alarms, return their number.

    Args:
        network: gives logits.
        config: scans, classes and how maps become boxes.
        path: file to write.
        scans: how many scans are looked at.
        on_progress: told how many scans are done, and how many there are.
    """
    source, card = open_source(config.train), draft_card(config)
    count = min(scans, len(source))
    rows = []
    for index in range(count):
        scan, truth = source.load(index)
        seen = preprocess(scan, card.preprocess)
        frame = Frame(seen.height, seen.width, seen.overview_scale)
        found = decode(output_maps(network, seen), card, frame)
        wrong = false_alarms(found, truth)
        rows.append([[round(float(edge), 1) for edge in box] for box in wrong])
        on_progress(index + 1, count)
    save(path, (json.dumps({"places": rows}) + "\n").encode())
    return sum(len(row) for row in rows)


def false_alarms(found: Detections, truth: Detections) -> Float32[np.ndarray, "n 4"]:
    """Return the boxes of threats that touch no labelled one, the highest scores first."""
    claimed = found.select(
        np.flatnonzero(threat_rows(found.class_ids) & (found.scores >= LEAST_SCORE))
    )
    real = truth.boxes_xyxy[threat_rows(truth.class_ids)]
    touched = (geometry.coverage(claimed.boxes_xyxy, real) > 0).any(axis=1)
    wrong = claimed.select(np.flatnonzero(~touched))
    best = np.argsort(-wrong.scores, kind="stable")[:MOST_PLACES]
    return wrong.boxes_xyxy[best]
