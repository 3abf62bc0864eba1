"""What can be promised: thresholds whose risk is bounded, from a finite number of threats.

Two boundaries cut the scores into clear, look and search.

*Clear / look* bounds misses. A threshold is a hypothesis "more than the allowed share of such
threats scores below it". Each is tested with the exact binomial tail, from the lowest threshold
upwards, and testing stops at the first that cannot be rejected (learn then test with a fixed
sequence; the order does not depend on the data, so no correction is due). The highest rejected
threshold keeps the promise "at most this share is missed" with the stated confidence, whatever the
distribution of the scores, for threats that are exchangeable with the calibration ones.

*Look / search* bounds false alarms. The bar is an order statistic of benign containers: a further
benign container exceeds the r-th largest of n with a probability of at most r / (n + 1) (split
conformal prediction).

Only detections of the threat's own class count as found here, so that each class has its own
threshold and its own promise. Threats of one scan are not independent: one of each scan is drawn.
All promises of a card hold together: their errors share the stated 5 % (Bonferroni).

References: Angelopoulos et al. 2021, Learn then Test, arXiv 2110.01052; Bates et al. 2021,
Distribution-free, Risk-controlling Prediction Sets, J. ACM 68:43 (one monotone risk); Vovk et al.
2005, Algorithmic Learning in a Random World, chapter 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float64, Int64

from nii import taxonomy
from nii.bundle import GuaranteeSpec
from nii.errors import ConfigError
from nii.evaluate.containers import ContainerTable
from nii.evaluate.curves import BEHIND_EDGES_G_PER_CM2
from nii.evaluate.intervals import Proportion, log_choices, lower_limit, upper_limit

GRID = np.round(np.linspace(0.001, 1.0, 1000), 3)
"""Thresholds tested, lowest first: chosen before any score is seen."""
_LEAST_SHARE = 0.01
"""A lower limit below this is no sentence worth printing: assumption."""
NOT_COVERED = (
    (
        "Threats that differ from those of the calibration: goods that were inserted into scans "
        "are not goods that someone hid from this machine."
    ),
    "Other classes, heavier loads, and sizes outside those of the calibration.",
    "Other scanners, energies, settings or kinds of traffic, and this scanner after it changed.",
    "Threats outside the containers.",
    "Every part of the stratum by itself: the share holds for all of it together.",
)


@dataclass(frozen=True, slots=True)
class GuaranteeConfig:
    """Say what is to be promised."""

    miss: float = 0.2
    """Largest share of threats of a class that may be missed."""
    up_to_g_per_cm2: float = 20.0
    """Areal density behind the threat up to which that is promised; an edge of the load bands."""
    look_share: float = 0.1
    """Share of benign containers looked at for classes for which nothing can be promised."""
    search_share: float = 0.01
    """Largest share of benign containers for which a search is advised."""
    confidence: float = 0.95
    """Confidence in all promises together."""
    seed: int = 0
    """Seed of the draw of one threat from each scan."""
    classes: tuple[str, ...] | None = None
    """Classes of the model; the confidence is shared among these. None: all of the taxonomy."""

    def __post_init__(self) -> None:
        """Check that the promise can be meant.

        Raises:
            ValueError: a share or the confidence does not lie between 0 and 1, or the load is none
                of the edges.
        """
        shares = (self.miss, self.look_share, self.search_share, self.confidence)
        if not all(0 < share < 1 for share in shares):
            msg = f"shares and confidence {shares} do not all lie between 0 and 1"
            raise ValueError(msg)
        if self.up_to_g_per_cm2 not in BEHIND_EDGES_G_PER_CM2:
            msg = f"{self.up_to_g_per_cm2} g/cm2 is none of {BEHIND_EDGES_G_PER_CM2}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Promise:
    """State what is promised for one class in loads up to a limit; or why nothing is.

    Attributes:
        class_name: class of the threats.
        from_g_per_cm2: smallest areal density behind them.
        up_to_g_per_cm2: largest areal density behind them; None where there is no limit.
        at_least: share that is flagged at least; None where nothing is promised.
        confidence: confidence in all promises together.
        threshold: score from which a detection of the class counts; None without a promise.
        counts: threats of the calibration flagged at the threshold, at most one of each scan; at
            the lowest score where nothing is promised.
        text: the sentence for the card.
    """

    class_name: str
    from_g_per_cm2: float
    up_to_g_per_cm2: float | None
    at_least: float | None
    confidence: float
    threshold: float | None
    counts: Proportion
    text: str


@dataclass(frozen=True, slots=True)
class Guarantee:
    """Hold thresholds and what they are worth.

    Attributes:
        look: by class name: score from which the officer is asked to look.
        search: by class name: score from which a search is advised.
        promises: one for each class.
        cells: one for each class and load band, each with a threshold of its own.
        looked_at: benign containers of the calibration that reach a look threshold.
        searched: benign containers of the calibration that reach a search threshold.
        costs: what that means for further traffic, in words.
        not_covered: what the promises do not say.
    """

    look: Mapping[str, float]
    search: Mapping[str, float]
    promises: tuple[Promise, ...]
    cells: tuple[Promise, ...]
    looked_at: Proportion
    searched: Proportion
    costs: tuple[str, ...]
    not_covered: tuple[str, ...] = NOT_COVERED


def binomial_tail(count: int, trials: int, share: float) -> float:
    """Return the probability of so many or fewer successes in independent trials.

    Raises:
        ValueError: the counts or the share are impossible.
    """
    if not 0 <= count <= trials or not 0 < share < 1:
        msg = f"{count} of {trials} trials at a share of {share}"
        raise ValueError(msg)
    return float(np.exp(_log_tails(trials, share)[count]))


def misses_allowed(trials: int, miss: float, confidence: float = 0.95) -> int | None:
    """Return the most misses in so many trials that still prove a miss rate of at most `miss`.

    Returns:
        None where even no miss at all would prove nothing.
    """
    if trials == 0:
        return None
    proven = _log_tails(trials, miss) <= math.log1p(-confidence)
    return int(proven.sum()) - 1 if proven[0] else None


def trials_needed(misses: int, miss: float, confidence: float = 0.95) -> int:
    """Return the fewest trials in which so many misses prove a miss rate of at most `miss`."""
    low, high = misses, misses + 1
    while not _proves(misses, high, miss, confidence):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _proves(misses, middle, miss, confidence) else (middle, high)
    return high


def controlled_threshold(
    scores: Float64[np.ndarray, "*calibration threat"], miss: float, confidence: float = 0.95
) -> Float64[np.ndarray, "*calibration"]:
    """Return the highest threshold of `GRID` at which the miss rate is proven to be small.

    Args:
        scores: best score of each threat; many calibrations at once stand in the leading axes.
        miss: largest share of threats that may score below the threshold.
        confidence: with which that holds, over the chance of the calibration threats.

    Returns:
        NaN where not even the lowest threshold can be shown to keep the promise.
    """
    allowed = misses_allowed(scores.shape[-1], miss, confidence)
    if allowed is None:
        return np.full(scores.shape[:-1], np.nan)
    # So many misses are reached just above this score; the sequence stops at the threshold before.
    first_too_many = np.partition(scores, allowed, axis=-1)[..., allowed]
    passed = np.searchsorted(GRID, first_too_many, side="right")
    return np.where(passed > 0, GRID[np.maximum(passed, 1) - 1], np.nan)


def conformal_bar(benign: Float64[np.ndarray, " container"], share: float) -> float | None:
    """Return the score that at most a share of further benign containers is expected to exceed.

    Args:
        benign: highest score of each benign container.
        share: largest probability that another benign container exceeds the bar.

    Returns:
        None where there are too few: n containers can show no less than 1 / (n + 1).
    """
    rank = math.floor(share * (len(benign) + 1) + 1e-9)
    return float(np.sort(benign)[-rank]) if 1 <= rank <= len(benign) else None


def one_of_each(
    scan: Int64[np.ndarray, " threat"],
    members: Bool[np.ndarray, " threat"],
    rng: np.random.Generator,
) -> Int64[np.ndarray, " chosen"]:
    """Draw one threat of each scan among the members; the rows come in the order of the scans."""
    rows = rng.permutation(np.flatnonzero(members))
    _, first = np.unique(scan[rows], return_index=True)
    return np.asarray(rows[first], np.int64)


def calibrate(cases: ContainerTable, config: GuaranteeConfig) -> Guarantee:
    """Choose thresholds on a calibration set and state what they promise.

    Args:
        cases: containers with threats, and benign ones; neither may have served in training.
        config: what is to be promised.

    Raises:
        ConfigError: there are too few benign containers to choose any threshold by them.
    """
    kinds = _kinds(config)
    benign = cases.table.top_score[cases.benign]
    enough = conformal_bar(benign, config.look_share)
    if enough is None:
        raise ConfigError(
            "calibration set",
            found=f"{len(benign)} benign containers",
            expected=f"{math.ceil(1 / config.look_share) - 1} or more",
            remedy="Add scans without threats, or look at a larger share of them (look_share).",
        )
    each = 1 - (1 - config.confidence) / len(kinds)
    load = (0.0, config.up_to_g_per_cm2)
    promises = tuple(_tested(cases, kind.class_id, load, config, each) for kind in kinds)
    look = {
        row.class_name: _above(enough) if row.threshold is None else row.threshold
        for row in promises
    }
    bar = conformal_bar(benign, config.search_share)
    never = float(np.nextafter(np.float32(1), np.float32(2)))
    search = {
        name: max(score, never if bar is None else _above(bar)) for name, score in look.items()
    }
    looked_at, searched = alarmed(cases, look), alarmed(cases, search)
    return Guarantee(
        look=look,
        search=search,
        promises=promises,
        cells=cells_of(cases, config),
        looked_at=looked_at,
        searched=searched,
        costs=_costs(looked_at, searched, promises, config),
    )


def _kinds(config: GuaranteeConfig) -> tuple[taxonomy.ThreatClass, ...]:
    known = taxonomy.in_group("threat")
    return tuple(row for row in known if config.classes is None or row.name in config.classes)


def cells_of(cases: ContainerTable, config: GuaranteeConfig) -> tuple[Promise, ...]:
    """Test every class in every load band by itself, each with a threshold of its own.

    The confidence is that of each cell alone; these rows are a map, not promises of the card.
    """
    edges = (0.0, *BEHIND_EDGES_G_PER_CM2, math.inf)
    return tuple(
        _tested(cases, kind.class_id, (low, high), config, config.confidence)
        for kind in _kinds(config)
        for low, high in pairwise(edges)
    )


def proven(
    cases: ContainerTable, look: Mapping[str, float], config: GuaranteeConfig
) -> tuple[Promise, ...]:
    """State what a set proves about thresholds that were fixed before it was seen.

    For each class and each limit of the load the exact lower limit of the share flagged; all rows
    hold together with the stated confidence.
    """
    kinds = [kind for kind in taxonomy.in_group("threat") if kind.name in look]
    edges = (*BEHIND_EDGES_G_PER_CM2, math.inf)
    each = 1 - (1 - config.confidence) / max(len(kinds) * len(edges), 1)
    rows = []
    for kind in kinds:
        for edge in edges:
            chosen = _members(cases, kind.class_id, (0.0, edge), config.seed)
            flagged = cases.own_score[chosen] >= float(np.float32(look[kind.name]))
            counts = Proportion(int(flagged.sum()), len(chosen))
            sure = (config.confidence, each)
            rows.append(_fixed(kind.name, edge, counts, look[kind.name], sure))
    return tuple(rows)


def alarmed(cases: ContainerTable, thresholds: Mapping[str, float]) -> Proportion:
    """Count the benign containers in which a detection reaches the threshold of its class."""
    limits = [thresholds.get(row.name, math.inf) for row in taxonomy.in_group("threat")]
    reached = (cases.top_by_class >= np.asarray(limits, np.float32)).any(axis=1)
    return Proportion(int((reached & cases.benign).sum()), int(cases.benign.sum()))


def spec_of(made: Guarantee, scanner: str, data: str, smallest: Mapping[str, str]) -> GuaranteeSpec:
    """Return a guarantee in the form that a card holds.

    Args:
        made: what calibration gave.
        scanner: machine whose scans it was calibrated on.
        data: the calibration set, in words.
        smallest: smallest size found by load, as `detectability.in_words` gives it.
    """
    threats = sum(row.counts.trials for row in made.promises)
    basis = f"{data}: {threats} threats, {made.looked_at.trials} benign containers"
    texts = tuple(row.text for row in made.promises)
    return GuaranteeSpec(scanner, basis, texts, made.costs, made.not_covered, dict(smallest))


def _tested(
    cases: ContainerTable,
    class_id: int,
    band: tuple[float, float],
    config: GuaranteeConfig,
    confidence: float,
) -> Promise:
    chosen = _members(cases, class_id, band, config.seed)
    scores = cases.own_score[chosen]
    score = float(controlled_threshold(scores, config.miss, confidence))
    kept = not math.isnan(score)
    flagged = scores >= (score if kept else GRID[0])
    counts = Proportion(int(flagged.sum()), len(chosen))
    name = taxonomy.classes()[class_id].name
    where = _where(*band)
    if kept:
        text = _sentence(name, where, 1 - config.miss, config.confidence)
    else:
        text = _silence(name, where, counts, trials_needed(0, config.miss, confidence))
    return Promise(
        name,
        *_limits(*band),
        1 - config.miss if kept else None,
        config.confidence,
        score if kept else None,
        counts,
        text,
    )


def _members(
    cases: ContainerTable, class_id: int, band: tuple[float, float], seed: int
) -> Int64[np.ndarray, " chosen"]:
    """Draw one threat of a class from each scan, in a half-open band of loads.

    A band from 0 to infinity holds threats of unknown load too.
    """
    behind = cases.table.behind_g_per_cm2
    within = (behind >= band[0]) & (behind < band[1]) | (band == (0.0, math.inf))
    members = within & (cases.table.threat_class == class_id)
    return one_of_each(cases.scan_of_threat, members, np.random.default_rng([seed, class_id]))


def _fixed(
    kind: str,
    load: float,
    counts: Proportion,
    threshold: float,
    confidence: tuple[float, float],
) -> Promise:
    least = lower_limit(counts.successes, counts.trials, confidence[1])
    where, band = _where(0.0, load), _limits(0.0, load)
    if least is None or least < _LEAST_SHARE:
        text = f"Nothing is proven for {kind} {where}: {_counted(counts)}."
        return Promise(kind, *band, None, confidence[0], None, counts, text)
    text = _sentence(kind, where, least, confidence[0])
    return Promise(kind, *band, least, confidence[0], threshold, counts, text)


def _sentence(kind: str, where: str, share: float, confidence: float) -> str:
    percent = math.floor(1000 * share + 1e-9) / 10
    return (
        f"With {100 * confidence:g} % confidence at least {percent:g} % of {kind} {where} are "
        "flagged on this scanner."
    )


def _silence(kind: str, where: str, counts: Proportion, needed: int) -> str:
    if counts.trials < needed:
        reason = (
            f"{counts.trials} threats in separate scans, and at least {needed} are needed even if "
            "none is missed"
        )
    else:
        reason = f"even at the lowest threshold {_counted(counts)}"
    return f"No promise for {kind} {where}: {reason}."


def _counted(counts: Proportion) -> str:
    return f"{counts.successes} of {counts.trials} threats in separate scans are flagged"


def _limits(low: float, high: float) -> tuple[float, float | None]:
    """Return a band in the form of a promise: what has no limit is None, which JSON knows."""
    return low, None if high == math.inf else high


def _where(low: float, high: float) -> str:
    if high == math.inf:
        return f"in loads from {low:g} g/cm²" if low else "in any load"
    return f"in loads from {low:g} to {high:g} g/cm²" if low else f"in loads up to {high:g} g/cm²"


def _costs(
    looked_at: Proportion,
    searched: Proportion,
    promises: Sequence[Promise],
    config: GuaranteeConfig,
) -> tuple[str, str]:
    look = f"{looked_at.successes} of {looked_at.trials} benign containers are looked at"
    if all(row.threshold is not None for row in promises):
        # The thresholds come from threats alone, so the benign containers are a test of them.
        most = upper_limit(looked_at.successes, looked_at.trials, config.confidence) or 1.0
        look += f", with {100 * config.confidence:g} % confidence at most {100 * most:.2g} %"
    least = math.ceil(1 / config.search_share - 1e-9) - 1
    if searched.trials < least:
        return f"{look}.", (
            f"No search is advised: {searched.trials} benign containers are too few to keep below "
            f"{100 * config.search_share:g} %; {least} are needed."
        )
    return f"{look}.", (
        f"Another benign container is sent to search with a probability of at most "
        f"{100 * config.search_share:g} % ({searched.successes} of {searched.trials} here)."
    )


def _above(bar: float) -> float:
    """Return the smallest score above a bar; the lowest threshold where nothing reached it."""
    return max(float(np.nextafter(np.float32(bar), np.float32(np.inf))), float(GRID[0]))


def _proves(misses: int, trials: int, miss: float, confidence: float) -> bool:
    allowed = misses_allowed(trials, miss, confidence)
    return allowed is not None and allowed >= misses


def _log_tails(trials: int, share: float) -> Float64[np.ndarray, " count"]:
    """Return the logarithm of P(count or fewer) for every count from 0 to all trials."""
    counts = np.arange(trials + 1)
    terms = log_choices(0, trials)
    terms = terms + counts * math.log(share) + (trials - counts) * math.log1p(-share)
    return np.asarray(np.minimum(np.logaddexp.accumulate(terms), 0.0))
