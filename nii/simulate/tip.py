"""Threat image projection: put a threat that is known by areal density into a finished scan.

Grey values must not be multiplied: a beam that has passed a load is harder, so the same threat
takes away less of it (16 to 31 % of the contrast behind 100 g/cm2), and differently at each energy.
:func:`insert` therefore asks what the signal has passed, adds the threat's areal density to that,
and runs the forward model of the beam for all energies.

Three ways, always written into the provenance:

* two or more known energies: areal density and material of the background from a look-up table;
* one known energy: areal density from the table, the material taken to be steel;
* unknown spectrum or display image: multiplication by what the threat lets pass in air. Its
  contrast is too strong behind a load.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from nii import config as settings
from nii.errors import ConfigError
from nii.physics.beam import transmit
from nii.physics.detector import (
    STEP,
    DetectorConfig,
    light_kernels,
    normal,
    optical_kernels,
    smooth,
)
from nii.scan import Grey, Scan
from nii.simulate.background import (
    CHAIN,
    calm,
    compose,
    decode,
    measure_photons,
    noise_by_level,
    unit_variance_behind_steel,
)
from nii.simulate.geometry import PARALLEL_M, Geometry
from nii.simulate.scanner import ScannerConfig, beam_of, fan_of
from nii.simulate.shapes import BASIS, extent, project
from nii.simulate.threats import Threat

DISPLAY_GAMMA = 0.65
"""Exponent between transmission and grey of a display image whose curve is unknown (assumption,
the middle of what :class:`nii.simulate.scanner.DisplayCurve` draws)."""
FALLBACK_MEV = (6.0,)
"""End-point that stands for an unknown spectrum (assumption)."""
VISIBLE_G_PER_CM2 = 0.1
"""Areal density from which a pixel belongs to a threat, as in the scenes."""
_VISIBLE_SHARE = 0.05
_MARGIN_PX = 12
_SCATTER_PX = 192
_SAME = 1e-6
"""Difference of two transmissions below a tenth of a step."""

Way = Literal["areal density", "areal density, steel", "multiplication"]


@dataclass(frozen=True, slots=True)
class ThreatImage:
    """Hold a threat as it lies on the pixels of a scan.

    Attributes:
        areal_density_g_per_cm2: per material, row and column; 0 around the threat.
        materials: names in ``physics/materials.csv``.
        name: taxonomy class.
        kind: what it is within the class.
    """

    areal_density_g_per_cm2: Float32[np.ndarray, "material height width"]
    materials: tuple[str, ...]
    name: str
    kind: str

    def __post_init__(self) -> None:
        """Check that there is something to insert.

        Raises:
            ValueError: materials and planes do not belong together, or nothing is there.
        """
        planes = self.areal_density_g_per_cm2
        if len(planes) != len(self.materials):
            msg = f"{len(planes)} planes for the materials {', '.join(self.materials)}"
            raise ValueError(msg)
        if planes.min() < 0 or not planes.any():
            msg = "areal density must not be negative, and somewhere positive"
            raise ValueError(msg)

    @property
    def mask(self) -> Bool[np.ndarray, "height width"]:
        """Return the pixels that belong to the threat."""
        total = self.areal_density_g_per_cm2.sum(0)
        limit = max(VISIBLE_G_PER_CM2, _VISIBLE_SHARE * float(total.max()))
        return np.asarray(total > min(limit, float(total.max()) / 2))


@dataclass(frozen=True, slots=True)
class Inserted:
    """Hold a scan with a threat in it.

    Attributes:
        scan: the new scan; the original is untouched.
        box_xyxy: pixels of the threat, upper bounds exclusive.
        mask: pixels of the threat within the box.
        name: taxonomy class.
        kind: what it is within the class.
        way: how it was inserted, see the head of this file.
    """

    scan: Scan
    box_xyxy: tuple[int, int, int, int]
    mask: Bool[np.ndarray, "height width"]
    name: str
    kind: str
    way: Way


def image_of(
    threat: Threat, pixel_pitch_mm: tuple[float, float], rng: np.random.Generator
) -> ThreatImage:
    """Return a threat on pixels of the given pitch (vertical, horizontal), in a parallel beam."""
    pitch = (pixel_pitch_mm[0] / 1e3, pixel_pitch_mm[1] / 1e3)
    sides = np.asarray([extent(part) for part in threat.parts])
    left, top = float(sides[:, 0].min()), float(sides[:, 3].max())
    width = int(np.ceil((float(sides[:, 1].max()) - left) / pitch[1])) + 2
    height = int(np.ceil((top - float(sides[:, 2].min())) / pitch[0])) + 2
    geometry = Geometry(
        height_px=height,
        width_px=width,
        pitch_m=pitch,
        left_m=left - pitch[1],
        top_m=top + pitch[0],
        source_distance_m=PARALLEL_M,
        source_height_m=0.0,
        skew=0.0,
        mirrored=False,
        sag_px=np.zeros(width, np.float32),
    )
    return ThreatImage(project(threat.parts, geometry, rng), BASIS, threat.name, threat.kind)


def insert(
    scan: Scan,
    threat: ThreatImage,
    where: tuple[int, int],
    rng: np.random.Generator,
    scanner: ScannerConfig | None = None,
) -> Inserted:
    """Return the scan with a threat behind or before what it shows.

    What reaches over the edge of the scan is lost; :func:`nii.simulate.plausibility.doubts` tells.

    Args:
        scan: any scan.
        threat: on pixels of this scan, see :func:`image_of`.
        where: row and column of the image's upper left pixel.
        rng: source of the noise that the lower signal lacks.
        scanner: beams and detector. If absent: what the provenance of a simulated scan says, or
            else the nominal detector at the scan's end-points with the noise measured in the scan.

    Raises:
        ConfigError: the threat lies outside the scan.
    """
    place, part = _window(scan, threat, where)
    if scan.endpoint_mev is None or scan.grey is Grey.DISPLAY:
        way: Way = "multiplication"
        patch = _multiply(scan, part, place, rng)
        remark = "multiplied, too strong behind a load: the spectrum is unknown"
    else:
        scanner = scanner or scanner_of(scan)
        way = "areal density" if scan.energy_count > 1 else "areal density, steel"
        patch = _add(scan, part, place, scanner, rng)
        remark = f"added by {way}" + (" assumed behind it" if scan.energy_count == 1 else "")
    transmission = scan.transmission.copy()
    before = transmission[:, place[0], place[1]]
    # A step of 16 bits has more than one float32; a pixel that keeps its step keeps its value.
    before[...] = np.where(np.abs(patch - before) < _SAME, before, patch)
    mask = part.mask
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = place[0].start, place[1].start
    box = (
        left + int(columns[0]),
        top + int(rows[0]),
        left + int(columns[-1]) + 1,
        top + int(rows[-1]) + 1,
    )
    step = f"threat image projection: {threat.name} ({threat.kind}) {remark}; box {box}"
    return Inserted(
        scan=replace(scan, transmission=transmission, provenance=scan.provenance.with_step(step)),
        box_xyxy=box,
        mask=mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1],
        name=threat.name,
        kind=threat.kind,
        way=way,
    )


def scanner_of(scan: Scan) -> ScannerConfig:
    """Return beams and detector of a scan with known end-points.

    A simulated scan carries them. Otherwise the detector is nominal, and its dose the one that
    explains the noise of the scan.

    Raises:
        ConfigError: the end-points are unknown.
    """
    if scan.endpoint_mev is None:
        raise ConfigError(
            scan.scanner or "scan",
            found="no end-point energies",
            expected="a transmission scan of known spectrum",
            remedy="Set endpoint_mev, or insert by multiplication.",
        )
    known: dict[str, Any] | None = scan.provenance.settings.get("scanner")
    if known and tuple(known.get("endpoint_mev", ())) == scan.endpoint_mev:
        return settings.from_dict(ScannerConfig, known, where="provenance of the scan")
    scanner = ScannerConfig(name=scan.scanner or "unknown", endpoint_mev=scan.endpoint_mev)
    photons = measure_photons(scan.transmission, scanner)
    return replace(scanner, detector=replace(scanner.detector, photons_per_pixel=photons))


def _window(
    scan: Scan, threat: ThreatImage, where: tuple[int, int]
) -> tuple[tuple[slice, slice], ThreatImage]:
    """Return the part of the scan that changes, and the threat on its pixels."""
    top, left = where
    _, height, width = threat.areal_density_g_per_cm2.shape
    rows = slice(max(top - _MARGIN_PX, 0), min(top + height + _MARGIN_PX, scan.height))
    columns = slice(max(left - _MARGIN_PX, 0), min(left + width + _MARGIN_PX, scan.width))
    size = (max(rows.stop - rows.start, 0), max(columns.stop - columns.start, 0))
    planes = np.zeros((len(threat.materials), *size), np.float32)
    down, right = top - rows.start, left - columns.start
    y0, x0 = max(down, 0), max(right, 0)
    y1, x1 = min(down + height, size[0]), min(right + width, size[1])
    if y0 < y1 and x0 < x1:
        seen = threat.areal_density_g_per_cm2[:, y0 - down : y1 - down, x0 - right : x1 - right]
        planes[:, y0:y1, x0:x1] = seen
    if not planes.any():
        raise ConfigError(
            f"{threat.name} at {where}",
            found="a threat outside the scan",
            expected=f"a place within {scan.height} rows and {scan.width} columns",
            remedy="Choose another place.",
        )
    return (rows, columns), replace(threat, areal_density_g_per_cm2=planes)


def _add(
    scan: Scan,
    threat: ThreatImage,
    place: tuple[slice, slice],
    scanner: ScannerConfig,
    rng: np.random.Generator,
) -> Float32[np.ndarray, "energy height width"]:
    """Return the patch with the threat's areal density added to that of the background."""
    detector = scanner.detector
    signal = scan.transmission[:, *place]
    scatter = _scatter(scan, place, detector)
    pedestal = scatter + np.float32(detector.dark_offset_steps * STEP)
    direct = signal - pedestal
    quiet = _quiet(direct / np.float32(1 - detector.scatter_fraction), scanner)
    fan = fan_of(scan)
    angles = np.zeros(scan.height, np.float32) if fan is None else fan.angle_deg()
    before, after, unit_before, unit_after = _forward(quiet, threat, scanner, angles[place[0]])
    written = np.empty_like(signal)
    for energy in range(scan.energy_count):
        ratio = _seen_ratio(before[energy], after[energy], energy, detector)
        clean = np.maximum(quiet[energy], 0) * np.float32(1 - detector.scatter_fraction)
        old = (clean + scatter[energy]) * unit_before[energy] / before[energy]
        new = (clean * ratio + scatter[energy]) * unit_after[energy] / after[energy]
        missing = np.maximum(new - ratio**2 * old, 0) / np.float32(detector.photons_per_pixel)
        written[energy] = pedestal[energy] + direct[energy] * ratio
        written[energy] += _missing_noise(missing, ratio, detector, rng)
    return _as_written(written, scan, place, detector.saturation)


