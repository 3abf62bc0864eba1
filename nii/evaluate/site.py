"""A site's own scans: threats projected in, the model's answers, and which threat was found.

What the model answered is kept in a folder, one small file a scan, so that an interrupted run goes
on. Neither a scan nor a part of one is kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nii import formats, taxonomy
from nii.config import from_dict, to_dict
from nii.detections import Detections
from nii.errors import ConfigError, NiiError
from nii.evaluate.containers import ContainerTable, container_table
from nii.evaluate.match import JudgedScan, Truth, judge
from nii.evaluate.summary import Failure
from nii.folders import claim, write_whole
from nii.infer.detect import REVISION
from nii.infer.inspect import Finds, container_scores
from nii.scan import Scan
from nii.simulate.projection import Projection, ProjectionConfig, pitch_of, project

SETTINGS_FILE = "settings.json"
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold what a model answered to one scan of a site, without and with threats.

    Attributes:
        name: file name.
        scanner: what the scan says of the machine, if anything.
        pitch_mm: distance of neighbouring pixels, vertical and horizontal.
        containers_xyxy: boxes of the containers.
        benign: box, score and class of each detection in the scan as it came.
        threats: the same in the scan with threats.
        truth: box and class of each threat.
        behind_g_per_cm2: mean areal density behind each threat.
        grey: mean grey (0 to 255) of the place of each threat before.
    """

    name: str
    scanner: str | None
    pitch_mm: tuple[float, float]
    containers_xyxy: tuple[Box, ...]
    benign: tuple[tuple[Box, float, str], ...]
    threats: tuple[tuple[Box, float, str], ...]
    truth: tuple[tuple[Box, str], ...]
    behind_g_per_cm2: tuple[float, ...]
    grey: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Answers:
    """Hold the answers to all scans of a site, and the scans that gave none."""

    rows: tuple[Answer, ...]
    failures: tuple[Failure, ...]
    left_out: tuple[str, ...] = ()
    """Scans in which the model saw no container."""

    @property
    def scanner(self) -> str | None:
        """Return the machine that all scans name; None where they name none or several."""
        names = {row.scanner for row in self.rows}
        return names.pop() if len(names) == 1 else None

    def reference(self) -> tuple[float, ...]:
        """Return the highest threat score of every benign container, rising."""
        found = (
            score
            for row in self.rows
            for score in container_scores(_detections(row.benign), row.containers_xyxy)
        )
        return tuple(sorted(found))

    def table(self) -> ContainerTable:
        """Return containers without and with threats; both of one scan count as that scan."""
        table = container_table(judged_site(self))
        owner = np.repeat(np.arange(len(self.rows)), 2)
        return replace(table, scan=np.asarray(owner[table.scan], np.int64))


@dataclass(frozen=True, slots=True)
class Known:
    """Boxes of containers by the path of a scan's first file, where a site has labels."""

    boxes: dict[Path, tuple[Box, ...]]


