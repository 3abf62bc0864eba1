"""Ends of a container: boxes lose plain air and padding, and nothing of the container."""

from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import Float32

from nii import taxonomy
from nii.detections import Detections
from nii.infer.ends import fitted, usual_air, without_air
from nii.infer.health import padding_of
from nii.scan import Grey, Scan, StoredScan

CONTAINER = taxonomy.by_name("container").class_id
FIREARM = taxonomy.by_name("firearm").class_id
LEFT, RIGHT, TOP, BOTTOM = 200, 700, 60, 260


def picture(wall: float = 0.15, rail: float = 0.8) -> Float32[np.ndarray, "height width"]:
    """Return a container on a long deck: walls, roof rail, posts, and a board along the deck."""
    seen = np.full((320, 1000), 0.97, np.float32)
    seen[TOP:BOTTOM, LEFT:RIGHT] *= np.float32(np.exp(-wall))
    seen[TOP : TOP + 5, LEFT:RIGHT] *= np.float32(np.exp(-rail))
    for post in (LEFT, RIGHT - 8):
        seen[TOP:BOTTOM, post : post + 8] *= np.float32(np.exp(-1.5))
    seen[220:280, 50:950] *= np.float32(np.exp(-1.0))
    return seen


def scan_of(seen: Float32[np.ndarray, "height width"]) -> Scan:
    """Return it as a scan of one energy."""
    return Scan(seen[None], grey=Grey.DISPLAY)


def fit(scan: Scan | StoredScan, box: tuple[float, float, float, float]) -> list[float]:
    """Return what becomes of the box."""
    air = usual_air(scan.plane()[::8, ::8])
    return list(without_air(scan, box, air, padding_of(scan)))


@pytest.mark.parametrize(
    ("box", "ends"),
    [
        ((120.0, 58.0, 760.0, 270.0), (LEFT, RIGHT)),
        ((200.0, 58.0, 850.0, 270.0), (LEFT, RIGHT)),
        ((210.5, 58.0, 690.5, 270.0), (210.5, 690.5)),
        ((200.0, 58.0, 700.0, 270.0), (LEFT, RIGHT)),
    ],
)
@pytest.mark.parametrize("wall", [0.15, 0.01])
def test_a_box_ends_with_the_container(
    box: tuple[float, float, float, float], ends: tuple[float, float], wall: float
) -> None:
    """What reaches beyond is cut, above a deck too; what is too short stays; walls may be thin."""
    noise = np.random.default_rng(0).normal(1, 0.02, (320, 1000)).astype(np.float32)
    found = fit(scan_of(picture(wall) * noise), box)
    assert found == pytest.approx([ends[0], box[1], ends[1], box[3]], abs=1)


def test_padding_and_uneven_air_are_no_container() -> None:
    """Black columns beside it are cut, with a stuck line through them; air may fade along it."""
    seen = picture() * np.linspace(1, 0.75, 1000, dtype=np.float32)
    seen[:, :190] = 0.0
    seen[100:103] = 0.97
    found = fit(scan_of(seen), (0.0, 58.0, 800.0, 270.0))
    assert found == pytest.approx([LEFT, 58, RIGHT, 270], abs=1)


def test_a_load_that_nothing_gets_through_is_no_padding() -> None:
    """In a picture that ends with the container black columns stay, amid it and at its end."""
    for start, end in ((520, 690), (450, 692)):
        seen = picture()[TOP - 6 : BOTTOM + 6]
        seen[4:, start:end] = 2e-4
        found = fit(Scan(seen[None]), (200.0, 6.0, 700.0, 206.0))
        assert found == pytest.approx([LEFT, 6, RIGHT, 206], abs=1)


def test_a_box_that_begins_too_low_does_not_take_its_walls_for_air() -> None:
    """Above it stands the wall, darker than air: that goods are darker still cuts nothing."""
    seen = picture(wall=0.5, rail=0.5)
    seen[TOP:BOTTOM, 350:500] *= np.float32(np.exp(-1.0))
    found = fit(scan_of(seen), (212.0, 90.0, 688.0, 270.0))
    assert found == [212, 90, 688, 270]


def test_one_end_loses_no_more_than_air_may_take() -> None:
    """A box that reaches far into nothing at one end stays there, and is cut at the other."""
    found = fit(scan_of(picture()), (200.0, 58.0, 990.0, 270.0))
    assert found == [200, 58, 990, 270]
    found = fit(scan_of(picture()), (20.0, 58.0, 740.0, 270.0))
    assert found == pytest.approx([LEFT, 58, RIGHT, 270], abs=1)
    found = fit(scan_of(picture()), (150.0, 58.0, 990.0, 270.0))
    assert found == pytest.approx([LEFT, 58, 990, 270], abs=1)


def test_what_would_leave_hardly_anything_stays() -> None:
    """A box of plain air, a tiny one and one at the edge of the picture are as they were."""
    scan = scan_of(picture())
    for box in (
        (750.0, 60.0, 990.0, 215.0),
        (20.0, 60.0, 300.0, 215.0),
        (300.0, 100.0, 310.0, 120.0),
    ):
        assert fit(scan, box) == list(box)
    high = fit(scan_of(picture()[TOP + 2 :]), (120.0, 0.0, 760.0, 190.0))
    assert high == pytest.approx([LEFT, 0, RIGHT, 190], abs=1)


def test_only_sure_containers_are_fitted() -> None:
    """Threats, weak guesses and everything's order and score stay; levels are like transmission."""
    boxes = np.asarray([[120, 58, 760, 270], [120, 58, 760, 270], [120, 58, 760, 270]], np.float32)
    scores = np.asarray([0.9, 0.6, 0.2], np.float32)
    found = Detections(boxes, scores, np.asarray([CONTAINER, FIREARM, CONTAINER], np.int64))
    scan = scan_of(picture())
    made = fitted(found, scan, 0.5)
    assert made.boxes_xyxy[0].tolist() == pytest.approx([LEFT, 58, RIGHT, 270], abs=1)
    assert np.array_equal(made.boxes_xyxy[1:], boxes[1:])
    assert np.array_equal(made.scores, scores)
    levels = np.round(scan.transmission * 60000).astype(np.uint16)
    stored = StoredScan((levels[0],), 60000, grey=Grey.DISPLAY)
    assert np.array_equal(fitted(found, stored, 0.5).boxes_xyxy, made.boxes_xyxy)
    assert fitted(found, scan, 0.95) is found
