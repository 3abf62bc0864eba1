"""Tests of :mod:`nii.infer.pictures`: pictures stay small and show the right place."""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from jaxtyping import UInt8

from nii.bundle import Bundle
from nii.infer import pictures
from nii.infer.detect import Detector
from nii.infer.inspect import inspect
from nii.infer.runtime import CPU, ProviderSettings
from nii.inspection import Inspection
from nii.scan import Grey, Scan


@pytest.fixture
def inspected(tiny_bundle: Bundle, make_scan: Callable[..., Scan]) -> tuple[Scan, Inspection]:
    """Return a scan with two threats and its inspection by the tiny model."""
    scan = make_scan(((320, 120), (560, 176)))
    return scan, inspect(scan, Detector.open(tiny_bundle.folder, ProviderSettings((CPU,))))


def decode(uri: str) -> UInt8[np.ndarray, "height width"]:
    """Return the grey picture of a data URI."""
    head, _, data = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    raw = np.frombuffer(base64.b64decode(data), np.uint8)
    picture = cv2.imdecode(raw, cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    return np.asarray(picture, np.uint8)


@pytest.mark.parametrize("shape", [(300, 4000), (50, 70), (2000, 10)])
def test_pictures_are_reduced_never_enlarged(shape: tuple[int, int]) -> None:
    """The longest side is at most the limit; a small picture keeps its size."""
    seen = decode(pictures.jpeg_uri(np.full(shape, 128, np.uint8), 1000))
    if max(shape) <= 1000:
        assert seen.shape == shape
    else:
        assert max(seen.shape) == 1000
    assert abs(int(seen.mean()) - 128) <= 2


def test_a_crop_shows_its_region(inspected: tuple[Scan, Inspection]) -> None:
    """The dense square is dark in the middle of its crop, what surrounds it is light."""
    scan, inspection = inspected
    for region in inspection.regions:
        crop = pictures.crop_of(scan, region)
        x0, y0, x1, y1 = crop.box
        left, top, right, bottom = region.box_xyxy
        assert x0 < left < right < x1
        assert y0 < top < bottom < y1
        grey = decode(crop.uri)
        assert grey.shape == (y1 - y0, x1 - x0)
        middle = grey[round(top - y0) + 8 : round(bottom - y0) - 8]
        middle = middle[:, round(left - x0) + 8 : round(right - x0) - 8]
        assert middle.mean() < 40
        assert grey[:4].mean() > 150


def test_crops_of_any_grey_can_be_made() -> None:
    """A crop of nothing but air, of darkness or of a display picture has no division by zero."""
    for value in (0.0, 1.0):
        for grey in Grey:
            part = np.full((1, 40, 50), value, np.float32)
            assert pictures.contrast(part, grey).shape == (40, 50)


def test_marks_are_well_formed_and_lie_on_the_picture(inspected: tuple[Scan, Inspection]) -> None:
    """The SVG parses, holds one group a mark and one picture, and its marks can be hidden."""
    scan, inspection = inspected
    svg = ET.fromstring(pictures.overview_svg(inspection, "data:,"))  # noqa: S314 - our own text
    assert svg.get("viewBox") == f"0 0 {scan.width} {scan.height}"
    (marks,) = svg.findall("g[@class='marks']")
    assert len(marks) == len(inspection.regions) + len(inspection.containers)
    for text in marks.iter("text"):
        assert 0 <= float(text.get("x", -1)) <= scan.width
        assert 0 <= float(text.get("y", -1)) <= scan.height


def test_a_crop_is_stored_once_and_shown_twice(inspected: tuple[Scan, Inspection]) -> None:
    """The bare crop refers to the picture of the outlined one."""
    scan, inspection = inspected
    region = inspection.regions[0]
    crop = pictures.crop_of(scan, region)
    both = pictures.crop_svgs(crop, region, "crop-1")
    assert both.count(crop.uri) == 1
    outlined, bare = ET.fromstring(f"<p>{both}</p>")  # noqa: S314 - our own text
    assert outlined.findall("image")[0].get("id") == "crop-1"
    assert bare.findall("use")[0].get("href") == "#crop-1"
    assert outlined.findall(".//rect")
    assert not bare.findall(".//rect")
