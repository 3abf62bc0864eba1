"""Background: which areal density of which material a signal passed, and how noisy it is.

A pair of attenuations has two unknowns: an areal density, and a material coordinate that runs along
a chain of materials from polyethylene (0) over aluminium (1) and steel (2) to lead (3). Whole
numbers are pure, numbers between are mixtures of two neighbours by mass. A look-up table of the
beam leads from one to the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from jaxtyping import Float32, Float64

from nii.physics.beam import Beam, transmit
from nii.physics.detector import STEP
from nii.simulate.scanner import ScannerConfig, beam_of

CHAIN = ("polyethylene", "aluminium", "steel", "lead")
"""Materials along which the ratio of attenuations falls."""
STEEL_COORDINATE = 2.0
"""Taken where there is one energy: steel hardens a beam in a container first (assumption)."""
_COORDINATES = np.linspace(0, len(CHAIN) - 1, 49)
_AREAL_DENSITIES = np.concatenate([[0.0], np.geomspace(0.05, 400.0, 96)])
_ATTENUATIONS = np.geomspace(0.01, 11.5, 192)
_SHARES = np.linspace(0, 1, 129)
_WINDOW_PX = 5
_LOWEST_LEVEL = 0.02
"""Transmission from which quanta, not electronics, make the noise of a common scan (assumption)."""
_QUARTILE_OF_NOISE = 0.765
"""Lower quartile over the mean of the power of white noise in cells of 8 x 8 pixels (measured)."""


@dataclass(frozen=True, slots=True)
class Table:
    """Hold the way back from attenuations to areal density and material of one beam.

    Rows are `_ATTENUATIONS` at the highest energy.

    Attributes:
        ratio_limits: largest and smallest ratio of the attenuations that the chain reaches.
        coordinate: material coordinate by row and by place between the two limits.
        areal_density_g_per_cm2: by row and material coordinate.
    """

    ratio_limits: Float32[np.ndarray, "row 2"]
    coordinate: Float32[np.ndarray, "row share"]
    areal_density_g_per_cm2: Float32[np.ndarray, "row coordinate"]


@cache
def table_of(scanner_energies: tuple[float, ...], bin_count: int, fan_angle_deg: int = 0) -> Table:
    """Return the table of the beams with these end-points at an angle to the axis; made once.

    Where the ratio stops falling along the chain (lead at 6/3.5 MeV has that of steel), the lighter
    of two materials with the same ratio is taken.
    """
    scanner = ScannerConfig(endpoint_mev=scanner_energies, bin_count=bin_count)
    beam = beam_of(scanner, CHAIN)
    grid = compose(
        np.repeat(_AREAL_DENSITIES[:, None], len(_COORDINATES), 1).astype(np.float32),
        np.repeat(_COORDINATES[None], len(_AREAL_DENSITIES), 0).astype(np.float32),
    )
    angles = np.full(len(_AREAL_DENSITIES), fan_angle_deg, np.float32)
    attenuation = -np.log(transmit(beam, grid, angles)[0].astype(np.float64))
    columns = range(len(_COORDINATES))
    densities = np.stack(
        [np.interp(_ATTENUATIONS, attenuation[0, :, c], _AREAL_DENSITIES) for c in columns], 1
    )
    low = np.stack(
        [np.interp(densities[:, c], _AREAL_DENSITIES, attenuation[-1, :, c]) for c in columns], 1
    )
    ratio = np.minimum.accumulate(low / _ATTENUATIONS[:, None], 1)
    limits = np.stack([ratio[:, 0], ratio[:, -1]], 1)
    places = limits[:, :1] + (limits[:, 1:] - limits[:, :1]) * _SHARES
    rows = [
        np.interp(-places[k], *_rising(-ratio[k], _COORDINATES)) for k in range(len(_ATTENUATIONS))
    ]
    return Table(
        limits.astype(np.float32), np.stack(rows).astype(np.float32), densities.astype(np.float32)
    )


def _rising(
    x: Float64[np.ndarray, " n"], y: Float64[np.ndarray, " n"]
) -> tuple[Float64[np.ndarray, " m"], Float64[np.ndarray, " m"]]:
    """Return the points at which x exceeds all before."""
    kept = np.append(True, np.diff(x) > 0)
    return x[kept], y[kept]


def compose(
    areal_density_g_per_cm2: Float32[np.ndarray, "height width"],
    coordinate: Float32[np.ndarray, "height width"],
) -> Float32[np.ndarray, "material height width"]:
    """Return the areal density of every material of `CHAIN`."""
    place = np.arange(len(CHAIN), dtype=np.float32)[:, None, None]
    share = np.maximum(1 - np.abs(coordinate[None] - place), 0)
    return np.asarray(share * areal_density_g_per_cm2[None], np.float32)


def decode(
    signal: Float32[np.ndarray, "energy height width"],
    scanner: ScannerConfig,
    fan_angle_deg: float = 0.0,
) -> tuple[Float32[np.ndarray, "height width"], Float32[np.ndarray, "height width"]]:
    """Return areal density in g/cm2 and material coordinate of a noise-free transmission.

    All rows are taken to lie at one angle off the axis of the beam, in whole degrees. With one
    energy the material is taken to be steel. Signals outside the table are moved to its nearest
    entry. Behind less than about 10 g/cm2 the ratio of lead is that of steel and lighter, so that
    thin lead is taken for steel; the signal of the answer is right all the same.
    """
    table = table_of(scanner.endpoint_mev, scanner.bin_count, round(abs(fan_angle_deg)))
    attenuation = -np.log(np.maximum(signal, np.float32(STEP / 16)))
    high = np.maximum(attenuation[0], np.float32(_ATTENUATIONS[0]))
    step = np.log(_ATTENUATIONS[1] / _ATTENUATIONS[0])
    row = np.asarray(np.log(high / _ATTENUATIONS[0]) / step, np.float32)
    row = np.clip(row, 0, len(_ATTENUATIONS) - 1)
    if len(signal) > 1:
        largest = _look_up(table.ratio_limits, row, np.zeros_like(row))
        smallest = _look_up(table.ratio_limits, row, np.ones_like(row))
        span = np.maximum(largest - smallest, 1e-6)
        share = np.clip((largest - attenuation[-1] / high) / span, 0, 1).astype(np.float32)
        coordinate = _look_up(table.coordinate, row, share * np.float32(len(_SHARES) - 1))
    else:
        coordinate = np.full_like(row, STEEL_COORDINATE)
    per_step = np.float32((len(_COORDINATES) - 1) / (len(CHAIN) - 1))
    density = _look_up(table.areal_density_g_per_cm2, row, coordinate * per_step)
    thin = np.clip(attenuation[0] / np.float32(_ATTENUATIONS[0]), 0, 1)
    return np.asarray(density * thin, np.float32), coordinate


def _look_up(
    table: Float32[np.ndarray, "row column"],
    row: Float32[np.ndarray, "height width"],
    column: Float32[np.ndarray, "height width"],
) -> Float32[np.ndarray, "height width"]:
    """Return bilinear values of a table at fractional places."""
    first = np.minimum(row.astype(np.int64), table.shape[0] - 2)
    left = np.minimum(column.astype(np.int64), table.shape[1] - 2)
    down, right = row - first, column - left
    upper = table[first, left] * (1 - right) + table[first, left + 1] * right
    lower = table[first + 1, left] * (1 - right) + table[first + 1, left + 1] * right
    return np.asarray(upper * (1 - down) + lower * down, np.float32)


def unit_variance_behind_steel(
    beam: Beam, signal: Float32[np.ndarray, "energy height width"]
) -> Float32[np.ndarray, "energy height width"]:
    """Return the quantum variance for one photon a pixel that goes with a signal behind steel.

    The material matters little: lead gives 10 to 20 % more at the same signal.
    """
    grid = np.zeros((len(beam.materials), 1, len(_AREAL_DENSITIES)), np.float32)
    grid[beam.materials.index("steel"), 0] = _AREAL_DENSITIES
    known, variance = (np.log(cube[:, 0, ::-1].astype(np.float64)) for cube in transmit(beam, grid))
    wanted = np.log(np.maximum(signal, np.float32(STEP / 16)))
    planes = [
        np.exp(np.interp(wanted[k], known[k], variance[k])).astype(np.float32)
        for k in range(len(signal))
    ]
    return np.stack(planes)


def calm(
    plane: Float32[np.ndarray, "height width"], variance: Float32[np.ndarray, "height width"]
) -> Float32[np.ndarray, "height width"]:
    """Return a plane without its noise, where `variance` says how much of it there is.

    Reference:
        Lee, IEEE Trans. Pattern Anal. Mach. Intell. 2 (1980) 165: local statistics.
    """
    exact = plane.astype(np.float64)
    size = (_WINDOW_PX, _WINDOW_PX)
    mean = np.asarray(cv2.blur(exact, size, borderType=cv2.BORDER_REFLECT_101))
    square = np.asarray(cv2.blur(exact**2, size, borderType=cv2.BORDER_REFLECT_101))
    spread = np.maximum(square - mean**2, 1e-15)
    kept = np.clip(1 - variance / spread, 0, 1)
    return np.asarray(mean + kept * (exact - mean), np.float32)


def noise_by_level(
    plane: Float32[np.ndarray, "height width"], bins: int = 24
) -> tuple[Float64[np.ndarray, " bin"], Float64[np.ndarray, " bin"]]:
    """Return grey levels and the noise variance measured at each, from the calm parts of a scan.

    Reference:
        Immerkaer, Comput. Vis. Image Underst. 64 (1996) 300: a mask that is blind to structure.
    """
    mask = np.asarray([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
    rough = cv2.filter2D(plane, cv2.CV_32F, mask, borderType=cv2.BORDER_REFLECT_101)
    size = (max(plane.shape[1] // 8, 1), max(plane.shape[0] // 8, 1))
    level = np.ravel(cv2.resize(plane, size, interpolation=cv2.INTER_AREA)).astype(np.float64)
    power = np.ravel(cv2.resize(rough**2, size, interpolation=cv2.INTER_AREA)).astype(np.float64)
    edges = np.unique(np.quantile(level, np.linspace(0, 1, bins + 1)))
    owner = np.clip(np.searchsorted(edges, level, side="right") - 1, 0, max(len(edges) - 2, 0))
    groups = [owner == k for k in range(max(len(edges) - 1, 1)) if (owner == k).any()]
    levels = np.asarray([np.median(level[group]) for group in groups])
    quartiles = np.asarray([np.quantile(power[group], 0.25) for group in groups])
    return levels, quartiles / _QUARTILE_OF_NOISE


def measure_photons(
    signal: Float32[np.ndarray, "energy height width"], scanner: ScannerConfig
) -> float:
    """Return the photons a pixel that explain the noise of a scan, electronics aside."""
    beam = beam_of(scanner, CHAIN)
    levels, variance = noise_by_level(signal[0])
    unit = unit_variance_behind_steel(beam, np.tile(levels.astype(np.float32), (len(signal), 1, 1)))
    bright = levels > _LOWEST_LEVEL
    if not bright.any():
        return scanner.detector.photons_per_pixel
    return float(np.median(unit[0, 0][bright] / np.maximum(variance[bright], STEP**2)))
