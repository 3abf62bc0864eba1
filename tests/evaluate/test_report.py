"""Tests of a whole evaluation, with a stand-in for the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from nii import taxonomy
from nii.bundle import Bundle, Card, DecodeSpec, Thresholds, read_bundle, write_bundle
from nii.detections import Detections
from nii.errors import BundleError, ConfigError, ScanFormatError
from nii.evaluate import report, summary
from nii.evaluate.metrics import METRICS
from nii.evaluate.report import evaluate, evaluate_pair
from nii.infer.anomaly import Found
from nii.infer.runtime import ProviderSettings
from nii.inspection import ModelFacts, ProviderFacts
from nii.preprocess import PreprocessSpec
from nii.provenance import Provenance
from nii.scan import Scan

HEIGHT, WIDTH, IMAGES = 120, 300, 6
BRICK = taxonomy.by_name("brick").class_id
CONTAINER = taxonomy.by_name("container").class_id
CONTAINER_BOX = (20, 10, 260, 100)


class DarkThings:
    """Stand in for the detector: what is dark is a brick; the container never moves."""

    provider = ProviderFacts(("CPU",), ("CPU",), ("CPU",), "cpu", None)

    def __init__(self, bundle: Bundle) -> None:
        """Keep what the bundle says about its model."""
        self.card = bundle.card
        self.model = ModelFacts(bundle.card.name, bundle.card.version, bundle.sha256)

    @classmethod
    def open(cls, folder: Path, settings: ProviderSettings) -> DarkThings:
        """Return the stand-in for a bundle that is intact."""
        assert settings == ProviderSettings()
        return cls(read_bundle(folder))

    def detect(self, scan: Scan) -> tuple[Detections, Mapping[str, float]]:
        """Return the dark patches as bricks, and the container."""
        dark = (scan.transmission[0] < 0.3).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(dark)
        boxes = [(x, y, x + w, y + h) for x, y, w, h, _ in stats[1:].tolist()]
        rows = [BRICK] * len(boxes) + [CONTAINER]
        found = Detections(
            np.asarray([*boxes, CONTAINER_BOX], np.float32),
            np.linspace(0.95, 0.55, len(rows)).astype(np.float32),
            np.asarray(rows, np.int64),
        )
        return found, {"detect": 1.0}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a bundle whose model is never run."""
    card = Card(
        name="stand-in",
        version="1",
        threats=("brick",),
        structures=("container", "vehicle"),
        preprocess=PreprocessSpec(),
        decode=DecodeSpec(),
        thresholds=Thresholds({"brick": 0.5}, {"brick": 0.8}),
        provenance=Provenance().to_json(),
    )
    return write_bundle(tmp_path / "bundle", card, b"not a model", {}).folder


