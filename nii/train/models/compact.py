"""Compact: a small fully convolutional detector, trained from scratch.

Two branches that share nothing but the card. The detail branch sees the scan at native resolution
with strides 4, 8 and 16 fused into one head at stride 4, since a threat may be 40 pixels long. The
overview branch is a small U-Net on the scan at fixed height, whose coarsest cells see the whole
vehicle. Batch norm is used because it folds into the convolutions at export.

With `config.anomaly` the detail branch gives one more plane: where something lies that does not
belong, of whatever class. It is read from the same features by one convolution.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from nii.preprocess import CHANNELS

if TYPE_CHECKING:
    from nii.train.config import ModelConfig

_PRIOR = -4.6
"""Logit of a heat map at the start: probability 0.01, as in RetinaNet (Lin et al. 2017)."""
_THREAT_UNIT_PX = 8.0
_STRUCTURE_UNIT_PX = 32.0
_LOG_DISTANCE_LIMITS = (-4.0, 4.5)


def build(config: ModelConfig, threats: int, structures: int) -> nn.Module:
    """Build the network with `config.width` channels at stride 4."""
    return Compact(config, threats, structures)


class Compact(nn.Module):
    """Join the two branches; see :mod:`nii.train.models` for inputs and outputs."""

    def __init__(self, config: ModelConfig, threats: int, structures: int) -> None:
        """Build both branches."""
        super().__init__()
        self.detail = DetailBranch(config.width, config.depth, threats, anomaly=config.anomaly)
        self.overview = OverviewBranch(config.overview_width, structures)

    def forward(self, detail: Tensor, overview: Tensor) -> tuple[Tensor, ...]:
        """Return the five maps, and the anomaly map last where the network has one."""
        heat, ltrb, *anomaly = self.detail(detail)
        return (heat, ltrb, *self.overview(overview), *anomaly)


class DetailBranch(nn.Module):
    """Find threats at native resolution: strides 4, 8, 16 fused at stride 4."""

    def __init__(self, width: int, depth: int, threats: int, *, anomaly: bool = False) -> None:
        """Build for `width` channels at stride 4 and `depth` residual blocks a level."""
        super().__init__()
        wide, wider = 5 * width // 2, 4 * width
        self.stem = nn.Sequential(
            _conv(len(CHANNELS), width // 2, stride=2),
            _conv(width // 2, width, stride=2),
            Block(width),
        )
        self.down8 = _level(width, wide, depth)
        self.down16 = _level(wide, wider, depth + 1)
        self.side8 = _conv(wide, width, kernel=1)
        self.side16 = _conv(wider, width, kernel=1)
        self.fuse = nn.Sequential(_conv(width, width), _conv(width, width))
        self.heat = _head(width, threats, _PRIOR)
        self.sides = _head(width, 4, 1.0)
        self.anomaly = _head(width, 1, _PRIOR) if anomaly else None

    def forward(self, detail: Tensor) -> tuple[Tensor, ...]:
        """Return heat logits, distances in pixels and, where there is such a head, anomalies."""
        at4 = self.stem(detail)
        at8 = self.down8(at4)
        at16 = self.down16(at8)
        up8 = self.side8(at8) + _double(self.side16(at16))
        fused = self.fuse(at4 + _double(up8))
        found = self.heat(fused), _distance(self.sides(fused), _THREAT_UNIT_PX)
        return found if self.anomaly is None else (*found, self.anomaly(fused))


def detail_channels(network: nn.Module) -> dict[str, tuple[str, str]]:
    """Return which channels each convolution of the detail branch reads and which it makes.

    Channels that are added to one another bear one name; the scan and what a head tells bear none.
    """
    convolutions = [
        name
        for name, layer in network.get_submodule("detail").named_modules()
        if isinstance(layer, nn.Conv2d)
    ]
    return {f"detail.{name}": _ENDS.get(name) or _ends_in_block(name) for name in convolutions}


_ENDS = {
    "stem.0.0": ("", "half"),
    "stem.1.0": ("half", "at4"),
    "down8.0.0": ("at4", "at8"),
    "down16.0.0": ("at8", "at16"),
    "side8.0": ("at8", "at4"),
    "side16.0": ("at16", "at4"),
    "fuse.0.0": ("at4", "fuse"),
    "fuse.1.0": ("fuse", "fused"),
    "heat": ("fused", ""),
    "sides": ("fused", ""),
    "anomaly": ("fused", ""),
}
_STREAMS = {"stem": "at4", "down8": "at8", "down16": "at16"}


def _ends_in_block(name: str) -> tuple[str, str]:
    block, _, place = name.partition(".body.")
    stream = _STREAMS[block.partition(".")[0]]
    return (stream, block) if place.startswith("0") else (block, stream)


class OverviewBranch(nn.Module):
    """Find structures on the overview: a U-Net from stride 4 down to stride 32, read at stride 2.

    All work is done at stride 4 and coarser; the heads give four values a cell, which are laid out
    as 2 x 2 cells of stride 2 (pixel shuffle: Shi et al. 2016). Measured: four times faster than
    convolutions at stride 2, with edges as exact.
    """

    def __init__(self, width: int, structures: int) -> None:
        """Build for `width` channels at stride 4."""
        super().__init__()
        widths = [width, 2 * width, 3 * width, 3 * width]
        self.stem = nn.Sequential(
            _conv(len(CHANNELS), width // 2, stride=2),
            _conv(width // 2, width, stride=2),
            Block(width),
        )
        self.downs = nn.ModuleList(_level(a, b, 1) for a, b in pairwise(widths))
        self.context = nn.Sequential(*(WideBlock(widths[-1]) for _ in range(3)))
        self.sides = nn.ModuleList(
            _conv(deep, shallow, kernel=1) for shallow, deep in pairwise(widths)
        )
        self.merges = nn.ModuleList(Block(shallow) for shallow in widths[:-1])
        self.centre = _head(width, 4 * structures, _PRIOR)
        self.inside = _head(width, 4 * structures, 0.0)
        self.distances = _head(width, 16 * structures, 1.0)

    def forward(self, overview: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits of the middle and of the inside, and distances in overview pixels."""
        levels = [self.stem(overview)]
        for down in self.downs:
            levels.append(down(levels[-1]))
        merged = self.context(levels.pop())
        for side, merge in zip(reversed(self.sides), reversed(self.merges), strict=True):
            merged = merge(levels.pop() + _double(side(merged)))
        centre, inside, distances = (
            _laid_out(head(merged)) for head in (self.centre, self.inside, self.distances)
        )
        return centre, inside, _distance(distances, _STRUCTURE_UNIT_PX)


