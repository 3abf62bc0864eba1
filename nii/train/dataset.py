"""Scans with truth → batches: crops of the detail around threats and elsewhere, and overviews.

One item of the set is one scan, read or simulated once and used for many crops: reading costs more
than cropping. Item k of epoch e depends on (seed, e, k) alone, not on the number of workers.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import cv2
import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from nii import boxes as geometry
from nii import formats, taxonomy
from nii.annotations import coco
from nii.detections import Detections
from nii.errors import ConfigError
from nii.preprocess import CHANNELS, PreprocessSpec, detail_channels, overview_channels
from nii.scan import Scan
from nii.simulate.source import SimulateConfig, simulate
from nii.train.augment import Picture, vary_crop, vary_overview, vary_scan
from nii.train.pairs import Ground, Pair, mark
from nii.train.synthetic_anomaly import Planter, anomaly_target
from nii.train.targets import Grid, Targets, structure_targets, threat_targets

if TYPE_CHECKING:
    from pathlib import Path

    from nii.train.config import DataConfig

_WORKER_TIMEOUT_S = 300
_THREAT_STRIDE = 4
_STRUCTURE_STRIDE = 2
_OPAQUE = 1.5
"""Companded attenuation from which a threat is not taught: an attenuation of 4.8, 1 % transmission.
Such places are black in a display image. Assumption; to be set from the noise of each scan."""
_NOWHERE = np.zeros((0, 4), np.float32)
_ZOOM = (0.8, 1.25)
"""Range of scan pixels per crop pixel: covers pixel pitches of 3.5-6 mm from one set of scans."""


@dataclass(frozen=True, slots=True)
class Task:
    """Say what a network has to find: class names in the order of its maps, and its input."""

    threats: tuple[str, ...]
    structures: tuple[str, ...]
    preprocess: PreprocessSpec


@dataclass(frozen=True, slots=True)
class Batch:
    """Hold the tensors of one step; the first axis of the detail and of the overview differ."""

    detail: Tensor
    threat_heat: Tensor
    threat_top: Tensor
    threat_ltrb: Tensor
    threat_weight: Tensor
    anomaly: Tensor
    overview: Tensor
    structure_centre: Tensor
    structure_inside: Tensor
    structure_ltrb: Tensor
    structure_weight: Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        moved = {
            field.name: getattr(self, field.name).to(device, non_blocking=True)
            for field in dataclasses.fields(self)
        }
        return Batch(**moved)

    def widened(self, columns: int) -> Batch:
        """Return the batch with its overviews padded on the right, as :func:`collate` pads.

        Args:
            columns: of the overview; not fewer than it has.
        """
        missing = columns - self.overview.shape[3]
        if not missing:
            return self
        cells = columns // _STRUCTURE_STRIDE - self.structure_centre.shape[3]
        maps = {
            field.name: functional.pad(
                getattr(self, field.name), (0, cells), value=float(field.name.endswith("ltrb"))
            )
            for field in dataclasses.fields(self)
            if field.name.startswith("structure")
        }
        return replace(self, overview=functional.pad(self.overview, (0, missing)), **maps)


@runtime_checkable
class ScanSource(Protocol):
    """A numbered set of scans with truth."""

    def __len__(self) -> int:
        """Return the number of scans."""

    def load(self, index: int) -> tuple[Scan, Detections]:
        """Return one scan and everything labelled in it."""


@dataclass(frozen=True, slots=True)
class SimulatedScans:
    """Scans made when they are asked for; nothing touches the disk."""

    count: int
    seed: int
    config: SimulateConfig

    def __len__(self) -> int:
        """Return the number of scans."""
        return self.count

    def load(self, index: int) -> tuple[Scan, Detections]:
        """Simulate one scan."""
        made = simulate(self.seed, index, self.config)
        return made.scan, made.truth


@dataclass(frozen=True, slots=True)
class LabelledScans:
    """Scans in files, with boxes in a COCO file."""

    labels: coco.CocoSet
    count: int

    def __len__(self) -> int:
        """Return the number of scans."""
        return self.count

    def load(self, index: int) -> tuple[Scan, Detections]:
        """Read one scan."""
        image = self.labels.images[index]
        return formats.read(image.path), image.truth


def open_source(config: DataConfig) -> ScanSource:
    """Return the scans that a configuration names; `count` limits a labelled set.

    Raises:
        ConfigError: a labelled set has no annotation file.
    """
    if config.source == "simulate":
        return SimulatedScans(config.count, config.seed, config.simulate)
    if config.annotations is None:
        raise ConfigError(
            "data.annotations",
            found="nothing",
            expected="a COCO file",
            remedy="Name the annotation file, or use source = 'simulate'.",
        )
    labels = coco.read_coco(config.annotations, config.images or config.annotations.parent)
    available = len(labels.images)
    return LabelledScans(labels, min(config.count, available) if config.count else available)


def read_places(path: Path | None) -> tuple[Float32[np.ndarray, "n 4"], ...]:
    """Return the places that :mod:`nii.train.mining` wrote, of each scan in the order of the set.

    Raises:
        ConfigError: the file is missing or says something else.
    """
    if path is None:
        return ()
    try:
        rows = json.loads(path.read_text("utf-8"))["places"]
        return tuple(np.asarray(row, np.float32).reshape(-1, 4) for row in rows)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            path,
            found=f"no list of places ({error})",
            expected="what nii.train.mining wrote",
            remedy="Mine again, or leave hard_places out.",
        ) from error


def training_loader(
    config: DataConfig, task: Task, *, batch_scans: int, workers: int, seed: int, epoch: int
) -> DataLoader[Batch]:
    """Return the batches of one epoch, every scan once, in an order drawn from (seed, epoch)."""
    source = open_source(config)
    order = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return DataLoader(
        TrainingSet(source, config, task, seed, epoch),
        batch_size=batch_scans,
        shuffle=True,
        generator=order,
        num_workers=workers,
        collate_fn=partial(
            collate, task=task, crop_px=config.crop_px, evenness=config.threat_evenness
        ),
        drop_last=len(source) >= batch_scans,
        timeout=_WORKER_TIMEOUT_S if workers else 0,
        worker_init_fn=_start_worker,
        persistent_workers=False,
    )


def validation_scans(config: DataConfig) -> Iterator[tuple[Scan, Detections]]:
    """Return scans and truth one after the other, as they are."""
    source = open_source(config)
    return (source.load(index) for index in range(len(source)))


@dataclass(frozen=True, slots=True)
class Sample:
    """Hold the pictures made from one scan."""

    crops: tuple[Picture, ...]
    overviews: tuple[Picture, ...]


class TrainingSet(Dataset[Any]):
    """Turn each scan of a source into a :class:`Sample`: crops and overviews."""

    def __init__(
        self, source: ScanSource, config: DataConfig, task: Task, seed: int, epoch: int
    ) -> None:
        """Keep what determines every item."""
        self._source = source
        self._hard = read_places(config.hard_places)
        self._config = config
        self._task = task
        self._seed = seed
        self._epoch = epoch

    def __len__(self) -> int:
        """Return the number of scans."""
        return len(self._source)

    def __getitem__(self, index: int) -> Sample:
        """Return the pictures of one scan."""
        rng = np.random.default_rng([self._seed, self._epoch, index])
        scan, truth = self._source.load(index)
        if self._config.detail and rng.random() < self._config.pair_share:
            crops = self._pairs(scan, truth, rng)
            return Sample(crops, self._overviews(scan, truth, rng))
        scan = vary_scan(scan, self._config, rng)
        hard = self._hard[index] if index < len(self._hard) else _NOWHERE
        return Sample(self._crops(scan, truth, hard, rng), self._overviews(scan, truth, rng))

    def _pairs(
        self, scan: Scan, truth: Detections, rng: np.random.Generator
    ) -> tuple[Picture, ...]:
        """Return crops two by two, without and with a threat; fewer where none could be seen."""
        spec = self._task.preprocess
        ground = Ground(scan, truth, self._task.threats, self._config.threat_weights)
        threats = _visible(_of_classes(truth, self._task.threats), scan, spec)
        planter = Planter.of(scan, truth, threats, 0.0)
        pictures: list[Picture] = []
        for _ in range(max(self._config.crops_per_scan // 2, 1)):
            side = int(self._config.crop_px * rng.uniform(*_ZOOM))
            pair = ground.draw(side, rng)
            if pair is None:
                continue
            _, odd = planter.plant(pair.window_xyxy, rng)
            with_threat = _joined(threats, pair)
            shown = ((pair.before, threats, odd), (pair.after, with_threat, mark(odd, pair.mask)))
            seed = int(rng.integers(2**63))
            for part, found, anomaly in shown:
                same = np.random.default_rng(seed)
                varied = vary_scan(part, self._config, same)
                place = pair.window_xyxy
                picture = _picture(varied, anomaly, found, (place, side), (self._config, spec))
                pictures.append(vary_crop(picture, same))
        return tuple(pictures)

    def _crops(
        self,
        scan: Scan,
        truth: Detections,
        hard: Float32[np.ndarray, "n 4"],
        rng: np.random.Generator,
    ) -> tuple[Picture, ...]:
        if not self._config.detail:
            return ()
        spec = self._task.preprocess
        threats = _visible(_of_classes(truth, self._task.threats), scan, spec)
        planter = Planter.of(scan, truth, threats, self._config.anomaly_share)
        known = threats, _of_classes(truth, self._task.structures).boxes_xyxy, hard
        return tuple(
            vary_crop(_crop(scan, known, (self._config, spec, planter), rng), rng)
            for _ in range(self._config.crops_per_scan)
        )

    def _overviews(
        self, scan: Scan, truth: Detections, rng: np.random.Generator
    ) -> tuple[Picture, ...]:
        if rng.random() >= self._config.overview_share:
            return ()
        spec = self._task.preprocess
        overview, scale = overview_channels(detail_channels(scan, spec), spec)
        structures = _of_classes(truth, self._task.structures)
        small = np.asarray(structures.boxes_xyxy / scale, np.float32)
        seen = Picture(overview, small, structures.class_ids)
        return tuple(vary_overview(seen, rng) for _ in range(self._config.overview_variants))


def collate(samples: list[Sample], *, task: Task, crop_px: int, evenness: float = 0.0) -> Batch:
    """Join samples; overviews are padded with air on the right to the widest."""
    crops = [crop for sample in samples for crop in sample.crops]
    overviews = [overview for sample in samples for overview in sample.overviews]
    multiple, height = task.preprocess.overview_multiple, task.preprocess.overview_height
    widest = max([overview.channels.shape[2] for overview in overviews], default=multiple)
    grid = Grid(crop_px // _THREAT_STRIDE, crop_px // _THREAT_STRIDE, _THREAT_STRIDE)
    wide = Grid(height // _STRUCTURE_STRIDE, widest // _STRUCTURE_STRIDE, _STRUCTURE_STRIDE)
    threats = [
        threat_targets(c.boxes_xyxy, _planes(c, task.threats), len(task.threats), grid, evenness)
        for c in crops
    ]
    structures = [
        structure_targets(o.boxes_xyxy, _planes(o, task.structures), len(task.structures), wide)
        for o in overviews
    ]
    padded = [
        np.pad(o.channels, ((0, 0), (0, 0), (0, widest - o.channels.shape[2]))) for o in overviews
    ]
    empty = threat_targets(
        np.zeros((0, 4), np.float32), np.zeros(0, np.int64), len(task.threats), grid
    )
    return Batch(
        _stack([c.channels for c in crops], (len(CHANNELS), crop_px, crop_px)),
        _stack([t.centre for t in threats], empty.centre.shape),
        _stack([t.top for t in threats], empty.top.shape),
        _stack([t.ltrb for t in threats], empty.ltrb.shape),
        _stack([t.weight for t in threats], empty.weight.shape),
        _stack([anomaly_target(c, grid) for c in crops], (1, grid.rows, grid.columns)),
        _stack(padded, (len(CHANNELS), height, widest)),
        *_structure_tensors(structures, len(task.structures), wide),
    )


def _structure_tensors(
    targets: list[Targets], count: int, grid: Grid
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    empty = structure_targets(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), count, grid)
    return (
        _stack([t.centre for t in targets], empty.centre.shape),
        _stack([t.inside for t in targets], empty.inside.shape),
        _stack([t.ltrb for t in targets], empty.ltrb.shape),
        _stack([t.weight for t in targets], empty.weight.shape),
    )


def _stack(arrays: list[Float32[np.ndarray, ...]], shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(np.stack(arrays) if arrays else np.zeros((0, *shape), np.float32))


def _planes(picture: Picture, names: tuple[str, ...]) -> np.ndarray:
    ids = [taxonomy.by_name(name).class_id for name in names]
    return np.asarray([ids.index(class_id) for class_id in picture.class_ids], np.int64)


def _of_classes(truth: Detections, names: tuple[str, ...]) -> Detections:
    ids = [taxonomy.by_name(name).class_id for name in names]
    return truth.select(np.flatnonzero(np.isin(truth.class_ids, ids)))


def _visible(threats: Detections, scan: Scan, spec: PreprocessSpec) -> Detections:
    """Return the threats that some beam gets through; nothing can be learnt from the others."""
    whole = np.round(threats.boxes_xyxy).astype(np.int64)
    depth = [float(np.median(_channels(scan, spec, box)[0])) for box in whole]
    return threats.select(np.flatnonzero(np.asarray(depth) < _OPAQUE))


def _channels(
    scan: Scan, spec: PreprocessSpec, window_xyxy: Int64[np.ndarray, " 4"]
) -> Float32[np.ndarray, "channel rows columns"]:
    """Return the channels of a part of a scan; a whole scan would cost ten times as much."""
    x0, y0, x1, y1 = (int(edge) for edge in window_xyxy)
    part = np.ascontiguousarray(scan.transmission[:, y0:y1, x0:x1])
    return detail_channels(replace(scan, transmission=part), spec)


def _crop(
    scan: Scan,
    known: tuple[Detections, Float32[np.ndarray, "n 4"], Float32[np.ndarray, "m 4"]],
    settings: tuple[DataConfig, PreprocessSpec, Planter],
    rng: np.random.Generator,
) -> Picture:
    """Return a square crop, around a threat or elsewhere, brought to the size of the network.

    Elsewhere is in a structure where any is labelled, since air teaches next to nothing, or where
    a network was mistaken.
    """
    config, spec, planter = settings
    threats, structures, hard = known
    side = int(config.crop_px * rng.uniform(*_ZOOM))
    boxes = threats.boxes_xyxy if rng.random() >= config.benign_crop_share else _NOWHERE
    if not len(boxes) and len(hard) and rng.random() < config.hard_share:
        boxes = hard
    if len(boxes):
        box = boxes[rng.integers(len(boxes))]
        reach = 0.4 * side
        middle_x = (box[0] + box[2]) / 2 + rng.uniform(-reach, reach)
        middle_y = (box[1] + box[3]) / 2 + rng.uniform(-reach, reach)
    else:
        whole = np.asarray([0, 0, scan.width, scan.height], np.float32)
        place = structures[rng.integers(len(structures))] if len(structures) else whole
        middle_x, middle_y = rng.uniform(place[0], place[2]), rng.uniform(place[1], place[3])
    x0 = int(np.clip(middle_x - side / 2, 0, max(scan.width - side, 0)))
    y0 = int(np.clip(middle_y - side / 2, 0, max(scan.height - side, 0)))
    x1, y1 = min(x0 + side, scan.width), min(y0 + side, scan.height)
    seen, odd = planter.plant((x0, y0, x1, y1), rng)
    return _picture(seen, odd, threats, ((x0, y0, x1, y1), side), (config, spec))


def _joined(threats: Detections, pair: Pair) -> Detections:
    """Return threats and the one that a pair adds."""
    return Detections(
        np.concatenate([threats.boxes_xyxy, np.asarray([pair.box_xyxy], np.float32)]),
        np.append(threats.scores, np.float32(1)),
        np.append(threats.class_ids, np.int64(pair.class_id)),
    )


def _picture(
    seen: Scan,
    odd: Float32[np.ndarray, "height width"],
    threats: Detections,
    place: tuple[tuple[int, int, int, int], int],
    settings: tuple[DataConfig, PreprocessSpec],
) -> Picture:
    """Return a window of a scan, and what is labelled in it, at the size of the network.

    Args:
        seen: the window.
        odd: what the anomaly map should say of it.
        threats: of the whole scan.
        place: window on the scan, and side of the square that it fills, with air where it ends.
        settings: size of the network and its channels.
    """
    (x0, y0, x1, y1), side = place
    config, spec = settings
    window = detail_channels(seen, spec)
    window = np.pad(window, ((0, 0), (0, side - (y1 - y0)), (0, side - (x1 - x0))))
    scale = config.crop_px / side
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    size = (config.crop_px, config.crop_px)
    pixels = np.stack([cv2.resize(plane, size, interpolation=way) for plane in window])
    shifted = threats.boxes_xyxy - np.asarray([x0, y0, x0, y0], np.float32)
    frame = np.asarray([[0, 0, side, side]], np.float32)
    shown = geometry.coverage(shifted, frame)[:, 0] >= 0.4  # noqa: PLR2004 (as in augment)
    clipped = geometry.clip(shifted[shown], side, side)
    odd = np.pad(odd, ((0, side - (y1 - y0)), (0, side - (x1 - x0))))
    anomaly = cv2.resize(odd, size, interpolation=cv2.INTER_NEAREST)
    found = np.asarray(clipped * scale, np.float32)
    return Picture(pixels, found, threats.class_ids[shown], np.asarray(anomaly, np.float32))


def _start_worker(_: int) -> None:
    cv2.setNumThreads(0)  # each worker is one of several processes on the same cores
