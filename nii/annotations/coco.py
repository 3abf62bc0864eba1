"""COCO detection files (JSON), strict, with the facts that cargo scans add.

A box is ``[x, y, width, height]`` in pixels. Beyond the standard, an image may carry ``sha256`` and
``seed``, and an annotation ``load`` (of a container), ``hs_chapters`` (of what a container or a
vehicle carries), ``behind_g_per_cm2`` (of a threat), ``kind`` (within the class), ``material`` and
``mass_kg``. Both may carry an object ``attributes`` with whatever else is known, as labelling tools
write it; it is kept and not looked into.
Categories are matched by name with :mod:`nii.taxonomy`; their ids in the file mean nothing here.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float32

from nii import provenance, taxonomy
from nii.detections import Detections
from nii.errors import AnnotationError

LoadState = Literal["empty", "partial", "full", "tank"]
"""What a container carries."""

_TOLERANCE_PX = 1e-3
_CHAPTER = re.compile(r"\d\d")


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What is known of one object beyond its class; None where it is not stated.

    Attributes:
        kind: within its class, for example ``rifle`` or ``gondola``.
        material: of most of its mass.
        mass_kg: its mass.
    """

    kind: str | None = None
    material: str | None = None
    mass_kg: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what is stated, by name."""
        facts = {"kind": self.kind, "material": self.material, "mass_kg": self.mass_kg}
        return {name: value for name, value in facts.items() if value is not None}


@dataclass(frozen=True, slots=True)
class CocoImage:
    """One image and what is marked on it.

    Attributes:
        path: the image file.
        height: rows.
        width: columns.
        truth: boxes, with score 1.
        load_states: load of each container, aligned with `truth`; None where not stated.
        behind_g_per_cm2: areal density behind each threat, aligned with `truth`; nan where not
            stated.
        sha256: digest of the image file, where stated.
        seed: seed of a simulated image, where stated.
        hs_chapters: chapters of the Harmonised System, two digits each, of the load of each
            container or vehicle, aligned with `truth`; empty where none is stated.
        attributes: what else the file says about the image, as JSON types.
        box_attributes: the same about each box, aligned with `truth`; empty where none is stated.
        objects: what else is known of each object, aligned with `truth`; empty where nothing is.
    """

    path: Path
    height: int
    width: int
    truth: Detections
    load_states: tuple[LoadState | None, ...]
    behind_g_per_cm2: Float32[np.ndarray, " n"]
    sha256: str | None = None
    seed: int | None = None
    hs_chapters: tuple[tuple[str, ...], ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    box_attributes: tuple[Mapping[str, Any], ...] = ()
    objects: tuple[ObjectFacts, ...] = ()

    def __post_init__(self) -> None:
        """Check that boxes and facts belong together.

        Raises:
            ValueError: lengths differ or the image has no area.
        """
        if not len(self.truth) == len(self.load_states) == len(self.behind_g_per_cm2):
            msg = "boxes, load states and areal densities do not belong together"
            raise ValueError(msg)
        if not {len(self.hs_chapters), len(self.objects)} <= {0, len(self.truth)}:
            msg = "boxes and HS chapters or facts do not belong together"
            raise ValueError(msg)
        if len(self.box_attributes) not in (0, len(self.truth)):
            msg = "boxes and their attributes do not belong together"
            raise ValueError(msg)
        if min(self.height, self.width) <= 0:
            msg = f"image of {self.height} x {self.width} pixels"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class CocoSet:
    """All images of one annotation file, in the order of the file.

    Attributes:
        images: images and what is marked on them.
        labelled: names of the classes that were looked for. One that is missing here says nothing
            about its objects; one that is here and has no box in an image is absent from it.
    """

    images: tuple[CocoImage, ...]
    labelled: tuple[str, ...] = field(
        default_factory=lambda: tuple(row.name for row in taxonomy.classes())
    )

    def __post_init__(self) -> None:
        """Check that every box belongs to a class that was looked for.

        Raises:
            ValueError: a box has another class, or a class is unknown.
        """
        ids = [row.class_id for row in taxonomy.classes() if row.name in self.labelled]
        if len(ids) != len(self.labelled):
            msg = f"labelled classes {self.labelled}: one is unknown or named twice"
            raise ValueError(msg)
        if not all(np.isin(image.truth.class_ids, ids).all() for image in self.images):
            msg = f"a box of a class that is not among the labelled ones, {self.labelled}"
            raise ValueError(msg)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)


def read_coco(path: Path, image_root: Path, *, verify: bool = False) -> CocoSet:
    """Read an annotation file and check it against itself and its images.

    Args:
        path: the JSON file.
        image_root: folder that the file names in it start from.
        verify: also compare the SHA-256 of every image that states one (reads every image).

    Raises:
        AnnotationError: the file is no COCO file, names an unknown class or a missing image, has
            an id twice, or a box leaves its image.
    """
    data = _load(path)
    names = _categories(data, path)
    images = _unique(data["images"], "image", path)
    boxes_of: dict[int, list[dict[str, Any]]] = {key: [] for key in images}
    for key, row in _unique(data["annotations"], "annotation", path).items():
        image_id = _field(row, "image_id", int, f"annotation {key}", path)
        if image_id not in boxes_of:
            raise AnnotationError(
                path,
                found=f"annotation {key} of image {image_id}, which is not listed",
                expected="an image_id among the images",
                remedy="Remove the annotation or add the image.",
            )
        boxes_of[image_id].append(row)
    return CocoSet(
        tuple(
            _image(row, boxes_of[key], names, image_root, path, verify=verify)
            for key, row in images.items()
        ),
        tuple(row.name for row in taxonomy.classes() if row.class_id in names.values()),
    )


def write_coco(coco: CocoSet, path: Path, image_root: Path) -> None:
    """Write an annotation file in one step: readers see the old file or the new one, never half.

    Args:
        coco: images and boxes.
        path: the JSON file.
        image_root: folder that image names are written relative to.

    Raises:
        AnnotationError: an image lies outside `image_root`.
    """
    classes = [row for row in taxonomy.classes() if row.name in coco.labelled]
    data: dict[str, Any] = {
        "info": {"description": "cargo X-ray scans", "version": provenance.Provenance().tool},
        "categories": [{"id": c.class_id + 1, "name": c.name} for c in classes],
        "images": [_image_row(i, image, image_root) for i, image in enumerate(coco.images, 1)],
        "annotations": [],
    }
    for number, image in enumerate(coco.images, 1):
        for row in range(len(image.truth)):
            ident = len(data["annotations"]) + 1
            data["annotations"].append(_annotation_row(ident, number, image, row))
    _write_atomically(path, json.dumps(data, indent=1, allow_nan=False) + "\n")


def _load(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise AnnotationError(
            path, found=str(error), expected="a readable JSON file", remedy="Check the path."
        ) from error
    for key in ("images", "annotations", "categories"):
        if not isinstance(data, dict) or not _is_rows(data.get(key)):
            raise AnnotationError(
                path,
                found=f"no list of objects under {key!r}",
                expected="a COCO detection file",
                remedy="Export the labels as COCO detection JSON.",
            )
    return dict(data)


def _is_rows(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)


def _field(row: dict[str, Any], key: str, kind: type, where: str, path: Path) -> Any:  # noqa: ANN401
    value = row.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise AnnotationError(
            path,
            found=f"{where}: {key} = {value!r}",
            expected=f"{key} as {kind.__name__}",
            remedy="Correct that entry.",
        )
    return value


def _unique(rows: list[dict[str, Any]], what: str, path: Path) -> dict[int, dict[str, Any]]:
    ids = [_field(row, "id", int, what, path) for row in rows]
    twice = [str(key) for key, count in Counter(ids).items() if count > 1]
    if twice:
        raise AnnotationError(
            path,
            found=f"{what} id {', '.join(twice)} more than once",
            expected=f"every {what} id once",
            remedy="Number them anew.",
        )
    return dict(zip(ids, rows, strict=True))


def _categories(data: dict[str, Any], path: Path) -> dict[int, int]:
    known = {row.name: row.class_id for row in taxonomy.classes()}
    result = {}
    for key, row in _unique(data["categories"], "category", path).items():
        name = _field(row, "name", str, f"category {key}", path)
        if name not in known:
            raise AnnotationError(
                path,
                found=f"the unknown category {name!r}",
                expected=f"one of {', '.join(known)}",
                remedy="Rename the category or add the class to nii/taxonomy.toml.",
            )
        result[key] = known[name]
    return result


def _image(
    row: dict[str, Any],
    annotations: list[dict[str, Any]],
    names: dict[int, int],
    root: Path,
    path: Path,
    *,
    verify: bool,
) -> CocoImage:
    where = f"image {row['id']}"
    file = root / _field(row, "file_name", str, where, path)
    height, width = (_field(row, key, int, where, path) for key in ("height", "width"))
    digest = row.get("sha256")
    _check_file(file, digest if verify else None, path)
    boxes = [_box(a, (height, width), path) for a in annotations]
    return CocoImage(
        path=file,
        height=height,
        width=width,
        truth=Detections(
            np.asarray(boxes, np.float32).reshape(-1, 4),
            np.ones(len(boxes), np.float32),
            np.asarray([_class_id(a, names, path) for a in annotations], np.int64),
        ),
        load_states=tuple(_load_state(a, path) for a in annotations),
        behind_g_per_cm2=np.asarray([_behind(a, path) for a in annotations], np.float32),
        sha256=digest,
        seed=row.get("seed"),
        hs_chapters=_all_chapters(annotations, path),
        attributes=_attributes(row, where, path),
        box_attributes=_all_attributes(annotations, path),
        objects=_all_objects(annotations, path),
    )


def _check_file(file: Path, digest: str | None, path: Path) -> None:
    if not file.is_file():
        raise AnnotationError(
            path,
            found=f"no image at {file}",
            expected="every listed image under the image folder",
            remedy="Check the image folder, or remove the image from the list.",
        )
    if digest is not None and provenance.sha256_of_file(file) != digest:
        raise AnnotationError(
            path,
            found=f"{file.name} with another SHA-256",
            expected=digest,
            remedy="Fetch the image again, or label it anew.",
        )


def _box(
    annotation: dict[str, Any], size: tuple[int, int], path: Path
) -> tuple[float, float, float, float]:
    key = annotation["id"]
    box = _field(annotation, "bbox", list, f"annotation {key}", path)
    numbers = [v for v in box if isinstance(v, int | float) and not isinstance(v, bool)]
    height, width = size
    slack = _TOLERANCE_PX
    if len(box) == len(numbers) == 4:  # noqa: PLR2004
        x, y, wide, high = (float(v) for v in numbers)
        fits = x >= -slack and y >= -slack and x + wide <= width + slack
        if fits and y + high <= height + slack and wide > 0 and high > 0:
            return max(x, 0.0), max(y, 0.0), min(x + wide, width), min(y + high, height)
    raise AnnotationError(
        path,
        found=f"annotation {key}: box {box}",
        expected=f"[x, y, width, height] inside {width} x {height} pixels",
        remedy="Cut the box to its image, or remove it.",
    )


def _class_id(annotation: dict[str, Any], names: dict[int, int], path: Path) -> int:
    key = annotation["id"]
    category = _field(annotation, "category_id", int, f"annotation {key}", path)
    if category not in names:
        raise AnnotationError(
            path,
            found=f"annotation {key} of the category {category}, which is not listed",
            expected="a category_id among the categories",
            remedy="Add the category or correct the annotation.",
        )
    return names[category]


def _load_state(annotation: dict[str, Any], path: Path) -> LoadState | None:
    state = annotation.get("load")
    if state is None or state in get_args(LoadState):
        return state
    raise AnnotationError(
        path,
        found=f"annotation {annotation['id']}: load {state!r}",
        expected=f"one of {', '.join(get_args(LoadState))}",
        remedy="Correct that entry.",
    )


def _all_chapters(annotations: list[dict[str, Any]], path: Path) -> tuple[tuple[str, ...], ...]:
    chapters = tuple(_chapters(annotation, path) for annotation in annotations)
    return chapters if any(chapters) else ()


def _chapters(annotation: dict[str, Any], path: Path) -> tuple[str, ...]:
    value = annotation.get("hs_chapters", [])
    if isinstance(value, list) and all(isinstance(v, str) and _CHAPTER.fullmatch(v) for v in value):
        return tuple(value)
    raise AnnotationError(
        path,
        found=f"annotation {annotation['id']}: hs_chapters {value!r}",
        expected="a list of chapters of two digits",
        remedy="Correct that entry.",
    )


def _all_attributes(annotations: list[dict[str, Any]], path: Path) -> tuple[dict[str, Any], ...]:
    found = tuple(_attributes(row, f"annotation {row['id']}", path) for row in annotations)
    return found if any(found) else ()


def _attributes(row: dict[str, Any], where: str, path: Path) -> dict[str, Any]:
    return (
        dict(_field(row, "attributes", dict, where, path))
        if row.get("attributes") is not None
        else {}
    )


def _all_objects(annotations: list[dict[str, Any]], path: Path) -> tuple[ObjectFacts, ...]:
    objects = tuple(_object(annotation, path) for annotation in annotations)
    return objects if any(one != ObjectFacts() for one in objects) else ()


def _object(annotation: dict[str, Any], path: Path) -> ObjectFacts:
    kind, material, mass = (annotation.get(key) for key in ("kind", "material", "mass_kg"))
    texts = all(value is None or isinstance(value, str) for value in (kind, material))
    number = isinstance(mass, int | float) and not isinstance(mass, bool)
    if texts and (mass is None or (number and 0 <= mass < np.inf)):
        return ObjectFacts(kind, material, None if mass is None else float(mass))
    raise AnnotationError(
        path,
        found=f"annotation {annotation['id']}: {kind!r}, {material!r}, {mass!r}"[:200],
        expected="kind and material as text, mass_kg as a number of 0 or more",
        remedy="Correct that entry.",
    )


def _behind(annotation: dict[str, Any], path: Path) -> float:
    value = annotation.get("behind_g_per_cm2")
    if value is None:
        return float("nan")
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < np.inf:
        return float(value)
    raise AnnotationError(
        path,
        found=f"annotation {annotation['id']}: behind_g_per_cm2 {value!r}",
        expected="an areal density of 0 g/cm2 or more",
        remedy="Correct that entry.",
    )


def _image_row(number: int, image: CocoImage, root: Path) -> dict[str, Any]:
    if not image.path.is_relative_to(root):
        raise AnnotationError(
            image.path,
            found="an image outside the image folder",
            expected=f"a path under {root}",
            remedy="Choose a common folder.",
        )
    name = image.path.relative_to(root).as_posix()
    row: dict[str, Any] = {"id": number, "file_name": name}
    row |= {"width": image.width, "height": image.height}
    row |= {"sha256": image.sha256} if image.sha256 is not None else {}
    row |= {"seed": image.seed} if image.seed is not None else {}
    return row | ({"attributes": dict(image.attributes)} if image.attributes else {})


def _annotation_row(ident: int, number: int, image: CocoImage, row: int) -> dict[str, Any]:
    x0, y0, x1, y1 = (float(v) for v in image.truth.boxes_xyxy[row])
    result: dict[str, Any] = {
        "id": ident,
        "image_id": number,
        "category_id": int(image.truth.class_ids[row]) + 1,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": (x1 - x0) * (y1 - y0),
        "iscrowd": 0,
    }
    if image.load_states[row] is not None:
        result["load"] = image.load_states[row]
    if image.hs_chapters and image.hs_chapters[row]:
        result["hs_chapters"] = list(image.hs_chapters[row])
    if image.box_attributes and image.box_attributes[row]:
        result["attributes"] = dict(image.box_attributes[row])
    if image.objects:
        result |= image.objects[row].to_json()
    behind = float(image.behind_g_per_cm2[row])
    return result | ({"behind_g_per_cm2": behind} if np.isfinite(behind) else {})


def _write_atomically(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
