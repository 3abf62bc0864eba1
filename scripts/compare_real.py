"""Draw how simulated display pictures compare with real ones: greys, edges, detail by frequency.

    python scripts/compare_real.py REAL.json REAL_IMAGES SIMULATED.json SIMULATED_IMAGES OUT.png

Only the insides of labelled containers count. Prints the distances that stand in the picture: half
the summed difference of two histograms (0 alike, 1 apart), and the mean difference in decibels.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8

from nii import formats, taxonomy
from nii.annotations.coco import CocoImage, read_coco
from nii.formats.files import save
from nii.scan import Grey

MOST_SCANS = 150
ATTENUATION = np.linspace(0, 5, 61)
EDGES = np.linspace(-4, 0, 61)
PIECE_PX = 256
REAL, SIMULATED = (40, 90, 220), (190, 110, 20)
PANEL = (460, 300)


@dataclass(frozen=True, slots=True)
class Look:
    """Hold what the containers of a set look like, each averaged over containers.

    Attributes:
        attenuation: share of pixels by −ln(grey / grey of air).
        edges: share of pixels by the logarithm of the difference to the next pixel.
        along: power of detail along the vehicle by frequency, in decibels.
        down: the same from top to bottom.
        count: containers.
    """

    attenuation: Float64[np.ndarray, " bin"]
    edges: Float64[np.ndarray, " bin"]
    along: Float64[np.ndarray, " frequency"]
    down: Float64[np.ndarray, " frequency"]
    count: int


def main(arguments: list[str]) -> int:
    """Measure both sets, print the distances and write the picture."""
    if len(arguments) != 5:  # noqa: PLR2004
        print(__doc__)
        return 2
    real = look_of(display_pictures(Path(arguments[0]), Path(arguments[1])))
    simulated = look_of(display_pictures(Path(arguments[2]), Path(arguments[3])))
    print(f"{real.count} real and {simulated.count} simulated containers")
    rows = [
        ("attenuation (-ln grey)", "shares of pixels", (0.0, 5.0), "attenuation"),
        ("difference to the next pixel, log10", "shares of pixels", (-4.0, 0.0), "edges"),
        ("cycles a pixel along the vehicle", "power, dB", (0.0, 0.5), "along"),
        ("cycles a pixel from top to bottom", "power, dB", (0.0, 0.5), "down"),
    ]
    panels = []
    for x_label, y_label, limits, name in rows:
        first, second = getattr(real, name), getattr(simulated, name)
        apart = distance(first, second, decibels="dB" in y_label)
        print(f"{name}: {apart}")
        panels.append(panel((x_label, y_label, limits), first, second, apart))
    sheet = np.vstack([np.hstack(panels[:2]), np.hstack(panels[2:])])
    done, data = cv2.imencode(".png", sheet)
    if not done:
        print("the picture could not be packed")
        return 1
    save(Path(arguments[4]), data.tobytes())
    return 0


def display_pictures(labels: Path, images: Path) -> list[CocoImage]:
    """Return the display pictures of a set, at most `MOST_SCANS`."""
    found = [
        i for i in read_coco(labels, images).images if formats.read(i.path).grey is Grey.DISPLAY
    ]
    return found[:MOST_SCANS]


def look_of(images: Iterable[CocoImage]) -> Look:
    """Measure every labelled container of some pictures."""
    kind = taxonomy.by_name("container").class_id
    rows = []
    for image in images:
        grey = formats.read(image.path).transmission[0]
        relative = grey / max(float(np.quantile(grey[::8, ::8], 0.98)), 1e-3)
        for box in image.truth.boxes_xyxy[image.truth.class_ids == kind]:
            part = inside(relative, box)
            if min(part.shape) >= PIECE_PX:
                rows.append(measured(part))
    parts = [np.mean([row[place] for row in rows], axis=0) for place in range(4)]
    return Look(parts[0], parts[1], decibels(parts[2]), decibels(parts[3]), len(rows))


def inside(
    grey: Float32[np.ndarray, "height width"], box: Float32[np.ndarray, " 4"]
) -> Float32[np.ndarray, "rows columns"]:
    """Return a container without its outer twentieth, where labels differ in where it ends."""
    x0, y0, x1, y1 = (float(edge) for edge in box)
    dx, dy = (x1 - x0) / 20, (y1 - y0) / 20
    return grey[round(y0 + dy) : round(y1 - dy), round(x0 + dx) : round(x1 - dx)]


def measured(part: Float32[np.ndarray, "rows columns"]) -> tuple[Float64[np.ndarray, " n"], ...]:
    """Return histograms of attenuation and edges, and the power along and down."""
    attenuation = np.clip(-np.log(np.maximum(part, 1e-3)), 0, ATTENUATION[-1] - 1e-6)
    steps = np.abs(np.diff(part, axis=1)[:-1]) + np.abs(np.diff(part, axis=0)[:, :-1])
    edges = np.clip(np.log10(np.maximum(steps, 1e-4)), EDGES[0], EDGES[-1] - 1e-6)
    shares = (
        np.histogram(values, bins)[0] / values.size
        for values, bins in ((attenuation, ATTENUATION), (edges, EDGES))
    )
    return (*shares, power(part), power(np.ascontiguousarray(part.T)))


def power(part: Float32[np.ndarray, "rows columns"]) -> Float64[np.ndarray, " frequency"]:
    """Return the mean power of pieces of rows by frequency, a Hann window over each."""
    pieces = [
        part[:, first : first + PIECE_PX]
        for first in range(0, part.shape[1] - PIECE_PX + 1, PIECE_PX)
    ]
    window = np.hanning(PIECE_PX)
    spectra = [
        np.abs(np.fft.rfft((p - p.mean(axis=1, keepdims=True)) * window, axis=1)) ** 2
        for p in pieces
    ]
    return np.asarray(np.mean([s.mean(axis=0) for s in spectra], axis=0), np.float64)


def decibels(values: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return ten times the decimal logarithm."""
    return np.asarray(10 * np.log10(np.maximum(values, 1e-12)), np.float64)