def _quiet(
    primary: Float32[np.ndarray, "energy height width"], scanner: ScannerConfig
) -> Float32[np.ndarray, "energy height width"]:
    """Return the signal without the noise that the scanner puts into it."""
    unit = unit_variance_behind_steel(beam_of(scanner, CHAIN), np.maximum(primary, 0))
    unit /= np.float32(scanner.detector.photons_per_pixel)
    unit += np.float32((scanner.detector.electronic_noise_steps * STEP) ** 2)
    return np.stack([calm(plane, noise) for plane, noise in zip(primary, unit, strict=True)])


def _missing_noise(
    variance: Float32[np.ndarray, "height width"],
    ratio: Float32[np.ndarray, "height width"],
    detector: DetectorConfig,
    rng: np.random.Generator,
) -> Float32[np.ndarray, "height width"]:
    """Return quantum noise of the given variance, and what the ratio took of the electronics'."""
    size = (int(ratio.shape[0]), int(ratio.shape[1]))
    noise: Float32[np.ndarray, "height width"] = np.sqrt(variance) * normal(size, rng)
    if light := light_kernels(detector):
        noise = np.asarray(cv2.sepFilter2D(noise, cv2.CV_32F, light[1], light[0]), np.float32)
    electronic = np.float32(detector.electronic_noise_steps * STEP)
    noise += electronic * np.sqrt(np.maximum(1 - ratio**2, 0)) * normal(size, rng)
    return noise


