"""Which material class a segment is given: calibration curves from wedges, and the confusion.

Two energies give each material a curve: attenuation of the low energy over that of the high one. A
segment belongs to the class whose curve, measured on wedges with the same scanner, is nearest. That
is the simplest decoder there is; it shows what the scanner offers, not what the best decoder makes
of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from nii.simulate import phantoms
from nii.simulate.scanner import ScannerConfig, acquire

CLASSES = ("organic", "light metal", "steel", "heavy")
"""Class of each of :data:`nii.simulate.phantoms.MATERIALS`."""
WEDGE_G_PER_CM2 = (2.5, 5.0, 10.0, 20.0, 35.0, 50.0, 70.0, 90.0, 115.0, 140.0, 170.0, 200.0)
"""Steps of the calibration wedges (assumption)."""
SEGMENTS_G_PER_CM2 = (5.0, 10.0, 20.0, 40.0, 60.0, 80.0, 100.0, 125.0, 150.0)
"""Areal densities at which segments are classified: the range of a full container."""
_STEP = 1.0 / 65535.0


@dataclass(frozen=True, slots=True)
class DiscriminationConfig:
    """Set how material classes are tested."""

    pitch_mm: float = 4.0
    """Pixel pitch (assumption)."""
    segment_px: int = 16
    """Side of a square segment: 64 mm at a pitch of 4 mm, a small parcel (assumption)."""
    calibration_draws: int = 24
    """Scans of the wedges that are averaged."""
    draws: int = 40
    """Scans of the segments."""
    seed: int = 0
    """Stream of noise."""


@dataclass(frozen=True, slots=True)
class Confusion:
    """Hold how often a class was given; axes areal density, true class, class given.

    Attributes:
        areal_density_g_per_cm2: of the segments, for the first axis of `counts`.
        counts: segments.
    """

    areal_density_g_per_cm2: tuple[float, ...]
    counts: Int64[np.ndarray, "step true given"]

    @property
    def correct(self) -> Float64[np.ndarray, " step"]:
        """Return the share of segments that were given their own class, over all classes."""
        own = np.einsum("sii->s", self.counts)
        return np.asarray(own / self.counts.sum((1, 2)), np.float64)

    @property
    def organic_or_steel(self) -> Float64[np.ndarray, " step"]:
        """Return the share of organic and steel segments that are not taken for the other.

        An organic segment must not be called steel or heavy, nor a steel one organic.
        """
        organic = self.counts[:, 0, :2].sum(1)
        steel = self.counts[:, 2, 1:].sum(1)
        return np.asarray((organic + steel) / self.counts[:, [0, 2]].sum((1, 2)), np.float64)


def confusion(
    scanner: ScannerConfig,
    config: DiscriminationConfig,
    on_step: Callable[[str], None] = lambda _text: None,
) -> Confusion:
    """Calibrate a scanner on wedges and classify segments of known material.

    Raises:
        ValueError: the scanner has one energy.
    """
    if len(scanner.endpoint_mev) < 2:  # noqa: PLR2004
        msg = f"{scanner.name} has one energy, which shows no material"
        raise ValueError(msg)
    curves = _attenuations(scanner, config, WEDGE_G_PER_CM2, config.calibration_draws, 0).mean(0)
    on_step("calibration wedges")
    seen = _attenuations(scanner, config, SEGMENTS_G_PER_CM2, config.draws, 1)
    given = nearest_curve(seen[..., 0], seen[..., -1], curves[..., 0], curves[..., -1])
    on_step("material segments")
    count = len(CLASSES)
    counts = np.zeros((len(SEGMENTS_G_PER_CM2), count, count), np.int64)
    for true in range(count):
        for step in range(len(SEGMENTS_G_PER_CM2)):
            counts[step, true] = np.bincount(given[:, true, step], minlength=count)
    return Confusion(SEGMENTS_G_PER_CM2, counts)


def nearest_curve(
    high: Float64[np.ndarray, "*shape"],
    low: Float64[np.ndarray, "*shape"],
    curve_high: Float64[np.ndarray, "material step"],
    curve_low: Float64[np.ndarray, "material step"],
) -> Int64[np.ndarray, "*shape"]:
    """Return the index of the curve whose low-energy attenuation is nearest at the same high one.

    Curves start at the origin and go on straight beyond their last step.
    """
    away = []
    for x, y in zip(curve_high, curve_low, strict=True):
        steps, values = np.append(0.0, x), np.append(0.0, y)
        expected = np.interp(high, steps, values)
        slope = (values[-1] - values[-2]) / (steps[-1] - steps[-2])
        expected += slope * np.maximum(high - steps[-1], 0)
        away.append(np.abs(low - expected))
    return np.asarray(np.argmin(away, axis=0), np.int64)


def _attenuations(
    scanner: ScannerConfig,
    config: DiscriminationConfig,
    areal_densities_g_per_cm2: tuple[float, ...],
    draws: int,
    stream: int,
) -> Float64[np.ndarray, "draw material step energy"]:
    """Return -ln of the mean transmission of every block in every draw, its border left out."""
    side, border = config.segment_px, 3
    scene = phantoms.block_object(areal_densities_g_per_cm2, side, config.pitch_mm)
    result = []
    for draw in range(draws):
        rng = np.random.default_rng((config.seed, stream, draw))
        planes = acquire(scene, scanner, rng).transmission
        blocks = planes.reshape(len(planes), len(CLASSES), side, -1, side)
        inner = blocks[:, :, border:-border, :, border:-border].mean((2, 4), dtype=np.float64)
        result.append(-np.log(np.maximum(inner, _STEP)).transpose(1, 2, 0))
    return np.stack(result)
