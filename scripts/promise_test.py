"""Calibrate a bundle for a scanner it never saw, then see on other scans whether the promises hold.

    python scripts/promise_test.py models/compact --folder runs/field --benign 300 --target 0.3 0.5

The first benign scans of ``FOLDER/dual``, which scripts/field_test.py simulates, calibrate the
bundle as ``nii calibrate`` does: threats are projected into them. All other scans of that set
judge it: their threats were simulated within the scene, not projected, so the promise meets
threats of another make. Counted is what was promised: threats up to the limit of the load whose
own class is named from the look threshold on, one of each scan as in the calibration, and benign
containers that are looked at. What was answered is kept: a call that was broken off goes on, and
another ``--target`` asks no scan again. Written are a bundle and a page for each target, and
``promise.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from nii import taxonomy
from nii.annotations.coco import CocoImage
from nii.errors import ConfigError
from nii.evaluate.calibration import ask_site, calibrate_bundle
from nii.evaluate.containers import ContainerTable, container_table
from nii.evaluate.guarantee import Guarantee, GuaranteeConfig, alarmed, one_of_each
from nii.evaluate.intervals import clopper_pearson, upper_limit
from nii.evaluate.kept import Keeper
from nii.evaluate.match import JudgedScan, Truth, judge, threat_rows
from nii.evaluate.truth_set import TruthSet, read_truth
from nii.formats.files import save
from nii.infer.detect import Detector


@dataclass(frozen=True, slots=True)
class Kept:
    """Hold a promise and what came of it.

    Attributes:
        what: class of the threats, or the benign containers.
        promised: smallest share that was promised of threats, largest of containers; None where
            nothing was.
        happened: how many, of how many.
        low, high: 95 % interval of the share that happened (Clopper and Pearson): exact for
            threats, one a scan; two containers of one scan count as independent.
    """

    what: str
    promised: float | None
    happened: tuple[int, int]
    low: float
    high: float


def main(arguments: list[str]) -> int:
    """Calibrate, judge, print and write."""
    options = parse(arguments)
    wanted = {
        target: GuaranteeConfig(miss=round(1 - target, 9), up_to_g_per_cm2=options.up_to)
        for target in options.target
    }
    truth = read_truth(options.folder / "dual")
    ours, others = parted(truth, options.benign)
    detector = Detector.open(options.bundle)
    out = options.folder / "promise"
    seen = ask_site([(one.path,) for one in ours], detector, out / "calibration", on_progress=show)
    for failure in seen.failures:
        print("failed:", failure.scan, failure.reason)
    cases = container_table(judged_scans(others, truth, Keeper(detector, out / "answers")))
    facts = {}
    for target, config in wanted.items():
        place, page = out / f"bundle-{target:g}", out / f"page-{target:g}"
        _, done = calibrate_bundle(options.bundle, seen, place, config, options.scanner, page)
        rows = table(cases, done.guarantee, options.up_to)
        said = [*(row.text for row in done.guarantee.promises), *done.guarantee.costs, *done.notes]
        facts[f"{target:g}"] = {"sentences": said, "rows": [asdict(row) for row in rows]}
        print("\n".join([*said, *map(line, rows)]), flush=True)
    model = f"{detector.card.name} {detector.card.version}"
    whole = {
        "model": model,
        "calibrated on": len(seen.rows),
        "without a container seen, or failed": len(seen.left_out) + len(seen.failures),
        "judged on": len(others),
        "by": facts,
    }
    save(out / "promise.json", (json.dumps(whole, indent=1) + "\n").encode())
    return 0


def parted(truth: TruthSet, benign: int) -> tuple[tuple[CocoImage, ...], tuple[CocoImage, ...]]:
    """Return the first so many scans without a threat, and all others.

    Raises:
        ConfigError: there are fewer.
    """
    clean = [one for one in truth.images if not threat_rows(one.truth.class_ids).any()]
    if len(clean) < benign:
        raise ConfigError(
            "benign",
            found=f"{len(clean)} scans without a threat in {truth.path}",
            expected=f"{benign} or more",
            remedy="Simulate more with scripts/field_test.py --count, or ask for fewer.",
        )
    ours = tuple(clean[:benign])
    names = {one.path for one in ours}
    return ours, tuple(one for one in truth.images if one.path not in names)


def judged_scans(
    images: Sequence[CocoImage], truth: TruthSet, keeper: Keeper
) -> tuple[JudgedScan, ...]:
    """Look at scans, or take what was answered before, and hold it against the truth."""
    keeper.claim()
    rows = []
    for number, image in enumerate(images, start=1):
        found = keeper.ask(image.path).detections
        objects = Truth(image.truth, image.behind_g_per_cm2, image.load_states)
        rows.append(judge(truth.name_of(image), found, objects, truth.class_ids))
        show(number, len(images))
    return tuple(rows)


def table(cases: ContainerTable, made: Guarantee, up_to: float) -> tuple[Kept, ...]:
    """Return what was promised and what happened: a row a class, then the benign containers.

    Args:
        cases: containers that took no part in the calibration.
        made: the promises.
        up_to: areal density behind a threat up to which they were made, g/cm².
    """
    light = cases.table.behind_g_per_cm2 < up_to
    rows = []
    for promise in made.promises:
        kind = taxonomy.by_name(promise.class_name).class_id
        members = light & (cases.table.threat_class == kind)
        mine = one_of_each(cases.scan_of_threat, members, np.random.default_rng(kind))
        bar = float(np.float32(made.look[promise.class_name]))
        found = int((cases.own_score[mine] >= bar).sum())
        rows.append(_kept(promise.class_name, promise.at_least, (found, len(mine))))
    looked, before = alarmed(cases, made.look), made.looked_at
    proven = all(promise.threshold is not None for promise in made.promises)
    most = upper_limit(before.successes, before.trials) if proven else None
    return (*rows, _kept("benign containers", most, (looked.successes, looked.trials)))


def _kept(what: str, promised: float | None, happened: tuple[int, int]) -> Kept:
    sure = clopper_pearson(*happened)
    low, high = (0.0, 1.0) if sure is None else (sure.low, sure.high)
    return Kept(what, promised, happened, low, high)


def line(row: Kept) -> str:
    """Return a row in words."""
    found, of = row.happened
    said = "nothing" if row.promised is None else f"{row.promised:.3f}"
    sure = f"{row.low:.3f} to {row.high:.3f}"
    return f"{row.what}: promised {said}, happened {found} of {of} ({sure})"


def show(done: int, count: int) -> None:
    """Print every fiftieth scan."""
    if done % 50 == 0 or done == count:
        print(f"{done} of {count} scans", file=sys.stderr, flush=True)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options of a call."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path, help="bundle to calibrate")
    parser.add_argument("--folder", type=Path, default=Path("runs/field"), help="holds dual/")
    parser.add_argument("--benign", type=int, default=300, help="scans that calibrate")
    parser.add_argument("--target", type=float, nargs="+", default=[0.3], help="shares to promise")
    parser.add_argument("--up-to", type=float, default=20.0, help="load of the promise, g/cm2")
    parser.add_argument("--scanner", default="portal_9_6", help="name on the card")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
