"""Labels as they are written, faults and all: rows for `nii data check` to judge.

The strict readers in :mod:`nii.annotations` stop at the first fault. Here every image and every box
becomes a row, and what cannot become one is told as a fault, so that one run shows everything.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nii import formats
from nii.annotations import voc, yolo
from nii.annotations.limits import Box
from nii.errors import AnnotationError, ScanFormatError
from nii.evaluate.truth_set import FILE_NAMES

Form = Literal["coco", "voc", "yolo"]
IMAGES_FOLDER = "images"


@dataclass(frozen=True, slots=True)
class BoxRow:
    """Hold one box as written; `where` names the entry for people."""

    class_name: str
    box_xyxy: Box
    where: str
    load: str | None = None


@dataclass(frozen=True, slots=True)
class ImageRow:
    """Hold one image as written, with its boxes; height and width are 0 where not stated."""

    path: Path
    name: str
    height: int
    width: int
    boxes: tuple[BoxRow, ...]


@dataclass(frozen=True, slots=True)
class SplitRows:
    """Hold one label file or folder: one split of a data set.

    Attributes:
        name: for people.
        form: how it is written.
        images: in the order of the labels.
        faults: what could not become a row, in words.
        class_names: classes that were looked for; None where the form does not say.
    """

    name: str
    form: Form
    images: tuple[ImageRow, ...]
    faults: tuple[str, ...] = ()
    class_names: tuple[str, ...] | None = None


def read_splits(place: Path, images: Path | None = None) -> list[SplitRows]:
    """Return every split that a label file or a folder holds.

    Args:
        place: a COCO file; or a folder with COCO files of the usual names, of VOC files, or of
            YOLO labels.
        images: folder that image names start from; that of the labels, or `images` beside them,
            where not given.

    Raises:
        AnnotationError: there is nothing of the kind.
    """
    if place.is_file():
        return [_coco(place, images)]
    named = [place / name for name in FILE_NAMES if (place / name).is_file()]
    if named:
        return [_coco(path, images) for path in named]
    if (place / yolo.LABELS_FOLDER).is_dir():
        return [_yolo(place, images or image_root_of(place))]
    if any(place.rglob(f"*{voc.SUFFIX}")):
        return [_voc(place, images or image_root_of(place))]
    raise AnnotationError(
        place,
        found="no labels",
        expected=f"{', '.join(FILE_NAMES)}, Pascal VOC files, or YOLO labels in 'labels'",
        remedy="Name the label file itself, or the folder above it.",
    )


def image_root_of(place: Path) -> Path:
    """Return the folder that image names start from: ``images`` beside the labels, if any."""
    folder = place if place.is_dir() else place.parent
    return folder / IMAGES_FOLDER if (folder / IMAGES_FOLDER).is_dir() else folder


def images_by_label(root: Path) -> dict[str, Path]:
    """Return the scans below a folder by their path without suffix."""
    files = (files[0] for files in formats.find([root]))
    return {path.relative_to(root).with_suffix("").as_posix(): path for path in files}


def size_of(path: Path) -> tuple[int, int]:
    """Return height and width of a scan file.

    Raises:
        ScanFormatError: it cannot be read.
    """
    scan = formats.read(path)
    return scan.height, scan.width


def _coco(path: Path, given: Path | None) -> SplitRows:
    name = f"{path.parent.name}/{path.name}"
    try:
        data = json.loads(path.read_text("utf-8"))
        tables = {key: _by_id(data[key]) for key in ("images", "categories")}
        annotations = [dict(row) for row in data["annotations"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return SplitRows(name, "coco", (), (f"no COCO file: {error!r}"[:200],))
    classes = {key: str(row.get("name")) for key, row in tables["categories"].items()}
    boxes: dict[Any, list[BoxRow]] = {key: [] for key in tables["images"]}
    faults = _repeated(data, annotations)
    for row in annotations:
        made = _coco_box(row, classes)
        if isinstance(made, str):
            faults.append(made)
        elif row.get("image_id") not in boxes:
            faults.append(f"{made.where}: image {row.get('image_id')}, which is not listed")
        else:
            boxes[row["image_id"]].append(made)
    root = given or (path.parent if not tables["images"] else _coco_root(path, tables["images"]))
    images = tuple(
        ImageRow(
            root / str(row.get("file_name")),
            str(row.get("file_name")),
            _whole(row.get("height")),
            _whole(row.get("width")),
            tuple(boxes[key]),
        )
        for key, row in tables["images"].items()
    )
    return SplitRows(name, "coco", images, tuple(faults), tuple(classes.values()))


def _repeated(data: dict[str, Any], annotations: list[dict[str, Any]]) -> list[str]:
    faults = []
    for key, rows in (*((k, data[k]) for k in ("images", "categories")), ("boxes", annotations)):
        ids = [row.get("id") for row in rows]
        faults += [
            f"{key}: id {one} more than once" for one in {i for i in ids if ids.count(i) > 1}
        ]
    return faults


def _coco_root(path: Path, images: dict[Any, dict[str, Any]]) -> Path:
    first = str(next(iter(images.values())).get("file_name"))
    return path.parent if (path.parent / first).is_file() else image_root_of(path)


def _coco_box(row: dict[str, Any], classes: dict[Any, str]) -> BoxRow | str:
    where = f"annotation {row.get('id')}"
    box, category = row.get("bbox"), row.get("category_id")
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(v) for v in box):  # noqa: PLR2004
        return f"{where}: box {box!r}"
    if category not in classes:
        return f"{where}: category {category!r}, which is not listed"
    x, y, wide, high = (float(v) for v in box)
    state = row.get("load")
    return BoxRow(classes[category], (x, y, x + wide, y + high), where, state and str(state))


def _voc(folder: Path, root: Path) -> SplitRows:
    images, faults = [], []
    for path in sorted(folder.rglob(f"*{voc.SUFFIX}")):
        try:
            said = voc.parse_voc(path)
        except AnnotationError as error:
            faults.append(f"{path.name}: {error.found}")
            continue
        rows = tuple(
            BoxRow(thing.name, thing.box_xyxy, f"{path.name}, object {number}", thing.load)
            for number, thing in enumerate(said.objects, 1)
        )
        images.append(ImageRow(root / said.image, said.image, said.height, said.width, rows))
    return SplitRows(folder.name, "voc", tuple(images), tuple(faults))


def _yolo(folder: Path, root: Path) -> SplitRows:
    try:
        names = yolo.class_names(folder)
    except AnnotationError as error:
        return SplitRows(folder.name, "yolo", (), (f"{error.subject}: {error.found}",))
    found, images, faults = images_by_label(root), [], []
    labels = {yolo.label_name(path, folder): path for path in yolo.label_files(folder)}
    for stem in sorted(set(found) | set(labels)):
        try:
            images.append(_yolo_image(found.get(stem, root / stem), labels.get(stem), names))
        except (AnnotationError, ScanFormatError) as error:
            faults.append(f"{stem}: {error.found}")
    rows = tuple(_renamed(image, root) for image in images)
    return SplitRows(folder.name, "yolo", rows, tuple(faults), names)


def _yolo_image(path: Path, labels: Path | None, names: tuple[str, ...]) -> ImageRow:
    if not path.is_file():
        return ImageRow(path, path.name, 0, 0, ())
    height, width = size_of(path)
    rows = [] if labels is None else yolo.parse_yolo(labels)
    boxes = tuple(
        BoxRow(
            names[row] if 0 <= row < len(names) else f"number {row}",
            yolo.to_pixels(share, height, width),
            f"{path.stem}, box {number}",
        )
        for number, (row, share) in enumerate(rows, 1)
    )
    return ImageRow(path, path.name, height, width, boxes)


def _renamed(image: ImageRow, root: Path) -> ImageRow:
    name = image.path.relative_to(root).as_posix()
    return ImageRow(image.path, name, image.height, image.width, image.boxes)


def _by_id(rows: list[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    return {row.get("id"): dict(row) for row in rows}


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
