"""Plausibility: whether an inserted threat could stand where it was put, and could be seen there.

A side view cannot prove support. What can be checked is checked: the threat lies wholly on the
scan and inside the conveyance, something carries it (load or floor below its lowest part, or load
around it), it changes the signal by more than the noise, and what hides it lets any signal pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from nii.physics.beam import transmit
from nii.physics.detector import STEP
from nii.scan import Grey, Scan
from nii.simulate.background import noise_by_level
from nii.simulate.scanner import ScannerConfig, beam_of
from nii.simulate.tip import DISPLAY_GAMMA, FALLBACK_MEV, ThreatImage

Place = tuple[int, int]
_AROUND_PX = 160


@dataclass(frozen=True, slots=True)
class Limits:
    """Set what passes as plausible; all values are assumptions."""

    support_px: int = 6
    """Rows below the threat in which its support must begin."""
    support_attenuation: float = 0.08
    """Attenuation above that of the empty conveyance from which something carries weight: 2 g/cm2
    of load."""
    support_share: float = 0.3
    """Share of the width of the threat's foot that must be carried."""
    detection: float = 5.0
    """Change of the signal over noise, summed over the mask, from which a threat can be seen."""
    darkest: float = 2e-3
    """Transmission below which scatter (0.1 to 2 % of the signal nearby) is all there is."""
    darkest_display: float = 0.02
    """The same for the grey of a display image."""


def doubts(
    scan: Scan,
    threat: ThreatImage,
    where: Place,
    conveyance_xyxy: tuple[float, float, float, float],
    limits: Limits | None = None,
) -> tuple[str, ...]:
    """Return in words why a threat could not be where it is put; nothing where it could.

    Args:
        scan: the scan before the insertion.
        threat: on the pixels of the scan.
        where: row and column of the image's upper left pixel.
        conveyance_xyxy: the inside of container, wagon or cab, in pixels, floor included.
        limits: what passes.
    """
    limits = limits or Limits()
    mask = threat.mask
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, bottom = where[0] + int(rows[0]), where[0] + int(rows[-1]) + 1
    left, right = where[1] + int(columns[0]), where[1] + int(columns[-1]) + 1
    if top < 0 or left < 0 or bottom > scan.height or right > scan.width:
        return ("clipped: it reaches over the edge of the scan",)
    x0, y0, x1, y1 = conveyance_xyxy
    if left < x0 or top < y0 or right > x1 or bottom > y1:
        return ("outside: it is not wholly within the conveyance",)
    found = []
    if not _is_carried(scan, mask, where, conveyance_xyxy, limits):
        found.append("unsupported: nothing below or around it carries it")
    shape = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    here = scan.transmission[0, top:bottom, left:right][shape]
    display = scan.grey is Grey.DISPLAY
    darkest = limits.darkest_display if display else limits.darkest
    if float(np.median(here)) < darkest:
        found.append("hidden: no signal is left that it could change")
    elif visibility(scan, threat, here, (top, left)) < limits.detection:
        found.append("invisible: it changes the signal by less than the noise")
    return tuple(found)


def find_place(
    scan: Scan,
    threat: ThreatImage,
    conveyance_xyxy: tuple[float, float, float, float],
    rng: np.random.Generator,
    tries: int = 60,
) -> Place | None:
    """Return a plausible place for a threat, or None where none was found.

    Half of the tries let the threat down until something carries it.
    """
    _, height, width = threat.areal_density_g_per_cm2.shape
    x0, y0, x1, y1 = (int(value) for value in conveyance_xyxy)
    if x1 - x0 <= width or y1 - y0 <= height:
        return None
    for turn in range(tries):
        place = (int(rng.integers(y0, y1 - height)), int(rng.integers(x0, x1 - width)))
        lowest = y1 - height if turn % 2 else place[0]
        for row in range(place[0], lowest + 1, 3):
            reasons = doubts(scan, threat, (row, place[1]), conveyance_xyxy)
            if not reasons:
                return row, place[1]
            if not reasons[0].startswith("unsupported"):
                break
    return None


def attenuation_of(scan: Scan) -> Float32[np.ndarray, "height width"]:
    """Return -ln T of the highest energy; for a display image, with the assumed curve undone."""
    signal = np.maximum(scan.transmission[0], np.float32(STEP))
    exponent = 1 / DISPLAY_GAMMA if scan.grey is Grey.DISPLAY else 1.0
    return np.asarray(-np.log(signal) * np.float32(exponent), np.float32)


def _is_carried(
    scan: Scan,
    mask: Bool[np.ndarray, "height width"],
    where: Place,
    conveyance_xyxy: tuple[float, float, float, float],
    limits: Limits,
) -> bool:
    """Tell whether load or floor lies below the foot of the threat, or load all around it."""
    x0, y0, x1, y1 = (int(value) for value in conveyance_xyxy)
    inside = attenuation_of(scan)[y0:y1, x0:x1]
    # The emptiest tenth of the conveyance shows its walls only.
    carries = inside > float(np.quantile(inside, 0.1)) + limits.support_attenuation
    shift = (where[0] - y0, where[1] - x0)
    columns = np.flatnonzero(mask.any(0))
    carried = 0
    for column in columns:
        foot = shift[0] + int(np.flatnonzero(mask[:, column])[-1]) + 1
        below = carries[foot : foot + limits.support_px, shift[1] + column]
        on_floor = foot + limits.support_px > y1 - y0
        carried += bool(on_floor or (len(below) and below.mean() >= 0.5))  # noqa: PLR2004
    return carried >= limits.support_share * len(columns)


def visibility(
    scan: Scan, threat: ThreatImage, here: Float32[np.ndarray, " pixels"], corner: Place
) -> float:
    """Return the change of the signal over its noise, in standard deviations of the whole mask."""
    beam = beam_of(ScannerConfig(endpoint_mev=scan.endpoint_mev or FALLBACK_MEV), threat.materials)
    passed = transmit(beam, threat.areal_density_g_per_cm2)[0][0][threat.mask]
    rows = slice(max(corner[0] - _AROUND_PX, 0), corner[0] + _AROUND_PX)
    columns = slice(max(corner[1] - _AROUND_PX, 0), corner[1] + _AROUND_PX)
    levels, variance = noise_by_level(np.ascontiguousarray(scan.transmission[0, rows, columns]))
    noise = np.sqrt(np.maximum(np.interp(here, levels, variance), (STEP / 2) ** 2))
    return float(np.sqrt((((1 - passed) * here / noise) ** 2).sum()))