def answers(
    groups: Sequence[tuple[Path, ...]],
    detector: Finds,
    config: ProjectionConfig,
    work: Path,
    known: Known | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Answers:
    """Project threats into scans and ask a model about each, without and with them.

    Args:
        groups: the files of each scan.
        detector: the model.
        config: what is projected.
        work: folder for the answers; what is there already is not asked again.
        known: labelled containers; where not given, those that the model sees.
        on_progress: is told how many scans are done, and how many there are.

    Raises:
        ConfigError: the folder holds answers of another model or to other settings.
        ProviderError: the hardware gave up.
    """
    made_with = {
        "model": detector.model.sha256,
        "revision": REVISION,
        "projection": to_dict(config),
    }
    remedy = "Remove the folder, or name another one."
    claim(work / SETTINGS_FILE, made_with, "answers of a calibration", remedy)
    rows: list[Answer] = []
    failures: list[Failure] = []
    left_out: list[str] = []
    for number, files in enumerate(groups):
        try:
            row = _answer(number, files, detector, (config, work), known)
        except NiiError as error:
            failures.append(Failure(str(files[0]), str(error)))
        else:
            (rows.append(row) if row.containers_xyxy else left_out.append(row.name))
        if on_progress is not None:
            on_progress(number + 1, len(groups))
    return Answers(tuple(rows), tuple(failures), tuple(left_out))


def judged_site(seen: Answers) -> tuple[JudgedScan, ...]:
    """Match every scan of a site twice: as it came, and with its threats."""
    return tuple(_judged(row, threats=side) for row in seen.rows for side in (False, True))


def _answer(
    number: int,
    files: tuple[Path, ...],
    detector: Finds,
    kept: tuple[ProjectionConfig, Path],
    known: Known | None,
) -> Answer:
    config, work = kept
    path = work / f"{number:06}.json"
    kept_row = _kept(path)
    if kept_row is not None and kept_row.name == files[0].name:
        return kept_row
    scan = formats.read(files[0] if len(files) == 1 else list(files))
    row = ask(scan, number, detector, config, known.boxes.get(files[0], ()) if known else None)
    row = replace(row, name=files[0].name)
    write_whole(path, (json.dumps(to_dict(row)) + "\n").encode())
    return row


def _kept(path: Path) -> Answer | None:
    """Return an answer of before; None where there is none, or one that cannot be read."""
    try:
        return from_dict(Answer, json.loads(path.read_text("utf-8")), where=str(path))
    except (OSError, ValueError, ConfigError):
        return None


def ask(
    scan: Scan,
    number: int,
    detector: Finds,
    config: ProjectionConfig,
    containers_xyxy: tuple[Box, ...] | None = None,
) -> Answer:
    """Ask a model about one scan, without and with threats.

    Args:
        scan: a benign scan.
        number: chooses the threats together with the seed.
        detector: the model.
        config: what is projected.
        containers_xyxy: where the containers are; None asks the model.
    """
    found = detector.detect(scan)[0]
    boxes = seen_containers(found, detector) if containers_xyxy is None else containers_xyxy
    done = project(scan, boxes, number, config) if boxes else Projection(scan, (), (), ())
    with_threats = detector.detect(done.scan)[0] if done.threats else Detections.empty()
    return Answer(
        name="",
        scanner=scan.scanner,
        pitch_mm=pitch_of(scan, boxes) if boxes else (1.0, 1.0),
        containers_xyxy=boxes,
        benign=_rows(found),
        threats=_rows(with_threats),
        truth=tuple((_box(one.box_xyxy), one.name) for one in done.threats),
        behind_g_per_cm2=tuple(round(value, 2) for value in done.behind_g_per_cm2),
        grey=tuple(round(value, 1) for value in done.grey),
    )


def seen_containers(found: Detections, detector: Finds) -> tuple[Box, ...]:
    """Return the containers that a model is sure of."""
    kind = taxonomy.by_name("container").class_id
    sure = (found.class_ids == kind) & (found.scores >= detector.card.thresholds.structure)
    return tuple(_box(box) for box in found.boxes_xyxy[sure].tolist())


def _judged(row: Answer, *, threats: bool) -> JudgedScan:
    kind = taxonomy.by_name("container").class_id
    marked = list(row.truth) if threats else []
    # A container of the copy that got no threat would count as a benign one twice.
    containers = [one for one in row.containers_xyxy if not threats or _holds(one, marked)]
    boxes = [box for box, _ in marked] + containers
    ids = [taxonomy.by_name(name).class_id for _, name in marked]
    ids += [kind] * len(containers)
    behind = np.full(len(boxes), np.nan, np.float32)
    if threats:
        behind[: len(marked)] = row.behind_g_per_cm2
    objects = Detections(
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.ones(len(boxes), np.float32),
        np.asarray(ids, np.int64),
    )
    found = _detections(row.threats if threats else row.benign)
    every = tuple(one.class_id for one in taxonomy.classes())
    done = judge(row.name, found, Truth(objects, behind), every)
    name = f"{row.name}{'+' if threats else ''}"
    return replace(done, name=name, scanner=row.scanner or "", pitch_mm=row.pitch_mm)


def _holds(container: Box, marked: Sequence[tuple[Box, str]]) -> bool:
    """Tell whether the middle of a threat lies in a container."""
    x0, y0, x1, y1 = container
    middles = [((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) for box, _ in marked]
    return any(x0 <= x < x1 and y0 <= y < y1 for x, y in middles)


def _rows(found: Detections) -> tuple[tuple[Box, float, str], ...]:
    names = taxonomy.classes()
    return tuple(
        (_box(box), round(float(score), 4), names[int(kind)].name)
        for box, score, kind in zip(
            found.boxes_xyxy.tolist(), found.scores, found.class_ids, strict=True
        )
    )


def _detections(rows: Sequence[tuple[Box, float, str]]) -> Detections:
    return Detections(
        np.asarray([box for box, _, _ in rows], np.float32).reshape(-1, 4),
        np.asarray([score for _, score, _ in rows], np.float32),
        np.asarray([taxonomy.by_name(name).class_id for _, _, name in rows], np.int64),
    )


def _box(box: Sequence[float] | Sequence[int]) -> Box:
    x0, y0, x1, y1 = (round(float(value), 2) for value in box)
    return x0, y0, x1, y1
