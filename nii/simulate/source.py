"""Source of simulated scans: scan k of a seed is the same on every machine and in every order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float32

from nii import config as settings
from nii.annotations.coco import LoadState
from nii.detections import Detections
from nii.scan import Scan
from nii.simulate.scanner import acquire, preset, render_display, vary
from nii.simulate.scene import SceneConfig, build_scene
from nii.simulate.sweep import drive


@dataclass(frozen=True, slots=True)
class SimulateConfig:
    """Set what :func:`simulate` draws from."""

    scene: SceneConfig = field(default_factory=SceneConfig)
    """What stands in the beam and how it is seen."""
    scanners: tuple[str, ...] = ("linac_9_6",)
    """Presets to choose from, see ``nii.simulate.scanner.PRESETS``."""
    vary_detector: bool = True
    """Draw dose, blur and calibration errors for every scan, instead of the preset's."""
    display_share: float = 0.0
    """Share of scans that are rendered as 8-bit display images."""
    display_stretch: tuple[float, float] = (0.8, 2.2)
    """Horizontal over vertical pitch of display images; exports are rarely corrected for speed."""


@dataclass(frozen=True, slots=True)
class SimulatedScan:
    """Hold a scan and the truth about it.

    Attributes:
        scan: the image.
        truth: boxes of vehicle, containers and threats; scores are 1.
        load_states: what a container carries, aligned with `truth`; None for the rest.
        behind_g_per_cm2: mean areal density of all else under a threat, aligned with `truth`; nan
            for structures.
        threat_kinds: kind within the class, aligned with `truth`; None for structures.
        structure_kinds: kind of vehicle or body, aligned with `truth`; None for threats.
        hs_chapters: chapters of the Harmonised System of the load, aligned with `truth`.
        threat_materials: basis material of most of the mass, aligned with `truth`.
        threat_masses_kg: mass, aligned with `truth`; nan for structures.
        masks: pixels of each threat within its box, aligned with `truth`; None where not kept.
    """

    scan: Scan
    truth: Detections
    load_states: tuple[LoadState | None, ...]
    behind_g_per_cm2: Float32[np.ndarray, " n"]
    threat_kinds: tuple[str | None, ...]
    structure_kinds: tuple[str | None, ...] = ()
    hs_chapters: tuple[tuple[str, ...], ...] = ()
    threat_materials: tuple[str | None, ...] = ()
    threat_masses_kg: Float32[np.ndarray, " n"] | None = None
    masks: tuple[Bool[np.ndarray, "_ _"] | None, ...] = ()


def simulate(seed: int, index: int, config: SimulateConfig) -> SimulatedScan:
    """Return scan `index` of the stream `seed`.

    Args:
        seed: names the stream; not negative.
        index: number of the scan in the stream, from 0.
        config: what to draw from.
    """
    rng = np.random.default_rng([seed, index])
    display = rng.random() < config.display_share
    scene_config = config.scene
    if display:
        scene_config = replace(scene_config, stretch=config.display_stretch)
    scanner = preset(config.scanners[int(rng.integers(len(config.scanners)))])
    if config.vary_detector:
        scanner = vary(scanner, rng)
    scene = drive(build_scene(rng, scene_config), scanner, rng)
    scan = acquire(scene, scanner, rng)
    if display:
        scan = render_display(scan, rng)
    drawn = {"seed": seed, "index": index, "simulate": settings.to_dict(config)}
    provenance = replace(scan.provenance, settings={**scan.provenance.settings, **drawn})
    return SimulatedScan(
        scan=replace(scan, provenance=provenance),
        truth=scene.truth,
        load_states=scene.load_states,
        behind_g_per_cm2=scene.behind_g_per_cm2,
        threat_kinds=scene.threat_kinds,
        structure_kinds=scene.structure_kinds,
        hs_chapters=scene.hs_chapters,
        threat_materials=scene.threat_materials,
        threat_masses_kg=scene.threat_masses_kg,
        masks=scene.masks,
    )
