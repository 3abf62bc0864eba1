"""A truth file and its scans: which file is meant, where its images lie, what it has labels for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nii import taxonomy
from nii.annotations.coco import CocoImage, read_coco
from nii.errors import AnnotationError
from nii.provenance import sha256_of_file

FILE_NAMES = ("annotations.json", "train.json", "val.json", "test.json")
"""Names by which a truth file is found in a folder."""
_IMAGE_FOLDER = "images"
Polygons = tuple[tuple[float, ...], ...]
"""Rings around one object, each x, y, x, y, … in pixels."""


@dataclass(frozen=True, slots=True)
class TruthSet:
    """Hold the labels of a set of scans.

    Attributes:
        path: the truth file.
        image_root: folder that the image names start from.
        sha256: digest of the truth file.
        images: scans and what is marked on them, in the order of the file.
        image_ids: ids of the images in the file, in the same order.
        category_ids: ids of the categories in the file by taxonomy row; only these classes have
            labels, so only these are judged.
        threat_polygons: by image id: outlines of each threat that has any, as lists of
            x, y, x, y, … in pixels; empty where no threat of the file has one.
    """

    path: Path
    image_root: Path
    sha256: str
    images: tuple[CocoImage, ...]
    image_ids: tuple[int, ...]
    category_ids: Mapping[int, int]
    threat_polygons: Mapping[int, tuple[Polygons, ...]] = field(default_factory=dict)

    @property
    def class_ids(self) -> tuple[int, ...]:
        """Return the taxonomy rows that the set has labels for, in the order of the taxonomy."""
        return tuple(sorted(self.category_ids))

    def name_of(self, image: CocoImage) -> str:
        """Return the name of an image as the truth file gives it."""
        return image.path.relative_to(self.image_root).as_posix()


def read_truth(data: Path, images: Path | None = None) -> TruthSet:
    """Read the truth that a file or folder holds.

    Args:
        data: a COCO file, or a folder with exactly one of `FILE_NAMES`.
        images: folder that the image names start from. Without it that is the folder of the truth
            file, or ``images`` within it if the first image lies there.

    Raises:
        AnnotationError: the file is not found, not unambiguous, empty or contradicts itself.
    """
    path = find_truth(data)
    root = images if images is not None else _image_root(path)
    coco = read_coco(path, root)
    if not coco.images:
        raise AnnotationError(
            path, found="no image", expected="one image or more", remedy="Name another file."
        )
    # read_coco has checked the file, but keeps neither its categories nor its image ids.
    raw = json.loads(path.read_text("utf-8"))
    category_ids = {
        taxonomy.by_name(row["name"]).class_id: int(row["id"]) for row in raw["categories"]
    }
    return TruthSet(
        path=path,
        image_root=root,
        sha256=sha256_of_file(path),
        images=coco.images,
        image_ids=tuple(int(row["id"]) for row in raw["images"]),
        category_ids=category_ids,
        threat_polygons=_polygons(raw["annotations"], category_ids),
    )


def find_truth(data: Path) -> Path:
    """Return the truth file that a path names.

    Raises:
        AnnotationError: there is none, or a folder holds several.
    """
    if data.is_file():
        return data
    found = [data / name for name in FILE_NAMES if (data / name).is_file()]
    if len(found) == 1:
        return found[0]
    names = ", ".join(path.name for path in found)
    raise AnnotationError(
        data,
        found=f"several truth files: {names}" if found else "no truth file",
        expected=f"a COCO file, or a folder with one of {', '.join(FILE_NAMES)}",
        remedy=f"Name one of them: {found[0]}" if found else "Check the path.",
    )


def _polygons(
    annotations: Sequence[Mapping[str, Any]], category_ids: Mapping[int, int]
) -> dict[int, tuple[Polygons, ...]]:
    """Return the outlines of threats; masks in other forms than polygons are not read."""
    kinds = [row.class_id for row in taxonomy.in_group("threat")]
    threats = {category_ids[kind] for kind in kinds if kind in category_ids}
    found: dict[int, list[Polygons]] = {}
    for row in annotations:
        rings = row.get("segmentation")
        if row["category_id"] in threats and isinstance(rings, list) and rings:
            shapes = tuple(tuple(float(value) for value in ring) for ring in rings)
            found.setdefault(int(row["image_id"]), []).append(shapes)
    return {image: tuple(shapes) for image, shapes in found.items()}


def _image_root(path: Path) -> Path:
    beside, below = path.parent, path.parent / _IMAGE_FOLDER
    try:
        first = str(json.loads(path.read_text("utf-8"))["images"][0]["file_name"])
    except (OSError, ValueError, LookupError, TypeError):
        return beside  # read_coco says what is wrong with the file
    inside = (below / first).is_file() and not (beside / first).is_file()
    return below if inside else beside
