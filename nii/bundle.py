"""A model bundle: a folder with model.onnx, card.json, card.md, parity.json and selftest.npz.

It may hold variants of the model in fewer bits, each with its own self-test: model.int8.onnx with
selftest.int8.npz, model.fp16.onnx with selftest.fp16.npz.

The card holds every fact that is needed to use the model: input channels, classes, decoding,
thresholds, provenance. The same card travels inside ``model.onnx`` (metadata key ``nii.card``),
so that the file alone still describes itself; the two must agree.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nii import taxonomy
from nii.config import from_dict, to_dict
from nii.errors import BundleError, ConfigError
from nii.preprocess import PreprocessSpec
from nii.provenance import Provenance, sha256_of_bytes, sha256_of_file

FORMAT_VERSION = 1
CARD_KEY = "nii.card"
MODEL_FILE = "model.onnx"
CARD_FILE = "card.json"
TEXT_FILE = "card.md"
PARITY_FILE = "parity.json"
SELF_TEST_FILE = "selftest.npz"
_ANOMALY_TEXT = (
    "It also draws a map of anomalies, of whatever class, which ranks what to look at first. The "
    "map raises no alarm."
)
OUTSIDE = frozenset({"model_sha256", "self_test_sha256", "variants"})
"""Values of the card that the copy inside the model cannot hold: they speak of what comes later."""
FULL = "fp32"
LIGHTER = ("int8", "fp16")
"""Precisions that a bundle may hold variants in."""


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
    """Threat peaks below this are dropped."""
    max_detections: int = 300
    """Highest number of threat peaks looked at in one scan, best first."""
    nms_iou: float = 0.45
    """Overlap from which the weaker of two boxes is dropped."""


@dataclass(frozen=True, slots=True)
class LoadSpec:
    """Weights of the logistic model that tells loaded containers from empty ones.

    Attributes:
        mean: of each feature in :data:`nii.infer.load.FEATURES`.
        scale: standard deviation of each.
        weights: of each standardised feature.
        bias: added to their weighted sum.
        basis: what it was fitted on and how good it was, in words.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    basis: str

    def __post_init__(self) -> None:
        """Check that the numbers belong together.

        Raises:
            ValueError: lengths differ, or a scale is not positive.
        """
        if not len(self.mean) == len(self.scale) == len(self.weights) > 0:
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
    """

    scanner: str
    basis: str
    promises: tuple[str, ...]
    costs: tuple[str, ...] = ()
    not_covered: tuple[str, ...] = ()
    smallest: Mapping[str, str] = field(default_factory=dict)


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
        load: tells loaded containers from empty ones; None where that was not learnt.
        anomaly: whether the model gives a map of anomalies; bundles of before there was one do not.
        guarantee: what is promised for which scanner; None where nothing was proven.
        model_sha256: digest of ``model.onnx`` (empty inside the file itself).
        self_test_sha256: digest of ``selftest.npz``; empty inside the model, and where the bundle
            was made before there were self-tests.
        variants: by precision: the same model in fewer bits; empty inside the model.
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
    load: LoadSpec | None = None
    anomaly: bool = False
    guarantee: GuaranteeSpec | None = None
    model_sha256: str = ""
    self_test_sha256: str = ""
    variants: Mapping[str, VariantSpec] = field(default_factory=dict)
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


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle on disk whose files were found intact."""

    folder: Path
    card: Card

    @property
    def model_path(self) -> Path:
        """Return the path of the ONNX file."""
        return self.folder / MODEL_FILE

    @property
    def self_test_path(self) -> Path | None:
        """Return the path of the self-test; None where the bundle has none."""
        return self.folder / SELF_TEST_FILE if self.card.self_test_sha256 else None

    def variant_paths(self, precision: str) -> tuple[Path, Path]:
        """Return the paths of model and self-test of a variant."""
        model, test = MODEL_FILE.split("."), SELF_TEST_FILE.split(".")
        names = (f"{model[0]}.{precision}.{model[1]}", f"{test[0]}.{precision}.{test[1]}")
        return self.folder / names[0], self.folder / names[1]

    @property
    def sha256(self) -> str:
        """Return the digest that names the bundle: that of its card, which holds the model's."""
        return sha256_of_file(self.folder / CARD_FILE)


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle and check that its model is the one its card describes.

    Raises:
        BundleError: a file is missing, altered, or written by a newer version.
    """
    data = _read_card(folder)
    version = data.get("format_version")
    if version != FORMAT_VERSION:
        raise BundleError(
            folder,
            found=f"format version {version}",
            expected=f"format version {FORMAT_VERSION}",
            remedy="Use the version of nii that made the bundle, or export the model again.",
        )
    try:
        card = Card.from_json(data, where=str(folder / CARD_FILE))
    except ConfigError as error:
        raise BundleError(
            error.subject,
            found=error.found,
            expected=error.expected,
            remedy="Export the model again.",
        ) from error
    bundle = Bundle(folder, card)
    _check_file(bundle.model_path, card.model_sha256)
    if bundle.self_test_path is not None:
        _check_file(bundle.self_test_path, card.self_test_sha256)
    for precision, variant in card.variants.items():
        model, test = bundle.variant_paths(precision)
        _check_file(model, variant.model_sha256)
        _check_file(test, variant.self_test_sha256)
    return bundle


def write_bundle(
    folder: Path,
    card: Card,
    model: bytes,
    parity: dict[str, Any],
    self_test: bytes | None = None,
    variants: Mapping[str, tuple[bytes, bytes]] | None = None,
) -> Bundle:
    """Write a bundle so that the folder is either complete or not there.

    Args:
        folder: where it goes; a bundle that is there already is replaced.
        card: its `model_sha256` and `self_test_sha256` are filled in here.
        model: content of the ONNX file, which carries the same card.
        parity: report of the comparison with the trained network.
        self_test: an input and what the model makes of it, see :mod:`nii.infer.selftest`.
        variants: by precision: model and self-test of each variant that the card describes.

    Raises:
        BundleError: the folder holds something that is no bundle.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / CARD_FILE).is_file():
        raise BundleError(
            folder,
            found="a folder with other content",
            expected="an empty or new folder, or a bundle to replace",
            remedy="Choose another name.",
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    data = card.to_json() | {
        "model_sha256": sha256_of_bytes(model),
        "self_test_sha256": sha256_of_bytes(self_test) if self_test else "",
    }
    complete = Card.from_json(data)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        fresh = Path(temporary) / folder.name
        fresh.mkdir()
        _write(fresh / MODEL_FILE, model)
        _write(fresh / CARD_FILE, _json_bytes(data))
        _write(fresh / TEXT_FILE, card_text(complete).encode())
        _write(fresh / PARITY_FILE, _json_bytes(parity))
        if self_test:
            _write(fresh / SELF_TEST_FILE, self_test)
        for precision, contents in (variants or {}).items():
            for path, content in zip(
                Bundle(fresh, complete).variant_paths(precision), contents, strict=True
            ):
                _write(path, content)
        if folder.exists():
            folder.rename(Path(temporary) / "replaced")
        fresh.rename(folder)
        shutil.rmtree(Path(temporary) / "replaced", ignore_errors=True)
    return Bundle(folder, complete)


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
        *(["", f"Empty or loaded: {card.load.basis}."] if card.load else []),
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


def _check_file(path: Path, expected: str) -> None:
    if not path.is_file():
        raise BundleError(
            path.parent,
            found=f"no {path.name}",
            expected="a complete bundle",
            remedy="Copy the whole folder again.",
        )
    digest = sha256_of_file(path)
    if digest != expected:
        raise BundleError(
            path,
            found=f"SHA-256 {digest[:12]}…",
            expected=f"{expected[:12]}… as the card says",
            remedy="The file was altered or damaged: copy the whole bundle again.",
        )


def _read_card(folder: Path) -> dict[str, Any]:
    try:
        data = json.loads((folder / CARD_FILE).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(
            folder,
            found=f"no readable {CARD_FILE} ({error})",
            expected="a folder with model.onnx and card.json",
            remedy="Name a bundle, for example one in models/.",
        ) from error
    if not isinstance(data, dict):
        raise BundleError(
            folder, found="a card that is no object", expected="a card", remedy="Export again."
        )
    return data


def _json_bytes(data: dict[str, Any]) -> bytes:
    return (json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
