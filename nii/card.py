"""The card of a model: what it needs to be used, what was measured, what is promised.

It is written as ``card.json`` for programs and as ``card.md`` for people, and travels inside the
ONNX file too; see :mod:`nii.bundle`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nii import taxonomy
from nii.config import from_dict, to_dict
from nii.preprocess import PreprocessSpec
from nii.provenance import Provenance

FORMAT_VERSION = 1
FULL = "fp32"
LIGHTER = ("int8", "fp16")
"""Precisions that a bundle may hold variants in."""
_ANOMALY_TEXT = (
    "It also draws a map of anomalies, of whatever class, which ranks what to look at first. The "
    "map raises no alarm."
)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Scores from which something is reported.

    Attributes:
        look: by threat class name: score from which the officer is asked to look.
        search: by threat class name: score from which a search is advised; never below `look`.
        structure: score from which a container or vehicle counts as found.
        basis: where the numbers come from, in words.
    """

    look: Mapping[str, float]
    search: Mapping[str, float]
    structure: float = 0.5
    basis: str = "assumption: not calibrated"

    def __post_init__(self) -> None:
        """Check the order of the two levels.

        Raises:
            ValueError: the classes differ, or a search threshold lies below the look threshold.
        """
        if set(self.look) != set(self.search):
            msg = "look and search thresholds name different classes"
            raise ValueError(msg)
        for name, score in self.look.items():
            if not 0 <= score <= self.search[name]:
                msg = f"thresholds of {name}: look {score}, search {self.search[name]}"
                raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class DecodeSpec:
    """Facts needed to turn the output maps into boxes."""

    threat_stride: int = 4
    """Scan pixels per cell of the threat maps."""
    structure_stride: int = 2
    """Overview pixels per cell of the structure maps."""
    min_score: float = 0.05
    """Threat peaks of a lower heat are dropped."""
    max_detections: int = 300
    """Highest number of threat peaks looked at in one scan, hottest first."""
    nms_iou: float = 0.45
    """Overlap from which the weaker of two boxes is dropped."""


@dataclass(frozen=True, slots=True)
class ScoreSpec:
    """Say how the heat of each class becomes a score that can be compared with those of others.

    The logit of the score is the logit of the heat plus the shift of its class. Within a class the
    order stays, so that a threshold of its own loses and gains nothing.

    Attributes:
        shift: by threat class name.
        basis: what the shifts were taken from, in words.
    """

    shift: Mapping[str, float]
    basis: str = ""


@dataclass(frozen=True, slots=True)
class FillingSpec:
    """Weights of the logistic model that tells full containers from partly filled ones.

    Attributes:
        weights: of each feature, standardised as in :class:`LoadSpec`.
        bias: added to their weighted sum.
        basis: what it was fitted on and how good it was, in words.
    """

    weights: tuple[float, ...]
    bias: float
    basis: str


