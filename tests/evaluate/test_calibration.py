"""Calibration for a site: resumable, same network, honest about too few scans."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from nii import formats, taxonomy
from nii.bundle import (
    CARD_KEY,
    Beside,
    Bundle,
    Card,
    DecodeSpec,
    Thresholds,
    read_bundle,
    write_bundle,
)
from nii.detections import Detections
from nii.errors import ConfigError
from nii.evaluate.calibration import (
    PAGE_FILE,
    ask_site,
    calibrate_bundle,
    calibrated,
    forecast,
    notes_of,
    page,
)
from nii.evaluate.guarantee import GuaranteeConfig, misses_allowed
from nii.evaluate.intervals import Proportion
from nii.evaluate.site import Answers
from nii.inspection import ModelFacts, ProviderFacts
from nii.preprocess import PreprocessSpec
from nii.provenance import Provenance
from nii.scan import AnyScan, Scan
from nii.simulate.projection import ProjectionConfig

_BOX = (40, 30, 360, 150)
_NAMES = ("firearm", "dense_object")
_WALL = 0.3


def _card() -> Card:
    return Card(
        name="eye",
        version="1",
        threats=_NAMES,
        structures=("vehicle", "container"),
        preprocess=PreprocessSpec(),
        decode=DecodeSpec(),
        thresholds=Thresholds(dict.fromkeys(_NAMES, 0.3), dict.fromkeys(_NAMES, 0.7)),
        provenance=Provenance(steps=("made for tests",)).to_json(),
    )


class Eye:
    """A detector that reports every dark spot in the flat load of the test scans."""

    def __init__(self) -> None:
        """Count how often it is asked."""
        self.card = _card()
        self.model = ModelFacts("eye", "1", "0" * 64)
        self.asked = 0

    @property
    def provider(self) -> ProviderFacts:
        """Return that it runs anywhere."""
        return ProviderFacts((), (), (), "cpu", None)

    def detect(self, scan: AnyScan) -> tuple[Detections, Mapping[str, float]]:
        """Return the container, and each dark spot once as every class."""
        self.asked += 1
        attenuation = -np.log(np.maximum(scan.plane(), 1e-4))
        dark = (cv2.blur(attenuation, (3, 3)) > _WALL + 0.05).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(dark)
        rows = [(x, y, x + w, y + h) for x, y, w, h, area in stats[1:].tolist() if area > 4]
        ids = [taxonomy.by_name(name).class_id for name in _NAMES]
        boxes = [_BOX, *(row for row in rows for _ in ids)]
        return Detections(
            np.asarray(boxes, np.float32),
            np.asarray([0.9] + [0.8] * (len(boxes) - 1), np.float32),
            np.asarray([taxonomy.by_name("container").class_id, *(ids * len(rows))], np.int64),
        ), {}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[Path, ...], ...]:
    """Return the files of some benign scans of one load."""
    folder = tmp_path_factory.mktemp("site")
    rng = np.random.default_rng(5)
    for number in range(24):
        attenuation = np.zeros((2, 180, 400), np.float32)
        x0, y0, x1, y1 = _BOX
        attenuation[:, y0:y1, x0:x1] = _WALL
        signal = np.exp(-attenuation) + rng.normal(0, 1e-3, attenuation.shape)
        signal = np.clip(signal, 1e-3, 1).astype(np.float32)
        scan = Scan(signal, endpoint_mev=(9.0, 6.0), pixel_pitch_mm=(20.0, 20.0), scanner="here")
        formats.write(scan, folder / f"{number:02}.tiff")
    return formats.find((folder,))


@pytest.fixture(scope="module")
def seen(
    site: tuple[tuple[Path, ...], ...], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Answers, Path, Eye]:
    """Return the answers of the eye, where they are kept, and the eye."""
    work, eye = tmp_path_factory.mktemp("work"), Eye()
    return ask_site(site, eye, work, ProjectionConfig(threats_per_scan=2)), work, eye


@pytest.mark.slow
def test_answers_are_kept_and_not_asked_again(
    site: tuple[tuple[Path, ...], ...], seen: tuple[Answers, Path, Eye]
) -> None:
    """A second run asks the model nothing and gives the same; another seed is refused."""
    answers, work, eye = seen
    asked = eye.asked
    assert ask_site(site, eye, work, ProjectionConfig(threats_per_scan=2)) == answers
    assert eye.asked == asked
    with pytest.raises(ConfigError, match="other settings"):
        ask_site(site, eye, work, ProjectionConfig(threats_per_scan=2, seed=1))


def test_each_scan_counts_once_and_benign_copies_stay_benign(
    seen: tuple[Answers, Path, Eye],
) -> None:
    """Containers with and without threats belong to the same scan; none is benign twice."""
    answers = seen[0]
    table = answers.table()
    assert int(table.benign.sum()) == len(answers.rows) == 24
    assert set(table.scan_of_threat.tolist()) <= set(range(24))
    assert len(answers.reference()) == 24


def test_an_eye_that_sees_all_gets_a_promise_and_a_map(
    seen: tuple[Answers, Path, Eye],
) -> None:
    """With 24 scans and hardly a miss, 70 % can be promised; the card says it and rises."""
    made = calibrated(_card(), seen[0], GuaranteeConfig(miss=0.3))
    spec = made.card.guarantee
    assert spec is not None
    assert spec.scanner == "here"
    assert spec.holds
    assert any("With 95 % confidence at least 70 %" in text for text in spec.promises)
    assert made.card.version == "1.1"
    text = page(made)
    assert "<svg" in text
    assert "What it does not cover" in text


def test_too_few_scans_promise_little_and_say_how_many_are_needed(
    seen: tuple[Answers, Path, Eye],
) -> None:
    """Ten scans cannot show 90 %: the notes say what they could, and what would do."""
    few = replace(seen[0], rows=seen[0].rows[:10])
    made = calibrated(_card(), few, GuaranteeConfig(miss=0.1))
    assert made.card.guarantee is not None
    assert not made.card.guarantee.holds
    assert any("scans or more are needed for 90 %" in note for note in made.notes)


@pytest.mark.slow
def test_more_scans_are_asked_for_only_where_they_help(seen: tuple[Answers, Path, Eye]) -> None:
    """Two of ten missed prove no 50 % yet, but more scans would; six of ten never will."""
    config = GuaranteeConfig(miss=0.5)
    made = calibrated(_card(), seen[0], config)
    (first, second) = (
        replace(row, at_least=None, threshold=None, counts=Proportion(found, 10))
        for row, found in zip(made.guarantee.promises, (8, 4), strict=True)
    )
    silent = replace(made.guarantee, promises=(first, second))
    early, late = notes_of(seen[0], seen[0].table(), silent, config)[:2]
    assert early.startswith(f"Nothing is promised for {first.class_name} yet: 2 of 10 are missed")
    scans = int(early.split("about ")[1].split()[0])
    trials = math.ceil(scans * 10 / len(seen[0].rows))
    allowed = misses_allowed(trials, 0.5, 1 - 0.05 / 2)
    assert allowed is not None
    assert allowed >= 0.2 * trials > 2
    assert late.startswith(f"Nothing is promised for {second.class_name}: ")
    assert "More scans do not help" in late


def test_a_forecast_tries_one_scan_and_writes_nothing(
    site: tuple[tuple[Path, ...], ...],
) -> None:
    """It tells how long all take and how many are needed; ten scans cannot prove 90 %."""
    eye, ticks = Eye(), iter((0.0, 6.0))
    before = sorted(site[0][0].parent.iterdir())
    wanted = GuaranteeConfig(miss=0.1)
    lines = forecast(site[:10], eye, ProjectionConfig(), wanted, lambda: next(ticks))
    assert eye.asked == 2
    assert any("About 1.0 minutes for all 10 scans" in line for line in lines)
    assert lines[-1] == "10 scans cannot prove 90 %."
    assert sorted(site[0][0].parent.iterdir()) == before


def test_the_bundle_keeps_its_network_and_carries_the_card_twice(
    seen: tuple[Answers, Path, Eye], tmp_path: Path
) -> None:
    """Only the card differs; the one inside the model is the one beside it; no signature."""
    onnx = pytest.importorskip("onnx", reason="the extra [train] is not installed")
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"
    ]
    graph = onnx.helper.make_graph([node], "g", values[:1], values[1:])
    model = onnx.helper.make_model(graph).SerializeToString()
    source: Bundle = write_bundle(
        tmp_path / "eye", _card(), model, {}, b"test", Beside({}, b"weights")
    )
    out = tmp_path / "here"
    written, done = calibrate_bundle(
        source.folder, seen[0], out, GuaranteeConfig(miss=0.3), report=tmp_path / "report"
    )
    again = read_bundle(out)
    assert again.card.guarantee == done.card.guarantee
    assert again.card.weights_sha256 == source.card.weights_sha256
    inside = onnx.load(str(written.model_path))
    card = json.loads({row.key: row.value for row in inside.metadata_props}[CARD_KEY])
    assert card["guarantee"]["promises"] == list(done.card.guarantee.promises)  # type: ignore[union-attr]
    assert inside.graph == onnx.load_from_string(model).graph
    assert (tmp_path / "report" / PAGE_FILE).is_file()
    with pytest.raises(ConfigError, match="another folder"):
        calibrate_bundle(out, seen[0], out, GuaranteeConfig())
