"""Heat → score: one scale for all classes.

The heat of a class is what its plane of the network gives. What a heat is worth differs from class
to class: where bars and fittings are often taken for firearms, 0.7 of that class says less than 0.5
of another. The card may hold a shift for each class (:class:`nii.card.ScoreSpec`), so that the
highest score of a container is its best reason to be looked at. The shifts are chosen by
:func:`nii.train.validate.suggest_scores`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32, Float64

from nii.card import ScoreSpec

DECIMALS = 4
"""Heats and scores are ranked to this many decimals; equal ones in the order of their place."""
_EDGE = 10.0**-DECIMALS / 2
"""Heats nearer than this to 0 or 1 cannot be told from them."""


def comparable(
    heats: Float32[np.ndarray, " n"], names: Sequence[str], spec: ScoreSpec | None
) -> Float32[np.ndarray, " n"]:
    """Return the scores of threats, rounded to `DECIMALS`.

    Args:
        heats: of the threats, rounded to `DECIMALS`, 0 to 1.
        names: class of each.
        spec: of the card; None leaves every heat as it is.
    """
    if spec is None:
        return heats
    shift = np.asarray([spec.shift[name] for name in names], np.float64)
    scores = 1 / (1 + np.exp(-(logit_of(heats) + shift)))
    return np.round(scores, DECIMALS).astype(np.float32)


def logit_of(heats: Float[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return the logits of probabilities that are known to `DECIMALS`."""
    inner = np.clip(heats.astype(np.float64), _EDGE, 1 - _EDGE)
    return np.asarray(np.log(inner / (1 - inner)))
