"""The check of labelled sets: every kind of fault is found, and a sound set has none."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from nii.evaluate.data_check import check_splits
from nii.evaluate.data_rows import read_splits


def made(folder: Path, seed: int, box: list[float]) -> Path:
    """Write a split of one scan with a container and one other box; return its label file."""
    folder.mkdir(parents=True)
    soft = cv2.resize(np.random.default_rng(seed).random((6, 12)), (300, 150))
    assert cv2.imwrite(str(folder / "a.png"), (255 * soft).clip(0, 255).astype(np.uint8))
    boxes = [[0, 0, 300, 150], box]
    data = {
        "images": [{"id": 1, "file_name": "a.png", "width": 300, "height": 150}],
        "categories": [{"id": 1, "name": "container"}, {"id": 2, "name": "firearm"}],
        "annotations": [
            {"id": row, "image_id": 1, "category_id": row, "bbox": one}
            for row, one in enumerate(boxes, 1)
        ],
    }
    path = folder / "annotations.json"
    path.write_text(json.dumps(data))
    return path


def kinds(*paths: Path) -> set[str]:
    """Return the kinds of what is found."""
    splits = [split for path in paths for split in read_splits(path)]
    return {finding.kind for finding in check_splits(splits).findings}


def test_a_sound_set_has_no_findings_and_damaged_boxes_are_found(tmp_path: Path) -> None:
    """Outside, without area and tiny are three different things."""
    assert kinds(made(tmp_path / "good", 1, [10, 10, 20, 20])) == set()
    assert kinds(made(tmp_path / "out", 1, [285, 10, 20, 20])) == {"box outside"}
    assert kinds(made(tmp_path / "none", 1, [10, 10, 0, 20])) == {"empty box"}
    assert kinds(made(tmp_path / "tiny", 1, [10, 10, 2, 20])) == {"tiny box"}


def test_the_same_scan_in_two_splits_is_found_even_when_saved_anew(tmp_path: Path) -> None:
    """A copy is the same file, a JPEG of it is a near-duplicate, another scan is neither."""
    one = made(tmp_path / "train", 1, [10, 10, 20, 20])
    two = made(tmp_path / "val", 1, [10, 10, 20, 20])
    assert kinds(one, two) == {"same file"}
    picture = cv2.imread(str(tmp_path / "val" / "a.png"), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    assert cv2.imwrite(str(tmp_path / "val" / "a.png"), np.clip(picture, 3, 250))
    assert kinds(one, two) == {"near-duplicate"}
    assert kinds(one, made(tmp_path / "test", 2, [10, 10, 20, 20])) == set()


def test_a_missing_file_is_a_fault(tmp_path: Path) -> None:
    """A label without its scan makes the set unfit."""
    path = made(tmp_path / "x", 1, [10, 10, 20, 20])
    (tmp_path / "x" / "a.png").unlink()
    assert kinds(path) == {"missing file"}
