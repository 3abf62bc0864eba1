"""Compare a whole inspection (file in, JSON and PNG out) with the bare run of the model.

Not counted: the start of Python and of the model, the report's HTML. Usage:

    python scripts/bench_inspect.py BUNDLE [REPETITIONS] [THREADS]
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from nii import formats
from nii.bundle import read_bundle
from nii.infer.batch import Inspected, inspect_files
from nii.infer.detect import Detector
from nii.infer.runtime import ProviderSettings, open_session
from nii.preprocess import preprocess
from nii.simulate.scene import SceneConfig
from nii.simulate.source import SimulateConfig, simulate

HEIGHT, WIDTH = 1024, 3072
BATCH = 4
MOST_RATIO = 1.5


def timed(call: Callable[[], object]) -> float:
    """Return the milliseconds that a call takes."""
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def make_files(folder: Path) -> list[tuple[Path, ...]]:
    """Write simulated scans; in a process of its own, so that its memory is not counted."""
    scene = SceneConfig(height_px=(HEIGHT, HEIGHT), width_px=WIDTH, clean_share=0)
    made = simulate(1, 0, SimulateConfig(scene=scene)).scan
    return [formats.write(made, folder / f"{index}.tiff") for index in range(BATCH)]


def main(folder: Path, repetitions: int, threads: int | None) -> int:
    """Measure and print; fail where the ratio is too high."""
    bundle = read_bundle(folder)
    session = open_session(bundle.model_path, ProviderSettings(threads=threads))
    detector = Detector(bundle, session)
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(1) as other_process:
        place = Path(name)
        files = other_process.submit(make_files, place).result()
        scan = formats.read(files[0][0])
        given = preprocess(scan, bundle.card.preprocess)
        detail, overview = given.detail[None], given.overview[None]
        stages: dict[str, list[float]] = {}

        def inspect(groups: list[tuple[Path, ...]]) -> None:
            for result in inspect_files(groups, detector, place / "out"):
                if not isinstance(result, Inspected):
                    raise SystemExit(result.error)
                for stage, ms in result.inspection.timing_ms.items():
                    stages.setdefault(stage, []).append(ms)

        calls: dict[str, Callable[[], object]] = {
            "run": lambda: session.run(detail, overview),
            "one": lambda: inspect(files[:1]),
            "batch": lambda: inspect(files),
        }
        for call in calls.values():
            call()
        stages.clear()
        times: dict[str, list[float]] = {label: [] for label in calls}
        for _ in range(repetitions):
            for label, call in calls.items():
                times[label].append(timed(call))
    report(session.provider.used, scan.transmission, times, stages)
    return int(statistics.median(times["one"]) / statistics.median(times["run"]) > MOST_RATIO)


def report(
    used: tuple[str, ...],
    transmission: np.ndarray,
    times: dict[str, list[float]],
    stages: dict[str, list[float]],
) -> None:
    """Print medians, ratios and the peak of memory."""
    median = {label: statistics.median(values) for label, values in times.items()}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{list(transmission.shape)} 16 bit on {', '.join(used)}, {len(times['run'])} repetitions"
    )
    for stage, values in stages.items():
        print(f"  {stage:11} {statistics.median(values):7.1f} ms (median, all modes)")
    print(f"model alone   {median['run']:7.1f} ms")
    print(f"one scan      {median['one']:7.1f} ms, ratio {median['one'] / median['run']:.2f}")
    each = median["batch"] / BATCH
    print(f"batch of {BATCH}    {each:7.1f} ms a scan, ratio {each / median['run']:.2f}")
    print(f"peak memory   {peak:7.0f} MiB")


if __name__ == "__main__":
    words = sys.argv[1:]
    if not words:
        raise SystemExit(__doc__)
    numbers = [int(word) for word in words[1:]]
    repetitions, threads = (numbers + [7, 0][len(numbers) :])[:2]
    raise SystemExit(main(Path(words[0]), repetitions, threads or None))
