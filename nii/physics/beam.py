"""Beam: Beer-Lambert over the whole spectrum of a scanner, as a short sum of exponentials.

The spectra of all energies of a scanner share a few photon energies, so that one exponential each
serves the mean signal and its variance at every end-point.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64

from nii.physics.attenuation import mass_attenuation_cm2_per_g
from nii.physics.spectrum import LARGEST_FAN_ANGLE_DEG, LOWEST_ENERGY_MEV, linac_spectrum

_FINE_WIDTH_MEV = 0.01
_BLOCK_PIXELS = 1 << 13
_FIRST_NODE_MEV = 0.13
_REACHES = (0.5, 0.6, 0.7, 0.8, 0.9)
_FIT_G_PER_CM2 = np.asarray([0, 0.5, 1, 2, 5, 10, 20, 30, 45, 60, 80, 100, 130, 160, 200], float)
_WEIGHT_OF_AIR = 100.0
_FAN_ANGLES_DEG = np.linspace(0, LARGEST_FAN_ANGLE_DEG, 7)
"""Angles off the axis with weights of their own. Between them weights are interpolated: within
0.05 % of a fit at the angle itself (tested). Beyond the last its weights hold."""

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
        fan_weights: the rows of `signal`, then of `variance`, at equal steps of the angle between
            ray and axis from 0 to `LARGEST_FAN_ANGLE_DEG`; the first entry repeats the two.
    """

    endpoint_mev: tuple[float, ...]
    materials: tuple[str, ...]
    mass_attenuation_cm2_per_g: Float32[np.ndarray, "bin material"]
    signal: Float32[np.ndarray, "energy bin"]
    variance: Float32[np.ndarray, "energy bin"]
    fan_weights: Float32[np.ndarray, "angle row bin"]

    def weights_at(
        self, fan_angle_deg: Float32[np.ndarray, " height"]
    ) -> Float32[np.ndarray, "height row bin"]:
        """Return weights of signal and variance for rays off the axis, whichever their sign."""
        steps = len(self.fan_weights) - 1
        place = np.clip(np.abs(fan_angle_deg) * (steps / LARGEST_FAN_ANGLE_DEG), 0, steps)
        first = np.minimum(place.astype(np.int64), steps - 1)
        share = (place - first).astype(np.float32)[:, None, None]
        nearer, farther = self.fan_weights[first], self.fan_weights[first + 1]
        return np.asarray(nearer + share * (farther - nearer), np.float32)

    def at(self, fan_angle_deg: float) -> Beam:
        """Return the beam of the rays at one angle off the axis, as if it were an axis."""
        weights = self.weights_at(np.asarray([fan_angle_deg], np.float32))
        count = len(self.signal)
        fan = np.repeat(weights, len(self.fan_weights), 0)
        return replace(
            self, signal=weights[0, :count], variance=weights[0, count:], fan_weights=fan
        )


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
    from_fine = _decay(materials, fine)
    exact = from_fine @ moments.T
    best_error, chosen = np.inf, fine
    for reach in _REACHES:
        energies = np.geomspace(_FIRST_NODE_MEV, reach * max(endpoint_mev), bin_count)
        decay = _decay(materials, energies)
        fits = [_fit_weights(decay, exact[:, row]) for row in range(len(moments))]
        error = max(error for _, error in fits)
        if error < best_error:
            best_error, chosen = error, energies
    decay, fan = _decay(materials, chosen), []
    for angle in _FAN_ANGLES_DEG:
        moments = _moments(endpoint_mev, float(angle))[1]
        wanted = from_fine @ moments.T
        fitted = np.stack([_fit_weights(decay, column)[0] for column in wanted.T])
        fan.append(fitted * (moments.sum(1) / fitted.sum(1))[:, None])
    weights = np.stack(fan).astype(np.float32)
    columns = np.stack([mass_attenuation_cm2_per_g(name, chosen) for name in materials], 1)
    count = len(endpoint_mev)
    on_axis = weights[0, :count], weights[0, count:]
    return Beam(endpoint_mev, materials, columns.astype(np.float32), *on_axis, weights)


def _moments(
    endpoint_mev: tuple[float, ...], fan_angle_deg: float = 0.0
) -> tuple[Float64[np.ndarray, " fine"], Float64[np.ndarray, "row fine"]]:
    """Return photon energies and the share of each in signal, then in variance, per end-point."""
    fine = np.arange(LOWEST_ENERGY_MEV, max(endpoint_mev), _FINE_WIDTH_MEV) + _FINE_WIDTH_MEV / 2
    spectra = [
        linac_spectrum(e, energy_mev=fine, fan_angle_deg=fan_angle_deg) for e in endpoint_mev
    ]
    photons = np.stack([spectrum.photons for spectrum in spectra])
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
    beam: Beam,
    areal_density_g_per_cm2: Float32[np.ndarray, "material height width"],
    fan_angle_deg: Float32[np.ndarray, " height"] | None = None,
) -> tuple[Float32[np.ndarray, "energy height width"], Float32[np.ndarray, "energy height width"]]:
    """Return noise-free transmission and its quantum variance for one incident photon a pixel.

    Beer-Lambert holds for every photon energy: T = sum_k w_k exp(-sum_m mu_km x_m). Air has the
    transmission 1 in every row, as after calibration.

    Args:
        beam: weights and coefficients.
        areal_density_g_per_cm2: on the detector grid.
        fan_angle_deg: of every row, between its ray and the axis of the beam; 0 if absent.
    """
    used = [i for i in range(len(beam.materials)) if areal_density_g_per_cm2[i].any()]
    _, height, width = areal_density_g_per_cm2.shape
    minus_mu = -beam.mass_attenuation_cm2_per_g[:, used]
    angles = np.zeros(height, np.float32) if fan_angle_deg is None else fan_angle_deg
    weights = beam.weights_at(angles)
    result = np.empty((weights.shape[1], height, width), np.float32)
    rows = max(_BLOCK_PIXELS // max(width, 1), 1)
    for start in range(0, height, rows):
        part = slice(start, start + rows)
        block = areal_density_g_per_cm2[used, part]
        if block.any():
            exponent = minus_mu @ block.reshape(len(used), -1)
            # OpenCV's exponential is five times as fast as numpy's and as exact (2e-7).
            passed = cv2.exp(exponent, dst=exponent).reshape(len(minus_mu), -1, width)
            mixed = weights[part] @ passed.transpose(1, 0, 2)
            result[:, part] = mixed.transpose(1, 0, 2)
        else:
            result[:, part] = weights[part].sum(2).T[:, :, None]
    energies = len(beam.signal)
    return result[:energies], result[energies:]
