"""Pairs of the same crop without and with a threat, projected into it as the crop is cut.

"Spot the difference": what is behind, beside and around the threat is the same in both, and so are
blur, grey curve and mirror. Threats are drawn evenly over the classes, unless weighted, and places
evenly over the logarithm of the load that hides them, since nature offers few threats behind heavy
loads. What no eye could find is not taught: too little change for the noise, or too little signal
to change.

A threat among goods takes their place. A projected one does not, so that half of them lose what the
goods would have weighed: organic threats in organic goods differ from them by little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64

from nii import taxonomy
from nii.detections import Detections
from nii.physics.attenuation import by_name
from nii.scan import Grey, Scan
from nii.simulate.hidden import rotate
from nii.simulate.plausibility import Limits, attenuation_of, visibility
from nii.simulate.scanner import cut
from nii.simulate.threats import THREATS
from nii.simulate.tip import ThreatImage, image_of, insert
from nii.train.synthetic_anomaly import UNKNOWN

Window = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels of the scan, upper bounds exclusive."""

_TRIES = 4
_PLACES = 12
"""Places to choose from: the one whose load comes nearest to the wanted one is taken."""
_LOADS = (0.1, 4.5)
"""Range of the wanted load, as −ln T of the highest energy; even over its logarithm (assumption):
a half lies below 20 g/cm², and few where hardly anything can be found."""
_LEAST_SEEN = 12.0
"""Change of the signal over noise from which a threat teaches; labels of what nobody could see,
however well trained, only make a network doubt (assumption, above `Limits.detection`)."""
_COARSE = 8
_PITCH_MM = (3.5, 6.0)
"""Pixel pitch where a scan does not say its own: that of common portals (assumption)."""
_MAGNIFICATION = (0.88, 1.15)
"""What is nearer to the source looks larger: containers 2.4 m deep, source 6 to 10 m away."""
_MOST_LEAN = 1.0
"""Radians that a threat leans out of the picture at most, as in the simulator."""
_DISPLACING_SHARE = 0.5
"""Share of the threats that take the place of goods (assumption)."""
_GOODS_G_PER_CM3 = (0.05, 0.6)
"""Density of the goods that they replace: most rows of cargo.csv lie in this range."""
_LEAST_LEFT = 0.2
"""Share of a threat's areal density that goods never take away (assumption)."""
_LEVEL_SHARE = 0.5
"""Share of the threats that lie flat, as on floors and pallets; the others lie at any angle."""
_RIM_PX = 3
_MOST_COVERED = 0.1
"""Share of a new threat that a labelled one may cover."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Hold one window of a scan, without and with a threat.

    Attributes:
        window_xyxy: where it lies on the scan.
        before: what the scan shows there.
        after: the same with the threat.
        box_xyxy: pixels of the threat on the scan.
        mask: pixels of the threat in the window.
        class_id: row of the taxonomy.
    """

    window_xyxy: Window
    before: Scan
    after: Scan
    box_xyxy: tuple[int, int, int, int]
    mask: Bool[np.ndarray, "height width"]
    class_id: int


