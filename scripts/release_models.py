"""Make a shipped model: simulate → train → export → calibrate → evaluate → record.

    python scripts/release_models.py --minutes 60 --harden-minutes 25 --begin models/compact

What is not given is as ``configs/compact_simulated.toml`` says, or another ``--config``. Every part
goes on where an earlier call stopped: scans that are there are kept, training resumes from its last
checkpoint. With ``--call-minutes`` a call ends in time, and the next one goes on. ``--without``
leaves kinds of threats out of all scans and all teaching, for ``scripts/unseen_kinds.py``.

With ``--begin`` training goes on from the weights of a bundle instead of drawing them afresh, and
its overview branch, which finds containers, is refreshed in a part of its own and else stays as it
is, so that the time belongs to the threats. Where the configuration names another size than the
bundle has, its weights are laid into that size first. Before the last part the network looks at
its training scans, and the places where it was mistaken are then shown more often. With ``--blend``
the weights that are shipped are the mean of those it began from and those it came to. With
``--load-only`` the network of ``--begin`` stays, and only its load state is learnt anew.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from nii import formats
from nii.annotations.coco import read_coco
from nii.bundle import Bundle, LoadSpec, read_bundle
from nii.errors import ConfigError
from nii.evaluate.calibration import (
    PAGE_FILE,
    ask_site,
    calibrate_bundle,
    raised,
    write_with_card,
)
from nii.evaluate.guarantee import GuaranteeConfig
from nii.evaluate.match import Truth, judge
from nii.evaluate.report import evaluate
from nii.infer.detect import Detector
from nii.provenance import Provenance
from nii.simulate.dataset import DatasetConfig, write_dataset
from nii.simulate.source import SimulateConfig
from nii.train import weights
from nii.train.blend import blended
from nii.train.checkpoint import LAST
from nii.train.config import DataConfig, TrainConfig, read_config
from nii.train.dataset import Task, training_loader, validation_scans
from nii.train.export import export, trained
from nii.train.leave_out import without
from nii.train.load import balanced_accuracy, filling_accuracy, fit_load, load_samples
from nii.train.loop import Progress, train
from nii.train.mining import mine
from nii.train.resize import RESIZED, resized, same_size
from nii.train.unfold import begin_from
from nii.train.validate import suggest_scores, suggest_thresholds, validate, with_scores

CONFIG = Path("configs/compact_simulated.toml")
BUNDLE = Path("models/compact")
RECORD = Path(__file__).resolve().with_name("record_models.py")
"""Signs what is shipped, where a key is at hand, and writes down its digest."""
TEST_SEED_STEP = 1
"""The test scans take the seed after that of the validation scans."""
BENIGN_SEED_STEP = 2
"""Benign scans that set the thresholds take the seed after that."""
PROMISE_SEED_STEP = 3
"""Benign scans of the scanner that is calibrated for take the seed after that."""
PROMISE_SCANNER = "portal_9_6"
"""No preset that any configuration trains on."""
SECONDS_BETWEEN_LINES = 20
LOAD_SCANS = 1000
"""Scans that teach or judge the load state, at most."""
MINED_SCANS = 110
"""Training scans whose false alarms are shown again."""
UNFOLD_BATCHES = 12
"""Batches on which the batch norms of a bundle without weights.npz are measured."""


def main(arguments: list[str]) -> int:
    """Run all parts; return 3 when the time of this call ended before the training did."""
    options = parse(arguments)
    logging.basicConfig(format="%(message)s")
    logging.getLogger("nii").setLevel(logging.INFO)
    config = without(read_config(options.config), options.without)
    if options.begin is not None:
        require_same_classes(read_bundle(options.begin), config)
    seed = config.train.seed if options.seed is None else options.seed
    require_fresh_scans(seed, config.validation.seed)
    config = replace(
        config,
        train=replace(config.train, count=options.scans or config.train.count, seed=seed),
        validation=replace(
            config.validation, count=options.validation_scans or config.validation.count
        ),
        workers=config.workers if options.loaders is None else options.loaders,
    )
    test = replace(config.validation, seed=config.validation.seed + TEST_SEED_STEP)
    pooled = replace(
        config,
        train=pool(config.train, options.folder / "train", options.workers),
        validation=pool(config.validation, options.folder / "validation", options.workers),
    )
    if options.load_only:
        return with_load(pooled, options)
    pool(test, options.folder / "test", options.workers)

    for part in parts(pooled, options):
        print("part", part.folder)
        if not taught(part, options.call_minutes):
            print("not finished: call again to go on")
            return 3

    made = part.folder
    if options.blend and (first := begun(pooled, options)) is not None:
        made = blended(first, part.folder, options.folder / "blended")
    network, _ = trained(made)
    checked = validate(network, replace(part, validation_scans=part.validation.count))
    print("thresholds from", checked.thresholds.basis)
    base = read_bundle(options.begin).card.load if options.begin else None
    checked = replace(checked, load=learn_load(part, base))
    bundle = export(
        made,
        options.bundle,
        name=options.bundle.name,
        version=options.version,
        validation=checked,
    )
    bundle = with_thresholds(bundle, config.validation, options)
    print("thresholds from", bundle.card.thresholds.basis)
    if options.promise:
        promise(bundle, config.validation, options)
    report = evaluate(bundle.folder, options.folder / "test", options.folder / "report")
    for line in report.warnings:
        print("note:", line)
    record(bundle)
    print(f"{bundle.folder} ({bundle.card.version}), report in {options.folder / 'report'}")
    return 0


def parts(config: TrainConfig, options: argparse.Namespace) -> Iterator[TrainConfig]:
    """Yield the settings of each part of the training; a part is yielded once the one before ran.

    Part ``overview``, only after ``--begin``: containers alone. Part ``run``: threats, with the
    containers where weights are drawn afresh. Part ``hardened``: many crops where
    the network was mistaken, at a lower rate.
    """
    folder: Path = options.folder
    frozen: tuple[str, ...] = ()
    first = begun(config, options)
    if first is not None and options.refine_minutes > 0:
        yield refreshed(config, first, options)
    if first is not None:
        refined = folder / "overview" / LAST
        first, frozen = refined if refined.is_file() else first, ("overview",)
    share = config.train.overview_share if first is None else 0.0
    detail = replace(
        config,
        train=replace(config.train, overview_share=share),
        initial=first,
        frozen=frozen,
        max_minutes=options.minutes or config.max_minutes,
        out=folder / "run",
    )
    yield detail
    if options.harden_minutes > 0:
        yield hardened(detail, mined(detail, folder / "hard.json"), options.harden_minutes)


def require_same_classes(bundle: Bundle, config: TrainConfig) -> None:
    """Refuse, before anything is simulated, to begin from a network of other classes.

    Raises:
        ConfigError: the classes or their order differ.
    """
    found, wanted = bundle.card.threats, config.threats
    if found != wanted:
        raise ConfigError(
            "--begin",
            found=f"{bundle.folder} knows {', '.join(found)}",
            expected=", ".join(wanted),
            remedy="Begin from another bundle, or leave --begin out: weights are then drawn.",
        )


def require_fresh_scans(seed: int, first: int) -> None:
    """Refuse to learn from scans that judge.

    Args:
        seed: of the scans to learn from.
        first: of the validation; what else judges has the seeds after it.

    Raises:
        ConfigError: they would be the same scans.
    """
    if first <= seed <= first + PROMISE_SEED_STEP:
        raise ConfigError(
            "--seed",
            found=str(seed),
            expected=f"none of {first} to {first + PROMISE_SEED_STEP}, which judge the model",
            remedy="Take another.",
        )


def begun(config: TrainConfig, options: argparse.Namespace) -> Path | None:
    """Return the checkpoint that training begins from; None where weights are drawn."""
    if options.begin is None:
        return None
    folder: Path = options.folder / "begin"
    if (folder / RESIZED).is_file():
        return folder / RESIZED
    taken = begun_from_bundle(config, options, folder)
    return taken if same_size(taken, config) else resized(taken, config, folder)


def begun_from_bundle(config: TrainConfig, options: argparse.Namespace, folder: Path) -> Path:
    """Return a checkpoint of the network of the bundle that training begins from."""
    bundle = read_bundle(options.begin)
    for name in ("base.pt", "unfolded.pt"):
        if (folder / name).is_file():
            return folder / name
    if bundle.weights_path is not None:
        return weights.start(bundle, folder)[1]
    task = Task(config.threats, config.structures, config.preprocess)
    data = replace(config.train, overview_share=1.0)
    loader = training_loader(data, task, batch_scans=8, workers=0, seed=0, epoch=0)
    views = ((batch.detail, batch.overview) for batch in islice(loader, UNFOLD_BATCHES))
    return begin_from(bundle, config, views, folder)


def refreshed(config: TrainConfig, first: Path, options: argparse.Namespace) -> TrainConfig:
    """Return the settings of the part that teaches containers alone, from overviews."""
    return replace(
        config,
        train=replace(config.train, detail=False, overview_share=1.0, overview_variants=6),
        initial=first,
        frozen=("detail",),
        batch_scans=4,
        ema_decay=0.98,
        optimiser=replace(config.optimiser, learning_rate=1e-3),
        schedule=replace(config.schedule, warmup_steps=10, final_share=0.02),
        max_minutes=options.refine_minutes,
        out=options.folder / "overview",
    )


def mined(config: TrainConfig, path: Path) -> Path:
    """Let the network of a part look at its training scans, unless it has; return the places."""
    if not path.is_file():
        network, _ = trained(config.folder)
        count = mine(network, config, path, MINED_SCANS, counter("mining"))
        print(f"{count} places where the network was mistaken")
    return path


def hardened(config: TrainConfig, places: Path, minutes: float) -> TrainConfig:
    """Return the settings of the last part: hard places and a lower rate."""
    return replace(
        config,
        train=replace(config.train, benign_crop_share=0.4, hard_places=places, hard_share=0.7),
        initial=config.folder / LAST,
        optimiser=replace(config.optimiser, learning_rate=config.optimiser.learning_rate / 2.5),
        schedule=replace(config.schedule, warmup_steps=20, final_share=0.01),
        max_minutes=minutes,
        ema_decay=0.99,
        out=config.folder.with_name("hardened"),
    )


def learn_load(config: TrainConfig, base: LoadSpec | None = None) -> LoadSpec:
    """Fit the load state to training scans and say how good it is on validation scans.

    That of the bundle where training began stays, unless the new one is better there or reads
    other features.
    """
    teaching, judging = (
        read_coco(data.annotations, data.images).images
        for data in (config.train, config.validation)
        if data.annotations is not None and data.images is not None
    )
    drawn = np.random.default_rng(config.seed)
    spec = fit_load(load_samples(teaching[:LOAD_SCANS], drawn), basis="")
    held_out = load_samples(judging[:LOAD_SCANS])
    accuracy = balanced_accuracy(held_out, spec)
    basis = (
        f"fitted on simulated scans, balanced accuracy {accuracy:.3f} on {len(held_out)} "
        "containers in simulated scans that it never saw"
    )
    print("load state:", basis)
    told = filling_accuracy(held_out, spec)
    if base is not None and len(base.mean) == len(spec.mean):
        before = balanced_accuracy(held_out, base), filling_accuracy(held_out, base) or 0.0
        print(f"of the bundle before: {before[0]:.3f}, {before[1]:.3f}; now {accuracy:.3f}, {told}")
        if sum(before) >= accuracy + (told or 0.0):
            return base
    if spec.filling is None or told is None:
        return replace(spec, basis=basis)
    filling = (
        f"{spec.filling.basis}; full against partly filled, balanced accuracy {told:.3f} on the "
        "containers that it never saw"
    )
    print("filling:", filling)
    return replace(spec, basis=basis, filling=replace(spec.filling, basis=filling))


def with_load(config: TrainConfig, options: argparse.Namespace) -> int:
    """Write the bundle of --begin again with a load state learnt anew; the network stays.

    Variants in fewer bits are left out: nii export --quantize makes them anew.
    """
    bundle = read_bundle(options.begin)
    base = bundle.card
    load = learn_load(config, base.load)
    if load == base.load:
        print("the load state of the bundle before is no worse: nothing was written")
        return 0
    story = Provenance.from_json(base.provenance).with_step(
        f"load state learnt anew on {config.train.count} simulated scans of seed "
        f"{config.train.seed}; the network is that of version {base.version}"
    )
    version = options.version or raised(base.version)
    card = replace(base, load=load, version=version, variants={}, provenance=story.to_json())
    made = write_with_card(bundle, card, options.bundle)
    record(made)
    print(f"{made.folder} ({made.card.version})")
    return 0


def record(bundle: Bundle) -> None:
    """Write down the digest of a bundle that is shipped."""
    if bundle.folder.resolve().parent == RECORD.parents[1] / "models":
        subprocess.run([sys.executable, str(RECORD)], check=True)  # noqa: S603 - our own script


def with_thresholds(bundle: Bundle, data: DataConfig, options: argparse.Namespace) -> Bundle:
    """Set scores and thresholds by benign scans of their own: those of the validation are too few.

    They are as the validation scans, but for their seed and that none holds a threat.
    """
    if options.benign_scans == 0:
        return bundle
    scene = replace(data.simulate.scene, clean_share=1.0)
    benign = replace(
        data,
        seed=data.seed + BENIGN_SEED_STEP,
        count=options.benign_scans,
        simulate=replace(data.simulate, scene=scene),
    )
    pooled = pool(benign, options.folder / "benign", options.workers)
    detector = Detector.open(bundle.folder)
    tell = counter("thresholds")
    judged = []
    for done, (scan, truth) in enumerate(validation_scans(pooled), start=1):
        found = detector.detect(scan)[0]
        judged.append(judge(f"{done:06}", found, Truth.of(truth), bundle.card.threat_ids))
        tell(done, benign.count)
    of = "that are simulated like the validation"
    card = replace(bundle.card, scores=suggest_scores(judged, bundle.card, of))
    if card.scores is None:
        print(f"scores stay heats: {len(judged)} benign scans are too few for a scale")
    judged = [with_scores(scan, card.scores) for scan in judged]
    thresholds = suggest_thresholds(judged, card, of)
    return write_with_card(bundle, replace(card, thresholds=thresholds), bundle.folder)


def promise(bundle: Bundle, data: DataConfig, options: argparse.Namespace) -> None:
    """Calibrate the bundle for a scanner that it never saw, as a site would; write and print it.

    The shipped card promises nothing: a site's scans are not these.
    """
    scene = replace(data.simulate.scene, clean_share=1.0)
    benign = replace(
        data,
        seed=data.seed + PROMISE_SEED_STEP,
        count=options.promise_scans,
        simulate=SimulateConfig(scene=scene, scanners=(PROMISE_SCANNER,)),
    )
    pooled = pool(benign, options.folder / "site", options.workers)
    groups = formats.find([pooled.images] if pooled.images else [])
    work, detector = options.folder / "calibration", Detector.open(bundle.folder)
    seen = ask_site(groups, detector, work, on_progress=counter("calibration"))
    config = GuaranteeConfig(miss=round(1 - options.promise, 9))
    made = calibrate_bundle(
        bundle.folder, seen, options.folder / "calibrated", config, PROMISE_SCANNER, work
    )[1]
    for row in made.guarantee.promises:
        print(row.text)
    print("page:", work / PAGE_FILE)


def pool(data: DataConfig, folder: Path, workers: int) -> DataConfig:
    """Simulate a set of scans once, on disk, and return the settings that read it."""
    wanted = DatasetConfig(simulate=data.simulate, seed=data.seed, count=data.count)
    annotations = write_dataset(folder, wanted, workers=workers, on_progress=counter(folder.name))
    return replace(data, source="coco", annotations=annotations, images=folder)


def taught(config: TrainConfig, call_minutes: float | None) -> bool:
    """Train, or go on training; return whether the training has reached its end."""
    started, told = time.monotonic(), time.monotonic()

    def show(state: Progress) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told > SECONDS_BETWEEN_LINES:
            told = now
            loss = state.loss["total"]
            print(f"{state.share:.1%}, step {state.step}, loss {loss:.3f}, {state.metrics}")
        if call_minutes is not None and now - started > 60 * call_minutes:
            raise KeyboardInterrupt

    resume = (config.folder / LAST).is_file()
    return train(config, resume=resume, on_progress=show).status == "finished"


def counter(name: str) -> Callable[[int, int], None]:
    """Return a reporter that prints every fiftieth scan."""

    def show(done: int, count: int) -> None:
        if done % 50 == 0 or done == count:
            print(f"{name}: {done} of {count} scans")

    return show


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options of a call."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--config", type=Path, default=CONFIG, help=f"size and data; {CONFIG}")
    parser.add_argument("--scans", type=int, help="scans to learn from; as configured")
    parser.add_argument("--seed", type=int, help="of these; another shows new ones; as configured")
    parser.add_argument("--validation-scans", type=int, help="and as many test scans")
    parser.add_argument("--benign-scans", type=int, default=300, help="set thresholds; 300")
    parser.add_argument("--promise", type=float, default=0.5, help="share to promise; 0: none; 0.5")
    parser.add_argument("--promise-scans", type=int, default=300, help="to calibrate with; 300")
    parser.add_argument("--begin", type=Path, help="bundle whose weights training goes on from")
    parser.add_argument(
        "--blend", action="store_true", help="ship the mean of the weights of --begin and of after"
    )
    parser.add_argument(
        "--load-only", action="store_true", help="learn the load state of --begin anew, no more"
    )
    parser.add_argument(
        "--without", action="append", default=[], help="kind of threat to leave out; repeatable"
    )
    parser.add_argument("--minutes", type=float, help="training, all calls together")
    parser.add_argument("--harden-minutes", type=float, default=25.0, help="last part; 25")
    parser.add_argument("--refine-minutes", type=float, default=15.0, help="containers; 15")
    parser.add_argument("--call-minutes", type=float, help="training in this call")
    parser.add_argument("--workers", type=int, default=2, help="processes that simulate")
    parser.add_argument("--loaders", type=int, help="processes that prepare crops; as configured")
    parser.add_argument("--folder", type=Path, default=Path("runs/release"), help="scans and run")
    parser.add_argument("--bundle", type=Path, help=f"what is made; {BUNDLE} with {CONFIG}")
    parser.add_argument("--version", help="of the model; that of nii and the step by default")
    options = parser.parse_args(arguments)
    if options.blend and options.begin is None:
        parser.error("--blend: name with --begin what training goes on from")
    if options.load_only and options.begin is None:
        parser.error("--load-only: name with --begin the bundle whose load state is learnt")
    if options.load_only and options.bundle is None:
        options.bundle = options.begin
    if options.bundle is None:
        if options.config != CONFIG or options.without:
            parser.error(f"name --bundle: what is made is no {BUNDLE}")
        options.bundle = BUNDLE
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
