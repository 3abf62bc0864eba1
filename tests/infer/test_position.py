"""Tests of :mod:`nii.infer.position`: words that hold for the scan and for its mirror image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float32

from nii.infer.position import Box, Layout, container_of, layout_of, words
from nii.inspection import Structure

HEIGHT, WIDTH = 300, 1200
CAB, LONG = (40.0, 60.0, 150.0, 280.0), (200.0, 50.0, 1100.0, 220.0)
VEHICLE = (40.0, 50.0, 1110.0, 290.0)
MIRRORED = {"left": "right", "right": "left"}


def scene(
    containers: tuple[Box, ...], *, cab: bool = True, vehicle: bool = True
) -> tuple[tuple[Structure, ...], Float32[np.ndarray, "height width"]]:
    """Return structures and transmission of a lorry that drives to the left."""
    transmission = np.ones((HEIGHT, WIDTH), np.float32)
    transmission[225:260, 40:1110] = 0.2  # the chassis
    for box in (*containers, *((CAB,) if cab else ())):
        x0, y0, x1, y1 = (int(value) for value in box)
        transmission[y0:y1, x0:x1] = 0.7
    parts = [Structure("container", i, box, 0.9) for i, box in enumerate(containers, 1)]
    parts += [Structure("vehicle", 1, VEHICLE, 0.9)] if vehicle else []
    return tuple(parts), transmission


def mirror(box: Box) -> Box:
    """Return a box seen from the other side."""
    return (WIDTH - box[2], box[1], WIDTH - box[0], box[3])


def layout(containers: tuple[Box, ...], **given: bool) -> Layout:
    """Return the layout of a lorry."""
    return layout_of(*scene(containers, **given))


def mirrored_layout(containers: tuple[Box, ...], **given: bool) -> Layout:
    """Return the layout of the same lorry seen from the other side."""
    parts, transmission = scene(containers, **given)
    vehicles = [p for p in parts if p.kind == "vehicle"]
    turned = [
        Structure("container", number, mirror(box), 0.9)
        for number, box in enumerate(reversed(containers), 1)
    ]
    turned += [Structure("vehicle", 1, mirror(p.box_xyxy), 0.9) for p in vehicles]
    return layout_of(turned, np.ascontiguousarray(transmission[:, ::-1]))


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ((210, 60, 260, 100), "container 1, front third, under the roof"),
        ((620, 120, 680, 150), "container 1, middle third, mid height"),
        ((1000, 180, 1090, 220), "container 1, rear third, floor level"),
        ((60, 180, 100, 220), "outside the containers, tractor of the vehicle, mid height"),
        (
            (900, 240, 960, 285),
            "outside the containers, rear third of the vehicle, near the ground",
        ),
    ],
)
def test_words_for_places(place: Box, expected: str) -> None:
    """Places in and around a container have the words that an officer would use."""
    x0, y0, x1, y1 = map(float, place)
    assert words((x0, y0, x1, y1), layout((LONG,))) == expected


@given(
    x=st.floats(0, WIDTH - 60),
    y=st.floats(0, HEIGHT - 40),
    cab=st.booleans(),
    vehicle=st.booleans(),
)
def test_mirrored_scan_has_mirrored_words(x: float, y: float, *, cab: bool, vehicle: bool) -> None:
    """Front stays front when the scan is mirrored; left becomes right."""
    box = (x, y, x + 53.7, y + 31.3)
    there = words(box, layout((LONG,), cab=cab, vehicle=vehicle))
    back = words(mirror(box), mirrored_layout((LONG,), cab=cab, vehicle=vehicle))
    turned = " ".join(MIRRORED.get(word, word) for word in there.split(" "))
    assert back == turned
    assert ("third" not in there) or (("front" in there or "rear" in there) <= (cab and vehicle))


def test_without_a_cab_nobody_says_front() -> None:
    """A trailer alone has two ends that look alike."""
    assert layout((LONG,), cab=False).front is None
    assert "left third" in words((210.0, 60.0, 260.0, 100.0), layout((LONG,), cab=False))


def test_bare_chassis_is_no_tractor() -> None:
    """A short container behind the cab leaves a long chassis at the rear; front is the cab."""
    short = (200.0, 50.0, 600.0, 220.0)
    assert layout((short,)).front == "left"
    assert layout((short,), cab=False).front is None


def test_each_region_belongs_to_the_container_it_lies_in() -> None:
    """Of two containers the one that holds most of a region is named."""
    first, second = (200.0, 50.0, 640.0, 220.0), (660.0, 50.0, 1100.0, 220.0)
    two = layout((first, second))
    assert container_of((600.0, 100.0, 660.0, 140.0), two) == 1
    assert container_of((645.0, 100.0, 720.0, 140.0), two) == 2
    assert container_of((60.0, 100.0, 120.0, 140.0), two) is None


def test_without_any_structure_the_scan_is_the_frame() -> None:
    """Where neither container nor vehicle was found, the words say so."""
    nothing = layout_of((), np.ones((HEIGHT, WIDTH), np.float32))
    expected = "no container there; right third of the scan, high"
    assert words((1100.0, 10.0, 1150.0, 40.0), nothing) == expected
