"""Weights of one size in a network of another: a larger one computes the same at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs torch, which is not installed")

from torch import Generator, Tensor, nn

from nii.bundle import Bundle, read_bundle
from nii.errors import ConfigError
from nii.train import checkpoint, weights
from nii.train.config import ModelConfig, read_config
from nii.train.models import build
from nii.train.models.compact import detail_channels
from nii.train.resize import fitted, resized, same_size

CONFIGS = Path(__file__).parents[2] / "configs"


def network(width: int, depth: int = 1, overview: int = 8) -> nn.Module:
    """Return a network whose batch norms have something to say."""
    torch.manual_seed(width)
    made = build(
        ModelConfig(width=width, depth=depth, overview_width=overview, anomaly=True), 4, 10
    )
    with torch.no_grad():
        for layer in made.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.weight.uniform_(0.5, 1.5)
                layer.bias.uniform_(-0.3, 0.3)
        made.train()
        for _ in range(3):
            made(*views())
    return made.eval()


def views() -> tuple[Tensor, Tensor]:
    """Return a detail and an overview."""
    return torch.rand(2, 4, 64, 96), torch.rand(1, 4, 128, 64)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "depth"), [(12, 1), (8, 2), (14, 3)])
@pytest.mark.parametrize("training", [False, True])
def test_a_larger_network_computes_the_same(width: int, depth: int, *, training: bool) -> None:
    """All maps agree, in training mode too; only then nothing is lost by growing."""
    small, large = network(8), network(width, depth)
    given = views()
    with torch.no_grad():
        before = large.train(training)(*given)
        large.load_state_dict(fitted(small.state_dict(), large))
        wanted, found = small.train(training)(*given), large.train(training)(*given)
    for number, (one, other) in enumerate(zip(wanted, found, strict=True)):
        torch.testing.assert_close(other, one, atol=1e-4, rtol=1e-4, msg=f"map {number}")
    assert any(not torch.allclose(a, b, atol=1e-3) for a, b in zip(before, wanted, strict=True))


@pytest.mark.slow
def test_what_was_added_can_be_learnt() -> None:
    """The gradient reaches filters over the new channels, and the norms of the new blocks."""
    small, large = network(8), network(12, 2)
    large.load_state_dict(fitted(small.state_dict(), large))
    large.train()
    sum(part.square().mean() for part in large(*views())).backward()
    slopes = {name: part.grad for name, part in large.named_parameters()}
    over_new, of_block = slopes["detail.fuse.0.0.weight"], slopes["detail.down8.2.body.1.1.weight"]
    assert over_new is not None
    assert of_block is not None
    assert float(over_new[:8, 8:].abs().max()) > 0
    assert float(of_block.abs().max()) > 0


@pytest.mark.slow
def test_a_smaller_network_keeps_what_matters() -> None:
    """Channels that nothing reads go first: without them the maps are exactly the same."""
    large = network(12)
    state = large.state_dict()
    silent = {"half": 2, "at4": 4, "at8": 10, "at16": 16, "fuse": 4, "fused": 4}
    ends = detail_channels(large)
    for conv, (reads, _) in ends.items():
        count = silent.get(reads, 4 if reads == "stem.2" else 0)
        count = {"down8.1": 10, "down16.1": 16, "down16.2": 16}.get(reads, count)
        if count:
            drawn = torch.randperm(state[f"{conv}.weight"].shape[1], generator=gone(reads))
            state[f"{conv}.weight"][:, drawn[:count]] = 0.0
    large.load_state_dict(state)
    small = network(8)
    small.load_state_dict(fitted(large.state_dict(), small))
    given = views()
    with torch.no_grad():
        for one, other in zip(large(*given), small(*given), strict=True):
            torch.testing.assert_close(other, one, atol=1e-4, rtol=1e-4)


def gone(name: str) -> Generator:
    """Return a generator that draws the same for the same name."""
    return Generator().manual_seed(sum(name.encode()))


@pytest.mark.slow
def test_another_network_is_refused() -> None:
    """Another overview branch, or fewer blocks."""
    with pytest.raises(ConfigError, match="overview"):
        fitted(network(8).state_dict(), network(12, 1, 12))
    with pytest.raises(ConfigError, match=r"down16\.3"):
        fitted(network(8, 2).state_dict(), network(8))


@pytest.mark.slow
def test_a_checkpoint_of_a_bundle_is_resized(bundle: Bundle, tmp_path: Path) -> None:
    """The new one names the new size, and its story tells of the step."""
    config, base = weights.start(read_bundle(bundle.folder), tmp_path)
    assert same_size(base, config)
    wider = replace(config, model=replace(config.model, width=config.model.width + 4))
    assert not same_size(base, wider)
    made = resized(base, wider, tmp_path)
    assert same_size(made, wider)
    assert "made width" in str(checkpoint.load(made).meta.provenance)


@pytest.mark.slow
def test_the_sizes_that_are_shipped_fit_each_other() -> None:
    """Nano and small can begin from the weights of compact: about 1, 3 and 8 million parameters."""
    millions = {}
    for name in ("nano", "simulated", "small", "medium"):
        config = read_config(CONFIGS / f"compact_{name}.toml")
        made = build(config.model, len(config.threats), len(config.structures))
        millions[name] = sum(part.numel() for part in made.parameters()) / 1e6
        if name == "simulated":
            state = made.state_dict()
    assert 0.9 < millions["nano"] < 1.3 < millions["simulated"] < 2.5 < millions["small"] < 3.3
    assert 7 < millions["medium"] < 9
    for name in ("nano", "small"):
        config = read_config(CONFIGS / f"compact_{name}.toml")
        fitted(state, build(config.model, len(config.threats), len(config.structures)))
