"""Test a bundle where it was not trained: another scanner, another mix of loads, other seeds.

    python scripts/field_test.py models/compact --kind dual --folder runs/field

Simulates the scans that are not there yet (resumable), then runs ``nii evaluate``, with another
bundle beside it where ``--against`` names one. Half of the scans are benign; a fifth of the
containers is empty, and most full loads are of two kinds of goods.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nii.evaluate.report import evaluate, evaluate_pair
from nii.simulate.dataset import DatasetConfig, write_dataset
from nii.simulate.layout import LoadShares
from nii.simulate.scene import SceneConfig
from nii.simulate.source import SimulateConfig

KINDS = {
    "dual": (2301, ("portal_9_6",), 0.0),
    "display": (2302, ("portal_9_6",), 1.0),
    "single": (2303, ("linac_6",), 0.0),
}
"""Seed, presets and share of display images; configs/compact_simulated.toml has none of these seeds
and presets."""
LOADS = LoadShares(empty=0.2, partial=0.3, two_containers=0.1, rail=0.1, other_lorry=0.1, mixed=0.6)
"""In training a quarter of the containers is empty, and a quarter of the full loads is mixed."""
BENIGN_SHARE = {"dual": 0.75, "display": 0.5, "single": 0.5}
"""False alarms of one container in two hundred want a thousand benign ones."""
THREATS = (1, 4)


def main(arguments: list[str]) -> int:
    """Simulate, evaluate and print where the report is."""
    options = parse(arguments)
    scans, out = options.folder / options.kind, options.folder / f"report-{options.kind}"
    wanted = settings(options.kind, options.count)
    write_dataset(scans, wanted, workers=options.workers, on_progress=show)
    if options.bundle is None:
        return 0
    workers = max(options.workers, 1)
    if options.against is None:
        for line in evaluate(options.bundle, scans, out, workers=workers).warnings:
            print("note:", line)
    else:
        evaluate_pair(options.bundle, options.against, scans, out, workers=workers)
    print("report in", out)
    return 0


def settings(kind: str, count: int) -> DatasetConfig:
    """Return what one kind of set is made of."""
    seed, scanners, display = KINDS[kind]
    scene = SceneConfig(loads=LOADS, threats=THREATS, clean_share=BENIGN_SHARE[kind])
    simulated = SimulateConfig(scene=scene, scanners=scanners, display_share=display)
    return DatasetConfig(simulate=simulated, seed=seed, count=count)


def show(done: int, count: int) -> None:
    """Print every hundredth scan."""
    if done % 100 == 0 or done == count:
        print(f"{done} of {count} scans", flush=True)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options of a call."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundle", type=Path, nargs="?", help="bundle; without it only simulate")
    parser.add_argument("--folder", type=Path, default=Path("runs/field"), help="scans, reports")
    parser.add_argument("--kind", choices=tuple(KINDS), default="dual", help="which scans")
    parser.add_argument("--count", type=int, default=1400, help="scans")
    parser.add_argument("--against", type=Path, help="another bundle, compared scan by scan")
    parser.add_argument("--workers", type=int, default=2, help="processes that simulate, and look")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
