"""Discrimination: curves decide, noise confuses, one energy shows nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nii.simulate import discrimination
from nii.simulate.discrimination import DiscriminationConfig
from nii.simulate.scanner import ScannerConfig, preset

FEW = DiscriminationConfig(calibration_draws=6, draws=8)


def with_photons(photons: float) -> ScannerConfig:
    """Return the 9/6 MeV scanner at another dose."""
    scanner = preset("linac_9_6")
    return replace(scanner, detector=replace(scanner.detector, photons_per_pixel=photons))


def test_a_point_on_a_curve_belongs_to_it() -> None:
    """Steps of the wedges, the places between them and beyond them come back as their material."""
    high = np.asarray([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0]])
    low = high * np.asarray([[1.2], [1.1]])
    for k, ratio in enumerate((1.2, 1.1)):
        asked = np.asarray([0.5, 1.0, 3.0, 6.0])
        given = discrimination.nearest_curve(asked, asked * ratio, high, low)
        assert (given == k).all()


def test_every_segment_is_counted_once() -> None:
    """Each row of the confusion holds all draws."""
    result = discrimination.confusion(with_photons(1e5), FEW)
    assert (result.counts.sum(2) == FEW.draws).all()
    assert result.correct[4] > 0.9


def test_more_dose_confuses_less() -> None:
    """At a hundredth of the dose fewer segments get their own class."""
    poor, good = (discrimination.confusion(with_photons(p), FEW) for p in (1e3, 1e5))
    assert poor.correct.mean() < good.correct.mean() - 0.05
    assert poor.organic_or_steel.mean() < good.organic_or_steel.mean()


def test_one_energy_is_refused() -> None:
    """There is no ratio of one."""
    with pytest.raises(ValueError, match="one energy"):
        discrimination.confusion(preset("linac_6"), FEW)
