"""Labels from one form to another: COCO, Pascal VOC, YOLO."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nii.annotations.coco import CocoSet, read_coco, write_coco
from nii.annotations.voc import read_voc, write_voc
from nii.annotations.yolo import LABELS_FOLDER, read_yolo, write_yolo
from nii.evaluate.data_rows import Form, image_root_of, images_by_label, size_of
from nii.evaluate.truth_set import find_truth, read_truth


def read_labels(place: Path, images: Path | None = None) -> tuple[CocoSet, Path]:
    """Return a set strictly read, and the folder that its image names start from.

    Args:
        place: COCO file, or a folder of COCO, YOLO or Pascal VOC labels.
        images: folder of the scans; found beside the labels where not given.

    Raises:
        AnnotationError: the labels contradict themselves or their images.
        ScanFormatError: the size of an image was needed and could not be read.
    """
    root = images or image_root_of(place)
    if place.is_dir() and (place / LABELS_FOLDER).is_dir() and not any(place.glob("*.json")):
        return read_yolo(place, images_by_label(root), size_of), root
    if place.is_dir() and any(place.rglob("*.xml")):
        return read_voc(place, root), root
    root = images or read_truth(place).image_root
    return read_coco(find_truth(place), root), root


def write_labels(labelled: CocoSet, place: Path, form: Form, image_root: Path) -> None:
    """Write a set: a file for COCO, a folder for the others.

    Raises:
        AnnotationError: an image lies outside the folder, or two would share a label file.
        OSError: the place cannot be written.
    """
    if form == "coco":
        place.parent.mkdir(parents=True, exist_ok=True)
        write_coco(labelled, place, image_root)
    elif form == "voc":
        write_voc(labelled, place, image_root)
    else:
        write_yolo(labelled, place, image_root)


def lost_in(labelled: CocoSet, form: Form) -> tuple[str, ...]:
    """Return in words what a form cannot hold of a set."""
    if form == "voc":
        return ("Pascal VOC does not say which classes were looked for and not found.",)
    if form == "coco":
        return ()
    loads = sum(state is not None for image in labelled.images for state in image.load_states)
    densities = sum(int(np.isfinite(i.behind_g_per_cm2).sum()) for i in labelled.images)
    kept = ((loads, "load states"), (densities, "areal densities behind threats"))
    return tuple(f"YOLO cannot hold {count} {what}: lost." for count, what in kept if count)
