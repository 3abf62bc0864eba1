"""Resolution: a known blur gives its known modulation, and sharper is never worse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from jaxtyping import Float32, Float64

from nii.simulate import resolution
from nii.simulate.edges import _normal
from nii.simulate.scanner import ScannerConfig, preset

FREQUENCY = np.linspace(0, 0.5, 2001)


def drawn_edge(sigma_px: float, slope: float = 0.1) -> Float32[np.ndarray, "height width"]:
    """Return a slanted edge with a Gaussian blur, drawn from its formula."""
    rows, columns = np.indices((128, 64))
    away = (columns - 31.5 - slope * (rows - 63.5)) / np.hypot(1, slope)
    return (0.2 + 0.7 * _normal(away / sigma_px)).astype(np.float32)


def first_below(modulation: Float64[np.ndarray, " point"], level: float) -> float:
    """Return the frequency at which a falling curve passes a level."""
    return float(FREQUENCY[np.argmax(modulation < level)])


def blurred(sigma_px: float) -> ScannerConfig:
    """Return a quiet scanner with the given blur along both axes."""
    scanner = preset("linac_6")
    detector = replace(
        scanner.detector,
        psf_sigma_px=(sigma_px, sigma_px),
        photons_per_pixel=1e8,
        pulse_jitter=0.0,
        row_gain_error=0.0,
        module_gain_error=0.0,
        scatter_fraction=0.0,
    )
    return replace(scanner, detector=detector)


@pytest.mark.parametrize("sigma", [0.7, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_gaussian_has_its_analytic_mtf50(sigma: float, axis: int) -> None:
    """exp(-2 pi^2 s^2 f^2) = 1/2 is met within 5 %, and so is 1/10 where pixels carry it."""
    image = drawn_edge(sigma)
    found = resolution.edge_mtf(image if axis else image.T.copy(), axis)
    assert found is not None
    exact = np.exp(-2 * np.pi**2 * sigma**2 * FREQUENCY**2)
    assert found.frequency_at(0.5) == pytest.approx(first_below(exact, 0.5), rel=0.05)
    if exact[-1] < 0.1:
        assert found.frequency_at(0.1) == pytest.approx(first_below(exact, 0.1), rel=0.05)


@pytest.mark.parametrize("sigma", [0.6, 0.8])
def test_the_simulated_scanner_has_the_mtf_of_its_blur_and_its_pixels(sigma: float) -> None:
    """Through the whole scanner: Gaussian times the sinc of the detector element, within 5 %."""
    exact = np.sinc(FREQUENCY) * np.exp(-2 * np.pi**2 * sigma**2 * FREQUENCY**2)
    found = resolution.phantom_mtf(blurred(sigma), 1, 4.0, seed=0)
    assert found.frequency_at(0.5) == pytest.approx(first_below(exact, 0.5), rel=0.05)


def test_sharper_is_never_worse() -> None:
    """Less blur: higher MTF and narrower slots, along both axes."""
    for axis in (0, 1):
        mtfs = [
            resolution.phantom_mtf(blurred(s), axis, 4.0, 0).frequency_at(0.5) for s in (0.6, 0.9)
        ]
        assert mtfs[0] > mtfs[1]
        depths = [resolution.slot_depth(8.0, blurred(s), axis, 4.0) for s in (0.6, 0.9)]
        assert depths[0] > depths[1] > 0


def test_an_edge_is_found_where_it_is() -> None:
    """Place and slope of the drawn edge come back."""
    found = resolution.find_edge(drawn_edge(0.8))
    assert found.slope == pytest.approx(0.1, abs=0.003)
    assert found.column == pytest.approx(31.5 - 6.35, abs=0.2)
    assert found.residual_px < 0.1


def test_a_straight_edge_is_refused() -> None:
    """Along the pixels all rows show the same, so nothing is known between them."""
    assert resolution.edge_mtf(drawn_edge(0.8, slope=0.0), 1) is None


def test_the_finest_slot_is_the_end_of_an_unbroken_row() -> None:
    """A slot that happens to show behind one that does not is no resolution."""
    depths = [0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9]
    assert resolution.finest_slot_mm(depths) == 5.0
    assert resolution.finest_slot_mm([0.0] * 12) is None
