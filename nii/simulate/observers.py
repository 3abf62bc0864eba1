"""What can still be told on a scan: orientation of an arrow, a wire, a strip; scored by algorithm.

Every score looks at the attenuation that a model is given for the highest energy
(:func:`nii.preprocess.detail_channels`), so what live preprocessing loses is lost here too. The
matched filter knows the object and sums over all of it: a person would need more contrast.

Reference:
    Glover and Hudson (NIST): wires and useful penetration scored by algorithm; the Radon transform
    makes finding a straight wire a search in one dimension.
    Rose, J. Opt. Soc. Am. 38 (1948) 196: a contrast is seen from five standard deviations on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float32, Float64, Int64

from nii.preprocess import PreprocessSpec, detail_channels
from nii.scan import Scan
from nii.simulate import phantoms
from nii.simulate.scanner import ScannerConfig, acquire
from nii.simulate.scene import Scene

Step = Callable[[str], None]
"""Called after each piece of work, with its name."""


_BLURRED_PX = 5
"""Border of the plate that the open beam blurs into; it is left out (assumption)."""
_EYE_DRAWS = 4


@dataclass(frozen=True, slots=True)
class ObserverConfig:
    """Set how much is drawn. The defaults take about half a minute on one core."""

    pitch_mm: float = 4.0
    """Pixel pitch of the test objects: 3 to 4.5 mm in the object plane are usual (assumption)."""
    seed: int = 0
    """Stream of noise; draw k is the same for every thickness."""
    draws: int = 200
    """Noise draws for a share of correct answers or of false wires."""
    wire_draws: int = 80
    """Noise draws for the share of wires found."""
    contrast_draws: int = 40
    """Noise draws for the scatter of a contrast."""
    deepest_mm: float = 600.0
    """Thickest steel that is tried; 200 to 450 mm are quoted for systems in use."""
    step_mm: float = 25.0
    """Distance of neighbouring thicknesses; between them the share is interpolated."""
    correct_share: float = 0.75
    """Share of correct answers that counts as told, of four alternatives; also of wires found."""
    false_wire_rate: float = 0.05
    """Share of fields without wire in which one is reported (assumption)."""
    rose: float = 5.0
    """Contrast over its standard deviation from which a strip counts as seen (Rose, 1948)."""


@dataclass(frozen=True, slots=True)
class Penetration:
    """Hold how deep a lead arrow can be told.

    Attributes:
        steel_mm: thickest steel; 0 where the arrow cannot even be told in air.
        at_the_end: the thickest steel that was tried is passed.
        thickness_mm: thicknesses tried, rising.
        correct: share of correct answers at each.
        visible_mm: steel behind which the arrow differs from the plate by one standard deviation
            of a single pixel: nearer to what an eye makes out without help (assumption).
        black_share: pixels of the plate at `steel_mm` that are cut at black. Noise that is cut at
            black has a mean that rises with its width, from which the filter can tell what no
            photon told it: with many such pixels the figure is too deep.
    """

    steel_mm: float
    at_the_end: bool
    thickness_mm: tuple[float, ...]
    correct: tuple[float, ...]
    visible_mm: float
    black_share: float


def attenuation(scan: Scan) -> Float32[np.ndarray, "height width"]:
    """Return -ln T of the highest energy with what preprocessing takes from it; not companded."""
    spec = PreprocessSpec()
    companded = detail_channels(scan, spec)[0]
    return np.asarray(np.expm1(2 * companded) * spec.knee, np.float32)


def look(scene: Scene, scanner: ScannerConfig, *seed: int) -> Float32[np.ndarray, "height width"]:
    """Return the attenuation of one noise draw of a scene."""
    return attenuation(acquire(scene, scanner, np.random.default_rng(seed)))


def penetration(scanner: ScannerConfig, config: ObserverConfig, on_step: Step) -> Penetration:
    """Find the thickest steel behind which the four orientations of the arrow are told apart.

    The share of correct answers falls with thickness, so the place where it passes the threshold
    is searched by halving; between two neighbouring thicknesses it is interpolated.
    """
    thicknesses = np.arange(0, config.deepest_mm + config.step_mm / 2, config.step_mm)
    known: dict[int, float] = {}

    def told(index: int) -> bool:
        known[index] = orientation_share(float(thicknesses[index]), scanner, config)
        on_step(f"arrow behind {thicknesses[index]:.0f} mm")
        return known[index] >= config.correct_share

    last = len(thicknesses) - 1
    index = deepest(last + 1, told)
    visible = visible_mm(thicknesses, scanner, config)
    on_step("arrow by eye")
    depth = 0.0 if index is None else float(thicknesses[index])
    if index is not None and index < last:
        high, low = known[index], known[index + 1]
        depth += (high - config.correct_share) / (high - low) * config.step_mm
    order = sorted(known)
    return Penetration(
        steel_mm=depth,
        at_the_end=index == last,
        thickness_mm=tuple(float(thicknesses[k]) for k in order),
        correct=tuple(known[k] for k in order),
        visible_mm=visible,
        black_share=black_share(depth, scanner, config),
    )


def black_share(steel_mm: float, scanner: ScannerConfig, config: ObserverConfig) -> float:
    """Return the share of the pixels of a plate that are as black as they can be."""
    scene = phantoms.penetration_object(steel_mm, 0, config.pitch_mm)
    seen = look(scene, scanner, config.seed, 0)[phantoms.plate_field(_BLURRED_PX)]
    blackest = -np.log(PreprocessSpec().transmission_floor)
    return float((seen > 0.999 * blackest).mean())


def visible_mm(
    thicknesses_mm: Float64[np.ndarray, " step"], scanner: ScannerConfig, config: ObserverConfig
) -> float:
    """Return the thickness at which the contrast of the arrow falls to the noise of one pixel."""
    arrow, plate = phantoms.arrow_field(0), phantoms.plate_field(_BLURRED_PX)
    ratios = []
    for steel_mm in thicknesses_mm:
        scene = phantoms.penetration_object(float(steel_mm), 0, config.pitch_mm)
        seen = np.stack([look(scene, scanner, config.seed, k) for k in range(_EYE_DRAWS)])
        beside = plate & ~arrow
        contrast = np.median(seen[:, arrow]) - np.median(seen[:, beside])
        ratios.append(float(contrast / max(seen[:, beside].std(), 1e-9)))
    return crossing(thicknesses_mm, np.asarray(ratios), 1.0)


def crossing(
    x: Float64[np.ndarray, " step"], y: Float64[np.ndarray, " step"], level: float
) -> float:
    """Return where `y` first falls below the level, interpolated; the last `x` if it never does."""
    below = np.flatnonzero(y < level)
    if not len(below):
        return float(x[-1])
    first = int(below[0])
    if first == 0:
        return float(x[0])
    part = (y[first - 1] - level) / (y[first - 1] - y[first])
    return float(x[first - 1] + part * (x[first] - x[first - 1]))


def deepest(count: int, passes: Callable[[int], bool]) -> int | None:
    """Return the last index that passes where passing ends once; None if not even the first does.

    Both ends are always tried.
    """
    if not passes(0):
        return None
    if passes(count - 1):
        return count - 1
    low, high = 0, count - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if passes(middle) else (low, middle)
    return low


def orientation_share(steel_mm: float, scanner: ScannerConfig, config: ObserverConfig) -> float:
    """Return the share of noise draws in which the orientation of the arrow is told correctly."""
    scenes = [phantoms.penetration_object(steel_mm, k, config.pitch_mm) for k in range(4)]
    filters, inside = _arrow_filters(), phantoms.plate_field(_BLURRED_PX)
    correct = 0
    for draw in range(config.draws):
        seen = look(scenes[draw % 4], scanner, config.seed, draw)
        correct += int(np.argmax(filters @ seen[inside]) == draw % 4)
    return correct / config.draws


@cache
def _arrow_filters() -> Float64[np.ndarray, "turn pixel"]:
    """Return one template an orientation, blind to any background of second order.

    Scatter and drift are smooth over a field; without this they could pull at one orientation.
    """
    inside = phantoms.plate_field(_BLURRED_PX)
    shapes = np.stack([phantoms.arrow_field(k)[inside] for k in range(4)]).astype(np.float64)
    rows, columns = np.argwhere(inside).T / max(inside.shape)
    smooth = np.stack([rows**i * columns**j for i in range(3) for j in range(3 - i)], 1)
    fitted, *_ = np.linalg.lstsq(smooth, shapes.T)
    return np.asarray(shapes - (smooth @ fitted).T, np.float64)


# ── wires ───────────────────────────────────────────────────────────────────────────────────────

GAUGES = tuple(range(0, 37, 2))
"""American wire gauges that are tried: 8.25 mm down to 0.127 mm."""
_TANGENTS = np.linspace(0.2, 0.6, 25)
"""Slopes of the lines that are searched: away from rows and columns, which carry stripes."""
_NEAR_PX = 2.0
"""A line that is found lies so near to the wire at both ends (assumption)."""


@dataclass(frozen=True, slots=True)
class Wires:
    """Hold the thinnest wire found behind one thickness of steel.

    Attributes:
        steel_mm: thickness of the steel.
        gauge: thinnest gauge that is found; None where not even the thickest is.
        threshold: score above which a line counts as a wire.
    """

    steel_mm: float
    gauge: int | None
    threshold: float


def diameter_mm(gauge: int) -> float:
    """Return the diameter of an American wire gauge.

    Reference:
        ASTM B258: 0.127 mm at gauge 36, 0.46 inch at gauge 0000, 39 equal ratios between them.
    """
    return float(0.127 * 92 ** ((36 - gauge) / 39))


def wires(steel_mm: float, scanner: ScannerConfig, config: ObserverConfig, on_step: Step) -> Wires:
    """Find the thinnest wire that is found at the fixed rate of false wires."""
    empty = phantoms.wire_object(0.0, steel_mm, config.pitch_mm, tangent=0.4, offset_px=0.0)
    false = [
        best_line(look(empty, scanner, config.seed + 1, draw))[0] for draw in range(config.draws)
    ]
    threshold = float(np.quantile(false, 1 - config.false_wire_rate))
    on_step(f"false wires behind {steel_mm:.0f} mm")

    def found(index: int) -> bool:
        share = wire_share(GAUGES[index], steel_mm, threshold, scanner, config)
        on_step(f"wire of gauge {GAUGES[index]} behind {steel_mm:.0f} mm")
        return share >= config.correct_share

    index = deepest(len(GAUGES), found)
    return Wires(steel_mm, None if index is None else GAUGES[index], threshold)


def wire_share(
    gauge: int, steel_mm: float, threshold: float, scanner: ScannerConfig, config: ObserverConfig
) -> float:
    """Return the share of noise draws in which a wire is found where it is."""
    hits = 0
    for draw in range(config.wire_draws):
        rng = np.random.default_rng((config.seed + 2, draw))
        tangent, offset = float(rng.uniform(0.25, 0.55)), float(rng.uniform(-5, 5))
        scene = phantoms.wire_object(
            diameter_mm(gauge), steel_mm, config.pitch_mm, tangent=tangent, offset_px=offset
        )
        score, line = best_line(attenuation(acquire(scene, scanner, rng)))
        away = np.abs(line - phantoms.wire_columns(tangent, offset))
        hits += int(score > threshold and max(away[0], away[-1]) <= _NEAR_PX)
    return hits / config.wire_draws


def best_line(
    seen: Float32[np.ndarray, "height width"],
) -> tuple[float, Float64[np.ndarray, " height"]]:
    """Return the score of the most wire-like line of a field, and its column in every row.

    Row and column medians go first: stripes are no wires. The score is the sum along the line over
    that expected from the noise of the field.
    """
    flat = seen - np.median(seen, 1, keepdims=True)
    flat -= np.median(flat, 0, keepdims=True)
    noise = max(float(np.median(np.abs(flat))) / 0.6745, 1e-9)
    lines, left, share = _lines(*seen.shape)
    rows = np.arange(seen.shape[0])
    sums = (flat[rows, left] * (1 - share) + flat[rows, left + 1] * share).sum(1)
    scores = sums / (noise * np.sqrt(((1 - share) ** 2 + share**2).sum(1)))
    best = int(np.argmax(scores))
    return float(scores[best]), lines[best]


@cache
def _lines(
    height: int, width: int
) -> tuple[
    Float64[np.ndarray, "line height"],
    Int64[np.ndarray, "line height"],
    Float32[np.ndarray, "line height"],
]:
    """Return the columns of all lines, the pixel to the left of each, and the share beyond it."""
    rows = np.arange(height) - (height - 1) / 2
    middles = np.arange(0.0, width, 0.5)
    slopes, starts = np.meshgrid(_TANGENTS, middles)
    lines = starts.reshape(-1, 1) + slopes.reshape(-1, 1) * rows
    lines = lines[(lines.min(1) >= 0) & (lines.max(1) < width - 1)]
    left = np.floor(lines).astype(np.int64)
    return lines, left, (lines - left).astype(np.float32)


# ── contrast ────────────────────────────────────────────────────────────────────────────────────


def contrast_mm(steel_mm: float, scanner: ScannerConfig, config: ObserverConfig) -> float | None:
    """Return the thinnest strip of steel that is seen on `steel_mm` of steel; None if none is.

    The contrast of the strip to the plate at its left and right over the standard deviation of
    that contrast from draw to draw takes the place of CNR x sqrt(area), with all noise that pixels
    share. It is measured at two thicknesses of the strip, the second near the answer.
    """
    strip_mm = max(0.02 * steel_mm, 0.2)
    for _ in range(2):
        values = _contrasts(steel_mm, strip_mm, scanner, config)
        signal, noise = float(values.mean()), float(values.std(ddof=1))
        if signal * np.sqrt(len(values)) <= 3 * noise:
            return None
        strip_mm *= config.rose * noise / signal
    return strip_mm


def _contrasts(
    steel_mm: float, strip_mm: float, scanner: ScannerConfig, config: ObserverConfig
) -> Float64[np.ndarray, " draw"]:
    scene = phantoms.strip_object(steel_mm, strip_mm, config.pitch_mm)
    strip = phantoms.strip_field()
    around = np.roll(strip, 20, 1) | np.roll(strip, -20, 1)
    values = []
    for draw in range(config.contrast_draws):
        seen = look(scene, scanner, config.seed + 3, draw)
        values.append(float(seen[strip].mean() - seen[around].mean()))
    return np.asarray(values, np.float64)
