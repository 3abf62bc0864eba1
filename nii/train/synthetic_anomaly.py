"""Synthetic anomalies: pieces of a scan blended into another place, for a map that knows no class.

A piece of the same scan is mirrored, resized and laid over a crop. Attenuations add up where beams
cross two things, so an added piece multiplies transmission by exp(−Δ), by the same mask and factor
at every energy; a swapped piece replaces the attenuation that was there. Edges are soft. A piece of
which nothing can be seen teaches nothing: where it changes the crop by less than the noise the
truth is unknown.

The truth of a crop has three values: 1 anomaly (of a threat the ellipse inside its box, of a piece
what can be seen), 0 none, −1 unknown (the corners of boxes, what is hidden).

Reference:
    Schlüter et al. 2022, Natural Synthetic Anomalies for Self-Supervised Anomaly Detection and
    Localization (NSA), sections 3.1 and 3.2; there the pieces are blended by Poisson's equation in
    grey levels, here in attenuation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64

from nii import taxonomy
from nii.detections import Detections
from nii.scan import Scan
from nii.train.augment import Picture
from nii.train.targets import Grid

UNKNOWN = -1.0
"""Truth of a place about which nothing is known."""
_SIDES_PX = (20.0, 140.0)
"""Sides of a piece: from a pistol to half a pallet at 4 mm a pixel. Assumption."""
_RESIZED_SHARE = 0.5
_RESIZE = (0.6, 1.6)
_SWAPPED_SHARE = 0.3
"""Share of the pieces that replace what was there; the others are added. Assumption."""
_DEPTHS = (0.06, 1.5)
"""Median attenuation that an added piece has, at the highest energy: 1 to 25 g/cm². Assumption."""
_FACTORS = (0.25, 4.0)
"""Factor on the attenuation of an added piece; a larger one would show its noise."""
_LEAST_ATTENUATION = 0.03
"""A piece of less is air."""
_FLOOR = 1.0 / 65535.0
_LEAST_CHANGE = 0.02
"""Change of attenuation that counts as visible where there is no noise: assumption."""
_NOISE_SIGMAS = 1.5
"""The change, averaged over 5 x 5 pixels, must exceed so many sigmas of the noise of one pixel."""
_AVERAGED_PX = 5
_TRIES = 6
_BASE_QUANTILE = 0.2
_MASKED = 0.5

Window = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the scan."""


