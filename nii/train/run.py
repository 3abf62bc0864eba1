"""The state of a training run: network, moving average, optimiser and place in the schedule."""

from __future__ import annotations

import copy
import logging
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nii.config import to_dict
from nii.errors import ConfigError
from nii.train import checkpoint
from nii.train.checkpoint import Checkpoint, Meta
from nii.train.config import OptimiserConfig, TrainConfig
from nii.train.dataset import Batch
from nii.train.device import Compute
from nii.train.loss import detection_loss
from nii.train.models import build
from nii.train.origin import resumed, training_provenance
from nii.train.together import ALONE, Group, share_norms
from nii.train.validate import Validation

_LOG = logging.getLogger(__name__)
_OPTIONAL = "detail.anomaly."
"""Start of the names of what a checkpoint to begin from need not have."""
_EMA_WARMUP = 10
"""The decay of the moving average is at most (1 + step) / (10 + step), so that the first weights
are soon forgotten (the usual choice since TensorFlow's ExponentialMovingAverage)."""


class Run:
    """Hold what changes while a network is trained; PyTorch changes it in place.

    Attributes:
        network: weights being trained.
        average: moving average of the weights, which is what is validated and exported.
        epoch: epochs completed.
        batch: batches completed in the epoch that is under way.
        step: steps of the optimiser.
        elapsed_s: seconds of training, all parts of the run together.
        best: best selection score of a validation; None before the first.
        stale: validations since then.
        metrics: of the latest validation.
    """

    def __init__(self, config: TrainConfig, compute: Compute, group: Group = ALONE) -> None:
        """Build a new run; its first weights depend on the seed alone."""
        torch.manual_seed(config.seed)
        self._config = config
        self._compute = compute
        self._group = group
        network, new = build(config.model, len(config.threats), len(config.structures)), ""
        if config.initial is not None:
            new = begin(network, config.initial)
        memory = torch.channels_last
        self.network = network.to(compute.device, memory_format=memory)  # type: ignore[call-overload]
        if group.count > 1:
            share_norms(self.network, group)
        self._frozen = frozen_parts(self.network, config.frozen)
        self.average = copy.deepcopy(self.network).eval().requires_grad_(requires_grad=False)
        self.optimiser = optimiser_of(self.network, config.optimiser)
        self.epoch, self.batch, self.step = 0, 0, 0
        self.elapsed_s = 0.0
        self._scaler = compute.scaler()
        self.best: float | None = None
        self.stale = 0
        self.metrics: dict[str, Any] = {}
        self._thresholds: dict[str, Any] = {}
        made = training_provenance(config)
        self._provenance = (made.with_step(new) if new else made).to_json()

    def learn(self, batch: Batch, learning_rate: float) -> dict[str, float] | None:
        """Take one step of the optimiser and return the parts of the loss.

        Returns:
            None where the loss or its gradient is not finite; then nothing has changed but the
            running means of the batch norms, which are put back too.
        """
        widest = [float(batch.overview.shape[3])]
        batch = batch.widened(int(self._group.agree(widest, self._compute.device)[0]))
        self.network.train()
        for part in self._frozen:
            part.eval()
        buffers = [buffer.clone() for buffer in self.network.buffers()]
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        self.optimiser.zero_grad(set_to_none=True)
        memory = torch.channels_last
        with self._compute.autocast():
            outputs = self.network(
                batch.detail.contiguous(memory_format=memory),
                batch.overview.contiguous(memory_format=memory),
            )
        parts = detection_loss(outputs, batch, self._group)
        self._scaler.scale(parts["total"]).backward()  # type: ignore[no-untyped-call]
        self._group.average_gradients(self.network.parameters())
        self._scaler.unscale_(self.optimiser)
        length = nn.utils.clip_grad_norm_(
            self.network.parameters(), self._config.optimiser.clip_norm
        )
        shown = torch.stack([part.detach() for part in parts.values()])
        told = (self._group.total(shown) / self._group.count).tolist()
        if not math.isfinite(told[-1]) or not bool(torch.isfinite(length)):
            self._scaler.update()  # a smaller scale, where there is one
            self.optimiser.zero_grad(set_to_none=True)
            for kept, buffer in zip(buffers, self.network.buffers(), strict=True):
                buffer.copy_(kept)
            return None
        self._scaler.step(self.optimiser)
        self._scaler.update()
        self.step += 1
        decay = min(self._config.ema_decay, (1 + self.step) / (_EMA_WARMUP + self.step))
        follow(self.average, self.network, decay)
        return dict(zip(parts, told, strict=True))

    def advance(self, batches_per_epoch: int) -> None:
        """Count one batch, and an epoch when it was the last."""
        self.batch += 1
        if self.batch >= batches_per_epoch:
            self.epoch, self.batch = self.epoch + 1, 0

    def note(self, validation: Validation) -> bool:
        """Keep the result of a validation; return whether it is the best so far."""
        self.metrics = dict(validation.metrics)
        self._thresholds = to_dict(validation.thresholds)
        if self.best is not None and validation.selection <= self.best:
            self.stale += 1
            return False
        self.best, self.stale = validation.selection, 0
        return True

    def save(self, folder: Path, name: str) -> Path:
        """Write a checkpoint."""
        meta = Meta(
            config=self._config,
            epoch=self.epoch,
            batch=self.batch,
            step=self.step,
            elapsed_s=self.elapsed_s,
            best=self.best,
            stale=self.stale,
            metrics=self.metrics,
            thresholds=self._thresholds,
            provenance=self._provenance,
        )
        content = Checkpoint(
            self.network.state_dict(),
            self.average.state_dict(),
            self.optimiser.state_dict(),
            _rng_states(),
            meta,
            self._scaler.state_dict(),
        )
        return checkpoint.save(folder, name, content)

    def restore(self, path: Path) -> None:
        """Go on exactly where a checkpoint was written.

        Raises:
            ConfigError: there is no sound checkpoint, or it was made with other settings.
        """
        content = checkpoint.load(path, self._compute.device)
        checkpoint.require_same(self._config, content.meta)
        checkpoint.require_same_data(content.meta.provenance, self._provenance, path)
        self.network.load_state_dict(content.network)
        self.average.load_state_dict(content.average)
        self.optimiser.load_state_dict(content.optimiser)
        if content.scaler:
            self._scaler.load_state_dict(content.scaler)
        _set_rng_states(content.rng)
        meta = content.meta
        self.epoch, self.batch, self.step = meta.epoch, meta.batch, meta.step
        self.elapsed_s, self.best, self.stale = meta.elapsed_s, meta.best, meta.stale
        self.metrics, self._thresholds = meta.metrics, meta.thresholds
        self._provenance = resumed(meta.provenance, self._provenance)


