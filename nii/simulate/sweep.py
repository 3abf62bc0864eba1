"""Sweep: which part of a scene a scan shows, and how uneven speed stretches it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Float32, Float64

from nii import boxes
from nii.detections import Detections
from nii.simulate.scanner import ScannerConfig
from nii.simulate.scene import Scene

_FRACTIONS = 32
_VISIBLE_SHARE = 0.25
"""An object stays in the truth of a window that shows this share of its box."""


def drive(scene: Scene, scanner: ScannerConfig, rng: np.random.Generator) -> Scene:
    """Return the scene as uneven speed stretches it, with the boxes of the truth moved along.

    Columns are taken at equal times; the first and the last stay where they are. A scanner with
    constant speed returns the scene itself.
    """
    if scanner.speed_variation <= 0:
        return scene
    width = scene.areal_density_g_per_cm2.shape[2]
    knots = max(int(width / scanner.speed_period_px * 2), 2) + 2
    speed = rng.standard_normal(knots)
    speed = np.interp(np.linspace(0, knots - 1, width), np.arange(knots), speed)
    edges = np.append(0, np.cumsum(np.exp(scanner.speed_variation * speed)))
    edges *= width / edges[-1]
    moved = scene.truth.boxes_xyxy.copy()
    moved[:, [0, 2]] = np.interp(moved[:, [0, 2]], edges, np.arange(width + 1))
    truth = Detections(moved, scene.truth.scores, scene.truth.class_ids)
    centres = (edges[1:] + edges[:-1]) / 2 - 0.5
    return replace(scene, areal_density_g_per_cm2=_stretch(scene, centres), truth=truth)


def _stretch(
    scene: Scene, columns: Float64[np.ndarray, " width"]
) -> Float32[np.ndarray, "material height width"]:
    """Return the areal densities at fractional columns."""
    _, height, width = scene.areal_density_g_per_cm2.shape
    # OpenCV's fixed-point maps: whole column and row, then the fraction in steps of 1/32.
    steps = np.rint(np.clip(columns, 0, width - 1) * _FRACTIONS).astype(np.int64)
    whole = np.empty((height, width, 2), np.int16)
    whole[..., 0], whole[..., 1] = steps // _FRACTIONS, np.arange(height)[:, None]
    fraction = np.empty((height, width), np.uint16)
    fraction[:] = steps % _FRACTIONS
    stretched = np.zeros_like(scene.areal_density_g_per_cm2)
    for plane, target in zip(scene.areal_density_g_per_cm2, stretched, strict=True):
        used = np.flatnonzero(plane.any(1))
        if len(used):
            rows = slice(int(used[0]), int(used[-1]) + 1)
            maps = whole[rows], fraction[rows]
            target[rows] = cv2.remap(
                plane, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
    return stretched


def window(scene: Scene, top: int, left: int, height: int, width: int) -> Scene:
    """Return a part of a scene, given in pixels, with the truth that it shows.

    The areal densities are a view of the scene's.
    """
    rows, columns = slice(top, top + height), slice(left, left + width)
    shift = np.asarray([left, top, left, top], np.float32)
    cut = boxes.clip(scene.truth.boxes_xyxy - shift, height, width)
    seen = boxes.area(cut) >= _VISIBLE_SHARE * boxes.area(scene.truth.boxes_xyxy)
    kept = np.flatnonzero(seen & (boxes.area(cut) > 0))
    return replace(
        scene,
        areal_density_g_per_cm2=scene.areal_density_g_per_cm2[:, rows, columns],
        truth=Detections(cut[kept], scene.truth.scores[kept], scene.truth.class_ids[kept]),
        load_states=tuple(scene.load_states[k] for k in kept),
        behind_g_per_cm2=scene.behind_g_per_cm2[kept],
        threat_kinds=tuple(scene.threat_kinds[k] for k in kept),
    )
