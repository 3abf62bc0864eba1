"""Tests of :mod:`nii.infer.overlay`: the picture is the scan, and marks cover nothing."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from jaxtyping import UInt8

from nii.infer import overlay
from nii.infer.overlay import (
    Box,
    draw_png,
    free_place,
    overlay_png,
    palette_png,
    render_grey,
    thumbnail_png,
)
from nii.inspection import (
    Inspection,
    Level,
    ModelFacts,
    ProviderFacts,
    Region,
    ScanFacts,
    Structure,
)
from nii.scan import Grey, Scan, StoredScan

CONTAINER = Structure("container", 1, (60.0, 60.0, 560.0, 260.0), 0.9)


def region(number: int, box: tuple[float, float, float, float], level: Level) -> Region:
    """Return a region."""
    return Region(
        number, "firearm", "firearm", "weapons", 0.9, level, box, 1, "container 1", (1.0, 1.0)
    )


def inspection(scan: Scan, *regions: Region) -> Inspection:
    """Return an inspection of one container with regions."""
    return Inspection(
        scan=ScanFacts.of(scan),
        model=ModelFacts("m", "1", "0" * 64),
        provider=ProviderFacts(("CPU",), ("CPU",), ("CPU",), "cpu", "none"),
        level=max((r.level for r in regions), key=lambda v: v.rank, default=Level.CLEAR),
        structures=(CONTAINER,),
        regions=regions,
        inspected_at=datetime(2026, 11, 22, tzinfo=UTC).isoformat(),
    )


def decode(png: bytes) -> UInt8[np.ndarray, "height width 3"]:
    """Return what another program reads: red, green, blue."""
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture[..., ::-1], np.uint8)


@pytest.fixture
def scan(rng: np.random.Generator) -> Scan:
    """Return a scan of noise."""
    return Scan(rng.uniform(0.05, 1, (2, 320, 640)).astype(np.float32))


def test_a_large_png_holds_every_pixel(rng: np.random.Generator) -> None:
    """A picture that is packed in several parts is read back whole, and is the same every time."""
    index = rng.integers(0, 256, (700, 1500)).astype(np.uint8)
    palette = np.arange(768, dtype=np.int64).reshape(256, 3).astype(np.uint8)
    png = palette_png(index, palette)
    np.testing.assert_array_equal(decode(png), palette[index])
    assert palette_png(index, palette) == png


@pytest.mark.parametrize("size", [(320, 640), (1000, 3000), (5, 2000), (3, 3)])
def test_a_thumbnail_is_small_and_shows_the_regions(
    size: tuple[int, int], rng: np.random.Generator
) -> None:
    """No side exceeds 480 pixels, the shape stays, and the colour of the level is in it."""
    scan = Scan(rng.uniform(0.4, 1, (1, *size)).astype(np.float32))
    box = (0.3 * size[1], 0.3 * size[0], 0.7 * size[1], 0.7 * size[0])
    marked = inspection(scan, region(1, box, Level.SEARCH))
    picture = decode(thumbnail_png(render_grey(scan), marked))
    assert max(picture.shape[:2]) == min(480, max(size))
    assert picture.shape[0] == max(1, round(size[0] * min(1, 480 / max(size))))
    assert (picture == np.asarray(overlay.LEVEL_COLOURS[Level.SEARCH])).all(axis=-1).any()


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_png_holds_every_pixel(index: UInt8[np.ndarray, "height width"]) -> None:
    """Another program reads from the PNG exactly the colours that were written."""
    palette = np.arange(768, dtype=np.int64).reshape(256, 3).astype(np.uint8)
    np.testing.assert_array_equal(decode(palette_png(index, palette)), palette[index])


def test_more_matter_is_darker() -> None:
    """Air is white, and grey falls with thickness, in the same way for any cargo behind it."""
    thickness = np.linspace(0, 6, 600, dtype=np.float32)
    ramp = np.exp(-np.tile(thickness, (40, 1)))
    grey = render_grey(Scan(ramp[None]))[0].astype(int)
    assert grey[0] == 255
    assert grey[-1] <= 1
    assert (np.diff(grey) <= 0).all()


def test_air_is_white_whatever_its_noise() -> None:
    """A beam that is a little too bright stays white."""
    assert (render_grey(Scan(np.full((1, 16, 16), 1.04, np.float32))) == 255).all()


def test_levels_are_shown_as_the_same_picture(rng: np.random.Generator) -> None:
    """A scan kept as 16-bit levels has the picture of its transmission, and needs little memory."""
    stored = StoredScan((rng.integers(0, 65536, (1000, 2000), dtype=np.uint16),), 60000)
    expected = render_grey(stored.as_numbers())
    tracemalloc.start()
    try:
        grey = render_grey(stored)
        assert tracemalloc.get_traced_memory()[1] < 3 * grey.size
    finally:
        tracemalloc.stop()
    assert np.abs(grey.astype(int) - expected).max() <= 1
    assert (grey == expected).mean() > 0.999


def test_display_picture_stays_as_it_is() -> None:
    """A picture made for the eye is shown grey by grey."""
    levels = np.arange(256, dtype=np.float32).reshape(1, 16, 16) / 255
    grey = render_grey(Scan(levels, Grey.DISPLAY))
    np.testing.assert_array_equal(grey, np.arange(256).reshape(16, 16))


@pytest.mark.parametrize("level", [Level.LOOK, Level.SEARCH])
def test_marks_cover_nothing_inside(scan: Scan, level: Level) -> None:
    """Inside a box every pixel is that of the scan; the level's colour is around it."""
    marked = inspection(scan, region(1, (200.0, 100.0, 260.0, 150.0), level))
    picture = decode(overlay_png(scan, marked))
    bare = decode(draw_png(render_grey(scan), inspection(scan)))
    np.testing.assert_array_equal(picture[100:150, 200:260], bare[100:150, 200:260])
    colour = np.asarray(overlay.LEVEL_COLOURS[level])
    assert (picture[80:170, 180:280] == colour).all(axis=-1).any()