@dataclass(frozen=True, slots=True)
class Planter:
    """Know a scan and where its threats are, so that pieces come from and go to other places.

    Attributes:
        scan: where windows and pieces are cut from.
        visible: threats whose places are anomalies to be learnt.
        hidden: other labelled threats: their places are unknown.
        share: of the windows that get a piece.
    """

    scan: Scan
    visible: Float32[np.ndarray, "n 4"]
    hidden: Float32[np.ndarray, "m 4"]
    share: float

    @classmethod
    def of(cls, scan: Scan, truth: Detections, taught: Detections, share: float) -> Planter:
        """Collect the threats of a scan, of any class; those that are taught can be seen."""
        threats = [row.class_id for row in taxonomy.in_group("threat")]
        everything = truth.boxes_xyxy[np.isin(truth.class_ids, threats)]
        seen = {tuple(box) for box in taught.boxes_xyxy.tolist()}
        others = [box for box in everything.tolist() if tuple(box) not in seen]
        hidden = np.asarray(others, np.float32).reshape(-1, 4)
        return cls(scan, taught.boxes_xyxy, hidden, share)

    def plant(
        self, window: Window, rng: np.random.Generator
    ) -> tuple[Scan, Float32[np.ndarray, "height width"]]:
        """Return a window of the scan, perhaps with an anomaly, and the truth about anomalies."""
        x0, y0, x1, y1 = window
        part = np.ascontiguousarray(self.scan.transmission[:, y0:y1, x0:x1])
        corner = np.asarray([x0, y0, x0, y0], np.float32)
        truth = _threat_map(self.visible - corner, self.hidden - corner, part.shape[1:])
        if self.share > 0 and rng.random() < self.share:
            part, truth = self._with_piece(part, truth, rng)
        return replace(self.scan, transmission=part), truth

    def _with_piece(
        self,
        part: Float32[np.ndarray, "energy height width"],
        truth: Float32[np.ndarray, "height width"],
        rng: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "energy height width"], Float32[np.ndarray, "height width"]]:
        """Return the window with a piece where no threat is, and its truth."""
        free = _free(truth)
        for piece in self._pieces(part.shape[1:], rng):
            high, wide = piece.shape[1:]
            top = int(rng.integers(part.shape[1] - high + 1))
            left = int(rng.integers(part.shape[2] - wide + 1))
            place = (slice(top, top + high), slice(left, left + wide))
            if not free[place].all():
                continue
            mask = soft_mask(high, wide, rng)
            before = part[:, *place]
            after = blend(before, piece, mask, rng)
            changed, told = part.copy(), truth.copy()
            changed[:, *place] = after
            told[place] = _truth_of(before, after, mask)
            return changed, told
        return part, truth

    def _pieces(
        self, limits: tuple[int, ...], rng: np.random.Generator
    ) -> Iterator[Float32[np.ndarray, "energy height width"]]:
        """Yield attenuations of other places of the scan that hold no threat and are not air."""
        free = np.concatenate([self.visible, self.hidden])
        for _ in range(_TRIES):
            high, wide = (
                min(int(np.exp(rng.uniform(*np.log(_SIDES_PX)))), limit) for limit in limits
            )
            zoom = rng.uniform(*_RESIZE) if rng.random() < _RESIZED_SHARE else 1.0
            rows = min(max(int(high / zoom), 1), self.scan.height)
            columns = min(max(int(wide / zoom), 1), self.scan.width)
            y = int(rng.integers(self.scan.height - rows + 1))
            x = int(rng.integers(self.scan.width - columns + 1))
            if _touches(free, (x, y, x + columns, y + rows)):
                continue
            cut = attenuation_of(self.scan.transmission[:, y : y + rows, x : x + columns])
            cut = cut[:, :: rng.choice((-1, 1)), :: rng.choice((-1, 1))]
            sized = np.stack([cv2.resize(p, (wide, high)) for p in np.ascontiguousarray(cut)])
            if float(np.median(sized[0])) >= _LEAST_ATTENUATION:
                yield np.asarray(sized, np.float32)


def blend(
    transmission: Float32[np.ndarray, "energy height width"],
    piece: Float32[np.ndarray, "energy height width"],
    mask: Float32[np.ndarray, "height width"],
    rng: np.random.Generator,
) -> Float32[np.ndarray, "energy height width"]:
    """Return transmission with a piece added, or in place of what was there.

    Args:
        transmission: of the place.
        piece: attenuation of the piece.
        mask: 0 outside the piece, 1 inside, between at its edge; the same for every energy.
        rng: chooses how, and how thick.
    """
    if rng.random() < _SWAPPED_SHARE:
        change = piece - attenuation_of(transmission)
    else:
        # What a piece shows of its own, less the wall in front of it; a flat one counts whole.
        base = np.quantile(piece, _BASE_QUANTILE, axis=(1, 2), keepdims=True)
        own = np.maximum(piece - base, 0)
        if float(np.median(own[0])) < _LEAST_ATTENUATION:
            own = np.maximum(piece, 0)
        wanted = float(np.exp(rng.uniform(*np.log(_DEPTHS))))
        middle = max(float(np.median(own[0])), _LEAST_ATTENUATION)
        change = own * np.clip(wanted / middle, *_FACTORS)
    return np.asarray(transmission * np.exp(-mask * change), np.float32)


def soft_mask(
    height: int, width: int, rng: np.random.Generator
) -> Float32[np.ndarray, "height width"]:
    """Return a mask that is 0 at its rim: an ellipse, a box or an irregular patch, edges soft."""
    y = np.linspace(-1, 1, height)[:, None]
    x = np.linspace(-1, 1, width)[None, :]
    power = rng.choice((2.0, 2.0, 8.0))
    radius: Float64[np.ndarray, "height width"] = np.abs(x) ** power + np.abs(y) ** power
    if rng.random() < _MASKED:
        coarse = rng.uniform(-0.6, 0.6, (5, 5))
        radius = radius + cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    inner = (radius < 0.8).astype(np.float32)  # noqa: PLR2004 - leaves room for the soft edge
    rim = 2
    inner[:rim] = inner[-rim:] = inner[:, :rim] = inner[:, -rim:] = 0
    return np.asarray(cv2.GaussianBlur(inner, (0, 0), float(rng.uniform(0.6, 1.6))), np.float32)


