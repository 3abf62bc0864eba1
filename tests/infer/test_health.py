"""Tests of :mod:`nii.infer.health`: each fault is found, and a sound scan has none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from jaxtyping import Float32

from nii.infer.health import health_of, warnings_of
from nii.inspection import Problem
from nii.scan import Grey, Scan, StoredScan

Plane = Float32[np.ndarray, "height width"]


def sound(rng: np.random.Generator) -> Plane:
    """Return a vehicle with cargo in open beam, with noise; wheels at the ground."""
    attenuation = np.zeros((240, 800), np.float32)
    attenuation[40:190, 80:700] = 0.3
    attenuation[40:44, 80:700] = 0.8  # roof
    attenuation[40:190, 80:86] = 1.5  # post
    attenuation[90:190, 200:420] = 3
    attenuation[190:200, 60:720] = 2
    attenuation[200:240, 120:180] = 9
    noise = rng.normal(0, 0.01, attenuation.shape)
    return np.exp(-attenuation + noise).astype(np.float32)


def no_air(plane: Plane) -> Plane:
    """Keep only what lies inside the container."""
    return plane[92:188, 210:410]


def dark(plane: Plane) -> Plane:
    """Let the beam through nowhere but in air and thin walls."""
    return np.where(plane < 0.5, 0, np.tile(plane[:1], (240, 1))).astype(np.float32)


def black_everywhere(plane: Plane) -> Plane:
    """Record nothing at all."""
    return np.zeros_like(plane)


def dead_row(plane: Plane) -> Plane:
    """One detector gives a tenth too little, from end to end."""
    plane[120] *= 0.9
    return plane


def bright_column(plane: Plane) -> Plane:
    """Two pulses of the source give a tenth too much."""
    plane[:, 300:302] *= 1.1
    return plane


def cut_left(plane: Plane) -> Plane:
    """The scan starts inside the container."""
    return plane[:, 150:]


def cut_top(plane: Plane) -> Plane:
    """The roof is above the fan of the beam."""
    return plane[60:]


def on_its_head(plane: Plane) -> Plane:
    """Turn the picture over, the ground on top."""
    plane[234:] *= 0.1
    return plane[::-1]


def margin(plane: Plane) -> Plane:
    """Fill the right end with black, as some exports do."""
    plane[:, 740:] = 0
    return plane


def test_a_sound_scan_has_no_problem(rng: np.random.Generator) -> None:
    """Roof, posts, floor, cargo and wheels are no faults of the scan."""
    health = health_of(Scan(sound(rng)[None]))
    assert health.problems == ()
    assert health.air == pytest.approx(1, abs=0.05)
    assert warnings_of(health) == ()


@pytest.mark.parametrize(
    ("spoil", "problem", "words"),
    [
        (no_air, Problem.NO_AIR, "No open beam"),
        (black_everywhere, Problem.DARK, "nothing gets through 100 %"),
        (dead_row, Problem.LINES, "1 rows, 0 columns"),
        (bright_column, Problem.LINES, "0 rows, 2 columns"),
        (cut_left, Problem.CUT, "(left)"),
        (cut_top, Problem.CUT, "(top)"),
        (on_its_head, Problem.UPSIDE_DOWN, "on its head"),
        (margin, Problem.BLANK, "7.5 % of the picture's columns"),
    ],
)
def test_each_fault_is_said(
    spoil: Callable[[Plane], Plane], problem: Problem, words: str, rng: np.random.Generator
) -> None:
    """A fault put into a sound scan is found, and said in words."""
    plane = np.ascontiguousarray(spoil(sound(rng)))
    health = health_of(Scan(plane[None]))
    assert problem in health.problems
    assert any(words in text for text in warnings_of(health))


def test_an_upright_scan_stands_on_its_feet(rng: np.random.Generator) -> None:
    """With the ground in the picture, and with a vehicle cut at the top, upright is upright."""
    plane = np.ascontiguousarray(on_its_head(sound(rng))[::-1])
    assert Problem.UPSIDE_DOWN not in health_of(Scan(plane[None])).problems
    assert Problem.UPSIDE_DOWN not in health_of(Scan(cut_top(plane)[None])).problems


def test_dense_cargo_is_dark(rng: np.random.Generator) -> None:
    """Cargo that nothing gets through over a quarter of the picture is a dark scan."""
    plane = sound(rng)
    plane[60:190, 100:600] = 0
    health = health_of(Scan(plane[None]))
    assert health.problems == (Problem.DARK,)
    assert health.opaque_share == pytest.approx(0.34, abs=0.03)


def test_a_black_margin_is_not_the_vehicle(rng: np.random.Generator) -> None:
    """Black columns count neither as a cut vehicle nor as dark cargo."""
    plane = sound(rng)
    plane[:, :300] = 0
    health = health_of(Scan(plane[None]))
    assert health.problems == (Problem.BLANK,)
    assert health.blank_share == pytest.approx(300 / 800, abs=0.01)


def test_a_display_picture_is_judged_by_its_grey(rng: np.random.Generator) -> None:
    """A picture of grey 0 to 255 has air that is white; inverted it has none."""
    grey = np.rint(255 * np.minimum(sound(rng), 1)) / np.float32(255)
    right = health_of(Scan(grey[None].astype(np.float32), Grey.DISPLAY))
    assert right.problems == ()
    turned = health_of(Scan((1 - grey)[None].astype(np.float32) * np.float32(0.5), Grey.DISPLAY))
    assert Problem.NO_AIR in turned.problems


@pytest.mark.parametrize("size", [(1, 1), (2, 900), (700, 3)])
def test_tiny_scans_have_a_health(size: tuple[int, int]) -> None:
    """A scan of any size is judged without an error."""
    assert health_of(Scan(np.ones((1, *size), np.float32))).problems == ()


def test_levels_have_the_same_health(rng: np.random.Generator) -> None:
    """A scan kept as 16-bit levels is judged as the same scan in numbers."""
    levels = np.rint(60000 * np.minimum(cut_left(sound(rng)), 1)).astype(np.uint16)
    scan = Scan((levels / np.float32(60000)).astype(np.float32)[None])
    assert health_of(StoredScan((levels,), 60000)) == health_of(scan)
