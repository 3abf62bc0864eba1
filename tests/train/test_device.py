"""What a run computes on is chosen openly."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="training needs torch, which is not installed")

from nii.errors import ProviderError
from nii.train.config import TrainConfig
from nii.train.device import choose


def test_without_a_gpu_auto_takes_the_cpu_and_says_why(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason names the missing GPU, and float32 is kept."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    compute = choose(replace(config, device="auto"))
    assert compute.device.type == "cpu"
    assert compute.half is None
    assert "no GPU" in compute.reason


def test_a_gpu_that_is_asked_for_and_absent_is_an_error(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that asks for a GPU never ends up on the CPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ProviderError, match="no usable GPU"):
        choose(replace(config, device="cuda"))


def test_bfloat16_is_used_where_it_is_asked_for(config: TrainConfig) -> None:
    """Convolutions inside the context give bfloat16 results."""
    with choose(replace(config, amp="bf16")).autocast():
        result = torch.nn.functional.conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 3, 3))
    assert result.dtype is torch.bfloat16


@pytest.mark.gpu
def test_auto_takes_the_gpu_with_bfloat16(config: TrainConfig, cuda: str) -> None:
    """Where a GPU is usable it is used, and named."""
    compute = choose(replace(config, device="auto"))
    assert compute.device.type == cuda
    assert "GPU" in compute.reason
