"""Detector: what the electronics write of an ideal image.

Order of events in :func:`detect`: focal spot and motion blur what falls on the crystals, scatter
is added, quanta fluctuate, crystals share light with their neighbours and glow on, elements and
pulses differ in gain, the electronics add noise and an offset, and whole steps are written.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, Int64

STEP = 1.0 / 65535.0
"""One grey step of a 16-bit scan."""
_BLOCK_PIXELS = 1 << 15
"""Pixels that are written at once and stay in the cache of the processor."""
_FEW_QUANTA = 12.0
"""Below this many quanta a pixel, the noise is drawn from Poisson's law instead of Gauss's."""


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """Set what the detector does to an ideal image; the presets state a range for every field.

    A field that is 0 is an error that the detector does not have.
    """

    photons_per_pixel: float = 1e5
    """Incident photons a pixel and pulse in the open beam, 1e4 to 1e6 (assumption)."""
    electronic_noise_steps: float = 2.0
    """Standard deviation of the electronics in 16-bit steps, 1 to 3 (assumption)."""
    psf_sigma_px: tuple[float, float] = (0.6, 0.7)
    """Blur (vertical, horizontal) in pixels before the crystals: focal spot and motion."""
    interlace_offset_px: float = 0.0
    """Columns by which every further energy looks later than the one before it; pulses that take
    turns give 0.5, and fringes in the material at vertical edges."""
    crosstalk: float = 0.0
    """Share of the light that each of the two vertical neighbours receives, 0 to 3 %
    (assumption). Unlike `psf_sigma_px` it ties the noise of neighbours together."""
    afterglow: float = 0.0
    """Share of the light that comes late: 0.1 % for CdWO4, up to 2 % for CsI (assumption)."""
    afterglow_decay_px: float = 3.0
    """Columns after which late light has fallen to 1/e."""
    scatter_fraction: float = 0.002
    """Scattered signal as a share of the smoothed signal, 0.1 to 2 %."""
    pulse_jitter: float = 0.002
    """Relative standard deviation of the pulse output that reference detectors leave over."""
    row_gain_error: float = 0.0015
    """Relative standard deviation of the gain from detector element to element: stripes."""
    module_gain_error: float = 0.002
    """Relative standard deviation of the gain from module to module."""
    module_rows: int = 32
    """Detector elements in a module."""
    gain_drift: float = 0.0
    """Relative standard deviation, over modules, of the change of gain from first to last column:
    temperature since the last calibration."""
    wobble: float = 0.0
    """Relative amplitude, at the top of the array, with which the boom swings out of the beam."""
    wobble_period_px: float = 250.0
    """Columns of one swing."""
    dead_share: float = 0.0
    """Share of detector elements that give no signal."""
    dead_filled: bool = True
    """Whether dead rows are filled from their neighbours, as real systems do; else they are 0."""
    module_offset_steps: float = 0.0
    """Standard deviation of the dark level from module to module, in 16-bit steps."""
    dark_offset_steps: float = 0.0
    """Dark level that calibration left over, in 16-bit steps."""
    saturation: float = 1.05
    """Largest transmission that can be written: full scale over open beam."""

    def __post_init__(self) -> None:
        """Check that a detector can be so.

        Raises:
            ValueError: a setting is negative, no detector counts nothing, and light is not made.
        """
        numbers = [getattr(self, name) for name in self.__slots__ if name != "psf_sigma_px"]
        if min(*numbers, *self.psf_sigma_px) < 0:
            msg = f"a setting is negative: {self}"
            raise ValueError(msg)
        positive = (self.photons_per_pixel, self.module_rows, self.afterglow_decay_px)
        if min(*positive, self.wobble_period_px) <= 0:
            msg = "photons, rows of a module, decay and period must be positive"
            raise ValueError(msg)
        if self.crosstalk > 1 / 3 or max(self.afterglow, self.dead_share) > 1 / 2:
            msg = "crosstalk above 1/3, afterglow or dead elements above 1/2: no image is left"
            raise ValueError(msg)


def detect(
    transmission: Float32[np.ndarray, "energy height width"],
    unit_variance: Float32[np.ndarray, "energy height width"],
    config: DetectorConfig,
    rng: np.random.Generator,
) -> Float32[np.ndarray, "energy height width"]:
    """Return the transmission as a detector would write it, in steps of 1/65535.

    Args:
        transmission: noise-free, open beam is 1.
        unit_variance: quantum variance of the transmission for one incident photon a pixel.
        config: what the detector does.
        rng: source of noise.
    """
    _, height, width = transmission.shape
    dead = (
        np.flatnonzero(rng.random(height) < config.dead_share)
        if config.dead_share > 0
        else np.zeros(0, np.int64)
    )
    light = light_kernels(config)
    blocks = _blocks(height, width)
    written = np.empty_like(transmission)
    for energy, ideal in enumerate(transmission):
        plane = expected_signal(ideal, energy, config)
        noise = normal((height, width), rng)
        steps = config.electronic_noise_steps if light is None else 0.0
        for part in blocks:
            quantum = quantum_size(ideal[part], unit_variance[energy, part], config)
            add_noise(plane[part], quantum, noise[part], steps, rng)
        if light is not None:
            plane = _filter(plane, *light)
            plane += np.float32(config.electronic_noise_steps * STEP) * normal((height, width), rng)
        rows, columns = draw_gain(height, width, config, rng)
        offset = _draw_offset(height, config, rng)
        for part in blocks:
            plane[part] *= rows[part] @ columns
            written[energy, part] = quantise(plane[part], offset[part], config.saturation)
        if len(dead):
            written[energy] = mend_rows(written[energy], dead, filled=config.dead_filled)
    return written


def _blocks(height: int, width: int) -> list[slice]:
    """Return slices of rows of about `_BLOCK_PIXELS`."""
    rows = max(_BLOCK_PIXELS // max(width, 1), 1)
    return [slice(top, top + rows) for top in range(0, height, rows)]


def expected_signal(
    ideal: Float32[np.ndarray, "height width"], energy: int, config: DetectorConfig
) -> Float32[np.ndarray, "height width"]:
    """Return what falls on the crystals: the ideal image blurred, moved and with scatter."""
    vertical, horizontal = optical_kernels(energy, config)
    plane = _filter(ideal, vertical, horizontal)
    if config.scatter_fraction > 0:
        plane *= np.float32(1 - config.scatter_fraction)
        plane += np.float32(config.scatter_fraction) * smooth(ideal)
    return plane


def optical_kernels(
    energy: int, config: DetectorConfig
) -> tuple[Float32[np.ndarray, " rows"], Float32[np.ndarray, " columns"]]:
    """Return the point spread along rows and columns of one energy, each with the sum 1.

    Energy number `energy` looks `energy * interlace_offset_px` columns further right.
    """
    vertical, horizontal = config.psf_sigma_px
    return _bell(vertical, 0.0), _bell(horizontal, energy * config.interlace_offset_px)


def light_kernels(
    config: DetectorConfig,
) -> tuple[Float32[np.ndarray, " rows"], Float32[np.ndarray, " columns"]] | None:
    """Return how light spreads over rows (neighbours) and columns (later); None where it stays."""
    if config.crosstalk <= 0 and config.afterglow <= 0:
        return None
    share = config.crosstalk
    vertical = np.asarray([share, 1 - 2 * share, share], np.float32)
    reach = max(int(np.ceil(4 * config.afterglow_decay_px)), 1)
    late = np.exp(-np.arange(1, reach + 1) / config.afterglow_decay_px)
    horizontal = np.zeros(2 * reach + 1)
    horizontal[:reach] = (config.afterglow / late.sum()) * late[::-1]
    horizontal[reach] = 1 - config.afterglow
    return vertical, horizontal.astype(np.float32)


def _bell(sigma: float, centre: float) -> Float32[np.ndarray, " taps"]:
    """Return a sampled Gaussian with the sum 1; a shift of a narrow one is interpolated."""
    reach = 2 + int(np.ceil(abs(centre)))
    place = np.arange(-reach, reach + 1) - centre
    if sigma > 1e-2:  # noqa: PLR2004
        weight = np.exp(-(place**2) / (2 * sigma**2))
    else:
        weight = np.maximum(1 - np.abs(place), 0)
    return np.asarray(weight / weight.sum(), np.float32)


def _filter(
    plane: Float32[np.ndarray, "height width"],
    vertical: Float32[np.ndarray, " rows"],
    horizontal: Float32[np.ndarray, " columns"],
) -> Float32[np.ndarray, "height width"]:
    filtered = cv2.sepFilter2D(
        plane, cv2.CV_32F, horizontal, vertical, borderType=cv2.BORDER_REPLICATE
    )
    return np.asarray(filtered, np.float32)


def smooth(plane: Float32[np.ndarray, "height width"]) -> Float32[np.ndarray, "height width"]:
    """Return the plane spread over about 64 pixels, as scatter is."""
    height, width = plane.shape
    small = cv2.resize(
        plane, (max(width // 32, 1), max(height // 32, 1)), interpolation=cv2.INTER_AREA
    )
    wide = cv2.GaussianBlur(small, (0, 0), 2.0)
    return np.asarray(cv2.resize(wide, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def normal(shape: tuple[int, int], rng: np.random.Generator) -> Float32[np.ndarray, "height width"]:
    """Return standard normal numbers that `rng` decides, four times as fast as it draws them."""
    cv2.setRNGSeed(int(rng.integers(2**31)))
    drawn = cv2.randn(np.empty(shape, np.float32), np.zeros(1), np.ones(1))
    return np.asarray(drawn, np.float32)


def quantum_size(
    ideal: Float32[np.ndarray, "height width"],
    unit_variance: Float32[np.ndarray, "height width"],
    config: DetectorConfig,
) -> Float32[np.ndarray, "height width"]:
    """Return the transmission that one effective quantum stands for, variance over mean.

    It changes slowly, so that what is blurred or scattered into a pixel has the size of its own.
    """
    size: Float32[np.ndarray, "height width"] = ideal + np.float32(1e-30)
    np.divide(unit_variance, size, out=size)
    size *= np.float32(1 / config.photons_per_pixel)
    return size


def add_noise(
    signal: Float32[np.ndarray, "height width"],
    quantum: Float32[np.ndarray, "height width"],
    noise: Float32[np.ndarray, "height width"],
    electronic_steps: float,
    rng: np.random.Generator,
) -> None:
    """Add quantum and electronic noise to the signal in place.

    Args:
        signal: expected transmission.
        quantum: see :func:`quantum_size`; used up.
        noise: standard normal numbers; used up.
        electronic_steps: standard deviation of the electronics.
        rng: counts where quanta are few.
    """
    electronic = np.float32(electronic_steps * STEP)
    few = signal < np.float32(_FEW_QUANTA) * quantum
    if scarce := few.any():
        size = quantum[few]
        counted = rng.poisson(signal[few] / size) * size + electronic * noise[few]
    quantum *= signal
    quantum += electronic**2
    noise *= cv2.sqrt(quantum, dst=quantum)
    signal += noise
    if scarce:
        signal[few] = counted


def draw_gain(
    height: int, width: int, config: DetectorConfig, rng: np.random.Generator
) -> tuple[Float32[np.ndarray, "height 3"], Float32[np.ndarray, "3 width"]]:
    """Return factors whose matrix product is the gain of every pixel.

    Elements, modules and pulses have gains of their own, modules drift along the scan, and a boom
    that swings takes the top of the array out of the beam.
    """
    pulse = 1 + np.float32(config.pulse_jitter) * rng.standard_normal(width, dtype=np.float32)
    modules = _by_module(height, config, rng) * np.float32(config.module_gain_error)
    elements = rng.standard_normal(height, dtype=np.float32) * np.float32(config.row_gain_error)
    element = 1 + modules + elements
    time = np.arange(width, dtype=np.float32) / max(width - 1, 1)
    drift = _by_module(height, config, rng) * np.float32(config.gain_drift)
    phase = 2 * np.pi * (np.arange(width) / config.wobble_period_px + rng.random())
    swing = (np.float32(config.wobble) * np.sin(phase)).astype(np.float32)
    lever = 1 - np.arange(height, dtype=np.float32) / height
    rows = np.stack([element, element * drift, element * lever], 1)
    return rows, np.stack([pulse, pulse * time, pulse * swing])


def _draw_offset(
    height: int, config: DetectorConfig, rng: np.random.Generator
) -> Float32[np.ndarray, "height 1"]:
    """Return the dark level of every row in steps."""
    modules = _by_module(height, config, rng) * np.float32(config.module_offset_steps)
    return (modules + np.float32(config.dark_offset_steps))[:, None]


def _by_module(
    height: int, config: DetectorConfig, rng: np.random.Generator
) -> Float32[np.ndarray, " height"]:
    """Return a standard normal number for every module, repeated over its rows."""
    numbers = rng.standard_normal(height // config.module_rows + 1, dtype=np.float32)
    return np.asarray(np.repeat(numbers, config.module_rows)[:height], np.float32)


def quantise(
    plane: Float32[np.ndarray, "height width"],
    offset_steps: Float32[np.ndarray, "height 1"] | float,
    saturation: float,
) -> Float32[np.ndarray, "height width"]:
    """Return the plane in whole 16-bit steps between 0 and `saturation`."""
    steps: Float32[np.ndarray, "height width"] = plane * np.float32(65535)
    steps += np.asarray(offset_steps, np.float32)
    np.rint(steps, out=steps)
    np.clip(steps, 0, np.float32(round(saturation * 65535)), out=steps)
    steps *= np.float32(STEP)
    return steps


def mend_rows(
    plane: Float32[np.ndarray, "height width"],
    dead: Int64[np.ndarray, " n"],
    *,
    filled: bool = True,
) -> Float32[np.ndarray, "height width"]:
    """Return the plane with dead rows filled from the nearest live rows above and below, or 0.

    Filling is linear and rounds to whole 16-bit steps.
    """
    mended = plane.copy()
    mended[dead] = 0
    live = np.setdiff1d(np.arange(len(plane)), dead)
    if not filled or not len(live):
        return mended
    above = live[np.clip(np.searchsorted(live, dead) - 1, 0, len(live) - 1)]
    below = live[np.clip(np.searchsorted(live, dead), 0, len(live) - 1)]
    share = ((dead - above) / np.maximum(below - above, 1)).clip(0, 1)[:, None].astype(np.float32)
    between = mended[above] * (1 - share) + mended[below] * share
    mended[dead] = np.rint(between * np.float32(65535)) * np.float32(STEP)
    return mended
