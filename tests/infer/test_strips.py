"""Tests of :mod:`nii.infer.strips`: strips are the whole scan, for real and for random networks."""

from __future__ import annotations

import dataclasses
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float32

from nii import formats
from nii.bundle import CARD_KEY, Bundle, Card, read_bundle
from nii.infer import strips
from nii.infer.decode import OutputMaps, decode
from nii.infer.reach import Reach, reach_of
from nii.infer.runtime import CPU, ProviderSettings, open_session
from nii.infer.strips import Network, look, plan
from nii.scan import AnyScan, Scan

SETTINGS = ProviderSettings((CPU,), threads=1)


def cut_and_whole(scan: AnyScan, network: Network) -> list[OutputMaps]:
    """Return the maps of a scan in one pass and in strips."""
    whole = dataclasses.replace(network, most_pixels=scan.height * scan.width)
    return [look(scan, way, time.perf_counter).maps for way in (whole, network)]


def largest_difference(first: OutputMaps, second: OutputMaps) -> float:
    """Return the largest difference of probabilities, and of distances relative to themselves."""
    worst = 0.0
    for part in dataclasses.fields(OutputMaps):
        one, other = getattr(first, part.name), getattr(second, part.name)
        assert (one is None) == (other is None)
        if one is None:  # a model without an anomaly map
            continue
        assert one.shape == other.shape
        worst = max(worst, float((np.abs(one - other) / np.maximum(np.abs(one), 1)).max()))
    return worst


def textured(rng: np.random.Generator, height: int, width: int) -> Scan:
    """Return a scan whose every pixel differs, with large and small things in it."""
    attenuation = rng.uniform(0, 0.4, (2, height, width)).astype(np.float32)
    for _ in range(width // 40):
        y, x = int(rng.integers(0, height)), int(rng.integers(0, width))
        attenuation[:, y : y + int(rng.integers(8, 90)), x : x + int(rng.integers(8, 200))] += 1
    return Scan(np.exp(-attenuation), endpoint_mev=(9.0, 6.0))


def random_weights(model: bytes, rng: np.random.Generator) -> bytes:
    """Return a model of the same layers whose weights are drawn anew.

    The variance is half of what He et al. (2015) advise: without normalisation the sums of residual
    blocks would grow until the last digit of the input decides.
    """
    onnx = pytest.importorskip("onnx", reason="the extra [train] is not installed")
    loaded = onnx.load_from_string(model)
    for tensor in loaded.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.ndim == 4:
            scale = np.sqrt(1 / values[0].size)
            fresh = rng.normal(0, scale, values.shape).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(fresh, tensor.name))
    return bytes(loaded.SerializeToString())


@pytest.fixture(scope="module")
def compact(root: Path) -> Bundle:
    """Return the shipped model."""
    if not (root / "models" / "compact").is_dir():
        pytest.skip("no models/compact")
    return read_bundle(root / "models" / "compact")


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["trained", "random"])
def test_strips_give_the_maps_and_boxes_of_the_whole(
    weights: str, compact: Bundle, rng: np.random.Generator
) -> None:
    """Trained and random weights: every value within 1e-4, and the same boxes."""
    model = compact.model_path.read_bytes()
    model = random_weights(model, rng) if weights == "random" else model
    session = open_session(model, SETTINGS)
    scan = textured(rng, 120, 1101)
    network = Network(session.run, compact.card, reach_of(model), 0, 128 * 416)
    assert len(plan(scan.height, scan.width, network)) == 5
    first, second = cut_and_whole(scan, network)
    assert largest_difference(first, second) < 1e-4
    frame = look(scan, network, time.perf_counter).frame
    one, other = (decode(maps, compact.card, frame) for maps in (first, second))
    assert len(one) == len(other)
    np.testing.assert_allclose(one.boxes_xyxy, other.boxes_xyxy, atol=0.05)
    np.testing.assert_array_equal(one.class_ids, other.class_ids)


def test_a_halo_that_is_too_small_shows(compact: Bundle, rng: np.random.Generator) -> None:
    """With a halo of one grid step instead of eight the maps differ: the test above can fail."""
    model = random_weights(compact.model_path.read_bytes(), rng)
    session = open_session(model, SETTINGS)
    scan = textured(rng, 120, 1101)
    network = Network(session.run, compact.card, Reach(4, 15, 15, 16), 0, 128 * 416)
    assert largest_difference(*cut_and_whole(scan, network)) > 1e-3


def test_levels_give_the_same_as_numbers(
    tiny_bundle: Bundle, make_scan: Callable[..., Scan], tmp_path: Path
) -> None:
    """A scan kept as 16-bit levels has the maps of the same file read as transmission."""
    formats.write(make_scan(), tmp_path / "a.tiff")
    session = open_session(tiny_bundle.model_path, SETTINGS)
    reach = reach_of(tiny_bundle.model_path.read_bytes())
    network = Network(session.run, tiny_bundle.card, reach, 0, 256 * 320)
    stored = formats.read_stored([tmp_path / "a.tiff"])
    assert stored is not None
    first = look(stored, network, time.perf_counter).maps
    second = look(formats.read(tmp_path / "a.tiff"), network, time.perf_counter).maps
    assert largest_difference(first, second) == 0


