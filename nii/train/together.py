"""Several processes train one network: each takes its share of every batch, torchrun starts them.

All together compute what one process would compute on the whole batch. Sums and counts that the
loss and the batch norms divide by are those of the whole batch, gradients are averaged, and every
decision about time is the same everywhere. So a process whose share holds no box, or no scan at
all, takes part in every exchange, and nobody waits for it in vain.

    torchrun --nproc-per-node 2 -m nii.cli train configs/compact_small.toml
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import torch
from torch import Tensor, distributed, nn

_PATIENCE = timedelta(hours=2)
"""Time for which the others wait while the first one validates and writes: assumption."""


@dataclass(frozen=True, slots=True)
class Group:
    """Say which of how many processes this one is, and exchange numbers with the others.

    Attributes:
        rank: from 0; the first one validates, writes and reports.
        count: number of processes.
        local_rank: place on this machine, which chooses the GPU.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Return whether this process writes and reports."""
        return self.rank == 0

    def total(self, value: Tensor) -> Tensor:
        """Return the sum over all processes; gradients flow back to each."""
        if self.count == 1:
            return value
        summed: Tensor = _Total.apply(value)
        return summed

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every process the mean of all gradients, in one exchange."""
        if self.count == 1:
            return
        learning = [one for one in parameters if one.requires_grad]
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in learning]
        flat = torch.cat([grad.reshape(-1) for grad in grads])
        distributed.all_reduce(flat)
        parts = torch.split(flat / self.count, [p.numel() for p in learning])
        for parameter, part in zip(learning, parts, strict=True):
            parameter.grad = part.reshape(parameter.shape)

    def agree(self, numbers: Sequence[float], device: torch.device) -> list[float]:
        """Return the largest of each number over all processes."""
        if self.count == 1:
            return list(numbers)
        values = torch.tensor(numbers, dtype=torch.float64, device=device)
        distributed.all_reduce(values, op=distributed.ReduceOp.MAX)
        agreed: list[float] = values.tolist()
        return agreed


ALONE = Group()
"""One process that trains by itself."""


class SharedNorm(nn.BatchNorm2d):
    """A batch norm over the shares of all processes, on any processor; its values keep their names.

    PyTorch's own shared norm needs a GPU, which would leave the sharing untested on a CPU.
    """

    def __init__(self, norm: nn.BatchNorm2d, group: Group) -> None:
        """Take over the values of a norm."""
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self.load_state_dict(norm.state_dict())
        self.to(norm.weight.device)
        self.train(norm.training)
        self._group = group

    def forward(self, features: Tensor) -> Tensor:
        """Return features with mean 0 and variance 1 over the whole batch, scaled and shifted."""
        if not self.training or self.running_mean is None or self.running_var is None:
            plain: Tensor = super().forward(features)
            return plain
        # Sums around the running mean lose no digits, and it is the same in every process.
        around = self.running_mean.clone()
        apart = features.float() - around[None, :, None, None]
        count = apart.new_full((1,), apart.numel() / apart.shape[1])
        sums = torch.cat([apart.sum((0, 2, 3)), apart.square().sum((0, 2, 3)), count])
        sizes = [apart.shape[1]] * 2 + [1]
        first, second, whole = torch.split(self._group.total(sums), sizes)
        whole = whole.detach()
        cells = whole.clamp(min=1)
        mean = first / cells
        variance = (second / cells - mean.square()).clamp(min=0)
        if float(whole) > 1:
            self._follow(around + mean.detach(), variance.detach() * whole / (whole - 1))
        scale = (variance + self.eps).rsqrt() * self.weight
        shown = (apart - mean[None, :, None, None]) * scale[None, :, None, None]
        return (shown + self.bias[None, :, None, None]).to(features.dtype)

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        share = 0.1 if self.momentum is None else self.momentum
        for kept, fresh in ((self.running_mean, mean), (self.running_var, variance)):
            if kept is not None:
                kept.lerp_(fresh, share)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked += 1


def share_norms(module: nn.Module, group: Group) -> None:
    """Replace every batch norm of a network by one over all processes."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, SharedNorm(child, group))
        else:
            share_norms(child, group)


@contextmanager
def joined(device: Literal["auto", "cpu", "cuda"]) -> Iterator[Group]:
    """Join the processes that torchrun started; alone where it started none.

    Args:
        device: of the training; on GPUs the exchange runs over NCCL, else over Gloo.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    on_gpu = device != "cpu" and torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(local % torch.cuda.device_count())
    distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=_PATIENCE)
    try:
        yield Group(distributed.get_rank(), count, local)
    finally:
        distributed.destroy_process_group()


class _Total(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of their gradients."""

    @staticmethod
    def forward(_: Any, value: Tensor) -> Tensor:  # noqa: ANN401 - PyTorch's context has no type
        """Return the sum."""
        summed = value.detach().clone().contiguous()
        distributed.all_reduce(summed)
        return summed

    @staticmethod
    def backward(_: Any, *grads: Tensor) -> Tensor:  # noqa: ANN401
        """Return the sum of the gradients."""
        summed = grads[0].clone().contiguous()
        distributed.all_reduce(summed)
        return summed
