"""Claims about pyramids of scans."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nii import formats
from nii.provenance import Provenance
from nii.review import pyramid
from nii.scan import Grey, Scan, StoredScan

SAMPLES = Path(__file__).parents[2] / "data" / "samples"


def stored(levels: np.ndarray, white: int = 60000) -> StoredScan:
    """Return a scan with these levels, axes energy, height, width."""
    return StoredScan(tuple(levels), white, endpoint_mev=(9.0, 6.0)[: len(levels)])


@given(st.integers(1, 530), st.integers(1, 530), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_levels_are_means_and_minima(height: int, width: int, seed: int) -> None:
    """Each pixel of the next level is the mean and the least of the four above it, at odd sizes."""
    levels = np.random.default_rng(seed).integers(0, 65536, (2, height, width), dtype=np.uint16)
    made = pyramid.build(stored(levels))
    for above, below in zip(made.levels, made.levels[1:], strict=False):
        for plane, half in zip(above.mean, below.mean, strict=True):
            np.testing.assert_array_equal(half, (quads(plane).sum(0) + 2) >> 2)
        for plane, half in zip(above.least, below.least, strict=True):
            np.testing.assert_array_equal(half, quads(plane).min(0))
    smallest = made.levels[-1]
    assert max(smallest.height, smallest.width) <= 256


def quads(plane: np.ndarray) -> np.ndarray:
    """Return the four pixels of each pixel of the next level, the border repeated; by numpy."""
    height, width = plane.shape
    even = np.pad(plane, ((0, height % 2), (0, width % 2)), mode="edge").astype(np.int64)
    return np.stack([even[y::2, x::2] for y in (0, 1) for x in (0, 1)])


def test_a_small_dense_object_stays_in_every_level() -> None:
    """One opaque pixel in a scan of 4,000 columns is as dark at the coarsest level."""
    levels = np.full((1, 1000, 4000), 60000, np.uint16)
    levels[0, 611, 2222] = 17
    made = pyramid.build(stored(levels))
    assert [int(level.least[0].min()) for level in made.levels] == [17] * len(made.levels)
    assert int(made.levels[-1].mean[0].min()) > 59000, "the mean alone would have lost it"


@pytest.mark.parametrize("energies", [1, 2, 4])
@pytest.mark.parametrize("suffix", [".tif", ".png", ".dcs"])
def test_levels_are_those_of_the_file(
    tmp_path: Path, rng: np.random.Generator, energies: int, suffix: str
) -> None:
    """Whatever the format, the pyramid holds the 16-bit levels that were written, to the last."""
    levels = rng.integers(0, 65536, (energies, 40, 50), dtype=np.uint16)
    numbers = np.divide(levels, np.float32(65535), dtype=np.float32)
    files = formats.write(Scan(numbers), tmp_path / f"scan{suffix}")
    scan = formats.read_stored(files) or formats.read(files)
    kept, white = pyramid.levels_of(scan)
    assert white == 65535
    np.testing.assert_array_equal(kept[0], levels[0])
    np.testing.assert_array_equal(kept[-1], levels[-1])
    assert len(kept) == min(energies, 2)


def test_noise_above_air_is_kept(tmp_path: Path) -> None:
    """A transmission a little above 1 leaves room at the top instead of being clipped."""
    image = np.linspace(0, 1.05, 4000, dtype=np.float32).reshape(1, 40, 100)
    files = formats.write(Scan(image), tmp_path / "scan.png")
    kept, white = pyramid.levels_of(formats.read(files))
    assert white == 60000
    assert int(kept[0].max()) == 63000
    assert (np.diff(kept[0].ravel().astype(int)) > 0).all()


def test_display_pictures_keep_their_greys(rng: np.random.Generator) -> None:
    """A picture of 8 bits has the levels 0 to 255 and white 255; one of more bits has them all."""
    greys = rng.integers(0, 256, (20, 30), dtype=np.uint8)
    scan = Scan(greys[None].astype(np.float32) / np.float32(255), grey=Grey.DISPLAY)
    kept, white = pyramid.levels_of(scan)
    assert white == 255
    np.testing.assert_array_equal(kept[0], greys)
    fine = Scan(np.linspace(0, 1, 600, dtype=np.float32).reshape(1, 20, 30), grey=Grey.DISPLAY)
    assert pyramid.levels_of(fine)[1] == 65535


def test_a_scan_far_above_air_is_not_clipped() -> None:
    """Values that were never divided by the open beam still keep their order."""
    scan = Scan(np.linspace(0, 9, 1000, dtype=np.float32).reshape(1, 20, 50))
    kept, white = pyramid.levels_of(scan)
    assert white < 32767
    assert (np.diff(kept[0].ravel().astype(int)) > 0).all()


def test_write_and_read_give_the_same(tmp_path: Path) -> None:
    """What is read back equals what was made, facts and pixels."""
    scan = formats.read((SAMPLES / "mixed_load.png",))
    made = pyramid.build(scan)
    path = tmp_path / "a.pyramid"
    pyramid.write(made, path)
    again = pyramid.read(path)
    assert again is not None
    assert again.facts == made.facts
    assert made.facts.air_noise is not None
    assert 0.001 < made.facts.air_noise < 0.05
    for one, other in zip(made.levels, again.levels, strict=True):
        for planes in zip(one.mean + one.least, other.mean + other.least, strict=True):
            np.testing.assert_array_equal(*planes)
    assert again.levels[0].least is again.levels[0].mean
    assert [path.name for path in tmp_path.iterdir()] == ["a.pyramid"]


def test_what_is_not_whole_is_not_read(tmp_path: Path) -> None:
    """A missing, cut, foreign or older file counts as none."""
    made = pyramid.build(stored(np.ones((1, 30, 30), np.uint16)))
    path = tmp_path / "a.pyramid"
    assert pyramid.read(path) is None
    pyramid.write(made, path)
    whole = path.read_bytes()
    older = whole.replace(b'"form": 1', b'"form": 0')
    for content in (whole[:-1], whole + b"x", whole[:100], b"", b"GIF89a" + whole[6:], older):
        path.write_bytes(content)
        assert pyramid.read(path) is None
    path.write_bytes(whole)
    assert pyramid.read(path) is not None


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pyramid that cannot be written whole leaves no file behind."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        pyramid.write(pyramid.build(stored(np.ones((1, 8, 8), np.uint16))), tmp_path / "a.pyramid")
    assert not list(tmp_path.iterdir())


def test_noise_is_measured_in_air(rng: np.random.Generator) -> None:
    """The noise of air is found within 5 %; without air there is none to find."""
    levels = np.rint(rng.normal(58000, 300, (1, 300, 400))).astype(np.uint16)
    noise = pyramid.build(stored(levels)).facts.air_noise
    assert noise == pytest.approx(300 / 60000, rel=0.05)
    assert pyramid.build(stored(levels // 2)).facts.air_noise is None


def test_the_fan_of_a_simulated_scan_is_kept() -> None:
    """What a scan says about its rays reaches the facts; a strange fan does not."""
    scan = stored(np.ones((2, 8, 8), np.uint16))
    settings_ = {"fan": {"rows": 8}}
    told = replace(scan, provenance=Provenance(settings=settings_))
    assert pyramid.build(told).facts.fan == {"rows": 8}
    strange = replace(scan, provenance=Provenance(settings={"fan": "wide"}))
    assert pyramid.build(strange).facts.fan is None
