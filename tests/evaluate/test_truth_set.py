"""Tests of how a truth file is found and what is read from it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from nii import taxonomy
from nii.errors import AnnotationError
from nii.evaluate.truth_set import find_truth, read_truth


def write(folder: Path, name: str = "train.json", images: str = "") -> Path:
    """Write a truth file with one image and one container, ids of its own."""
    (folder / images).mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / images / "a.png"), np.full((20, 40), 200, np.uint8))
    data = {
        "images": [{"id": 31, "file_name": "a.png", "width": 40, "height": 20}],
        "categories": [{"id": 5, "name": "container"}],
        "annotations": [{"id": 1, "image_id": 31, "category_id": 5, "bbox": [1, 2, 10, 8]}],
    }
    (folder / name).write_text(json.dumps(data), "utf-8")
    return folder / name


def test_ids_of_the_file_are_kept(tmp_path: Path) -> None:
    """Only classes that have labels are judged, under the ids that the file gives them."""
    write(tmp_path)
    truth = read_truth(tmp_path)
    container = taxonomy.by_name("container").class_id
    assert truth.class_ids == (container,)
    assert truth.category_ids == {container: 5}
    assert truth.image_ids == (31,)
    assert truth.name_of(truth.images[0]) == "a.png"


@pytest.mark.parametrize("images", ["", "images"])
def test_images_beside_or_below(tmp_path: Path, images: str) -> None:
    """Images are found beside the truth file and in its folder ``images``."""
    path = write(tmp_path, images=images)
    assert read_truth(path).images[0].path == tmp_path / images / "a.png"


def test_images_elsewhere_must_be_named(tmp_path: Path) -> None:
    """Images in another folder are not looked for, but found when it is named."""
    path = write(tmp_path, images="other")
    with pytest.raises(AnnotationError, match="no image at"):
        read_truth(path)
    assert len(read_truth(path, tmp_path / "other").images) == 1


def test_two_truth_files_are_an_error_that_names_them(tmp_path: Path) -> None:
    """Nothing is guessed: a folder with two truth files names both."""
    write(tmp_path)
    assert find_truth(tmp_path) == tmp_path / "train.json"
    path = write(tmp_path, "val.json")
    with pytest.raises(AnnotationError, match=r"train\.json, val\.json"):
        find_truth(tmp_path)
    assert find_truth(path) == path


def test_nothing_there(tmp_path: Path) -> None:
    """A folder without truth, a missing path and an empty set are errors."""
    for path in (tmp_path, tmp_path / "missing.json"):
        with pytest.raises(AnnotationError, match="no truth file"):
            find_truth(path)
    (tmp_path / "val.json").write_text('{"images": [], "annotations": [], "categories": []}')
    with pytest.raises(AnnotationError, match="no image"):
        read_truth(tmp_path)
