"""Checks that all annotation formats share."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from nii import taxonomy
from nii.annotations import limits
from nii.errors import AnnotationError

PATH = Path("labels.xml")


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((0.0, 0.0, 10.0, 5.0), None),
        ((-0.0005, 0.0, 10.0005, 5.0), None),
        ((-1.0, 0.0, 10.0, 5.0), "leaves"),
        ((0.0, 0.0, 10.0, 5.1), "leaves"),
        ((3.0, 1.0, 3.0, 2.0), "without area"),
        ((3.0, 1.0, math.nan, 2.0), "no number"),
    ],
)
def test_only_boxes_inside_with_an_area_pass(box: limits.Box, words: str | None) -> None:
    """What rounding may do is allowed, and nothing more."""
    said = limits.outside(box, 5, 10)
    assert said is None if words is None else words in str(said)
    if words is None:
        assert limits.cut(box, (5, 10), "box 1", PATH) == (0, 0, 10, 5)
    else:
        with pytest.raises(AnnotationError, match="box 1"):
            limits.cut(box, (5, 10), "box 1", PATH)


def test_names_are_those_of_the_taxonomy() -> None:
    """A known class has its row; an unknown one is named in the error."""
    assert limits.class_id_of("firearm", "object 1", PATH) == taxonomy.by_name("firearm").class_id
    with pytest.raises(AnnotationError, match="teapot"):
        limits.class_id_of("teapot", "object 1", PATH)


def test_an_image_must_be_there(tmp_path: Path) -> None:
    """A folder is no image either."""
    with pytest.raises(AnnotationError, match="no image"):
        limits.present(tmp_path, PATH)


def test_two_images_cannot_share_a_label_file() -> None:
    """a.png and a.jpg would both be labelled by a.xml."""
    assert limits.stem_names(["x/a.png", "b.png"], PATH) == ("x/a", "b")
    with pytest.raises(AnnotationError, match="suffix"):
        limits.stem_names(["a.png", "a.jpg"], PATH)
