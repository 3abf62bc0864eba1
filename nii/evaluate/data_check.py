"""What is wrong with labelled sets before anything is trained on them.

Every image is read once: its bytes (the same file in two splits), its size (that of the labels),
and a coarse picture of it (nearly the same scan in two splits). Faults make a set unfit; warnings
are for people to look at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int64

from nii import formats, taxonomy
from nii.annotations import limits
from nii.config import to_dict
from nii.errors import ScanFormatError
from nii.evaluate.data_rows import BoxRow, ImageRow, SplitRows
from nii.provenance import sha256_of_file

Weight = Literal["fault", "warning"]
SMALLEST_PX = 3.0
"""A box with a shorter side shows nothing that could be learnt: assumption."""
_HASH = 16
"""Rows and columns of the differences of a coarse picture: 256 bits."""
_MOST_BITS = 20
"""Bits in which near-duplicates may differ: assumption; proved by `_LEAST_ALIKE`."""
_THUMB = 64
_LEAST_ALIKE = 0.99
"""Correlation of two coarse pictures of 64 x 64 from which they are near-duplicates: assumption."""
_FLAT = 0.01
"""Standard deviation of grey below which a coarse picture shows nothing: all blanks are alike."""


@dataclass(frozen=True, slots=True)
class Finding:
    """State one thing that is wrong: of which kind, where, and what.

    Attributes:
        weight: a fault makes the set unfit; a warning is for people to look at.
        kind: one of a few words, to count by.
        place: split and image.
        text: what is wrong.
    """

    weight: Weight
    kind: str
    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Summary:
    """Count a split: images, boxes by class, containers by load state."""

    name: str
    form: str
    images: int
    boxes: dict[str, int]
    loads: dict[str, int]


@dataclass(frozen=True, slots=True)
class DataReport:
    """Hold what was found in all splits."""

    splits: tuple[Summary, ...]
    findings: tuple[Finding, ...]

    @property
    def faults(self) -> int:
        """Return the number of findings that make the set unfit."""
        return sum(finding.weight == "fault" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON types."""
        result: dict[str, Any] = to_dict(self)
        return result | {"faults": self.faults}


@dataclass(frozen=True, slots=True)
class Print:
    """Hold what an image is recognised by.

    Attributes:
        split: number of its split.
        place: split and name, for people.
        sha256: digest of the file.
        bits: whether each cell of a coarse picture is brighter than the one to its left.
        thumb: coarse picture, mean 0 and length 1; zeros where it shows nothing.
    """

    split: int
    place: str
    sha256: str
    bits: Bool[np.ndarray, " bit"]
    thumb: Float32[np.ndarray, " pixel"]


def check_splits(
    splits: Sequence[SplitRows],
    on_progress: Callable[[int, int], None] = lambda _done, _count: None,
) -> DataReport:
    """Return everything that is wrong with some splits of one data set."""
    findings: list[Finding] = []
    prints: list[Print] = []
    count, done = sum(len(split.images) for split in splits), 0
    for number, split in enumerate(splits):
        findings += [Finding("fault", "label file", split.name, text) for text in split.faults]
        findings += _repeated_names(split)
        for image in split.images:
            mark, found = look_at(image, split, number)
            prints += [mark] if mark is not None else []
            findings += found
            done += 1
            on_progress(done, count)
    findings += duplicates(prints)
    return DataReport(tuple(_summary(split) for split in splits), tuple(findings))


def look_at(image: ImageRow, split: SplitRows, number: int) -> tuple[Print | None, list[Finding]]:
    """Read one image; return what it is recognised by, and what is wrong with it."""
    place = f"{split.name}: {image.name}"
    if not image.path.is_file():
        return None, [Finding("fault", "missing file", place, f"no image at {image.path}")]
    try:
        grey = formats.read(image.path).plane()
    except ScanFormatError as error:
        return None, [Finding("fault", "unreadable file", place, error.found)]
    size = grey.shape[0], grey.shape[1]
    findings = []
    if (image.height, image.width) != size:
        said = f"{image.width} x {image.height} pixels in the labels, {size[1]} x {size[0]} in fact"
        findings.append(Finding("fault", "image size", place, said))
    findings += [one for box in image.boxes for one in _judge_box(box, size, place)]
    findings += _judge_containers(image, split, place)
    bits, thumb = coarse(grey)
    return Print(number, place, sha256_of_file(image.path), bits, thumb), findings


def coarse(
    grey: Float32[np.ndarray, "height width"],
) -> tuple[Bool[np.ndarray, " bit"], Float32[np.ndarray, " pixel"]]:
    """Return the signs of differences and the small picture that near-duplicates share."""
    small = cv2.resize(grey, (_HASH + 1, _HASH), interpolation=cv2.INTER_AREA)
    thumb = cv2.resize(grey, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA).ravel()
    apart = thumb - thumb.mean()
    flat = float(apart.std()) < _FLAT
    unit = np.zeros_like(apart) if flat else apart / np.float32(np.linalg.norm(apart))
    return (small[:, 1:] > small[:, :-1]).ravel(), unit.astype(np.float32)


