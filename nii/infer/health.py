"""Health: whether the scan itself is fit to be judged, before anybody looks for threats in it.

Simple measures that hold for every machine: is there air in the picture, does the beam get through,
is there a line over the whole picture, does the vehicle run out of it, does it stand on its head.
They describe the scan and change nothing about what is found. A picture that was mirrored from left
to right looks like a vehicle that drove the other way, and nothing in it tells.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32

from nii.inspection import Edge, Health, Problem
from nii.scan import AnyScan, Grey

_AIR_QUANTILE = 0.98
_LEAST_AIR = 0.8
"""Transmission of the brightest places below which no open beam is in the picture: assumption; a
container wall of 1.6 mm of steel on either side leaves 0.9."""
_LEAST_DISPLAY_AIR = 0.6
"""The same for a display picture, whose white may be dimmed: assumption."""
_OPAQUE = 5e-4
"""Transmission taken for nothing: about 30 cm of steel at 9 MeV."""
_OPAQUE_DISPLAY = 4 / 255
_ALL = 0.98
"""Share of a column that is black where nothing was recorded; matter leaves air above itself."""
_PADDED = 0.95
"""The same of the padding at the sides of a picture, which bright detector lines may cross."""
_MOST_OPAQUE = 0.2
"""Share of the picture that nothing gets through in a scan that is too dark: assumption; axles and
engine are below 0.05 of it."""
_LINE = 0.05
"""Least difference of a line from its neighbours, in attenuation or display grey: assumption, a
fault of five per cent of one detector."""
_NEARLY_ALL = 0.95
"""A line is a fault where this share of its pixels differ to the same side; roofs, posts and floors
end somewhere."""
_MATTER = 0.85
"""Share of the signal of air below which there is matter: two centimetres of plastic."""
_CUT_SHARE = 0.3
"""Share of an edge with matter that runs out of the picture: assumption, more than a chassis."""
_HEAD_SHARE, _GROUND_SHARE = 0.1, 0.2
"""A picture stands on its head where more than this share of its top has matter, and its bottom
less than this part of that. Measured on 31 real scans: upright, the bottom has 0.22 to 1.0 of
matter and the top 0 to 0.30."""
_EDGE_PX = 4
_SPARSE = 4
_LINE_STEP = 16
"""A line is judged by every sixteenth of its pixels."""


def health_of(scan: AnyScan) -> Health:
    """Return what the scan itself is like."""
    thin = scan.plane(slice(None, None, _SPARSE), slice(None, None, _SPARSE))
    display = scan.grey is Grey.DISPLAY
    air = float(np.quantile(thin, _AIR_QUANTILE))
    black = thin < (_OPAQUE_DISPLAY if display else _OPAQUE)
    blank = black.mean(axis=0) > _ALL
    opaque = float(black[:, ~blank].mean()) if not blank.all() else 1.0
    along = _lines(_contrast(scan.plane(columns=slice(None, None, _LINE_STEP)), display=display))
    across = _lines(_contrast(scan.plane(slice(None, None, _LINE_STEP)).T, display=display))
    margin = np.repeat(blank, _SPARSE)[: scan.width]
    cut = _cut(scan, max(air, _OPAQUE), margin)
    problems = {
        Problem.NO_AIR: air < (_LEAST_DISPLAY_AIR if display else _LEAST_AIR),
        Problem.DARK: opaque > _MOST_OPAQUE,
        Problem.LINES: bool(along or across),
        Problem.CUT: bool(cut),
        Problem.BLANK: bool(blank.any()),
        Problem.UPSIDE_DOWN: _on_its_head(scan, max(air, _OPAQUE), margin),
    }
    return Health(
        air=round(air, 4),
        opaque_share=round(opaque, 4),
        blank_share=round(float(blank.mean()), 4),
        rows_apart=along,
        columns_apart=across,
        cut=cut,
        problems=tuple(problem for problem, there in problems.items() if there),
    )


def padding_of(scan: AnyScan) -> tuple[int, int]:
    """Return how many columns at the left and at the right end of a picture hold nothing recorded.

    Some machines pad their exports with black. Black columns amid a picture are no padding.
    """
    thin = scan.plane(slice(None, None, _SPARSE), slice(None, None, _SPARSE))
    black = thin < (_OPAQUE_DISPLAY if scan.grey is Grey.DISPLAY else _OPAQUE)
    seen = np.flatnonzero(np.repeat(black.mean(axis=0) <= _PADDED, _SPARSE)[: scan.width])
    return (int(seen[0]), scan.width - 1 - int(seen[-1])) if len(seen) else (0, 0)


def warnings_of(health: Health) -> tuple[str, ...]:
    """Return what an officer should know about the scan itself, in words."""
    texts = {
        Problem.NO_AIR: (
            f"No open beam is in the picture (brightest {health.air:.2f} of it): the scan may be "
            "badly normalised, inverted or a cut-out, and materials are judged less well."
        ),
        Problem.DARK: (
            f"The scan is dark: nothing gets through {100 * health.opaque_share:.0f} % of it."
        ),
        Problem.LINES: (
            f"The scan has faulty lines ({health.rows_apart} rows, {health.columns_apart} columns "
            "unlike their neighbours): detectors or pulses failed; thin objects may be hidden."
        ),
        Problem.CUT: (
            f"The vehicle runs out of the picture ({', '.join(health.cut)}): what is beyond was "
            "not seen."
        ),
        Problem.BLANK: (
            f"{100 * health.blank_share:.1f} % of the picture's columns are black from top to "
            "bottom: nothing was recorded there."
        ),
        Problem.UPSIDE_DOWN: (
            "The picture seems to stand on its head (matter along the top, open beam along the "
            "bottom): turn it, since the model knows upright vehicles only."
        ),
    }
    return tuple(texts[problem] for problem in health.problems)


def _contrast(
    part: Float32[np.ndarray, "lines pixels"], *, display: bool
) -> Float[np.ndarray, "lines pixels"]:
    """Return what lines are compared in: attenuation, or grey where its curve is unknown."""
    if display:
        return part
    attenuation = cv2.log(np.maximum(part, np.float32(_OPAQUE)))
    return np.asarray(np.negative(attenuation, out=attenuation), np.float32)


def _lines(values: Float[np.ndarray, "lines pixels"]) -> int:
    """Count lines of which nearly all pixels differ from both sides in the same way.

    The neighbour after the next is compared, since a fault often spoils two lines.
    """
    if len(values) <= 2 * 2:
        return 0
    middle, before, after = values[2:-2], values[:-4], values[4:]
    above = np.minimum(middle - before, middle - after)
    below = np.minimum(before - middle, after - middle)
    return sum(int(((side > _LINE).mean(axis=1) >= _NEARLY_ALL).sum()) for side in (above, below))


def _cut(scan: AnyScan, air: float, blank: Bool[np.ndarray, " width"]) -> tuple[Edge, ...]:
    """Return the sides of the picture that matter runs out of; the ground always does below.

    Columns without a record say nothing.
    """
    edges: dict[Edge, Float32[np.ndarray, "lines pixels"]] = {
        "left": scan.plane(columns=slice(0, _EDGE_PX)),
        "right": scan.plane(columns=slice(max(0, scan.width - _EDGE_PX), None)),
        "top": scan.plane(slice(0, _EDGE_PX)).T,
    }
    recorded = {"left": not blank[0], "right": not blank[-1], "top": ~blank}
    return tuple(
        side
        for side, part in edges.items()
        if float(((np.median(part, axis=1) < _MATTER * air) & recorded[side]).mean()) > _CUT_SHARE
    )


def _on_its_head(scan: AnyScan, air: float, blank: Bool[np.ndarray, " width"]) -> bool:
    """Tell whether matter lies along the top of the picture and hardly any along its bottom."""
    rows = slice(0, _EDGE_PX), slice(max(0, scan.height - _EDGE_PX), None)
    dark = (np.median(scan.plane(part), axis=0) < _MATTER * air for part in rows)
    top, bottom = (float((part & ~blank).mean()) for part in dark)
    return top > _HEAD_SHARE and bottom < _GROUND_SHARE * top