class Ground:
    """A scan prepared for many pairs: where threats may lie, and how much hides them there."""

    def __init__(
        self,
        scan: Scan,
        truth: Detections,
        classes: tuple[str, ...],
        weights: Sequence[float] = (),
    ) -> None:
        """Keep the scan and measure its load on a coarse grid.

        Args:
            scan: any scan, as it was read.
            truth: what is labelled in it; threats go into its containers, or else its vehicles, or
                else anywhere.
            classes: threat classes to draw from.
            weights: how often each of them is drawn, beside the others; all alike where empty.
        """
        self._scan = scan
        drawn = dict(zip(classes, weights or [1.0] * len(classes), strict=True))
        self._weights = {name: weight for name, weight in drawn.items() if name in THREATS}
        size = (max(scan.width // _COARSE, 1), max(scan.height // _COARSE, 1))
        small = [cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in scan.transmission]
        self._load = attenuation_of(replace(scan, transmission=np.stack(small)))
        self._rooms = _rooms(scan, truth)
        threats = [row.class_id for row in taxonomy.in_group("threat")]
        self._taken = truth.boxes_xyxy[np.isin(truth.class_ids, threats)]

    def draw(self, side: int, rng: np.random.Generator) -> Pair | None:
        """Return a pair on a window of `side` pixels, smaller at the edge of a small scan.

        Returns:
            None where a few tries found no threat that could be seen.
        """
        for _ in range(_TRIES):
            threat = draw_threat(self._weights, self._scan, rng)
            place = self._place(threat, rng)
            if place is not None and (pair := self._insert(threat, place, side, rng)) is not None:
                return pair
        return None

    def _place(self, threat: ThreatImage, rng: np.random.Generator) -> tuple[int, int] | None:
        """Return row and column of the upper left pixel, or None where the threat does not fit."""
        _, height, width = threat.areal_density_g_per_cm2.shape
        x0, y0, x1, y1 = self._rooms[rng.integers(len(self._rooms))]
        if x1 - x0 <= width or y1 - y0 <= height:
            return None
        rows = rng.integers(y0, y1 - height, _PLACES)
        columns = rng.integers(x0, x1 - width, _PLACES)
        loads = np.asarray(
            [
                self._around(row, column, height, width)
                for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
            ]
        )
        wanted = float(np.exp(rng.uniform(*np.log(_LOADS))))
        best = int(np.abs(np.log(np.maximum(loads, _LOADS[0]) / wanted)).argmin())
        return int(rows[best]), int(columns[best])

    def _around(self, row: int, column: int, height: int, width: int) -> float:
        rows = slice(row // _COARSE, (row + height) // _COARSE + 1)
        columns = slice(column // _COARSE, (column + width) // _COARSE + 1)
        part = self._load[rows, columns]
        return float(part.mean()) if part.size else 0.0

    def _insert(
        self, threat: ThreatImage, place: tuple[int, int], side: int, rng: np.random.Generator
    ) -> Pair | None:
        top, left = place
        _, height, width = threat.areal_density_g_per_cm2.shape
        window = _window(self._scan, (left + width / 2, top + height / 2), side, rng)
        x0, y0, _, _ = window
        before = cut(self._scan, window)
        mask = threat.mask
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = (
            left + int(columns[0]),
            top + int(rows[0]),
            left + int(columns[-1]) + 1,
            top + int(rows[-1]) + 1,
        )
        if _covered(box, self._taken) > _MOST_COVERED or not _within(box, window):
            return None
        if not can_be_seen(before, threat, (top - y0, left - x0)):
            return None
        done = insert(before, threat, (top - y0, left - x0), rng)
        shown = np.zeros(before.transmission.shape[1:], bool)
        b = done.box_xyxy
        shown[b[1] : b[3], b[0] : b[2]] = done.mask
        return Pair(window, before, done.scan, box, shown, taxonomy.by_name(threat.name).class_id)


def draw_threat(weights: Mapping[str, float], scan: Scan, rng: np.random.Generator) -> ThreatImage:
    """Return a threat of one of the classes, turned and leant, on pixels of the scan's pitch."""
    share = np.asarray(list(weights.values())) / sum(weights.values())
    threat = THREATS[str(rng.choice(list(weights), p=share))](rng)
    level = threat.rests or rng.random() < _LEVEL_SHARE
    angle = float(rng.normal(0, 0.06)) if level else float(rng.uniform(-np.pi, np.pi))
    if not threat.large:
        still = 0.0 if threat.rests else angle
        threat = rotate(threat, still, float(rng.uniform(0, _MOST_LEAN)))
    pitch = scan.pixel_pitch_mm or (float(rng.uniform(*_PITCH_MM)),) * 2
    factor = float(rng.uniform(*_MAGNIFICATION))
    image = image_of(threat, (pitch[0] / factor, pitch[1] / factor), rng)
    if rng.random() < _DISPLACING_SHARE:
        image = displacing(image, float(rng.uniform(*_GOODS_G_PER_CM3)))
    return image


def displacing(threat: ThreatImage, goods_g_per_cm3: float) -> ThreatImage:
    """Return a threat without the goods whose place it takes; every material loses the same share.

    The space that it takes follows from the usual densities of its materials.
    """
    planes = threat.areal_density_g_per_cm2
    density = np.asarray([by_name(name).density_g_per_cm3 for name in threat.materials], np.float32)
    path_cm = (planes / density[:, None, None]).sum(0)
    total = planes.sum(0)
    share = 1 - goods_g_per_cm3 * path_cm / np.maximum(total, np.float32(1e-6))
    left = np.clip(share, _LEAST_LEFT, 1).astype(np.float32)
    return replace(threat, areal_density_g_per_cm2=planes * left)


def can_be_seen(scan: Scan, threat: ThreatImage, where: tuple[int, int]) -> bool:
    """Return whether a threat changes the signal by more than the noise, where any is left.

    The darkest place is that of :class:`nii.simulate.plausibility.Limits`.
    """
    limits, mask = Limits(), threat.mask
    top, left = where
    height, width = mask.shape
    inner = mask[
        max(-top, 0) : min(height, scan.height - top), max(-left, 0) : min(width, scan.width - left)
    ]
    if inner.shape != mask.shape:
        return False
    here = scan.transmission[0, top : top + height, left : left + width][mask]
    darkest = limits.darkest_display if scan.grey is Grey.DISPLAY else limits.darkest
    if float(np.median(here)) < darkest:
        return False
    return visibility(scan, threat, here, where) >= _LEAST_SEEN


def mark(
    truth: Float32[np.ndarray, "height width"], mask: Bool[np.ndarray, "height width"]
) -> Float32[np.ndarray, "height width"]:
    """Return the truth about anomalies with a threat in it; its blurred rim is unknown."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _RIM_PX + 1, 2 * _RIM_PX + 1))
    near = cv2.dilate(mask.astype(np.uint8), disc) > 0
    marked = np.where(near & (truth == 0), UNKNOWN, truth)
    return np.asarray(np.where(mask, 1.0, marked), np.float32)


def _rooms(scan: Scan, truth: Detections) -> list[Window]:
    """Return where threats may lie: containers, else vehicles, else the whole scan."""
    for name in ("container", "vehicle"):
        chosen = truth.boxes_xyxy[truth.class_ids == taxonomy.by_name(name).class_id]
        if len(chosen):
            return [_whole(box, scan) for box in chosen]
    return [(0, 0, scan.width, scan.height)]


def _whole(box: Float32[np.ndarray, " 4"], scan: Scan) -> Window:
    x0, y0, x1, y1 = (round(float(edge)) for edge in box)
    return max(x0, 0), max(y0, 0), min(x1, scan.width), min(y1, scan.height)


def _window(scan: Scan, middle: tuple[float, float], side: int, rng: np.random.Generator) -> Window:
    """Return a window around a place, moved by up to a third of its side."""
    reach = side / 3
    x = middle[0] - side / 2 + rng.uniform(-reach, reach)
    y = middle[1] - side / 2 + rng.uniform(-reach, reach)
    x0 = int(np.clip(x, 0, max(scan.width - side, 0)))
    y0 = int(np.clip(y, 0, max(scan.height - side, 0)))
    return x0, y0, min(x0 + side, scan.width), min(y0 + side, scan.height)


def _within(box: tuple[int, int, int, int], window: Window) -> bool:
    """Return whether the middle of a box lies in a window."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return window[0] <= x < window[2] and window[1] <= y < window[3]


def _covered(box: tuple[int, int, int, int], others: Float32[np.ndarray, "n 4"]) -> float:
    """Return the largest share of a box that one of the others covers."""
    if not len(others):
        return 0.0
    wide: Float64[np.ndarray, " n"] = np.minimum(box[2], others[:, 2]) - np.maximum(
        box[0], others[:, 0]
    )
    high = np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1])
    area = (box[2] - box[0]) * (box[3] - box[1])
    return float((wide.clip(min=0) * high.clip(min=0)).max()) / max(area, 1)
