"""COCO: round trip, and every kind of contradiction refused with its place."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nii import taxonomy
from nii.annotations.coco import CocoImage, CocoSet, ObjectFacts, read_coco, write_coco
from nii.detections import Detections
from nii.errors import AnnotationError
from nii.provenance import sha256_of_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two files that stand for images."""
    (tmp_path / "sub").mkdir()
    for name in ("a.png", "sub/b.png"):
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


@pytest.fixture
def coco(folder: Path) -> CocoSet:
    """Return two images: one with a container and a firearm, one without anything."""
    container, firearm = (taxonomy.by_name(n).class_id for n in ("container", "firearm"))
    truth = Detections(
        np.array([[1, 2, 90, 40], [10.5, 11.25, 20, 21]], np.float32),
        np.ones(2, np.float32),
        np.array([container, firearm], np.int64),
    )
    digest = sha256_of_file(folder / "a.png")
    behind = np.array([np.nan, 12.5], np.float32)
    first = CocoImage(folder / "a.png", 50, 100, truth, ("full", None), behind, digest, 7)
    none = np.zeros(0, np.float32)
    second = CocoImage(folder / "sub/b.png", 60, 80, Detections.empty(), (), none)
    return CocoSet((first, second))


def _same(first: CocoImage, second: CocoImage) -> bool:
    facts = ("path", "height", "width", "load_states", "sha256", "seed")
    return (
        all(getattr(first, fact) == getattr(second, fact) for fact in facts)
        and np.array_equal(first.truth.boxes_xyxy, second.truth.boxes_xyxy)
        and np.array_equal(first.truth.class_ids, second.truth.class_ids)
        and np.array_equal(first.behind_g_per_cm2, second.behind_g_per_cm2, equal_nan=True)
    )


def test_a_set_survives_writing_and_reading(folder: Path, coco: CocoSet) -> None:
    """Boxes, classes, loads, areal densities, digests and seeds come back as they were."""
    path = folder / "labels.json"
    write_coco(coco, path, folder)
    again = read_coco(path, folder, verify=True)
    assert len(again) == 2
    assert all(_same(a, b) for a, b in zip(coco.images, again.images, strict=True))
    assert [p.name for p in folder.glob(".*")] == []


def test_a_set_written_again_claims_no_more_labels_than_before(folder: Path) -> None:
    """Labels of containers alone stay labels of containers alone."""
    path, copy = folder / "foreign.json", folder / "copy.json"
    path.write_text(json.dumps(_foreign()))
    write_coco(read_coco(path, folder), copy, folder)
    assert [row["name"] for row in json.loads(copy.read_text())["categories"]] == ["container"]


def test_a_box_of_a_class_that_was_not_looked_for_is_refused(coco: CocoSet) -> None:
    """A set cannot hold a firearm and say that nobody looked for firearms."""
    with pytest.raises(ValueError, match="not among the labelled"):
        CocoSet(coco.images, ("container",))
    with pytest.raises(ValueError, match="unknown"):
        CocoSet((), ("teapot",))


def test_categories_are_matched_by_name(folder: Path) -> None:
    """A foreign file may number its categories as it likes; boxes are x, y, width, height."""
    path = folder / "foreign.json"
    data = _foreign()
    path.write_text(json.dumps(data))
    image = read_coco(path, folder).images[0]
    assert image.truth.class_ids.tolist() == [taxonomy.by_name("container").class_id]
    assert image.truth.boxes_xyxy.tolist() == [[10, 20, 40, 60]]
    assert image.load_states == ("empty",)


def _foreign() -> dict[str, Any]:
    return {
        "images": [{"id": 5, "file_name": "a.png", "width": 100, "height": 80}],
        "categories": [{"id": 17, "name": "container"}],
        "annotations": [
            {"id": 1, "image_id": 5, "category_id": 17, "bbox": [10, 20, 30, 40], "load": "empty"}
        ],
    }


@pytest.mark.parametrize(
    ("place", "key", "value", "complaint"),
    [
        ("annotations", "bbox", [90, 20, 30, 40], "inside 100 x 80"),
        ("annotations", "bbox", [10, 20, 0, 40], "inside 100 x 80"),
        ("annotations", "bbox", [10, 20, 30], "inside 100 x 80"),
        ("annotations", "bbox", [10, 20, float("nan"), 5], "inside 100 x 80"),
        ("annotations", "image_id", 6, "not listed"),
        ("annotations", "category_id", 18, "not listed"),
        ("annotations", "load", "half", "load 'half'"),
        ("annotations", "behind_g_per_cm2", -1, "behind_g_per_cm2 -1"),
        ("images", "file_name", "gone.png", "no image at"),
        ("images", "width", "100", "width as int"),
        ("images", "sha256", "00", "another SHA-256"),
        ("categories", "name", "teapot", "unknown category"),
    ],
)
def test_contradictions_are_refused(
    folder: Path, place: str, key: str, value: object, complaint: str
) -> None:
    """Whatever contradicts itself or its images is named, with the file it stands in."""
    data = _foreign()
    data[place][0][key] = value
    path = folder / "bad.json"
    path.write_text(json.dumps(data))
    with pytest.raises(AnnotationError, match=complaint) as caught:
        read_coco(path, folder, verify=True)
    assert caught.value.subject == str(path)


