"""What a container looks like, cell by cell: features for the score learnt from a site's scans.

The container is brought to `ROWS` rows of cells from roof to floor; columns keep their length. Each
cell tells how strongly the beam is attenuated there and how that differs from its surroundings on
several scales, how rough it is, and, with two energies, the same of what the second adds. So a cell
can be compared with the same place of other containers of that site.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32

from nii.scan import AnyScan, Scan

ROWS = 40
"""Rows of cells from the top of a container to its lower edge, about 65 mm each."""
PIXEL_MM = 13.0
"""Pixels that features are computed at; a pistol is 8 to 15 of them high."""
ASSUMED_HEIGHT_MM = 2591.0
"""Height of a standard container (ISO 668), by which a scan without pitch is scaled."""
LEAST_COLUMNS = 24
"""A container shorter than this many cells (1.5 m) is not looked at."""
_PER_CELL = 5
_LEAST = 1e-3
_SCALES = (1.5, 4.0, 10.0)
"""Standard deviations of the surroundings, in pixels: 2, 5 and 13 cm."""
_STEEPNESS = 20.0
"""Differences beyond 1/20 are compressed: noise and paper count in full, steel not tenfold."""


def container_cells(
    scan: AnyScan, box_xyxy: tuple[float, float, float, float]
) -> Float32[np.ndarray, "row column feature"] | None:
    """Return the cells of one container, or None where too little of it is seen.

    Args:
        scan: the image.
        box_xyxy: the container in pixels.
    """
    x0, y0, x1, y1 = (max(0, round(edge)) for edge in box_xyxy)
    x1, y1 = min(x1, scan.width), min(y1, scan.height)
    if y1 - y0 < ROWS or x1 - x0 < ROWS:
        return None
    down, across = scan.pixel_pitch_mm or (ASSUMED_HEIGHT_MM / (y1 - y0),) * 2
    columns = round((x1 - x0) * across / (PIXEL_MM * _PER_CELL))
    if columns < LEAST_COLUMNS or (y1 - y0) * down < ROWS:
        return None
    part = scan.part(slice(y0, y1), slice(x0, x1))
    size = columns * _PER_CELL, ROWS * _PER_CELL
    planes = [
        cv2.resize(np.ascontiguousarray(plane), size, interpolation=cv2.INTER_AREA)
        for plane in _planes(part)
    ]
    attenuation = [-np.log(np.maximum(plane, _LEAST)) for plane in planes]
    maps = _layers(attenuation[0])
    if len(attenuation) > 1:
        maps += _layers(attenuation[-1] - attenuation[0])
    cells = [cv2.resize(m, (columns, ROWS), interpolation=cv2.INTER_AREA) for m in maps]
    stacked = np.stack(cells, axis=-1)
    return np.asarray(np.sign(stacked) * np.log1p(_STEEPNESS * np.abs(stacked)), np.float32)


def _planes(part: AnyScan) -> list[Float32[np.ndarray, "height width"]]:
    whole = (part if isinstance(part, Scan) else part.as_numbers()).transmission
    return [whole[0]] if part.energy_count == 1 else [whole[0], whole[-1]]


def _layers(image: Float32[np.ndarray, "height width"]) -> list[Float32[np.ndarray, "_ _"]]:
    """Return the level, its differences on each scale, and roughness along, down and overall."""
    blurred = [_blur(image, scale) for scale in _SCALES]
    along = cv2.Sobel(blurred[0], cv2.CV_32F, 1, 0, scale=0.25)
    down = cv2.Sobel(blurred[0], cv2.CV_32F, 0, 1, scale=0.25)
    return [
        blurred[1],
        blurred[0] - blurred[1],
        blurred[1] - blurred[2],
        np.sqrt(_blur(along * along, 2.5)),
        np.sqrt(_blur(down * down, 2.5)),
        np.sqrt(_blur((image - blurred[0]) ** 2, 2.5)),
    ]


def _blur(
    image: Float32[np.ndarray, "height width"], scale: float
) -> Float32[np.ndarray, "height width"]:
    soft = cv2.GaussianBlur(image, (0, 0), scale, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.maximum(soft, 0) if float(image.min()) >= 0 else soft, np.float32)
