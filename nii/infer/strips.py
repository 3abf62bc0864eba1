"""Strips: a scan of any length through the network, in one pass or in strips that give the same.

The detail branch is made of convolutions, so a cell of a threat map depends on a limited stretch of
columns (:mod:`nii.infer.reach`). A strip that has that stretch on either side, its halo, gives
exactly the cells of the whole scan; the cells of the halo itself are thrown away. The overview is
small and runs whole, after all strips. A run of the session wants both inputs; the one that is not
needed is then as small as the network allows, which costs less than a thousandth.

The size from which strips are used is fixed and does not ask the machine: the same scan takes the
same way everywhere.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32

from nii.bundle import Card
from nii.infer.decode import Frame, OutputMaps
from nii.infer.reach import Reach
from nii.preprocess import (
    CHANNELS,
    PreprocessSpec,
    detail_channels,
    overview_width,
    pad_to_multiple,
    preprocess,
)
from nii.scan import AnyScan

_LOG = logging.getLogger(__name__)

MOST_PIXELS = 8 << 20
"""Pixels of one energy that a run may hold: a container scan of 1,300 x 6,400 runs in one pass.
Measured with the compact model on the CPU: see docs/inspect.md."""
STRIP_PIXELS = 4 << 20
"""Pixels of a strip, halos included."""

Run = Callable[
    [Float32[np.ndarray, "1 channel h w"], Float32[np.ndarray, "1 channel oh ow"]],
    tuple[Float32[np.ndarray, "1 plane r c"], ...],
]


@dataclass(frozen=True, slots=True)
class Network:
    """An open model: how it is run, its facts, and how far its threat maps look.

    Attributes:
        run: detail and overview in, the five maps out; each with a batch of one.
        card: how a scan becomes its input.
        reach: None where a cell may depend on anything; then there are no strips.
        most_pixels: scans with more pixels than this run in strips.
        strip_pixels: of one strip, halos included.
    """

    run: Run
    card: Card
    reach: Reach | None
    most_pixels: int = MOST_PIXELS
    strip_pixels: int = STRIP_PIXELS


@dataclass(frozen=True, slots=True)
class Strip:
    """A stretch of columns: those that are run, and those whose cells are kept; in pixels."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int


@dataclass(frozen=True, slots=True)
class Look:
    """Hold the maps of one scan, how they lie on it, and the seconds that they took.

    Attributes:
        ended_s: time on the clock when the last run was done.
    """

    maps: OutputMaps
    frame: Frame
    preprocess_s: float
    run_s: float
    ended_s: float


def look(scan: AnyScan, network: Network, timer: Callable[[], float]) -> Look:
    """Return the maps of a scan.

    Raises:
        ProviderError: the hardware gave up.
    """
    if scan.height * scan.width > network.most_pixels:
        cuts = plan(scan.height, scan.width, network)
        if len(cuts) > 1:
            return _in_strips(scan, network, cuts, timer)
    return _whole(scan, network, timer)


