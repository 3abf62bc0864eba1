"""Tests of :mod:`nii.train.augment`: boxes follow what they were drawn around."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("albumentations", reason="training needs albumentations, not installed")

from nii.scan import Grey, Scan
from nii.train.augment import Picture, vary_crop, vary_overview, vary_scan
from nii.train.config import DataConfig


def picture(rng: np.random.Generator) -> Picture:
    """Return air with one bright block in every channel and the box around it."""
    channels = np.zeros((4, 128, 384), np.float32)
    x, y = int(rng.integers(120, 200)), int(rng.integers(40, 60))
    channels[:, y : y + 40, x : x + 80] = 1
    box = np.asarray([[x, y, x + 80, y + 40]], np.float32)
    return Picture(channels, box, np.ones(1, np.int64))


@pytest.mark.parametrize("vary", [vary_crop, vary_overview])
def test_the_box_still_encloses_the_block(vary: object) -> None:
    """However a picture is mirrored, stretched or moved, the box stays around the block."""
    assert callable(vary)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        varied = vary(picture(rng), rng)
        rows, columns = np.nonzero(varied.channels[2] > 0.5)
        shown = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(varied.boxes_xyxy[0], shown, atol=9)
        assert varied.channels.shape == (4, 128, 384)
        assert varied.channels.dtype == np.float32


def test_the_same_rng_gives_the_same_picture() -> None:
    """Variation depends on the generator alone."""
    first, second = (
        vary_overview(picture(np.random.default_rng(1)), np.random.default_rng(7)) for _ in range(2)
    )
    np.testing.assert_array_equal(first.channels, second.channels)


def test_a_scan_is_shown_with_one_energy_or_as_a_display_image() -> None:
    """Every share of 1 brings about what it names, and the scan itself is not changed."""
    array = np.linspace(0.01, 1, 2 * 64 * 96, dtype=np.float32).reshape(2, 64, 96)
    scan = Scan(array.copy(), endpoint_mev=(9.0, 6.0), pixel_pitch_mm=(4.0, 4.0))
    rng = np.random.default_rng(0)
    only_one = DataConfig(count=1, display_share=0.0, single_energy_share=1.0)
    display = DataConfig(count=1, display_share=1.0, single_energy_share=0.0)
    assert vary_scan(scan, only_one, rng).energy_count == 1
    assert vary_scan(scan, display, rng).grey is Grey.DISPLAY
    np.testing.assert_array_equal(scan.transmission, array)
