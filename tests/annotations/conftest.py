"""A small labelled set on disk, for every annotation format."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from nii import taxonomy
from nii.annotations.coco import CocoImage, CocoSet
from nii.detections import Detections


@pytest.fixture
def small_set(tmp_path: Path) -> CocoSet:
    """Return two images below ``images``: one with a container and a firearm, one empty."""
    root = tmp_path / "images"
    (root / "sub").mkdir(parents=True)
    for name, size in (("a.png", (50, 100)), ("sub/b.png", (60, 80))):
        assert cv2.imwrite(str(root / name), np.full(size, 200, np.uint8))
    container, firearm = (taxonomy.by_name(n).class_id for n in ("container", "firearm"))
    truth = Detections(
        np.array([[1, 2, 91, 42], [10.5, 11.25, 30.5, 32.3]], np.float32),
        np.ones(2, np.float32),
        np.array([container, firearm], np.int64),
    )
    behind = np.array([np.nan, 12.5], np.float32)
    chapters = (("22", "84"), ())
    first = CocoImage(root / "a.png", 50, 100, truth, ("full", None), behind, "0" * 64, 7, chapters)
    none = np.zeros(0, np.float32)
    second = CocoImage(root / "sub/b.png", 60, 80, Detections.empty(), (), none)
    return CocoSet((first, second), ("container", "firearm"))
