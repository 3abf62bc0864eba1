"""Plausibility: every reason against a place, and places that have none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nii.detections import Detections
from nii.scan import Grey, Scan
from nii.simulate.plausibility import doubts, find_place
from nii.simulate.scanner import acquire, preset
from nii.simulate.scene import Scene
from nii.simulate.shapes import BASIS, HEAVY, ORGANIC, STEEL
from nii.simulate.tip import ThreatImage

ROOM = (40.0, 20.0, 360.0, 180.0)


def container() -> Scan:
    """Return a steel container with a load in its left half and a black block in the load."""
    grid = np.zeros((len(BASIS), 200, 400), np.float32)
    grid[STEEL, 20:180, 40:360] = 3.0
    grid[STEEL, 174:180, 40:360] += 20.0
    grid[ORGANIC, 90:174, 40:200] = 30.0
    grid[HEAVY, 120:174, 60:100] = 300.0
    none = np.zeros(0, np.float32)
    scene = Scene(grid, BASIS, (5.0, 5.0), Detections.empty(), (), none, ())
    return acquire(scene, preset("linac_9_6"), np.random.default_rng(0))


def block(grams: float = 8.0, size: int = 20) -> ThreatImage:
    """Return a block of lead."""
    planes = np.zeros((1, size, size), np.float32)
    planes[0, 2:-2, 2:-2] = grams
    return ThreatImage(planes, ("lead",), "dense_object", "block")


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ((-8, 100), "clipped"),
        ((100, 385), "clipped"),
        ((100, 20), "outside"),
        ((2, 300), "outside"),
        ((60, 300), "unsupported"),
        ((130, 70), "hidden"),
        ((154, 300), None),  # on the floor
        ((72, 140), None),  # on the load
        ((130, 150), None),  # in the load
    ],
)
def test_a_place_is_judged(where: tuple[int, int], reason: str | None) -> None:
    """A threat off the scan, outside, in mid-air or behind black is doubted; on a floor not."""
    found = doubts(container(), block(), where, ROOM)
    assert [text.split(":")[0] for text in found] == ([reason] if reason else [])


def test_what_changes_nothing_is_doubted() -> None:
    """A foil behind 30 g/cm2 of load cannot be seen."""
    found = doubts(container(), block(0.01, 8), (130, 150), ROOM)
    assert [text.split(":")[0] for text in found] == ["invisible"]


def test_a_display_image_is_judged_too() -> None:
    """Support and visibility are also found in a picture of unknown grey curve."""
    scan = container()
    picture = np.clip(scan.transmission[:1] ** np.float32(0.65), 0, 1)
    levels = (np.rint(picture * 255) / 255).astype(np.float32)
    picture_scan = replace(scan, transmission=levels, grey=Grey.DISPLAY, endpoint_mev=None)
    assert doubts(picture_scan, block(), (154, 300), ROOM) == ()
    assert doubts(picture_scan, block(), (60, 300), ROOM)[0].startswith("unsupported")


def test_places_that_are_found_are_plausible() -> None:
    """Five places in a row have nothing against them; a threat too large for the room has none."""
    scan, rng = container(), np.random.default_rng(0)
    for _ in range(5):
        place = find_place(scan, block(), ROOM, rng)
        assert place is not None
        assert doubts(scan, block(), place, ROOM) == ()
    assert find_place(scan, block(size=170), ROOM, rng) is None
