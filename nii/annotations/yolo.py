"""YOLO label files (text, one for each image), strict.

A line is ``class x y width height``: the number of the class, the middle of the box and its size,
as shares of the width and height of the image. The names of the classes stand in ``classes.txt``,
one a line, or under ``names`` in ``data.yaml`` (a list in brackets, or one ``number: name`` a
line). The form holds nothing else: load states, areal densities and digests are lost in it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nii import taxonomy
from nii.annotations import limits
from nii.annotations.coco import CocoImage, CocoSet
from nii.detections import Detections
from nii.errors import AnnotationError

SUFFIX = ".txt"
NAMES_FILE = "classes.txt"
YAML_FILE = "data.yaml"
LABELS_FOLDER = "labels"
SizeOf = Callable[[Path], tuple[int, int]]
"""Tells height and width of an image file: the labels do not."""
_ITEM = re.compile(r"^\s+(?:(?P<number>\d+)\s*:|-)\s*(?P<name>[^#]+?)\s*(?:#.*)?$")


def read_yolo(folder: Path, images: dict[str, Path], size_of: SizeOf) -> CocoSet:
    """Read the labels of a folder and check them against themselves and their images.

    Args:
        folder: holds the names of the classes, and the label files in ``labels``.
        images: image files by their label's name (path within ``labels``, without suffix).
        size_of: tells height and width of an image.

    Raises:
        AnnotationError: names are missing or unknown; a line is damaged; a box leaves its image; a
            label has no image. An image without a label file holds nothing.
    """
    names = class_names(folder)
    ids = [limits.class_id_of(name, "names", folder) for name in names]
    labels = {label_name(path, folder): path for path in label_files(folder)}
    for stem in sorted(set(labels) - set(images)):
        raise _unfit(labels[stem], "a label without an image", "an image of the same name")
    rows = tuple(
        _image(path, labels.get(stem), ids, size_of(path)) for stem, path in images.items()
    )
    return CocoSet(rows, tuple(r.name for r in taxonomy.classes() if r.class_id in ids))


def write_yolo(labelled: CocoSet, folder: Path, image_root: Path) -> None:
    """Write the labels of a set, and the names of its classes in both forms.

    Args:
        labelled: images and boxes.
        folder: gets ``classes.txt``, ``data.yaml`` and ``labels``.
        image_root: folder that the images lie in.

    Raises:
        AnnotationError: an image lies outside `image_root`, or two would share a label file.
        OSError: the folder cannot be written.
    """
    classes = [row for row in taxonomy.classes() if row.name in labelled.labelled]
    number_of = {row.class_id: number for number, row in enumerate(classes)}
    strangers = [i.path for i in labelled.images if not i.path.is_relative_to(image_root)]
    if strangers:
        raise _unfit(strangers[0], "an image outside the image folder", f"one under {image_root}")
    names = [image.path.relative_to(image_root).as_posix() for image in labelled.images]
    stems = limits.stem_names(names, folder)
    (folder / LABELS_FOLDER).mkdir(parents=True, exist_ok=True)
    (folder / NAMES_FILE).write_text("".join(f"{row.name}\n" for row in classes), "utf-8")
    listed = "".join(f"  {number}: {row.name}\n" for number, row in enumerate(classes))
    place = json.dumps(str(image_root.resolve()))
    (folder / YAML_FILE).write_text(f"path: {place}\nnames:\n{listed}", "utf-8")
    for stem, image in zip(stems, labelled.images, strict=True):
        path = folder / LABELS_FOLDER / f"{stem}{SUFFIX}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(_lines(image, number_of)), "utf-8")


def class_names(folder: Path) -> tuple[str, ...]:
    """Return the names of the classes in the order of their numbers.

    Raises:
        AnnotationError: no file holds them.
    """
    if (folder / NAMES_FILE).is_file():
        lines = _lines_of(folder / NAMES_FILE)
        return tuple(line.strip() for line in lines if line.strip())
    if (folder / YAML_FILE).is_file():
        return _yaml_names(folder / YAML_FILE)
    raise _unfit(folder, "no names of classes", f"{NAMES_FILE} or {YAML_FILE}")


def label_files(folder: Path) -> list[Path]:
    """Return the label files of a folder by name."""
    return sorted((folder / LABELS_FOLDER).rglob(f"*{SUFFIX}"))


def label_name(path: Path, folder: Path) -> str:
    """Return the path of a label file within ``labels``, without suffix."""
    return path.relative_to(folder / LABELS_FOLDER).with_suffix("").as_posix()


def parse_yolo(path: Path) -> list[tuple[int, limits.Box]]:
    """Return number of the class and x, y, width, height as written, of each line.

    Raises:
        AnnotationError: a line does not hold a whole number and four numbers.
    """
    rows = []
    for number, line in enumerate(_lines_of(path), 1):
        words = line.split()
        if not words:
            continue
        try:
            class_number, (x, y, wide, high) = int(words[0]), (float(w) for w in words[1:])
        except ValueError as error:
            raise _unfit(path, f"line {number}: {line[:80]!r}", "class x y width height") from error
        rows.append((class_number, (x, y, wide, high)))
    return rows


def to_pixels(share: limits.Box, height: int, width: int) -> limits.Box:
    """Return the corners in pixels of a box given as shares."""
    x, y, wide, high = share
    left, top = (x - wide / 2) * width, (y - high / 2) * height
    return left, top, left + wide * width, top + high * height


def _image(path: Path, labels: Path | None, ids: list[int], size: tuple[int, int]) -> CocoImage:
    rows = parse_yolo(labels) if labels is not None else []
    place = labels or path
    for number, (row, _) in enumerate(rows, 1):
        if not 0 <= row < len(ids):
            raise _unfit(place, f"box {number} of class {row}", f"0 to {len(ids) - 1}")
    boxes = [
        limits.cut(to_pixels(share, *size), size, f"box {number}", place)
        for number, (_, share) in enumerate(rows, 1)
    ]
    return CocoImage(
        path=limits.present(path, place),
        height=size[0],
        width=size[1],
        truth=Detections(
            np.asarray(boxes, np.float32).reshape(-1, 4),
            np.ones(len(boxes), np.float32),
            np.asarray([ids[row] for row, _ in rows], np.int64),
        ),
        load_states=(None,) * len(boxes),
        behind_g_per_cm2=np.full(len(boxes), math.nan, np.float32),
    )


def _lines(image: CocoImage, number_of: dict[int, int]) -> list[str]:
    lines = []
    for box, class_id in zip(image.truth.boxes_xyxy.tolist(), image.truth.class_ids, strict=True):
        x0, y0, x1, y1 = box
        shares = (x0 + x1) / 2 / image.width, (y0 + y1) / 2 / image.height
        sizes = (x1 - x0) / image.width, (y1 - y0) / image.height
        numbers = " ".join(f"{value:.10f}" for value in (*shares, *sizes))
        lines.append(f"{number_of[int(class_id)]} {numbers}\n")
    return lines


def _yaml_names(path: Path) -> tuple[str, ...]:
    lines = _lines_of(path)
    start = next((k for k, line in enumerate(lines) if line.startswith("names:")), None)
    if start is None:
        raise _unfit(path, "no 'names'", "names of the classes")
    inline = lines[start].removeprefix("names:").strip()
    if inline:
        if not (inline.startswith("[") and inline.endswith("]")):
            raise _unfit(path, f"names: {inline[:80]}", "a list in brackets, or one name a line")
        return tuple(part.strip().strip("'\"") for part in inline[1:-1].split(",") if part.strip())
    found: dict[int, str] = {}
    for line in lines[start + 1 :]:
        item = _ITEM.match(line)
        if item is None:
            break
        number = int(item["number"]) if item["number"] else len(found)
        found[number] = item["name"].strip("'\"")
    if sorted(found) != list(range(len(found))) or not found:
        raise _unfit(path, f"classes numbered {sorted(found)}", "0, 1, 2 and so on")
    return tuple(found[number] for number in range(len(found)))


def _lines_of(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise _unfit(path, str(error), "a readable text file") from error


def _unfit(path: Path, found: str, expected: str) -> AnnotationError:
    return AnnotationError(path, found=found, expected=expected, remedy="Correct that file.")
