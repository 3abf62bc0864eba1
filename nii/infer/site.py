"""How unusual a container is at one site: a score learnt from that site's benign scans alone.

A container is compared with the `SIMILAR` learnt ones whose load is most like its own. At every
place (row from roof to floor; distance from the nearer end) their cells have a median and a spread;
how far a cell lies from them, over all features at once, is its unusualness. The spread is a
quantile and the middle a median, so that a few scans that were not benign after all do not matter.
The score of a container is then set against the scores that the similar ones have themselves when
each is left out.

The score orders containers for attention. It is no alarm, raises no level, and promises nothing.

Reference: Defard et al. (2021), PaDiM, for the distribution at each place; Cohen and Hoshen (2020),
SPADE, for the comparison with the most similar images.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float16, Float32, Float64

from nii.config import from_dict, to_dict
from nii.errors import BundleError, ConfigError
from nii.formats.files import save
from nii.infer.site_features import ROWS
from nii.provenance import sha256_of_bytes
from nii.scan import AnyScan

FORMAT_VERSION = 1
SIMILAR = 30
"""Learnt containers that one is compared with."""
LEAST = 20
"""Fewest containers that can be learnt from: assumption."""
END = 5
"""Cells from each end that are compared place by place: doors, posts, corner castings."""
INSIDE = 24
"""Columns kept of the rest of each learnt container."""
KEPT = 2 * END + INSIDE
_TOP = 12
"""Cells whose mean unusualness is the score: about those of a rifle. Assumption."""
_SPREAD_QUANTILE = 0.9
_LEAST_SPREAD = 0.03
"""Spread below which differences are noise: 0.15 % of attenuation. Assumption."""
_FARTHEST = 12.0
_SHRINK = 0.3
"""Weight of no correlation at all beside the correlations found: assumption."""


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """State what a site model was learnt from, and for which scans it is.

    Attributes:
        scanner: machine whose scans it knows; None where they do not say.
        grey: transmission or display.
        energies: number of them.
        endpoint_mev: of the beams.
        scans: files learnt from.
        containers: containers learnt from.
        data_sha256: digest of the digests of the files, in order.
        learnt_at: time with zone, ISO 8601.
        tool: what made it.
    """

    scanner: str | None
    grey: str
    energies: int
    endpoint_mev: tuple[float, ...] | None
    scans: int
    containers: int
    data_sha256: str
    learnt_at: str
    tool: str
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True, slots=True)
class SiteModel:
    """Hold the learnt containers of one site.

    Attributes:
        facts: where it comes from.
        cells: cells of each learnt container, its ends and some columns between.
        loads: how each is loaded, see :func:`load_of_cells`.
        scores: logarithm of the unusualness of each among the others.
        sha256: digest of the file; empty before it is one.
    """

    facts: SiteFacts
    cells: Float16[np.ndarray, "container row column feature"]
    loads: Float32[np.ndarray, "container load"]
    scores: Float32[np.ndarray, " container"]
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Unusual:
    """State how unusual one container is.

    Attributes:
        share: of the similar benign containers, those that are less unusual, 0 to 1.
        excess: how far its score lies above the middle of theirs, in their spread; orders
            containers among which `share` is 1.
        cells: unusualness of each cell, row by row.
        hottest_xy: middle of the most unusual place as share of the width and height of the
            container.
    """

    share: float
    excess: float
    cells: Float32[np.ndarray, "row column"]
    hottest_xy: tuple[float, float]


def unusual(cells: Float32[np.ndarray, "row column feature"], model: SiteModel) -> Unusual:
    """Return how unusual a container is among those of the site.

    Args:
        cells: see :func:`nii.infer.site_features.container_cells`.
        model: of the site whose scan it is, see :func:`check_belongs`.
    """
    near = similar(load_of_cells(cells), model.loads)
    heat = unusual_cells(cells, model.cells[near])
    score, others = score_of(heat), model.scores[near]
    low, middle, high = np.quantile(others, (0.2, 0.5, 0.8))
    row, column = np.unravel_index(int(np.argmax(heat)), heat.shape)
    return Unusual(
        share=float((others < score).mean()),
        excess=float((score - middle) / (high - low + 0.05)),
        cells=heat,
        hottest_xy=((float(column) + 0.5) / heat.shape[1], (float(row) + 0.5) / ROWS),
    )


def load_of_cells(
    cells: Float32[np.ndarray, "row column feature"],
) -> Float32[np.ndarray, " load"]:
    """Return how a container is loaded: its attenuation, without ends, roof and floor."""
    inside = cells[ROWS // 8 : -ROWS // 5, END:-END, 0]
    quantiles = [0.2, 0.5, 0.8]
    return np.asarray([*np.quantile(inside, quantiles), 0.5 * cells[..., -1].mean()], np.float32)


def similar(
    load: Float32[np.ndarray, " load"],
    loads: Float32[np.ndarray, "container load"],
    leave_out: int | None = None,
) -> np.ndarray:
    """Return the learnt containers loaded most alike, nearest first."""
    apart = np.square(loads - load).sum(axis=1)
    if leave_out is not None:
        apart = apart.copy()
        apart[leave_out] = np.inf
    count = min(SIMILAR, len(loads) - (leave_out is not None))
    return np.argsort(apart, kind="stable")[:count]


def unusual_cells(
    cells: Float32[np.ndarray, "row column feature"],
    others: Float16[np.ndarray, "container row kept feature"],
) -> Float32[np.ndarray, "row column"]:
    """Return how far each cell lies from the cells of other containers at the same place."""
    places = _places(cells.shape[1])
    heat = np.empty(cells.shape[:2], np.float32)
    known = others.astype(np.float32)
    for place in range(END + 1):
        columns = np.flatnonzero(places == place)
        pool = known[:, :, _kept_columns(place)]
        heat[:, columns] = _distance(cells[:, columns], pool)
    return heat


def score_of(heat: Float32[np.ndarray, "row column"]) -> float:
    """Return the logarithm of the mean of the most unusual cells."""
    flat = np.sort(heat, axis=None)
    return math.log(max(float(flat[-_TOP:].mean()), 1e-6))


def kept(
    cells: Float32[np.ndarray, "row column feature"],
) -> Float16[np.ndarray, "row kept feature"]:
    """Return the columns that a model keeps of a container: both ends, some between, evenly."""
    columns = cells.shape[1]
    between = np.linspace(END, columns - END - 1, INSIDE).round().astype(int)
    chosen = [*range(END), *between, *range(columns - END, columns)]
    return cells[:, chosen].astype(np.float16)


def check_belongs(scan: AnyScan, facts: SiteFacts) -> None:
    """Check that a scan is of the scanner and kind that a model was learnt from.

    Raises:
        ConfigError: it is not.
    """
    expected = (facts.scanner, facts.grey, facts.energies, facts.endpoint_mev)
    found = (scan.scanner, scan.grey.value, scan.energy_count, scan.endpoint_mev)
    if found == expected:
        return
    raise ConfigError(
        "site model",
        found=f"a scan of {_words(*found)}",
        expected=f"one of {_words(*expected)}, as learnt",
        remedy="Use the model of that site, or learn one: nii site learn.",
    )


def write_site(model: SiteModel, path: Path) -> str:
    """Write a model in one step and return the digest of the file.

    Raises:
        OSError: it cannot be written.
    """
    stream = io.BytesIO()
    facts = np.frombuffer(json.dumps(to_dict(model.facts)).encode(), np.uint8)
    np.savez_compressed(
        stream, facts=facts, cells=model.cells, loads=model.loads, scores=model.scores
    )
    data = stream.getvalue()
    save(path, data)
    return sha256_of_bytes(data)


def read_site(path: Path) -> SiteModel:
    """Read a model.

    Raises:
        BundleError: the file is missing, damaged, or of another version.
    """
    try:
        data = path.read_bytes()
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            facts: dict[str, Any] = json.loads(arrays["facts"].tobytes())
            parts = [arrays[name] for name in ("cells", "loads", "scores")]
        if facts.get("format_version") != FORMAT_VERSION:
            raise _unfit(path, f"format version {facts.get('format_version')}")
        read = from_dict(SiteFacts, facts, where=str(path))
    except (OSError, ValueError, KeyError, ConfigError, zipfile.BadZipFile) as error:
        raise _unfit(path, f"{error}"[:200]) from error
    cells, loads, scores = parts
    whole = cells.ndim == 4 and cells.shape[1:3] == (ROWS, KEPT)  # noqa: PLR2004 - four axes
    if not whole or not len(cells) == len(loads) == len(scores) == read.containers >= LEAST:
        raise _unfit(path, f"arrays of {cells.shape}, {loads.shape} and {scores.shape}")
    return SiteModel(read, cells, loads, scores, sha256_of_bytes(data))


def _unfit(path: Path, found: str) -> BundleError:
    return BundleError(
        path,
        found=found,
        expected=f"a site model of format version {FORMAT_VERSION}",
        remedy="Learn it again: nii site learn SCANS --out FILE.",
    )


def _words(
    scanner: str | None, grey: str, energies: int, endpoint_mev: tuple[float, ...] | None
) -> str:
    beams = "/".join(f"{energy:g}" for energy in endpoint_mev or ()) or "unknown"
    return f"{scanner or 'an unnamed scanner'}, {grey}, {energies} energies ({beams} MeV)"


def _places(columns: int) -> np.ndarray:
    """Return for each column its distance from the nearer end, at most `END`."""
    index = np.arange(columns)
    return np.minimum(np.minimum(index, columns - 1 - index), END)


def _kept_columns(place: int) -> list[int]:
    if place == END:
        return list(range(END, KEPT - END))
    near = {place, max(place - 1, 0), min(place + 1, END - 1)}
    return sorted(near | {KEPT - 1 - one for one in near})


def _distance(
    cells: Float32[np.ndarray, "row column feature"],
    pool: Float32[np.ndarray, "container row pooled feature"],
) -> Float32[np.ndarray, "row column"]:
    """Return Mahalanobis distances per feature, each row with the spread of it and its neighbours.

    Rows of two containers do not lie at quite the same height, so a row is as wide as its widest
    neighbour.
    """
    features = pool.shape[-1]
    by_row = pool.transpose(1, 0, 2, 3).reshape(ROWS, -1, features)
    middle = np.median(by_row, axis=1)
    apart = np.abs(by_row - middle[:, None])
    spread = np.quantile(apart, _SPREAD_QUANTILE, axis=1) / 1.645 + _LEAST_SPREAD
    padded = np.pad(spread, ((1, 1), (0, 0)), mode="edge")
    wide = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
    unit = np.clip((by_row - middle[:, None]) / wide[:, None], -3, 3).reshape(-1, features)
    matrix = _whitening(unit.astype(np.float64))
    mine = np.clip((cells - middle[:, None]) / wide[:, None], -_FARTHEST, _FARTHEST)
    return np.asarray(np.sqrt(np.square(mine @ matrix).mean(axis=-1)), np.float32)


def _whitening(unit: Float64[np.ndarray, "n feature"]) -> Float32[np.ndarray, "feature feature"]:
    found = unit.T @ unit / len(unit)
    scale = np.trace(found) / len(found) + 1e-6
    mixed = (1 - _SHRINK) * found + _SHRINK * scale * np.eye(len(found))
    values, vectors = np.linalg.eigh(mixed)
    return np.asarray(vectors / np.sqrt(values), np.float32)
