"""Detector: deposited energy, Beer-Lambert over a whole spectrum, and what electronics write of it.

The forward model is a small sum of exponentials: the spectra of all energies of a scanner share a
few photon energies, so one exponential each serves the mean signal and its variance.

Order of events in :func:`detect`: focal spot and motion blur what falls on the crystals, scatter
is added, quanta fluctuate, crystals share light with their neighbours and glow on, elements and
pulses differ in gain, the electronics add noise and an offset, and whole steps are written.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from nii.physics.attenuation import mass_attenuation_cm2_per_g
from nii.physics.spectrum import LOWEST_ENERGY_MEV, linac_spectrum

STEP = 1.0 / 65535.0
"""One grey step of a 16-bit scan."""
_FINE_WIDTH_MEV = 0.01
_BLOCK_PIXELS = 1 << 13
_BLOCK_ROWS = 16
_FEW_QUANTA = 12.0
"""Below this many quanta a pixel, the noise is drawn from Poisson's law instead of Gauss's."""

_FIRST_NODE_MEV = 0.13
_REACHES = (0.5, 0.6, 0.7, 0.8, 0.9)
_FIT_G_PER_CM2 = np.asarray([0, 0.5, 1, 2, 5, 10, 20, 30, 45, 60, 80, 100, 130, 160, 200], float)
_WEIGHT_OF_AIR = 100.0

_RESPONSE = np.asarray(
    [
        (0.10, 1.00),
        (0.20, 0.99),
        (0.30, 0.945),
        (0.46, 0.80),
        (0.91, 0.55),
        (1.35, 0.47),
        (2.30, 0.41),
        (2.90, 0.407),
        (3.60, 0.41),
        (8.50, 0.45),
        (20.0, 0.47),
    ]
)
"""Photon energy in MeV, mean deposited share of it in 3 cm CdWO4 behind 1 cm (Lalor, semiZ, 2023);
the value at 20 MeV is an assumption."""


def deposited_fraction(
    energy_mev: Float64[np.ndarray, " energy"],
) -> Float64[np.ndarray, " energy"]:
    """Return the mean share of a photon's energy that a CdWO4 element absorbs."""
    share = np.interp(np.log(energy_mev), np.log(_RESPONSE[:, 0]), _RESPONSE[:, 1])
    return np.asarray(share, np.float64)


@dataclass(frozen=True, slots=True)
class Beam:
    """Describe one scanner's beams and detector as a short sum over photon energies.

    Attributes:
        endpoint_mev: end-points, falling.
        materials: names of the materials that `mass_attenuation_cm2_per_g` has columns for.
        mass_attenuation_cm2_per_g: coefficient at every photon energy of the sum.
        signal: weight of every photon energy in the open-beam signal; rows add up to 1.
        variance: its contribution to the variance of the transmission for one incident photon a
            pixel.
    """

    endpoint_mev: tuple[float, ...]
    materials: tuple[str, ...]
    mass_attenuation_cm2_per_g: Float32[np.ndarray, "bin material"]
    signal: Float32[np.ndarray, "energy bin"]
    variance: Float32[np.ndarray, "energy bin"]


