"""The detectability map: how small a threat is still found, behind how much load.

Threats are sorted into cells of size and load. A size counts as found in a load when the exact
lower limit of its P_d reaches what is asked for. Sizes are tested from the largest down, and
testing stops at the first that cannot be shown (fixed sequence), so the sizes shown for one load
hold together with the stated confidence. It begins at the largest size with threats enough for a
proof; nothing is said of larger ones. One threat of each scan counts in a cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from jaxtyping import Float64

from nii import taxonomy
from nii.evaluate.containers import ContainerTable
from nii.evaluate.curves import BEHIND_EDGES_G_PER_CM2
from nii.evaluate.guarantee import one_of_each
from nii.evaluate.intervals import CONFIDENCE, Proportion, lower_limit
from nii.evaluate.strata import SIZE_EDGES_CM, SIZE_EDGES_PX, bands

TARGET_P_D = 0.8
"""P_d from which a size counts as found: assumption."""
_LEFT, _TOP, _WIDE, _HIGH = 112, 46, 72, 34
"""Pixels of the picture: margins, and width and height of a cell."""
_LOW_RGB, _HIGH_RGB = (247, 226, 200), (11, 92, 142)
"""From a pale orange at P_d 0 to the blue of the curves at 1; told apart without red and green."""
_DARK_FROM = 0.55
"""P_d from which white letters are better read."""
_NONE_RGB = (236, 239, 242)


@dataclass(frozen=True, slots=True)
class Cell:
    """Hold the threats of one size and load: how many were found, and the least P_d proven."""

    size: str
    load: str
    counts: Proportion
    at_least: float | None


@dataclass(frozen=True, slots=True)
class DetectabilityMap:
    """Hold the map.

    Attributes:
        unit: of the sizes: side of a square as large as the box, in cm or px.
        target_p_d: P_d from which a size counts as found.
        confidence: of each row of the map.
        sizes: names of the size bands, smallest first.
        loads: names of the load bands, lightest first.
        cells: by load, then by size.
        smallest: by load: lower edge of the smallest size found; None where no size is shown.
        largest: by load: upper edge of the largest size shown; None where it has none.
        notes: by load: what limits it, in words.
    """

    unit: str
    target_p_d: float
    confidence: float
    sizes: tuple[str, ...]
    loads: tuple[str, ...]
    cells: tuple[Cell, ...]
    smallest: Mapping[str, float | None]
    largest: Mapping[str, float | None]
    notes: Mapping[str, str]


def detectability(
    cases: ContainerTable,
    look: Mapping[str, float],
    target_p_d: float = TARGET_P_D,
    seed: int = 0,
) -> DetectabilityMap | None:
    """Measure the map at fixed thresholds, for threats of all classes together.

    Args:
        cases: containers and the threats in them.
        look: by class name: score from which a detection of the class counts.
        target_p_d: P_d from which a size counts as found.
        seed: of the draw of one threat from each scan.

    Returns:
        None where no threat has a known load behind it. Sizes are in centimetres where the pixel
        pitch of every scan with threats is known, otherwise in pixels.
    """
    behind = cases.table.behind_g_per_cm2
    if not np.isfinite(behind).any():
        return None
    in_cm = bool(np.isfinite(cases.side_cm).all())
    unit, edges = ("cm", SIZE_EDGES_CM) if in_cm else ("px", SIZE_EDGES_PX)
    sizes = bands(cases.side_cm if in_cm else cases.side_px, edges, unit)
    found = cases.own_score >= _limits(cases, look)
    cells: list[Cell] = []
    smallest: dict[str, float | None] = {}
    largest: dict[str, float | None] = {}
    notes: dict[str, str] = {}
    for load, within in bands(behind, BEHIND_EDGES_G_PER_CM2, "g/cm²").items():
        row = []
        for index, (size, members) in enumerate(sizes.items()):
            rng = np.random.default_rng([seed, index])
            rows = one_of_each(cases.scan_of_threat, members & within, rng)
            counts = Proportion(int(found[rows].sum()), len(rows))
            row.append(Cell(size, load, counts, lower_limit(counts.successes, counts.trials)))
        first = _first(row, target_p_d)
        smallest[load], notes[load] = _smallest(row[: first + 1], (0.0, *edges), unit, target_p_d)
        largest[load] = (*edges, None)[first]
        cells += row
    return DetectabilityMap(
        unit=unit,
        target_p_d=target_p_d,
        confidence=CONFIDENCE,
        sizes=tuple(sizes),
        loads=tuple(smallest),
        cells=tuple(cells),
        smallest=smallest,
        largest=largest,
        notes=notes,
    )


def in_words(chart: DetectabilityMap) -> dict[str, str]:
    """Return for each load the smallest size found, or why none is shown."""
    texts = {}
    for load in chart.loads:
        texts[load] = f"none shown ({chart.notes[load]})"
        if chart.smallest[load] is not None:
            texts[load] = (
                f"{range_in_words(chart, load)}: P_d of "
                f"{chart.target_p_d:g} proven with {100 * chart.confidence:g} % confidence"
            )
    return texts


def range_in_words(chart: DetectabilityMap, load: str) -> str:
    """Return the sizes shown for a load; a dash where there are none."""
    low, high, unit = chart.smallest[load], chart.largest[load], chart.unit
    if low is None:
        return "–"
    if high is not None:
        return f"{low:g} to {high:g} {unit}"
    return f"from {low:g} {unit}" if low else "every size"


def picture(chart: DetectabilityMap) -> str:
    """Return the map as an ``<svg>`` element: P_d by colour, counts, and a frame where proven."""
    wide = _LEFT + _WIDE * len(chart.sizes) + 8
    high = _TOP + _HIGH * len(chart.loads) + 8
    name = f"P_d by size in {chart.unit} and areal density behind"
    parts = [
        (
            f'<svg class="chart map" viewBox="0 0 {wide} {high}" role="img" '
            f'aria-label="{escape(name, quote=True)}">'
        ),
        f'<text x="{_LEFT}" y="16">size of the box (side of a square as large)</text>',
    ]
    parts += [
        f'<text x="{_LEFT + _WIDE * (column + 0.5):.0f}" y="{_TOP - 8}" text-anchor="middle">'
        f"{escape(size)}</text>"
        for column, size in enumerate(chart.sizes)
    ]
    parts += [
        f'<text x="{_LEFT - 8}" y="{_TOP + _HIGH * (row + 0.62):.0f}" text-anchor="end">'
        f"{escape(load)}</text>"
        for row, load in enumerate(chart.loads)
    ]
    columns = len(chart.sizes)
    for index, cell in enumerate(chart.cells):
        parts += _square(cell, divmod(index, columns), chart)
    return "\n".join([*parts, "</svg>"])


def _square(cell: Cell, place: tuple[int, int], chart: DetectabilityMap) -> list[str]:
    x, y = _LEFT + _WIDE * place[1], _TOP + _HIGH * place[0]
    share = cell.counts.value
    fill = _NONE_RGB if share is None else _blend(share)
    proven = _is_proven(cell, chart)
    frame = 'stroke="#d98200" stroke-width="2.5"' if proven else 'stroke="none"'
    ink = "#ffffff" if share is not None and share >= _DARK_FROM else "#1d2730"
    text = "–" if share is None else f"{cell.counts.successes} / {cell.counts.trials}"
    return [
        (
            f'<rect x="{x + 2}" y="{y + 2}" width="{_WIDE - 4}" height="{_HIGH - 4}" rx="3" '
            f'fill="rgb{fill}" {frame}/>'
        ),
        (
            f'<text x="{x + _WIDE // 2}" y="{y + _HIGH * 0.62:.0f}" text-anchor="middle" '
            f'style="fill:{ink}">{text}</text>'
        ),
    ]


def _is_proven(cell: Cell, chart: DetectabilityMap) -> bool:
    least = chart.smallest[cell.load]
    if least is None:
        return False
    sizes = list(chart.sizes)
    edges = SIZE_EDGES_CM if chart.unit == "cm" else SIZE_EDGES_PX
    lower = (0.0, *edges)[sizes.index(cell.size)]
    high = chart.largest[cell.load]
    return least <= lower and (high is None or lower < high)


def _first(row: Sequence[Cell], target_p_d: float) -> int:
    """Return the largest size with threats enough for a proof; with any threat, if none has.

    Only how many there are decides, not how many were found: so the sequence stays a fixed one.
    """
    for least in (target_p_d, 0.0):
        for index in range(len(row) - 1, -1, -1):
            trials = row[index].counts.trials
            if trials and (lower_limit(trials, trials) or 0.0) >= least:
                return index
    return len(row) - 1


def _smallest(
    row: Sequence[Cell], lower_edges: Sequence[float], unit: str, target_p_d: float
) -> tuple[float | None, str]:
    """Test sizes from the largest of the row down; stop at the first that is not shown."""
    if not any(cell.counts.trials for cell in row):
        return None, "no threats in this load"
    least: float | None = None
    for index in range(len(row) - 1, -1, -1):
        cell = row[index]
        if cell.at_least is None:
            return least, f"no threats of {cell.size}"
        if cell.at_least < target_p_d:
            return least, _why(cell, target_p_d)
        least = lower_edges[index]
    return least, f"down to the smallest {unit} band"


def _why(cell: Cell, target_p_d: float) -> str:
    trials, found = cell.counts.trials, cell.counts.successes
    shown = f"{cell.size}: {found} of {trials} found"
    alone = lower_limit(trials, trials)
    if alone is not None and alone < target_p_d:
        return f"{shown}; so few threats prove no P_d of {target_p_d:g} even if all are found"
    return f"{shown}, proven is {cell.at_least:.2f}"


def _limits(cases: ContainerTable, look: Mapping[str, float]) -> Float64[np.ndarray, " threat"]:
    by_id = {row.class_id: look.get(row.name, np.inf) for row in taxonomy.in_group("threat")}
    limits = [by_id[int(kind)] for kind in cases.table.threat_class]
    return np.asarray(limits, np.float32).astype(np.float64)


def _blend(share: float) -> tuple[int, int, int]:
    red, green, blue = (
        round(low + share * (high - low)) for low, high in zip(_LOW_RGB, _HIGH_RGB, strict=True)
    )
    return red, green, blue
