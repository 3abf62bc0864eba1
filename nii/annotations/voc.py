"""Pascal VOC label files (XML, one for each image), strict.

A box is ``xmin ymin xmax ymax`` in pixels from the left upper corner of the image, upper bounds
exclusive, as most tools write it today. The first VOC data counted pixels from 1 and included the
last (`one_based`): the form itself does not say which of the two it is. Facts of cargo scans are
kept as further elements that other tools pass over: ``load``, ``hs_chapters`` and
``behind_g_per_cm2`` of an object, ``sha256`` and ``seed`` of an image.

Reference: Everingham et al. (2010), The Pascal Visual Object Classes Challenge, and its devkit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args
from xml.etree import ElementTree as ET

import numpy as np

from nii import taxonomy
from nii.annotations import limits
from nii.annotations.coco import CocoImage, CocoSet, LoadState
from nii.detections import Detections
from nii.errors import AnnotationError

SUFFIX = ".xml"
_LARGEST_BYTES = 16 << 20
"""Largest label file that is read: assumption, a hundred thousand boxes."""
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, slots=True)
class VocObject:
    """Hold one object as written, geometry unchecked; see :class:`nii.annotations.coco`."""

    name: str
    box_xyxy: limits.Box
    load: str | None = None
    behind_g_per_cm2: float = math.nan
    hs_chapters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VocFile:
    """Hold what one label file says, geometry and classes unchecked."""

    image: str
    height: int
    width: int
    objects: tuple[VocObject, ...]
    sha256: str | None = None
    seed: int | None = None


def read_voc(
    labels: Path,
    image_root: Path,
    *,
    one_based: bool = False,
    labelled: tuple[str, ...] | None = None,
) -> CocoSet:
    """Read all label files below a folder and check them against themselves and their images.

    Args:
        labels: folder of the XML files.
        image_root: folder that the file names in them start from.
        one_based: the files count pixels from 1 and include the last.
        labelled: names of the classes that were looked for, which the files do not say; those that
            occur where not given.

    Raises:
        AnnotationError: there is no label file; one is no VOC file, names an unknown class or a
            missing image; a box leaves its image.
    """
    paths = sorted(labels.rglob(f"*{SUFFIX}"))
    if not paths:
        raise _unfit(labels, "no XML file", "a folder of Pascal VOC label files")
    images = tuple(_image(path, image_root, one_based=one_based) for path in paths)
    seen = {int(class_id) for image in images for class_id in image.truth.class_ids}
    occur = tuple(row.name for row in taxonomy.classes() if row.class_id in seen)
    return CocoSet(images, occur if labelled is None else labelled)


def write_voc(labelled: CocoSet, folder: Path, image_root: Path) -> None:
    """Write one label file for each image, named like it.

    Args:
        labelled: images and boxes.
        folder: where the files go; it is made where it is not there.
        image_root: folder that image names are written relative to.

    Raises:
        AnnotationError: an image lies outside `image_root`, or two would share a label file.
        OSError: the folder cannot be written.
    """
    names = [_name_of(image, image_root) for image in labelled.images]
    stems = limits.stem_names(names, folder)
    for name, stem, image in zip(names, stems, labelled.images, strict=True):
        tree = ET.ElementTree(_element(name, image))
        ET.indent(tree)
        path = folder / f"{stem}{SUFFIX}"
        path.parent.mkdir(parents=True, exist_ok=True)
        tree.write(path, encoding="utf-8")


def parse_voc(path: Path, *, one_based: bool = False) -> VocFile:
    """Return what one file says, before it is checked against the image and the taxonomy.

    Raises:
        AnnotationError: it cannot be read or is no VOC file.
    """
    root = _root(path)
    size = {key: _whole(root, f"size/{key}", path) for key in ("height", "width")}
    seed = root.findtext("seed")
    return VocFile(
        image=_text(root, "filename", path),
        height=size["height"],
        width=size["width"],
        objects=tuple(_object(e, path, one_based=one_based) for e in root.iter("object")),
        sha256=root.findtext("sha256"),
        seed=None if seed is None else _whole(root, "seed", path),
    )


def _root(path: Path) -> ET.Element:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise _unfit(path, f"more than {_LARGEST_BYTES} bytes", "a label file")
        text = path.read_text("utf-8")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise _unfit(path, "a document type", "an XML file without entities")
        root = ET.fromstring(text)  # noqa: S314 - entities were refused above
    except (OSError, ValueError, ET.ParseError) as error:
        raise _unfit(path, str(error), "a readable XML file") from error
    if root.tag != "annotation":
        raise _unfit(path, f"the element {root.tag!r}", "the element 'annotation'")
    return root


def _object(element: ET.Element, path: Path, *, one_based: bool) -> VocObject:
    x0, y0, x1, y1 = (_number(element, f"bndbox/{key}", path) for key in _CORNERS)
    first = 1.0 if one_based else 0.0
    behind = element.find("behind_g_per_cm2")
    return VocObject(
        name=_text(element, "name", path),
        box_xyxy=(x0 - first, y0 - first, x1, y1),
        load=element.findtext("load"),
        behind_g_per_cm2=math.nan if behind is None else _number(element, "behind_g_per_cm2", path),
        hs_chapters=tuple((element.findtext("hs_chapters") or "").split()),
    )


def _image(path: Path, root: Path, *, one_based: bool) -> CocoImage:
    said = parse_voc(path, one_based=one_based)
    size = said.height, said.width
    where = [f"object {number}" for number in range(1, len(said.objects) + 1)]
    pairs = list(zip(said.objects, where, strict=True))
    boxes = [limits.cut(thing.box_xyxy, size, place, path) for thing, place in pairs]
    ids = [limits.class_id_of(thing.name, place, path) for thing, place in pairs]
    chapters = tuple(thing.hs_chapters for thing in said.objects)
    return CocoImage(
        path=limits.present(root / said.image, path),
        height=said.height,
        width=said.width,
        truth=Detections(
            np.asarray(boxes, np.float32).reshape(-1, 4),
            np.ones(len(boxes), np.float32),
            np.asarray(ids, np.int64),
        ),
        load_states=tuple(_load_state(thing.load, place, path) for thing, place in pairs),
        behind_g_per_cm2=np.asarray([t.behind_g_per_cm2 for t in said.objects], np.float32),
        sha256=said.sha256,
        seed=said.seed,
        hs_chapters=chapters if any(chapters) else (),
    )


def _load_state(text: str | None, where: str, path: Path) -> LoadState | None:
    if text is None or text in get_args(LoadState):
        return cast("LoadState | None", text)
    raise _unfit(path, f"{where}: load {text!r}", f"one of {', '.join(get_args(LoadState))}")


def _element(name: str, image: CocoImage) -> ET.Element:
    root = ET.Element("annotation")
    _add(root, "filename", name)
    size = ET.SubElement(root, "size")
    for key, value in (("width", image.width), ("height", image.height), ("depth", 1)):
        _add(size, key, str(value))
    for key, fact in (("sha256", image.sha256), ("seed", image.seed)):
        if fact is not None:
            _add(root, key, str(fact))
    for row in range(len(image.truth)):
        _add_object(root, image, row)
    return root


def _add_object(root: ET.Element, image: CocoImage, row: int) -> None:
    thing = ET.SubElement(root, "object")
    _add(thing, "name", taxonomy.classes()[int(image.truth.class_ids[row])].name)
    for key in ("truncated", "difficult"):
        _add(thing, key, "0")
    box = ET.SubElement(thing, "bndbox")
    for key, edge in zip(_CORNERS, image.truth.boxes_xyxy[row].tolist(), strict=True):
        _add(box, key, repr(edge))
    state, behind = image.load_states[row], float(image.behind_g_per_cm2[row])
    if state is not None:
        _add(thing, "load", state)
    if math.isfinite(behind):
        _add(thing, "behind_g_per_cm2", repr(behind))
    if image.hs_chapters and image.hs_chapters[row]:
        _add(thing, "hs_chapters", " ".join(image.hs_chapters[row]))


def _add(parent: ET.Element, tag: str, text: str) -> None:
    ET.SubElement(parent, tag).text = text


def _name_of(image: CocoImage, root: Path) -> str:
    if image.path.is_relative_to(root):
        return image.path.relative_to(root).as_posix()
    raise _unfit(image.path, "an image outside the image folder", f"a path under {root}")


def _text(element: ET.Element, tag: str, path: Path) -> str:
    text = (element.findtext(tag) or "").strip()
    if text:
        return text
    raise _unfit(path, f"no {tag}", f"{tag} in every {element.tag}")


def _number(element: ET.Element, tag: str, path: Path) -> float:
    text = _text(element, tag, path)
    try:
        return float(text)
    except ValueError as error:
        raise _unfit(path, f"{tag} = {text!r}", f"{tag} as a number") from error


def _whole(element: ET.Element, tag: str, path: Path) -> int:
    value = _number(element, tag, path)
    if value == int(value) and value >= 0 if math.isfinite(value) else False:
        return int(value)
    raise _unfit(path, f"{tag} = {value}", f"{tag} as a whole number")


def _unfit(path: Path, found: str, expected: str) -> AnnotationError:
    return AnnotationError(path, found=found, expected=expected, remedy="Correct that file.")