@pytest.mark.parametrize("what", ["images", "annotations", "categories"])
def test_an_id_may_not_occur_twice(folder: Path, what: str) -> None:
    """Ids are unique among images, annotations and categories."""
    data = _foreign()
    data[what].append(dict(data[what][0]))
    path = folder / "twice.json"
    path.write_text(json.dumps(data))
    with pytest.raises(AnnotationError, match="more than once"):
        read_coco(path, folder)


@pytest.mark.parametrize("text", ["", "[]", '{"images": []}', '{"images": [1]}'])
def test_what_is_no_coco_file_is_refused(folder: Path, text: str) -> None:
    """Other JSON and no JSON give the same kind of error."""
    path = folder / "other.json"
    path.write_text(text)
    with pytest.raises(AnnotationError):
        read_coco(path, folder)
    with pytest.raises(AnnotationError):
        read_coco(folder / "absent.json", folder)


def test_an_image_outside_the_folder_is_refused(folder: Path, coco: CocoSet) -> None:
    """File names are written relative to the image folder, or not at all; nothing is left over."""
    path = folder / "labels.json"
    path.write_text("old")
    with pytest.raises(AnnotationError, match="outside"):
        write_coco(coco, path, folder / "sub")
    assert path.read_text() == "old"


def test_hs_chapters_survive_writing_and_reading(folder: Path, coco: CocoSet) -> None:
    """Chapters come back beside their box; a set without any states none."""
    chapters: tuple[tuple[str, ...], ...] = (("09", "94"), ())
    image = replace(coco.images[0], hs_chapters=chapters)
    path = folder / "labels.json"
    write_coco(CocoSet((image, coco.images[1])), path, folder)
    again = read_coco(path, folder)
    assert again.images[0].hs_chapters == chapters
    assert again.images[1].hs_chapters == ()


@pytest.mark.parametrize("value", ["09", ["9"], [9], ["0901"]])
def test_what_is_no_chapter_is_refused(folder: Path, coco: CocoSet, value: object) -> None:
    """Chapters are a list of two digits each."""
    path = folder / "labels.json"
    write_coco(coco, path, folder)
    data = json.loads(path.read_text())
    data["annotations"][0]["hs_chapters"] = value
    path.write_text(json.dumps(data))
    with pytest.raises(AnnotationError, match="two digits"):
        read_coco(path, folder)


def test_attributes_survive_writing_and_reading(folder: Path, coco: CocoSet) -> None:
    """What else is known of an image and of a box comes back; a set without any states none."""
    boxes = tuple({"source": "drawn", "number": k} for k in range(len(coco.images[0].truth)))
    image = replace(coco.images[0], attributes={"blind": True}, box_attributes=boxes)
    path = folder / "labels.json"
    write_coco(CocoSet((image, coco.images[1])), path, folder)
    again = read_coco(path, folder)
    assert again.images[0].attributes == {"blind": True}
    assert again.images[0].box_attributes == boxes
    assert (again.images[1].attributes, again.images[1].box_attributes) == ({}, ())


def test_attributes_that_are_no_object_are_refused(folder: Path, coco: CocoSet) -> None:
    """A list of attributes is an error, and attributes of fewer boxes than there are as well."""
    path = folder / "labels.json"
    write_coco(coco, path, folder)
    data = json.loads(path.read_text())
    data["images"][0]["attributes"] = ["blind"]
    path.write_text(json.dumps(data))
    with pytest.raises(AnnotationError, match="attributes as dict"):
        read_coco(path, folder)
    with pytest.raises(ValueError, match="do not belong together"):
        replace(coco.images[0], box_attributes=({},) * (len(coco.images[0].truth) + 1))


def test_facts_of_objects_survive_writing_and_reading(folder: Path, coco: CocoSet) -> None:
    """Kind, material and mass come back; where none is stated there is none."""
    facts = tuple(ObjectFacts("rifle", "steel", 3.5) for _ in coco.images[0].truth.scores)
    images = (replace(coco.images[0], objects=facts), *coco.images[1:])
    write_coco(replace(coco, images=images), folder / "facts.json", folder)
    again = read_coco(folder / "facts.json", folder)
    assert again.images[0].objects == facts
    assert all(image.objects == () for image in again.images[1:])


@pytest.mark.parametrize("wrong", [{"kind": 3}, {"material": []}, {"mass_kg": -1}])
def test_what_is_no_fact_is_refused(folder: Path, coco: CocoSet, wrong: dict[str, object]) -> None:
    """A number as a kind, a list as a material and a negative mass are named."""
    write_coco(coco, folder / "facts.json", folder)
    data = json.loads((folder / "facts.json").read_text("utf-8"))
    data["annotations"][0] |= wrong
    (folder / "facts.json").write_text(json.dumps(data), "utf-8")
    with pytest.raises(AnnotationError, match="kind and material as text"):
        read_coco(folder / "facts.json", folder)
