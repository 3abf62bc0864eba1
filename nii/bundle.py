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

from nii.card import (
    FORMAT_VERSION,
    FULL,
    LIGHTER,
    Card,
    DecodeSpec,
    FillingSpec,
    GuaranteeSpec,
    LoadSpec,
    ScoreSpec,
    Thresholds,
    VariantSpec,
    card_text,
)
from nii.errors import BundleError, ConfigError
from nii.provenance import sha256_of_bytes, sha256_of_file

__all__ = [
    "CARD_FILE",
    "CARD_KEY",
    "FORMAT_VERSION",
    "FULL",
    "LIGHTER",
    "MODEL_FILE",
    "OUTSIDE",
    "PARITY_FILE",
    "SELF_TEST_FILE",
    "TEXT_FILE",
    "WEIGHTS_FILE",
    "Beside",
    "Bundle",
    "Card",
    "DecodeSpec",
    "FillingSpec",
    "GuaranteeSpec",
    "LoadSpec",
    "ScoreSpec",
    "Thresholds",
    "VariantSpec",
    "card_text",
    "metadata_of",
    "read_bundle",
    "write_bundle",
]

CARD_KEY = "nii.card"
MODEL_FILE = "model.onnx"
CARD_FILE = "card.json"
TEXT_FILE = "card.md"
PARITY_FILE = "parity.json"
SELF_TEST_FILE = "selftest.npz"
WEIGHTS_FILE = "weights.npz"
OUTSIDE = frozenset({"model_sha256", "self_test_sha256", "weights_sha256", "variants"})
"""Values of the card that the copy inside the model cannot hold: they speak of what comes later."""


@dataclass(frozen=True, slots=True)
class Beside:
    """Hold the contents of the files that only some bundles have.

    Attributes:
        variants: by precision: model and self-test of each variant that the card describes.
        weights: what training can go on from, see :mod:`nii.train.weights`.
    """

    variants: Mapping[str, tuple[bytes, bytes]] = field(default_factory=dict)
    weights: bytes | None = None


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
    def weights_path(self) -> Path | None:
        """Return the path of what training can go on from; None where there is none."""
        return self.folder / WEIGHTS_FILE if self.card.weights_sha256 else None

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
    if bundle.weights_path is not None:
        _check_file(bundle.weights_path, card.weights_sha256)
    return bundle


def write_bundle(
    folder: Path,
    card: Card,
    model: bytes,
    parity: dict[str, Any],
    self_test: bytes | None = None,
    beside: Beside | None = None,
) -> Bundle:
    """Write a bundle so that the folder is either complete or not there.

    Args:
        folder: where it goes; a bundle that is there already is replaced.
        card: its digests of the other files are filled in here.
        model: content of the ONNX file, which carries the same card.
        parity: report of the comparison with the trained network.
        self_test: an input and what the model makes of it, see :mod:`nii.infer.selftest`.
        beside: variants that the card describes, and what training can go on from.

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
    beside = beside or Beside()
    data = card.to_json() | {
        "model_sha256": sha256_of_bytes(model),
        "self_test_sha256": sha256_of_bytes(self_test) if self_test else "",
        "weights_sha256": sha256_of_bytes(beside.weights) if beside.weights else "",
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
        for precision, contents in beside.variants.items():
            for path, content in zip(
                Bundle(fresh, complete).variant_paths(precision), contents, strict=True
            ):
                _write(path, content)
        if beside.weights:
            _write(fresh / WEIGHTS_FILE, beside.weights)
        if folder.exists():
            folder.rename(Path(temporary) / "replaced")
        fresh.rename(folder)
        shutil.rmtree(Path(temporary) / "replaced", ignore_errors=True)
    return Bundle(folder, complete)


def metadata_of(card: Card) -> dict[str, str]:
    """Return what travels inside the ONNX file: the card, and its main parts under plain keys."""
    data = card.to_json()
    parts = {
        CARD_KEY: data | dict.fromkeys(OUTSIDE, "") | {"variants": {}},
        "nii.classes": {"threats": data["threats"], "structures": data["structures"]},
        "nii.preprocess": data["preprocess"],
        "nii.thresholds": data["thresholds"],
        "nii.scores": data["scores"],
        "nii.provenance": data["provenance"],
    }
    return {key: json.dumps(part, sort_keys=True) for key, part in parts.items()}


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
