"""Count simulated scans and training crops per second of one core, and the memory of a worker.

Scenes, speed, beams and detector with all its errors. Crops are windows of a scene at full
resolution, as many as it has room for, each with a detector of its own.
Seconds of processor time are counted beside those of the clock: they do not depend on what else
the machine does. Run it with one thread (OMP_NUM_THREADS=1). Usage:

    python scripts/bench_simulate.py [SCANS] [SCENES] [PRESET]
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np

from nii.simulate.scanner import acquire, preset, vary
from nii.simulate.scene import SceneConfig, build_scene
from nii.simulate.sweep import drive, window

HEIGHT, WIDTH, CROP = 1024, 3072, 512
CROPS_A_SCENE = (HEIGHT // CROP) * (WIDTH // CROP)
SCANS_A_SECOND, CROPS_A_SECOND, MOST_MIB = 1.0, 30.0, 1024.0


def make_scan(index: int, scene: SceneConfig, name: str) -> list[tuple[str, float]]:
    """Make one scan; return its steps and the processor time at the end of each."""
    marks = [("", time.process_time())]
    rng = np.random.default_rng(index)
    scanner = vary(preset(name), rng)
    drawn = build_scene(rng, scene)
    marks.append(("scene", time.process_time()))
    drawn = drive(drawn, scanner, rng)
    marks.append(("speed", time.process_time()))
    acquire(drawn, scanner, rng)
    return [*marks, ("detector", time.process_time())]


def make_crops(index: int, scene: SceneConfig, name: str) -> list[tuple[str, float]]:
    """Make the crops of one scene, each with a detector of its own."""
    marks = [("", time.process_time())]
    rng = np.random.default_rng(index)
    drawn = drive(build_scene(rng, scene), preset(name), rng)
    marks.append(("scene and speed", time.process_time()))
    for _ in range(CROPS_A_SCENE):
        top, left = int(rng.integers(HEIGHT - CROP + 1)), int(rng.integers(WIDTH - CROP + 1))
        acquire(window(drawn, top, left, CROP, CROP), vary(preset(name), rng), rng)
    return [*marks, ("detector", time.process_time())]


def rate(label: str, count: int, call: Callable[[int], list[tuple[str, float]]]) -> float:
    """Print and return how many calls one second of processor time pays for."""
    call(0)
    spent: dict[str, float] = {}
    wall, work = time.perf_counter(), time.process_time()
    for index in range(count):
        marks = call(index)
        for (_, start), (step, end) in pairwise(marks):
            spent[step] = spent.get(step, 0.0) + 1e3 * (end - start) / count
    work, wall = time.process_time() - work, time.perf_counter() - wall
    steps = ", ".join(f"{step} {ms:.0f} ms" for step, ms in spent.items())
    print(f"{label}: {count / work:.2f}/s of processor, {count / wall:.2f}/s of the clock; {steps}")
    return count / work


def main(scans: int, scenes: int, name: str) -> int:
    """Measure and print; fail where a target is missed."""
    cv2.setNumThreads(1)
    truck = SceneConfig(height_px=(HEIGHT, HEIGHT), width_px=WIDTH)
    scan_rate = rate(f"{name} scans {HEIGHT} x {WIDTH}", scans, lambda k: make_scan(k, truck, name))
    label = f"{name} scenes of {CROPS_A_SCENE} crops {CROP} x {CROP}"
    crop_rate = CROPS_A_SCENE * rate(label, scenes, lambda k: make_crops(k, truck, name))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{crop_rate:.1f} crops/s of processor; peak memory {peak:.0f} MiB")
    return int(scan_rate < SCANS_A_SECOND or crop_rate < CROPS_A_SECOND or peak > MOST_MIB)


if __name__ == "__main__":
    words = sys.argv[1:]
    counts = [int(word) for word in words[:2]]
    scans, scenes = (counts + [8, 4][len(counts) :])[:2]
    raise SystemExit(main(scans, scenes, words[2] if len(words) > 2 else "portal_9_6"))  # noqa: PLR2004