def plan(height: int, width: int, network: Network) -> tuple[Strip, ...]:
    """Return the strips of a scan, all of one width, so that memory is used again; one if none."""
    spec, reach = network.card.preprocess, network.reach
    if reach is None:
        _LOG.warning("%d x %d pixels in one pass: this model cannot be cut", width, height)
        return (Strip(0, width, 0, width),)
    grid = math.lcm(reach.grid_px, spec.detail_multiple)
    halo = math.ceil(reach.halo_px / grid) * grid
    padded = width + -width % grid
    wide = max(network.strip_pixels // height // grid * grid, 2 * halo + grid)
    if wide >= padded:
        return (Strip(0, width, 0, width),)
    count = math.ceil((padded - 2 * halo) / (wide - 2 * halo))
    own = math.ceil((padded - 2 * halo) / count / grid) * grid
    wide, count = own + 2 * halo, math.ceil((padded - 2 * halo) / own)
    found = []
    for index in range(count):
        start = max(0, min(index * own, padded - wide))
        first = 0 if index == 0 else index * own + halo
        last = padded if index == count - 1 else (index + 1) * own + halo
        found.append(Strip(start, start + wide, first, last))
    return tuple(found)


def _whole(scan: AnyScan, network: Network, timer: Callable[[], float]) -> Look:
    started = timer()
    seen = preprocess(scan, network.card.preprocess)
    ready = timer()
    maps = network.run(seen.detail[None], seen.overview[None])
    ended = timer()
    frame = Frame(seen.height, seen.width, seen.overview_scale)
    return Look(
        OutputMaps(*(part[0] for part in maps)), frame, ready - started, ended - ready, ended
    )


def _in_strips(
    scan: AnyScan, network: Network, cuts: tuple[Strip, ...], timer: Callable[[], float]
) -> Look:
    spec, stride = network.card.preprocess, network.card.decode.threat_stride
    started, run_s = timer(), 0.0
    low = np.zeros((len(CHANNELS), spec.overview_height, scan.width), np.float32)
    nothing = np.zeros((1, len(CHANNELS), spec.overview_height, spec.overview_multiple), np.float32)
    blank = _blank(scan, network)
    for cut, detail in _ahead(scan, spec, cuts):
        columns = slice(cut.keep_start, min(cut.keep_stop, scan.width))
        low[:, :, columns] = _lowered(detail, columns, cut.start, scan.height, spec)
        before = timer()
        found = network.run(detail[None], nothing)
        run_s += timer() - before
        cells = slice(cut.keep_start // stride, cut.keep_stop // stride)
        inside = slice(
            (cut.keep_start - cut.start) // stride, (cut.keep_stop - cut.start) // stride
        )
        for whole, part in zip(blank, _of_detail(found), strict=True):
            whole[:, :, cells] = part[0, :, :, inside]
    overview, scale = _overview(low, scan, spec)
    corner = np.zeros((1, len(CHANNELS), spec.detail_multiple, spec.detail_multiple), np.float32)
    before = timer()
    structures = network.run(corner, overview[None])[2:5]
    ended = timer()
    run_s += ended - before
    heat, ltrb, *anomaly = blank
    maps = OutputMaps(heat, ltrb, *(part[0] for part in structures), *anomaly)
    frame = Frame(scan.height, scan.width, scale)
    return Look(maps, frame, ended - started - run_s, run_s, ended)


def _of_detail(
    maps: tuple[Float32[np.ndarray, "1 _ _ _"], ...],
) -> tuple[Float32[np.ndarray, "1 _ _ _"], ...]:
    """Return the maps that come from the detail: two of threats, and anomalies if there are any."""
    return maps[:2] + maps[5:]


def _blank(scan: AnyScan, network: Network) -> tuple[Float32[np.ndarray, "_ _ _"], ...]:
    """Return room for the maps of the detail of the padded scan."""
    multiple, stride = network.card.preprocess.detail_multiple, network.card.decode.threat_stride
    rows, columns = ((size + -size % multiple) // stride for size in (scan.height, scan.width))
    planes = (len(network.card.threats), 4, *((1,) if network.card.anomaly else ()))
    return tuple(np.empty((count, rows, columns), np.float32) for count in planes)


def _ahead(
    scan: AnyScan, spec: PreprocessSpec, cuts: tuple[Strip, ...]
) -> Iterator[tuple[Strip, Float32[np.ndarray, "channel h w"]]]:
    """Yield each strip with its detail; the next one is made while the caller runs this one."""
    with ThreadPoolExecutor(1, "nii-strip") as maker:
        following: Future[Float32[np.ndarray, "channel h w"]]
        following = maker.submit(_detail, scan, spec, cuts[0])
        for index, cut in enumerate(cuts):
            detail = following.result()
            if index + 1 < len(cuts):
                following = maker.submit(_detail, scan, spec, cuts[index + 1])
            yield cut, detail


def _detail(scan: AnyScan, spec: PreprocessSpec, cut: Strip) -> Float32[np.ndarray, "channel h w"]:
    """Return the detail of one strip, padded with air below and at the end of the scan."""
    part = scan.part(slice(None), slice(cut.start, min(cut.stop, scan.width)))
    channels = detail_channels(part, spec)
    short = cut.stop - cut.start - part.width
    below = -part.height % spec.detail_multiple
    if not short and not below:
        return channels
    return np.pad(channels, ((0, 0), (0, below), (0, short)))


def _lowered(
    detail: Float32[np.ndarray, "channel h w"],
    columns: slice,
    start: int,
    height: int,
    spec: PreprocessSpec,
) -> Float32[np.ndarray, "channel overview_height columns"]:
    """Return the columns of a strip at overview height; areas are averaged one axis at a time."""
    part = detail[:, :height, columns.start - start : columns.stop - start]
    size = (part.shape[2], spec.overview_height)
    return np.stack(
        [
            cv2.resize(np.ascontiguousarray(channel), size, interpolation=cv2.INTER_AREA)
            for channel in part
        ]
    )


def _overview(
    low: Float32[np.ndarray, "channel overview_height width"], scan: AnyScan, spec: PreprocessSpec
) -> tuple[Float32[np.ndarray, "channel overview_height overview_width"], float]:
    columns, scale = overview_width(scan.height, scan.width, spec)
    small = np.stack(
        [
            cv2.resize(channel, (columns, spec.overview_height), interpolation=cv2.INTER_AREA)
            for channel in low
        ]
    )
    return pad_to_multiple(small, 1, spec.overview_multiple), scale
