"""Compare a whole inspection (file in, JSON and pictures out) with the bare run of the model.

Both are timed in turns in one process, by the clock on the wall and by the processor; the ratio of
two times that were taken side by side means something on a shared machine, the times alone do not.
Also measured: the same model behind Pillow, as a script or anomalib would read and write (where
Pillow is installed), the same with one thread, a cold start of the command, and on request the peak
memory of a train of 2 x 3,000 x 40,000 pixels in a process of its own. Usage:

    python scripts/bench_runtime.py BUNDLE [REPETITIONS] [THREADS] [train]
"""

from __future__ import annotations

import importlib.util
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tifffile

from nii import formats
from nii.bundle import read_bundle
from nii.infer.batch import Inspected, inspect_files
from nii.infer.detect import Detector
from nii.infer.runtime import ProviderSettings, open_session
from nii.preprocess import preprocess
from nii.scan import Scan
from nii.simulate.scene import SceneConfig
from nii.simulate.source import SimulateConfig, simulate

HEIGHT, WIDTH = 1024, 3072
TRAIN = (2, 3000, 40000)
BATCH = 4
WISHED_RATIO = 1.15
MOST_TRAIN_MIB = 1536
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Timed:
    """Milliseconds on the wall and of the processor."""

    wall: float
    processor: float


