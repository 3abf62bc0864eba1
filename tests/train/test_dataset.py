"""Tests of :mod:`nii.train.dataset`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch, which is not installed")

from nii import taxonomy
from nii.detections import Detections
from nii.preprocess import PreprocessSpec, detail_channels, preprocess
from nii.scan import Scan
from nii.train.config import DataConfig, TrainConfig
from nii.train.dataset import Task, TrainingSet, _channels, collate, open_source

TASK = Task(("firearm", "brick"), ("container",), PreprocessSpec())
CONFIG = DataConfig(
    count=3, crops_per_scan=3, crop_px=64, display_share=0.0, single_energy_share=0.0
)


class OneBlock:
    """A source of one scan: a container of steel sheet with a dense block in it."""

    def __len__(self) -> int:
        """Return 3: the same scan three times."""
        return 3

    def load(self, index: int) -> tuple[Scan, Detections]:
        """Return the scan, whatever the index."""
        assert index < 3
        array = np.ones((2, 300, 900), np.float32)
        array[:, 60:240, 100:800] = 0.8
        array[:, 150:190, 400:450] = 0.1
        boxes = np.asarray([[100, 60, 800, 240], [400, 150, 450, 190]], np.float32)
        ids = [taxonomy.by_name(name).class_id for name in ("container", "firearm")]
        return Scan(array), Detections(boxes, np.ones(2, np.float32), np.asarray(ids))


def make_set(epoch: int = 0) -> TrainingSet:
    """Return the training set of one epoch."""
    return TrainingSet(OneBlock(), CONFIG, TASK, seed=1, epoch=epoch)


@pytest.mark.slow
def test_overviews_are_widened_as_they_would_have_been_collated(config: TrainConfig) -> None:
    """Two shares brought to the width of the whole batch are the whole batch.

    But for the foot of a hill that reached into the padding: there is none of it in a share.
    """
    task = Task(config.threats, config.structures, config.preprocess)
    source = open_source(config.train)
    items = TrainingSet(source, config.train, task, 0, 0)
    samples = [items[row] for row in range(4)]
    whole = collate(samples, task=task, crop_px=config.train.crop_px)
    shares = [collate(samples[row::2], task=task, crop_px=config.train.crop_px) for row in (0, 1)]
    assert len({share.overview.shape[3] for share in shares}) == 2
    wide = [share.widened(whole.overview.shape[3]) for share in shares]
    for name in ("overview", "structure_centre", "structure_inside", "structure_ltrb"):
        for row, share in enumerate(wide):
            apart = getattr(share, name) - getattr(whole, name)[row::2]
            foot = 0.05 if name == "structure_centre" else 0.0
            assert float(apart.abs().max()) <= foot, name
    assert whole.widened(whole.overview.shape[3]) is whole


@pytest.mark.slow
def test_hills_stand_on_the_block_in_every_crop() -> None:
    """Where a crop's heat map is 1 the crop shows the dense block."""
    seen = 0
    for epoch in range(6):
        batch = collate([make_set(epoch)[0]], task=TASK, crop_px=64)
        for crop, heat in zip(batch.detail.numpy(), batch.threat_heat.numpy(), strict=True):
            assert heat[1].max() == 0
            for row, column in zip(*np.nonzero(heat[0] == 1), strict=True):
                seen += 1
                assert crop[0, row * 4 + 2, column * 4 + 2] > 0.4
    assert seen > 3


@pytest.mark.slow
def test_crops_of_what_is_benign_lie_in_structures() -> None:
    """With benign crops alone every middle lies in the container; air round it is not asked for."""
    narrow = replace(CONFIG, benign_crop_share=1.0, crops_per_scan=40)
    crops = TrainingSet(OneBlock(), narrow, TASK, seed=1, epoch=0)[0].crops
    assert all((crop.channels[0] > 0.1).any() for crop in crops)


def test_an_item_depends_on_seed_epoch_and_index_alone() -> None:
    """The same item is the same twice, and another in the next epoch."""
    first, again, other = make_set()[1], make_set()[1], make_set(1)[1]
    np.testing.assert_array_equal(first.crops[0].channels, again.crops[0].channels)
    assert any(
        not np.array_equal(a.channels, b.channels)
        for a, b in zip(first.overviews + first.crops, other.overviews + other.crops, strict=True)
    )


def test_a_batch_has_the_shapes_that_the_network_gives() -> None:
    """Targets lie on the grids of the model contract."""
    batch = collate([make_set()[0], make_set()[1]], task=TASK, crop_px=64)
    assert batch.detail.shape == (6, 4, 64, 64)
    assert batch.threat_heat.shape == (6, 2, 16, 16)
    height, width = batch.overview.shape[2:]
    assert (height, width % 32) == (128, 0)
    assert batch.structure_centre.shape == (2, 1, height // 2, width // 2)
    assert batch.structure_ltrb.shape == (2, 4, height // 2, width // 2)


def test_crops_come_without_overviews_where_none_are_wanted() -> None:
    """Crops are the same with and without overviews, and crops alone make a sound batch."""
    config = replace(CONFIG, overview_share=0.0)
    alone = TrainingSet(OneBlock(), config, TASK, seed=1, epoch=0)[1]
    both = make_set()[1]
    assert not alone.overviews
    assert both.overviews
    for a, b in zip(alone.crops, both.crops, strict=True):
        np.testing.assert_array_equal(a.channels, b.channels)
    batch = collate([alone], task=TASK, crop_px=64)
    assert batch.overview.shape == (0, 4, 128, 32)
    assert batch.structure_ltrb.shape == (0, 4, 64, 16)


def test_a_crop_shows_the_channels_of_the_scan() -> None:
    """A part turned into channels is the same part of the whole: cutting changes no value."""
    scan, _ = OneBlock().load(0)
    spec = TASK.preprocess
    whole = detail_channels(scan, spec)
    part = _channels(scan, spec, np.asarray([390, 140, 500, 200]))
    np.testing.assert_array_equal(part, whole[:, 140:200, 390:500])


@pytest.mark.slow
def test_simulated_scans_are_learnt_from_without_touching_the_disk() -> None:
    """A simulated source gives scans with truth, by index."""
    source = open_source(DataConfig(count=2, seed=3))
    scan, truth = source.load(1)
    again, _ = source.load(1)
    np.testing.assert_array_equal(scan.transmission, again.transmission)
    seen = preprocess(scan, PreprocessSpec())
    assert seen.overview.shape[1] == 128
    assert len(truth) >= 1
