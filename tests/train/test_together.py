"""Several processes: together they learn what one would, also where a share is empty."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch, which is not installed")

from torch import nn

from nii.train.checkpoint import LAST, load
from nii.train.loop import METRICS_FILE
from nii.train.together import ALONE, SharedNorm, joined, share_norms

_PROGRAM = """
import importlib.util, sys
from pathlib import Path

spec = importlib.util.spec_from_file_location("tiny", sys.argv[1])
tiny = sys.modules["tiny"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tiny)
tiny.train_on_one_size(Path(sys.argv[2]))
"""
_CONFTEST = Path(__file__).with_name("conftest.py")


def _start(out: Path, rank: int, count: int, port: int) -> subprocess.Popen[bytes]:
    root = Path(__file__).resolve().parents[2]
    places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_PORT": port}
    environment = os.environ | {name: str(value) for name, value in places.items()}
    environment |= {"MASTER_ADDR": "127.0.0.1", "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _PROGRAM, str(_CONFTEST), str(out)]
    return subprocess.Popen(command, env=environment)  # noqa: S603 - our own program


def _alone(out: Path) -> list[dict[str, float]]:
    """Train in this process and return the losses of the steps."""
    spec = importlib.util.spec_from_file_location("tiny_alone", _CONFTEST)
    assert spec is not None
    assert spec.loader is not None
    tiny = importlib.util.module_from_spec(spec)
    sys.modules["tiny_alone"] = tiny
    spec.loader.exec_module(tiny)
    tiny.train_on_one_size(out)
    return _losses(out, 1)


def _run(out: Path, count: int) -> list[dict[str, float]]:
    """Train with so many processes and return the losses of the steps."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [_start(out, rank, count, port) for rank in range(count)]
    try:
        assert [process.wait(timeout=240) for process in processes] == [0] * count
    finally:
        for process in processes:
            process.kill()
    return _losses(out, count)


def _losses(out: Path, count: int) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (out / METRICS_FILE).read_text("utf-8").splitlines()]
    assert lines[0]["processes"] == count
    return [line["loss"] for line in lines if line["event"] == "step"]


@pytest.mark.slow
def test_three_processes_equal_one(tmp_path: Path) -> None:
    """Two scans a step: the third process never gets one, others often none with a threat.

    Nobody waits in vain, and losses and weights are those of one process. Only rounding differs: it
    grows with the steps, in the branch whose norms see few cells.
    """
    one, three = _alone(tmp_path / "one"), _run(tmp_path / "three", 3)
    assert len(one) == len(three) == 4
    for step, (single, shared) in enumerate(zip(one, three, strict=True)):
        assert shared == pytest.approx(single, rel=1e-5 if step < 2 else 2e-3, abs=1e-5)
    before, after = (load(tmp_path / name / LAST).network for name in ("one", "three"))
    assert before.keys() == after.keys()
    for name, part in before.items():
        near = 2e-5 if name.startswith("detail") else 1e-2
        assert np.allclose(part.numpy(), after[name].numpy(), rtol=near, atol=near), name


def test_a_shared_norm_is_a_batch_norm() -> None:
    """Alone it gives the same features, gradients and running means, in training and after."""
    torch.manual_seed(0)
    plain = nn.BatchNorm2d(5, momentum=0.03)
    nn.init.uniform_(plain.weight)
    shared = SharedNorm(plain, ALONE)
    inputs = [(3 + 2 * torch.randn(4, 5, 6, 7)).requires_grad_() for _ in range(2)]
    inputs[1].data.copy_(inputs[0].data)
    weights = torch.randn(4, 5, 6, 7)
    for norm, features in zip((plain, shared), inputs, strict=True):
        (norm(features) * weights).sum().backward()
    assert torch.allclose(inputs[0].grad, inputs[1].grad, atol=1e-4)
    assert plain.state_dict().keys() == shared.state_dict().keys()
    for one, other in zip(plain.state_dict().values(), shared.state_dict().values(), strict=True):
        assert torch.allclose(one.float(), other.float(), atol=1e-5)
    assert torch.allclose(plain.eval()(inputs[0]), shared.eval()(inputs[1]), atol=1e-5)


def test_a_share_without_cells_changes_no_running_mean() -> None:
    """An empty batch leaves the norm as it was, and its gradient is empty, not missing."""
    shared = SharedNorm(nn.BatchNorm2d(3), ALONE)
    nothing = torch.zeros(0, 3, 8, 8, requires_grad=True)
    shared(nothing).sum().backward()
    assert nothing.grad is not None
    assert shared.running_mean is not None
    assert torch.equal(shared.running_mean, torch.zeros(3))


def test_every_norm_of_a_network_is_shared_under_its_name() -> None:
    """The values keep their names, so that checkpoints fit either way."""
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Sequential(nn.BatchNorm2d(2), nn.ReLU()))
    before = set(network.state_dict())
    share_norms(network, ALONE)
    assert isinstance(network.get_submodule("1.0"), SharedNorm)
    assert set(network.state_dict()) == before


def test_alone_nothing_is_exchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without torchrun there is one process, which agrees with itself."""
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined("cpu") as group:
        assert group.first
        value = torch.ones(2)
        assert group.total(value) is value
        assert group.agree([1.5, 0.0], torch.device("cpu")) == [1.5, 0.0]
