"""Quality: six tests of a preset, and what a scan shows by itself."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from nii import formats
from nii.scan import Grey, Scan
from nii.simulate.discrimination import DiscriminationConfig
from nii.simulate.observers import ObserverConfig
from nii.simulate.quality import (
    LIVE_TESTS,
    TESTS,
    QualityConfig,
    Subject,
    measure_preset,
    measure_scan,
)
from nii.simulate.quality_limits import judge, passed, read_limits
from nii.simulate.scanner import acquire, preset
from nii.simulate.scene import SceneConfig
from nii.simulate.source import SimulateConfig, simulate

FEW = QualityConfig(
    ObserverConfig(draws=8, wire_draws=4, contrast_draws=8, step_mm=150.0),
    DiscriminationConfig(calibration_draws=2, draws=2),
)


def striped(stripe: float) -> Scan:
    """Return a simulated scan of a small vehicle whose rows have a gain error of that size."""
    scene = SceneConfig(height_px=(320, 320), pitch_mm=(12.0, 12.0), widest_px=1200)
    scan = simulate(5, 0, SimulateConfig(scene=scene, scanners=("linac_6",))).scan
    gain = 1 + stripe * np.random.default_rng(0).normal(size=(scan.height, 1))
    return replace(scan, transmission=(scan.transmission * gain).clip(0).astype(np.float32))


@cache
def of_preset(name: str) -> tuple[Subject, list[tuple[int, int, str]]]:
    """Return a measured preset and the progress that was told on the way."""
    told: list[tuple[int, int, str]] = []
    return measure_preset(name, preset(name), FEW, lambda *step: told.append(step)), told


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


def test_the_same_seed_gives_the_same_figures() -> None:
    """A report can be repeated."""
    again = measure_preset("linac_6", preset("linac_6"), FEW)
    assert again.measurements == of_preset("linac_6")[0].measurements


def test_striped_scans_fail_and_clean_ones_pass() -> None:
    """The guard can fail: 2 % from row to row is too much, what the scanner makes is not."""
    for stripe, good in ((0.0, True), (0.02, False)):
        subject = measure_scan("scan", striped(stripe))
        verdicts = judge(subject, read_limits())
        rows = next(v for v in verdicts if v.measurement.key == "row_stripes_percent")
        assert rows.passed is good
        if not good:
            assert rows.measurement.value == pytest.approx(2, rel=0.2)
            assert not passed(subject, verdicts)


def test_a_scan_without_air_says_so() -> None:
    """Steel from border to border: no figure for the open beam, and the reason instead."""
    plane = np.random.default_rng(0).normal(0.5, 0.01, (1, 200, 300)).astype(np.float32)
    subject = measure_scan("covered", Scan(plane))
    even = [figure for figure in subject.measurements if figure.test == "uniformity"]
    assert len(even) == 5
    for figure in even:
        assert figure.value is None
        assert "no open beam" in figure.note


def test_every_live_test_is_listed() -> None:
    """Figures of a scan belong to the tests that the page shows, in transmission and display."""
    scan = striped(0.0)
    shown = replace(scan, grey=Grey.DISPLAY, endpoint_mev=None)
    for given, kind in ((scan, "scan"), (shown, "display")):
        subject = measure_scan("scan", given)
        assert subject.kind == kind
        assert {figure.test for figure in subject.measurements} == set(LIVE_TESTS)
        assert subject.facts["height_px"] == scan.height


def test_a_black_energy_is_no_crash() -> None:
    """An energy without signal is said to be black."""
    scan = acquire_air()
    black = np.concatenate([scan.transmission, np.zeros_like(scan.transmission)])
    subject = measure_scan("black", Scan(black))
    assert "black" in subject.measurements[0].note


def acquire_air() -> Scan:
    """Return the open beam of a single-energy scanner."""
    from nii.simulate import phantoms

    return acquire(phantoms.air(128, 128, 4.0), preset("linac_6"), np.random.default_rng(0))


@pytest.mark.real
def test_real_scans_are_measured(real_data: Path) -> None:
    """Some real trucks give all figures or reasons; most posts can be fitted."""
    groups = formats.find([real_data / "cargo-trucks" / "images"])[::90]
    sharp = 0
    for files in groups:
        subject = measure_scan(files[0].name, formats.read(files))
        assert subject.kind == "display"
        for figure in subject.measurements:
            assert figure.value is not None or figure.note.startswith("not measurable")
        horizontal = next(f for f in subject.measurements if f.key == "mtf50_horizontal")
        sharp += horizontal.value is not None
    assert sharp >= len(groups) / 2
