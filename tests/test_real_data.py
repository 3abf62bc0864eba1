"""The whole line on real scans; skipped where they are absent (see data/SOURCES.toml)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nii import boxes, formats
from nii.annotations.coco import read_coco
from nii.infer.detect import Detector
from nii.infer.inspect import inspect
from nii.infer.runtime import CPU, ProviderSettings
from nii.scan import Grey

MODELS = sorted((Path(__file__).parents[1] / "models").glob("*/card.json"))

pytestmark = [pytest.mark.real]


def test_every_real_scan_is_read_as_a_display_image(real_data: Path) -> None:
    """The JPEG exports of a real scanner are recognised by content and read without an error."""
    groups = formats.find([real_data / "cargo-trucks" / "images"])
    assert len(groups) == 184
    for files in groups[::16]:
        scan = formats.read(files)
        assert (scan.grey, scan.energy_count) == (Grey.DISPLAY, 1)
        assert scan.sha256 is not None


@pytest.mark.slow
@pytest.mark.parametrize("card", MODELS, ids=[path.parent.name for path in MODELS])
def test_shipped_models_find_containers_on_trucks_they_never_saw(
    card: Path, real_data: Path
) -> None:
    """Trained on simulation alone it finds most real containers (AP is in docs/results.md)."""
    trucks = real_data / "cargo-trucks"
    labels = read_coco(trucks / "val.json", trucks / "images").images[::6]
    detector = Detector.open(card.parent, ProviderSettings((CPU,)))
    found = []
    for image in labels:
        inspection = inspect(formats.read(image.path), detector)
        shown = [part.box_xyxy for part in inspection.containers]
        overlap = boxes.iou(image.truth.boxes_xyxy, np.asarray(shown, np.float32).reshape(-1, 4))
        found += (overlap.max(axis=1, initial=0) > 0.5).tolist()
    assert np.mean(found) >= 0.7
