"""Labels from one form to another: what a form can hold comes back, what it cannot is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nii import formats, taxonomy
from nii.annotations.coco import CocoImage, CocoSet
from nii.detections import Detections
from nii.evaluate.data_convert import lost_in, read_labels, write_labels
from nii.evaluate.data_rows import Form
from nii.scan import Scan

_BOXES = ((4.0, 2.0, 52.0, 26.0), (20.0, 8.0, 30.0, 14.0))
_NAMES = ("container", "brick")


@pytest.fixture
def labelled(tmp_path: Path) -> CocoSet:
    """Return a set of one scan on disk: a full container with a brick behind 7 g/cm2."""
    path = tmp_path / "images" / "a.png"
    path.parent.mkdir()
    formats.write(Scan(np.full((1, 32, 60), 0.5, np.float32)), path)
    ids = np.asarray([taxonomy.by_name(name).class_id for name in _NAMES], np.int64)
    truth = Detections(np.asarray(_BOXES, np.float32), np.ones(2, np.float32), ids)
    behind = np.asarray([np.nan, 7.0], np.float32)
    return CocoSet((CocoImage(path, 32, 60, truth, ("full", None), behind),))


@pytest.mark.parametrize("form", ["coco", "voc", "yolo"])
def test_boxes_and_classes_survive_every_form(
    labelled: CocoSet, form: Form, tmp_path: Path
) -> None:
    """Written and strictly read again, boxes are the same to a hundredth of a pixel."""
    root = tmp_path / "images"
    place = tmp_path / ("out.json" if form == "coco" else "out")
    write_labels(labelled, place, form, root)
    again, found_root = read_labels(place, root)
    assert found_root == root
    (image,) = again.images
    order = np.argsort(image.truth.boxes_xyxy[:, 0])
    assert np.allclose(image.truth.boxes_xyxy[order], _BOXES, atol=0.01)
    names = [taxonomy.classes()[int(row)].name for row in image.truth.class_ids[order]]
    assert tuple(names) == _NAMES


def test_what_a_form_cannot_hold_is_told(labelled: CocoSet) -> None:
    """COCO holds all; YOLO loses load state and areal density; VOC the classes not found."""
    assert lost_in(labelled, "coco") == ()
    told = " ".join(lost_in(labelled, "yolo"))
    assert "1 load states" in told
    assert "1 areal densities" in told
    assert "not say" in lost_in(labelled, "voc")[0]
