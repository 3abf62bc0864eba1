"""A model adapted to a site: fine-tuned on threats projected into the site's own benign scans.

The site's scans are taken for benign, but not believed: those in which the model is surest of a
threat are held back and named for a person, so that a threat among them is not taught as harmless.
Simulated scans are replayed beside them. The adapted model replaces nothing unless it is better on
local scans that were kept apart, and not worse than a stated tolerance on simulated ones. Where it
is worse there, the mean of its weights and those before is tried, which forgets less.

Reference: Wortsman et al. 2022, Robust fine-tuning of zero-shot models, arXiv 2109.01903.
"""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from nii import formats, taxonomy
from nii.annotations.coco import CocoImage, CocoSet, read_coco, write_coco
from nii.bundle import Bundle
from nii.detections import Detections
from nii.errors import ConfigError, NiiError
from nii.evaluate.calibration import write_with_card
from nii.evaluate.compare import Difference
from nii.evaluate.site import Box, seen_containers
from nii.infer.detect import Detector
from nii.infer.inspect import container_scores
from nii.provenance import Provenance, sha256_of_file
from nii.simulate.dataset import DatasetConfig, write_dataset
from nii.train import weights
from nii.train.blend import blended
from nii.train.checkpoint import LAST
from nii.train.config import ScheduleConfig, TrainConfig
from nii.train.export import export
from nii.train.loop import train
from nii.train.verdict import (
    Progress,
    forgetful,
    local_difference,
    replay_difference,
    verdict_of,
    within,
)

_LOG = logging.getLogger(__name__)
_SCHEDULE = ScheduleConfig(warmup_steps=20)
_NEVER = 10**9


@dataclass(frozen=True, slots=True)
class AdaptConfig:
    """Say how a model is adapted."""

    minutes: float = 10.0
    """Longest time of the fine-tuning."""
    max_steps: int | None = None
    """Most steps of the optimiser."""
    held_share: float = 0.25
    """Share of the local scans kept apart to measure on."""
    suspect_share: float = 0.05
    """Share of the local scans, those of the highest scores, held back for a person; at least one.
    Assumption: far more contraband than any stream of traffic has."""
    pair_share: float = 0.8
    """Share of the scans whose crops come in pairs without and with a threat."""
    local_share: float = 0.7
    """Share of the scans learnt from that are local; the rest replay simulation."""
    learning_rate_share: float = 0.4
    """Highest learning rate over that of the first training: assumption."""
    replay_scans: int = 50
    """Simulated scans kept apart to measure on."""
    tolerance: float = 0.02
    """Largest loss of P_d on simulated scans."""
    seed: int = 0
    """Chooses scans, threats and their places."""

    def __post_init__(self) -> None:
        """Check the shares.

        Raises:
            ValueError: a number lies outside its limits.
        """
        shares = (self.held_share, self.suspect_share, self.pair_share, self.local_share)
        steps = self.max_steps is None or self.max_steps > 0
        if not all(0 < share < 1 for share in shares) or self.minutes <= 0 or not steps:
            msg = f"shares {shares} do not lie between 0 and 1, or no time"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Sorted:
    """Hold a site's scans by what becomes of them.

    Attributes:
        teaching: files and containers of scans to learn from.
        held: of scans to measure on.
        suspects: files and highest score of scans that a person should look at first.
        unusable: scans without a container, in several files, or that cannot be read.
    """

    teaching: tuple[tuple[tuple[Path, ...], tuple[Box, ...]], ...]
    held: tuple[tuple[tuple[Path, ...], tuple[Box, ...]], ...]
    suspects: tuple[tuple[Path, float], ...]
    unusable: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Hold what an adaptation came to.

    Attributes:
        bundle: the adapted bundle, not calibrated yet; its card tells what was compared.
        local: paired difference on local scans kept apart, adapted minus base.
        elsewhere: the same on simulated scans.
        refused: why it should replace nothing; None where it may.
        tried: what the fine-tuned weights came to, in words, where the bundle holds their mean with
            those before.
    """

    bundle: Bundle
    local: Difference | None
    elsewhere: Difference | None
    refused: str | None
    tried: tuple[str, ...] = ()


def sort_out(
    groups: Sequence[tuple[Path, ...]],
    scored: Mapping[tuple[Path, ...], tuple[float, tuple[Box, ...]]],
    config: AdaptConfig,
    cleared: Sequence[tuple[Path, ...]] = (),
) -> Sorted:
    """Decide which local scans teach, which measure, and which a person should look at first.

    Args:
        groups: the files of each scan.
        scored: highest threat score and containers of each scan as the base model sees it; scans
            that are missing are unusable.
        config: the shares.
        cleared: files of scans that a person looked at and found benign: never held back, and no
            other scan is in their place. Their false alarms are what there is most to learn from.
    """
    usable = [f for f in groups if len(f) == 1 and f in scored and scored[f][1]]
    order = sorted(usable, key=lambda files: (-scored[files][0], files))
    count = min(len(order), max(1, math.ceil(config.suspect_share * len(order))))
    suspects = not_among(order[:count], cleared)
    trusted = sorted(set(order).difference(suspects))
    drawn = np.random.default_rng([config.seed, 1]).permutation(len(trusted))
    cut = math.ceil(config.held_share * len(trusted))
    held = [trusted[row] for row in sorted(drawn[:cut])]
    teaching = [trusted[row] for row in sorted(drawn[cut:])]
    return Sorted(
        tuple((files, scored[files][1]) for files in teaching),
        tuple((files, scored[files][1]) for files in held),
        tuple((files[0], scored[files][0]) for files in suspects),
        tuple(files[0] for files in groups if files not in usable),
    )


def not_among(
    groups: Sequence[tuple[Path, ...]], others: Sequence[tuple[Path, ...]]
) -> list[tuple[Path, ...]]:
    """Return the scans that are none of the others, by whatever path their files are named."""
    known = {tuple(path.resolve() for path in files) for files in others}
    return [files for files in groups if tuple(path.resolve() for path in files) not in known]


def look_at(
    groups: Sequence[tuple[Path, ...]],
    detector: Detector,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[tuple[Path, ...], tuple[float, tuple[Box, ...]]]:
    """Return highest threat score and containers of every scan that can be read."""
    found = {}
    for done, files in enumerate(groups, 1):
        try:
            scan = formats.read(files[0] if len(files) == 1 else list(files))
            seen = detector.detect(scan)[0]
        except NiiError as error:
            _LOG.warning("left out: %s", error)
            continue
        boxes = seen_containers(seen, detector)
        found[files] = max(container_scores(seen, boxes), default=0.0), boxes
        if on_progress is not None:
            on_progress(done, len(groups))
    return found


def sorted_in_words(local: Sorted) -> list[str]:
    """Return what becomes of a site's scans."""
    lines = [
        f"held back, look at it first: {path} (highest score {score:.2f})"
        for path, score in local.suspects
    ]
    lines += [f"no use: {path} shows no container, or has several files" for path in local.unusable]
    lines.append(
        f"{len(local.teaching)} scans teach, {len(local.held)} measure, {len(local.suspects)} are "
        f"held back, {len(local.unusable)} are of no use"
    )
    return lines