def duplicates(prints: Sequence[Print]) -> list[Finding]:
    """Return pairs of the same file, and of nearly the same picture; faults across splits."""
    if len(prints) < 2:  # noqa: PLR2004 - a pair needs two
        return []
    bits = np.stack([one.bits for one in prints]).astype(np.float32)
    findings = []
    for row in range(len(prints) - 1):
        same = bits[row + 1 :] @ bits[row] + (1 - bits[row + 1 :]) @ (1 - bits[row])
        near = np.flatnonzero(_HASH * _HASH - same <= _MOST_BITS) + row + 1
        findings += [f for other in near if (f := _pair(prints[row], prints[int(other)]))]
    return findings


def _pair(one: Print, two: Print) -> Finding | None:
    across = one.split != two.split
    weight: Weight = "fault" if across else "warning"
    where = "another split" if across else "the same split"
    if one.sha256 == two.sha256:
        return Finding(weight, "same file", one.place, f"the same file as {two.place}, in {where}")
    alike = float(one.thumb @ two.thumb)
    if alike < _LEAST_ALIKE:
        return None
    text = f"nearly the same picture as {two.place}, in {where} (correlation {alike:.3f})"
    return Finding(weight, "near-duplicate", one.place, text)


def _judge_box(box: BoxRow, size: tuple[int, int], place: str) -> list[Finding]:
    findings = []
    known = {row.name for row in taxonomy.classes()}
    if box.class_name not in known:
        text = f"{box.where}: {box.class_name!r} is not in the taxonomy"
        findings.append(Finding("fault", "class", place, text))
    wrong = limits.outside(box.box_xyxy, *size)
    x0, y0, x1, y1 = box.box_xyxy
    if wrong is not None:
        kind = "box outside" if "leaves" in wrong else "empty box"
        findings.append(Finding("fault", kind, place, f"{box.where}: {wrong}"))
    elif min(x1 - x0, y1 - y0) < SMALLEST_PX:
        text = f"{box.where}: {x1 - x0:.1f} x {y1 - y0:.1f} pixels"
        findings.append(Finding("warning", "tiny box", place, text))
    return findings


def _judge_containers(image: ImageRow, split: SplitRows, place: str) -> list[Finding]:
    """Return threats in no container, containers without load, and boxes that stand twice."""
    findings = []
    threats = {row.name for row in taxonomy.in_group("threat")}
    parts = [box for box in image.boxes if box.class_name == "container"]
    labels_them = any(b.class_name == "container" for i in split.images for b in i.boxes)
    states_load = any(b.load for i in split.images for b in i.boxes)
    if labels_them and not parts:
        text = "no container is labelled; right where the scan shows none"
        findings.append(Finding("warning", "unlabelled container", place, text))
    elif labels_them:
        lost = [b for b in image.boxes if b.class_name in threats and not _in_any(b, parts)]
        text = "{}: {} in no labelled container"
        findings += [
            Finding("warning", "unlabelled container", place, text.format(b.where, b.class_name))
            for b in lost
        ]
    if states_load:
        findings += [
            Finding("warning", "no load state", place, f"{box.where}: a container without load")
            for box in parts
            if not box.load
        ]
    seen: set[tuple[str, limits.Box]] = set()
    for box in image.boxes:
        if (box.class_name, box.box_xyxy) in seen:
            findings.append(Finding("fault", "box twice", place, box.where))
        seen.add((box.class_name, box.box_xyxy))
    return findings


def _in_any(box: BoxRow, parts: Sequence[BoxRow]) -> bool:
    x, y = (box.box_xyxy[0] + box.box_xyxy[2]) / 2, (box.box_xyxy[1] + box.box_xyxy[3]) / 2
    corners = (part.box_xyxy for part in parts)
    return any(x0 <= x < x1 and y0 <= y < y1 for x0, y0, x1, y1 in corners)


def _repeated_names(split: SplitRows) -> list[Finding]:
    names, counts = np.unique([image.name for image in split.images], return_counts=True)
    repeated: Int64[np.ndarray, " n"] = np.flatnonzero(counts > 1)
    return [
        Finding("fault", "image twice", split.name, f"{names[row]} is listed {counts[row]} times")
        for row in repeated
    ]


def _summary(split: SplitRows) -> Summary:
    boxes: dict[str, int] = {}
    loads: dict[str, int] = {}
    for box in (box for image in split.images for box in image.boxes):
        boxes[box.class_name] = boxes.get(box.class_name, 0) + 1
        if box.load:
            loads[box.load] = loads.get(box.load, 0) + 1
    return Summary(split.name, split.form, len(split.images), boxes, loads)