def frozen_parts(network: nn.Module, names: tuple[str, ...]) -> tuple[nn.Module, ...]:
    """Take branches out of training and return them.

    Raises:
        ConfigError: the network has no such branch.
    """
    branches = dict(network.named_children())
    unknown = [name for name in names if name not in branches]
    if unknown:
        raise ConfigError(
            "frozen",
            found=", ".join(unknown),
            expected=f"branches of the network: {', '.join(branches)}",
            remedy="Name a branch that there is.",
        )
    return tuple(branches[name].requires_grad_(requires_grad=False) for name in names)


def begin(network: nn.Module, path: Path) -> str:
    """Start a network from the averaged weights of a checkpoint; say what is new in it.

    Only the head of the anomaly map may be missing in the checkpoint: it then starts afresh.

    Returns:
        What was drawn afresh, in words; empty where nothing was.

    Raises:
        ConfigError: the checkpoint holds another network.
    """
    weights = checkpoint.load(path).average
    own = network.state_dict()
    missing = sorted(own.keys() - weights.keys())
    wrong = [name for name in missing if not name.startswith(_OPTIONAL)]
    wrong += sorted(weights.keys() - own.keys())
    wrong += sorted(n for n in own.keys() & weights.keys() if own[n].shape != weights[n].shape)
    if wrong:
        raise ConfigError(
            path,
            found=f"a network that differs in {len(wrong)} tensors, first {wrong[0]}",
            expected="the network of this run; at most the anomaly head may be missing",
            remedy="Use the [model] and the classes of the run that wrote it, or another file.",
        )
    network.load_state_dict(own | weights)
    if not missing:
        return ""
    text = f"begun from {path.name} without {', '.join(missing)}: drawn afresh"
    _LOG.warning("%s", text)
    return text


def optimiser_of(network: nn.Module, config: OptimiserConfig) -> torch.optim.Optimizer:
    """Return the optimiser; norms and biases (one axis) are free of weight decay."""
    weights = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": weights, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if config.kind == "sgd":
        momentum = config.momentum
        return torch.optim.SGD(
            groups, lr=config.learning_rate, momentum=momentum, nesterov=momentum > 0
        )
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(config.momentum, 0.999))


def follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the average towards the network: decay · average + (1 − decay) · network."""
    with torch.no_grad():
        pairs = zip(average.state_dict().values(), network.state_dict().values(), strict=True)
        for kept, fresh in pairs:
            if kept.is_floating_point():
                kept.lerp_(fresh, 1 - decay)
            else:
                kept.copy_(fresh)


def progress_share(config: TrainConfig, run: Run, batches_per_epoch: int) -> float:
    """Return how far the run is towards the nearest of its limits, 0 to 1."""
    shares = [0.0]
    if config.epochs is not None:
        shares.append((run.epoch + run.batch / batches_per_epoch) / config.epochs)
    if config.max_steps is not None:
        shares.append(run.step / config.max_steps)
    if config.max_minutes is not None:
        shares.append(run.elapsed_s / (60 * config.max_minutes))
    return min(max(shares), 1.0)


def reached_limit(config: TrainConfig, run: Run) -> bool:
    """Return whether the run is at one of its limits."""
    return (
        (config.epochs is not None and run.epoch >= config.epochs)
        or (config.max_steps is not None and run.step >= config.max_steps)
        or (config.max_minutes is not None and run.elapsed_s >= 60 * config.max_minutes)
        or (config.patience is not None and run.stale >= config.patience)
    )


def learning_rate(config: TrainConfig, step: int, share: float) -> float:
    """Return the learning rate: a straight rise by steps, times a cosine fall by the share done.

    Reference:
        Loshchilov and Hutter 2017 (SGDR), equation 5, without restarts.
    """
    schedule = config.schedule
    rise = min((step + 1) / (schedule.warmup_steps + 1), 1.0)
    fall = schedule.final_share + (1 - schedule.final_share) * (1 + math.cos(math.pi * share)) / 2
    return config.optimiser.learning_rate * rise * fall


def _rng_states() -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def _set_rng_states(states: dict[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"].cpu())
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"].cpu())
