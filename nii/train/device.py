"""What a run computes on: processor, number format, and the reason for the choice."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from nii.errors import ProviderError
from nii.train.config import TrainConfig

_HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True)
class Compute:
    """State what a run computes on.

    Attributes:
        device: processor of the tensors.
        half: numbers of 16 bits that convolutions compute with; None for 32 bits.
        reason: the choice in words.
    """

    device: torch.device
    half: torch.dtype | None
    reason: str

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which the network computes during training."""
        if self.half is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.half)

    def scaler(self) -> torch.amp.GradScaler:
        """Return what keeps small gradients of 16-bit floats; it does nothing for others."""
        return torch.amp.GradScaler(self.device.type, enabled=self.half is torch.float16)


def choose(config: TrainConfig, local_rank: int = 0) -> Compute:
    """Choose processor and number format as `config` asks.

    With ``amp = "auto"`` a CPU keeps float32: without bfloat16 instructions 16-bit convolutions are
    emulated (measured on an AMD EPYC: a step of the compact network took eleven times as long).

    Args:
        config: what is asked for.
        local_rank: which of several processes on this machine, for which each GPU is one.

    Raises:
        ProviderError: a GPU was asked for and PyTorch cannot use one.
    """
    usable = torch.cuda.is_available()
    if config.device == "cuda" and not usable:
        raise ProviderError(
            "device",
            found=f"'cuda' asked of PyTorch {torch.__version__}, which sees no usable GPU",
            expected="a GPU and a PyTorch built for it",
            remedy="Use device = 'auto' or 'cpu', or install the GPU build and its driver.",
        )
    gpu = usable and config.device != "cpu"
    half = _HALVES.get(config.amp)
    if config.amp == "auto" and gpu and torch.cuda.is_bf16_supported():
        half = torch.bfloat16
    if gpu:
        place = f"the GPU {torch.cuda.get_device_name()}"
    else:
        place = "the CPU" if usable or config.device == "cpu" else "the CPU: PyTorch sees no GPU"
    precision = f"{str(half).removeprefix('torch.')} where it is safe" if half else "float32"
    device = f"cuda:{local_rank % torch.cuda.device_count()}" if gpu else "cpu"
    return Compute(torch.device(device), half, f"{place}, {precision}")
