"""Sweep: speed moves boxes with what they enclose, windows show what they cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nii.detections import Detections
from nii.simulate.scanner import preset
from nii.simulate.scene import Scene
from nii.simulate.shapes import BASIS, STEEL
from nii.simulate.sweep import drive, window


def bars() -> Scene:
    """Return three steel bars with their boxes."""
    grid = np.zeros((len(BASIS), 20, 600), np.float32)
    boxes = []
    for left in (100, 300, 480):
        grid[STEEL, 5:15, left : left + 40] = 10.0
        boxes.append((left, 5, left + 40, 15))
    count = len(boxes)
    truth = Detections(
        np.asarray(boxes, np.float32), np.ones(count, np.float32), np.zeros(count, np.int64)
    )
    behind = np.arange(count, dtype=np.float32)
    return Scene(grid, BASIS, (5.0, 5.0), truth, (None,) * count, behind, ("a", "b", "c"))


def test_uneven_speed_takes_the_boxes_along() -> None:
    """After stretching, every box still begins and ends where its bar does, within a pixel."""
    scanner = replace(preset("portal_9_6"), speed_variation=0.15, speed_period_px=300.0)
    moved = 0.0
    for seed in range(5):
        scene = drive(bars(), scanner, np.random.default_rng(seed))
        profile = scene.areal_density_g_per_cm2[STEEL, 10]
        for box, before in zip(scene.truth.boxes_xyxy, bars().truth.boxes_xyxy, strict=True):
            inside = np.flatnonzero(profile[int(box[0]) - 5 : int(box[2]) + 5] > 5)
            found = inside[[0, -1]] + int(box[0]) - 5
            np.testing.assert_allclose(found + np.asarray([0, 1]), box[[0, 2]], atol=1.0)
            moved = max(moved, float(np.abs(box - before).max()))
        assert profile.max() == pytest.approx(10)
    assert moved > 3


def test_constant_speed_changes_nothing() -> None:
    """A scanner without speed variation returns the very scene."""
    scene = bars()
    assert drive(scene, preset("linac_9_6"), np.random.default_rng(0)) is scene


def test_a_window_keeps_what_it_shows() -> None:
    """Boxes are moved and cut with the pixels; what is hardly seen goes with all its facts."""
    scene = bars()
    part = window(scene, 3, 130, 10, 200)
    assert part.areal_density_g_per_cm2.shape == (len(BASIS), 10, 200)
    np.testing.assert_array_equal(
        part.truth.boxes_xyxy, np.asarray([[170, 2, 200, 10]], np.float32)
    )
    assert part.threat_kinds == ("b",)
    assert part.behind_g_per_cm2.tolist() == [1.0]
    mask = part.areal_density_g_per_cm2[STEEL] > 0
    assert np.flatnonzero(mask[5])[-30] == 170
