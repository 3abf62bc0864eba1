"""JPEG: a picture for the eye, whole or not at all."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from nii.errors import ScanFormatError
from nii.formats import read, write
from nii.scan import Grey, Scan

Refused = Callable[[str, bytes], ScanFormatError]


def encoded(image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], *options: int) -> bytes:
    """Return an image as OpenCV writes it."""
    return cv2.imencode(".jpg", image, options)[1].tobytes()


@pytest.fixture
def noise(rng: np.random.Generator) -> bytes:
    """Return a JPEG of several kilobytes."""
    return encoded(rng.integers(0, 256, (64, 96), dtype=np.uint8))


def test_grey_is_kept(tmp_path: Path) -> None:
    """A smooth grey picture comes back within a level or two, as display."""
    grey = np.add.outer(np.arange(40), np.arange(60)).astype(np.uint8)
    path = tmp_path / "grey.jpg"
    path.write_bytes(encoded(grey, cv2.IMWRITE_JPEG_QUALITY, 100))
    scan = read(path)
    assert scan.grey is Grey.DISPLAY
    assert np.abs(scan.transmission[0] * 255 - grey).max() <= 2


@pytest.mark.parametrize("progressive", [0, 1])
def test_colour_is_reduced(progressive: int, tmp_path: Path) -> None:
    """Baseline and progressive colour become luminance, which is noted."""
    path = tmp_path / "colour.jpeg"
    red = np.full((32, 32, 3), (0, 0, 255), np.uint8)
    path.write_bytes(encoded(red, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive))
    scan = read(path)
    assert scan.transmission.shape == (1, 32, 32)
    assert np.abs(scan.transmission * 255 - 76).max() <= 2
    assert any("pseudo-colour" in step for step in scan.provenance.steps)


def test_facts_travel_in_a_comment(picture: Scan, tmp_path: Path) -> None:
    """What is known about a picture stays with it, and other programs still read it."""
    scan = replace(picture, scanner="Portal", container_numbers=("MSCU1234566",))
    (path,) = write(scan, tmp_path / "picture.jpg")
    again = read(path)
    assert (again.scanner, again.container_numbers) == ("Portal", ("MSCU1234566",))
    assert cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) is not None


def test_a_transmission_is_not_written(truck: Scan, tmp_path: Path) -> None:
    """The message names the formats that keep 16 bits."""
    with pytest.raises(ScanFormatError, match="PNG, TIFF or DICOS"):
        write(truck, tmp_path / "truck.jpg")


def test_facts_that_do_not_fit_are_refused(picture: Scan, tmp_path: Path) -> None:
    """A comment holds 64 kB; more is not cut silently."""
    with pytest.raises(ScanFormatError, match="bytes of facts"):
        write(replace(picture, scanner="x" * 70000), tmp_path / "picture.jpg")


def test_a_cut_picture_is_refused(noise: bytes, refused: Refused) -> None:
    """OpenCV would fill the missing part with grey."""
    assert "end marker" in refused("cut.jpg", noise[:-1]).found
    assert "end marker" in refused("cut.jpg", noise[: len(noise) // 2]).found


def test_padding_after_the_end_is_fine(noise: bytes, tmp_path: Path) -> None:
    """Devices that fill up to a block size do no harm."""
    path = tmp_path / "padded.jpg"
    path.write_bytes(noise + bytes(500))
    assert read(path).width == 96


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"\xff\xc0", b"\xff\xc3", "frame C3"),
        (struct.pack(">BHH", 8, 64, 96), struct.pack(">BHH", 12, 64, 96), "12 bits"),
        (struct.pack(">BHH", 8, 64, 96), struct.pack(">BHH", 8, 0, 96), "0 x 96"),
        (struct.pack(">BHH", 8, 64, 96), struct.pack(">BHH", 8, 65535, 65535), "65535 x 65535"),
        (b"\xff\xc0", b"\xff\xe0", "0 frame headers"),
        (b"\xff\xc0\x00\x0b", b"\xff\xc0\xff\xff", "passes the end"),
        (b"\xff\xda\x00\x08", b"\xff\xda\x00\x00", "passes the end"),
    ],
)
def test_rare_and_broken_frames_are_refused(
    old: bytes, new: bytes, message: str, noise: bytes, refused: Refused
) -> None:
    """Lossless, 12-bit, empty, oversized and damaged headers are named."""
    assert old in noise
    assert message in refused("frame.jpg", noise.replace(old, new, 1)).found


def test_many_passes_are_refused(noise: bytes, refused: Refused) -> None:
    """A file with hundreds of scans is made to keep the reader busy."""
    start = noise.index(b"\xff\xda")
    bomb = noise[:start] + noise[start:-2] * 100 + noise[-2:]
    assert "100 scans" in refused("bomb.jpg", bomb).found


def test_a_file_without_a_start_is_refused(refused: Refused) -> None:
    """The magic number alone is no picture."""
    for data in (b"\xff\xd8\xff", b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xd9"):
        refused("empty.jpg", data)