def attenuation_of(
    transmission: Float32[np.ndarray, "energy height width"],
) -> Float32[np.ndarray, "energy height width"]:
    """Return −ln T, limited where nothing gets through."""
    return np.asarray(-np.log(np.maximum(transmission, np.float32(_FLOOR))), np.float32)


def anomaly_target(picture: Picture, grid: Grid) -> Float32[np.ndarray, "1 rows columns"]:
    """Return the truth of a crop on the grid of the maps; unknown where the crop has none."""
    if picture.anomaly is None:
        return np.full((1, grid.rows, grid.columns), UNKNOWN, np.float32)
    half = grid.stride // 2
    cells = picture.anomaly[half :: grid.stride, half :: grid.stride]
    return np.ascontiguousarray(cells[None, : grid.rows, : grid.columns])


def _truth_of(
    before: Float32[np.ndarray, "energy height width"],
    after: Float32[np.ndarray, "energy height width"],
    mask: Float32[np.ndarray, "height width"],
) -> Float32[np.ndarray, "height width"]:
    """Return 1 where the piece can be seen, unknown where it is but cannot be, 0 beside it."""
    old, new = attenuation_of(before)[0], attenuation_of(after)[0]
    change = np.abs(cv2.blur(new - old, (_AVERAGED_PX, _AVERAGED_PX)))
    limit = np.maximum(_LEAST_CHANGE, _NOISE_SIGMAS * _noise(new))
    there: Bool[np.ndarray, "height width"] = mask >= _MASKED
    seen = there & (change > limit)
    truth = np.where(mask > 0, UNKNOWN, 0.0)  # the soft edge belongs to neither
    return np.asarray(np.where(seen, 1.0, truth), np.float32)


def _noise(attenuation: Float32[np.ndarray, "height width"]) -> float:
    """Return sigma of the noise of a pixel: median difference of neighbours (Immerkær 1996)."""
    if attenuation.shape[1] < 2:  # noqa: PLR2004
        return 0.0
    return float(np.median(np.abs(np.diff(attenuation, axis=1))) / (0.6745 * np.sqrt(2)))


def _threat_map(
    visible: Float32[np.ndarray, "n 4"],
    hidden: Float32[np.ndarray, "m 4"],
    shape: tuple[int, ...],
) -> Float32[np.ndarray, "height width"]:
    """Return the truth that the boxes of threats tell: 1 in the ellipse, unknown around it."""
    truth = np.zeros(shape, np.float32)
    for box in np.concatenate([visible, hidden]):
        x0, y0, x1, y1 = _clipped(box, shape)
        truth[y0:y1, x0:x1] = UNKNOWN
    for box in visible:
        x0, y0, x1, y1 = _clipped(box, shape)
        x = (np.arange(x0, x1) + 0.5 - (box[0] + box[2]) / 2) / max(float(box[2] - box[0]) / 2, 1)
        y = (np.arange(y0, y1) + 0.5 - (box[1] + box[3]) / 2) / max(float(box[3] - box[1]) / 2, 1)
        truth[y0:y1, x0:x1][x[None] ** 2 + y[:, None] ** 2 <= 1] = 1
    return truth


def _free(truth: Float32[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    return np.asarray(truth == 0)


def _clipped(box: Float32[np.ndarray, " 4"], shape: tuple[int, ...]) -> Window:
    x0, x1 = (int(np.clip(round(float(edge)), 0, shape[1])) for edge in box[[0, 2]])
    y0, y1 = (int(np.clip(round(float(edge)), 0, shape[0])) for edge in box[[1, 3]])
    return x0, y0, x1, y1


def _touches(boxes_xyxy: Float32[np.ndarray, "n 4"], window: Window) -> bool:
    x0, y0, x1, y1 = window
    left, top, right, bottom = boxes_xyxy.T
    return bool(((left < x1) & (right > x0) & (top < y1) & (bottom > y0)).any())
