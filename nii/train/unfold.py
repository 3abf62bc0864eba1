"""ONNX of an earlier release → weights that training can begin from, with batch norms put back.

Export folds every batch norm into the convolution before it, and bundles without ``weights.npz``
keep nothing else. What was folded cannot be had back, but it need not be: from any convolution with
a bias a batch norm can be made that computes the same. Pictures are sent through, mean and variance
of every convolution without its bias are measured, and the norm gets just the gain and the shift
that undo its own normalising. The network then computes what the file computes, and in training
mode nearly the same, so that training goes on and need not begin again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from nii.bundle import Bundle
from nii.errors import BundleError
from nii.provenance import Provenance
from nii.train import checkpoint
from nii.train.checkpoint import Checkpoint, Meta
from nii.train.config import TrainConfig
from nii.train.models import build

_PREFIX = "network."
_OPTIONAL = "detail.anomaly"
"""A head that earlier bundles may lack; it keeps the weights that it was drawn with."""
_FRESH_LENGTH = (1 / 3) ** 0.5
"""Length of a filter that PyTorch has drawn: evenly from ± 1 / √n for each of its n weights."""


def unfold(
    bundle: Bundle, config: TrainConfig, views: Iterable[tuple[Tensor, Tensor]]
) -> nn.Module:
    """Return a network that computes what a bundle computes, ready to be trained on.

    Args:
        bundle: of a network that `config` describes, exported with folded batch norms.
        config: sizes and classes.
        views: batches of detail and overview that the norms are measured on; they should look
            like what the network will be trained on.

    Raises:
        BundleError: the file holds another network.
    """
    torch.manual_seed(config.seed)
    network = build(config.model, len(config.threats), len(config.structures))
    stored = _arrays(bundle.model_path)
    layers = dict(_followed(network))
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d) and not (
            name.startswith(_OPTIONAL) and f"{name}.weight" not in stored
        ):
            _copy(layer.weight, stored, f"{name}.weight", bundle)
            if layer.bias is not None:
                _copy(layer.bias, stored, f"{name}.bias", bundle)
    for norm, conv in layers.items():
        bias = _found(stored, f"{conv}.weight_bias", bundle)
        _neutral(network.get_submodule(norm), bias)
    _measure(network, layers, views)
    return network.eval()


def begin_from(
    bundle: Bundle, config: TrainConfig, views: Iterable[tuple[Tensor, Tensor]], folder: Path
) -> Path:
    """Write a checkpoint of the unfolded network that ``initial`` may name, and return its path."""
    weights = unfold(bundle, config, views).state_dict()
    story = Provenance.from_json(bundle.card.provenance)
    told = f"batch norms put back into {bundle.card.name} {bundle.card.version}"
    made = Meta(config, provenance=story.with_step(told).to_json())
    return checkpoint.save(folder, "unfolded.pt", Checkpoint(weights, weights, {}, {}, made))


def _followed(network: nn.Module) -> Iterable[tuple[str, str]]:
    """Yield the names of each batch norm and of the convolution before it."""
    names = dict(network.named_modules())
    for name, layer in names.items():
        if isinstance(layer, nn.BatchNorm2d):
            parent, _, place = name.rpartition(".")
            yield name, f"{parent}.{int(place) - 1}"


def _neutral(norm: nn.Module, bias: np.ndarray) -> None:
    """Make a norm that adds a bias and does nothing else."""
    if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None:
        raise TypeError(norm)
    with torch.no_grad():
        norm.running_mean.zero_()
        norm.running_var.fill_(1.0 - norm.eps)  # type: ignore[union-attr]
        norm.weight.fill_(1.0)
        norm.bias.copy_(torch.from_numpy(bias))


def _measure(
    network: nn.Module, layers: dict[str, str], views: Iterable[tuple[Tensor, Tensor]]
) -> None:
    """Give every norm the mean and variance that its input has, and what undoes them."""
    sums: dict[str, list[Tensor]] = {}

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def note(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            flat = given[0].double().transpose(0, 1).flatten(1)
            if flat.shape[1]:
                part = torch.stack([flat.sum(1), (flat**2).sum(1), flat[:, 0] * 0 + flat.shape[1]])
                sums.setdefault(name, []).append(part)

        return note

    norms = {name: network.get_submodule(name) for name in layers}
    hooks = [norm.register_forward_pre_hook(watch(name)) for name, norm in norms.items()]
    network.eval()
    with torch.no_grad():
        for detail, overview in views:
            network(detail, overview)
        for hook in hooks:
            hook.remove()
        for name, parts in sums.items():
            total, squares, count = torch.stack(parts).sum(0)
            _undo(network, (name, layers[name]), total / count, squares / count)


def _undo(network: nn.Module, names: tuple[str, str], mean: Tensor, square: Tensor) -> None:
    """Set a norm to normalise by mean and variance and to scale and shift back to its bias.

    Each filter is brought to the length that a fresh one has, since the optimiser moves every
    weight by the same step; the norm takes the factor back.
    """
    norm, conv = (network.get_submodule(name) for name in names)
    if not isinstance(norm, nn.BatchNorm2d) or not isinstance(conv, nn.Conv2d):
        raise TypeError(names)
    variance = (square - mean**2).clamp(min=1e-8)
    length = conv.weight.double().flatten(1).norm(dim=1).clamp(min=1e-6)
    factor = _FRESH_LENGTH / length
    conv.weight.mul_(factor.float()[:, None, None, None])
    norm.running_mean.copy_((mean * factor).float())  # type: ignore[union-attr]
    norm.running_var.copy_((variance * factor**2).float())  # type: ignore[union-attr]
    norm.bias.add_(mean.float())
    norm.weight.copy_(((variance * factor**2 + norm.eps).sqrt() / factor).float())


def _arrays(path: Path) -> dict[str, np.ndarray]:
    model = onnx.load(str(path))
    return {
        part.name.removeprefix(_PREFIX): numpy_helper.to_array(part)
        for part in model.graph.initializer
        if part.name.startswith(_PREFIX)
    }


def _found(stored: dict[str, np.ndarray], name: str, bundle: Bundle) -> np.ndarray:
    if name not in stored:
        raise _other(bundle, f"no tensor {name}")
    return np.array(stored[name])


def _copy(place: Tensor, stored: dict[str, np.ndarray], name: str, bundle: Bundle) -> None:
    value = _found(stored, name, bundle)
    if value.shape != tuple(place.shape):
        raise _other(bundle, f"{name} of shape {value.shape}")
    with torch.no_grad():
        place.copy_(torch.from_numpy(value))


def _other(bundle: Bundle, found: str) -> BundleError:
    return BundleError(
        bundle.model_path,
        found=found,
        expected="the network that the configuration describes, with folded batch norms",
        remedy="Use the [model] and the classes of the card, or a bundle with weights.npz.",
    )