def require_weights(source: Bundle) -> None:
    """Check that training can go on from a bundle, before anything takes time.

    Raises:
        BundleError: it has no weights.
    """
    if source.weights_path is None:
        raise weights.without_weights(source)


def require_enough(local: Sorted) -> None:
    """Check that there is something to learn from and something to measure on.

    Raises:
        ConfigError: there is not.
    """
    if len(local.teaching) < 2 or len(local.held) < 1:  # noqa: PLR2004
        raise ConfigError(
            "local scans",
            found=f"{len(local.teaching)} to learn from, {len(local.held)} to measure on",
            expected="two and one at least; some dozens to be of use",
            remedy="Give more benign scans.",
        )


def adapt(
    source: Bundle,
    local: Sorted,
    work: Path,
    config: AdaptConfig,
    on_progress: Progress = lambda _what, _done, _total: None,
) -> Outcome:
    """Fine-tune a model on a site's scans and compare it with what it came from.

    Args:
        source: the base model, with weights.
        local: the site's scans.
        work: folder for the run, the adapted bundle and the answers.
        config: how.
        on_progress: is told what is being done.

    Raises:
        BundleError: the bundle has no weights, or the export differs from the trained network.
        ConfigError: there are too few scans, or the folder holds another run.
        KeyboardInterrupt: someone asked to stop; the next call goes on.
    """
    require_enough(local)
    settings = run_of(source, local, work, config, on_progress)
    result = train(
        settings,
        resume=(settings.folder / LAST).is_file(),
        on_progress=lambda state: on_progress("training", round(1000 * state.share), 1000),
    )
    if result.status == "interrupted":
        raise KeyboardInterrupt
    order = _Order(source, local, settings, work, config, on_progress)
    outcome = _judged(settings.folder, "adapted", order)
    lost = forgetful(outcome.local, outcome.elsewhere, config.tolerance)
    if settings.initial is not None and lost:
        mean = blended(settings.initial, settings.folder, work / "mean")
        told = ("the fine-tuned weights:", *in_words(outcome), "their mean with those before:")
        again = replace(order, on_progress=_again(on_progress))
        outcome = replace(_judged(mean, "blended", again), tried=told)
    return replace(outcome, bundle=with_story(source, outcome, local, result.step))


def _again(on_progress: Progress) -> Progress:
    """Return a teller that says of each part that it is of the second try."""
    return lambda what, done, total: on_progress(f"second try, {what}", done, total)


@dataclass(frozen=True, slots=True)
class _Order:
    """Hold what all candidates of one adaptation share."""

    source: Bundle
    local: Sorted
    settings: TrainConfig
    work: Path
    config: AdaptConfig
    on_progress: Progress


