"""Threats in a site's own scans: projected in, balanced over class, load behind them and size.

Which threat goes where follows from a seed and the number of the scan alone, so that an interrupted
run goes on with the same threats and nothing but results need be kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float32

from nii.scan import Grey, Scan
from nii.simulate.background import decode
from nii.simulate.hidden import Threat
from nii.simulate.plausibility import Place, attenuation_of, doubts
from nii.simulate.scanner import ScannerConfig
from nii.simulate.threats import THREATS, rotate
from nii.simulate.tip import FALLBACK_MEV, Inserted, ThreatImage, image_of, insert

Box = tuple[float, float, float, float]

LOAD_EDGES_G_PER_CM2 = (0.0, 5.0, 20.0, 50.0, 100.0)
"""Lower limits of the bands of load that threats are spread over; those of the evaluation."""
CONTAINER_HEIGHT_MM = 2591.0
"""Of a standard container, ISO 668: the scale where a scan does not say its pixel pitch."""
_SIDES_M = (0.1, 0.8)
"""Sides that threats are drawn for, evenly in the logarithm: a pistol's grip to a carton."""
_CANDIDATES = 4
"""Threats drawn for each wanted size; the nearest is taken."""
_TRIES = 240
_DOUBTED = 8
"""Places that fit the load and are examined closely, and all that are drawn: assumptions."""
_LEAST_SHARE = 0.01
"""Share of a container that a band of load must fill to be asked for: assumption."""
_GAP_PX = 24


@dataclass(frozen=True, slots=True)
class ProjectionConfig:
    """Say what is put into a scan."""

    classes: tuple[str, ...] = ("firearm", "brick", "cigarettes", "dense_object")
    """Threat classes, one after the other."""
    threats_per_scan: int = 4
    """Threats in one scan; they do not touch each other."""
    seed: int = 0
    """Another seed gives other threats and places."""

    def __post_init__(self) -> None:
        """Check that there is something to project.

        Raises:
            ValueError: no class can be made, or the number is below 1.
        """
        unknown = [name for name in self.classes if name not in THREATS]
        if unknown or not self.classes:
            msg = f"threat classes {self.classes}; there are {tuple(THREATS)}"
            raise ValueError(msg)
        if self.threats_per_scan < 1:
            msg = f"{self.threats_per_scan} threats a scan"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Projection:
    """Hold a scan with threats in it.

    Attributes:
        scan: the new scan; it says in its provenance what was put where.
        threats: what was put in, each with its box.
        behind_g_per_cm2: mean areal density of what the beam passes beside each threat itself.
        grey: mean display grey (0 to 255) or transmission of 255 of the place before.
    """

    scan: Scan
    threats: tuple[Inserted, ...]
    behind_g_per_cm2: tuple[float, ...]
    grey: tuple[float, ...]


def makeable(names: Sequence[str]) -> tuple[str, ...]:
    """Return the classes among some that can be projected into containers."""
    return tuple(name for name in names if name in THREATS)


def pitch_of(scan: Scan, containers_xyxy: Sequence[Box]) -> tuple[float, float]:
    """Return the pixel pitch in mm (vertical, horizontal), from container heights if need be.

    Raises:
        ValueError: neither pitch nor container is known.
    """
    if scan.pixel_pitch_mm is not None:
        return scan.pixel_pitch_mm
    if not containers_xyxy:
        msg = "neither a pixel pitch nor a container gives the scale"
        raise ValueError(msg)
    pitch = CONTAINER_HEIGHT_MM / float(np.median([box[3] - box[1] for box in containers_xyxy]))
    return pitch, pitch


def areal_density_of(scan: Scan) -> Float32[np.ndarray, "height width"]:
    """Return areal density in g/cm2; of steel where there is one energy or a display image.

    A display image is taken for one of the fallback end-point with the assumed grey curve.
    """
    quiet = [cv2.blur(plane, (5, 5)) for plane in scan.transmission]
    signal = np.asarray(quiet, np.float32)
    energies = scan.endpoint_mev
    if energies is None or scan.grey is Grey.DISPLAY:
        signal = np.exp(-attenuation_of(replace(scan, transmission=signal)))[None]
        energies = FALLBACK_MEV
    return decode(signal, ScannerConfig(endpoint_mev=energies))[0]