def write_set(folder: Path, *, names: tuple[str, ...] = ("container", "brick")) -> Path:
    """Write scans with a container each and a brick in every second one; return the truth file."""
    folder.mkdir()
    images: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for index in range(IMAGES):
        picture = np.full((HEIGHT, WIDTH), 230, np.uint8)
        x0, y0, x1, y1 = CONTAINER_BOX
        picture[y0:y1, x0:x1] = 160
        boxes = {"container": [x0, y0, x1 - x0, y1 - y0]}
        if index % 2:
            picture[40:60, 50 + 20 * index : 80 + 20 * index] = 20
            boxes["brick"] = [50 + 20 * index, 40, 30, 20]
        name = f"scan-{index}.png"
        cv2.imwrite(str(folder / name), picture)
        images.append({"id": 10 + index, "file_name": name, "width": WIDTH, "height": HEIGHT})
        for label, box in boxes.items():
            if label in names:
                row = {"image_id": 10 + index, "category_id": 1 + names.index(label), "bbox": box}
                behind = {"behind_g_per_cm2": 30.0} if label == "brick" else {}
                rows.append({"id": len(rows) + 1} | row | behind)
    categories = [{"id": 1 + index, "name": name} for index, name in enumerate(names)]
    path = folder / "val.json"
    data = {"images": images, "categories": categories, "annotations": rows}
    path.write_text(json.dumps(data), "utf-8")
    return path


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the stand-in in the place of the detector, and be content with a rough bootstrap."""
    monkeypatch.setattr(report, "Detector", DarkThings)
    monkeypatch.setattr(summary, "REPEATS", 10)


def test_a_whole_run(bundle: Path, tmp_path: Path) -> None:
    """Scans, truth and model go in; numbers, detections and a page come out and agree."""
    truth, out, steps = write_set(tmp_path / "set"), tmp_path / "out", []
    result = evaluate(bundle, truth.parent, out, on_progress=lambda *now: steps.append(now))
    assert steps == [(done, IMAGES) for done in range(1, IMAGES + 1)]
    assert sorted(path.name for path in out.iterdir()) == sorted(
        (report.METRICS_FILE, report.DETECTIONS_FILE, report.PAGE_FILE)
    )
    data = json.loads((out / report.METRICS_FILE).read_text("utf-8"))
    assert data == result.to_json()
    assert data["counts"]["scans"] == IMAGES
    assert data["counts"]["benign_scans"] == IMAGES // 2
    for name in METRICS:
        if "search" not in name:
            assert result.estimates[name].value == pytest.approx(METRICS[name].best), name
    assert [row.name for row in result.strata] == ["brick", "behind 20-50 g/cm²"]
    assert "Evaluation of stand-in 1" in (out / report.PAGE_FILE).read_text("utf-8")


def test_detections_can_be_loaded_by_other_tools(bundle: Path, tmp_path: Path) -> None:
    """The detections file is a COCO result file for the very truth file."""
    coco = pytest.importorskip("faster_coco_eval").COCO
    truth, out = write_set(tmp_path / "set"), tmp_path / "out"
    evaluate(bundle, truth, out)
    data = json.loads(truth.read_text("utf-8"))
    loaded = coco(data).loadRes(json.loads((out / report.DETECTIONS_FILE).read_text("utf-8")))
    boxes = {(row["image_id"], row["category_id"]): row["bbox"] for row in loaded.anns.values()}
    true = {(row["image_id"], row["category_id"]): row["bbox"] for row in data["annotations"]}
    assert boxes == true


def test_without_labels_for_threats_they_are_not_judged(bundle: Path, tmp_path: Path) -> None:
    """A set of containers only: threats are not applicable, bricks found are no false alarms."""
    truth = write_set(tmp_path / "set", names=("container",))
    result = evaluate(bundle, truth, tmp_path / "out")
    assert result.estimates["p_d_at_look"].value is None
    assert result.estimates["p_fa_at_look"].value is None
    assert result.estimates["structures_exact"].value == 1
    assert any("no labels for: vehicle, brick" in text for text in result.warnings)
    assert result.counts["detections"] == IMAGES


def test_classes_that_the_model_does_not_know_count_as_missed(bundle: Path, tmp_path: Path) -> None:
    """A labelled class that is not on the card is judged and named."""
    truth = write_set(tmp_path / "set", names=("container", "brick"))
    text = truth.read_text("utf-8").replace('"brick"', '"firearm"')
    truth.write_text(text, "utf-8")
    result = evaluate(bundle, truth, tmp_path / "out")
    assert result.estimates["p_d_at_look"].value == 0
    assert any("cannot report: firearm" in warning for warning in result.warnings)


def test_unreadable_scans_are_counted_and_named(bundle: Path, tmp_path: Path) -> None:
    """A damaged file and one of another size are left out, and the rest is measured."""
    truth = write_set(tmp_path / "set")
    (truth.parent / "scan-0.png").write_bytes(b"\x89PNG no more")
    cv2.imwrite(str(truth.parent / "scan-1.png"), np.zeros((5, 5), np.uint8))
    result = evaluate(bundle, truth, tmp_path / "out")
    assert [row.scan for row in result.failures] == ["scan-0.png", "scan-1.png"]
    assert "300 x 120" in result.failures[1].reason
    assert result.counts["scans"] == IMAGES - 2
    assert result.counts["failures"] == 2
    assert "scan-0.png" in (tmp_path / "out" / report.PAGE_FILE).read_text("utf-8")


def test_nothing_readable_is_an_error(bundle: Path, tmp_path: Path) -> None:
    """Where not one scan can be read nothing is written."""
    truth = write_set(tmp_path / "set")
    for path in truth.parent.glob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(ScanFormatError, match="not one readable scan"):
        evaluate(bundle, truth, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_limit(bundle: Path, tmp_path: Path) -> None:
    """With a limit the first scans are read and the result says so; none is no choice."""
    truth = write_set(tmp_path / "set")
    result = evaluate(bundle, truth, tmp_path / "out", limit=4)
    assert result.counts["scans"] == 4
    assert any("first 4 of 6" in text for text in result.warnings)
    with pytest.raises(ConfigError, match="1 or more"):
        evaluate(bundle, truth, tmp_path / "out", limit=0)


@pytest.mark.slow
def test_two_runs_write_the_same(bundle: Path, tmp_path: Path) -> None:
    """The files depend on model and data only: not on time, place or chance."""
    truth = write_set(tmp_path / "set")
    for name in ("first", "second"):
        evaluate(bundle, truth, tmp_path / name)
    for name in (report.METRICS_FILE, report.DETECTIONS_FILE, report.PAGE_FILE):
        first, second = ((tmp_path / run / name).read_bytes() for run in ("first", "second"))
        assert first == second


def test_an_altered_bundle_is_refused(bundle: Path, tmp_path: Path) -> None:
    """Nothing is measured with a model that is not the one its card describes."""
    truth = write_set(tmp_path / "set")
    (bundle / "model.onnx").write_bytes(b"another")
    with pytest.raises(BundleError, match="SHA-256"):
        evaluate(bundle, truth, tmp_path / "out")


@pytest.mark.slow
def test_two_models_are_compared_scan_by_scan(bundle: Path, tmp_path: Path) -> None:
    """A model against itself: two reports, one comparison, and no difference anywhere."""
    truth, out = write_set(tmp_path / "set"), tmp_path / "out"
    found = evaluate_pair(bundle, bundle, truth, out)
    assert found.scans == IMAGES
    assert found.failures == 0
    assert (out / report.AGAINST_FOLDER / report.PAGE_FILE).is_file()
    assert json.loads((out / report.COMPARISON_FILE).read_text("utf-8")) == found.to_json()
    assert "stand-in 1 against stand-in 1" in (out / report.COMPARISON_PAGE_FILE).read_text("utf-8")
    assert found.metrics
    assert {row.verdict for row in (*found.metrics.values(), *found.strata)} == {"not decided"}


@pytest.mark.slow
def test_masks_give_pixel_figures(bundle: Path, tmp_path: Path) -> None:
    """Without a map the painted boxes are held against outlines, or boxes where there are none."""
    truth = write_set(tmp_path / "set")
    bare = evaluate(bundle, truth, tmp_path / "bare")
    assert bare.pixels is not None
    assert bare.pixels.auroc == pytest.approx(1.0)
    assert "holds no masks" in bare.pixels.note
    data = json.loads(truth.read_text("utf-8"))
    for row in data["annotations"]:
        x, y, wide, high = row["bbox"]
        x1, y1 = x + wide - 1, y + high - 1
        row["segmentation"] = [[x, y, x1, y, x1, y1, x, y1]]
    truth.write_text(json.dumps(data), "utf-8")
    found = evaluate(bundle, truth, tmp_path / "out").pixels
    assert found is not None
    assert found.regions == IMAGES // 2
    assert found.auroc == pytest.approx(1.0)
    assert found.aupro == pytest.approx(1.0)
    assert "holds no masks" not in found.note
    assert "best threat box" in found.note


def test_the_anomaly_map_gives_pixel_figures(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model with a map is judged by it, not by its boxes: a map that is flat knows nothing."""
    truth = write_set(tmp_path / "set")

    def examine(self: DarkThings, scan: Scan) -> Found:
        flat = np.full((-(-scan.height // 4), -(-scan.width // 4)), 0.5, np.float32)
        return Found(*self.detect(scan), flat)

    monkeypatch.setattr(DarkThings, "examine", examine, raising=False)
    found = evaluate(bundle, truth, tmp_path / "out")
    assert found.pixels is not None
    assert found.pixels.auroc == pytest.approx(0.5)
    assert "anomaly map" in found.pixels.note
    assert found.estimates["threat_ap50"].value == pytest.approx(1.0)


def test_containers_are_reported(bundle: Path, tmp_path: Path) -> None:
    """Benign containers, what they can show, strata and promises stand in the result."""
    found = evaluate(bundle, write_set(tmp_path / "set"), tmp_path / "out").containers
    assert found is not None
    assert (found.containers, found.benign, found.threats) == (IMAGES, IMAGES // 2, IMAGES // 2)
    assert found.least_share == pytest.approx(2 / IMAGES)
    assert {row.kind for row in found.strata} >= {"class", "scanner", "size in pixels"}
    assert found.promises
    assert found.detectability is not None
    assert found.detectability.unit == "px"
