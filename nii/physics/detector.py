"""Detector: deposited energy, Beer-Lambert over a whole spectrum, noise, blur and drift.

The forward model is a small sum of exponentials. The photon spectra of all energies of a scanner
are cut into the same few bins of photon energy; one exponential per bin then serves the mean signal
and its variance at every end-point.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, Float64

from nii.physics.attenuation import mass_attenuation_cm2_per_g
from nii.physics.spectrum import LOWEST_ENERGY_MEV, linac_spectrum

STEP = 1.0 / 65535.0
"""One grey step of a 16-bit scan."""
_FINE_WIDTH_MEV = 0.01
_BLOCK_PIXELS = 1 << 14

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
    """Describe one scanner's beams and detector as a short sum over bins of photon energy.

    Attributes:
        endpoint_mev: end-points, falling.
        materials: names of the materials that `mass_attenuation_cm2_per_g` has columns for.
        mass_attenuation_cm2_per_g: mean coefficient of every bin.
        signal: share of the open-beam signal in every bin; rows add up to 1.
        variance: contribution of every bin to the variance of the transmission for one incident
            photon a pixel.
    """

    endpoint_mev: tuple[float, ...]
    materials: tuple[str, ...]
    mass_attenuation_cm2_per_g: Float32[np.ndarray, "bin material"]
    signal: Float32[np.ndarray, "energy bin"]
    variance: Float32[np.ndarray, "energy bin"]


def make_beam(
    endpoint_mev: tuple[float, ...], materials: tuple[str, ...], bin_count: int = 12
) -> Beam:
    """Cut the filtered spectra into common bins.

    Bins hold equal shares of the signal of all end-points together. The second moment of the
    deposited energy is bounded by "all or nothing": a photon deposits all its energy with the
    probability `deposited_fraction`, so that noise is never underestimated (assumption).
    """
    fine = np.arange(LOWEST_ENERGY_MEV, max(endpoint_mev), _FINE_WIDTH_MEV) + _FINE_WIDTH_MEV / 2
    photons = np.stack([linac_spectrum(e, energy_mev=fine).photons for e in endpoint_mev])
    deposited = photons * fine * deposited_fraction(fine)
    mean = deposited.sum(1, keepdims=True)
    signal, variance = deposited / mean, deposited * fine / mean**2
    weight = signal.mean(0)
    owner = np.minimum((np.cumsum(weight) - weight / 2) * bin_count, bin_count - 1).astype(int)
    member = (owner == np.arange(bin_count)[:, None]).astype(np.float64)
    columns = np.stack([mass_attenuation_cm2_per_g(name, fine) for name in materials], 1)
    means = (member * weight) @ columns / (member @ weight)[:, None]
    return Beam(
        endpoint_mev,
        materials,
        means.astype(np.float32),
        (signal @ member.T).astype(np.float32),
        (variance @ member.T).astype(np.float32),
    )


def transmit(
    beam: Beam, areal_density_g_per_cm2: Float32[np.ndarray, "material height width"]
) -> tuple[Float32[np.ndarray, "energy height width"], Float32[np.ndarray, "energy height width"]]:
    """Return noise-free transmission and its quantum variance for one incident photon a pixel.

    Beer-Lambert holds for every bin: T = sum_k w_k exp(-sum_m mu_km x_m).
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
    """Set what the detector does to an ideal image. Ranges in the field: see each line."""

    photons_per_pixel: float = 1e5
    """Incident photons a pixel and pulse in the open beam, 1e4 to 1e6 (assumption)."""
    electronic_noise_steps: float = 2.0
    """Standard deviation of the electronics in 16-bit steps, 1 to 3 (assumption)."""
    psf_sigma_px: tuple[float, float] = (0.6, 0.7)
    """Blur (vertical, horizontal) in pixels: crystal cross-talk, focal spot, motion."""
    scatter_fraction: float = 0.002
    """Scattered signal as a share of the smoothed signal, 0.1 to 2 %."""
    pulse_jitter: float = 0.002
    """Relative standard deviation of the pulse output that reference detectors leave over."""
    row_gain_error: float = 0.0015
    """Relative standard deviation of the gain from detector element to element."""
    module_gain_error: float = 0.002
    """Relative standard deviation of the gain from module to module."""
    module_rows: int = 32
    """Detector elements in a module."""
    dark_offset_steps: float = 0.0
    """Dark level that calibration left over, in 16-bit steps."""
    saturation: float = 1.05
    """Largest transmission that can be written: full scale over open beam."""


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
    planes = [
        _detect_plane(ideal, variance, config, rng)
        for ideal, variance in zip(transmission, unit_variance, strict=True)
    ]
    return np.stack(planes)


