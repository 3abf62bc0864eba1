"""A folder of simulated scans with COCO labels: made by several processes, resumable.

Layout of the folder: ``scans/`` (one file a scan, or two for a DICOS pair), ``labels/`` (one small
COCO file a scan, which says that the scan is complete), ``settings.json`` (what was drawn from)
and, once all scans are there, ``annotations.json`` with the labels of all of them. Scan k is the
same whatever the number of scans or processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from nii import formats
from nii.annotations import coco
from nii.config import to_dict
from nii.folders import claim
from nii.processes import follow_parent
from nii.provenance import sha256_of_file
from nii.scan import Grey
from nii.simulate.source import SimulateConfig, SimulatedScan, simulate

ANNOTATIONS_FILE = "annotations.json"
_SETTINGS_FILE = "settings.json"


@dataclass(frozen=True, slots=True)
class DatasetConfig:
    """Set what is written."""

    simulate: SimulateConfig
    """What is drawn from."""
    seed: int = 0
    """Stream of scans; another seed gives other scans."""
    count: int = 100
    """Number of scans."""
    suffix: str = ".tiff"
    """Suffix of transmission scans, which chooses the format."""
    display_suffix: str = ".jpg"
    """Suffix of 8-bit display images; JPEG loses what a vendor's export loses."""


def write_dataset(
    folder: Path,
    config: DatasetConfig,
    *,
    workers: int = 1,
    on_progress: Callable[[int, int], None] = lambda _done, _count: None,
) -> Path:
    """Simulate the scans that are not there yet and return the path of the annotation file.

    Args:
        folder: where the set is, or will be.
        config: what to make; it must be that of the scans which are there already, but for `count`.
        workers: number of processes; 0 simulates in this one.
        on_progress: called with the number of scans done and their total.

    Raises:
        ConfigError: the folder holds scans that were made with other settings.
    """
    for part in ("scans", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    made_with = {key: value for key, value in to_dict(config).items() if key != "count"}
    claim(folder / _SETTINGS_FILE, made_with, "scans", "Choose another folder, or remove this one.")
    missing = [k for k in range(config.count) if not _label_path(folder, k).is_file()]
    done = config.count - len(missing)
    on_progress(done, config.count)
    for _ in _make_all(folder, config, missing, workers):
        done += 1
        on_progress(done, config.count)
    images = [_read_label(folder, k) for k in range(config.count)]
    path = folder / ANNOTATIONS_FILE
    coco.write_coco(coco.CocoSet(tuple(images)), path, folder)
    return path


def make_scan(folder: Path, config: DatasetConfig, index: int) -> int:
    """Simulate scan `index`, write it, then its label; return the index."""
    made = simulate(config.seed, index, config.simulate)
    display = made.scan.grey is Grey.DISPLAY
    suffix = config.display_suffix if display else config.suffix
    files = formats.write(made.scan, folder / "scans" / f"{index:06}{suffix}")
    image = coco.CocoImage(
        path=files[0],
        height=made.scan.height,
        width=made.scan.width,
        truth=made.truth,
        load_states=made.load_states,
        behind_g_per_cm2=made.behind_g_per_cm2,
        sha256=sha256_of_file(files[0]),
        seed=config.seed,
        hs_chapters=made.hs_chapters,
        objects=_objects(made),
    )
    coco.write_coco(coco.CocoSet((image,)), _label_path(folder, index), folder)
    return index


def _objects(made: SimulatedScan) -> tuple[coco.ObjectFacts, ...]:
    """Return kind, material and mass of each object, where the simulator says them."""
    found = []
    for row, threat in enumerate(made.threat_kinds):
        kind = threat or (made.structure_kinds[row] if made.structure_kinds else None)
        material = made.threat_materials[row] if made.threat_materials else None
        mass = float("nan") if made.threat_masses_kg is None else float(made.threat_masses_kg[row])
        known = round(mass, 3) if np.isfinite(mass) else None
        found.append(coco.ObjectFacts(kind, material, known))
    return tuple(found)


def _make_all(
    folder: Path, config: DatasetConfig, missing: list[int], workers: int
) -> Iterator[int]:
    if workers == 0 or len(missing) < 2:  # noqa: PLR2004
        for index in missing:
            yield make_scan(folder, config, index)
        return
    with ProcessPoolExecutor(
        min(workers, len(missing)), mp_context=get_context("spawn"), initializer=_start_worker
    ) as pool:
        futures: list[Future[int]] = [
            pool.submit(make_scan, folder, config, index) for index in missing
        ]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _start_worker() -> None:
    follow_parent()
    cv2.setNumThreads(1)  # one of several processes on the same cores


def _label_path(folder: Path, index: int) -> Path:
    return folder / "labels" / f"{index:06}.json"


def _read_label(folder: Path, index: int) -> coco.CocoImage:
    return coco.read_coco(_label_path(folder, index), folder).images[0]
