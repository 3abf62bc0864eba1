"""Tests of :mod:`nii.infer.decode`: maps that were drawn from boxes give the boxes back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nii import boxes as geometry
from nii import taxonomy
from nii.bundle import Card, DecodeSpec, ScoreSpec, Thresholds
from nii.infer.decode import (
    Frame,
    OutputMaps,
    apart,
    decode,
    decode_structures,
    decode_threats,
    refine_box,
)
from nii.preprocess import PreprocessSpec

HEIGHT, WIDTH, SCALE = 512, 1280, 4.0
FIREARM = taxonomy.by_name("firearm").class_id
BRICK = taxonomy.by_name("brick").class_id
CONTAINER = taxonomy.by_name("container").class_id


def card() -> Card:
    """Return a card with two threats and one structure."""
    scores = {"firearm": 0.3, "brick": 0.3}
    return Card(
        name="test",
        version="0",
        threats=("firearm", "brick"),
        structures=("container",),
        preprocess=PreprocessSpec(),
        decode=DecodeSpec(),
        thresholds=Thresholds(scores, scores),
        provenance={},
    )


def draw_maps(threats: list[tuple[int, list[float]]], containers: list[list[float]]) -> OutputMaps:
    """Return the maps of an ideal network for threats (plane, box) and containers, scan pixels."""
    heat = np.zeros((2, HEIGHT // 4, WIDTH // 4), np.float32)
    sides = np.ones((4, HEIGHT // 4, WIDTH // 4), np.float32)
    for plane, (x0, y0, x1, y1) in threats:
        column, row = int((x0 + x1) / 8), int((y0 + y1) / 8)
        x, y = (column + 0.5) * 4, (row + 0.5) * 4
        heat[plane, row, column] = 0.9
        sides[:, row, column] = [x - x0, y - y0, x1 - x, y1 - y]
    rows, columns = int(HEIGHT / SCALE / 2), int(WIDTH / SCALE / 2)
    centre = np.zeros((1, rows, columns), np.float32)
    inside = np.zeros((1, rows, columns), np.float32)
    distances = np.ones((4, rows, columns), np.float32)
    for box in containers:
        x0, y0, x1, y1 = (value / SCALE / 2 for value in box)
        column, row = int((x0 + x1) / 2), int((y0 + y1) / 2)
        centre[0, row - 3 : row + 4, column - 3 : column + 4] = 0.8
        centre[0, row, column] = 0.95
        left, top = np.arange(columns), np.arange(rows)
        across = np.clip(np.minimum(left + 1, x1) - np.maximum(left, x0), 0, 1)
        down = np.clip(np.minimum(top + 1, y1) - np.maximum(top, y0), 0, 1)
        inside[0] = np.maximum(inside[0], down[:, None] * across[None])
        off = np.asarray([6.0, 3.0, -5.0, 4.0]) / 2  # a distance of metres is never quite right
        exact = np.asarray([column + 0.5 - x0, row + 0.5 - y0, x1 - column - 0.5, y1 - row - 0.5])
        distances[:, row - 3 : row + 4, column - 3 : column + 4] = (exact * 2 + off)[:, None, None]
    return OutputMaps(heat, sides, centre, inside, distances)


boxes = st.tuples(
    st.integers(8, 600), st.integers(8, 300), st.integers(20, 200), st.integers(20, 160)
).map(lambda b: [float(b[0]), float(b[1]), float(b[0] + b[2]), float(b[1] + b[3])])


@given(boxes, st.integers(0, 1))
def test_a_drawn_threat_comes_back_exactly(box: list[float], plane: int) -> None:
    """The box and class of a threat drawn into the maps are decoded without loss."""
    found = decode_threats(draw_maps([(plane, box)], []), card(), Frame(HEIGHT, WIDTH, SCALE))
    assert found.class_ids.tolist() == [(FIREARM, BRICK)[plane]]
    np.testing.assert_allclose(found.boxes_xyxy[0], box, atol=1e-3)


@pytest.mark.parametrize(
    "containers",
    [
        [[100.0, 40.0, 1100.0, 400.0]],
        [[60.0, 40.0, 600.0, 400.0], [616.0, 40.0, 1190.0, 400.0]],
        [[0.0, 30.0, 900.0, 500.0]],
    ],
)
def test_containers_come_back_although_the_distances_err(containers: list[list[float]]) -> None:
    """Edges are found by the map of the inside to a pixel or two, neighbours stay apart."""
    found = decode_structures(draw_maps([], containers), card(), Frame(HEIGHT, WIDTH, SCALE))
    found = found.select(np.argsort(found.boxes_xyxy[:, 0]))
    assert found.class_ids.tolist() == [CONTAINER] * len(containers)
    np.testing.assert_allclose(found.boxes_xyxy, containers, atol=SCALE)


@pytest.mark.slow
@given(st.integers(0, 2**32 - 1))
def test_the_last_digit_decides_nothing(seed: int) -> None:
    """Maps with plateaus, as constant parts of a scan give, survive noise of 1e-7."""
    rng = np.random.default_rng(seed)
    maps = draw_maps([(0, [100.0, 100.0, 160.0, 140.0])], [])
    heat, sides = maps.threat_heat.copy(), maps.threat_ltrb.copy()
    for _ in range(6):
        row, column = rng.integers(0, 90), rng.integers(0, 280)
        high, wide = rng.integers(2, 30, 2)
        heat[1, row : row + high, column : column + wide] = rng.choice([0.2, 0.3, 0.4])
        sides[:, row : row + high, column : column + wide] = rng.uniform(4, 60, (4, 1, 1))
    maps = replace(maps, threat_heat=heat, threat_ltrb=sides)
    shaken = heat + rng.uniform(-1e-7, 1e-7, heat.shape).astype(np.float32) * (heat > 0)
    frame = Frame(HEIGHT, WIDTH, SCALE)
    first = decode_threats(maps, card(), frame)
    second = decode_threats(replace(maps, threat_heat=shaken), card(), frame)
    assert len(first) >= 1
    np.testing.assert_array_equal(first.boxes_xyxy, second.boxes_xyxy)
    np.testing.assert_array_equal(first.class_ids, second.class_ids)


def test_a_plateau_is_one_threat_at_its_middle() -> None:
    """Equal cells side by side give one box, around the middle one."""
    maps = draw_maps([], [])
    heat = maps.threat_heat.copy()
    heat[0, 10:15, 20:27] = 0.5
    found = decode_threats(replace(maps, threat_heat=heat), card(), Frame(HEIGHT, WIDTH, SCALE))
    assert found.boxes_xyxy.tolist() == [[93.0, 49.0, 95.0, 51.0]]


def test_empty_maps_give_nothing() -> None:
    """Maps without a hill decode to no detection."""
    assert len(decode(draw_maps([], []), card(), Frame(HEIGHT, WIDTH, SCALE))) == 0


def test_results_are_sorted_and_inside_the_scan() -> None:
    """Detections come best first and no box leaves the scan."""
    maps = draw_maps([(0, [1180.0, 400.0, 1300.0, 560.0])], [[100.0, 40.0, 1100.0, 400.0]])
    found = decode(maps, card(), Frame(500, 1250, SCALE))
    assert np.all(np.diff(found.scores) <= 0)
    inside = geometry.clip(found.boxes_xyxy, 500, 1250)
    np.testing.assert_array_equal(found.boxes_xyxy, inside)


def test_a_scale_changes_scores_and_their_order_but_no_box() -> None:
    """Best first by the score; the outline is drawn from the threshold on, which is a score too."""
    maps = draw_maps([(0, [100, 100, 180, 160]), (1, [400, 100, 480, 160])], [])
    maps.threat_heat[1] *= 0.8
    frame, plain = Frame(HEIGHT, WIDTH, SCALE), card()
    shifted = replace(plain, scores=ScoreSpec({"firearm": -4.0, "brick": 0.0}))
    before, after = decode(maps, plain, frame), decode(maps, shifted, frame)
    assert before.class_ids.tolist() == [FIREARM, BRICK]
    assert after.class_ids.tolist() == [BRICK, FIREARM]
    np.testing.assert_array_equal(before.boxes_xyxy, after.boxes_xyxy[::-1])
    # 0.9 has the logit 2.197; the score is 1 / (1 + e^1.803), below the threshold of 0.3.
    np.testing.assert_allclose(after.scores, [0.72, 0.1415], atol=1e-4)
    assert [len(one) for one in after.contours][1] == 0
    assert all(len(one) for one in before.contours)


@pytest.mark.parametrize("shift", [-6.0, 0.0, 6.0])
def test_no_scale_drops_or_brings_back_a_box(shift: float) -> None:
    """Of two that overlap the hotter stays, whatever its score, and below the lowest heat too."""
    maps = draw_maps([(0, [100, 100, 180, 160]), (1, [104, 104, 184, 164])], [])
    maps.threat_heat[1] *= 0.8
    spec = ScoreSpec({"firearm": shift, "brick": 0.0})
    found = decode_threats(maps, replace(card(), scores=spec), Frame(HEIGHT, WIDTH, SCALE))
    assert found.class_ids.tolist() == [FIREARM]
    assert found.scores.tolist() == pytest.approx([1 / (1 + np.exp(-shift) / 9)], abs=1e-4)


@given(st.floats(3, 20), st.floats(60, 80))
def test_an_edge_lies_where_the_inside_crosses_one_half(left: float, right: float) -> None:
    """A soft-edged inside gives back the edges it was drawn with."""
    x = np.arange(100) + 0.5
    across = np.clip(np.minimum(x + 0.5, right) - np.maximum(x - 0.5, left), 0, 1)
    inside = np.zeros((40, 100), np.float32)
    inside[10:30] = across.astype(np.float32)
    box = np.asarray([left + 3, 10, right - 4, 30], np.float32)
    found = refine_box(inside, box)
    np.testing.assert_allclose(found[[0, 2]], [left, right], atol=0.51)
    np.testing.assert_allclose(found[[1, 3]], [10, 30], atol=0.01)


def test_neighbours_that_overlap_are_cut_at_the_dip() -> None:
    """Twins that claim each other's ground meet where the inside dips, else half-way."""
    claimed = np.asarray([[4, 10, 70, 50], [40, 12, 120, 50]], np.float32)
    inside = np.zeros((64, 128), np.float32)
    inside[10:50, 4:120] = 0.95
    assert apart(inside, claimed)[:, [0, 2]].tolist() == [[4, 55], [55, 120]]
    inside[:, 61] = 0.4
    cut = apart(inside, claimed)
    assert cut[:, [0, 2]].tolist() == [[4, 61.5], [61.5, 120]]
    assert cut[:, [1, 3]].tolist() == claimed[:, [1, 3]].tolist()
    assert apart(inside, np.ascontiguousarray(claimed[::-1])).tolist() == cut[::-1].tolist()


