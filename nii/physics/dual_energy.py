"""Dual energy: attenuation at two end-points → areal density and class of material, with doubt.

A step wedge of each calibration material gives a curve in the plane of both attenuations. What is
measured lies near some curves and far from others; the noise says how much that means. Curves
cross (thin lead looks like water or aluminium, noise or not), so that the answer is a probability
for each class and never one atomic number.

Reference: Lalor and Danagoulian, arXiv 2301.05783 (ambiguity); Chen, Zhao and Li, arXiv 1411.7742
(curves from wedges, decision on segments).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, Int64

from nii.errors import ConfigError
from nii.physics.attenuation import by_name

WEDGES = (
    *("polyethylene", "water", "graphite"),
    *("concrete", "aluminium", "salt"),
    *("titanium", "iron", "copper"),
    *("tin", "tungsten", "lead", "uranium"),
)
"""Materials of the step wedges, three or four for each class so that they span it: with and without
hydrogen, light and heavy. What lies between two of them is within `CURVE_TOLERANCE`."""
_STEPS_G_PER_CM2 = np.concatenate([[-4.0, -2.0, -1.0, 0.0], np.geomspace(0.25, 320.0, 96)])
"""Steps of a wedge. Those below nothing let noise around air be decoded without a bias."""
CURVE_TOLERANCE = 0.002
"""Standard deviation of a calibrated curve relative to -ln T: what scatter, drift and the next
material between two wedges leave over (assumption; semiZ differs by 0.001 to 0.004)."""
_Z_LIMITS = (10.0, 20.0, 40.0)
"""Upper effective atomic number of organic, mineral and steel. The field draws the lines at 10, 18
and about 55; ours lie in the gaps between common goods: chlorides and cement, copper, tin."""


class MaterialClass(StrEnum):
    """What an officer is told about a material, in the order of the probabilities."""

    ORGANIC = "organic"
    MINERAL = "mineral or light metal"
    STEEL = "steel"
    HEAVY = "heavy metal"


CLASSES = tuple(MaterialClass)


@runtime_checkable
class ForwardModel(Protocol):
    """Predict transmission as a sum of exponentials; `nii.physics` calls one a beam."""

    @property
    def materials(self) -> tuple[str, ...]:
        """Return the names of the columns of the coefficients."""

    @property
    def mass_attenuation_cm2_per_g(self) -> Float32[np.ndarray, "bin material"]:
        """Return the coefficient of every bin of photon energy."""

    @property
    def signal(self) -> Float32[np.ndarray, "energy bin"]:
        """Return the share of the open-beam signal in every bin; the highest energy first."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Hold what decoding needs to know about one beam at one angle of the fan.

    Attributes:
        signal: share of the open-beam signal in every bin, highest energy first.
        mass_attenuation_cm2_per_g: coefficient of every wedge material in every bin.
        materials: names of the wedge materials.
        z_eff: their effective atomic numbers.
        class_ids: index of each in `CLASSES`.
    """

    signal: Float64[np.ndarray, "2 bin"]
    mass_attenuation_cm2_per_g: Float64[np.ndarray, "bin wedge"]
    materials: tuple[str, ...]
    z_eff: Float64[np.ndarray, " wedge"]
    class_ids: Int64[np.ndarray, " wedge"]

    def attenuation(
        self, areal_density_g_per_cm2: Float64[np.ndarray, "*any wedge"]
    ) -> Float64[np.ndarray, "*any 2"]:
        """Return -ln T at both energies for areal densities of the wedge materials."""
        depth = areal_density_g_per_cm2 @ self.mass_attenuation_cm2_per_g.T
        return np.asarray(-np.log(np.exp(-depth) @ self.signal.T))


@dataclass(frozen=True, slots=True)
class FanCalibration:
    """Hold a calibration for every whole degree between rays and axis, and the angle of each row.

    Attributes:
        angles_deg: angle of every row of a scan, rounded to whole degrees, without its sign.
        calibrations: of every angle that occurs.
    """

    angles_deg: Int64[np.ndarray, " height"]
    calibrations: dict[int, Calibration]

    def at_row(self, row: float) -> Calibration:
        """Return the calibration of a row."""
        place = min(max(int(row), 0), len(self.angles_deg) - 1)
        return self.calibrations[int(self.angles_deg[place])]


@dataclass(frozen=True, slots=True)
class Decoded:
    """Hold what n measurements say.

    Attributes:
        probabilities: of each class in `CLASSES`; rows add up to 1.
        areal_density_g_per_cm2: mean over all wedge materials, weighted by their probability.
        areal_density_sigma: its standard deviation, noise and unknown material together.
        z_eff: effective atomic number, geometric mean over the wedge materials.
        z_eff_sigma: its standard deviation.
        misfit: distance to the nearest curve in standard deviations; above 3 no calibrated
            material explains the measurement (noise, edge, or a sign of a wrong calibration).
        wedge_g_per_cm2: probable areal density of each wedge material; adds up to the second.
    """

    probabilities: Float64[np.ndarray, "n 4"]
    areal_density_g_per_cm2: Float64[np.ndarray, " n"]
    areal_density_sigma: Float64[np.ndarray, " n"]
    z_eff: Float64[np.ndarray, " n"]
    z_eff_sigma: Float64[np.ndarray, " n"]
    misfit: Float64[np.ndarray, " n"]
    wedge_g_per_cm2: Float64[np.ndarray, "n wedge"]

    @property
    def materials(self) -> tuple[MaterialClass, ...]:
        """Return the most probable class of every measurement."""
        return tuple(CLASSES[index] for index in self.probabilities.argmax(1))


def class_of(z_eff: float) -> MaterialClass:
    """Return the class to which a material of that effective atomic number belongs."""
    return CLASSES[int(np.searchsorted(_Z_LIMITS, z_eff, side="right"))]


def calibrate(beam: ForwardModel) -> Calibration:
    """Return the calibration of a beam that was made with materials of all four classes.

    Raises:
        ConfigError: the beam has not two energies, or a class is missing.
    """
    if len(beam.signal) != 2:  # noqa: PLR2004
        raise ConfigError(
            "dual-energy decoding",
            found=f"a beam with {len(beam.signal)} energies",
            expected="two energies",
            remedy="Choose a dual-energy scanner, for example linac_9_6.",
        )
    z_eff = np.asarray([by_name(name).z_eff for name in beam.materials])
    class_ids = np.asarray([CLASSES.index(class_of(z)) for z in z_eff], np.int64)
    missing = sorted(set(range(len(CLASSES))) - set(class_ids.tolist()))
    if missing:
        raise ConfigError(
            "dual-energy decoding",
            found=f"no wedge of {', '.join(CLASSES[index] for index in missing)}",
            expected="materials of every class",
            remedy="Make the beam with the materials in nii.physics.dual_energy.WEDGES.",
        )
    return Calibration(
        np.asarray(beam.signal, np.float64),
        np.asarray(beam.mass_attenuation_cm2_per_g, np.float64),
        beam.materials,
        z_eff,
        class_ids,
    )


def calibrate_fan(
    beam_at: Callable[[float], ForwardModel], fan_angle_deg: Float32[np.ndarray, " height"]
) -> FanCalibration:
    """Return a calibration for every degree of the fan that a scan's rows see.

    Args:
        beam_at: gives the beam at an angle off the axis, see :meth:`nii.physics.beam.Beam.at`.
        fan_angle_deg: of every row, between its ray and the axis.

    Raises:
        ConfigError: as :func:`calibrate`.
    """
    whole = np.rint(np.abs(fan_angle_deg)).astype(np.int64)
    angles = [int(angle) for angle in np.unique(whole)]
    return FanCalibration(whole, {angle: calibrate(beam_at(float(angle))) for angle in angles})


def curves(
    calibration: Calibration, behind_g_per_cm2: Float64[np.ndarray, " wedge"] | None = None
) -> Float64[np.ndarray, "wedge step 2"]:
    """Return what the steps of every wedge add to -ln T at both energies.

    Args:
        calibration: the beam.
        behind_g_per_cm2: what else lies in the beam, as areal densities of the wedge materials. It
            hardens the beam, so that a wedge adds less than in air.
    """
    count = len(calibration.materials)
    behind = np.zeros(count) if behind_g_per_cm2 is None else behind_g_per_cm2
    steps = _STEPS_G_PER_CM2[None, :, None] * np.eye(count)[:, None, :]
    both = calibration.attenuation(steps + behind)
    return np.asarray(both - calibration.attenuation(behind))


def decode(
    attenuation: Float64[np.ndarray, "n 2"],
    sigma: Float64[np.ndarray, "n 2"],
    calibration: Calibration,
    behind_g_per_cm2: Float64[np.ndarray, " wedge"] | None = None,
) -> Decoded:
    """Return material and areal density of n measurements with their uncertainty.

    Every class is equally probable before the measurement, and so is every wedge in its class.

    Args:
        attenuation: -ln T, highest energy first; with `behind_g_per_cm2` only what is added to it.
        sigma: standard deviations of both, errors of calibration included.
        calibration: beam at that place of the fan.
        behind_g_per_cm2: what else lies in the beam, see `curves`.
    """
    fits = [_fit(curve, attenuation, sigma) for curve in curves(calibration, behind_g_per_cm2)]
    grams, grams_sigma, residual, log_likelihood = np.stack(fits, 2)
    sizes = np.bincount(calibration.class_ids, minlength=len(CLASSES))
    weight = np.exp(log_likelihood - log_likelihood.max(1, keepdims=True))
    weight /= sizes[calibration.class_ids]
    weight /= weight.sum(1, keepdims=True)
    member = calibration.class_ids[:, None] == np.arange(len(CLASSES))
    mean, spread = _moments(weight, grams)
    log_z, log_z_spread = _moments(weight, np.log(calibration.z_eff)[None].repeat(len(weight), 0))
    return Decoded(
        probabilities=weight @ member,
        areal_density_g_per_cm2=mean,
        areal_density_sigma=np.hypot(spread, np.sqrt((weight * grams_sigma**2).sum(1))),
        z_eff=np.exp(log_z),
        z_eff_sigma=np.exp(log_z) * log_z_spread,
        misfit=np.abs(residual).min(1),
        wedge_g_per_cm2=weight * grams,
    )


def _fit(
    curve: Float64[np.ndarray, "step 2"],
    attenuation: Float64[np.ndarray, "n 2"],
    sigma: Float64[np.ndarray, "n 2"],
) -> Float64[np.ndarray, "4 n"]:
    """Return areal density, its sigma, residual in sigmas and log-likelihood for one wedge.

    The areal density follows from the high energy; the likelihood of the low energy is that over
    all areal densities, for a curve that is straight over the width of the noise.
    """
    high, low = curve.T
    grams = np.interp(attenuation[:, 0], high, _STEPS_G_PER_CM2)
    predicted = np.interp(attenuation[:, 0], high, low)
    per_gram = np.interp(grams, _STEPS_G_PER_CM2, np.gradient(high, _STEPS_G_PER_CM2))
    slope = np.interp(attenuation[:, 0], high, np.gradient(low, high))
    variance = sigma[:, 1] ** 2 + (slope * sigma[:, 0]) ** 2
    variance += (CURVE_TOLERANCE * predicted) ** 2
    residual = (attenuation[:, 1] - predicted) / np.sqrt(variance)
    log_likelihood = -(residual**2 + np.log(variance)) / 2
    return np.stack([grams, sigma[:, 0] / per_gram, residual, log_likelihood])


def _moments(
    weight: Float64[np.ndarray, "n wedge"], value: Float64[np.ndarray, "n wedge"]
) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """Return weighted mean and standard deviation of every row."""
    mean = (weight * value).sum(1)
    return mean, np.sqrt((weight * (value - mean[:, None]) ** 2).sum(1))