@dataclass(frozen=True, slots=True)
class LoadSpec:
    """Weights of the logistic model that tells loaded containers from empty ones.

    Attributes:
        mean: of each feature in :data:`nii.infer.load.FEATURES`.
        scale: standard deviation of each.
        weights: of each standardised feature.
        bias: added to their weighted sum.
        basis: what it was fitted on and how good it was, in words.
        filling: tells full from partly filled; None where that was not learnt.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    basis: str
    filling: FillingSpec | None = None

    def __post_init__(self) -> None:
        """Check that the numbers belong together.

        Raises:
            ValueError: lengths differ, or a scale is not positive.
        """
        lengths = {len(self.mean), len(self.scale), len(self.weights)}
        lengths |= {len(self.filling.weights)} if self.filling else set()
        if len(lengths) > 1 or lengths == {0}:
            msg = "mean, scale and weights of the load state differ in length"
            raise ValueError(msg)
        if min(self.scale) <= 0:
            msg = "a scale of the load state is not positive"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class GuaranteeSpec:
    """State what calibration proved, in sentences for people.

    Attributes:
        scanner: machine whose scans it was proven on.
        basis: what it was proven on: which set, how many threats and benign containers.
        promises: one sentence for each threat class: what is promised, or why nothing is.
        costs: what the thresholds cost in looks and searches.
        not_covered: what the promises do not say.
        smallest: by areal density behind: smallest size found, in words.
        holds: whether at least one of the promises is more than the reason why there is none.
        reference: highest threat score of each benign container of the calibration, rising; the
            drift test compares with it.
    """

    scanner: str
    basis: str
    promises: tuple[str, ...]
    costs: tuple[str, ...] = ()
    not_covered: tuple[str, ...] = ()
    smallest: Mapping[str, str] = field(default_factory=dict)
    holds: bool = True
    reference: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class VariantSpec:
    """Describe the model in fewer bits, and what was measured before it was admitted.

    Attributes:
        model_sha256: digest of its ONNX file.
        self_test_sha256: digest of its self-test.
        scans: calibration scans on which it was compared with the full model.
        threats: threats in them.
        p_d: share of the threats that it finds from the look thresholds on.
        p_d_full: share that the full model finds.
        boxes_agree: share of the regions of either that the other has too.
    """

    model_sha256: str
    self_test_sha256: str
    scans: int
    threats: int
    p_d: float
    p_d_full: float
    boxes_agree: float


@dataclass(frozen=True, slots=True)
class Card:
    """Describe one model.

    Attributes:
        name: short name, also that of the folder.
        version: of the model, for example ``2026.11.22``.
        threats: threat class names in the order of the channels of the threat map.
        structures: structure class names in the order of the structure maps.
        preprocess: how a scan becomes the model's input.
        decode: how the output maps become boxes.
        thresholds: scores of the graded levels.
        provenance: data, settings and code that made it.
        scores: makes the heats of the classes comparable; None where a score is the heat itself.
        load: tells loaded containers from empty ones; None where that was not learnt.
        anomaly: whether the model gives a map of anomalies; bundles of before there was one do not.
        guarantee: what is promised for which scanner; None where nothing was proven.
        model_sha256: digest of ``model.onnx`` (empty inside the file itself).
        self_test_sha256: digest of ``selftest.npz``; empty inside the model, and where the bundle
            was made before there were self-tests.
        variants: by precision: the same model in fewer bits; empty inside the model.
        weights_sha256: digest of ``weights.npz``, from which training can go on; empty inside the
            model, and where the bundle has none.
        metrics: measured quality, by name, with the data it was measured on in the name or text.
        intended_use: what it is for.
        limits: what it is known not to do.
        licence: SPDX identifier of the weights.
        format_version: version of this card.
    """

    name: str
    version: str
    threats: tuple[str, ...]
    structures: tuple[str, ...]
    preprocess: PreprocessSpec
    decode: DecodeSpec
    thresholds: Thresholds
    provenance: dict[str, Any]
    scores: ScoreSpec | None = None
    load: LoadSpec | None = None
    anomaly: bool = False
    guarantee: GuaranteeSpec | None = None
    model_sha256: str = ""
    self_test_sha256: str = ""
    variants: Mapping[str, VariantSpec] = field(default_factory=dict)
    weights_sha256: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    intended_use: str = ""
    limits: tuple[str, ...] = ()
    licence: str = "Apache-2.0"
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        """Check that the classes exist and have thresholds.

        Raises:
            ValueError: a class is unknown or has no threshold.
        """
        known = {row.name for row in taxonomy.classes()}
        unknown = set(self.threats + self.structures) - known
        if unknown:
            msg = f"classes {sorted(unknown)} are not in the taxonomy"
            raise ValueError(msg)
        if set(self.threats) != set(self.thresholds.look):
            msg = "thresholds and threat classes differ"
            raise ValueError(msg)
        if self.scores is not None and set(self.threats) != set(self.scores.shift):
            msg = "scores and threat classes differ"
            raise ValueError(msg)
        if not set(self.variants) <= set(LIGHTER):
            msg = f"variants {sorted(self.variants)}, known are {LIGHTER}"
            raise ValueError(msg)

    @property
    def threat_ids(self) -> tuple[int, ...]:
        """Return the taxonomy ids of the threat channels."""
        return tuple(taxonomy.by_name(name).class_id for name in self.threats)

    @property
    def structure_ids(self) -> tuple[int, ...]:
        """Return the taxonomy ids of the structure channels."""
        return tuple(taxonomy.by_name(name).class_id for name in self.structures)

    def to_json(self) -> dict[str, Any]:
        """Return the card as JSON types."""
        result: dict[str, Any] = to_dict(self)
        return result

    @classmethod
    def from_json(cls, data: dict[str, Any], *, where: str = "card") -> Card:
        """Rebuild a card.

        Raises:
            ConfigError: a key or value does not fit.
        """
        return from_dict(cls, data, where=where)


def _load_lines(spec: LoadSpec | None) -> list[str]:
    if spec is None:
        return []
    more = ["", f"Partly filled or full: {spec.filling.basis}."] if spec.filling else []
    return ["", f"Empty or loaded: {spec.basis}.", *more]


def card_text(card: Card) -> str:
    """Return the card as a page for people (Markdown)."""
    lines = [
        f"# {card.name} {card.version}",
        "",
        card.intended_use,
        "",
        f"Licence of the weights: {card.licence}. Model SHA-256: `{card.model_sha256}`.",
        "",
        "## What it reports",
        "",
        "| class | look from | search from |",
        "|---|---|---|",
    ]
    lines += [
        f"| {name} | {card.thresholds.look[name]:.3f} | {card.thresholds.search[name]:.3f} |"
        for name in card.threats
    ]
    lines += [
        "",
        f"Thresholds: {card.thresholds.basis}. It also finds: {', '.join(card.structures)}.",
        *(["", f"Scores: {card.scores.basis}."] if card.scores else []),
        *_load_lines(card.load),
        *(["", _ANOMALY_TEXT] if card.anomaly else []),
        "",
        *_lighter(card),
        *_promised(card.guarantee),
        "## Measured",
        "",
        *(f"* {name}: {value}" for name, value in card.metrics.items()),
        "",
        "## Limits",
        "",
        *(f"* {limit}" for limit in card.limits),
        "",
        "## Made from",
        "",
        *(f"* {step}" for step in Provenance.from_json(card.provenance).steps),
        "",
    ]
    return "\n".join(lines)


def _lighter(card: Card) -> list[str]:
    """Return the lines of the card about its variants."""
    if not card.variants:
        return []
    rows = [
        f"| {name} | {one.p_d:.4f} | {one.p_d_full:.4f} | {one.boxes_agree:.4f} | {one.scans} | "
        f"{one.threats} |"
        for name, one in card.variants.items()
    ]
    head = "| variant | P_d | P_d of the full model | regions that agree | scans | threats |"
    return ["## In fewer bits", "", head, "|---|---|---|---|---|---|", *rows, ""]


def _promised(guarantee: GuaranteeSpec | None) -> list[str]:
    """Return the lines of the card about the guarantee."""
    if guarantee is None:
        return ["## Promised", "", "Nothing: not calibrated for a scanner.", ""]
    return [
        f"## Promised for {guarantee.scanner}",
        "",
        *(f"* {text}" for text in guarantee.promises),
        "",
        f"Proven on {guarantee.basis}. {' '.join(guarantee.costs)}",
        "",
        "Smallest size found, by areal density behind:",
        "",
        *(f"* {load}: {size}" for load, size in guarantee.smallest.items()),
        "",
        "Not covered:",
        "",
        *(f"* {text}" for text in guarantee.not_covered),
        "",
    ]
