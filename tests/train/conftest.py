"""A training run that takes seconds: tiny scans in place of simulated ones, a tiny network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from nii import taxonomy
from nii.bundle import Bundle
from nii.detections import Detections
from nii.scan import Scan
from nii.train.config import (
    DataConfig,
    ModelConfig,
    OptimiserConfig,
    ScheduleConfig,
    TrainConfig,
)

if find_spec("torch"):  # without it, only tests that need no torch run in this folder
    import torch

    from nii.train.models import MODELS

    torch.set_num_threads(1)  # tiny tensors: a second thread only waits
    KINDS = sorted(MODELS)
else:
    KINDS = ["torch is not installed"]

THREATS = ("firearm", "brick")


def tiny_scan(index: int) -> tuple[Scan, Detections]:
    """Return a vehicle with a container; in scans of odd number a brick, else nothing to find."""
    rng = np.random.default_rng(index)
    height, width = 96 + 16 * (index % 3), 192 + 32 * (index % 2)
    transmission = np.full((2, height, width), 0.95, np.float32)
    marks = {"vehicle": (10, 20, width - 10, height - 4), "container": (30, 30, width - 40, 80)}
    if index % 2:
        marks["brick"] = (70, 44, 102, 68)
    for thickness, (x0, y0, x1, y1) in zip((0.7, 0.5, 0.2), marks.values(), strict=False):
        transmission[:, y0:y1, x0:x1] *= thickness
    transmission *= rng.uniform(0.98, 1.02, transmission.shape).astype(np.float32)
    boxes = np.asarray(list(marks.values()), np.float32)
    ids = np.asarray([taxonomy.by_name(name).class_id for name in marks], np.int64)
    return Scan(transmission), Detections(boxes, np.ones(len(boxes), np.float32), ids)


@dataclass(frozen=True)
class TinyScans:
    """Stand in for simulated scans: the simulator has its own tests, and takes far longer."""

    count: int

    def __len__(self) -> int:
        """Return the number of scans."""
        return self.count

    def load(self, index: int) -> tuple[Scan, Detections]:
        """Return one scan."""
        return tiny_scan(index)


@dataclass(frozen=True)
class OneSize(TinyScans):
    """Tiny scans of one size, half of them without a threat: any split of a batch fits together."""

    def load(self, index: int) -> tuple[Scan, Detections]:
        """Return one scan."""
        scan, truth = tiny_scan(6 * index + 1)
        return scan, truth.select(np.arange(2)) if index % 2 else truth


@contextmanager
def tiny_scans() -> Iterator[None]:
    """Put tiny scans in the place of every set of scans."""
    from nii.train import dataset

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "open_source", lambda config: TinyScans(config.count))
        yield


def tiny_config(out: Path, **changes: object) -> TrainConfig:
    """Return settings of a run of two steps an epoch, two epochs."""
    settings: dict[str, object] = {
        "name": "tiny",
        "train": DataConfig(count=4, seed=0, crop_px=64, crops_per_scan=2),
        "validation": DataConfig(count=4, seed=1),
        "threats": THREATS,
        "model": ModelConfig(width=4, depth=1, overview_width=4),
        "schedule": ScheduleConfig(warmup_steps=2),
        "epochs": 2,
        "batch_scans": 2,
        "validate_every": 9,
        "device": "cpu",
        "log_every": 1,
        "out": out,
    }
    return TrainConfig(**(settings | changes))  # type: ignore[arg-type]


def train_on_one_size(out: Path) -> None:
    """Train as several processes and one are compared."""
    from nii.train import dataset
    from nii.train.loop import train

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "open_source", lambda config: OneSize(config.count))
        train(
            tiny_config(
                out,
                train=DataConfig(count=4, seed=0, crop_px=64, crops_per_scan=2, display_share=0.0),
                model=ModelConfig(width=4, depth=1, overview_width=4, anomaly=True),
                optimiser=OptimiserConfig(kind="sgd", learning_rate=0.01),
            )
        )


@pytest.fixture
def scans() -> list[tuple[Scan, Detections]]:
    """Return two small scans, of which the second shows a brick."""
    return [tiny_scan(0), tiny_scan(1)]


@pytest.fixture(scope="session", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Return the name of each architecture in turn, so that tests hold for all of them."""
    return str(request.param)


@pytest.fixture
def config(tmp_path: Path) -> Iterator[TrainConfig]:
    """Yield settings of a tiny run in a folder of its own; meanwhile every set of scans is tiny."""
    if find_spec("torch") is None:
        yield tiny_config(tmp_path / "run")
        return
    with tiny_scans():
        yield tiny_config(tmp_path / "run")


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, kind: str) -> Path:
    """Return the folder of a tiny run that reached its end."""
    from nii.train.loop import train

    model = ModelConfig(kind, width=4, depth=1, overview_width=4, anomaly=True)
    with tiny_scans():
        return train(tiny_config(tmp_path_factory.mktemp("runs") / "tiny", model=model)).folder


@pytest.fixture(scope="session")
def bundle(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return a bundle made from the tiny run."""
    from nii.train.export import export

    with tiny_scans():
        return export(finished_run, tmp_path_factory.mktemp("models") / "tiny", version="1")