def make_beam(
    endpoint_mev: tuple[float, ...], materials: tuple[str, ...], bin_count: int = 8
) -> Beam:
    """Replace the filtered spectra by `bin_count` photon energies, the same for all end-points.

    The energies are spaced evenly in their logarithm. Their weights, never negative, are fitted to
    the exact signal and variance behind 0 to 200 g/cm2 of every material; of several spacings the
    one with the smallest largest error is taken. Eight energies keep -ln T of light materials and
    steel within 0.3 % and of lead within 0.8 %, for the end-points of all presets.

    The second moment of the deposited energy is bounded by "all or nothing": a photon deposits all
    its energy with the probability `deposited_fraction`, so that noise is never underestimated
    (assumption).
    """
    fine, moments = _moments(endpoint_mev)
    exact = _decay(materials, fine) @ moments.T
    best, best_error = np.zeros((len(moments), 0)), np.inf
    chosen = fine
    for reach in _REACHES:
        energies = np.geomspace(_FIRST_NODE_MEV, reach * max(endpoint_mev), bin_count)
        decay = _decay(materials, energies)
        fits = [_fit_weights(decay, exact[:, row]) for row in range(len(moments))]
        error = max(error for _, error in fits)
        if error < best_error:
            best, best_error = np.stack([weights for weights, _ in fits]), error
            chosen = energies
    best = (best * (moments.sum(1) / best.sum(1))[:, None]).astype(np.float32)
    columns = np.stack([mass_attenuation_cm2_per_g(name, chosen) for name in materials], 1)
    count = len(endpoint_mev)
    return Beam(endpoint_mev, materials, columns.astype(np.float32), best[:count], best[count:])


def _moments(
    endpoint_mev: tuple[float, ...],
) -> tuple[Float64[np.ndarray, " fine"], Float64[np.ndarray, "row fine"]]:
    """Return photon energies and the share of each in signal, then in variance, per end-point."""
    fine = np.arange(LOWEST_ENERGY_MEV, max(endpoint_mev), _FINE_WIDTH_MEV) + _FINE_WIDTH_MEV / 2
    photons = np.stack([linac_spectrum(e, energy_mev=fine).photons for e in endpoint_mev])
    deposited = photons * fine * deposited_fraction(fine)
    mean = deposited.sum(1, keepdims=True)
    return fine, np.concatenate([deposited / mean, deposited * fine / mean**2])


def _decay(
    materials: tuple[str, ...], energy_mev: Float64[np.ndarray, " energy"]
) -> Float64[np.ndarray, "case energy"]:
    """Return exp(-mu x) of every material at every areal density of the fit."""
    cases = [
        np.exp(-np.outer(_FIT_G_PER_CM2, mass_attenuation_cm2_per_g(name, energy_mev)))
        for name in materials
    ]
    return np.concatenate(cases)


def _fit_weights(
    decay: Float64[np.ndarray, "case energy"], exact: Float64[np.ndarray, " case"]
) -> tuple[Float64[np.ndarray, " energy"], float]:
    """Return weights that make decay @ weights equal to `exact`, and the largest relative error.

    Reference:
        Lawson and Hanson, Solving Least Squares Problems (1974), chapter 23 (active set).
    """
    emphasis = np.where(decay.min(1) == 1, _WEIGHT_OF_AIR, 1.0)
    scaled, target = decay * (emphasis / exact)[:, None], emphasis
    weights = np.zeros(decay.shape[1])
    active: Bool[np.ndarray, " energy"] = np.zeros(decay.shape[1], bool)
    for _ in range(3 * len(weights)):
        gradient = np.where(active, -np.inf, scaled.T @ (target - scaled @ weights))
        if active.all() or gradient.max() < 1e-9:  # noqa: PLR2004
            break
        active[gradient.argmax()] = True
        weights, active = _descend(scaled, target, weights, active)
    return weights, float(np.abs(decay @ weights / exact - 1).max())


def _descend(
    scaled: Float64[np.ndarray, "case energy"],
    target: Float64[np.ndarray, " case"],
    weights: Float64[np.ndarray, " energy"],
    active: Bool[np.ndarray, " energy"],
) -> tuple[Float64[np.ndarray, " energy"], Bool[np.ndarray, " energy"]]:
    """Return the least-squares weights of the active set, less what would turn negative."""
    while True:
        wanted = np.zeros_like(weights)
        wanted[active] = np.linalg.lstsq(scaled[:, active], target, rcond=None)[0]
        negative = active & (wanted <= 0)
        if not negative.any():
            return wanted, active
        step = (weights[negative] / (weights[negative] - wanted[negative])).min()
        weights = weights + step * (wanted - weights)
        active = active & (weights > 1e-12)  # noqa: PLR2004


