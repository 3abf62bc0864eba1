"""Pascal VOC: round trip, an independent reader, and every contradiction refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nii.annotations.coco import CocoSet
from nii.annotations.voc import parse_voc, read_voc, write_voc
from nii.errors import AnnotationError


def test_a_set_survives_writing_and_reading(tmp_path: Path, small_set: CocoSet) -> None:
    """Boxes, classes, loads, areal densities, chapters, digests and seeds come back unchanged."""
    write_voc(small_set, tmp_path / "voc", tmp_path / "images")
    again = read_voc(tmp_path / "voc", tmp_path / "images")
    assert again.labelled == small_set.labelled
    for one, two in zip(small_set.images, again.images, strict=True):
        for fact in ("path", "height", "width", "load_states", "sha256", "seed", "hs_chapters"):
            assert getattr(one, fact) == getattr(two, fact)
        np.testing.assert_array_equal(one.truth.boxes_xyxy, two.truth.boxes_xyxy)
        np.testing.assert_array_equal(one.truth.class_ids, two.truth.class_ids)
        np.testing.assert_array_equal(one.behind_g_per_cm2, two.behind_g_per_cm2)


def test_an_independent_library_reads_the_same_boxes(tmp_path: Path, small_set: CocoSet) -> None:
    """Globox finds the classes and corners that were written."""
    globox = pytest.importorskip("globox", reason="the oracle globox is not installed")
    write_voc(small_set, tmp_path / "voc", tmp_path / "images")
    oracle = globox.Annotation.from_xml(tmp_path / "voc" / "a.xml")
    assert [box.label for box in oracle.boxes] == ["container", "firearm"]
    corners = [(box.xmin, box.ymin, box.xmax, box.ymax) for box in oracle.boxes]
    np.testing.assert_allclose(corners, small_set.images[0].truth.boxes_xyxy)


def test_pixels_counted_from_one_lose_one_at_the_lower_side(tmp_path: Path) -> None:
    """The first pixel, 1 to 1, is the box from 0 to 1."""
    write(tmp_path, box="<xmin>1</xmin><ymin>1</ymin><xmax>1</xmax><ymax>1</ymax>")
    said = parse_voc(tmp_path / "a.xml", one_based=True)
    assert said.objects[0].box_xyxy == (0, 0, 1, 1)


BOX = "<xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax>"


def write(folder: Path, *, box: str = BOX, name: str = "firearm", head: str = "") -> None:
    """Write a label file of one object, and its image."""
    (folder / "a.png").write_bytes(b"a")
    (folder / "a.xml").write_text(
        f"{head}<annotation><filename>a.png</filename><size><width>10</width><height>10</height>"
        f"</size><object><name>{name}</name><bndbox>{box}</bndbox></object></annotation>"
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"box": BOX.replace("<xmax>9", "<xmax>11")}, "leaves"),
        ({"box": BOX.replace("<xmax>9", "<xmax>x")}, "xmax"),
        ({"box": BOX.replace("<xmax>9</xmax>", "")}, "no bndbox/xmax"),
        ({"name": "teapot"}, "teapot"),
        ({"head": '<!DOCTYPE a [<!ENTITY b "c">]>'}, "document type"),
        ({"head": "<"}, "not well-formed"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, change: dict[str, str], words: str) -> None:
    """Each damaged file is named with what is wrong in it."""
    write(tmp_path)
    assert len(read_voc(tmp_path, tmp_path)) == 1
    write(tmp_path, **change)
    with pytest.raises(AnnotationError, match=words):
        read_voc(tmp_path, tmp_path)


def test_a_missing_image_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    """Labels without what they label are worth nothing."""
    with pytest.raises(AnnotationError, match="no XML file"):
        read_voc(tmp_path, tmp_path)
    write(tmp_path)
    (tmp_path / "a.png").unlink()
    with pytest.raises(AnnotationError, match="no image"):
        read_voc(tmp_path, tmp_path)
