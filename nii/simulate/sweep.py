"""Sweep: which part of a scene a scan shows, and how uneven speed stretches it."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from nii import boxes
from nii.detections import Detections
from nii.simulate.scanner import ScannerConfig
from nii.simulate.scene import Scene

T = TypeVar("T")
Mask = Bool[np.ndarray, "_ _"] | None

_BLOCK_ROWS = 16
"""Rows that are stretched at once and stay in the cache of the processor."""
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
    return replace(
        scene,
        areal_density_g_per_cm2=_stretch(scene, centres),
        truth=truth,
        masks=_stretch_masks(scene, moved),
    )


def _stretch(
    scene: Scene, columns: Float64[np.ndarray, " width"]
) -> Float32[np.ndarray, "material height width"]:
    """Return the areal densities at fractional columns, linear between neighbours."""
    width = scene.areal_density_g_per_cm2.shape[2]
    places = np.clip(columns, 0, width - 1)
    left = np.minimum(places.astype(np.int64), max(width - 2, 0))
    right = np.minimum(left + 1, width - 1)
    share = (places - left).astype(np.float32)
    stretched = np.zeros_like(scene.areal_density_g_per_cm2)
    for plane, target in zip(scene.areal_density_g_per_cm2, stretched, strict=True):
        used = np.flatnonzero(plane.any(1))
        for top in range(int(used[0]), int(used[-1]) + 1, _BLOCK_ROWS) if len(used) else ():
            rows = slice(top, min(top + _BLOCK_ROWS, int(used[-1]) + 1))
            mixed = np.take(plane[rows], left, axis=1)
            rise = np.take(plane[rows], right, axis=1)
            rise -= mixed
            rise *= share
            np.add(mixed, rise, out=target[rows])
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
    masses = scene.threat_masses_kg
    return replace(
        scene,
        areal_density_g_per_cm2=scene.areal_density_g_per_cm2[:, rows, columns],
        truth=Detections(cut[kept], scene.truth.scores[kept], scene.truth.class_ids[kept]),
        load_states=_of(scene.load_states, kept),
        behind_g_per_cm2=scene.behind_g_per_cm2[kept],
        threat_kinds=_of(scene.threat_kinds, kept),
        structure_kinds=_of(scene.structure_kinds, kept),
        hs_chapters=_of(scene.hs_chapters, kept),
        threat_materials=_of(scene.threat_materials, kept),
        threat_masses_kg=None if masses is None or not len(masses) else masses[kept],
        masks=_of(_cut_masks(scene, cut + shift), kept),
        fan=None if scene.fan is None else scene.fan.window(top, height),
    )


def _of(facts: tuple[T, ...], kept: Int64[np.ndarray, " k"]) -> tuple[T, ...]:
    """Return the facts of some objects; none where there are none of any."""
    return tuple(facts[k] for k in kept) if facts else ()


def _cut_masks(scene: Scene, boxes_xyxy: Float32[np.ndarray, "n 4"]) -> tuple[Mask, ...]:
    """Return the part of each mask that lies in a smaller box."""
    cut: list[Mask] = []
    old = np.round(scene.truth.boxes_xyxy).astype(np.int64)
    new = np.round(boxes_xyxy).astype(np.int64)
    for mask, (x0, y0, _, _), (left, top, right, bottom) in zip(
        scene.masks, old.tolist(), new.tolist(), strict=False
    ):
        part = None if mask is None else mask[top - y0 : bottom - y0, left - x0 : right - x0]
        cut.append(part)
    return tuple(cut)


def _stretch_masks(scene: Scene, boxes_xyxy: Float32[np.ndarray, "n 4"]) -> tuple[Mask, ...]:
    """Return the masks as wide as their boxes are after the stretch."""
    wide: list[Mask] = []
    for mask, box in zip(scene.masks, boxes_xyxy.tolist(), strict=False):
        if mask is None:
            wide.append(None)
            continue
        width = max(round(box[2]) - round(box[0]), 1)
        places = ((np.arange(width) + 0.5) * mask.shape[1] / width).astype(np.int64)
        wide.append(np.ascontiguousarray(mask[:, places]))
    return tuple(wide)