def transmit(
    beam: Beam, areal_density_g_per_cm2: Float32[np.ndarray, "material height width"]
) -> tuple[Float32[np.ndarray, "energy height width"], Float32[np.ndarray, "energy height width"]]:
    """Return noise-free transmission and its quantum variance for one incident photon a pixel.

    Beer-Lambert holds for every photon energy: T = sum_k w_k exp(-sum_m mu_km x_m).
    """
    used = [i for i in range(len(beam.materials)) if areal_density_g_per_cm2[i].any()]
    shape = areal_density_g_per_cm2.shape[1:]
    flat = areal_density_g_per_cm2.reshape(len(beam.materials), -1)
    minus_mu = -beam.mass_attenuation_cm2_per_g[:, used]
    weights = np.concatenate([beam.signal, beam.variance])
    result = np.empty((len(weights), flat.shape[1]), np.float32)
    for start in range(0, flat.shape[1], _BLOCK_PIXELS):
        stop = start + _BLOCK_PIXELS
        block = flat[used, start:stop]
        if block.any():
            exponent = minus_mu @ block
            result[:, start:stop] = weights @ np.exp(exponent, out=exponent)
        else:
            result[:, start:stop] = weights.sum(1, keepdims=True)
    energies = len(beam.signal)
    cube = result.reshape(-1, *shape)
    return cube[:energies], cube[energies:]


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
    height, width = transmission.shape[1:]
    dead = (
        np.flatnonzero(rng.random(height) < config.dead_share)
        if config.dead_share > 0
        else np.zeros(0, np.int64)
    )
    light = light_kernels(config)
    written = np.empty_like(transmission)
    for energy, ideal in enumerate(transmission):
        plane = expected_signal(ideal, energy, config)
        steps = config.electronic_noise_steps if light is None else 0.0
        for part in _blocks(height):
            _add_noise(plane[part], ideal[part], unit_variance[energy, part], config, steps, rng)
        if light is not None:
            plane = _filter(plane, *light)
            plane += np.float32(config.electronic_noise_steps * STEP) * rng.standard_normal(
                plane.shape, dtype=np.float32
            )
        rows, columns = draw_gain(height, width, config, rng)
        offset = _draw_offset(height, config, rng)
        for part in _blocks(height):
            plane[part] *= rows[part] @ columns
            written[energy, part] = quantise(plane[part], offset[part], config.saturation)
        if len(dead):
            written[energy] = mend_rows(written[energy], dead, filled=config.dead_filled)
    return written


def _blocks(height: int) -> list[slice]:
    """Return slices of rows that stay in the cache of the processor."""
    return [slice(top, top + _BLOCK_ROWS) for top in range(0, height, _BLOCK_ROWS)]


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


def _add_noise(
    block: Float32[np.ndarray, "height width"],
    ideal: Float32[np.ndarray, "height width"],
    unit_variance: Float32[np.ndarray, "height width"],
    config: DetectorConfig,
    electronic_steps: float,
    rng: np.random.Generator,
) -> None:
    """Add quantum and electronic noise to the signal in place.

    The signal of one quantum is that of the ideal image at the same place: what is blurred or
    scattered into a pixel brings its quanta along.
    """
    quantum: Float32[np.ndarray, "height width"] = ideal + np.float32(1e-30)
    np.divide(unit_variance, quantum, out=quantum)
    quantum *= np.float32(1 / config.photons_per_pixel)
    noise = rng.standard_normal(block.shape, dtype=np.float32)
    electronic = np.float32(electronic_steps * STEP)
    few = block < np.float32(_FEW_QUANTA) * quantum
    if few.any():
        size = quantum[few]
        counted = rng.poisson(block[few] / size) * size + electronic * noise[few]
    quantum *= block
    quantum += electronic**2
    np.sqrt(quantum, out=quantum)
    noise *= quantum
    block += noise
    if few.any():
        block[few] = counted


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
