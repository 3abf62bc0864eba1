"""From scan to model input."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nii.preprocess import CHANNELS, PreprocessSpec, detail_channels, pad_to_multiple, preprocess
from nii.scan import Scan, StoredScan

SPEC = PreprocessSpec()


def flat(*transmission: float, height: int = 16, width: int = 24) -> Scan:
    """Return a scan of one value for each energy."""
    values = np.asarray(transmission, np.float32)
    return Scan(np.tile(values[:, None, None], (1, height, width)))


def attenuation_of(companded: np.ndarray) -> np.ndarray:
    """Return the attenuation that a companded channel stands for."""
    return np.asarray(np.expm1(2 * companded.astype(np.float64)) * SPEC.knee)


def test_air_is_zero() -> None:
    """Open beam gives zero attenuation and no ratio, with one energy as with two."""
    assert not detail_channels(flat(1.0), SPEC).any()
    assert not detail_channels(flat(1.0, 1.0), SPEC)[:3].any()


@given(st.floats(0.05, 10.0))
def test_slab_is_beer_lambert(depth: float) -> None:
    """A slab of optical depth d gives d, companded."""
    channels = detail_channels(flat(math.exp(-depth)), SPEC)
    np.testing.assert_allclose(attenuation_of(channels[0]), depth, rtol=1e-4)


def test_darkness_is_limited_by_sixteen_bits() -> None:
    """No photons at all count as the last step of 16 bits, not as infinity."""
    channels = detail_channels(flat(0.0), SPEC)
    np.testing.assert_allclose(attenuation_of(channels[0]), math.log(65535), rtol=1e-5)


def test_bright_noise_is_limited() -> None:
    """Air far above one is cut at the floor of attenuation."""
    channels = detail_channels(flat(3.0), SPEC)
    np.testing.assert_allclose(attenuation_of(channels[0]), SPEC.attenuation_floor, rtol=1e-4)


def test_one_energy_says_so() -> None:
    """With one energy validity and ratio are zero and the second channel repeats the first."""
    high, low, ratio, validity = detail_channels(flat(0.3), SPEC)
    np.testing.assert_array_equal(high, low)
    assert not ratio.any()
    assert not validity.any()


@given(st.floats(0.2, 2.0), st.floats(1.0, 1.3))
def test_ratio_tells_the_material_whatever_the_depth(depth: float, ratio: float) -> None:
    """The third channel is the stretched ratio of attenuations, the same for thin and thick."""
    channels = detail_channels(flat(math.exp(-depth), math.exp(-depth * ratio)), SPEC)
    stretched = (ratio - SPEC.ratio_centre) * SPEC.ratio_gain
    np.testing.assert_allclose(
        channels[2], np.clip(stretched, -SPEC.ratio_limit, SPEC.ratio_limit), atol=1e-3
    )
    assert bool((channels[3] == 1).all())


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 2))
def test_shapes_are_multiples_and_padding_is_air(height: int, width: int, energies: int) -> None:
    """The detail keeps every pixel in place and grows to the next multiples with air."""
    scan = flat(*[0.5] * energies, height=height, width=width)
    entry = preprocess(scan, SPEC)
    plain = detail_channels(scan, SPEC)
    rows, columns = entry.detail.shape[1:]
    assert entry.detail.shape[0] == len(CHANNELS)
    assert rows % SPEC.detail_multiple == columns % SPEC.detail_multiple == 0
    assert 0 <= rows - height < SPEC.detail_multiple
    assert 0 <= columns - width < SPEC.detail_multiple
    np.testing.assert_array_equal(entry.detail[:, :height, :width], plain)
    assert not entry.detail[:, height:].any()
    assert not entry.detail[:, :, width:].any()
    assert (entry.height, entry.width) == (height, width)


@pytest.mark.parametrize(("height", "width"), [(128, 320), (256, 900), (700, 2801), (96, 200)])
def test_overview_shows_the_same_scan_smaller(height: int, width: int) -> None:
    """A mark at (x, y) of the scan lies at (x, y) / scale of the overview."""
    transmission = np.ones((1, height, width), np.float32)
    y, x, half = height // 3, 2 * width // 3, height // 16
    transmission[0, y - half : y + half, x - half : x + half] = 0.1
    entry = preprocess(Scan(transmission), SPEC)
    rows, columns = entry.overview.shape[1:]
    assert rows == SPEC.overview_height
    assert columns % SPEC.overview_multiple == 0
    assert entry.overview_scale == pytest.approx(height / rows)
    weight = entry.overview[0] / entry.overview[0].sum()
    centre_y = float((weight.sum(1) * (np.arange(rows) + 0.5)).sum()) * entry.overview_scale
    centre_x = float((weight.sum(0) * (np.arange(columns) + 0.5)).sum()) * entry.overview_scale
    assert centre_y == pytest.approx(y, abs=entry.overview_scale)
    assert centre_x == pytest.approx(x, abs=entry.overview_scale)


def test_overview_keeps_mean_attenuation() -> None:
    """Making a scan smaller averages attenuation: the sum over the area stays."""
    scan = flat(0.2, height=256, width=512)
    overview = preprocess(scan, SPEC).overview
    np.testing.assert_allclose(overview[0], detail_channels(scan, SPEC)[0].mean(), rtol=1e-5)


def test_multiples_are_left_alone(rng: np.random.Generator) -> None:
    """What is a multiple already is not copied."""
    channels = rng.normal(size=(4, 32, 64)).astype(np.float32)
    assert pad_to_multiple(channels, 16, 32) is channels


def test_scan_is_not_changed(rng: np.random.Generator) -> None:
    """Preprocessing leaves the array of the scan as it was."""
    scan = Scan(rng.uniform(0, 1.1, (2, 50, 60)).astype(np.float32))
    before = scan.transmission.copy()
    preprocess(scan, SPEC)
    np.testing.assert_array_equal(scan.transmission, before)


def test_an_input_of_another_version_is_refused() -> None:
    """A card with other channels, or with a knee inside the noise, is not silently misread."""
    with pytest.raises(ValueError, match="channels"):
        PreprocessSpec(channels=("grey",))
    with pytest.raises(ValueError, match="knee"):
        PreprocessSpec(knee=0.05)


@pytest.mark.parametrize("energies", [1, 2, 3])
@pytest.mark.parametrize("open_beam", [65535, 60000, 1000])
def test_levels_give_the_same_input(
    energies: int, open_beam: int, rng: np.random.Generator
) -> None:
    """A scan kept as 16-bit levels, with every level in it, gives what its transmission gives."""
    every = np.arange(1 << 16, dtype=np.uint16)
    levels = tuple(rng.permutation(every).reshape(128, 512) for _ in range(energies))
    stored = StoredScan(levels, open_beam)
    first = preprocess(stored, PreprocessSpec())
    second = preprocess(stored.as_numbers(), PreprocessSpec())
    np.testing.assert_allclose(first.detail, second.detail, atol=2e-6)
    np.testing.assert_allclose(first.overview, second.overview, atol=2e-6)
    assert first.overview_scale == second.overview_scale
