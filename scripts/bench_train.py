"""Does the data keep the training busy? Scans a second end to end, and on one batch for ever.

    python scripts/bench_train.py configs/compact_nano.toml --steps 12

The same network takes the same steps, first on batches as the feed prepares them, then on the first
of these batches again and again. The ratio says what waiting for data costs; 0.9 is wished for. The
first steps, whose batches were prepared while nothing was learnt, do not count.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import torch

from nii.train.config import TrainConfig, read_config
from nii.train.device import choose
from nii.train.feed import feed
from nii.train.run import Run, learning_rate


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--steps", type=int, default=12, help="of each kind; 12")
    parser.add_argument("--workers", type=int, help="processes that prepare scans")
    parser.add_argument("--threads", type=int, default=1, help="of the network; 1")
    parser.add_argument("--annotations", type=Path, help="COCO file in place of simulation")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    config = settings(read_config(options.config), options.workers, options.annotations)
    fed, again = measured(config, options.steps)
    scans = config.batch_scans
    facts = {
        "config": config.name,
        "workers": config.workers,
        "threads": options.threads,
        "load_average": round(os.getloadavg()[0], 1),
        "scans_per_s": round(scans / statistics.median(fed), 3),
        "scans_per_s_constant_batch": round(scans / statistics.median(again), 3),
        "ratio": round(statistics.median(again) / statistics.median(fed), 3),
    }
    print(json.dumps(facts, indent=1))
    return 0


def settings(config: TrainConfig, workers: int | None, labels: Path | None) -> TrainConfig:
    """Return the settings to measure: as they are, with other workers or scans on disk."""
    if labels is not None:
        data = replace(config.train, source="coco", annotations=labels, images=labels.parent)
        config = replace(config, train=data)
    return config if workers is None else replace(config, workers=workers)


def measured(config: TrainConfig, steps: int) -> tuple[list[float], list[float]]:
    """Return seconds of each step: fed, and then with the first batch again."""
    compute = choose(config)
    run = Run(config, compute)
    fed: list[float] = []
    again: list[float] = []

    def step(batch: object) -> None:
        run.learn(batch, learning_rate(config, run.step, 0.0))  # type: ignore[arg-type]
        if compute.device.type == "cuda":
            torch.cuda.synchronize()

    with closing(feed(replace(config, epochs=None, max_steps=10**9), run)) as batches:
        first = next(batches)[0].to(compute.device)
        step(first)
        ahead = 2 * config.workers
        for _ in range(ahead + steps):
            start = time.perf_counter()
            step(next(batches)[0].to(compute.device))
            fed.append(time.perf_counter() - start)
    for _ in range(steps):
        start = time.perf_counter()
        step(first)
        again.append(time.perf_counter() - start)
    return fed[ahead:], again


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
