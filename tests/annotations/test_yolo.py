"""YOLO: round trip, an independent reader, and every contradiction refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nii.annotations.coco import CocoSet
from nii.annotations.yolo import class_names, read_yolo, to_pixels, write_yolo
from nii.errors import AnnotationError


def images_of(labelled: CocoSet, root: Path) -> dict[str, Path]:
    """Return images by the name of their labels."""
    paths = (image.path for image in labelled.images)
    return {path.relative_to(root).with_suffix("").as_posix(): path for path in paths}


def size_of(path: Path) -> tuple[int, int]:
    """Return the sizes of the two images of the small set."""
    return {"a.png": (50, 100), "b.png": (60, 80)}[path.name]


def test_boxes_and_classes_survive_writing_and_reading(tmp_path: Path, small_set: CocoSet) -> None:
    """Corners come back within a thousandth of a pixel, in the classes that were looked for."""
    root = tmp_path / "images"
    write_yolo(small_set, tmp_path / "yolo", root)
    again = read_yolo(tmp_path / "yolo", images_of(small_set, root), size_of)
    assert again.labelled == small_set.labelled
    for one, two in zip(small_set.images, again.images, strict=True):
        assert (one.path, one.height, one.width) == (two.path, two.height, two.width)
        np.testing.assert_allclose(one.truth.boxes_xyxy, two.truth.boxes_xyxy, atol=1e-3)
        np.testing.assert_array_equal(one.truth.class_ids, two.truth.class_ids)


def test_an_independent_library_reads_the_same_boxes(tmp_path: Path, small_set: CocoSet) -> None:
    """Globox finds the class numbers and corners that were written."""
    globox = pytest.importorskip("globox", reason="the oracle globox is not installed")
    write_yolo(small_set, tmp_path / "yolo", tmp_path / "images")
    oracle = globox.Annotation.from_yolo_v5(
        tmp_path / "yolo" / "labels" / "a.txt", image_id="a.png", image_size=(100, 50)
    )
    assert [box.label for box in oracle.boxes] == ["0", "1"]
    corners = [(box.xmin, box.ymin, box.xmax, box.ymax) for box in oracle.boxes]
    np.testing.assert_allclose(corners, small_set.images[0].truth.boxes_xyxy, atol=1e-3)


@given(st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0.01, 0.5), st.floats(0.01, 0.5))
def test_shares_become_the_pixels_they_are_shares_of(
    left: float, top: float, wide: float, high: float
) -> None:
    """A box of half the image is half as wide in pixels, wherever it lies."""
    x0, y0, x1, y1 = to_pixels((left + wide / 2, top + high / 2, wide, high), 200, 1000)
    np.testing.assert_allclose((x0, y0), (left * 1000, top * 200), atol=1e-9)
    np.testing.assert_allclose((x1 - x0, y1 - y0), (wide * 1000, high * 200), atol=1e-9)


@pytest.mark.parametrize(
    "text",
    [
        "names: [container, 'firearm']\n",
        "path: x\nnames:\n  0: container\n  1: firearm  # a gun\nnc: 2\n",
        'names:\n  - container\n  - "firearm"\n',
    ],
)
def test_names_are_read_in_every_usual_form(tmp_path: Path, text: str) -> None:
    """A list in brackets, numbered lines and dashes mean the same."""
    (tmp_path / "data.yaml").write_text(text)
    assert class_names(tmp_path) == ("container", "firearm")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0 0.5 0.5 0.5\n", "line 1"),
        ("0.5 0.5 0.5 0.5 0.5\n", "line 1"),
        ("7 0.5 0.5 0.5 0.5\n", "class 7"),
        ("0 0.9 0.5 0.5 0.5\n", "leaves"),
        ("0 0.5 0.5 0 0.5\n", "without area"),
        ("0 nan 0.5 0.5 0.5\n", "no number"),
    ],
)
def test_contradictions_are_refused(
    tmp_path: Path, small_set: CocoSet, line: str, words: str
) -> None:
    """Each damaged file is named with what is wrong in it."""
    root = tmp_path / "images"
    write_yolo(small_set, tmp_path, root)
    (tmp_path / "labels" / "a.txt").write_text(line)
    with pytest.raises(AnnotationError, match=words):
        read_yolo(tmp_path, images_of(small_set, root), size_of)


def test_missing_names_and_labels_without_image_are_refused(
    tmp_path: Path, small_set: CocoSet
) -> None:
    """Nothing is guessed."""
    with pytest.raises(AnnotationError, match="no names"):
        class_names(tmp_path)
    for text in ("nc: 2\n", "names: container\n", "names:\n  1: container\n"):
        (tmp_path / "data.yaml").write_text(text)
        with pytest.raises(AnnotationError):
            class_names(tmp_path)
    write_yolo(small_set, tmp_path, tmp_path / "images")
    with pytest.raises(AnnotationError, match="without an image"):
        read_yolo(tmp_path, {}, size_of)
