"""Pictures for the report: small JPEGs as data URIs, with the marks as SVG over them.

Marks lie over the picture instead of in it, so that one key hides them all. A crop is stored once
and shown twice, with and without its outline.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from nii.infer.anomaly import tinted
from nii.infer.overlay import Box, free_place, grey_of, render_grey, whole
from nii.inspection import Inspection, Region
from nii.scan import AnyScan, Grey, Scan

OVERVIEW_PX = 1600
"""Longest side of an overview picture."""
CROP_PX = 320
"""Longest side of a crop's picture; smaller crops keep their pixels."""
_QUALITY = 82
_CONTEXT = 0.6
"""Surroundings shown on each side of a crop, as a share of the region's longer side."""
_LEAST_CONTEXT_PX = 24
_LEAST_DEPTH = 0.4
"""Least span of attenuation in a crop: assumption; a smaller one would show noise only."""


@dataclass(frozen=True, slots=True)
class CropView:
    """Say which part of a scan a crop shows, in scan pixels: x0, y0, x1, y1."""

    box: Box
    uri: str


def jpeg_uri(grey: UInt8[np.ndarray, "height width"], longest: int) -> str:
    """Return a picture as a data URI, made smaller where a side exceeds `longest` pixels."""
    scale = min(1.0, longest / max(grey.shape))
    if scale < 1.0:
        grey = np.asarray(cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    data = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def tinted_uri(
    grey: UInt8[np.ndarray, "height width"], found: Float32[np.ndarray, "rows columns"]
) -> str:
    """Return a scan with its anomaly map as a data URI."""
    data = cv2.imencode(
        ".jpg", tinted(grey, found, OVERVIEW_PX), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    )[1]
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def crop_of(scan: AnyScan, region: Region) -> CropView:
    """Return a region with its surroundings, in a contrast of its own."""
    x0, y0, x1, y1 = region.box_xyxy
    margin = max(_LEAST_CONTEXT_PX, _CONTEXT * max(x1 - x0, y1 - y0))
    box = (
        max(0, int(x0 - margin)),
        max(0, int(y0 - margin)),
        min(scan.width, int(np.ceil(x1 + margin))),
        min(scan.height, int(np.ceil(y1 + margin))),
    )
    part = scan.plane(slice(box[1], box[3]), slice(box[0], box[2]))
    return CropView(box, jpeg_uri(contrast(part[None], scan.grey), CROP_PX))


def contrast(
    part: Float32[np.ndarray, "1 height width"], grey: Grey
) -> UInt8[np.ndarray, "height width"]:
    """Return a part of a scan for the eye, from its lightest place to its densest."""
    if grey is Grey.DISPLAY:
        return render_grey(Scan(np.ascontiguousarray(part), grey))
    thin, dense = (float(v) for v in np.percentile(part, (99.5, 0.5)))
    lightest = max(min(thin, 1.0), 1e-6)
    depth = max(_LEAST_DEPTH, float(np.log(lightest / max(dense, 1e-6))))
    return grey_of(np.asarray(part[0] / np.float32(lightest), np.float32), depth)


def overview_svg(inspection: Inspection, uri: str) -> str:
    """Return the whole scan with containers and regions over it."""
    width, height = inspection.scan.width, inspection.scan.height
    marks = [(str(r.level), _around(r.box_xyxy), _tag_of(r)) for r in inspection.regions]
    taken = [box for _, box, _ in marks]
    marks += [("container", whole(part.box_xyxy), part.label) for part in inspection.containers]
    font = max(8, width // 105)
    drawn = []
    for kind, box, text in marks:
        size = (round(0.6 * font * len(text)) + font, round(1.4 * font))
        place = free_place(taken, (height, width), box, size)
        taken.append(place)
        drawn.append(f'<g class="{kind}">{_rects(box)}{_tag(place, text, font)}</g>')
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="scan">'
        f'<image href="{uri}" width="{width}" height="{height}" preserveAspectRatio="none"/>'
        f'<g class="marks">{"".join(drawn)}</g></svg>'
    )


def crop_svgs(crop: CropView, region: Region, name: str) -> str:
    """Return a crop twice: with its outline, and bare."""
    x0, y0, x1, y1 = crop.box
    view = f'viewBox="{x0} {y0} {x1 - x0} {y1 - y0}" role="img"'
    image = (
        f'<image id="{escape(name)}" href="{crop.uri}" x="{x0}" y="{y0}" width="{x1 - x0}" '
        f'height="{y1 - y0}" preserveAspectRatio="none"/>'
    )
    marks = f'<g class="marks"><g class="{region.level}">{_rects(_around(region.box_xyxy))}</g></g>'
    return (
        f'<svg {view} aria-label="with outline">{image}{marks}</svg>'
        f'<svg {view} aria-label="without outline"><use href="#{escape(name)}"/></svg>'
    )


def _tag_of(region: Region) -> str:
    return f"{region.number} {region.class_name.replace('_', ' ')} {region.score:.2f}"


def _tag(place: Box, text: str, font: int) -> str:
    x0, y0, x1, y1 = place
    size = f'height="{y1 - y0}" x="{x0}" y="{y0}"'
    return (
        f'<rect class="tag" width="{x1 - x0}" {size}/>'
        f'<rect class="stripe" width="{font // 4}" {size}/>'
        f'<text x="{x0 + font // 2}" y="{y0 + font}" font-size="{font}">{escape(text)}</text>'
    )


def _around(box: Sequence[float]) -> Box:
    """Return a box that leaves a gap, so that the outline does not cover what it points at."""
    x0, y0, x1, y1 = whole(box)
    gap = 3 + (x1 - x0 + y1 - y0) // 50
    return x0 - gap, y0 - gap, x1 + gap, y1 + gap


def _rects(box: Box) -> str:
    x0, y0, x1, y1 = box
    place = f'x="{x0}" y="{y0}" width="{x1 - x0}" height="{y1 - y0}"'
    return f'<rect class="rim" {place}/><rect class="edge" {place}/>'