def distance(
    first: Float64[np.ndarray, " n"], second: Float64[np.ndarray, " n"], *, decibels: bool
) -> str:
    """Return how far two curves lie apart, in words."""
    if decibels:
        return f"{float(np.abs(first - second).mean()):.1f} dB apart"
    return f"{float(np.abs(first - second).sum() / 2):.2f} of 1 apart"


def panel(
    labels: tuple[str, str, tuple[float, float]],
    real: Float64[np.ndarray, " n"],
    simulated: Float64[np.ndarray, " n"],
    apart: str,
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw two curves over one axis."""
    x_label, y_label, (low, high) = labels
    wide, tall = PANEL
    sheet = np.full((tall, wide, 3), 255, np.uint8)
    left, top, right, bottom = 20, 40, wide - 15, tall - 45
    least = float(min(real.min(), simulated.min()))
    most = float(max(real.max(), simulated.max()))
    for values, colour in ((real, REAL), (simulated, SIMULATED)):
        x = np.linspace(left, right, len(values))
        y = bottom - (values - least) / max(most - least, 1e-12) * (bottom - top)
        points = np.round(np.column_stack([x, y])).astype(np.int32)
        cv2.polylines(
            sheet, [points], isClosed=False, color=colour, thickness=2, lineType=cv2.LINE_AA
        )
    cv2.rectangle(sheet, (left, top), (right, bottom), (150, 150, 150), 1)
    texts = [
        (f"{y_label}: {apart}", (left, 18), (0, 0, 0)),
        ("real", (left, 34), REAL),
        ("simulated", (left + 50, 34), SIMULATED),
        (f"{low:g}", (left, tall - 28), (90, 90, 90)),
        (f"{high:g}", (right - 30, tall - 28), (90, 90, 90)),
        (x_label, (left, tall - 8), (0, 0, 0)),
    ]
    for text, place, colour in texts:
        cv2.putText(sheet, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
    return sheet


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
