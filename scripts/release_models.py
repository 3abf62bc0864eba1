"""Make the shipped model: simulate → train → calibrate → export → evaluate → record.

    python scripts/release_models.py --scans 2000 --minutes 300

What is not given is as ``configs/compact_simulated.toml`` says. Every part goes on where an earlier
call stopped: scans that are there are kept, training resumes from its last checkpoint. With
``--call-minutes`` a call ends in time, and the next one goes on.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from nii.annotations.coco import read_coco
from nii.bundle import LoadSpec
from nii.evaluate.report import evaluate
from nii.simulate.dataset import DatasetConfig, write_dataset
from nii.train.checkpoint import LAST
from nii.train.config import DataConfig, TrainConfig, read_config
from nii.train.export import export, trained
from nii.train.load import balanced_accuracy, fit_load, load_samples
from nii.train.loop import Progress, train
from nii.train.validate import validate

CONFIG = Path("configs/compact_simulated.toml")
RECORD = Path(__file__).resolve().with_name("record_models.py")
"""Signs what is shipped, where a key is at hand, and writes down its digest."""
TEST_SEED_STEP = 1
"""The test scans take the seed after that of the validation scans."""
SECONDS_BETWEEN_LINES = 20
LOAD_SCANS = 400
"""Scans that teach or judge the load state; more change nothing."""


def main(arguments: list[str]) -> int:
    """Run all parts; return 3 when the time of this call ended before the training did."""
    options = parse(arguments)
    logging.basicConfig(format="%(message)s")
    logging.getLogger("nii").setLevel(logging.INFO)
    config = read_config(CONFIG)
    config = replace(
        config,
        train=replace(config.train, count=options.scans or config.train.count),
        validation=replace(
            config.validation, count=options.validation_scans or config.validation.count
        ),
        max_minutes=options.minutes or config.max_minutes,
        out=options.folder / "run",
    )
    test = replace(config.validation, seed=config.validation.seed + TEST_SEED_STEP)
    pooled = replace(
        config,
        train=pool(config.train, options.folder / "train", options.workers),
        validation=pool(config.validation, options.folder / "validation", options.workers),
    )
    pool(test, options.folder / "test", options.workers)

    if not taught(pooled, options.call_minutes):
        print("not finished: call again to go on")
        return 3

    pooled = refinement(pooled, options.refine_minutes)
    if not taught(pooled, options.call_minutes):
        print("not finished: call again to go on")
        return 3

    network, _ = trained(pooled.folder)
    checked = validate(network, replace(pooled, validation_scans=pooled.validation.count))
    print("thresholds from", checked.thresholds.basis)
    checked = replace(checked, load=learn_load(pooled))
    bundle = export(
        pooled.folder,
        options.bundle,
        name=options.bundle.name,
        version=options.version,
        validation=checked,
    )
    report = evaluate(bundle.folder, options.folder / "test", options.folder / "report")
    for line in report.warnings:
        print("note:", line)
    if bundle.folder.resolve().parent == RECORD.parents[1] / "models":
        subprocess.run([sys.executable, str(RECORD)], check=True)  # noqa: S603 - our own script
    print(f"{bundle.folder} ({bundle.card.version}), report in {options.folder / 'report'}")
    return 0


def refinement(config: TrainConfig, minutes: float) -> TrainConfig:
    """Return the settings of the second part: fewer crops, an overview of every scan.

    In the first part threats need the time, and a fifth of the overviews is enough to begin with.
    """
    slower = replace(config.optimiser, learning_rate=config.optimiser.learning_rate / 2)
    return replace(
        config,
        initial=config.folder / LAST,
        train=replace(config.train, crops_per_scan=1, overview_share=1.0),
        batch_scans=8,
        optimiser=slower,
        max_minutes=minutes,
        out=config.folder.with_name("refined"),
    )


def learn_load(config: TrainConfig) -> LoadSpec:
    """Fit the load state to training scans and say how good it is on validation scans."""
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
    return replace(spec, basis=basis)


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
    parser.add_argument("--scans", type=int, help="scans to learn from; as configured")
    parser.add_argument("--validation-scans", type=int, help="and as many test scans")
    parser.add_argument("--minutes", type=float, help="training, all calls together")
    parser.add_argument("--refine-minutes", type=float, default=15.0, help="second part; 15")
    parser.add_argument("--call-minutes", type=float, help="training in this call")
    parser.add_argument("--workers", type=int, default=2, help="processes that simulate")
    parser.add_argument("--folder", type=Path, default=Path("runs/release"), help="scans and run")
    parser.add_argument("--bundle", type=Path, default=Path("models/compact"), help="what is made")
    parser.add_argument("--version", help="of the model; that of nii and the step by default")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
