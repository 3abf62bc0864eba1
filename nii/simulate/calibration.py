"""Calibration: what a real system does to raw counts before anybody sees a scan.

:func:`expose` plays the raw side of a scanner: dark levels, gains that differ by tens of per cent,
pulses that vary by per cents, a reference detector that watches them, dead elements, and the dark
and air frames taken before. :func:`calibrate` undoes it: transmission is 1 in air, whatever
the gains were. What it cannot undo, the noise of its own frames, stays in the scan.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float32, UInt16

from nii import config as settings
from nii.physics.beam import transmit
from nii.physics.detector import (
    add_noise,
    expected_signal,
    mend_rows,
    normal,
    quantise,
    quantum_size,
)
from nii.provenance import Provenance
from nii.scan import Scan
from nii.simulate.scanner import ScannerConfig, beam_of
from nii.simulate.scene import Scene


@dataclass(frozen=True, slots=True)
class RawConfig:
    """Set the raw side of a scanner; all values are assumptions."""

    full_counts: float = 50_000.0
    """Counts of the mean element in the open beam."""
    dark_counts: float = 900.0
    """Mean dark level."""
    dark_spread: float = 60.0
    """Standard deviation of the dark level from element to element."""
    gain_spread: float = 0.08
    """Relative standard deviation of the gain from element to element, 5 to 20 %."""
    pulse_spread: float = 0.02
    """Relative standard deviation of the pulses of the source, 1 to 3 %."""
    reference_noise: float = 0.001
    """Relative standard deviation of the reference detector's reading of one pulse."""
    frames: int = 256
    """Pulses averaged in the dark and air frames."""
    dead_rows: tuple[int, ...] = field(default=())
    """Elements that give their dark level whatever falls on them."""


@dataclass(frozen=True, slots=True)
class RawScan:
    """Hold what a scanner writes before calibration.

    Attributes:
        counts: raw counts of every element and pulse.
        dark: mean counts of every element without beam.
        air: mean counts of every element in the open beam, for a reference reading of 1.
        reference: reading of the reference detector for every pulse, 1 is its usual level.
        endpoint_mev: end-points, falling.
        pixel_pitch_mm: (vertical, horizontal).
        scanner: name of the machine.
        provenance: how it was made.
    """

    counts: UInt16[np.ndarray, "energy height width"]
    dark: Float32[np.ndarray, "energy height"]
    air: Float32[np.ndarray, "energy height"]
    reference: Float32[np.ndarray, "energy width"]
    endpoint_mev: tuple[float, ...]
    pixel_pitch_mm: tuple[float, float]
    scanner: str
    provenance: Provenance


def expose(
    scene: Scene, scanner: ScannerConfig, raw: RawConfig, rng: np.random.Generator
) -> RawScan:
    """Return the raw counts that `scanner` writes of a scene, with its calibration frames.

    Gain and pulse errors come from `raw`; dose, blur, scatter and electronic noise from `scanner`.
    """
    ideal, unit_variance = transmit(
        beam_of(scanner, scene.materials),
        scene.areal_density_g_per_cm2,
        None if scene.fan is None else scene.fan.angle_deg(),
    )
    energies, height, width = ideal.shape
    dead = np.isin(np.arange(height), raw.dead_rows)
    gain = np.exp(raw.gain_spread * rng.standard_normal((energies, height))) * ~dead
    level = raw.dark_counts + raw.dark_spread * rng.standard_normal((energies, height))
    pulse = 1 + raw.pulse_spread * rng.standard_normal((energies, width))
    counts = np.empty(ideal.shape, np.uint16)
    for energy in range(energies):
        light = expected_signal(ideal[energy], energy, scanner.detector)
        light *= pulse[energy].astype(np.float32)
        quantum = quantum_size(ideal[energy], unit_variance[energy], scanner.detector)
        add_noise(light, quantum, normal((height, width), rng), 0.0, rng)
        electronic = scanner.detector.electronic_noise_steps * rng.standard_normal((height, width))
        written = raw.full_counts * gain[energy, :, None] * light + level[energy, :, None]
        counts[energy] = np.clip(np.rint(written + electronic), 0, 65535)
    spread = 1 / np.sqrt(raw.frames * scanner.detector.photons_per_pixel)
    seen = 1 + spread * rng.standard_normal((energies, height))
    blur = scanner.detector.electronic_noise_steps / np.sqrt(raw.frames)
    watched = pulse * (1 + raw.reference_noise * rng.standard_normal((energies, width)))
    return RawScan(
        counts=counts,
        dark=(level + blur * rng.standard_normal((energies, height))).astype(np.float32),
        air=(level + raw.full_counts * gain * seen).astype(np.float32),
        reference=watched.astype(np.float32),
        endpoint_mev=scanner.endpoint_mev,
        pixel_pitch_mm=scene.pixel_pitch_mm,
        scanner=scanner.name,
        provenance=Provenance(
            steps=("simulated: raw counts with dark and air frames",),
            settings={
                "scanner": settings.to_dict(replace(scanner, ranges={})),
                "raw": settings.to_dict(raw),
            },
        ),
    )


def calibrate(raw: RawScan, saturation: float = 1.05) -> Scan:
    """Return the transmission: counts over air, dark subtracted, pulse by pulse.

    Dead elements, see :func:`find_dead`, are filled from their neighbours.
    """
    planes = []
    for energy, counts in enumerate(raw.counts):
        usable = np.maximum(raw.air[energy] - raw.dark[energy], 1)
        plane = counts.astype(np.float32) - raw.dark[energy][:, None]
        plane /= usable[:, None] * raw.reference[energy][None]
        plane = quantise(plane, 0.0, saturation)
        planes.append(mend_rows(plane, np.flatnonzero(find_dead(raw)[energy])))
    found = [int(n) for n in find_dead(raw).sum(1)]
    return Scan(
        transmission=np.stack(planes),
        endpoint_mev=raw.endpoint_mev,
        pixel_pitch_mm=raw.pixel_pitch_mm,
        scanner=raw.scanner,
        provenance=raw.provenance.with_step(
            f"calibrated: dark, air, reference detector; dead elements filled: {found}"
        ),
    )


def find_dead(raw: RawScan, share: float = 0.3) -> Bool[np.ndarray, "energy height"]:
    """Return which elements answer to the open beam with less than `share` of the usual.

    Far too much is as bad: more than 1 / `share` of the usual counts as dead, too.
    """
    answer = raw.air - raw.dark
    usual = np.median(answer, 1, keepdims=True)
    return np.asarray((answer < share * usual) | (answer > usual / share))


def align_energies(scan: Scan, offset_px: float) -> Scan:
    """Return the scan with every further energy moved back by `offset_px` columns.

    Undoes the half pitch between pulses that take turns, by interpolation between neighbours: the
    fringes at vertical edges go, and the low energy becomes as much softer.
    """
    columns = np.arange(scan.width, dtype=np.float64)
    planes = [scan.transmission[0]]
    for energy in range(1, scan.energy_count):
        place = np.clip(columns - energy * offset_px, 0, scan.width - 1)
        left = np.minimum(place.astype(np.int64), max(scan.width - 2, 0))
        right = np.minimum(left + 1, scan.width - 1)
        share = (place - left).astype(np.float32)
        plane = scan.transmission[energy]
        planes.append(plane[:, left] * (1 - share) + plane[:, right] * share)
    step = f"energies aligned by {offset_px:g} columns"
    return replace(scan, transmission=np.stack(planes), provenance=scan.provenance.with_step(step))
