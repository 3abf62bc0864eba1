"""Tube: voltage limits, tungsten lines, filters, and what happens without the extra."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from nii.errors import ConfigError, MissingExtraError
from nii.physics import tube
from nii.physics.attenuation import mass_attenuation_cm2_per_g
from nii.physics.tube import tube_spectrum


@pytest.mark.parametrize("kilovolts", [100.0, 500.0, float("nan")])
def test_voltages_outside_are_refused(kilovolts: float) -> None:
    """Only 160 to 450 kV are tubes for cargo; nothing is extrapolated."""
    with pytest.raises(ConfigError, match="160 to 450 kV"):
        tube_spectrum(kilovolts)


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without spekpy the message says what to install."""
    tube._bare.cache_clear()
    monkeypatch.setitem(sys.modules, "spekpy", None)
    with pytest.raises(MissingExtraError, match=r"nii\[kv\]"):
        tube_spectrum(160.0)


@pytest.mark.slow
@pytest.mark.parametrize("kilovolts", [160.0, 450.0])
def test_a_tube_ends_at_its_voltage_and_shows_tungsten_lines(kilovolts: float) -> None:
    """The spectrum adds up to 1, ends at the voltage, and peaks at the K lines (59.3 keV)."""
    pytest.importorskip("spekpy", reason="the extra [kv] is not installed")
    spectrum = tube_spectrum(kilovolts)
    assert spectrum.photons.sum() == pytest.approx(1)
    assert spectrum.energy_mev[-1] * 1e3 == pytest.approx(kilovolts, abs=1)
    assert spectrum.energy_mev[spectrum.photons.argmax()] * 1e3 == pytest.approx(59.3, abs=1)


def test_a_filter_obeys_beer_lambert_and_hardens() -> None:
    """Ten grams of steel multiply every bin by exp(-mu x), and the mean energy rises."""
    pytest.importorskip("spekpy", reason="the extra [kv] is not installed")
    bare = tube_spectrum(160.0, filter_g_per_cm2={})
    behind = tube_spectrum(160.0, filter_g_per_cm2={"steel": 10.0})
    expected = bare.photons * np.exp(-10 * mass_attenuation_cm2_per_g("steel", bare.energy_mev))
    np.testing.assert_allclose(behind.photons, expected / expected.sum(), rtol=1e-9)
    assert behind.mean_mev > bare.mean_mev
