"""Scanner: scene → Scan through beam and detector, and Scan → 8-bit picture for the eye."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from nii import config as settings
from nii.errors import ConfigError
from nii.physics.detector import Beam, DetectorConfig, detect, make_beam, transmit
from nii.provenance import Provenance
from nii.scan import Grey, Scan
from nii.simulate.scene import Scene


@dataclass(frozen=True, slots=True)
class ScannerConfig:
    """Describe one scanner."""

    name: str = "linac 9/6 MeV"
    """Name that its scans carry."""
    endpoint_mev: tuple[float, ...] = (9.0, 6.0)
    """End-point energies, falling."""
    bin_count: int = 12
    """Bins of photon energy in the forward model; 12 keep -ln T within 0.5 % up to 200 g/cm2."""
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    """What the detector does."""


PRESETS: dict[str, ScannerConfig] = {
    "linac_9_6": ScannerConfig(),
    "linac_6_4": ScannerConfig("linac 6/4 MeV", (6.0, 4.0)),
    "linac_6": ScannerConfig("linac 6 MeV", (6.0,)),
}


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
    return PRESETS[name]


def vary(scanner: ScannerConfig, rng: np.random.Generator) -> ScannerConfig:
    """Return the scanner with a detector drawn anew: dose, blur, scatter and calibration errors.

    The limits are those beside the fields of :class:`nii.physics.detector.DetectorConfig`.
    """
    detector = replace(
        scanner.detector,
        photons_per_pixel=float(np.exp(rng.uniform(np.log(1e4), np.log(1e6)))),
        electronic_noise_steps=float(rng.uniform(1, 3)),
        psf_sigma_px=(float(rng.uniform(0.5, 0.8)), float(rng.uniform(0.5, 1.0))),
        scatter_fraction=float(np.exp(rng.uniform(np.log(1e-3), np.log(2e-2)))),
        pulse_jitter=float(rng.uniform(0, 0.004)),
        row_gain_error=float(rng.uniform(0, 0.003)),
        module_gain_error=float(rng.uniform(0, 0.004)),
        module_rows=int(rng.choice([16, 32, 64])),
        dark_offset_steps=float(rng.uniform(0, 8)),
    )
    return replace(scanner, detector=detector)


def acquire(scene: Scene, scanner: ScannerConfig, rng: np.random.Generator) -> Scan:
    """Return the scan that `scanner` makes of `scene`, quantised to steps of 1/65535.

    Args:
        scene: areal densities on the detector grid.
        scanner: beams and detector.
        rng: source of noise.
    """
    beam = _beam(scanner.endpoint_mev, scene.materials, scanner.bin_count)
    ideal, unit_variance = transmit(beam, scene.areal_density_g_per_cm2)
    return Scan(
        transmission=detect(ideal, unit_variance, scanner.detector, rng),
        endpoint_mev=scanner.endpoint_mev,
        pixel_pitch_mm=scene.pixel_pitch_mm,
        scanner=scanner.name,
        provenance=Provenance(
            steps=("simulated: solid shapes, polychromatic Beer-Lambert, detector noise",),
            settings={"scanner": settings.to_dict(scanner)},
        ),
    )


@cache
def _beam(endpoint_mev: tuple[float, ...], materials: tuple[str, ...], bin_count: int) -> Beam:
    return make_beam(endpoint_mev, materials, bin_count)


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
