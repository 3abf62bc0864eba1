"""Load state of a container: empty, partly filled or full, from how it darkens the beam.

The inside of the container is brought to a few cells, and a logistic model weighs simple facts
about them: how much they attenuate beside its brightest part, how unlike rows and columns are. It
needs no pixel pitch and little of the grey curve, so it serves display pictures too. A second such
model tells a loaded container that is full from one that is partly filled, with goods along less
than two thirds of it; for it columns are sorted by how much they attenuate where cargo stands, and
the largest step among them counts. Thirds from the roof down are held against the brightest part
each for itself, since boards of a trailer stand before the lowest. The weights come with the card
(:class:`nii.bundle.LoadSpec`). An older card may hold none for the second, or none for the last
features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float32, Float64

from nii.bundle import LoadSpec
from nii.infer.ends import LEAST, SPARSE, usual_air

LoadState = Literal["empty", "loaded"]
Filling = Literal["partial", "full"]

_COLUMNS, _ROWS = 96, 32
_INSIDE = (slice(4, 25), slice(5, -5))
"""Cells that show the load: below the roof, above floor and chassis, between posts and doors."""
_TOP, _LOWER, _STANDING = slice(0, 3), slice(10, None), slice(12, None)
"""Rows of the inside: where cargo seldom reaches, where it stands, and where low cargo does too."""
_BANDS = {"upper": slice(0, 7), "middle": slice(7, 14), "lower": slice(14, 21)}
"""Thirds of the inside, from the roof down: boards of a trailer stand before the lowest alone."""
_BAND_QUANTILES = (0.5, 0.75, 0.95)
_END_COLUMNS = 8
"""Columns of the inside at either end: a tenth of its length."""
_PROFILE = (0.05, 0.2, 0.33, 0.5, 0.67, 0.8)
"""Shares of the columns, sorted by attenuation, that are held against nearly the darkest ones."""
_DARKEST = 0.95
_MARGIN = 4
"""Columns at either end of the sorted ones in which no step is looked for: posts and doors."""
_WALL_QUANTILE = 0.1
_EVEN = 0.5
_SMALL = 0.02
"""Added before logarithms: attenuation below which a difference is noise. Assumption."""

FEATURES = (
    *(f"attenuation_q{q:02}" for q in (5, 25, 50, 75, 95)),
    "spread",
    "half_spread",
    "share_above_wall",
    "share_far_above_wall",
    "log_median_over_wall",
    "log_q75_over_wall",
    "log_q95_over_wall",
    "log_lower_over_top",
    "columns_deviation",
    "rows_deviation",
    "log_columns_deviation",
    "log_rows_deviation",
    "columns_above_wall",
    "change_along",
    "change_down",
    "length_over_height",
    "log_lightest_columns",
    *(f"log_columns_q{100 * share:02.0f}_over_darkest" for share in _PROFILE),
    "largest_step",
    "columns_below_step",
    "log_lighter_end_over_middle",
    "log_darker_end_over_middle",
    *(f"log_{band}_q{100 * q:02.0f}_over_wall" for band in _BANDS for q in _BAND_QUANTILES),
)
"""Later versions may add to the end; a card weighs as many as there were when it was made."""


@dataclass(frozen=True, slots=True)
class Load:
    """Say how a container is loaded.

    Attributes:
        state: empty or loaded; the likelier of the two.
        score: probability that it is loaded, 0 to 1.
        filling: partly filled or full, the likelier; None where it is empty or that was not learnt.
        full_score: probability that it is full, given that it is loaded; None where `filling` is.
    """

    state: LoadState
    score: float
    filling: Filling | None = None
    full_score: float | None = None


def load_of(
    transmission: Float32[np.ndarray, "height width"],
    box_xyxy: tuple[float, float, float, float],
    spec: LoadSpec,
) -> Load | None:
    """Return the load state of one container, or None where too little of it is seen.

    Args:
        transmission: highest energy, or the grey of a display picture from 0 to 1.
        box_xyxy: the container in pixels.
        spec: weights of the model.
    """
    features = load_features(transmission, box_xyxy)
    if features is None:
        return None
    unit = (features[: len(spec.mean)] - np.asarray(spec.mean)) / np.asarray(spec.scale)
    score = _probability(unit, spec.weights, spec.bias)
    if score <= _EVEN:
        return Load("empty", round(score, 4))
    if spec.filling is None:
        return Load("loaded", round(score, 4))
    full = _probability(unit, spec.filling.weights, spec.filling.bias)
    filling: Filling = "full" if full > _EVEN else "partial"
    return Load("loaded", round(score, 4), filling, round(full, 4))


def _probability(
    unit: Float64[np.ndarray, " feature"], weights: tuple[float, ...], bias: float
) -> float:
    logit = float(unit @ np.asarray(weights)) + bias
    return 1 / (1 + math.exp(-max(min(logit, 50.0), -50.0)))


def load_features(
    transmission: Float32[np.ndarray, "height width"], box_xyxy: tuple[float, float, float, float]
) -> Float64[np.ndarray, " feature"] | None:
    """Return the facts in `FEATURES` of one container, or None where it is smaller than the cells.

    Attenuation is taken relative to the air of the picture.
    """
    x0, y0, x1, y1 = (round(edge) for edge in box_xyxy)
    part = transmission[max(y0, 0) : y1, max(x0, 0) : x1]
    if part.shape[0] < _ROWS or part.shape[1] < _COLUMNS:
        return None
    air = usual_air(transmission[::SPARSE, ::SPARSE])
    small = cv2.resize(np.ascontiguousarray(part), (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA)
    inside = -np.log(np.maximum(small.astype(np.float64) / air, LEAST))[_INSIDE]
    rows, columns = np.median(inside, axis=1), np.median(inside, axis=0)
    low, lower, middle, upper, high = np.quantile(inside, (0.05, 0.25, 0.5, 0.75, 0.95))
    wall = float(np.quantile(inside, _WALL_QUANTILE))
    return np.asarray(
        [
            *(low, lower, middle, upper, high),
            high - low,
            middle - low,
            (inside > wall + 0.15).mean(),
            (inside > 1.6 * wall + 0.05).mean(),
            *(_log_ratio(value, wall) for value in (middle, upper, high)),
            _log_ratio(float(np.median(inside[_LOWER])), float(np.median(inside[_TOP]))),
            columns.std(),
            rows.std(),
            np.log(columns.std() + _SMALL / 2),
            np.log(rows.std() + _SMALL / 2),
            (columns > 1.5 * wall + 0.05).mean(),
            np.abs(np.diff(inside, axis=1)).mean(),
            np.abs(np.diff(inside, axis=0)).mean(),
            part.shape[1] / part.shape[0],
            *_profile(np.median(inside[_STANDING], axis=0)),
            *(
                _log_ratio(value, wall)
                for band in _BANDS.values()
                for value in np.quantile(inside[band], _BAND_QUANTILES).tolist()
            ),
        ],
        np.float64,
    )


def _profile(columns: Float64[np.ndarray, " column"]) -> list[float]:
    """Return how unlike the columns are: sorted, the largest step among them, and the ends."""
    sizes = np.log(np.maximum(columns, 0) + _SMALL)
    lightest, *shares, darkest = np.quantile(sizes, (_PROFILE[0], *_PROFILE, _DARKEST)).tolist()
    steps = np.diff(np.sort(sizes))[_MARGIN:-_MARGIN]
    place = int(steps.argmax())
    largest, below = float(steps[place]), (place + _MARGIN + 1) / len(sizes)
    middle = float(np.median(sizes))
    ends = [float(np.median(part)) for part in (sizes[:_END_COLUMNS], sizes[-_END_COLUMNS:])]
    return [
        lightest,
        *(share - darkest for share in shares),
        largest,
        # A small step stands nowhere in particular.
        below * min(1.0, 5 * largest),
        min(ends) - middle,
        max(ends) - middle,
    ]


def _log_ratio(value: float, reference: float) -> float:
    return math.log((max(value, 0.0) + _SMALL) / (max(reference, 0.0) + _SMALL))
