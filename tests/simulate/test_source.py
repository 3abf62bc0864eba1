"""Source: the same seed and index give the same scan, bit by bit, and others differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nii.config import from_dict, to_dict
from nii.scan import Grey
from nii.simulate.layout import LoadShares
from nii.simulate.scene import SceneConfig
from nii.simulate.source import SimulateConfig, simulate

SMALL = SimulateConfig(scene=SceneConfig(height_px=(200, 240), pitch_mm=(10.0, 26.0)))


def test_a_scan_is_the_same_every_time() -> None:
    """Seed and index alone decide, in whatever order scans are made."""
    later = simulate(3, 7, SMALL)
    simulate(3, 2, SMALL)
    again = simulate(3, 7, SMALL)
    np.testing.assert_array_equal(later.scan.transmission, again.scan.transmission)
    np.testing.assert_array_equal(later.truth.boxes_xyxy, again.truth.boxes_xyxy)
    assert later.load_states == again.load_states


def test_index_and_seed_change_the_scan() -> None:
    """Neighbouring indices and seeds give other scans."""
    plain = replace(SMALL, scene=replace(SMALL.scene, loads=LoadShares(on_ground=1.0)))
    scans = [simulate(s, k, plain).scan.transmission for s, k in ((0, 0), (0, 1), (1, 0))]
    means = {float(scan.mean()) for scan in scans}
    assert len(means) == 3


@pytest.mark.slow
def test_every_index_gives_a_valid_scan() -> None:
    """Five scans in a row are made without complaint, with truth that belongs together."""
    for index in range(5):
        made = simulate(11, index, replace(SMALL, display_share=0.5))
        assert made.scan.height in range(200, 241)
        assert len(made.truth) == len(made.load_states) == len(made.threat_kinds)
        assert made.scan.provenance.settings["seed"] == 11


def test_display_share_decides_the_grey() -> None:
    """All or none of the scans are display images."""
    for share, grey in ((0.0, Grey.TRANSMISSION), (1.0, Grey.DISPLAY)):
        made = simulate(1, 0, replace(SMALL, display_share=share))
        assert made.scan.grey is grey


def test_settings_travel_as_plain_values() -> None:
    """A configuration survives TOML-like dictionaries and is written into the provenance."""
    config = replace(
        SMALL, scene=replace(SMALL.scene, loads=LoadShares(empty=1.0), clean_share=1.0)
    )
    assert from_dict(SimulateConfig, to_dict(config)) == config
    assert simulate(0, 0, config).scan.provenance.settings["simulate"] == to_dict(config)