def _detect_plane(
    ideal: Float32[np.ndarray, "height width"],
    unit_variance: Float32[np.ndarray, "height width"],
    config: DetectorConfig,
    rng: np.random.Generator,
) -> Float32[np.ndarray, "height width"]:
    plane = _blur(ideal, config.psf_sigma_px)
    if config.scatter_fraction > 0:
        plane *= np.float32(1 - config.scatter_fraction)
        plane += np.float32(config.scatter_fraction) * _smooth(ideal)
    sigma = unit_variance / np.float32(config.photons_per_pixel)
    sigma += np.float32((config.electronic_noise_steps * STEP) ** 2)
    np.sqrt(sigma, out=sigma)
    sigma *= rng.standard_normal(ideal.shape, dtype=np.float32)
    plane += sigma
    plane *= _column_gain(ideal.shape[1], config, rng)
    plane *= _row_gain(ideal.shape[0], config, rng)[:, None]
    return quantise(plane, config.dark_offset_steps, config.saturation)


def quantise(
    plane: Float32[np.ndarray, "height width"], offset_steps: float, saturation: float
) -> Float32[np.ndarray, "height width"]:
    """Return the plane in whole 16-bit steps between 0 and `saturation`."""
    steps = plane * np.float32(65535)
    steps += np.float32(offset_steps)
    np.rint(steps, out=steps)
    np.clip(steps, 0, np.float32(round(saturation * 65535)), out=steps)
    return steps / np.float32(65535)


def _blur(
    plane: Float32[np.ndarray, "height width"], sigma_px: tuple[float, float]
) -> Float32[np.ndarray, "height width"]:
    if max(sigma_px) <= 0:
        return plane.copy()
    vertical, horizontal = (max(s, 1e-3) for s in sigma_px)
    blurred = cv2.GaussianBlur(
        plane, (5, 5), horizontal, sigmaY=vertical, borderType=cv2.BORDER_REPLICATE
    )
    return np.asarray(blurred, np.float32)


def _smooth(plane: Float32[np.ndarray, "height width"]) -> Float32[np.ndarray, "height width"]:
    height, width = plane.shape
    small = cv2.resize(
        plane, (max(width // 32, 1), max(height // 32, 1)), interpolation=cv2.INTER_AREA
    )
    wide = cv2.GaussianBlur(small, (0, 0), 2.0)
    return np.asarray(cv2.resize(wide, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _column_gain(
    width: int, config: DetectorConfig, rng: np.random.Generator
) -> Float32[np.ndarray, " width"]:
    jitter = rng.standard_normal(width, dtype=np.float32)
    return np.asarray(1 + np.float32(config.pulse_jitter) * jitter, np.float32)


def _row_gain(
    height: int, config: DetectorConfig, rng: np.random.Generator
) -> Float32[np.ndarray, " height"]:
    modules = rng.standard_normal(height // config.module_rows + 1, dtype=np.float32)
    gain = np.repeat(modules, config.module_rows)[:height] * np.float32(config.module_gain_error)
    element = rng.standard_normal(height, dtype=np.float32)
    return np.asarray(1 + gain + np.float32(config.row_gain_error) * element, np.float32)