def test_without_reach_nothing_is_cut(
    tiny_bundle: Bundle, make_scan: Callable[..., Scan], caplog: pytest.LogCaptureFixture
) -> None:
    """A model that may look anywhere runs the whole scan at once, and the log says so."""
    shapes = []

    def run(*views: Float32[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        shapes.append([view.shape[3] for view in views])
        return open_session(tiny_bundle.model_path, SETTINGS).run(*views)

    scan = make_scan()
    look(scan, Network(run, tiny_bundle.card, None, 0, 1), time.perf_counter)
    assert shapes == [[scan.width, 416]]
    assert "cannot be cut" in caplog.text


def test_the_view_that_is_not_needed_is_small(
    tiny_bundle: Bundle, make_scan: Callable[..., Scan]
) -> None:
    """Strips see an overview of 32 columns; the overview is run once, with a corner of detail."""
    session = open_session(tiny_bundle.model_path, SETTINGS)
    shapes = []

    def run(*views: Float32[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        shapes.append(tuple(view.shape[3] for view in views))
        return session.run(*views)

    reach = Reach(4, 20, 23, 4)
    look(make_scan(), Network(run, tiny_bundle.card, reach, 0, 256 * 320), time.perf_counter)
    assert [overview for _, overview in shapes] == [32] * (len(shapes) - 1) + [416]
    assert shapes[-1][0] == 16
    assert len({detail for detail, _ in shapes[:-1]}) == 1


@settings(max_examples=25)
@given(st.integers(1, 400), st.integers(1, 5000), st.integers(0, 150), st.integers(0, 10**6))
def test_every_column_is_kept_once_with_its_halo(
    height: int, width: int, look_px: int, pixels: int
) -> None:
    """Strips are alike, lie on the grid, and own every column once, its halo inside the strip."""
    card = read_card()
    network = Network(lambda *_: (), card, Reach(4, look_px, look_px, 16), 0, pixels)
    cuts = plan(height, width, network)
    if len(cuts) == 1:
        assert cuts[0] == strips.Strip(0, width, 0, width)
        return
    padded, halo = width + -width % 16, network.reach.halo_px if network.reach else 0
    assert [cut.keep_start for cut in cuts] == [0, *(cut.keep_stop for cut in cuts[:-1])]
    assert cuts[-1].keep_stop == padded
    assert len({cut.stop - cut.start for cut in cuts}) == 1
    for cut in cuts:
        assert cut.start % 16 == 0
        assert cut.keep_start < cut.keep_stop
        assert cut.start == 0 or cut.keep_start - cut.start >= halo
        assert cut.stop == padded or cut.stop - cut.keep_stop >= halo
        assert 0 <= cut.start < cut.stop <= padded


def test_times_add_up(tiny_bundle: Bundle, make_scan: Callable[..., Scan]) -> None:
    """On a clock that ticks at every look, seconds of all strips are those between both ends."""
    session = open_session(tiny_bundle.model_path, SETTINGS)
    ticks = itertools.count()
    network = Network(session.run, tiny_bundle.card, Reach(4, 20, 23, 4), 0, 256 * 320)
    seen = look(make_scan(), network, lambda: float(next(ticks)))
    assert seen.preprocess_s + seen.run_s == seen.ended_s


def read_card() -> Card:
    """Return a card with the usual strides."""
    root = Path(__file__).resolve().parents[2]
    data = json.loads((root / "models" / "compact" / "card.json").read_text("utf-8"))
    assert CARD_KEY == "nii.card"
    return Card.from_json(data)


PEAK = """
import re, sys, time
from pathlib import Path
import numpy as np
from nii.bundle import read_bundle
from nii.infer.reach import reach_of
from nii.infer.runtime import CPU, ProviderSettings, open_session
from nii.infer.strips import Network, look
from nii.scan import StoredScan
bundle = read_bundle(Path(sys.argv[1]))
session = open_session(bundle.model_path, ProviderSettings((CPU,), threads=1))
model = bundle.model_path.read_bytes()
levels = tuple(np.full((768, 12000), 50000 + energy, np.uint16) for energy in range(2))
network = Network(session.run, bundle.card, reach_of(model), int(sys.argv[2]), 1 << 20)
def peak():
    # Not getrusage: what it tells includes the process that this one was forked from.
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak()
look(StoredScan(levels, 65535), network, time.perf_counter)
print((peak() - before) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell the peak of memory")
def test_strips_need_little_memory(tiny_bundle: Bundle, root: Path) -> None:
    """In strips a long scan takes a fraction of the memory that one pass takes (own processes)."""
    peaks_mib = []
    for most_pixels in (0, 1 << 30):
        words = [sys.executable, "-c", PEAK, str(tiny_bundle.folder), str(most_pixels)]
        answer = subprocess.run(  # noqa: S603
            words, cwd=root, capture_output=True, text=True, check=True, timeout=120
        )
        peaks_mib.append(float(answer.stdout))
    strips_mib, whole_mib = peaks_mib
    assert strips_mib < 128
    assert whole_mib > 2 * strips_mib
