"""What training minimises: focal loss on the hills, cross-entropy inside, GIoU on the boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import generalized_box_iou_loss

from nii.train.targets import TOP
from nii.train.together import ALONE, Group

if TYPE_CHECKING:
    from nii.train.dataset import Batch

_SPARE_CELLS = 100.0
_LEAST_SHARE = 1e-6
_BOX_WEIGHT = 1.0
_INSIDE_WEIGHT = 2.0
_STRUCTURE_WEIGHT = 1.0
_ANOMALY_WEIGHT = 2.0
_DICE_WEIGHT = 0.5
"""The anomaly map ranks attention; its share of the loss stays below that of the threats."""


def detection_loss(
    outputs: tuple[Tensor, ...], batch: Batch, group: Group = ALONE
) -> dict[str, Tensor]:
    """Return the parts of the loss and their weighted sum, ``total``; finite without any box.

    Of several processes each gets its share; the mean of all is the loss of the whole batch.

    Args:
        outputs: the five or six maps of a network, as logits (see :mod:`nii.train.models`).
        batch: the maps they should be.
        group: the processes that share the batch.
    """
    sizes = torch.tensor([len(batch.detail), len(batch.overview)], device=batch.detail.device)
    crops, views = group.total(sizes.float()).tolist()
    maps = (part.float() for part in outputs)
    threat_heat, threat_ltrb, centre, inside, structure_ltrb, *anomaly = maps
    parts = {
        "threat_heat": focal_loss(threat_heat, batch.threat_heat, group, batch.threat_top),
        "threat_box": _BOX_WEIGHT
        * box_loss(threat_ltrb, batch.threat_ltrb, batch.threat_weight, group),
        "structure_centre": _STRUCTURE_WEIGHT * focal_loss(centre, batch.structure_centre, group),
        "structure_inside": _INSIDE_WEIGHT * inside_loss(inside, batch.structure_inside, group),
        "structure_box": _BOX_WEIGHT
        * box_loss(structure_ltrb, batch.structure_ltrb, batch.structure_weight, group),
    }
    if anomaly:
        parts["anomaly"] = anomaly_loss(anomaly[0], batch.anomaly, group)
    if group.count > 1:
        # Every process walks back through the whole network, since its norms exchange gradients.
        touched = torch.stack([0 * part.float().sum() for part in outputs]).sum()
        parts = {name: part + touched for name, part in parts.items()}
    if crops == 0:
        ours = ("threat", "anomaly")
        parts = {name: part for name, part in parts.items() if not name.startswith(ours)}
    if views == 0:
        parts = {name: part for name, part in parts.items() if not name.startswith("structure")}
    return parts | {"total": torch.stack(list(parts.values())).sum()}


def inside_loss(logits: Tensor, wanted: Tensor, group: Group = ALONE) -> Tensor:
    """Return the cross-entropy of a map, per cell."""
    cells = group.total(logits.new_tensor(float(logits.numel()))).clamp(min=1)
    entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="sum")
    return entropy * group.count / cells


def anomaly_loss(logits: Tensor, wanted: Tensor, group: Group = ALONE) -> Tensor:
    """Return cross-entropy and Dice of an anomaly map over the cells whose truth is known.

    Args:
        logits: batch × 1 × rows × columns.
        wanted: 1 anomaly, 0 none, below 0 unknown.
        group: the processes that share the batch.

    Reference:
        Milletari et al. 2016 (V-Net), section 3, for Dice; here over the whole batch and with one
        cell added above and below, so that a batch without any anomaly has a finite loss.
    """
    known = (wanted >= 0).float()
    truth = wanted.clamp(min=0)
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, known, reduction="sum")
    probability = logits.sigmoid() * known
    sums = [(probability * truth).sum(), probability.sum(), (truth * known).sum(), known.sum()]
    both, said, real, cells = group.total(torch.stack(sums)).unbind()
    dice = 1 - (2 * both + 1) / (said + real + 1)
    each = entropy * group.count / cells.clamp(min=1)
    return _ANOMALY_WEIGHT * each + _DICE_WEIGHT * dice


def focal_loss(
    logits: Tensor, hills: Tensor, group: Group = ALONE, shares: Tensor | None = None
) -> Tensor:
    """Return the penalty-reduced focal loss of a map, per cell at the top of a hill.

    A hundred cells are added to the divisor, so that batches without any object, which are many,
    weigh no more than others.

    Args:
        logits: batch × classes × rows × columns.
        hills: what they should be.
        group: the processes that share the batch.
        shares: how much each cell at a top counts beside the others, 0 elsewhere; all the same
            where it is left out. Only their ratios matter: what all tops count together is the
            number of their cells.

    Reference:
        Law and Deng 2018 (CornerNet), equation 1, with alpha 2 and beta 4.
    """
    probability = logits.sigmoid()
    top = (hills >= TOP).float()
    found = top * (1 - probability) ** 2 * functional.logsigmoid(logits)
    empty = (1 - top) * (1 - hills) ** 4 * probability**2 * functional.logsigmoid(-logits)
    tops = group.total(top.sum())
    if shares is not None:
        # Equal shares give a factor of exactly 1.
        found = found * (shares * (tops / group.total(shares.sum()).clamp(min=_LEAST_SHARE)))
    return -(found.sum() + empty.sum()) * group.count / (tops + _SPARE_CELLS)


def box_loss(ltrb: Tensor, wanted: Tensor, weight: Tensor, group: Group = ALONE) -> Tensor:
    """Return 1 − GIoU averaged over the cells that carry weight; 0 where none does.

    Args:
        ltrb: distances in pixels, batch × 4·groups × rows × columns.
        wanted: the distances they should be.
        weight: batch × groups × rows × columns.
        group: the processes that share the batch.
    """
    here = weight > 0
    found = _boxes_at(ltrb, here)
    truth = _boxes_at(wanted, here)
    share = weight[here]
    loss: Tensor = generalized_box_iou_loss(found, truth, reduction="none")
    return (loss * share).sum() * group.count / group.total(share.sum()).clamp(min=1.0)


def _boxes_at(ltrb: Tensor, here: Tensor) -> Tensor:
    batch, groups, rows, columns = here.shape
    distances = ltrb.reshape(batch, groups, 4, rows, columns).permute(0, 1, 3, 4, 2)[here]
    return torch.cat([-distances[:, :2], distances[:, 2:]], dim=1)