class Block(nn.Module):
    """Two 3 × 3 convolutions around which the input is added."""

    def __init__(self, width: int) -> None:
        """Build for `width` channels in and out."""
        super().__init__()
        self.body = nn.Sequential(_conv(width, width), _conv(width, width, active=False))

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape."""
        return functional.relu(features + self.body(features))


class WideBlock(nn.Module):
    """A residual block that looks far along the vehicle: 3 × 3, then 1 × 9 by channel."""

    def __init__(self, width: int) -> None:
        """Build for `width` channels in and out."""
        super().__init__()
        self.near = _conv(width, width)
        self.far = nn.Conv2d(width, width, (1, 9), padding=(0, 4), groups=width, bias=False)
        self.mix = _conv(width, width, kernel=1, active=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape."""
        return functional.relu(features + self.mix(self.far(self.near(features))))


def _level(width_in: int, width_out: int, depth: int) -> nn.Sequential:
    return nn.Sequential(
        _conv(width_in, width_out, stride=2), *(Block(width_out) for _ in range(depth))
    )


def _conv(
    width_in: int, width_out: int, *, kernel: int = 3, stride: int = 1, active: bool = True
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(width_in, width_out, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(width_out, momentum=0.03),
    ]
    if active:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def _head(width: int, outputs: int, bias: float) -> nn.Conv2d:
    layer = nn.Conv2d(width, outputs, 3, padding=1)
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.constant_(layer.bias if layer.bias is not None else torch.zeros(0), bias)
    return layer


def _double(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2.0, mode="nearest")


def _laid_out(cells: Tensor) -> Tensor:
    """Return four values a cell as 2 x 2 cells; PyTorch cannot walk back through it for none."""
    if torch.compiler.is_exporting() or len(cells):
        return functional.pixel_shuffle(cells, 2)
    _, values, rows, columns = cells.shape
    return cells.reshape(0, values // 4, 2 * rows, 2 * columns)


def _distance(raw: Tensor, unit_px: float) -> Tensor:
    low, high = _LOG_DISTANCE_LIMITS
    return torch.exp(raw.clamp(low, high)) * unit_px
