"""Drift: are today's benign scores still like those of the calibration? An exact test, for ever.

Every new score is ranked among the calibration scores and all scores before it, ties settled by
chance. As long as all of them are exchangeable, the ranks are independent and uniform. The test
bets against that: a capital of 1 is staked on ranks being high, low or ordinary, and a hundredth
moves between the three bets at every step. No strategy can expect to gain on uniform ranks, so the
capital ever reaches 1 / ε with a probability of at most ε (Ville's inequality). That is a false
suspension rate for the whole run, not for each day, however often one looks.

What is tested is the stream of scores that is fed in. Most traffic is benign, so the highest score
of every container serves; a wave of real contraband would suspend the promise too, and should be
looked at. Drift that leaves the scores of benign containers as they are is not seen.

References: Vovk, Gammerman, Shafer 2005, Algorithmic Learning in a Random World, sections 2.6 and
7.1; Vovk et al. 2021, Retrain or not retrain: conformal test martingales for change-point
detection, PMLR 152 (Simple Jumper).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float64

from nii.config import from_dict, to_dict

JUMP = 0.01
"""Share of the capital that moves between the bets at each step: Vovk et al. 2021, section 4."""
STAKES = np.asarray([-1.0, 0.0, 1.0])
"""On low ranks, on nothing, on high ranks."""
MOST_SCORES = 10_000
"""After so many scores the test begins anew with the calibration scores; the false suspension rate
holds for each such run. It bounds the stored state. Assumption: some weeks of traffic."""
_LATEST = 200
"""Scores that the reason is told from."""
LEAST_REFERENCE = 20
"""Calibration scores below which no test is begun: assumption."""


@dataclass(frozen=True, slots=True)
class DriftState:
    """Hold a test in progress; plain numbers, to be stored as JSON.

    Attributes:
        reference: calibration scores, rising.
        seen: scores since then, in the order of arrival.
        capital: of the three bets.
        highest: largest total capital of this run.
        false_alarm: probability ε that exchangeable scores ever suspend the promise in one run.
        seed: of the draws that settle ties.
        runs: complete runs before this one.
        suspended_after: number of scores of this run after which the promise was suspended; None
            while it holds. It stays suspended until a new calibration.
    """

    reference: tuple[float, ...]
    seen: tuple[float, ...] = ()
    capital: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)
    highest: float = 1.0
    false_alarm: float = 0.01
    seed: int = 0
    runs: int = 0
    suspended_after: int | None = None

    def __post_init__(self) -> None:
        """Check that a test can be held.

        Raises:
            ValueError: there are too few calibration scores, they do not rise or are not finite, or
                the rate does not lie between 0 and 1.
        """
        if len(self.reference) < LEAST_REFERENCE:
            msg = f"{len(self.reference)} calibration scores; {LEAST_REFERENCE} are needed"
            raise ValueError(msg)
        finite = all(math.isfinite(score) for score in (*self.reference, *self.seen))
        if not finite or list(self.reference) != sorted(self.reference):
            msg = "calibration scores must be finite and rise"
            raise ValueError(msg)
        if not 0 < self.false_alarm < 1:
            msg = f"a false suspension rate of {self.false_alarm}"
            raise ValueError(msg)

    @property
    def suspended(self) -> bool:
        """Return whether the promise is suspended."""
        return self.suspended_after is not None

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON types."""
        result: dict[str, Any] = to_dict(self)
        return result

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> DriftState:
        """Rebuild a state.

        Raises:
            ConfigError: a key or value does not fit.
        """
        return from_dict(cls, data, where="drift state")


def begin(benign: Sequence[float], false_alarm: float = 0.01, seed: int = 0) -> DriftState:
    """Begin a test from the benign scores of a calibration.

    Args:
        benign: highest score of each benign container; minus infinity (nothing reported) counts
            as 0.
        false_alarm: probability that exchangeable scores ever suspend the promise in one run.
        seed: of the draws that settle ties.

    Raises:
        ValueError: there are too few scores, or the rate is impossible.
    """
    return DriftState(tuple(sorted(_finite(benign))), false_alarm=false_alarm, seed=seed)


def observe(state: DriftState, scores: Sequence[float]) -> DriftState:
    """Return the test after some more scores, in the order of their arrival.

    Once suspended, a state does not change any more.
    """
    pool = sorted((*state.reference, *state.seen))
    for score in _finite(scores):
        if state.suspended:
            return state
        if len(state.seen) >= MOST_SCORES:
            state = replace(
                begin(state.reference, state.false_alarm, state.seed), runs=state.runs + 1
            )
            pool = list(state.reference)
        draw = float(np.random.default_rng([state.seed, state.runs, len(state.seen)]).random())
        capital = wager(np.asarray(state.capital), np.asarray(rank(pool, score, draw)))
        pool.insert(bisect_right(pool, score), score)
        total = float(capital.sum())
        state = replace(
            state,
            seen=(*state.seen, score),
            capital=(float(capital[0]), float(capital[1]), float(capital[2])),
            highest=max(state.highest, total),
            suspended_after=len(state.seen) + 1 if total >= 1 / state.false_alarm else None,
        )
    return state


def rank(pool: Sequence[float], score: float, draw: float) -> float:
    """Return the place of a new score among others, from 0 (lowest) to 1 (highest).

    Args:
        pool: the other scores, rising.
        score: the new score.
        draw: number from 0 to 1 that settles ties, the score itself among them.
    """
    below, upto = bisect_left(pool, score), bisect_right(pool, score)
    return (below + draw * (upto - below + 1)) / (len(pool) + 1)


def wager(
    capital: Float64[np.ndarray, "*stream 3"], place: Float64[np.ndarray, "*stream"]
) -> Float64[np.ndarray, "*stream 3"]:
    """Return the capital of the three bets after one more rank.

    Args:
        capital: of the bets in `STAKES`; many streams at once stand in the leading axes.
        place: rank of the new score from 0 to 1.
    """
    moved = (1 - JUMP) * capital + JUMP / 3 * capital.sum(axis=-1, keepdims=True)
    return np.asarray(moved * (1 + STAKES * (place[..., None] - 0.5)))


def verdict(state: DriftState) -> str:
    """Return what the test says, in one sentence for every result."""
    count = len(state.seen)
    if state.suspended:
        return (
            f"Guarantee suspended: {_change(state)}; such scores have a chance of at most "
            f"{100 * state.false_alarm:g} % if nothing had changed. Calibrate again."
        )
    return (
        f"Guarantee holds: {count} scores since calibration show no drift (evidence "
        f"{state.highest:.2g} of {1 / state.false_alarm:.0f} at the highest)."
    )


def _change(state: DriftState) -> str:
    latest = state.seen[-_LATEST:]
    before, now = float(np.median(state.reference)), float(np.median(latest))
    pool = np.asarray(state.reference)
    places = np.searchsorted(pool, latest, "left") + np.searchsorted(pool, latest, "right")
    share = float(places.mean()) / 2 / len(pool)
    direction = "higher" if share > 0.5 else "lower"  # noqa: PLR2004 - the middle
    return (
        f"the last {len(latest)} benign scores are {direction} than those of the calibration "
        f"(median {now:.3f} against {before:.3f})"
    )


def _finite(scores: Sequence[float]) -> list[float]:
    return [0.0 if score == -math.inf else float(score) for score in scores]
