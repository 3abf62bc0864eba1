"""Settings of a training run; free of torch, so that every file in ``configs/`` loads anywhere."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any, Literal

from nii import taxonomy
from nii.bundle import DecodeSpec
from nii.config import load, to_dict
from nii.errors import ConfigError
from nii.preprocess import PreprocessSpec
from nii.simulate.source import SimulateConfig

REAL_DATA_VARIABLE = "NII_REAL_DATA"
"""Environment variable that says where the real scans lie."""
REAL_DATA_DEFAULT = Path("../shared/data")
"""Where configuration files say that they lie."""

THREATS = ("firearm", "brick", "cigarettes", "dense_object")
STRUCTURES = ("vehicle", "container")


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Choose a network and its size."""

    kind: str = "compact"
    """A name in :data:`nii.train.models.MODELS`."""
    width: int = 32
    """Channels of the detail branch at stride 4; even."""
    depth: int = 2
    """Residual blocks a level of the detail branch."""
    overview_width: int = 24
    """Channels of the overview branch at stride 2."""
    anomaly: bool = False
    """Also learn a map of anomalies, of whatever class."""

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            ValueError: a size is impossible.
        """
        _require(self.width >= 2 and self.width % 2 == 0, "model.width is not even")  # noqa: PLR2004
        _require(self.depth >= 1, "model.depth is below 1")
        _require(self.overview_width >= 1, "model.overview_width is below 1")


@dataclass(frozen=True, slots=True)
class DataConfig:
    """Name a set of scans with truth, and what is cut from each scan."""

    source: Literal["simulate", "coco"] = "simulate"
    """``simulate``: made when needed; ``coco``: files with boxes in a COCO file."""
    annotations: Path | None = None
    """COCO file (source coco)."""
    images: Path | None = None
    """Folder of the scans that the COCO file names (source coco)."""
    simulate: SimulateConfig = field(default_factory=SimulateConfig)
    """What is simulated (source simulate)."""
    count: int = 0
    """Number of scans; for source coco a limit, and 0 means all of them."""
    seed: int = 0
    """Seed of the simulated scans; training and validation must differ in it."""
    crops_per_scan: int = 8
    """Crops of the detail from one scan, each time that the scan is seen."""
    crop_px: int = 320
    """Side of a crop in pixels, a multiple of 16."""
    display_share: float = 0.25
    """Share of the scans shown as an 8-bit display image with an unknown grey curve."""
    single_energy_share: float = 0.15
    """Share of the scans shown with one energy only."""
    benign_crop_share: float = 0.4
    """Share of the crops taken anywhere in structures; the rest lie around a threat."""
    hard_places: Path | None = None
    """File of places where a network was mistaken, see :mod:`nii.train.mining`."""
    hard_share: float = 0.0
    """Share of the benign crops taken around such a place, where the scan has any."""
    anomaly_share: float = 0.0
    """Share of the crops into which a piece of another place of the scan is blended; it counts as
    an anomaly and as no threat. Only a network with an anomaly map learns from it."""
    pair_share: float = 0.0
    """Share of the scans whose crops are pairs: one place as it is, and with a threat projected
    into it, see :mod:`nii.train.pairs`. Each pair counts as two crops."""
    threat_weights: tuple[float, ...] = ()
    """How often pairs show each threat class, beside the others; all alike where none are given."""
    threat_evenness: float = 0.0
    """How evenly threats of different size count: at 0 each by the cells that the top of its hill
    covers, so that one large carton outweighs forty small bricks; at 1 all alike."""
    detail: bool = True
    """Learn threats from crops; without it only structures are learnt, from overviews."""
    overview_variants: int = 1
    """Overviews from one scan, each varied in its own way."""
    overview_share: float = 1.0
    """Share of the scans that give overviews; structures need fewer examples than threats do."""

    def __post_init__(self) -> None:
        """Check the numbers that have limits.

        Raises:
            ValueError: a number lies outside its limits.
        """
        _require(self.crop_px > 0 and self.crop_px % 16 == 0, "crop_px is no multiple of 16")
        _require(self.crops_per_scan >= 1, "crops_per_scan is below 1")
        _require(self.overview_variants >= 1, "overview_variants is below 1")
        least = 1 if self.source == "simulate" else 0
        _require(self.count >= least, f"count is below {least} for source {self.source!r}")
        shares = (
            self.display_share,
            self.single_energy_share,
            self.benign_crop_share,
            self.hard_share,
            self.anomaly_share,
            self.pair_share,
            self.overview_share,
        )
        _require(all(0 <= share <= 1 for share in shares), "a share lies outside 0 to 1")
        both = self.display_share + self.single_energy_share
        _require(both <= 1, "display_share and single_energy_share add up to more than 1")
        weighed = all(weight > 0 for weight in self.threat_weights)
        _require(weighed, "a threat weight is not positive")
        _require(0 <= self.threat_evenness <= 1, "threat_evenness lies outside 0 to 1")
        if self.source == "coco":
            _require(self.annotations is not None, "annotations is missing for source 'coco'")


@dataclass(frozen=True, slots=True)
class OptimiserConfig:
    """Say how the weights follow the gradient."""

    kind: Literal["adamw", "sgd"] = "adamw"
    """AdamW (Loshchilov and Hutter 2019), or SGD with Nesterov momentum."""
    learning_rate: float = 2e-3
    """Highest learning rate."""
    weight_decay: float = 1e-4
    """Decay of the weights of convolutions; norms and biases are free of it."""
    momentum: float = 0.9
    """Momentum of SGD, first beta of AdamW."""
    clip_norm: float = 10.0
    """Longest gradient; longer ones are shortened."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: a number lies outside its limits.
        """
        _require(self.learning_rate > 0, "learning_rate is not positive")
        _require(self.weight_decay >= 0, "weight_decay is negative")
        _require(0 <= self.momentum < 1, "momentum lies outside 0 to 1")
        _require(self.clip_norm > 0, "clip_norm is not positive")


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    """Say how the learning rate rises and falls."""

    warmup_steps: int = 100
    """Steps over which the learning rate rises in a straight line from nothing."""
    final_share: float = 0.02
    """Share of the highest learning rate that is left at the end of the cosine."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: a number lies outside its limits.
        """
        _require(self.warmup_steps >= 0, "warmup_steps is negative")
        _require(0 <= self.final_share <= 1, "final_share lies outside 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Describe a training run: data, network, how long and on what."""

    name: str
    """Name of the run; its folder is ``runs/<name>`` unless `out` says otherwise."""
    train: DataConfig
    """Scans to learn from."""
    validation: DataConfig
    """Scans to measure on; never learnt from."""
    threats: tuple[str, ...] = THREATS
    """Threat classes in the order of the network's maps."""
    structures: tuple[str, ...] = STRUCTURES
    """Structure classes in the order of the network's maps."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """The network."""
    preprocess: PreprocessSpec = field(default_factory=PreprocessSpec)
    """How a scan becomes the input of the network."""
    decode: DecodeSpec = field(default_factory=DecodeSpec)
    """How the output of the network becomes boxes."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    """How the weights follow the gradient."""
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    """How the learning rate rises and falls."""
    epochs: int | None = 100
    """Times that every scan is seen. Of the three limits the first one reached ends the run."""
    max_steps: int | None = None
    """Most steps of the optimiser."""
    max_minutes: float | None = None
    """Longest time, all parts of a resumed run together."""
    batch_scans: int = 4
    """Scans in one step; each gives `crops_per_scan` crops and `overview_variants` overviews."""
    ema_decay: float = 0.998
    """Decay of the moving average of the weights, which is what is validated and exported."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """``auto`` takes the GPU where PyTorch can use one, and says so."""
    amp: Literal["auto", "off", "bf16", "fp16"] = "auto"
    """Numbers of 16 bits in convolutions; ``auto``: bfloat16, on the GPU only. With ``fp16`` the
    loss is scaled so that small gradients are not lost."""
    workers: int = 0
    """Processes that prepare scans; 0 prepares them in the training process."""
    seed: int = 0
    """Seed of the first weights, of the order of the scans and of their variation."""
    log_every: int = 10
    """Steps between two lines of ``metrics.jsonl``."""
    validate_every: int = 1
    """Epochs between two validations; the end of the run is always validated."""
    validation_scans: int = 50
    """Most scans in one validation."""
    select_by: Literal["ap50", "field"] = "ap50"
    """What the best checkpoint is chosen by: mean AP50, or ``field``: P_d of threats in containers,
    mean of that at 10 % and that at 5 % of the benign containers alarmed."""
    patience: int | None = None
    """Validations in a row without a better one after which the run ends; None never ends it so."""
    tensorboard: bool = False
    """Also write the numbers for TensorBoard; needs the extra [tensorboard]."""
    checkpoint_every_minutes: float = 5.0
    """Longest time between two checkpoints."""
    frozen: tuple[str, ...] = ()
    """Branches of the network that stay as they are (``detail``, ``overview``), batch norms too."""
    initial: Path | None = None
    """Checkpoint whose averaged weights the network starts from; its classes and sizes are those
    of this run. Without it weights are drawn."""
    out: Path | None = None
    """Folder of the run; ``runs/<name>`` where it is not given."""

    def __post_init__(self) -> None:
        """Check what can be checked before anything is read.

        Raises:
            ValueError: a class is unknown, no limit is set, or a number is impossible.
        """
        _require_classes(self.threats, "threat")
        _require_classes(self.structures, "structure")
        for data in (self.train, self.validation):
            weights = len(data.threat_weights)
            _require(weights in (0, len(self.threats)), "threat_weights are not one a threat class")
        limits = (self.epochs, self.max_steps, self.max_minutes)
        _require(any(limit is not None for limit in limits), "no limit: the run would never end")
        _require(all(limit is None or limit > 0 for limit in limits), "a limit is not positive")
        _require(0 <= self.ema_decay < 1, "ema_decay lies outside 0 to 1")
        counts = (self.batch_scans, self.log_every, self.validate_every, self.validation_scans)
        _require(min(counts) >= 1, "a count is below 1")
        _require(self.workers >= 0, "workers is negative")
        _require(self.patience is None or self.patience >= 1, "patience is below 1")
        _require(self.checkpoint_every_minutes > 0, "checkpoint_every_minutes is not positive")
        same = self.train.source == self.validation.source == "simulate"
        apart = not same or self.train.seed != self.validation.seed
        _require(apart, "train and validation use the same seed, so the same simulated scans")

    @property
    def folder(self) -> Path:
        """Return the folder of the run."""
        return self.out or Path("runs") / self.name


def read_config(path: Path, environment: Mapping[str, str] | None = None) -> TrainConfig:
    """Read a training configuration; ``NII_REAL_DATA`` replaces ``../shared/data`` in its paths.

    Raises:
        ConfigError: the file does not describe a training run.
    """
    config = load(path, TrainConfig)
    place = (os.environ if environment is None else environment).get(REAL_DATA_VARIABLE)
    if not place:
        return config
    moved = (_moved(data, Path(place)) for data in (config.train, config.validation))
    train, validation = moved
    return replace(config, train=train, validation=validation)


def require_files(config: TrainConfig) -> None:
    """Check that the labelled sets of a configuration are there.

    Raises:
        ConfigError: an annotation file is missing.
    """
    for key, data in (("train", config.train), ("validation", config.validation)):
        if data.annotations is not None and not data.annotations.is_file():
            raise ConfigError(
                f"{key}.annotations",
                found=f"no file {data.annotations}",
                expected="a COCO file",
                remedy=f"Run in the folder that the path starts from, or set {REAL_DATA_VARIABLE}.",
            )


def settings_without_places(config: TrainConfig) -> dict[str, Any]:
    """Return the settings as JSON types, with file names in place of paths."""
    settings: dict[str, Any] = to_dict(config)
    settings.pop("out")
    settings.pop("initial")
    for part in ("train", "validation"):
        for key in ("annotations", "images", "hard_places"):
            place = settings[part][key]
            settings[part][key] = PurePath(place).name if place else None
    return settings


def _moved(data: DataConfig, place: Path) -> DataConfig:
    def move(path: Path | None) -> Path | None:
        if path is None or not path.is_relative_to(REAL_DATA_DEFAULT):
            return path
        return place / path.relative_to(REAL_DATA_DEFAULT)

    return replace(data, annotations=move(data.annotations), images=move(data.images))


def _require_classes(names: tuple[str, ...], group: taxonomy.Group) -> None:
    known = [row.name for row in taxonomy.in_group(group)]
    _require(bool(names), f"no {group} class is named; a network has at least one map of each kind")
    _require(len(set(names)) == len(names), f"a {group} class is named twice")
    unknown = [name for name in names if name not in known]
    _require(not unknown, f"{unknown} are no {group} classes; there are {known}")


def _require(fits: bool, problem: str) -> None:  # noqa: FBT001
    if not fits:
        raise ValueError(problem)
