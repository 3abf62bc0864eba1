"""Batch norms put back: the network computes what the file computes, and can be trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs torch, which is not installed")

from torch import Tensor, nn

from nii.bundle import Bundle
from nii.errors import BundleError
from nii.infer.runtime import CPU, ProviderSettings, open_session
from nii.train import checkpoint
from nii.train.checkpoint import LAST
from nii.train.config import ModelConfig, TrainConfig
from nii.train.models import build
from nii.train.run import begin
from nii.train.unfold import begin_from, unfold


@pytest.fixture
def settings(finished_run: Path) -> TrainConfig:
    """Return the settings of the run that the bundle was made from."""
    return checkpoint.load(finished_run / LAST).meta.config


@pytest.fixture
def views() -> list[tuple[Tensor, Tensor]]:
    """Return batches to measure on."""
    torch.manual_seed(3)
    return [(torch.rand(3, 4, 64, 64), torch.rand(3, 4, 128, 64)) for _ in range(3)]


@pytest.mark.slow
def test_the_network_computes_what_the_file_computes(
    bundle: Bundle, settings: TrainConfig, views: list[tuple[Tensor, Tensor]]
) -> None:
    """All maps of the ONNX file come out of the unfolded network, on pictures it never measured."""
    network = unfold(bundle, settings, views)
    detail, overview = torch.rand(2, 4, 48, 80), torch.rand(1, 4, 128, 96)
    session = open_session(bundle.model_path, ProviderSettings((CPU,)))
    wanted = session.run(detail.numpy(), overview.numpy())
    with torch.no_grad():
        found = network(detail, overview)
    for number, (one, other) in enumerate(zip(wanted, found, strict=True)):
        probable = number in (0, 2, 3, 5)
        value = other.sigmoid() if probable else other
        torch.testing.assert_close(value, torch.from_numpy(one), atol=2e-3, rtol=2e-3)


@pytest.mark.slow
def test_training_begins_where_the_file_stands(
    bundle: Bundle, settings: TrainConfig, views: list[tuple[Tensor, Tensor]]
) -> None:
    """In training mode, with the statistics of the batch, the maps are those of inference.

    A network whose norms were left neutral gives others, so that the test can fail.
    """
    joined = tuple(torch.cat(parts) for parts in zip(*views, strict=True))
    network = unfold(bundle, settings, [joined])
    bare = unfold(bundle, settings, [])
    with torch.no_grad():
        wanted = network(*joined)
        near = [(a - b).abs().max() for a, b in zip(network.train()(*joined), wanted, strict=True)]
        far = [(a - b).abs().max() for a, b in zip(bare.train()(*joined), wanted, strict=True)]
    assert float(max(near)) < 0.02 * float(max(far))


@pytest.mark.slow
def test_filters_get_the_length_of_fresh_ones(
    bundle: Bundle, settings: TrainConfig, views: list[tuple[Tensor, Tensor]]
) -> None:
    """The optimiser moves all filters before a norm alike, whatever the fold had made of them."""
    network = unfold(bundle, settings, views)
    convolutions = {n: m for n, m in network.named_modules() if isinstance(m, nn.Conv2d)}
    followed = [m for n, m in convolutions.items() if m.bias is None and not n.endswith("far")]
    lengths = torch.cat([m.weight.flatten(1).norm(dim=1) for m in followed])
    torch.testing.assert_close(lengths, torch.full_like(lengths, 3**-0.5))


@pytest.mark.slow
def test_a_run_begins_from_it(
    bundle: Bundle, settings: TrainConfig, views: list[tuple[Tensor, Tensor]], tmp_path: Path
) -> None:
    """The checkpoint fits the network of a run, and its story tells of the bundle."""
    path = begin_from(bundle, settings, views, tmp_path)
    network = build(settings.model, len(settings.threats), len(settings.structures))
    assert begin(network, path) == ""
    steps = checkpoint.load(path).meta.provenance["steps"]
    assert "batch norms put back" in steps[-1]


def test_a_bundle_of_another_network_is_refused(
    bundle: Bundle, settings: TrainConfig, views: list[tuple[Tensor, Tensor]]
) -> None:
    """Another width is named, with the tensor that does not fit."""
    wide = replace(settings, model=ModelConfig(width=8, depth=1, overview_width=4))
    with pytest.raises(BundleError, match="of shape"):
        unfold(bundle, wide, views)
