"""What a run computes on: processor, number format, and the reason for the choice."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from nii.errors import ProviderError
from nii.train.config import TrainConfig


@dataclass(frozen=True, slots=True)
class Compute:
    """State what a run computes on.

    Attributes:
        device: processor of the tensors.
        bf16: whether convolutions compute with bfloat16.
        reason: the choice in words.
    """

    device: torch.device
    bf16: bool
    reason: str

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which the network computes during training."""
        if not self.bf16:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)


def choose(config: TrainConfig) -> Compute:
    """Choose processor and number format as `config` asks.

    With ``amp = "auto"`` a CPU keeps float32: without bfloat16 instructions 16-bit convolutions are
    emulated (measured on an AMD EPYC: a step of the compact network took eleven times as long).

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
    bf16 = config.amp == "bf16" or (config.amp == "auto" and gpu and torch.cuda.is_bf16_supported())
    if gpu:
        place = f"the GPU {torch.cuda.get_device_name()}"
    else:
        place = "the CPU" if usable or config.device == "cpu" else "the CPU: PyTorch sees no GPU"
    precision = "bfloat16 where it is safe" if bf16 else "float32"
    return Compute(torch.device("cuda" if gpu else "cpu"), bf16, f"{place}, {precision}")
