"""Tests of :mod:`nii.infer.detect`: a real model finds what the scan holds."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nii import taxonomy
from nii.bundle import Bundle, Card, write_bundle
from nii.detections import Detections
from nii.errors import BundleError
from nii.infer import decode, detect
from nii.infer.decode import Frame, OutputMaps
from nii.infer.detect import Detector
from nii.infer.runtime import CPU, ProviderSettings, open_session
from nii.scan import Scan

DENSE = taxonomy.by_name("dense_object").class_id
CONTAINER = taxonomy.by_name("container").class_id


@pytest.fixture(scope="module")
def detector(tiny_bundle: Bundle) -> Detector:
    """Return a detector with the tiny model."""
    return Detector.open(tiny_bundle.folder, ProviderSettings((CPU,)))


def boxes_of(detector: Detector, scan: Scan, class_id: int) -> np.ndarray:
    """Return the boxes of one class, from left to right."""
    found, _ = detector.detect(scan)
    boxes = found.boxes_xyxy[found.class_ids == class_id]
    return np.asarray(boxes[np.argsort(boxes[:, 0])])


def test_finds_the_threat_and_the_container(
    detector: Detector, make_scan: Callable[..., Scan]
) -> None:
    """Boxes lie within three pixels of what was put into the scan."""
    scan = make_scan(((320, 120), (500, 160)))
    expected = [[296, 96, 344, 144], [476, 136, 524, 184]]
    np.testing.assert_allclose(boxes_of(detector, scan, DENSE), expected, atol=3)
    np.testing.assert_allclose(boxes_of(detector, scan, CONTAINER), [[192, 56, 608, 200]], atol=3)


def test_containers_end_where_the_scan_shows_it(
    detector: Detector, make_scan: Callable[..., Scan], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the network places too wide is cut at the ends; threats stay where they are."""
    decoded = decode.decode

    def wide(maps: OutputMaps, card: Card, frame: Frame) -> Detections:
        found = decoded(maps, card, frame)
        boxes = found.boxes_xyxy.copy()
        boxes[found.class_ids == CONTAINER] += np.asarray([-90, 0, 90, 0], np.float32)
        return replace(found, boxes_xyxy=boxes)

    scan = make_scan()
    before, threats = (boxes_of(detector, scan, kind) for kind in (CONTAINER, DENSE))
    monkeypatch.setattr(detect, "decode", wide)
    np.testing.assert_allclose(boxes_of(detector, scan, CONTAINER), before, atol=4)
    np.testing.assert_array_equal(boxes_of(detector, scan, DENSE), threats)


@pytest.mark.slow
@pytest.mark.parametrize("shift", [-96, 64, 160])
def test_boxes_move_with_the_scan(
    detector: Detector, make_scan: Callable[..., Scan], shift: int
) -> None:
    """A vehicle that stands elsewhere has the same boxes elsewhere."""
    for class_id in (DENSE, CONTAINER):
        still = boxes_of(detector, make_scan(), class_id)
        moved = boxes_of(detector, make_scan(shift=shift), class_id)
        np.testing.assert_allclose(moved - still, [[shift, 0, shift, 0]], atol=0.5)


def test_air_holds_nothing(detector: Detector) -> None:
    """An empty beam gives no detection, and one energy is as good as two."""
    for energies in (1, 2):
        found, _ = detector.detect(Scan(np.ones((energies, 250, 310), np.float32)))
        assert len(found) == 0


def test_times_are_those_of_the_clock(tiny_bundle: Bundle, make_scan: Callable[..., Scan]) -> None:
    """Each stage has the milliseconds that passed on the clock that was given."""
    session = open_session(tiny_bundle.model_path, ProviderSettings((CPU,)))
    seconds = itertools.accumulate(itertools.count())
    detector = Detector(tiny_bundle, session, timer=lambda: float(next(seconds)))
    _, times = detector.detect(make_scan())
    assert times == {"preprocess": 1000.0, "run": 2000.0, "decode": 3000.0}


def test_a_bundle_that_contradicts_itself_is_refused(
    tmp_path: Path, tiny_bundle: Bundle, make_model: Callable[..., bytes]
) -> None:
    """A sound digest does not help where the model carries no card."""
    write_bundle(tmp_path / "bare", tiny_bundle.card, make_model(None), {})
    with pytest.raises(BundleError, match="Export the model again"):
        Detector.open(tmp_path / "bare", ProviderSettings((CPU,)))


@pytest.mark.slow
def test_shipped_bundles_open_and_run(root: Path) -> None:
    """Every bundle in models/ is sound and looks at a scan of odd size."""
    shipped = [card.parent for card in sorted((root / "models").glob("*/card.json"))]
    if not shipped:
        pytest.skip("no bundle in models/")
    scan = Scan(np.full((2, 203, 331), 0.8, np.float32), endpoint_mev=(9.0, 6.0))
    for folder in shipped:
        found, _ = Detector.open(folder, ProviderSettings((CPU,))).detect(scan)
        assert (found.boxes_xyxy[:, 2] <= scan.width).all()
