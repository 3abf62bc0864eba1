"""Scanner: a scan keeps the law of attenuation, a display image keeps order and size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nii.detections import Detections
from nii.errors import ConfigError
from nii.physics.detector import DetectorConfig
from nii.scan import Grey, Scan
from nii.simulate.scanner import PRESETS, DisplayCurve, acquire, preset, render_display, vary
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
    assert levels[:, 0] == pytest.approx(1, abs=0.01)
    assert scan.endpoint_mev == PRESETS[name].endpoint_mev
    assert scan.pixel_pitch_mm == (5.0, 6.0)
    assert scan.grey is Grey.TRANSMISSION


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


def test_an_unknown_scanner_is_refused() -> None:
    """No preset is guessed."""
    with pytest.raises(ConfigError, match="linac_9_6"):
        preset("betatron")


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
