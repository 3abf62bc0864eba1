"""Hard negatives: what is listed was claimed and is wrong, and training goes there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch, which is not installed")

from torch import Tensor, nn

from nii import taxonomy
from nii.detections import Detections
from nii.errors import ConfigError
from nii.train import dataset
from nii.train.config import TrainConfig
from nii.train.dataset import read_places
from nii.train.mining import LEAST_SCORE, MOST_PLACES, false_alarms, mine

FIREARM, CONTAINER = (taxonomy.by_name(name).class_id for name in ("firearm", "container"))


class Dark(nn.Module):
    """Claim a firearm wherever it is dark, with sides of 8 pixels."""

    def __init__(self) -> None:
        """Hold one weight, so that the network has a device."""
        super().__init__()
        self.one = nn.Parameter(torch.ones(1))

    def forward(self, detail: Tensor, overview: Tensor) -> tuple[Tensor, ...]:
        """Return five maps."""
        dark = nn.functional.avg_pool2d(detail[:, :1], 4)
        heat = torch.cat([20 * (dark - 0.75), torch.full_like(dark, -20.0)], 1)
        rows, columns = overview.shape[2] // 2, overview.shape[3] // 2
        none = torch.full((1, 2, rows, columns), -20.0)
        sides = torch.full((1, 4, *dark.shape[2:]), 8.0)
        return heat * self.one, sides, none, none, torch.ones(1, 8, rows, columns)


def test_only_claims_that_touch_no_threat_are_listed() -> None:
    """Claims on a threat, faint ones and structures are left out; the highest score comes first."""
    truth = Detections(
        np.asarray([[0, 0, 20, 20]], np.float32), np.ones(1, np.float32), np.asarray([FIREARM])
    )
    boxes = np.asarray(
        [[10, 10, 30, 30], [50, 0, 60, 10], [70, 0, 80, 10], [90, 0, 99, 9], [0, 60, 99, 99]],
        np.float32,
    )
    scores = np.asarray([0.9, 0.3, 0.5, LEAST_SCORE / 2, 0.9], np.float32)
    kinds = np.asarray([FIREARM, FIREARM, FIREARM, FIREARM, CONTAINER])
    wrong = false_alarms(Detections(boxes, scores, kinds), truth)
    np.testing.assert_array_equal(wrong, boxes[[2, 1]])


def test_a_scan_gives_no_more_than_its_share() -> None:
    """One noisy scan cannot crowd out the others."""
    count = MOST_PLACES + 5
    left = np.arange(count, dtype=np.float32) * 20
    boxes = np.stack([left, left * 0, left + 10, left * 0 + 10], 1)
    found = Detections(boxes, np.full(count, 0.5, np.float32), np.full(count, FIREARM))
    nothing = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, int))
    assert len(false_alarms(found, nothing)) == MOST_PLACES


@pytest.mark.slow
def test_the_false_alarms_of_each_scan_are_written(config: TrainConfig, tmp_path: Path) -> None:
    """The dark container is claimed; every scan has its list, and the number is that of all."""
    path = tmp_path / "hard.json"
    count = mine(Dark(), config, path, 3)
    places = read_places(path)
    assert len(places) == 3
    assert count == sum(len(rows) for rows in places) > 0


def test_crops_lie_where_the_network_was_mistaken(config: TrainConfig, tmp_path: Path) -> None:
    """With a mistake in the air every benign crop shows air; without it vehicles are shown."""
    path = tmp_path / "hard.json"
    path.write_text(json.dumps({"places": [[[2, 2, 6, 6]]]}))
    data = replace(config.train, hard_places=path, hard_share=1.0, benign_crop_share=1.0)
    narrow = replace(data, crop_px=16, crops_per_scan=12, display_share=0.0)
    task = dataset.Task(config.threats, config.structures, config.preprocess)
    source = dataset.open_source(narrow)
    hard, drawn = (
        dataset.TrainingSet(source, each, task, 1, 0)[0].crops
        for each in (narrow, replace(narrow, hard_share=0.0))
    )
    assert max(float(crop.channels[0].mean()) for crop in hard) < 0.3
    assert max(float(crop.channels[0].mean()) for crop in drawn) > 0.3


def test_a_list_that_is_none_is_an_error(tmp_path: Path) -> None:
    """A missing file and another content are named, not passed over."""
    with pytest.raises(ConfigError, match="no list of places"):
        read_places(tmp_path / "missing.json")
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"something": 1}))
    with pytest.raises(ConfigError, match="no list of places"):
        read_places(other)
