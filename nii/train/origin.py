"""Where a trained model comes from: data, code and versions, without a word about the computer."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import torch

import nii
from nii.annotations.coco import CocoImage, read_coco
from nii.provenance import Provenance, SourceFile, sha256_of_file
from nii.train import checkpoint
from nii.train.config import DataConfig, TrainConfig, settings_without_places

_GIT_SECONDS = 20


def training_provenance(config: TrainConfig) -> Provenance:
    """Return what a run of `config` is made from: labels with digest, code, versions, settings.

    The setting ``simulated`` tells whether every scan to learn from is known to be simulated.

    Raises:
        AnnotationError: a labelled set contradicts itself.
    """
    parts = (("trained on", config.train), ("validated on", config.validation))
    labels = [data.annotations for _, data in parts if data.annotations is not None]
    versions = f"Python {platform.python_version()}, PyTorch {torch.__version__}"
    return Provenance(
        sources=tuple(SourceFile(path.name, sha256_of_file(path)) for path in labels),
        steps=(
            *(f"{verb} {describe(data)}" for verb, data in parts),
            *_beginning(config),
            f"{versions}, NumPy {np.__version__}",
            f"code: {git_commit() or 'no git commit known'}",
        ),
        settings=settings_without_places(config) | {"simulated": _simulated(config)},
    )


def _beginning(config: TrainConfig) -> tuple[str, ...]:
    """Return where the first weights came from: drawn, or the whole story of an earlier run."""
    if config.initial is None:
        return (f"weights from scratch, seed {config.seed}",)
    meta = checkpoint.load(config.initial).meta
    earlier = Provenance.from_json(meta.provenance).steps
    took = f"{meta.step} steps in {meta.elapsed_s / 60:.0f} minutes"
    return (f"weights of an earlier run: {'; '.join((*earlier, took))}",)


def _simulated(config: TrainConfig) -> bool:
    """Return whether this run and the one that it starts from saw simulated scans alone."""
    if config.initial is None:
        return is_simulated(config.train)
    earlier = Provenance.from_json(checkpoint.load(config.initial).meta.provenance)
    return is_simulated(config.train) and bool(earlier.settings.get("simulated"))


def resumed(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Return the provenance of a run that goes on: what it began with, and what is new since."""
    first, second = Provenance.from_json(before), Provenance.from_json(now)
    for step in second.steps:
        if step not in first.steps:
            first = first.with_step(f"resumed with {step}")
    return first.to_json()


def describe(data: DataConfig) -> str:
    """Return a set of scans in words."""
    if data.source == "simulate":
        scanners = ", ".join(data.simulate.scanners)
        return f"{data.count} simulated scans (scanners {scanners}, seed {data.seed})"
    name = data.annotations.name if data.annotations else "no file"
    kind = "simulated scans" if is_simulated(data) else "scans"
    return f"{len(_images(data))} {kind} labelled in {name}"


def is_simulated(data: DataConfig) -> bool:
    """Return whether all scans of a set are simulated; labels of such scans state a seed."""
    if data.source == "simulate":
        return True
    images = _images(data)
    return bool(images) and all(image.seed is not None for image in images)


def _images(data: DataConfig) -> tuple[CocoImage, ...]:
    if data.annotations is None:
        return ()
    images = read_coco(data.annotations, data.images or data.annotations.parent).images
    return images[: data.count] if data.count else images


def git_commit(package: Path | None = None) -> str | None:
    """Return the commit of the code in `package` (default: nii); None outside a checkout.

    Changes that are not committed are told by ``+ changes``.
    """
    folder = package or Path(nii.__file__).parent
    if not _git(folder, "ls-files", "__init__.py"):
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--", ".")
    return commit and (f"{commit} + changes" if changed else commit)


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed program, no text from outside
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - wherever git is installed
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
