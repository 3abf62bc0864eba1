"""The state of a run: steps that count, steps that do not, and the schedule."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs torch, which is not installed")

from torch import Tensor, nn

from nii.errors import ConfigError
from nii.train import checkpoint
from nii.train.config import OptimiserConfig, TrainConfig
from nii.train.dataset import Batch, Task, training_loader
from nii.train.device import choose
from nii.train.run import Run, follow, learning_rate, optimiser_of, progress_share, reached_limit


@pytest.fixture
def run(config: TrainConfig) -> Run:
    """Return a new run."""
    return Run(config, choose(config))


@pytest.fixture
def batch(config: TrainConfig) -> Batch:
    """Return the first batch of the tiny scans."""
    task = Task(config.threats, config.structures, config.preprocess)
    loader = training_loader(config.train, task, batch_scans=2, workers=0, seed=0, epoch=0)
    first: Batch = next(iter(loader))
    return first


@pytest.mark.slow
def test_repeated_steps_lower_the_loss(run: Run, batch: Batch) -> None:
    """Fifteen steps on one batch fit it better than the first."""
    losses = [run.learn(batch, 1e-2) for _ in range(15)]
    assert losses[0] is not None
    assert losses[-1] is not None
    assert losses[-1]["total"] < 0.8 * losses[0]["total"]
    assert run.step == 15


@pytest.mark.slow
def test_a_step_without_a_finite_loss_changes_nothing(run: Run, batch: Batch) -> None:
    """Weights, running means and the average stay bit for bit; the step does not count."""
    run.learn(batch, 1e-3)
    before = [value.clone() for part in (run.network, run.average) for value in _values(part)]
    poisoned = replace(batch, detail=batch.detail.clone().fill_(torch.nan))
    assert run.learn(poisoned, 1e-3) is None
    after = [value for part in (run.network, run.average) for value in _values(part)]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert run.step == 1


def test_a_frozen_branch_stays_as_it_is(config: TrainConfig, batch: Batch) -> None:
    """Neither weights nor running means of the overview move; those of the detail do."""
    run = Run(replace(config, frozen=("overview",)), choose(config))
    before = {name: part.clone() for name, part in run.network.state_dict().items()}
    run.learn(batch, 1e-2)
    after = run.network.state_dict()
    moved = {name for name, part in before.items() if not torch.equal(part, after[name])}
    assert moved
    assert all(name.startswith("detail.") for name in moved)


def test_a_branch_that_there_is_not_cannot_be_frozen(config: TrainConfig) -> None:
    """The message names the branches that there are."""
    with pytest.raises(ConfigError, match="detail, overview"):
        Run(replace(config, frozen=("neck",)), choose(config))


@pytest.mark.slow
def test_sixteen_bit_floats_learn_with_a_scaled_loss(
    config: TrainConfig, batch: Batch, tmp_path: Path
) -> None:
    """The loss falls; a step without a finite gradient halves the scale, which a resume keeps."""
    config = replace(config, amp="fp16")
    run = Run(config, choose(config))
    losses = [run.learn(batch, 1e-2) for _ in range(10)]
    numbers = [loss["total"] for loss in losses if loss is not None]
    assert len(numbers) > 5
    assert numbers[-1] < numbers[0]
    scale = run._scaler.get_scale()
    assert run.learn(replace(batch, detail=batch.detail * torch.nan), 1e-2) is None
    assert run._scaler.get_scale() == scale / 2
    path = run.save(tmp_path, "last.pt")
    again = Run(config, choose(config))
    again.restore(path)
    assert again._scaler.get_scale() == scale / 2


@pytest.mark.slow
def test_a_batch_without_any_box_is_learnt_from(run: Run, batch: Batch) -> None:
    """Empty scans give a finite loss and a step."""
    empty = {name: torch.zeros_like(getattr(batch, name)) for name in _TARGETS}
    loss = run.learn(replace(batch, **empty), 1e-3)
    assert loss is not None
    assert math.isfinite(loss["total"])


@pytest.mark.slow
def test_a_batch_without_crops_leaves_the_detail_branch_sound(run: Run, batch: Batch) -> None:
    """Training structures only keeps every weight and running mean a number."""
    parts = ("detail", "threat_heat", "threat_top", "threat_ltrb", "threat_weight")
    bare = replace(batch, **{name: getattr(batch, name)[:0] for name in parts})
    assert run.learn(bare, 1e-3) is not None
    assert all(bool(torch.isfinite(value).all()) for value in _values(run.average))


def test_norms_and_biases_are_free_of_weight_decay(run: Run) -> None:
    """Every parameter is in one group, and only kernels decay."""
    decayed, free = optimiser_of(run.network, OptimiserConfig(weight_decay=0.1)).param_groups
    assert {p.ndim for p in decayed["params"]} == {4}
    assert {p.ndim for p in free["params"]} == {1}
    assert free["weight_decay"] == 0
    count = len(decayed["params"]) + len(free["params"])
    assert count == len(list(run.network.parameters()))


def test_sgd_can_be_chosen(run: Run) -> None:
    """The other optimiser takes its momentum."""
    optimiser = optimiser_of(run.network, OptimiserConfig(kind="sgd", momentum=0.5))
    assert isinstance(optimiser, torch.optim.SGD)
    assert optimiser.param_groups[0]["momentum"] == 0.5


def test_the_average_moves_by_its_share() -> None:
    """0.75 of the old and 0.25 of the new, and counters are copied."""
    old, new = torch.nn.BatchNorm1d(1), torch.nn.BatchNorm1d(1)
    with torch.no_grad():
        new.weight.fill_(5.0)
    assert new.num_batches_tracked is not None
    new.num_batches_tracked.fill_(7)
    follow(old, new, 0.75)
    assert float(old.weight.detach()) == pytest.approx(2.0)
    assert int(old.state_dict()["num_batches_tracked"]) == 7


def test_the_learning_rate_rises_then_falls(config: TrainConfig) -> None:
    """It starts low, reaches its height at the end of the warm-up and ends at the final share."""
    top = config.optimiser.learning_rate
    assert learning_rate(config, 0, 0.0) == pytest.approx(top / 3)
    assert learning_rate(config, 2, 0.0) == pytest.approx(top)
    assert learning_rate(config, 9, 1.0) == pytest.approx(top * config.schedule.final_share)
    falling = [learning_rate(config, 9, share / 10) for share in range(11)]
    assert falling == sorted(falling, reverse=True)


def test_the_first_limit_counts(config: TrainConfig, run: Run) -> None:
    """Steps, epochs and minutes each end a run, and the share is that of the nearest end."""
    config = replace(config, epochs=4, max_steps=10, max_minutes=1.0)
    run.epoch, run.step, run.elapsed_s = 1, 5, 6.0
    assert progress_share(config, run, 2) == pytest.approx(0.5)
    assert not reached_limit(config, run)
    run.elapsed_s = 60.0
    assert reached_limit(config, run)
    assert progress_share(config, run, 2) == 1


def test_an_epoch_ends_with_its_last_batch(run: Run) -> None:
    """Batches are counted from 0 again in the next epoch."""
    places = []
    for _ in range(3):
        run.advance(2)
        places.append((run.epoch, run.batch))
    assert places == [(0, 1), (1, 0), (1, 1)]


_TARGETS = ("threat_heat", "threat_top", "threat_weight", "structure_centre",
            "structure_inside", "structure_weight")  # fmt: skip


def _values(network: nn.Module) -> list[Tensor]:
    return list(network.state_dict().values())


@pytest.mark.slow
def test_a_run_begins_from_a_network_without_an_anomaly_map(
    config: TrainConfig, tmp_path: Path
) -> None:
    """All weights but those of the new head are the old ones, and the origin says what is new."""
    compute = choose(config)
    path = Run(config, compute).save(tmp_path / "old", "last.pt")
    grown = replace(config, initial=path, model=replace(config.model, anomaly=True), seed=7)
    run = Run(grown, compute)
    old = checkpoint.load(path).average
    now = run.network.state_dict()
    assert all(torch.equal(now[name], old[name]) for name in old)
    assert {name.rsplit(".", 1)[0] for name in now.keys() - old.keys()} == {"detail.anomaly"}
    made = checkpoint.load(run.save(tmp_path / "new", "last.pt")).meta.provenance
    assert any("detail.anomaly" in step for step in made["steps"])


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"width": 8}, {"depth": 2}, {"anomaly": False}])
def test_a_run_begins_from_no_other_network(
    change: dict[str, Any], config: TrainConfig, tmp_path: Path
) -> None:
    """Another width or depth, or a head that would be lost, is an error that names a tensor."""
    compute = choose(config)
    whole = replace(config, model=replace(config.model, anomaly=True))
    path = Run(whole, compute).save(tmp_path / "old", "last.pt")
    other = replace(whole, initial=path, model=replace(whole.model, **change))
    with pytest.raises(ConfigError, match="at most the anomaly head"):
        Run(other, compute)
