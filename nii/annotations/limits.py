"""What every reader of labels checks: boxes lie in their image, classes are known, files exist."""

from __future__ import annotations

import math
from pathlib import Path

from nii import taxonomy
from nii.errors import AnnotationError

Box = tuple[float, float, float, float]
TOLERANCE_PX = 1e-3
"""How far a box may leave its image: what rounding of decimal numbers may do. Assumption."""


def outside(box_xyxy: Box, height: int, width: int) -> str | None:
    """Return in words what is wrong with a box, or None if it lies in its image with an area."""
    x0, y0, x1, y1 = box_xyxy
    if not all(math.isfinite(edge) for edge in box_xyxy):
        return "a box with an edge that is no number"
    if x1 <= x0 or y1 <= y0:
        return "a box without area"
    slack = TOLERANCE_PX
    if min(x0, y0) < -slack or x1 > width + slack or y1 > height + slack:
        return f"a box that leaves its image of {width} x {height} pixels"
    return None


def cut(box_xyxy: Box, size: tuple[int, int], where: str, path: Path) -> Box:
    """Return a box without what rounding put outside its image.

    Args:
        box_xyxy: corners in pixels, upper bounds exclusive.
        size: height and width of the image.
        where: the entry, in words.
        path: the label file.

    Raises:
        AnnotationError: the box leaves the image, or has no area.
    """
    wrong = outside(box_xyxy, *size)
    if wrong is None:
        x0, y0, x1, y1 = box_xyxy
        return max(x0, 0.0), max(y0, 0.0), min(x1, float(size[1])), min(y1, float(size[0]))
    raise AnnotationError(
        path,
        found=f"{where}: {wrong}, {tuple(round(edge, 3) for edge in box_xyxy)}",
        expected="a box inside its image",
        remedy="Cut the box to its image, or remove it; nii data check lists all of them.",
    )


def class_id_of(name: str, where: str, path: Path) -> int:
    """Return the row of the taxonomy.

    Raises:
        AnnotationError: there is no class of that name.
    """
    known = {row.name: row.class_id for row in taxonomy.classes()}
    if name in known:
        return known[name]
    raise AnnotationError(
        path,
        found=f"{where}: the unknown class {name!r}",
        expected=f"one of {', '.join(known)}",
        remedy="Rename the class or add it to nii/taxonomy.toml.",
    )


def present(file: Path, path: Path) -> Path:
    """Return the path of an image that is there.

    Raises:
        AnnotationError: it is not.
    """
    if file.is_file():
        return file
    raise AnnotationError(
        path,
        found=f"no image at {file}",
        expected="every labelled image under the image folder",
        remedy="Check the image folder, or remove the label.",
    )


def stem_names(names: list[str], path: Path) -> tuple[str, ...]:
    """Return the names of the label files of images: the same path without its suffix.

    Raises:
        AnnotationError: two images would share one label file.
    """
    stems = tuple(Path(name).with_suffix("").as_posix() for name in names)
    if len(set(stems)) == len(stems):
        return stems
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    raise AnnotationError(
        path,
        found=f"images that differ in their suffix alone: {', '.join(twice[:5])}",
        expected="one label file for each image",
        remedy="Rename the images, or convert to COCO.",
    )
