"""Tests of :mod:`nii.train.loss`."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch, which is not installed")

from torch import Tensor

from nii.train.dataset import Batch
from nii.train.loss import anomaly_loss, box_loss, detection_loss, focal_loss
from nii.train.targets import Grid, structure_targets, threat_targets

GRID = Grid(16, 16, 4)


def make_batch(box: list[float] | None, crops: int = 2) -> Batch:
    """Return the maps of one box, or of none, in every crop."""
    boxes = np.asarray([box] if box else [], np.float32).reshape(-1, 4)
    planes = np.zeros(len(boxes), np.int64)
    threat = threat_targets(boxes, planes, 2, GRID)
    structure = structure_targets(boxes, planes, 1, GRID)

    def stack(array: np.ndarray, times: int) -> Tensor:
        made: Tensor = torch.from_numpy(
            np.stack([array] * times) if times else np.zeros((0, *array.shape), np.float32)
        )
        return made

    return Batch(
        detail=torch.zeros(crops, 4, 64, 64),
        threat_heat=stack(threat.centre, crops),
        threat_top=stack(threat.top, crops),
        threat_ltrb=stack(threat.ltrb, crops),
        threat_weight=stack(threat.weight, crops),
        anomaly=stack(threat.inside[:1].round(), crops),
        overview=torch.zeros(1, 4, 32, 32),
        structure_centre=stack(structure.centre, 1),
        structure_inside=stack(structure.inside, 1),
        structure_ltrb=stack(structure.ltrb, 1),
        structure_weight=stack(structure.weight, 1),
    )


def ideal_outputs(batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return what a network gives that knows the truth."""

    def sharp(hills: Tensor) -> Tensor:
        made: Tensor = torch.where(hills >= 0.999, 20.0, -20.0)
        return made

    inside = (batch.structure_inside - 0.5) * 40
    return (
        sharp(batch.threat_heat),
        batch.threat_ltrb,
        sharp(batch.structure_centre),
        inside,
        batch.structure_ltrb,
    )


def test_a_perfect_answer_costs_nothing_and_a_wrong_one_something() -> None:
    """The loss is near zero for the truth itself and rises when the answer is another box."""
    batch = make_batch([8.0, 8.0, 40.0, 32.0])
    perfect = detection_loss(ideal_outputs(batch), batch)
    other = detection_loss(ideal_outputs(make_batch([30.0, 30.0, 60.0, 50.0])), batch)
    assert float(perfect["total"]) < 0.05
    assert float(other["total"]) > 1


@pytest.mark.parametrize("crops", [0, 2])
def test_a_batch_without_any_box_gives_a_finite_loss_and_gradient(crops: int) -> None:
    """Clean scans, the usual case, do not break training."""
    batch = make_batch(None, crops)
    heat, ltrb, centre, inside, sides = (
        part.clone().requires_grad_() for part in ideal_outputs(batch)
    )
    outputs = (heat, ltrb, centre, inside, sides)
    total = detection_loss(outputs, batch)["total"]
    torch.autograd.backward(total)
    assert torch.isfinite(total)
    assert all(part.grad is None or torch.isfinite(part.grad).all() for part in outputs)


def test_an_anomaly_map_that_is_right_costs_nothing_and_unknown_cells_never_do() -> None:
    """The truth itself costs almost nothing; a cell of unknown truth may say anything."""
    wanted = torch.zeros(1, 1, 8, 8)
    wanted[0, 0, 2:4, 2:4] = 1
    wanted[0, 0, 6, :] = -1
    right = (wanted.clamp(min=0) - 0.5) * 40
    wrong_where_unknown = torch.where(wanted < 0, 30.0, right)
    assert float(anomaly_loss(right, wanted)) < 0.01
    assert float(anomaly_loss(wrong_where_unknown, wanted)) == float(anomaly_loss(right, wanted))
    assert float(anomaly_loss(-right, wanted)) > 10


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_an_anomaly_map_learns_without_any_anomaly(value: float) -> None:
    """Nothing to find, or nothing known: loss and gradient are finite."""
    logits = torch.randn(2, 1, 8, 8, requires_grad=True)
    loss = anomaly_loss(logits, torch.full((2, 1, 8, 8), value))
    torch.autograd.backward(loss)
    assert bool(torch.isfinite(loss))
    assert logits.grad is not None
    assert bool(torch.isfinite(logits.grad).all())


def test_the_sixth_map_adds_its_part() -> None:
    """A network with an anomaly map is taught it; a batch without crops leaves it out."""
    batch = make_batch([8.0, 8.0, 40.0, 32.0])
    outputs = (*ideal_outputs(batch), (batch.anomaly - 0.5) * 40)
    parts = detection_loss(outputs, batch)
    assert 0 <= float(parts["anomaly"]) < 0.05
    none = dataclasses.replace(batch, detail=batch.detail[:0])
    assert "anomaly" not in detection_loss(outputs, none)


def test_a_batch_without_overviews_teaches_threats_alone() -> None:
    """The loss stays finite and has no part for structures."""
    batch = make_batch([8.0, 8.0, 40.0, 32.0])
    names = [field.name for field in dataclasses.fields(batch)]
    none = {n: getattr(batch, n)[:0] for n in names if n.startswith(("overview", "structure"))}
    alone = dataclasses.replace(batch, **none)
    parts = detection_loss(ideal_outputs(alone), alone)
    assert sorted(parts) == ["threat_box", "threat_heat", "total"]
    assert bool(torch.isfinite(parts["total"]))


def test_the_focal_loss_falls_as_the_top_rises() -> None:
    """More confidence at the top of a hill always costs less."""
    hills = torch.zeros(1, 1, 5, 5)
    hills[..., 2, 2] = 1
    losses = [
        float(
            focal_loss(torch.full((1, 1, 5, 5), -9.0).index_fill(3, torch.tensor([2]), top), hills)
        )
        for top in (-2.0, -1.5, -1.0)
    ]
    assert losses[0] > losses[2]


def test_shares_move_weight_between_tops_and_add_none() -> None:
    """Equal shares of any size change nothing; the top with the greater share decides more."""
    hills = torch.zeros(1, 1, 4, 8)
    hills[..., 1, 1] = hills[..., 1, 5:7] = 1
    logits = torch.full_like(hills, -6.0)
    plain = focal_loss(logits, hills)
    torch.testing.assert_close(focal_loss(logits, hills, shares=0.3 * hills), plain)
    small = hills.clone()
    small[..., 5:7] = 0.25
    found, missed = logits.clone(), logits.clone()
    found[..., 1, 1] = missed[..., 1, 5:7] = 6.0
    assert float(focal_loss(found, hills)) > float(focal_loss(missed, hills))
    assert float(focal_loss(found, hills, shares=small)) < float(
        focal_loss(missed, hills, shares=small)
    )


def test_boxes_count_only_where_they_carry_weight() -> None:
    """A wild distance outside the hill does not change the loss."""
    batch = make_batch([8.0, 8.0, 40.0, 32.0])
    wild = batch.threat_ltrb.clone()
    wild[..., 15, 15] = 900
    assert float(box_loss(wild, batch.threat_ltrb, batch.threat_weight)) == pytest.approx(
        0, abs=1e-5
    )
