"""Labels as they are written: one fault does not hide the others, and every form gives rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nii import formats
from nii.errors import AnnotationError
from nii.evaluate.data_rows import image_root_of, read_splits
from nii.scan import Scan


def _coco(folder: Path, annotations: list[dict[str, object]], name: str = "train.json") -> Path:
    folder.mkdir(exist_ok=True)
    data = {
        "images": [{"id": 1, "file_name": "a.png", "width": 30, "height": 20}],
        "categories": [{"id": 1, "name": "firearm"}],
        "annotations": annotations,
    }
    path = folder / name
    path.write_text(json.dumps(data), "utf-8")
    return path


def test_every_fault_of_a_coco_file_is_told_and_the_rest_read(tmp_path: Path) -> None:
    """A bad box, an unknown class, an unknown image and an id twice: four faults, one row left."""
    good: dict[str, object] = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}
    bad = [
        good | {"id": 2, "bbox": [1, 2]},
        good | {"id": 3, "category_id": 9},
        good | {"id": 4, "image_id": 9},
        good | {"id": 2, "bbox": "no"},
    ]
    (split,) = read_splits(_coco(tmp_path / "set", [good, *bad]))
    assert len(split.faults) == 5  # the id that stands twice is one of them
    assert [box.box_xyxy for box in split.images[0].boxes] == [(1, 2, 4, 6)]
    assert split.class_names == ("firearm",)


def test_what_is_no_coco_file_is_a_fault_and_no_crash(tmp_path: Path) -> None:
    """A list, half a file and a missing table each become one fault."""
    for text in ("[]", '{"images": [', '{"images": []}'):
        path = tmp_path / "a.json"
        path.write_text(text, "utf-8")
        (split,) = read_splits(path)
        assert len(split.faults) == 1
        assert not split.images


def test_each_file_of_a_folder_is_a_split(tmp_path: Path) -> None:
    """train.json and val.json in one folder are two splits."""
    _coco(tmp_path / "set", [])
    _coco(tmp_path / "set", [], "val.json")
    names = [split.name for split in read_splits(tmp_path / "set")]
    assert sorted(names) == ["set/train.json", "set/val.json"]


def test_yolo_and_voc_give_the_same_box(tmp_path: Path) -> None:
    """The same box in shares of the image and in corners is the same row."""
    yolo = tmp_path / "yolo"
    (yolo / "labels").mkdir(parents=True)
    (yolo / "images").mkdir()
    formats.write(Scan(np.full((1, 20, 40), 0.5, np.float32)), yolo / "images" / "a.png")
    (yolo / "classes.txt").write_text("firearm\n", "utf-8")
    (yolo / "labels" / "a.txt").write_text("0 0.25 0.5 0.2 0.4\n", "utf-8")
    (read,) = read_splits(yolo)
    assert not read.faults
    assert np.allclose(read.images[0].boxes[0].box_xyxy, (6, 6, 14, 14))
    assert read.images[0].boxes[0].class_name == "firearm"
    (yolo / "labels" / "a.txt").write_text("0 0.25 0.5\n", "utf-8")
    assert len(read_splits(yolo)[0].faults) == 1


def test_a_folder_without_labels_is_an_error(tmp_path: Path) -> None:
    """Nothing to read is said, and images beside the labels are found."""
    with pytest.raises(AnnotationError, match="no labels"):
        read_splits(tmp_path)
    assert image_root_of(tmp_path) == tmp_path
    (tmp_path / "images").mkdir()
    assert image_root_of(tmp_path / "a.json") == tmp_path / "images"
