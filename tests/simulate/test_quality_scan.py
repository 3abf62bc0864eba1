"""Quality of a scan: what it shows is measured, and for what it does not show there is a reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nii import formats
from nii.scan import Grey, Scan
from nii.simulate import phantoms
from nii.simulate.quality import LIVE_TESTS
from nii.simulate.quality_limits import judge, passed, read_limits
from nii.simulate.quality_scan import measure_scan
from nii.simulate.scanner import acquire, preset
from nii.simulate.scene import SceneConfig
from nii.simulate.source import SimulateConfig, simulate


def striped(stripe: float) -> Scan:
    """Return a simulated scan of a small vehicle whose rows have a gain error of that size."""
    scene = SceneConfig(height_px=(320, 320), pitch_mm=(12.0, 12.0), widest_px=1200)
    scan = simulate(5, 0, SimulateConfig(scene=scene, scanners=("linac_6",))).scan
    gain = 1 + stripe * np.random.default_rng(0).normal(size=(scan.height, 1))
    return replace(scan, transmission=(scan.transmission * gain).clip(0).astype(np.float32))


@pytest.mark.slow
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


@pytest.mark.slow
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
    return acquire(phantoms.air(128, 128, 4.0), preset("linac_6"), np.random.default_rng(0))


@pytest.mark.slow
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
