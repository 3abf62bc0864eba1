"""The anomaly map: its score ranks scans, its picture shows it, and it raises no level."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

from nii import formats
from nii.bundle import Bundle, Card
from nii.detections import Detections
from nii.infer.anomaly import CELLS, Found, anomaly_of, grey_of_map, map_png, tinted
from nii.infer.batch import Inspected, inspect_files
from nii.infer.detect import Detector
from nii.infer.inspect import inspect
from nii.infer.report import entry_of
from nii.infer.results import ANOMALY_SUFFIX
from nii.infer.runtime import CPU, ProviderSettings
from nii.inspection import Level, ModelFacts, ProviderFacts, Structure
from nii.scan import AnyScan, Scan

CONTAINER = Structure("container", 1, (80.0, 40.0, 320.0, 160.0), 0.9)
ODD_XY = (300, 220)


class WithMap:
    """A detector with a map that has one odd place; all else is that of the real one."""

    def __init__(self, real: Detector) -> None:
        """Keep the real detector."""
        self._real = real

    @property
    def provider(self) -> ProviderFacts:
        """Return what the model runs on."""
        return self._real.provider

    @property
    def model(self) -> ModelFacts:
        """Return which model looks."""
        return self._real.model

    @property
    def card(self) -> Card:
        """Return the facts about the model."""
        return self._real.card

    def detect(self, scan: AnyScan) -> tuple[Detections, Mapping[str, float]]:
        """Return nothing but containers."""
        found = self.examine(scan)
        return found.detections, found.timing_ms

    def examine(self, scan: AnyScan) -> Found:
        """Return containers, and a map that is 1 in one place."""
        found, timing = self._real.detect(scan)
        calm = found.select(np.flatnonzero(found.scores > 2))
        return Found(calm, timing, odd_map(scan.height // 4, scan.width // 4))


def odd_map(rows: int, columns: int) -> np.ndarray:
    """Return a map of 0.05 with a square of 0.9 around ODD_XY."""
    made = np.full((rows, columns), 0.05, np.float32)
    x, y = ODD_XY[0] // 4, ODD_XY[1] // 4
    made[y - 6 : y + 6, x - 6 : x + 6] = 0.9
    return made


@pytest.fixture
def detector(tiny_bundle: Bundle) -> Detector:
    """Return the tiny model, which has no anomaly map."""
    return Detector.open(tiny_bundle.folder, ProviderSettings((CPU,)))


def test_the_score_is_what_a_hand_sized_place_reaches() -> None:
    """Fewer odd cells than CELLS do not count; more air or more scan changes nothing."""
    few, many = (np.zeros((60, 100), np.float32) for _ in range(2))
    few[20, 20 : 20 + CELLS // 2] = 1
    many[20:28, 20 : 20 + CELLS // 8] = 0.7
    assert anomaly_of(few, [CONTAINER], 4).score == 0
    assert anomaly_of(many, [CONTAINER], 4).score == pytest.approx(0.7)
    wider = np.pad(many, ((0, 30), (0, 200)), constant_values=0.3)
    assert anomaly_of(wider, [CONTAINER], 4).score == pytest.approx(0.7)


def test_only_containers_are_looked_at_where_there_are_any() -> None:
    """An odd place beside the container counts only where nothing was found to look at."""
    beside = np.zeros((60, 100), np.float32)
    beside[45:58, 85:98] = 0.8
    assert anomaly_of(beside, [CONTAINER], 4).score == 0
    without = anomaly_of(beside, [], 4)
    assert without.score == pytest.approx(0.8)
    assert without.looked_at == "scan"
    x, y = without.highest_xy
    assert abs(x - 366) < 12
    assert abs(y - 206) < 12


def test_the_picture_of_the_map_holds_its_values(rng: np.random.Generator) -> None:
    """The PNG has one 8-bit pixel a cell, and half a level is lost at most."""
    found = rng.random((30, 50)).astype(np.float32)
    back = cv2.imdecode(np.frombuffer(map_png(found), np.uint8), cv2.IMREAD_UNCHANGED)
    assert back is not None
    np.testing.assert_array_equal(back, grey_of_map(found))
    assert float(np.abs(back / 255 - found).max()) <= 0.5 / 255 + 1e-6


def test_the_tint_lies_where_the_map_is_high() -> None:
    """A calm map leaves the picture grey; one odd cell shows even in a small picture."""
    grey = np.full((400, 1200), 120, np.uint8)
    calm = tinted(grey, np.zeros((100, 300), np.float32), 200)
    assert (calm == 120).all()
    odd = np.zeros((100, 300), np.float32)
    odd[50, 150] = 1
    shown = tinted(grey, odd, 200)
    assert shown.shape == (67, 200, 3)
    y, x = np.unravel_index(int(np.argmax(shown[..., 2])), shown.shape[:2])
    assert abs(int(y) - 33) <= 1
    assert abs(int(x) - 100) <= 1
    assert int(shown[..., 2].max()) > 150


def test_a_map_raises_no_level(detector: Detector, make_scan: Callable[..., Scan]) -> None:
    """A striking map with no region stays clear, and its score and place are told."""
    seen = inspect(make_scan(()), WithMap(detector))
    assert seen.level is Level.CLEAR
    assert seen.anomaly is not None
    assert seen.anomaly.score == pytest.approx(0.9)
    assert abs(seen.anomaly.highest_xy[0] - ODD_XY[0]) < 24


@pytest.mark.slow
def test_a_model_without_a_map_says_so(
    detector: Detector, make_scan: Callable[..., Scan], tmp_path: Path
) -> None:
    """Bundles of before there was a map still run; the result has none, and the page tells it."""
    formats.write(make_scan(), tmp_path / "a.tiff")
    (done,) = inspect_files([(tmp_path / "a.tiff",)], detector, tmp_path / "out")
    assert isinstance(done, Inspected)
    assert done.inspection.anomaly is None
    assert not list((tmp_path / "out").glob(f"*{ANOMALY_SUFFIX}"))
    assert entry_of(done).attention == ""


def test_the_map_lies_beside_the_overlay(
    detector: Detector, make_scan: Callable[..., Scan], tmp_path: Path
) -> None:
    """A model with a map leaves an 8-bit picture of it, and the page shows it."""
    formats.write(make_scan(), tmp_path / "a.tiff")
    (done,) = inspect_files([(tmp_path / "a.tiff",)], WithMap(detector), tmp_path / "out")
    assert isinstance(done, Inspected)
    content = (tmp_path / "out" / f"a{ANOMALY_SUFFIX}").read_bytes()
    back = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert back is not None
    assert back.shape == (64, 200)
    assert "raises no alarm" in entry_of(done).attention
