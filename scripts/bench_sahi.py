"""Compare one pass at native resolution with the same ONNX model under SAHI slicing.

Both see the same scans, thresholds and session; SAHI cuts tiles of 640 pixels with 20 % overlap and
merges boxes as it does by default. Needs `sahi` (MIT licence), which is no dependency of nii:

    python scripts/bench_sahi.py models/compact FOLDER_OF_LABELLED_SCANS [SCANS]
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from sahi.models.base import DetectionModel
from sahi.predict import get_sliced_prediction
from sahi.prediction import ObjectPrediction

from nii import formats, taxonomy
from nii.bundle import Card, read_bundle
from nii.detections import Detections
from nii.evaluate.match import HIT, matched
from nii.evaluate.truth_set import read_truth
from nii.infer.decode import Frame, OutputMaps, decode
from nii.infer.runtime import CPU, ProviderSettings, Session, open_bundle
from nii.preprocess import pad_to_multiple, preprocess

TILE_PX, OVERLAP = 640, 0.2


class Sliced(DetectionModel):
    """The session in the form that SAHI asks for: the pixels of a tile in, boxes out."""

    def __init__(self, session: Session, card: Card) -> None:
        """Keep an open model."""
        self._run, self._card = session, card
        self._overview: Any = None
        self._found = Detections.empty()
        least = min(card.thresholds.look.values())
        super().__init__(model_path="", device="cpu", confidence_threshold=least)

    def load_model(self) -> None:
        """Do nothing: the model is open."""
        self.model = self._run

    def show(self, overview: Any) -> None:  # noqa: ANN401
        """Keep the smallest overview that the network takes; threats do not depend on it."""
        self._overview = overview

    def perform_inference(self, image: Any) -> None:  # noqa: ANN401
        """Run one tile, axes height, width, channel."""
        spec = self._card.preprocess
        detail = np.ascontiguousarray(np.moveaxis(image, 2, 0), np.float32)
        height, width = detail.shape[1:]
        detail = pad_to_multiple(detail, spec.detail_multiple, spec.detail_multiple)
        maps = self._run.run(detail[None], self._overview)
        whole = OutputMaps(*(part[0] for part in maps[:5]))
        found = decode(whole, self._card, Frame(height, width, 1.0))
        self._found = found.select(np.isin(found.class_ids, self._card.threat_ids))

    def _create_object_prediction_list_from_original_predictions(
        self,
        shift_amount_list: Any = None,  # noqa: ANN401
        full_shape_list: Any = None,  # noqa: ANN401
    ) -> None:
        shift, full = (_first(given) for given in (shift_amount_list, full_shape_list))
        rows = zip(self._found.boxes_xyxy, self._found.scores, self._found.class_ids, strict=True)
        self._object_prediction_list_per_image = [
            [
                ObjectPrediction(
                    bbox=[float(side) for side in box],
                    score=float(score),
                    category_id=int(kind),
                    category_name=taxonomy.classes()[int(kind)].name,
                    shift_amount=shift or [0, 0],
                    full_shape=full,
                )
                for box, score, kind in rows
            ]
        ]


def _first(given: Any) -> Any:  # noqa: ANN401
    """Return the pair of numbers that is given, alone or in a list."""
    return given[0] if given and isinstance(given[0], list | tuple) else given


def from_sahi(result: Any) -> Detections:  # noqa: ANN401
    """Return what SAHI merged."""
    rows = result.object_prediction_list
    boxes = np.asarray([row.bbox.to_xyxy() for row in rows], np.float32).reshape(-1, 4)
    scores = np.asarray([row.score.value for row in rows], np.float32)
    return Detections(boxes, scores, np.asarray([row.category.id for row in rows], np.int64))


def hits(found: Detections, truth: Detections, card: Card) -> int:
    """Return how many threats are found from the look thresholds on."""
    bars = {taxonomy.by_name(name).class_id: bar for name, bar in card.thresholds.look.items()}
    least = np.asarray([bars.get(int(kind), np.inf) for kind in found.class_ids], np.float32)
    kept = found.select(found.scores >= least)
    real = truth.select(np.isin(truth.class_ids, card.threat_ids))
    return int(matched(kept, real, HIT).any(axis=0).sum())


def main(words: list[str]) -> int:
    """Measure in turns and print medians and the ratio."""
    bundle, most = read_bundle(Path(words[0])), int(words[2]) if len(words) > 2 else 20  # noqa: PLR2004
    session = open_bundle(bundle, ProviderSettings((CPU,), threads=1, precision="fp32"))
    card, sliced = bundle.card, Sliced(session, bundle.card)
    images = [one for one in read_truth(Path(words[1])).images if one.path.exists()][:most]
    spent: dict[str, list[float]] = {"one pass": [], "SAHI": []}
    found, threats = {"one pass": 0, "SAHI": 0}, 0
    for image in images:
        view = preprocess(formats.read(image.path), card.preprocess)
        sliced.show(
            np.ascontiguousarray(view.overview[None, :, :, : card.preprocess.overview_multiple])
        )
        tiles = np.moveaxis(view.detail[:, : view.height, : view.width], 0, 2)
        start = time.process_time()
        maps = session.run(view.detail[None], view.overview[None])
        frame = Frame(view.height, view.width, view.overview_scale)
        whole = decode(OutputMaps(*(part[0] for part in maps[:5])), card, frame)
        spent["one pass"].append(time.process_time() - start)
        start = time.process_time()
        result = get_sliced_prediction(
            tiles,
            sliced,
            slice_height=TILE_PX,
            slice_width=TILE_PX,
            overlap_height_ratio=OVERLAP,
            overlap_width_ratio=OVERLAP,
            verbose=0,
        )
        spent["SAHI"].append(time.process_time() - start)
        found["one pass"] += hits(whole, image.truth, card)
        found["SAHI"] += hits(from_sahi(result), image.truth, card)
        threats += int(np.isin(image.truth.class_ids, card.threat_ids).sum())
    pairs = zip(spent["SAHI"], spent["one pass"], strict=True)
    for name, times in spent.items():
        took = 1e3 * statistics.median(times)
        print(f"{name}: {took:.0f} ms of processor a scan, {found[name]} of {threats} threats")
    print(f"SAHI takes {statistics.median(a / b for a, b in pairs):.2f} times as long (wished: 2)")
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 3:  # noqa: PLR2004
        raise SystemExit(__doc__)
    raise SystemExit(main(sys.argv[1:]))
