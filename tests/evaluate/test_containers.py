"""Tests of containers as cases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nii import taxonomy
from nii.detections import Detections
from nii.evaluate import containers, curves
from nii.evaluate.intervals import Proportion
from nii.evaluate.match import JudgedScan, Truth, judge

CONTAINER = taxonomy.by_name("container").class_id
GUN = taxonomy.by_name("firearm").class_id
BRICK = taxonomy.by_name("brick").class_id
IDS = tuple(row.class_id for row in taxonomy.classes())
LEFT, RIGHT = (0, 0, 100, 100), (120, 0, 220, 100)
Row = tuple[tuple[int, int, int, int], float, int]


def rows(*items: Row) -> Detections:
    """Return boxes with scores and classes."""
    boxes, scores, kinds = zip(*items, strict=True) if items else ((), (), ())
    return Detections(
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.asarray(scores, np.float32),
        np.asarray(kinds, np.int64),
    )


def scan(found: Detections, *threats: Row) -> JudgedScan:
    """Return a judged scan with two containers side by side and some threats."""
    truth = rows((LEFT, 1, CONTAINER), (RIGHT, 1, CONTAINER), *threats)
    states = ("empty", "full", *(None for _ in threats))
    behind = np.full(len(truth), np.nan, np.float32)
    judged = judge("a", found, Truth(truth, behind, states), IDS)
    return replace(judged, scanner="gate", pitch_mm=(4.0, 4.0))


def test_each_container_is_a_case() -> None:
    """A threat and an alarm in different containers: one guilty, one benign and alarmed."""
    found = rows(((10, 10, 30, 30), 0.9, GUN), ((150, 10, 160, 20), 0.4, BRICK))
    table = containers.container_table([scan(found, ((10, 10, 30, 30), 1, GUN))])
    assert table.benign.tolist() == [False, True]
    assert table.table.found_score.tolist() == [pytest.approx(0.9)]
    assert table.table.alarm_score.tolist() == [pytest.approx(0.4)]
    assert table.load == ("empty", "full")
    assert table.scanner == ("gate", "gate")
    assert table.side_px.tolist() == [20.0]
    assert table.side_cm.tolist() == [pytest.approx(8.0)]
    assert table.truth_row.tolist() == [2]
    assert table.least_share() == 1.0


def test_what_lies_beside_containers_does_not_count() -> None:
    """Alarms and threats between the containers are neither found nor false alarms."""
    found = rows(((105, 10, 115, 20), 0.9, GUN), ((105, 50, 115, 60), 0.8, GUN))
    table = containers.container_table([scan(found, ((105, 10, 115, 20), 1, GUN))])
    assert table.benign.all()
    assert len(table.table.alarm_score) == len(table.table.found_score) == 0


def test_a_hit_from_next_door_is_no_false_alarm() -> None:
    """A detection whose middle lies in a benign container but that hits a threat of the other."""
    threat, wide = (60, 10, 98, 50), (66, 10, 180, 50)
    judged = scan(rows((wide, 0.9, GUN)), (threat, 1, GUN))
    assert judged.hits[0, 2]
    table = containers.container_table([judged])
    assert table.table.found_score.tolist() == [pytest.approx(0.9)]
    assert len(table.table.alarm_score) == 0
    assert table.table.top_score[1] == curves.NEVER


def test_own_score_wants_the_right_class() -> None:
    """A gun found as a brick only is found, but not by its own class."""
    found = rows(((10, 10, 30, 30), 0.9, BRICK), ((10, 10, 30, 30), 0.3, GUN))
    table = containers.container_table([scan(found, ((10, 10, 30, 30), 1, GUN))])
    assert table.table.found_score.tolist() == [pytest.approx(0.9)]
    assert table.own_score.tolist() == [pytest.approx(0.3)]
    kinds = [row.name for row in taxonomy.in_group("threat")]
    top = dict(zip(kinds, table.top_by_class[0].tolist(), strict=True))
    assert (top["firearm"], top["brick"]) == (pytest.approx(0.3), pytest.approx(0.9))


def test_draws_go_by_scan() -> None:
    """Both containers of a scan count as often as the scan was drawn."""
    table = containers.container_table([scan(rows()), scan(rows(), (LEFT, 1, GUN))])
    assert table.of_draw(np.asarray([3, 0])).tolist() == [3, 3, 0, 0]
    drawn = table.of_draw(np.asarray([0, 2]))
    assert curves.scan_p_d_above(table.table, drawn, curves.NEVER) == Proportion(0, 2)


def test_thresholds_of_classes_apply_inside_containers() -> None:
    """Relative scores are those of the whole scan, container by container."""
    found = rows(((10, 10, 30, 30), 0.9, GUN), ((150, 10, 160, 20), 0.4, BRICK))
    judged = [scan(found, ((10, 10, 30, 30), 1, GUN))]
    table = containers.relative_table(judged, {GUN: 0.5, BRICK: 0.5})
    assert table.found_score.tolist() == [pytest.approx(0.4)]
    assert table.top_score.tolist() == [pytest.approx(0.4), pytest.approx(-0.1)]


def test_sets_without_containers_are_empty() -> None:
    """Where no container is labelled there is no case, and no smallest rate."""
    judged = judge("a", rows(), Truth.of(rows((LEFT, 1, GUN))), IDS)
    table = containers.container_table([judged])
    assert len(table) == 0
    assert table.least_share() is None


def test_every_threat_is_in_one_container_at_most(scans: tuple[JudgedScan, ...]) -> None:
    """Overlapping containers share no threat: no truth row of a scan appears twice."""
    table = containers.container_table(scans)
    seen = list(zip(table.scan_of_threat.tolist(), table.truth_row.tolist(), strict=True))
    assert len(seen) == len(set(seen))
    assert len(seen) == len(table.side_px)
