"""Tests of pixel figures."""

from __future__ import annotations

import numpy as np
import pytest

from nii.detections import Detections
from nii.evaluate import pixels
from nii.evaluate.pixels import PixelTally


def two_regions() -> list[np.ndarray]:
    """Return the masks of a small and a large region."""
    small, large = np.zeros((2, 40, 60), np.uint8)
    small[2:6, 2:6] = 1
    large[10:30, 20:50] = 1
    return [small, large]


def tally_of(scores: np.ndarray, regions: list[np.ndarray]) -> PixelTally:
    """Return the histograms of one scan."""
    tally = PixelTally()
    tally.add(scores.astype(np.float32), regions)
    return tally


def test_auroc_is_the_share_of_ordered_pairs() -> None:
    """The area equals the share of pairs of pixels in the right order, ties counting half."""
    rng = np.random.default_rng(0)
    regions = two_regions()
    inside = np.maximum(*regions) > 0
    scores = np.round(np.clip(rng.normal(0.4, 0.1, inside.shape) + 0.1 * inside, 0, 0.99), 2)
    scores += 0.0005  # the middle of a bin
    one, other = scores[inside], scores[~inside]
    gaps = one[:, None] - other[None, :]
    expected = ((gaps > 1e-9).sum() + 0.5 * (np.abs(gaps) <= 1e-9).sum()) / gaps.size
    assert pixels.pixel_auroc(tally_of(scores, regions)) == pytest.approx(expected, abs=1e-9)


def test_perfect_blind_and_wrong_maps() -> None:
    """The mask itself gives 1, a flat map one half, the opposite 0."""
    regions = two_regions()
    mask = np.maximum(*regions).astype(np.float32)
    for scores, area in ((mask, 1.0), (mask * 0 + 0.5, 0.5), (1 - mask, 0.0)):
        assert pixels.pixel_auroc(tally_of(scores, regions)) == pytest.approx(area)
    assert pixels.aupro(tally_of(mask, regions)) == pytest.approx(1.0)
    assert pixels.aupro(tally_of(1 - mask, regions)) == pytest.approx(0.0)
    flat = pixels.aupro(tally_of(mask * 0, regions))  # covers as much as it marks: 0 to 0.3
    assert flat == pytest.approx(0.15)


def test_regions_count_the_same_whatever_their_size() -> None:
    """A map that finds only the small region has half the AUPRO, but far less AUROC."""
    regions = two_regions()
    tally = tally_of(regions[0].astype(np.float32), regions)
    found = pixels.aupro(tally)
    assert found == pytest.approx(0.5 + 0.5 * 0.15)
    area = pixels.pixel_auroc(tally)
    assert area is not None
    assert area == pytest.approx(0.5 + 0.5 * 16 / 616)


def test_a_map_is_spread_over_the_pixels_of_its_cells() -> None:
    """Each pixel has the value of the cell it lies in; the last cells reach beyond the scan."""
    cells = np.arange(6, dtype=np.float32).reshape(2, 3)
    wide = pixels.spread(cells, 4, 7, 10)
    assert wide.shape == (7, 10)
    for row, column in ((0, 0), (3, 4), (4, 7), (6, 9)):
        assert wide[row, column] == cells[row // 4, column // 4]
    assert pixels.spread(cells[:, :2], 4, 5, 5).shape == (5, 5)


def test_a_box_is_a_mask() -> None:
    """Upper bounds are exclusive, and what lies outside the scan is cut off."""
    mask = pixels.box_mask(np.asarray([-2, 1, 3, 4], np.float32), 10, 8)
    assert mask.sum() == 9
    assert mask[1:4, :3].all()


def test_scans_add_up() -> None:
    """Two scans counted one after the other are the scan that holds both side by side."""
    rng = np.random.default_rng(1)
    maps = rng.random((2, 40, 60)).astype(np.float32)
    first, second = two_regions()
    apart = tally_of(maps[0], [first])
    apart.add(maps[1], [second])
    beside = [
        np.concatenate([first, first * 0], axis=1),
        np.concatenate([second * 0, second], axis=1),
    ]
    joined = tally_of(np.concatenate(list(maps), axis=1), beside)
    assert pixels.pixel_auroc(apart) == pixels.pixel_auroc(joined)
    assert pixels.aupro(apart) == pytest.approx(pixels.aupro(joined))


def test_without_masks_nothing_is_said() -> None:
    """Without a region, or without anything beside it, both figures are not defined."""
    ones = np.ones((4, 4), np.uint8)
    for tally in (tally_of(np.zeros((4, 4)), []), tally_of(np.zeros((4, 4)), [ones])):
        assert pixels.pixel_auroc(tally) is None
        assert pixels.aupro(tally) is None


def test_boxes_are_painted_best_on_top() -> None:
    """Where boxes overlap, the pixel has the better score; boxes are cut to the picture."""
    found = Detections(
        np.asarray([[0, 0, 4, 4], [2, 2, 9, 9]], np.float32),
        np.asarray([0.9, 0.2], np.float32),
        np.asarray([2, 2]),
    )
    canvas = pixels.painted(found, 6, 6)
    assert canvas[3, 3] == np.float32(0.9)
    assert canvas[5, 5] == np.float32(0.2)
    assert canvas[0, 5] == 0


def test_polygons_become_masks() -> None:
    """A square of COCO polygons covers its pixels and nothing else."""
    mask = pixels.polygon_mask([[2, 1, 5, 1, 5, 3, 2, 3]], 6, 8)
    assert mask.sum() == 12
    assert mask[1:4, 2:6].all()