def _scatter(
    scan: Scan, place: tuple[slice, slice], detector: DetectorConfig
) -> Float32[np.ndarray, "energy height width"]:
    """Return the scattered signal, which a threat does not take away."""
    rows, columns = place
    around = (
        slice(max(rows.start - _SCATTER_PX, 0), rows.stop + _SCATTER_PX),
        slice(max(columns.start - _SCATTER_PX, 0), columns.stop + _SCATTER_PX),
    )
    inner = (
        slice(rows.start - around[0].start, rows.stop - around[0].start),
        slice(columns.start - around[1].start, columns.stop - around[1].start),
    )
    planes = [smooth(np.ascontiguousarray(plane[around]))[inner] for plane in scan.transmission]
    return np.stack(planes) * np.float32(detector.scatter_fraction)


def _forward(
    quiet: Float32[np.ndarray, "energy height width"],
    threat: ThreatImage,
    scanner: ScannerConfig,
    fan_angle_deg: Float32[np.ndarray, " height"],
) -> tuple[Float32[np.ndarray, "energy height width"], ...]:
    """Return transmission without and with the threat, then the variances for one photon.

    The background is decoded at the angle of the middle row, two degrees from the others at most.
    """
    density, coordinate = decode(quiet, scanner, float(np.median(np.abs(fan_angle_deg))))
    materials = tuple(dict.fromkeys((*CHAIN, *threat.materials)))
    beam = beam_of(scanner, materials)
    grid = np.zeros((len(materials), *density.shape), np.float32)
    grid[: len(CHAIN)] = compose(density, coordinate)
    before, unit_before = transmit(beam, grid, fan_angle_deg)
    for plane, name in zip(threat.areal_density_g_per_cm2, threat.materials, strict=True):
        grid[materials.index(name)] += plane
    after, unit_after = transmit(beam, grid, fan_angle_deg)
    return before, after, unit_before, unit_after