def _judged(weights_of: Path, name: str, order: _Order) -> Outcome:
    """Export a run or a checkpoint and compare it with the base model, here and elsewhere."""
    card, place = order.source.card, order.work / name / order.source.card.name
    made = export(weights_of, place, name=card.name, version=f"{card.version}.1")
    # Heats of the two are on about the same scale; that of the base is kept.
    made = write_with_card(made, replace(made.card, scores=card.scores), made.folder)
    base, new = Detector.open(order.source.folder), Detector.open(made.folder)
    config, pair = order.config, (base, new)
    answered = order.work / "answers"
    at_home = local_difference(pair, order.local.held, answered, config.seed, order.on_progress)
    replay = order.settings.validation.simulate, config.replay_scans
    elsewhere = replay_difference(pair, replay, config.seed, order.on_progress)
    return Outcome(made, at_home, elsewhere, verdict_of(at_home, elsewhere, config.tolerance))


def with_story(source: Bundle, outcome: Outcome, local: Sorted, steps: int) -> Bundle:
    """Write the adapted bundle again with a card that tells what it is and how it compares.

    What fine-tuning does not touch, as the load state, stays as it was in the base model.
    """
    made, base = outcome.bundle, source.card
    story = Provenance.from_json(made.card.provenance).with_step(
        f"adapted from version {base.version} in {steps} steps with threats projected into "
        f"{len(local.teaching)} scans of a site; {len(local.suspects)} suspects held back"
    )
    card = replace(
        made.card,
        load=base.load,
        thresholds=base.thresholds,
        metrics={f"adaptation, {number}": text for number, text in enumerate(in_words(outcome), 1)},
        limits=(*base.limits, "Adapted to one site: elsewhere it may be worse than its base."),
        intended_use=base.intended_use,
        licence=base.licence,
        provenance=story.to_json(),
    )
    return write_with_card(made, card, made.folder)


def run_of(
    source: Bundle,
    local: Sorted,
    work: Path,
    config: AdaptConfig,
    on_progress: Progress = lambda _what, _done, _total: None,
) -> TrainConfig:
    """Return the settings of the fine-tuning: pairs in local scans and in replayed simulation."""
    work.mkdir(parents=True, exist_ok=True)
    base, initial = weights.start(source, work)
    images = [
        *_teaching(local, work / "teaching", on_progress),
        *_replay(base, local, (work, config), on_progress),
    ]
    listed = work / "annotations.json"
    write_coco(CocoSet(tuple(images)), listed, work)
    data = replace(
        base.train,
        source="coco",
        annotations=listed,
        images=work,
        count=0,
        seed=config.seed,
        pair_share=config.pair_share,
        overview_share=0.0,
    )
    rate = base.optimiser.learning_rate * config.learning_rate_share
    return replace(
        base,
        train=data,
        optimiser=replace(base.optimiser, learning_rate=rate),
        epochs=None,
        max_minutes=config.minutes,
        max_steps=config.max_steps,
        schedule=_SCHEDULE,
        validate_every=_NEVER,  # the comparison decides, not a few simulated scans
        validation_scans=2,
        frozen=("overview",),  # what finds containers and vehicles stays as it is
        initial=initial,
        out=work / "run",
    )


def in_words(outcome: Outcome) -> list[str]:
    """Return before and after on both kinds of scans, and the verdict."""
    lines = list(outcome.tried)
    for place, row in (("local scans", outcome.local), ("simulation", outcome.elsewhere)):
        if row is not None:
            lines.append(
                f"{place}: {row.label}: {row.second:.3f} before, {row.first:.3f} after, difference "
                f"{row.difference:+.3f}{within(row)}: {row.verdict}"
            )
    lines.append(f"refused: {outcome.refused}" if outcome.refused else "accepted")
    return lines


def _teaching(local: Sorted, folder: Path, on_progress: Progress) -> list[CocoImage]:
    """Copy the scans that teach into a folder, with the containers that the base model sees."""
    folder.mkdir(parents=True, exist_ok=True)
    kind, images = taxonomy.by_name("container").class_id, []
    for number, (files, boxes) in enumerate(local.teaching):
        # The digest in the name: another choice of scans must not find the copies of this one.
        copy = folder / f"{number:06}_{sha256_of_file(files[0])[:12]}{files[0].suffix}"
        if not copy.is_file():
            shutil.copyfile(files[0], copy)
        scan, count = formats.read(copy), len(boxes)
        truth = Detections(
            np.asarray(boxes, np.float32).reshape(-1, 4),
            np.ones(count, np.float32),
            np.full(count, kind, np.int64),
        )
        nothing = np.full(count, np.nan, np.float32)
        images.append(CocoImage(copy, scan.height, scan.width, truth, (None,) * count, nothing))
        on_progress("copying what teaches", number + 1, len(local.teaching))
    return images


def _replay(
    base: TrainConfig, local: Sorted, place: tuple[Path, AdaptConfig], on_progress: Progress
) -> tuple[CocoImage, ...]:
    """Simulate as many scans as the share of the local ones leaves."""
    work, config = place
    count = math.ceil(len(local.teaching) * (1 - config.local_share) / config.local_share)
    folder, simulated = work / "replay", base.train.simulate
    wanted = DatasetConfig(simulated, seed=base.train.seed + config.seed, count=count)
    return read_coco(
        write_dataset(
            folder, wanted, workers=0, on_progress=partial(on_progress, "simulating the replay")
        ),
        folder,
    ).images
