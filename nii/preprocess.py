"""Scan → model input: the one function that training and inference share.

A model sees a scan twice. `detail` is the whole scan at native resolution, for small threats.
`overview` is the same scan brought to a fixed height, for what is metres long: vehicle and
containers. Both carry four channels:

====================  ============================================================================
``attenuation_high``  −ln T of the highest energy, companded: ln(1 + attenuation / `knee`) / 2
``attenuation_low``   the same for the lowest energy; a copy of the first where there is one energy
``ratio``             (attenuation_low / attenuation_high − `ratio_centre`) · `ratio_gain`, zero in
                      air and where there is one energy; separates organic from metallic
``validity``          1 where the scan has two energies, 0 where it has one
====================  ============================================================================

Companding gives thin things as much of the range as thick ones: a package in an empty container
differs from its background by an attenuation of 0.2, while the engine beside it reaches 8. With
it a network fitted two batches of crops faster than without (one run each, see docs/log.md).

A display image enters as if its grey were a transmission: the grey curve is unknown, so the model
must have been trained on many curves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float32, Shaped, UInt16

from nii.scan import AnyScan, Scan, StoredScan

CHANNELS = ("attenuation_high", "attenuation_low", "ratio", "validity")
_ROWS_A_TURN = 32


@dataclass(frozen=True, slots=True)
class PreprocessSpec:
    """Facts that a model needs about its input; they travel inside its bundle."""

    channels: tuple[str, ...] = CHANNELS
    """Names of the input channels, in order."""
    transmission_floor: float = 1.0 / 65535.0
    """Smallest transmission told apart from nothing: one step of 16 bits."""
    attenuation_floor: float = -0.1
    """Lower limit of attenuation: noise in air reaches slightly below zero."""
    knee: float = 0.25
    """Attenuation up to which companding is nearly linear: two container walls have 0.15."""
    ratio_centre: float = 1.15
    """Ratio of attenuations that becomes 0: between organic (1.22) and steel (1.10) at 9/6 MeV."""
    ratio_gain: float = 6.0
    """Stretch of the ratio channel."""
    ratio_limit: float = 1.5
    """Absolute limit of the ratio channel after stretching."""
    ratio_air: float = 0.05
    """Attenuation below which the ratio is noise and set to 0."""
    overview_height: int = 128
    """Height of the overview in pixels."""
    overview_multiple: int = 32
    """The width of the overview is padded with air to a multiple of this."""
    detail_multiple: int = 16
    """Height and width of the detail are padded with air to multiples of this."""

    def __post_init__(self) -> None:
        """Check that this version can make such an input.

        Raises:
            ValueError: the channels are others, or companding has no value for bright noise.
        """
        if self.channels != CHANNELS:
            msg = f"channels {self.channels} are not those of this version, {CHANNELS}"
            raise ValueError(msg)
        if not -self.attenuation_floor < self.knee:
            msg = f"knee {self.knee} is not above {-self.attenuation_floor}, the brightest noise"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class ModelInput:
    """Hold the two views of one scan.

    Attributes:
        detail: channels at native resolution, padded at the bottom and the right.
        overview: channels at `overview_height`, padded at the right.
        height: rows of the scan before padding.
        width: columns of the scan before padding.
        overview_scale: scan pixels per overview pixel, the same along both axes.
    """

    detail: Float32[np.ndarray, "channel height width"]
    overview: Float32[np.ndarray, "channel overview_height overview_width"]
    height: int
    width: int
    overview_scale: float


def preprocess(scan: AnyScan, spec: PreprocessSpec) -> ModelInput:
    """Return what a model with `spec` expects to see of `scan`."""
    below, right = -scan.height % spec.detail_multiple, -scan.width % spec.detail_multiple
    padded = np.zeros((len(CHANNELS), scan.height + below, scan.width + right), np.float32)
    detail = padded[:, : scan.height, : scan.width]
    _fill(detail, scan, spec)
    overview, scale = overview_channels(detail, spec)
    return ModelInput(padded, overview, scan.height, scan.width, scale)


def detail_channels(
    scan: AnyScan, spec: PreprocessSpec
) -> Float32[np.ndarray, "channel height width"]:
    """Return the four channels at native resolution, without padding."""
    channels = np.zeros((len(CHANNELS), scan.height, scan.width), np.float32)
    _fill(channels, scan, spec)
    return channels


def _fill(
    channels: Float32[np.ndarray, "channel height width"], scan: AnyScan, spec: PreprocessSpec
) -> None:
    """Write the channels of a scan into a fresh array, some rows at a time.

    The rows of one turn stay in the cache of the processor: twice as fast as whole planes.
    """
    for first in range(0, scan.height, _ROWS_A_TURN):
        rows = slice(first, first + _ROWS_A_TURN)
        if isinstance(scan, Scan):
            _fill_rows(channels[:, rows], scan, rows, spec)
        else:
            _look_up_rows(channels[:, rows], scan, rows, spec)
    if scan.energy_count == 1:
        channels[1] = channels[0]
    channels[3] = scan.energy_count > 1


def _fill_rows(
    channels: Float32[np.ndarray, "channel rows width"],
    scan: Scan,
    rows: slice,
    spec: PreprocessSpec,
) -> None:
    """Compute the channels of some rows from transmission."""
    high = _attenuation(scan.transmission[0, rows], spec)
    channels[0] = _companded(high, spec)
    if scan.energy_count > 1:
        low = _attenuation(scan.transmission[-1, rows], spec)
        channels[1] = _companded(low, spec)
        channels[2] = _ratio(high, low, spec)


def _look_up_rows(
    channels: Float32[np.ndarray, "channel rows width"],
    scan: StoredScan,
    rows: slice,
    spec: PreprocessSpec,
) -> None:
    """Look the channels of some rows up by their levels: five times as fast, the same values."""
    attenuation, companded = _tables(scan.open_beam, spec)
    look_up(scan.levels[0][rows], companded, channels[0])
    if scan.energy_count > 1:
        look_up(scan.levels[-1][rows], companded, channels[1])
        high, low = (look_up(scan.levels[energy][rows], attenuation) for energy in (0, -1))
        channels[2] = _ratio(high, low, spec)


def look_up(
    levels: UInt16[np.ndarray, "rows columns"],
    table: Shaped[np.ndarray, " level"],
    out: Shaped[np.ndarray, "rows columns"] | None = None,
) -> Shaped[np.ndarray, "rows columns"]:
    """Return the entry of a table with 65,536 of them for each level, in `out` if it is given.

    OpenCV does it twice as fast as NumPy, which first makes every index eight bytes wide.
    """
    native = np.asarray(levels, np.uint16)  # a file may hold the other order of bytes
    found = cv2.LUT(native, table, dst=out)
    if out is not None and not np.shares_memory(found, out):
        out[:] = found  # OpenCV makes a picture of its own where it cannot write into this one
    return np.asarray(found).reshape(levels.shape)


@lru_cache(maxsize=4)
def _tables(
    open_beam: int, spec: PreprocessSpec
) -> tuple[Float32[np.ndarray, " level"], Float32[np.ndarray, " level"]]:
    """Return attenuation and companded attenuation of every 16-bit level."""
    levels = np.arange(1 << 16, dtype=np.uint16)[None]
    transmission = np.divide(levels, np.float32(open_beam), dtype=np.float32)
    attenuation = _attenuation(transmission, spec)
    return attenuation[0], _companded(attenuation, spec)[0]


def overview_channels(
    detail: Float32[np.ndarray, "channel height width"], spec: PreprocessSpec
) -> tuple[Float32[np.ndarray, "channel overview_height overview_width"], float]:
    """Return the channels at overview height, padded at the right, and scan pixels per pixel."""
    columns, scale = overview_width(detail.shape[1], detail.shape[2], spec)
    size = (columns, spec.overview_height)
    small = np.empty((len(detail), size[1], size[0]), np.float32)
    for channel, plane in zip(detail[:3], small[:3], strict=True):
        plane[:] = cv2.resize(channel, size, interpolation=cv2.INTER_AREA)
    small[3] = detail[3, 0, 0]  # the validity channel is the same everywhere
    return pad_to_multiple(small, 1, spec.overview_multiple), scale


def overview_width(height: int, width: int, spec: PreprocessSpec) -> tuple[int, float]:
    """Return the columns of the overview before padding, and scan pixels per overview pixel."""
    scale = height / spec.overview_height
    return max(1, round(width / scale)), scale


def pad_to_multiple(
    channels: Float32[np.ndarray, "channel height width"], rows: int, columns: int
) -> Float32[np.ndarray, "channel padded_height padded_width"]:
    """Return the channels with zeros (air) below and to the right, up to the next multiples."""
    below, right = -channels.shape[1] % rows, -channels.shape[2] % columns
    if not below and not right:
        return channels
    return np.pad(channels, ((0, 0), (0, below), (0, right)))


def _companded(
    attenuation: Float32[np.ndarray, "height width"], spec: PreprocessSpec
) -> Float32[np.ndarray, "height width"]:
    """Return ln(1 + attenuation / knee) / 2."""
    companded: Float32[np.ndarray, "height width"]
    companded = np.multiply(attenuation, np.float32(1 / spec.knee))
    companded += np.float32(1)
    cv2.log(companded, dst=companded)
    companded *= np.float32(0.5)
    return companded


def _ratio(
    high: Float32[np.ndarray, "height width"],
    low: Float32[np.ndarray, "height width"],
    spec: PreprocessSpec,
) -> Float32[np.ndarray, "height width"]:
    """Return the ratio channel of two attenuations."""
    ratio: Float32[np.ndarray, "height width"] = np.maximum(high, np.float32(spec.ratio_air))
    np.divide(low, ratio, out=ratio)
    ratio -= np.float32(spec.ratio_centre)
    ratio *= np.float32(spec.ratio_gain)
    np.clip(ratio, -spec.ratio_limit, spec.ratio_limit, out=ratio)
    ratio *= high >= spec.ratio_air
    return ratio


def _attenuation(
    transmission: Float32[np.ndarray, "height width"], spec: PreprocessSpec
) -> Float32[np.ndarray, "height width"]:
    attenuation = cv2.log(np.maximum(transmission, np.float32(spec.transmission_floor)))
    np.negative(attenuation, out=attenuation)
    np.maximum(attenuation, np.float32(spec.attenuation_floor), out=attenuation)
    return np.asarray(attenuation, np.float32)