def _seen_ratio(
    before: Float32[np.ndarray, "height width"],
    after: Float32[np.ndarray, "height width"],
    energy: int,
    detector: DetectorConfig,
) -> Float32[np.ndarray, "height width"]:
    """Return after over before as the detector blurs them: the threat's edges are the scan's."""
    kernels = [optical_kernels(energy, detector)]
    if light := light_kernels(detector):
        kernels.append(light)
    for vertical, horizontal in kernels:
        before, after = (
            np.asarray(cv2.sepFilter2D(plane, cv2.CV_32F, horizontal, vertical), np.float32)
            for plane in (before, after)
        )
    return np.asarray(np.minimum(after / before, 1), np.float32)


def _multiply(
    scan: Scan, threat: ThreatImage, place: tuple[slice, slice], rng: np.random.Generator
) -> Float32[np.ndarray, "energy height width"]:
    """Return the patch multiplied by what the threat lets pass in air, with the missing noise."""
    beam = beam_of(ScannerConfig(endpoint_mev=FALLBACK_MEV), threat.materials)
    passed = transmit(beam, threat.areal_density_g_per_cm2)[0][0]
    if scan.grey is Grey.DISPLAY:
        passed = passed ** np.float32(DISPLAY_GAMMA)
    vertical, horizontal = optical_kernels(0, DetectorConfig())
    passed = np.asarray(cv2.sepFilter2D(passed, cv2.CV_32F, horizontal, vertical), np.float32)
    signal = scan.transmission[:, *place]
    written = np.empty_like(signal)
    for energy, plane in enumerate(scan.transmission):
        darker = signal[energy] * passed
        levels, variance = noise_by_level(plane)
        missing = np.interp(darker, levels, variance) - passed**2 * np.interp(
            signal[energy], levels, variance
        )
        spread = np.sqrt(np.maximum(missing, 0)).astype(np.float32)
        size = (int(darker.shape[0]), int(darker.shape[1]))
        written[energy] = darker + spread * normal(size, rng)
    return _as_written(written, scan, place, float(scan.transmission.max()))


def _as_written(
    wanted: Float32[np.ndarray, "energy height width"],
    scan: Scan,
    place: tuple[slice, slice],
    saturation: float,
) -> Float32[np.ndarray, "energy height width"]:
    """Return the patch in the steps of the scan, if it has any: 1/255 in pictures, or 1/65535."""
    signal = scan.transmission[:, *place]
    bounded = np.clip(wanted, 0, np.float32(saturation))
    for steps in (255, 65535) if scan.grey is Grey.DISPLAY else (65535,):
        scaled = signal * np.float32(steps)
        if np.abs(scaled - np.rint(scaled)).max() < 0.02:  # noqa: PLR2004
            return np.asarray(np.rint(bounded * np.float32(steps)) / np.float32(steps), np.float32)
    return np.asarray(bounded, np.float32)
