"""Commands about labelled sets: check them, and write them in another form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import cyclopts
from cyclopts import Parameter

from nii.errors import AnnotationError, ConfigError
from nii.terminal import progress, say

data = cyclopts.App(
    name="data",
    help=(
        "Check labelled sets, and write them as COCO, Pascal VOC or YOLO.\n\n"
        "Example: nii data check data/samples/labels.json --out checked"
    ),
)


@data.command
def check(*places: Path, out: Path, images: Path | None = None) -> int:
    """Find what is wrong with labelled sets, and draw contact sheets of every class.

    Each file or folder is one split, or several; the same or nearly the same scan in two of them is
    a fault. Writes index.html, data.json and sheet_CLASS.png. Code 1 says that there are faults.

    Example: nii data check data/samples/labels.json --out checked

    Args:
        places: COCO files; folders with COCO files, Pascal VOC files, or YOLO labels.
        out: folder for the report.
        images: folder of the scans; that of the labels, or `images` beside them, where not given.
    """
    from nii.evaluate.data_check import check_splits
    from nii.evaluate.data_page import write_report
    from nii.evaluate.data_rows import read_splits

    if not places:
        raise ConfigError(
            "nii data check", found="no place", expected="a file or folder", remedy="Name one."
        )
    splits = [split for place in places for split in read_splits(place, images)]
    with progress("checking") as advance:
        report = check_splits(splits, lambda done, total: advance(done, total, ""))
    page = write_report(out, splits, report)
    say(f"{report.faults} faults, {len(report.findings) - report.faults} warnings; report: {page}")
    return int(report.faults > 0)


@data.command
def convert(
    labels: Path,
    *,
    out: Path,
    form: Annotated[Literal["coco", "voc", "yolo"], Parameter("--to")],
    images: Path | None = None,
) -> int:
    """Write labels in another form; the scans stay where they are.

    YOLO holds boxes and classes alone: load states and areal densities are lost in it, and nii says
    so.

    Example: nii data convert data/samples/labels.json --to voc --out voc

    Args:
        labels: COCO file, or a folder of Pascal VOC files or YOLO labels.
        out: the COCO file to write, or the folder for the other forms.
        form: coco, voc or yolo.
        images: folder of the scans; that of the labels, or `images` beside them, where not given.
    """
    from nii.evaluate.data_convert import lost_in, read_labels, write_labels

    if out.resolve() == labels.resolve():
        raise AnnotationError(
            out, found="the labels themselves", expected="another place", remedy="Name another."
        )
    labelled, root = read_labels(labels, images)
    write_labels(labelled, out, form, root)
    for text in lost_in(labelled, form):
        say(text)
    say(f"{len(labelled)} images: {out}")
    return 0
