"""Conformance of every architecture in MODELS: contract, learning, and any size of scan.

That it is exported faithfully is proved for each of them in ``tests/train/test_export.py``.
"""

from __future__ import annotations

import dataclasses

import pytest

torch = pytest.importorskip("torch", reason="training needs torch, which is not installed")

from nii.errors import ConfigError
from nii.train.config import ModelConfig, TrainConfig
from nii.train.dataset import Task, training_loader
from nii.train.device import choose
from nii.train.models import build
from nii.train.run import Run


@pytest.mark.parametrize(("detail", "overview"), [((1, 16, 48), (2, 32)), ((3, 64, 32), (1, 96))])
def test_outputs_have_the_shapes_of_the_contract(
    kind: str, detail: tuple[int, int, int], overview: tuple[int, int]
) -> None:
    """The two batches are independent, any multiple of the strides fits, and distances are >= 0."""
    network = build(ModelConfig(kind, width=4, depth=1, overview_width=4), 3, 2).eval()
    (batch, height, width), (wide_batch, columns) = detail, overview
    with torch.no_grad():
        maps = network(
            torch.zeros(batch, 4, height, width), torch.zeros(wide_batch, 4, 128, columns)
        )
    small, wide = (height // 4, width // 4), (64, columns // 2)
    assert [tuple(part.shape) for part in maps] == [
        (batch, 3, *small),
        (batch, 4, *small),
        (wide_batch, 2, *wide),
        (wide_batch, 2, *wide),
        (wide_batch, 8, *wide),
    ]
    assert min(float(maps[1].min()), float(maps[4].min())) >= 0


@pytest.mark.slow
def test_two_scans_are_learnt_by_heart(kind: str, config: TrainConfig) -> None:
    """Forty steps on the same two scans bring the loss below a third of its start."""
    model = ModelConfig(kind, width=8, depth=1, overview_width=8)
    run = Run(dataclasses.replace(config, model=model), choose(config))
    task = Task(config.threats, config.structures, config.preprocess)
    loader = training_loader(config.train, task, batch_scans=2, workers=0, seed=0, epoch=0)
    batch = next(iter(loader))
    losses = [run.learn(batch, 5e-3) for _ in range(40)]
    first, last = losses[0], losses[-1]
    assert first is not None
    assert last is not None
    assert last["total"] < first["total"] / 3


@pytest.mark.slow
def test_equal_seeds_give_equal_weights(kind: str, config: TrainConfig) -> None:
    """The first weights depend on the seed alone."""
    model = ModelConfig(kind, width=4, depth=1, overview_width=4)
    chosen = dataclasses.replace(config, model=model)
    first, second = (Run(chosen, choose(chosen)).network.state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_an_unknown_architecture_is_refused() -> None:
    """The message lists what there is."""
    with pytest.raises(ConfigError, match="compact"):
        build(ModelConfig("colossal"), 1, 1)