def test_levels_differ_without_colour(scan: Scan) -> None:
    """Look is dashed, search is solid: the lines differ for an eye that sees no colour."""
    shares = []
    for level in (Level.LOOK, Level.SEARCH):
        marked = inspection(scan, region(1, (200.0, 100.0, 300.0, 200.0), level))
        picture = decode(overlay_png(scan, marked))
        ink = (picture == np.asarray(overlay.LEVEL_COLOURS[level])).all(axis=-1)
        shares.append(float(ink[90:100, 220:280].any(axis=0).mean()))
    assert shares[0] < 0.8 < shares[1]


def test_a_scan_without_regions_is_grey_but_for_the_container(scan: Scan) -> None:
    """Nothing is coloured outside the outline and the label of the container."""
    picture = decode(draw_png(render_grey(scan), inspection(scan)))
    coloured = (picture != picture[..., :1]).any(axis=-1)
    coloured[30:270, 50:570] = False
    assert not coloured.any()


boxes = st.builds(
    lambda x, y, w, h: (x, y, x + w, y + h),
    st.integers(0, 550),
    st.integers(0, 250),
    st.integers(5, 50),
    st.integers(5, 50),
)


@given(st.lists(boxes, min_size=1, max_size=6))
def test_labels_cover_neither_boxes_nor_labels(places: list[Box]) -> None:
    """With room enough every label stands free inside the picture."""
    taken = list(places)
    for box in places:
        label = free_place(taken, (300, 600), box, (70, 14))
        assert min(label) >= 0
        assert label[2] <= 600
        assert label[3] <= 300
        for other in taken:
            apart = label[0] >= other[2] or other[0] >= label[2]
            assert apart or label[1] >= other[3] or other[1] >= label[3]
        taken.append(label)


@pytest.mark.parametrize("size", [(8, 8), (2, 900), (700, 3)])
def test_tiny_pictures_are_drawn_too(size: tuple[int, int]) -> None:
    """A picture that is smaller than any label gives a picture of its size."""
    scan = Scan(np.full((1, *size), 0.5, np.float32))
    box = (0.0, 0.0, float(size[1]), float(size[0]))
    marked = replace(inspection(scan, region(1, box, Level.LOOK)), structures=())
    assert decode(overlay_png(scan, marked)).shape == (*size, 3)
