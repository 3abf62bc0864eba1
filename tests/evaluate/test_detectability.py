"""Tests of the detectability map."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from nii.evaluate import detectability
from nii.evaluate.containers import ContainerTable
from nii.evaluate.detectability import DetectabilityMap
from nii.evaluate.intervals import Proportion
from nii.evaluate.metrics import Evidence

LOOK = {"firearm": 0.5}


Sized = Callable[..., ContainerTable]


@pytest.fixture
def sized(make_cases: Callable[..., ContainerTable]) -> Sized:
    """Return how guns of some sizes and scores, one in each scan, are made."""

    def make(sizes_cm: list[float], scores: list[float], behind: float = 10.0) -> ContainerTable:
        cases = make_cases({"firearm": scores}, [0.1], behind=behind)
        sizes = np.asarray(sizes_cm)
        return replace(cases, side_cm=sizes, side_px=sizes * 2)

    return make


def map_of(cases: ContainerTable) -> DetectabilityMap:
    """Return the map of a set whose loads are known."""
    found = detectability.detectability(cases, LOOK)
    assert found is not None
    return found


def test_smallest_size_is_where_proof_ends(sized: Sized) -> None:
    """Guns of 25 and 15 cm are all found, half of those of 7 cm: 10 cm is the smallest shown."""
    sizes = [25.0] * 30 + [15.0] * 30 + [7.0] * 30
    scores = [0.9] * 60 + [0.9, 0.1] * 15
    found = map_of(sized(sizes, scores))
    assert found.unit == "cm"
    assert found.smallest["5-20 g/cm²"] == 10.0
    assert "5-10 cm: 15 of 30 found" in found.notes["5-20 g/cm²"]
    assert found.smallest["< 5 g/cm²"] is None
    assert "no threats" in found.notes["< 5 g/cm²"]


def test_a_gap_in_sizes_ends_the_proof(sized: Sized) -> None:
    """Small guns that are found prove nothing when a larger size between was not tested."""
    found = map_of(sized([50.0] * 30 + [7.0] * 30, [0.9] * 60))
    assert found.smallest["5-20 g/cm²"] == 40.0
    assert "no threats of 20-40 cm" in found.notes["5-20 g/cm²"]


def test_few_threats_prove_nothing(sized: Sized) -> None:
    """Thirteen of thirteen do not show a P_d of 0.8 with 95 % confidence; fourteen do."""
    few = map_of(sized([25.0] * 13, [0.9] * 13))
    assert few.smallest["5-20 g/cm²"] is None
    assert "so few threats" in few.notes["5-20 g/cm²"]
    assert map_of(sized([25.0] * 14, [0.9] * 14)).smallest["5-20 g/cm²"] == 20.0


def test_sizes_with_too_few_threats_end_nothing_from_above(sized: Sized) -> None:
    """Two of two giants prove nothing; below them the proof begins, and says up to where."""
    found = map_of(sized([90.0] * 2 + [50.0] * 30 + [25.0] * 30, [0.9] * 62))
    load = "5-20 g/cm²"
    assert (found.smallest[load], found.largest[load]) == (20.0, 80.0)
    assert detectability.in_words(found)[load].startswith("20 to 80 cm: ")
    picture = ET.fromstring(detectability.picture(found))  # noqa: S314 - our own text
    framed = [one for one in picture.findall("rect") if one.get("stroke") != "none"]
    assert len(framed) == 2


def test_giants_that_are_missed_end_the_proof(sized: Sized) -> None:
    """Where the largest size could be proven and is not, nothing below it is shown."""
    found = map_of(sized([90.0] * 30 + [50.0] * 30, [0.9, 0.1] * 15 + [0.9] * 30))
    assert found.smallest["5-20 g/cm²"] is None
    whole = map_of(sized([90.0] * 30 + [50.0] * 30, [0.9] * 60))
    assert whole.largest["5-20 g/cm²"] is None
    assert detectability.in_words(whole)["5-20 g/cm²"].startswith("from 40 cm: ")


def test_pixels_where_the_pitch_is_not_known(sized: Sized) -> None:
    """One threat of unknown pitch turns the sizes of the map into pixels."""
    cases = sized([25.0] * 30, [0.9] * 30)
    unknown = replace(cases, side_cm=np.where(np.arange(30) == 0, np.nan, cases.side_cm))
    found = map_of(unknown)
    assert found.unit == "px"
    assert found.smallest["5-20 g/cm²"] == 32.0


def test_cells_hold_every_scan_with_a_threat_once(middling: Evidence) -> None:
    """No cell counts a scan twice, and no more are found than there are."""
    cases = middling.containers
    found = map_of(cases)
    assert len(found.cells) == len(found.sizes) * len(found.loads)
    for cell in found.cells:
        assert cell.counts.successes <= cell.counts.trials <= len(middling.scans)
    assert sum(cell.counts.trials for cell in found.cells) <= len(cases.side_cm)


def test_picture_is_whole_and_framed(sized: Sized) -> None:
    """The picture is well-formed, has one square for each cell, and frames what is proven."""
    text = detectability.picture(map_of(sized([25.0] * 14, [0.9] * 14)))
    root = ET.fromstring(text)  # noqa: S314 - our own text
    squares = root.findall("rect")
    assert len(squares) == 30
    framed = [square for square in squares if square.get("stroke") != "none"]
    assert len(framed) == 1
    assert "14 / 14" in text


def test_unknown_loads_give_no_map(sized: Sized) -> None:
    """Where nothing is known of what lies behind, there is no map."""
    assert detectability.detectability(sized([25.0], [0.9], np.nan), LOOK) is None


def test_cells_are_exact(sized: Sized) -> None:
    """A cell holds its count and the exact one-sided limit."""
    found = map_of(sized([25.0] * 14, [0.9] * 14))
    cell = next(cell for cell in found.cells if cell.counts.trials)
    assert cell.counts == Proportion(14, 14)
    assert cell.at_least == pytest.approx(0.05 ** (1 / 14))


def test_words_for_the_card(sized: Sized) -> None:
    """Each load has its sentence: the smallest size, or why there is none."""
    words = detectability.in_words(map_of(sized([25.0] * 14, [0.9] * 14)))
    assert words["5-20 g/cm²"] == "20 to 40 cm: P_d of 0.8 proven with 95 % confidence"
    assert words["< 5 g/cm²"] == "none shown (no threats in this load)"
