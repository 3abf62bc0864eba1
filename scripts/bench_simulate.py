"""Count simulated scans and training crops per second of one core, and the memory of a worker.

Scenes, beams, detector with all its errors, and for the crops a scan of 512 x 512 pixels each.
Seconds of processor time are counted beside those of the clock: they do not depend on what else
the machine does. Run it with one thread (OMP_NUM_THREADS=1). Usage:

    python scripts/bench_simulate.py [SCANS] [CROPS] [PRESET]
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np

from nii.simulate.scanner import acquire, drive, preset, vary
from nii.simulate.scene import SceneConfig, build_scene

HEIGHT, WIDTH, CROP = 1024, 3072, 512
SCANS_A_SECOND, CROPS_A_SECOND, MOST_MIB = 1.0, 30.0, 1024.0


def make(index: int, scene: SceneConfig, name: str, spent: dict[str, float]) -> None:
    """Make one scan and add the processor time of every step."""
    rng = np.random.default_rng(index)
    scanner = vary(preset(name), rng)
    marks = [time.process_time()]
    drawn = build_scene(rng, scene)
    marks.append(time.process_time())
    drawn = drive(drawn, scanner, rng)
    marks.append(time.process_time())
    acquire(drawn, scanner, rng)
    marks.append(time.process_time())
    for step, seconds in zip(("scene", "speed", "acquire"), np.diff(marks), strict=True):
        spent[step] = spent.get(step, 0.0) + float(seconds)


def rate(label: str, count: int, call: Callable[[int, dict[str, float]], None]) -> float:
    """Print and return how many calls one second of processor time pays for."""
    call(0, {})
    spent: dict[str, float] = {}
    wall, work = time.perf_counter(), time.process_time()
    for index in range(count):
        call(index, spent)
    work, wall = time.process_time() - work, time.perf_counter() - wall
    steps = ", ".join(f"{step} {1e3 * took / count:.1f} ms" for step, took in spent.items())
    print(
        f"{label}: {count / work:.2f} a second of processor, {count / wall:.2f} by the clock ({steps})"
    )
    return count / work


def main(scans: int, crops: int, name: str) -> int:
    """Measure and print; fail where a target is missed."""
    cv2.setNumThreads(1)
    truck = SceneConfig(height_px=(HEIGHT, HEIGHT), width_px=WIDTH)
    crop = SceneConfig(height_px=(CROP, CROP), width_px=CROP, pitch_mm=(8.0, 12.0))
    found = rate(f"{HEIGHT} x {WIDTH} {name}", scans, lambda k, s: make(k, truck, name, s))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory: {peak:.0f} MiB")
    small = rate(f"{CROP} x {CROP} {name}", crops, lambda k, s: make(k, crop, name, s))
    return int(found < SCANS_A_SECOND or small < CROPS_A_SECOND or peak > MOST_MIB)


if __name__ == "__main__":
    words = sys.argv[1:]
    counts = [int(word) for word in words[:2]]
    scans, crops = (counts + [8, 40][len(counts) :])[:2]
    raise SystemExit(main(scans, crops, words[2] if len(words) > 2 else "portal_9_6"))  # noqa: PLR2004
