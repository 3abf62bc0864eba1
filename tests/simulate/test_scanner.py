"""Scanner: a scan keeps the law of attenuation, a display image keeps order and size."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nii.config import from_dict
from nii.detections import Detections
from nii.errors import ConfigError
from nii.physics.detector import DetectorConfig
from nii.scan import Grey, Scan
from nii.simulate import scanner as scanner_module
from nii.simulate.geometry import Fan
from nii.simulate.scanner import (
    PRESETS,
    DisplayCurve,
    Range,
    ScannerConfig,
    acquire,
    fan_of,
    preset,
    render_display,
    vary,
)
from nii.simulate.scene import Scene
from nii.simulate.shapes import BASIS, STEEL


def steps() -> Scene:
    """Return a steel wedge: eight steps of 0 to 84 g/cm2."""
    grid = np.zeros((len(BASIS), 40, 160), np.float32)
    grid[STEEL] = np.repeat(np.arange(8) * 12.0, 20)
    none = np.zeros(0, np.float32)
    return Scene(grid, BASIS, (5.0, 6.0), Detections.empty(), (), none, ())


@pytest.mark.parametrize("name", PRESETS)
def test_a_wedge_gets_darker_step_by_step(name: str) -> None:
    """Transmission falls with areal density in every channel and rises with energy."""
    scan = acquire(steps(), preset(name), np.random.default_rng(0))
    levels = scan.transmission.reshape(scan.energy_count, 40, 8, 20)[..., 5:15].mean((1, 3))
    assert (np.diff(levels, axis=1) < 0).all()
    assert (np.diff(levels, axis=0)[:, 1:] < 0).all()
    assert levels[:, 0] == pytest.approx(1, abs=0.02)
    assert scan.endpoint_mev == preset(name).endpoint_mev
    assert scan.pixel_pitch_mm == (5.0, 6.0)
    assert scan.grey is Grey.TRANSMISSION


def test_rows_off_the_axis_are_darker() -> None:
    """Behind the same steel the rows at the edge of a fan of 53 degrees see a softer beam."""
    quiet = DetectorConfig(
        photons_per_pixel=1e12,
        electronic_noise_steps=0.0,
        scatter_fraction=0.0,
        pulse_jitter=0.0,
        row_gain_error=0.0,
        module_gain_error=0.0,
    )
    scanner = replace(preset("linac_9_6"), detector=quiet)
    edge = float(np.tan(np.radians(26.5)))
    scene = replace(steps(), fan=Fan(40, edge, -edge, 0.0))
    scan = acquire(scene, scanner, np.random.default_rng(1))
    assert fan_of(scan) == scene.fan
    signal = scan.transmission[0].astype(np.float64)
    attenuation = -np.log(signal[:, 130])
    assert attenuation[0] / attenuation[20] - 1 == pytest.approx(0.08, abs=0.02)
    assert attenuation[0] == pytest.approx(attenuation[-1], rel=1e-3)
    assert signal[:, 5] == pytest.approx(1, abs=1e-4)


def test_noise_depends_on_the_dose() -> None:
    """A hundred times the photons give a tenth of the noise in a dense step."""
    noise = []
    for photons in (1e4, 1e6):
        quiet = DetectorConfig(
            photons_per_pixel=photons,
            electronic_noise_steps=0.0,
            pulse_jitter=0.0,
            row_gain_error=0.0,
            module_gain_error=0.0,
        )
        scanner = replace(preset("linac_6"), detector=quiet)
        scan = acquire(steps(), scanner, np.random.default_rng(0))
        noise.append(scan.transmission[0, :, 85:95].std())
    assert noise[0] / noise[1] == pytest.approx(10, rel=0.15)


def test_varied_scanners_differ() -> None:
    """Every draw is another detector at the same energies."""
    rng = np.random.default_rng(0)
    first, second = (vary(preset("linac_9_6"), rng) for _ in range(2))
    assert first.detector != second.detector
    assert first.endpoint_mev == second.endpoint_mev


@pytest.mark.parametrize("name", PRESETS)
def test_every_range_is_used_and_kept(name: str) -> None:
    """Forty draws stay within the stated limits of every setting, and no setting stays the same."""
    scanner = preset(name)
    rng = np.random.default_rng(0)
    drawn = [vary(scanner, rng) for _ in range(40)]
    for setting, limits in scanner.ranges.items():
        owner = [s if hasattr(s, setting) else s.detector for s in (scanner, *drawn)]
        values = np.asarray([np.atleast_1d(getattr(o, setting)) for o in owner], float)
        nominal, values = values[0], values[1:]
        assert len(np.unique(values, axis=0)) > 1
        inside = (values >= limits.low) & (values <= limits.high) | (values == nominal)
        assert inside.all() or np.isin(values, limits.choices).all()
        assert (values == nominal).mean() <= 1 - 0.5 * limits.share or limits.choices


def test_presets_say_where_their_numbers_come_from() -> None:
    """Every preset begins with a comment that names sources or assumptions, and no file is left."""
    folder = Path(scanner_module.__file__).with_name("presets")
    assert sorted(path.stem for path in folder.glob("*.toml")) == sorted(PRESETS)
    for name in PRESETS:
        text = (folder / f"{name}.toml").read_text("utf-8")
        comment = "".join(line for line in text.splitlines() if line.startswith("#"))
        assert re.search(r"assumption|[Rr]eference|arXiv", comment)


def test_an_unknown_scanner_is_refused() -> None:
    """No preset is guessed."""
    with pytest.raises(ConfigError, match="linac_9_6"):
        preset("betatron")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"low": 2.0, "high": 1.0}, "rise"),
        ({"low": 0.0, "high": 1.0, "scale": "log"}, "logarithmic"),
    ],
)
def test_a_wrong_range_is_refused(wrong: dict[str, float], why: str) -> None:
    """Exchanged limits and logarithms of nothing are errors, as are ranges of unknown settings."""
    with pytest.raises(ValueError, match=why):
        Range(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no settings"):
        ScannerConfig(ranges={"colour": Range()})


def test_a_scan_names_its_scanner() -> None:
    """The provenance holds what is needed to rebuild the scanner, without its ranges."""
    scanner = vary(preset("mobile_6_4"), np.random.default_rng(1))
    scan = acquire(steps(), scanner, np.random.default_rng(0))
    again = from_dict(ScannerConfig, scan.provenance.settings["scanner"])
    assert again == replace(scanner, ranges={})


def wedge() -> Scan:
    """Return the scan of the wedge."""
    return acquire(steps(), preset("linac_9_6"), np.random.default_rng(0))


def test_a_display_image_has_one_channel_of_8_bits() -> None:
    """Grey is in steps of 1/255 with one channel; size and pitch stay, energies are unknown."""
    for seed in range(30):
        picture = render_display(wedge(), np.random.default_rng(seed))
        assert picture.grey is Grey.DISPLAY
        assert picture.endpoint_mev is None
        assert picture.transmission.shape == (1, 40, 160)
        assert picture.pixel_pitch_mm == (5.0, 6.0)
        levels = picture.transmission.astype(np.float64) * 255
        assert np.abs(levels - levels.round()).max() < 1e-3


def test_the_display_curve_keeps_order_and_loses_what_is_dense() -> None:
    """Grey never rises with areal density; behind enough steel it is black, air is white."""
    curve = DisplayCurve(gamma=0.65, black=0.3, white=1.0)
    picture = render_display(wedge(), np.random.default_rng(0), curve).transmission[0]
    levels = np.median(picture.reshape(40, 8, 20)[..., 5:15], (0, 2))
    assert (np.diff(levels) <= 0).all()
    assert levels[0] > 0.97
    assert levels[-1] == 0


def test_margins_never_cover_the_object() -> None:
    """Dead margins end where anything but air begins."""
    curve = DisplayCurve(margins=(100, 100), margin_grey=0.0)
    picture = render_display(wedge(), np.random.default_rng(0), curve).transmission[0]
    assert picture[:, :15].max() == 0
    assert picture[:, 25:35].min() > 0
