"""TIFF: our pages, and those that others write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile

from nii.errors import ScanFormatError
from nii.formats import Limits, read, write
from nii.formats.facts import ASSUMED_OPEN_BEAM, HIGHEST_FIRST
from nii.scan import Grey, Scan

Refused = Callable[[str, bytes], ScanFormatError]


def read_array(tmp_path: Path, image: np.ndarray[Any, Any], **options: Any) -> Scan:  # noqa: ANN401 - those of tifffile
    """Write an image by tifffile and read it by our reader."""
    path = tmp_path / "other.tif"
    tifffile.imwrite(path, image, metadata=None, **options)
    return read(path)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rowsperstrip": 3},
        {"tile": (16, 16)},
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": True, "rowsperstrip": 4},
        {"compression": "zlib", "predictor": True, "tile": (32, 16)},
        {"byteorder": ">"},
        {"bigtiff": True, "byteorder": ">", "compression": "zlib", "predictor": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("layout", ["pages", "contig", "separate"])
def test_every_layout_gives_the_same_scan(
    layout: str, options: dict[str, Any], tmp_path: Path, rng: np.random.Generator
) -> None:
    """Pages, interleaved channels and separate planes, in strips or tiles, packed or not."""
    levels = rng.integers(0, 65536, (2, 21, 37), dtype=np.uint16)
    if layout == "pages":
        scan = read_array(tmp_path, levels, photometric="minisblack", **options)
    else:
        image = levels if layout == "separate" else levels.transpose(1, 2, 0)
        scan = read_array(tmp_path, image, photometric="minisblack", planarconfig=layout, **options)
    assert np.array_equal(np.rint(scan.transmission * 65535), levels)
    assert scan.provenance.steps == (ASSUMED_OPEN_BEAM, HIGHEST_FIRST)


@pytest.mark.parametrize("compression", [1, 5, 8, 32773])
@pytest.mark.parametrize("predictor", [1, 2])
def test_what_libtiff_writes_is_read(
    compression: int, predictor: int, tmp_path: Path, rng: np.random.Generator
) -> None:
    """None, LZW, deflate and PackBits of libtiff, with and without predictor."""
    levels = rng.integers(0, 65536, (70, 90), dtype=np.uint16)
    levels[20:50] = 7
    path = tmp_path / "libtiff.tif"
    options = (cv2.IMWRITE_TIFF_COMPRESSION, compression, cv2.IMWRITE_TIFF_PREDICTOR, predictor)
    assert cv2.imwrite(str(path), levels, options)
    assert np.array_equal(np.rint(read(path).transmission[0] * 65535), levels)


def test_float_is_transmission(tmp_path: Path) -> None:
    """Float values are taken as they are, and the assumption is noted."""
    values = np.linspace(0, 1.2, 12, dtype=np.float32).reshape(3, 4)
    scan = read_array(tmp_path, values)
    assert np.array_equal(scan.transmission[0], values)
    assert "float" in scan.provenance.steps[0]


def test_float_that_is_no_transmission_is_refused(tmp_path: Path) -> None:
    """Not-a-number and negative values do not get into a scan."""
    for value in (np.nan, -1.0, np.inf):
        with pytest.raises(ScanFormatError, match="transmission lies in"):
            read_array(tmp_path, np.full((3, 4), value, np.float32))


def test_white_may_be_zero(tmp_path: Path) -> None:
    """Inverted files are turned round, and it is noted."""
    for dtype, white in ((np.uint8, 255), (np.uint16, 65535)):
        levels = np.array([[0, 10], [white, white - 10]], dtype)
        scan = read_array(tmp_path, levels, photometric="miniswhite")
        assert np.allclose(scan.transmission[0] * white, white - levels.astype(float), rtol=1e-6)
        assert any("inverted" in step for step in scan.provenance.steps)


def test_eight_bits_are_display(tmp_path: Path, rng: np.random.Generator) -> None:
    """Grey, colour and palette become one display channel."""
    grey = rng.integers(0, 256, (5, 6), dtype=np.uint8)
    ramp = np.arange(256, dtype=np.uint16) * 257
    images: tuple[tuple[np.ndarray[Any, Any], dict[str, Any]], ...] = (
        (grey, {"photometric": "minisblack"}),
        (np.repeat(grey[..., np.newaxis], 3, 2), {"photometric": "rgb"}),
        (np.repeat(grey[..., np.newaxis], 4, 2), {"photometric": "rgb"}),
        (grey, {"photometric": "palette", "colormap": np.stack([ramp] * 3)}),
    )
    for image, options in images:
        scan = read_array(tmp_path, image, **options)
        assert scan.grey is Grey.DISPLAY
        assert np.array_equal(np.rint(scan.transmission[0] * 255), grey)


def test_orientation_is_applied(tmp_path: Path) -> None:
    """A page stored bottom up comes out top down."""
    levels = np.arange(12, dtype=np.uint16).reshape(3, 4)
    scan = read_array(tmp_path, levels, extratags=[(274, 3, 1, 4, True)])
    assert np.array_equal(np.rint(scan.transmission[0] * 65535), levels[::-1])


def test_pages_of_different_size_are_refused(tmp_path: Path) -> None:
    """Two scans in one file are not taken for two energies."""
    path = tmp_path / "two.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.zeros((4, 4), np.uint16), metadata=None)
        writer.write(np.zeros((4, 5), np.uint16), metadata=None)
    with pytest.raises(ScanFormatError, match="4 x 4, 4 x 5"):
        read(path)


def test_a_thumbnail_is_no_energy(tmp_path: Path) -> None:
    """A page marked as reduced is left out."""
    path = tmp_path / "thumbnail.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.zeros((8, 8), np.uint16), metadata=None)
        writer.write(np.zeros((4, 4), np.uint16), metadata=None, subfiletype=1)
    assert read(path).energy_count == 1


def test_too_many_energies_are_refused(tmp_path: Path) -> None:
    """Seventeen pages are above the limit of sixteen."""
    with pytest.raises(ScanFormatError, match="17 x 4 x 4"):
        read_array(tmp_path, np.zeros((17, 4, 4), np.uint16), photometric="minisblack")


def test_the_oversized_are_refused(refused: Refused, tmp_path: Path) -> None:
    """A header that claims a million by a million pixels costs no memory."""
    path = tmp_path / "claims.tif"
    tifffile.imwrite(path, np.zeros((4, 4), np.uint16), metadata=None)
    with tifffile.TiffFile(path, mode="r+") as file:
        for name in ("ImageWidth", "ImageLength"):
            file.pages.first.tags[name].overwrite(1_000_000)
    assert "1000000 x 1000000" in refused("claims.tif", path.read_bytes()).found


def test_a_bomb_is_refused(refused: Refused, tmp_path: Path) -> None:
    """A strip of a few bytes that claims 100 megapixels is refused before it is unpacked."""
    path = tmp_path / "bomb.tif"
    tifffile.imwrite(path, np.zeros((4, 4), np.uint16), metadata=None, compression="zlib")
    with tifffile.TiffFile(path, mode="r+") as file:
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            file.pages.first.tags[name].overwrite(10_000)
    assert "cannot hold" in refused("bomb.tif", path.read_bytes()).found


def test_damaged_facts_are_refused(truck: Scan, refused: Refused, tmp_path: Path) -> None:
    """A file whose facts are cut is not read without them."""
    (path,) = write(truck, tmp_path / "truck.tif")
    data = path.read_bytes().replace(b'"scanner"', b'"scannex"')
    assert "scannex" in refused("facts.tif", data).found


def test_tifffile_sees_one_page_an_energy(truck: Scan, tmp_path: Path) -> None:
    """Other programs read the levels without knowing us."""
    (path,) = write(truck, tmp_path / "truck.tif")
    with tifffile.TiffFile(path) as file:
        pages = np.stack([page.asarray() for page in file.pages])
    assert np.array_equal(pages, np.rint(truck.transmission * 65535))


def test_limits_are_those_of_the_caller(truck: Scan, tmp_path: Path) -> None:
    """A caller who wants small scans gets no large ones."""
    (path,) = write(truck, tmp_path / "truck.tif")
    with pytest.raises(ScanFormatError, match="and 1 energies"):
        read(path, Limits(energies=1))
