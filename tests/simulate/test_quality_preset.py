"""Quality of a preset: six tests, each with its figures, and the same ones for the same seed."""

from __future__ import annotations

from functools import cache

import pytest

from nii.simulate.discrimination import DiscriminationConfig
from nii.simulate.observers import ObserverConfig
from nii.simulate.quality import TESTS, Subject
from nii.simulate.quality_preset import QualityConfig, measure_preset
from nii.simulate.scanner import preset

FEW = QualityConfig(
    ObserverConfig(draws=8, wire_draws=4, contrast_draws=8, step_mm=150.0),
    DiscriminationConfig(calibration_draws=2, draws=2),
)


@cache
def of_preset(name: str) -> tuple[Subject, list[tuple[int, int, str]]]:
    """Return a measured preset and the progress that was told on the way."""
    told: list[tuple[int, int, str]] = []
    return measure_preset(name, preset(name), FEW, lambda *step: told.append(step)), told


@pytest.mark.slow
@pytest.mark.parametrize("name", ["linac_9_6", "linac_6"])
def test_a_preset_passes_through_all_tests(name: str) -> None:
    """Every test gives figures, a chart and, but for the material, a picture; progress is told."""
    subject, told = of_preset(name)
    assert {figure.test for figure in subject.measurements} == set(TESTS)
    keys = [figure.key for figure in subject.measurements]
    assert len(keys) == len(set(keys))
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[-1][:2] == (len(TESTS), len(TESTS))
    material = next(f for f in subject.measurements if f.key == "organic_or_steel_percent")
    assert (material.value is None) == (name == "linac_6")
    drawn = {chart.test for chart in subject.charts}
    assert drawn == set(TESTS) - ({"material"} if name == "linac_6" else set())
    assert {picture.test for picture in subject.pictures} == set(TESTS) - {"material"}


@pytest.mark.slow
def test_the_same_seed_gives_the_same_figures() -> None:
    """A report can be repeated."""
    again = measure_preset("linac_6", preset("linac_6"), FEW)
    assert again.measurements == of_preset("linac_6")[0].measurements