@pytest.mark.parametrize("guess", [[640.0, 40.0, 1150.0, 400.0], [80.0, 40.0, 300.0, 400.0]])
def test_a_guess_that_nobody_sees_cuts_nothing(guess: list[float]) -> None:
    """A weak candidate over the end of a container, or within it, leaves its edges as they are."""
    sure = [60.0, 40.0, 900.0, 400.0]
    alone, weak = draw_maps([], [sure]), draw_maps([], [guess])
    there = weak.structure_centre[0] > 0
    maps = replace(
        alone,
        structure_centre=np.maximum(alone.structure_centre, 0.25 * weak.structure_centre),
        structure_ltrb=np.where(there, weak.structure_ltrb, alone.structure_ltrb),
    )
    found = decode_structures(maps, card(), Frame(HEIGHT, WIDTH, SCALE))
    assert len(found) == 2
    assert found.scores.min() < card().thresholds.structure
    best = found.boxes_xyxy[np.argmax(found.scores)]
    np.testing.assert_allclose(best, sure, atol=SCALE)


@pytest.mark.parametrize(
    "claimed",
    [
        [[4, 10, 60, 50], [62, 10, 120, 50]],  # a gap already
        [[4, 10, 100, 50], [14, 10, 104, 50]],  # two boxes of one thing
        [[4, 2, 60, 20], [50, 30, 120, 60]],  # one above the other
        [[4, 10, 104, 50], [4, 10, 40, 50]],  # one within the other
        [[4, 10, 104, 50], [70, 10, 100, 50]],
    ],
)
def test_what_does_not_stand_side_by_side_is_not_cut(claimed: list[list[float]]) -> None:
    """Boxes that share no ground, or are of one thing or of other heights, stay as they are."""
    boxes = np.asarray(claimed, np.float32)
    assert apart(np.ones((64, 128), np.float32), boxes).tolist() == claimed