def timed(call: Callable[[], object]) -> Timed:
    """Return what a call takes."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return Timed(1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - processor))


def make_files(folder: Path) -> list[tuple[Path, ...]]:
    """Write simulated scans; in a process of its own, so that its memory is not counted."""
    scene = SceneConfig(height_px=(HEIGHT, HEIGHT), width_px=WIDTH, clean_share=0)
    made = simulate(1, 0, SimulateConfig(scene=scene)).scan
    return [formats.write(made, folder / f"{index}.tiff") for index in range(BATCH)]


def make_train(folder: Path) -> Path:
    """Write a train: one simulated vehicle, enlarged and repeated, as 16-bit TIFF."""
    energies, height, width = TRAIN
    made = simulate(1, 0, SimulateConfig()).scan
    path = folder / "train.tiff"
    rows = np.arange(height) * made.height // height
    columns = np.arange(width) * 3 // 4 % made.width
    with tifffile.TiffWriter(path) as writer:
        for energy in range(energies):
            wagon = np.rint(60000 * np.minimum(made.transmission[energy], 1)).astype(np.uint16)
            writer.write(wagon[rows][:, columns], photometric="minisblack", metadata=None)
    return path


def command(folder: Path, scan: Path, out: Path, threads: int | None) -> tuple[Timed, float]:
    """Run the command in a process of its own; return its times and the peak of memory in MiB."""
    program = (
        "import resource, subprocess, sys, time; start = time.perf_counter();"
        "code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode;"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN);"
        "print(time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss, code)"
    )
    words = ["inspect", scan, "--out", out, "--bundle", folder]
    words += ["--threads", threads] if threads else []
    call = [sys.executable, "-c", program, sys.executable, "-m", "nii.cli", *map(str, words)]
    answer = subprocess.run(call, capture_output=True, text=True, check=True)  # noqa: S603
    wall, processor, kib, code = map(float, answer.stdout.split())
    if code:
        raise SystemExit(answer.stderr)
    return Timed(1e3 * wall, 1e3 * processor), kib / 1024


def measure(
    folder: Path, files: list[tuple[Path, ...]], repetitions: int, threads: int | None
) -> None:
    """Time the model and the inspection in turns and print medians and ratios."""
    bundle = read_bundle(folder)
    session = open_session(bundle.model_path, ProviderSettings(threads=threads))
    detector = Detector(bundle, session)
    given = preprocess(formats.read(files[0][0]), bundle.card.preprocess)
    detail, overview = given.detail[None], given.overview[None]
    out = files[0][0].parent / "out"
    stages: dict[str, list[float]] = {}

    def inspect(groups: list[tuple[Path, ...]]) -> None:
        for result in inspect_files(groups, detector, out):
            if not isinstance(result, Inspected):
                raise SystemExit(result.error)
            for stage, ms in result.inspection.timing_ms.items():
                stages.setdefault(stage, []).append(ms)

    calls: dict[str, Callable[[], object]] = {
        "run": lambda: session.run(detail, overview),
        "one": lambda: inspect(files[:1]),
        "batch": lambda: inspect(files),
    }
    if importlib.util.find_spec("PIL"):
        calls["Pillow"] = lambda: by_pillow(files[0][0], detector, out / "pillow.png")
    for call in calls.values():
        call()
    stages.clear()
    times: dict[str, list[Timed]] = {label: [] for label in calls}
    for _ in range(repetitions):
        for label, call in calls.items():
            times[label].append(timed(call))
    print(f"{HEIGHT} x {WIDTH} on {', '.join(session.provider.used)}, threads {threads or 'all'}")
    for stage, values in stages.items():
        print(f"  {stage:11} {statistics.median(values):7.1f} ms (median, all modes)")
    report(times)


def by_pillow(path: Path, detector: Detector, out: Path) -> None:
    """Do the same as a script does: read and write with Pillow, and compute on whole planes."""
    from PIL import Image  # noqa: PLC0415 - no dependency of nii

    with Image.open(path) as image:
        pages = []
        for page in range(image.n_frames):
            image.seek(page)
            pages.append(np.asarray(image, np.float32) / np.float32(65535))
    detector.detect(Scan(np.stack(pages)))
    grey = (255 * np.clip(pages[0], 0, 1)).astype(np.uint8)
    Image.fromarray(grey).convert("RGB").save(out)


def report(times: dict[str, list[Timed]]) -> None:
    """Print medians, and the median of the ratios of neighbours."""
    for label, spent in times.items():
        scans = BATCH if label == "batch" else 1
        wall = statistics.median(t.wall for t in spent) / scans
        used = statistics.median(t.processor for t in spent) / scans
        pairs = list(zip(spent, times["run"], strict=True))
        ratio = statistics.median(a.wall / scans / b.wall for a, b in pairs)
        work = statistics.median(a.processor / scans / b.processor for a, b in pairs)
        print(
            f"{label:6} {wall:8.1f} ms a scan, ratio {ratio:.2f}; "
            f"processor {used:8.1f} ms, ratio {work:.2f} (wished: {WISHED_RATIO})"
        )


def main(words: list[str]) -> int:
    """Measure and print; fail where a train takes too much memory."""
    folder = Path(words[0])
    numbers = [int(word) for word in words[1:] if word.isdecimal()]
    repetitions, threads = (numbers + [7, 0][len(numbers) :])[:2]
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(1) as other_process:
        place = Path(name)
        files = other_process.submit(make_files, place).result()
        for count in dict.fromkeys((threads or None, 1)):
            cv2.setNumThreads(count or -1)
            measure(folder, files, repetitions, count)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _MIB
        print(f"peak memory of this process {peak:.0f} MiB")
        sample = next(Path("data/samples").glob("*.tiff"))
        starts = [command(folder, sample, place / "cold", threads or None) for _ in range(3)]
        cold = min(starts, key=lambda start: start[0].wall)
        print(
            f"cold start with one scan of {sample.name}: {cold[0].wall:.0f} ms, "
            f"processor {cold[0].processor:.0f} ms, peak {cold[1]:.0f} MiB"
        )
        if "train" not in words:
            return 0
        train = other_process.submit(make_train, place).result()
        took, mib = command(folder, train, place / "train", threads or None)
        print(
            f"train {' x '.join(map(str, TRAIN))}: {took.wall / 1e3:.1f} s, "
            f"processor {took.processor / 1e3:.1f} s, peak {mib:.0f} MiB"
        )
    return int(mib > MOST_TRAIN_MIB)


if __name__ == "__main__":
    if len(sys.argv) < 2:  # noqa: PLR2004
        raise SystemExit(__doc__)
    raise SystemExit(main(sys.argv[1:]))
