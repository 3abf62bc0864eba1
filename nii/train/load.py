"""Fit the load state: labelled containers → the weights of logistic models, and their quality."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from nii import formats
from nii.annotations.coco import CocoImage
from nii.bundle import FillingSpec, LoadSpec
from nii.errors import NiiError
from nii.infer.load import load_features
from nii.scan import Grey
from nii.simulate.scanner import render_display

_PENALTY = 10.0
"""Weight of the squared weights (ridge). Between 3 and 30 the result on real scans is the same."""
_STEPS = 60
_LEAST_EACH = 5


@dataclass(frozen=True, slots=True)
class LoadSample:
    """Hold what is known of one container.

    Attributes:
        features: see :data:`nii.infer.load.FEATURES`.
        loaded: whether anything is in it.
        full: whether it is full rather than partly filled; None where it is neither.
    """

    features: Float64[np.ndarray, " feature"]
    loaded: bool
    full: bool | None = None


def load_samples(
    images: Iterable[CocoImage], rng: np.random.Generator | None = None
) -> list[LoadSample]:
    """Return the labelled containers of some scans.

    Args:
        images: scans on disk, whose containers have a load state.
        rng: draws a grey curve; with it each transmission scan is also seen as a display picture.
    """
    samples = []
    for image in images:
        if not any(image.load_states):
            continue
        scan = formats.read(image.path)
        views = [scan.transmission[0]]
        if rng is not None and scan.grey is not Grey.DISPLAY:
            views.append(render_display(scan, rng).transmission[0])
        for view in views:
            for box, state in zip(image.truth.boxes_xyxy.tolist(), image.load_states, strict=True):
                features = None if state is None else load_features(view, tuple(box))
                if features is not None:
                    full = None if state not in ("partial", "full") else state == "full"
                    samples.append(LoadSample(features, state != "empty", full))
    return samples


def fit_load(samples: list[LoadSample], basis: str) -> LoadSpec:
    """Return the logistic model of some containers; empty and loaded ones weigh the same.

    Where there are enough partly filled and full ones, a second model tells these apart.

    Raises:
        NiiError: there are too few containers of one kind.
    """
    features, loaded = _arrays(samples)
    counts = int(loaded.sum()), int((~loaded).sum())
    if min(counts) < _LEAST_EACH:
        raise NiiError(
            "load state",
            found=f"{counts[0]} loaded and {counts[1]} empty containers",
            expected=f"{_LEAST_EACH} of each",
            remedy="Label or simulate more containers.",
        )
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-9
    weights = _weights((features - mean) / scale, loaded)
    return LoadSpec(
        mean=_rounded(mean),
        scale=_rounded(scale),
        weights=_rounded(weights[:-1]),
        bias=round(float(weights[-1]), 6),
        basis=basis,
        filling=_filling([one for one in samples if one.full is not None], mean, scale),
    )


def _filling(
    known: list[LoadSample],
    mean: Float64[np.ndarray, " feature"],
    scale: Float64[np.ndarray, " feature"],
) -> FillingSpec | None:
    """Return the model that tells full from partly filled; None where too few are labelled."""
    full = np.asarray([bool(one.full) for one in known], np.bool_)
    counts = int(full.sum()), int((~full).sum())
    if min(counts) < _LEAST_EACH:
        return None
    features = np.stack([one.features for one in known])
    weights = _weights((features - mean) / scale, full)
    return FillingSpec(
        weights=_rounded(weights[:-1]),
        bias=round(float(weights[-1]), 6),
        basis=f"fitted on {counts[0]} full and {counts[1]} partly filled containers",
    )


def _weights(
    unit: Float64[np.ndarray, "container feature"], wanted: Bool[np.ndarray, " container"]
) -> Float64[np.ndarray, " weight"]:
    """Return the weights of a logistic model, its bias last; both kinds weigh the same.

    Newton's method on the penalised likelihood, which has one minimum.
    """
    design = np.column_stack([unit, np.ones(len(unit))])
    share = np.where(wanted, 0.5 / wanted.mean(), 0.5 / (~wanted).mean())
    ridge = np.append(np.full(unit.shape[1], _PENALTY), 1e-6)
    weights = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        probability = 1 / (1 + np.exp(-np.clip(design @ weights, -50, 50)))
        slope = design.T @ (share * (probability - wanted)) + ridge * weights
        bend = (design * (share * probability * (1 - probability))[:, None]).T @ design
        weights -= np.linalg.solve(bend + np.diag(ridge), slope)
    return weights


def balanced_accuracy(samples: list[LoadSample], spec: LoadSpec) -> float:
    """Return the mean of the shares of empty and of loaded containers that are recognised.

    Raises:
        ValueError: there is no empty or no loaded container.
    """
    features, loaded = _arrays(samples)
    if loaded.all() or not loaded.any():
        msg = "both empty and loaded containers are needed"
        raise ValueError(msg)
    unit = (features - np.asarray(spec.mean)) / np.asarray(spec.scale)
    said = unit @ np.asarray(spec.weights) + spec.bias > 0
    return float((said[loaded].mean() + (~said[~loaded]).mean()) / 2)


def filling_accuracy(samples: list[LoadSample], spec: LoadSpec) -> float | None:
    """Return the mean of the shares of full and of partly filled containers that are recognised.

    One that is called empty is recognised as neither.

    Returns:
        None where one kind is missing, or the model does not tell them apart.
    """
    known = [one for one in samples if one.full is not None]
    full = np.asarray([bool(one.full) for one in known], np.bool_)
    if spec.filling is None or full.all() or not full.any():
        return None
    unit = (np.stack([one.features for one in known]) - np.asarray(spec.mean)) / np.asarray(
        spec.scale
    )
    loaded = unit @ np.asarray(spec.weights) + spec.bias > 0
    said = unit @ np.asarray(spec.filling.weights) + spec.filling.bias > 0
    return float(((loaded & said)[full].mean() + (loaded & ~said)[~full].mean()) / 2)


def _rounded(values: Float64[np.ndarray, " n"]) -> tuple[float, ...]:
    return tuple(round(float(value), 9) for value in values)


def _arrays(
    samples: list[LoadSample],
) -> tuple[Float64[np.ndarray, "container feature"], Bool[np.ndarray, " container"]]:
    return (
        np.stack([sample.features for sample in samples]),
        np.asarray([sample.loaded for sample in samples]),
    )