def project(
    scan: Scan, containers_xyxy: Sequence[Box], number: int, config: ProjectionConfig
) -> Projection:
    """Put threats into the containers of a scan.

    Args:
        scan: any scan.
        containers_xyxy: boxes of its containers in pixels.
        number: of the scan; chooses threats and places together with the seed.
        config: what is put in.

    Returns:
        The scan with as many threats as found a plausible place; perhaps none.
    """
    boxes = [box for box in containers_xyxy if min(box[2] - box[0], box[3] - box[1]) > _GAP_PX]
    result = Projection(scan, (), (), ())
    if not boxes:
        return result
    pitch, density = pitch_of(scan, boxes), areal_density_of(scan)
    shown = cv2.blur(scan.transmission[0], (5, 5)) * np.float32(255)
    for turn in range(config.threats_per_scan):
        rng = np.random.default_rng([config.seed, number, turn])
        name = config.classes[(number + turn) % len(config.classes)]
        image = _threat(name, pitch, rng)
        box = boxes[int(rng.integers(len(boxes)))]
        spot = _spot(result, image, box, _band(density, box, rng), density, rng)
        if spot is None:
            continue
        behind = float(_under(density, image, spot).mean())
        grey = float(_under(shown, image, spot).mean())
        done = insert(result.scan, image, spot, rng)
        result = Projection(
            done.scan,
            (*result.threats, done),
            (*result.behind_g_per_cm2, behind),
            (*result.grey, grey),
        )
    return result


def _threat(name: str, pitch_mm: tuple[float, float], rng: np.random.Generator) -> ThreatImage:
    """Draw a threat near a side that is drawn evenly in the logarithm."""
    side = np.log(_SIDES_M)
    wanted = float(rng.uniform(side[0], side[1]))
    drawn = [THREATS[name](rng) for _ in range(_CANDIDATES)]
    chosen = min(drawn, key=lambda threat: abs(0.5 * np.log(np.prod(threat.size_m)) - wanted))
    return image_of(_turned(chosen, rng), pitch_mm, rng)


def _turned(threat: Threat, rng: np.random.Generator) -> Threat:
    if threat.rests or threat.large:
        return threat
    return rotate(threat, float(rng.uniform(-np.pi, np.pi)), 0.0)


def _band(
    density: Float32[np.ndarray, "height width"], box: Box, rng: np.random.Generator
) -> tuple[float, float]:
    """Draw one of the bands of load that a container has, each with the same chance."""
    x0, y0, x1, y1 = (round(value) for value in box)
    inside = density[max(y0, 0) : y1, max(x0, 0) : x1]
    edges = (*LOAD_EDGES_G_PER_CM2, np.inf)
    filled = np.histogram(inside, np.asarray(edges))[0] / max(inside.size, 1)
    known = np.flatnonzero(filled >= _LEAST_SHARE)
    row = int(rng.choice(known)) if len(known) else 0
    return float(edges[row]), float(edges[row + 1])


def _spot(
    sofar: Projection,
    image: ThreatImage,
    box: Box,
    band: tuple[float, float],
    density: Float32[np.ndarray, "height width"],
    rng: np.random.Generator,
) -> Place | None:
    """Return a plausible place in a band of load; any plausible place where the band has none."""
    _, height, width = image.areal_density_g_per_cm2.shape
    x0, y0, x1, y1 = (int(value) for value in box)
    if x1 - x0 <= width + 1 or y1 - y0 <= height + 1:
        return None
    rows = rng.integers(y0, y1 - height, _TRIES)
    rows[::3] = y1 - height - 1  # on the floor
    columns = rng.integers(x0, x1 - width, _TRIES)
    mean = cv2.blur(density, (width, height), anchor=(0, 0), borderType=cv2.BORDER_REPLICATE)
    load = mean[rows, columns]
    fits = (load >= band[0]) & (load < band[1])
    for row in np.argsort(~fits, kind="stable")[:_DOUBTED]:
        spot = int(rows[row]), int(columns[row])
        if _is_free(sofar.threats, spot, (height, width)) and not doubts(
            sofar.scan, image, spot, box
        ):
            return spot
    return None


def _is_free(others: Sequence[Inserted], spot: Place, size: tuple[int, int]) -> bool:
    top, left = spot
    return all(
        left > x1 + _GAP_PX
        or left + size[1] < x0 - _GAP_PX
        or top > y1 + _GAP_PX
        or top + size[0] < y0 - _GAP_PX
        for x0, y0, x1, y1 in (other.box_xyxy for other in others)
    )


def _under(
    plane: Float32[np.ndarray, "height width"], image: ThreatImage, spot: Place
) -> Float32[np.ndarray, " pixel"]:
    mask = image.mask
    rows, columns = np.nonzero(mask)
    return np.asarray(plane[rows + spot[0], columns + spot[1]], np.float32)
