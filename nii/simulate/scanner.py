"""Scanner: scene → Scan through beam and detector, and Scan → 8-bit picture for the eye."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import as_file, files
from typing import Any, Literal

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from nii import config as settings
from nii.errors import ConfigError
from nii.physics.beam import Beam, make_beam, transmit
from nii.physics.detector import DetectorConfig, detect
from nii.provenance import Provenance
from nii.scan import Grey, Scan
from nii.simulate.geometry import Fan
from nii.simulate.scene import Scene

PRESETS = (
    "linac_9_6",
    "linac_6_4",
    "linac_6_3.5",
    "linac_6",
    "betatron_7_5",
    "mobile_6_4",
    "portal_9_6",
    "rail_9_6",
)
"""Scanners that :func:`preset` knows; each is a file in ``presets/`` with its sources."""


@dataclass(frozen=True, slots=True)
class Range:
    """Say how a setting varies from scan to scan.

    Attributes:
        low: lower limit, one number for each part of the setting.
        high: upper limit.
        scale: whether the number or its logarithm is uniform.
        choices: values to choose from instead.
        share: share of scans in which the setting is drawn; in the others it keeps its value.
    """

    low: float | tuple[float, ...] = 0.0
    high: float | tuple[float, ...] = 0.0
    scale: Literal["linear", "log"] = "linear"
    choices: tuple[float, ...] = ()
    share: float = 1.0

    def __post_init__(self) -> None:
        """Check that something can be drawn.

        Raises:
            ValueError: the limits are exchanged, or there is no logarithm.
        """
        low, high = np.atleast_1d(self.low), np.atleast_1d(self.high)
        if low.shape != high.shape or (low > high).any():
            msg = f"limits {self.low} to {self.high} do not rise"
            raise ValueError(msg)
        if self.scale == "log" and low.min() <= 0:
            msg = f"a logarithmic range cannot start at {self.low}"
            raise ValueError(msg)

    def draw(self, rng: np.random.Generator) -> float | tuple[float, ...]:
        """Draw a value."""
        if self.choices:
            return float(rng.choice(self.choices))
        low, high = self.low, self.high
        if not isinstance(low, tuple) and not isinstance(high, tuple):
            return self._between((low, high), rng)
        pairs = zip(np.atleast_1d(low), np.atleast_1d(high), strict=True)
        return tuple(self._between(pair, rng) for pair in pairs)

    def _between(self, limits: tuple[float, float], rng: np.random.Generator) -> float:
        low, high = limits
        if self.scale == "log":
            return math.exp(rng.uniform(math.log(low), math.log(high)))
        return float(rng.uniform(low, high))


@dataclass(frozen=True, slots=True)
class ScannerConfig:
    """Describe one scanner."""

    name: str = "linac 9/6 MeV"
    """Name that its scans carry."""
    endpoint_mev: tuple[float, ...] = (9.0, 6.0)
    """End-point energies, falling."""
    bin_count: int = 8
    """Photon energies in the forward model; 8 keep -ln T within 0.3 % up to 200 g/cm2 of steel."""
    speed_variation: float = 0.0
    """Relative standard deviation of the speed within a scan, see :mod:`nii.simulate.sweep`."""
    speed_period_px: float = 1500.0
    """Columns over which the speed changes."""
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    """What the detector does."""
    ranges: dict[str, Range] = field(default_factory=dict)
    """Fields of this class or of `detector` to the range that :func:`vary` draws them from."""

    def __post_init__(self) -> None:
        """Check that every range belongs to a field.

        Raises:
            ValueError: it does not.
        """
        known = {*_names(DetectorConfig), "speed_variation", "speed_period_px"}
        if unknown := sorted(set(self.ranges) - known):
            msg = f"ranges of {', '.join(unknown)}, which are no settings of a detector"
            raise ValueError(msg)


@cache
def _names(kind: type) -> frozenset[str]:
    return frozenset(entry.name for entry in dataclasses.fields(kind))


@cache
def preset(name: str) -> ScannerConfig:
    """Return the scanner called `name` in `PRESETS`.

    Raises:
        ConfigError: there is none.
    """
    if name not in PRESETS:
        raise ConfigError(
            name,
            found="an unknown scanner",
            expected=f"one of {', '.join(PRESETS)}",
            remedy="See PRESETS in nii/simulate/scanner.py.",
        )
    with as_file(files("nii.simulate").joinpath("presets", f"{name}.toml")) as path:
        return settings.load(path, ScannerConfig)


def vary(scanner: ScannerConfig, rng: np.random.Generator) -> ScannerConfig:
    """Return the scanner with every setting that has a range drawn anew."""
    whole: dict[str, Any] = {}
    detector: dict[str, Any] = {}
    for name, limits in scanner.ranges.items():
        drawn, used = limits.draw(rng), rng.random() < limits.share
        if name in _names(DetectorConfig):
            kind = type(getattr(scanner.detector, name))
            detector |= {name: kind(drawn)} if used else {}
        elif used:
            whole[name] = drawn
    return replace(scanner, detector=replace(scanner.detector, **detector), **whole)


def acquire(scene: Scene, scanner: ScannerConfig, rng: np.random.Generator) -> Scan:
    """Return the scan that `scanner` makes of `scene`, quantised to steps of 1/65535.

    Args:
        scene: areal densities on the detector grid.
        scanner: beams and detector.
        rng: source of noise.
    """
    beam = beam_of(scanner, scene.materials)
    angles = None if scene.fan is None else scene.fan.angle_deg()
    ideal, unit_variance = transmit(beam, scene.areal_density_g_per_cm2, angles)
    facts = {"scanner": settings.to_dict(replace(scanner, ranges={}))}
    if scene.fan is not None:
        facts["fan"] = settings.to_dict(scene.fan)
    return Scan(
        transmission=detect(ideal, unit_variance, scanner.detector, rng),
        endpoint_mev=scanner.endpoint_mev,
        pixel_pitch_mm=scene.pixel_pitch_mm,
        scanner=scanner.name,
        provenance=Provenance(
            steps=("simulated: solid shapes, polychromatic Beer-Lambert, detector noise",),
            settings=facts,
        ),
    )


def fan_of(scan: Scan) -> Fan | None:
    """Return the rays of a simulated scan's rows; None where nothing is known of them.

    A part of a scan with other rows than its own facts say counts as unknown.
    """
    known = scan.provenance.settings.get("fan")
    if not isinstance(known, dict) or known.get("rows") != scan.height:
        return None
    return settings.from_dict(Fan, known)


def beam_of(scanner: ScannerConfig, materials: tuple[str, ...]) -> Beam:
    """Return the forward model of a scanner for some materials; made once."""
    return _beam(scanner.endpoint_mev, materials, scanner.bin_count)


@cache
def _beam(endpoint_mev: tuple[float, ...], materials: tuple[str, ...], bin_count: int) -> Beam:
    return make_beam(endpoint_mev, materials, bin_count)


def cut(scan: Scan, window_xyxy: tuple[int, int, int, int]) -> Scan:
    """Return a part of a scan, in pixels, that still knows the rays of its rows."""
    x0, y0, x1, y1 = window_xyxy
    fan = fan_of(scan)
    facts = dict(scan.provenance.settings)
    if fan is not None:
        facts["fan"] = settings.to_dict(fan.window(y0, y1 - y0))
    return replace(
        scan,
        transmission=np.ascontiguousarray(scan.transmission[:, y0:y1, x0:x1]),
        provenance=replace(scan.provenance, settings=facts),
    )


@dataclass(frozen=True, slots=True)
class DisplayCurve:
    """Describe one vendor's way from transmission to grey.

    Attributes:
        gamma: exponent of the transmission; below 1 lifts the dark parts.
        black: grey (after gamma) that is shown as black.
        white: grey of the open beam.
        local: strength of local contrast, 0 is none.
        margins: columns of dead picture, (left, right).
        margin_grey: their grey.
        bright_rows: rows of dead detector elements, shown bright.
        stripe: relative standard deviation of fine horizontal stripes.
    """

    gamma: float = 0.65
    black: float = 0.1
    white: float = 0.996
    local: float = 0.0
    margins: tuple[int, int] = (0, 0)
    margin_grey: float = 0.0
    bright_rows: tuple[int, ...] = ()
    stripe: float = 0.0


def draw_curve(height: int, width: int, rng: np.random.Generator) -> DisplayCurve:
    """Draw a display curve for a scan of the given size."""
    curve = DisplayCurve(
        gamma=float(np.exp(rng.uniform(np.log(0.4), np.log(1.1)))),
        black=float(rng.uniform(0.0, 0.2)),
        white=float(rng.choice([1.0, 0.996, rng.uniform(0.9, 1.0)])),
        local=float(rng.choice([0.0, 0.0, 0.0, rng.uniform(0.1, 0.6)])),
    )
    if rng.random() < 0.18:  # noqa: PLR2004
        dead = rng.integers(0, max(width // 4, 1), 2) * (rng.random(2) < 0.6)  # noqa: PLR2004
        curve = replace(
            curve,
            margins=(int(dead[0]), int(dead[1])),
            margin_grey=float(rng.choice([0.0, 0.0, 0.5, 1.0])),
        )
    if rng.random() < 0.2:  # noqa: PLR2004
        rows = rng.integers(0, height, int(rng.integers(1, 6)))
        curve = replace(curve, bright_rows=tuple(int(row) for row in rows))
    if rng.random() < 0.15:  # noqa: PLR2004
        curve = replace(curve, stripe=float(rng.uniform(0.002, 0.02)))
    return curve


def render_display(scan: Scan, rng: np.random.Generator, curve: DisplayCurve | None = None) -> Scan:
    """Return the scan as an 8-bit display image with one channel; boxes stay where they are.

    Dense parts run into black and the energies are merged, as in the pictures that scanners
    export. Margins cover the outermost columns; they are drawn only where they hide open beam.

    Args:
        scan: a transmission scan.
        rng: draws the curve where none is given, and the stripes.
        curve: how grey depends on transmission.
    """
    if curve is None:
        curve = draw_curve(scan.height, scan.width, rng)
    grey = np.asarray(scan.transmission.mean(0), np.float32)
    np.clip(grey, 0, 1, out=grey)
    if curve.stripe > 0:
        stripes = rng.standard_normal(scan.height, dtype=np.float32)[:, None]
        grey *= 1 + np.float32(curve.stripe) * stripes
    levels = _table(curve)[np.clip(grey * 65535, 0, 65535).astype(np.uint16)]
    if curve.local > 0:
        levels = _local_contrast(levels, curve.local)
    for row in curve.bright_rows:
        levels[row] = np.maximum(levels[row], int(curve.white * 250))
    levels = _cover(levels, curve, scan)
    picture = (levels.astype(np.float32) / np.float32(255))[None]
    return replace(
        scan,
        transmission=picture,
        grey=Grey.DISPLAY,
        endpoint_mev=None,
        provenance=scan.provenance.with_step("rendered as 8-bit display image"),
    )


def _table(curve: DisplayCurve) -> UInt8[np.ndarray, " 65536"]:
    """Return the grey level of every 16-bit step of transmission."""
    transmission = np.arange(65536, dtype=np.float32) / np.float32(65535)
    lifted = (transmission**curve.gamma - curve.black) / (1 - curve.black)
    return np.asarray(np.rint(np.clip(lifted, 0, 1) * curve.white * 255), np.uint8)


def _local_contrast(
    levels: UInt8[np.ndarray, "height width"], strength: float
) -> UInt8[np.ndarray, "height width"]:
    equaliser = cv2.createCLAHE(clipLimit=1.0 + 2 * strength, tileGridSize=(4, 8))
    mixed = cv2.addWeighted(levels, 1 - strength, equaliser.apply(levels), strength, 0)
    return np.asarray(mixed, np.uint8)


def _cover(
    levels: UInt8[np.ndarray, "height width"], curve: DisplayCurve, scan: Scan
) -> UInt8[np.ndarray, "height width"]:
    """Return the picture with dead margins, up to the first column that shows more than air."""
    profile: Float32[np.ndarray, " width"] = scan.transmission[0].min(0)
    dense = np.flatnonzero(profile < 0.8)  # noqa: PLR2004
    first, last = (int(dense[0]), int(dense[-1]) + 1) if len(dense) else (0, scan.width)
    left = min(curve.margins[0], first)
    right = min(curve.margins[1], scan.width - last)
    grey = round(curve.margin_grey * 255)
    covered = levels.copy()
    covered[:, :left] = grey
    covered[:, scan.width - right :] = grey
    return covered
