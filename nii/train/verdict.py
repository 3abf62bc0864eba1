"""What an adapted model is worth: paired with its base on local scans, and on simulated ones.

It may replace its base where it is shown to be better on local scans that were kept apart, and
loses no more than a stated tolerance on simulated scans.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from nii import taxonomy
from nii.evaluate.compare import Difference, metric_differences
from nii.evaluate.match import JudgedScan, Truth, judge
from nii.evaluate.metrics import Evidence
from nii.evaluate.site import Answers, Box, Known, answers, judged_site
from nii.infer.detect import Detector
from nii.simulate.projection import ProjectionConfig, makeable
from nii.simulate.source import SimulateConfig, simulate

FIGURE = "inside_p_d_at_5_percent_of_containers"
"""What decides: P_d of threats in containers when one benign container in twenty alarms."""
ROUGH_FIGURE = "inside_p_d_at_10_percent_of_containers"
"""Taken where too few benign containers define `FIGURE`."""
_REPEATS = 400
Progress = Callable[[str, int, int], None]
"""Is told what is being done, how much of it is done, and how much there is."""


def verdict_of(
    local: Difference | None, elsewhere: Difference | None, tolerance: float
) -> str | None:
    """Return why an adapted model should replace nothing; None where it may."""
    if local is None or elsewhere is None:
        return "too few held-out containers to compare the two models: give more scans"
    if local.verdict != "better":
        return (
            f"not shown to be better on local scans: {local.label} {local.second:.3f} before, "
            f"{local.first:.3f} after{within(local)}"
        )
    if forgetful(local, elsewhere, tolerance):
        return (
            f"worse elsewhere: {elsewhere.label} {elsewhere.second:.3f} before, "
            f"{elsewhere.first:.3f} after on simulated scans; {tolerance:g} may be lost"
        )
    return None


def forgetful(local: Difference | None, elsewhere: Difference | None, tolerance: float) -> bool:
    """Return whether a model is better on local scans and lost too much elsewhere."""
    if local is None or elsewhere is None or local.verdict != "better":
        return False
    return elsewhere.difference < -tolerance


def local_difference(
    pair: tuple[Detector, Detector],
    held: Sequence[tuple[tuple[Path, ...], tuple[Box, ...]]],
    work: Path,
    seed: int,
    on_progress: Progress = lambda _what, _done, _total: None,
) -> Difference | None:
    """Compare two models on local scans kept apart, with the same threats projected in.

    Args:
        pair: the base model, and the adapted one.
        held: files and containers of the scans.
        work: folder for the answers; what is there already is not asked again.
        seed: of threats, places and resamples.
        on_progress: is told what is being done.

    Returns:
        Adapted minus base; None where too few containers define the figure.
    """
    base, new = pair
    wanted = ProjectionConfig(classes=makeable(base.card.threats), seed=seed + 1)
    groups = [files for files, _ in held]
    known = Known({files[0]: boxes for files, boxes in held})
    sides: list[Answers] = [
        answers(
            groups,
            model,
            wanted,
            work / model.model.sha256[:12],
            known,
            partial(on_progress, f"comparing here, {which}"),
        )
        for which, model in (("adapted", new), ("base", base))
    ]
    return _difference([judged_site(side) for side in sides], (new, base), seed)


def replay_difference(
    pair: tuple[Detector, Detector],
    replay: tuple[SimulateConfig, int],
    seed: int,
    on_progress: Progress = lambda _what, _done, _total: None,
) -> Difference | None:
    """Compare two models on simulated scans that neither has seen.

    Args:
        pair: the base model, and the adapted one.
        replay: what is simulated, and how many scans.
        seed: of scans and resamples.
        on_progress: is told what is being done.

    Returns:
        Adapted minus base; None where too few containers define the figure.
    """
    base, new = pair
    simulated, count = replay
    sides: tuple[list[JudgedScan], list[JudgedScan]] = ([], [])
    every = tuple(row.class_id for row in taxonomy.classes())
    for index in range(count):
        made = simulate(900_000 + seed, index, simulated)
        truth = Truth(made.truth, made.behind_g_per_cm2, made.load_states)
        for side, model in zip(sides, (new, base), strict=True):
            side.append(judge(f"{index:06}", model.detect(made.scan)[0], truth, every))
        on_progress("comparing elsewhere", index + 1, count)
    return _difference(list(sides), (new, base), seed)


def _difference(
    sides: Sequence[Sequence[JudgedScan]], models: tuple[Detector, Detector], seed: int
) -> Difference | None:
    every = tuple(row.class_id for row in taxonomy.classes())
    first, second = (
        Evidence.of(scans, every, model.card.thresholds)
        for scans, model in zip(sides, models, strict=True)
    )
    rows = metric_differences(first, second, seed, _REPEATS)
    return rows.get(FIGURE) or rows.get(ROUGH_FIGURE)


def within(row: Difference) -> str:
    """Return the interval of a difference in words; nothing where there is none."""
    if row.interval is None:
        return ""
    return f" (95 % interval of the difference {row.interval.low:+.3f} to {row.interval.high:+.3f})"
