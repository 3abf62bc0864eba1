"""Test a bundle where it was not trained: another scanner, another mix of loads, other seeds.

    python scripts/field_test.py models/compact --folder runs/field

Simulates the scans that are not there yet (resumable), then runs ``nii evaluate``. Half of the
containers with loads are full, a quarter is empty; most scans are benign, so that false alarms per
container can be counted down to half a percent.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nii.evaluate.report import evaluate
from nii.simulate.dataset import DatasetConfig, write_dataset
from nii.simulate.layout import LoadShares
from nii.simulate.scene import SceneConfig
from nii.simulate.source import SimulateConfig

SEED = 9_000
"""No configuration in ``configs/`` uses it."""
SCANNERS = ("portal_9_6", "mobile_6_4")
"""Presets that configs/compact_simulated.toml does not train on."""
LOADS = LoadShares(empty=0.25, partial=0.25, no_container=0.03, two_containers=0.25)
"""In training 45 % of the containers are empty and 20 % partly filled."""
BENIGN_SHARE = 0.75


def main(arguments: list[str]) -> int:
    """Simulate, evaluate and print where the report is."""
    options = parse(arguments)
    scene = SceneConfig(loads=LOADS, threats=(1, 3), clean_share=BENIGN_SHARE)
    wanted = DatasetConfig(
        simulate=SimulateConfig(scene=scene, scanners=SCANNERS, display_share=options.display),
        seed=SEED + round(100 * options.display),
        count=options.count,
    )
    scans = options.folder / ("display" if options.display else "dual")
    write_dataset(scans, wanted, workers=options.workers, on_progress=show)
    if options.bundle is None:
        return 0
    report = evaluate(options.bundle, scans, options.folder / f"report-{scans.name}")
    for line in report.warnings:
        print("note:", line)
    print("report in", options.folder / f"report-{scans.name}")
    return 0


def show(done: int, count: int) -> None:
    """Print every hundredth scan."""
    if done % 100 == 0 or done == count:
        print(f"{done} of {count} scans", flush=True)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options of a call."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundle", type=Path, nargs="?", help="bundle; without it only simulate")
    parser.add_argument("--folder", type=Path, default=Path("runs/field"), help="scans, reports")
    parser.add_argument("--count", type=int, default=1340, help="scans; three quarters are benign")
    parser.add_argument("--display", type=float, default=0.0, help="share of display images")
    parser.add_argument("--workers", type=int, default=2, help="processes that simulate")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
