"""Cells of a container: the same whatever the pixels, nothing where too little is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nii.infer.site_features import ROWS, container_cells
from nii.scan import Scan


def made(height: int, pitch_mm: float) -> Scan:
    """Return a container as high as the picture with a soft load, at some resolution."""
    y, x = np.mgrid[0:height, 0 : 3 * height] / height
    attenuation = 0.2 + 0.5 * np.exp(-((x - 1.5) ** 2 + (y - 0.5) ** 2) / 0.05)
    plane = np.exp(-attenuation).astype(np.float32)
    return Scan(plane[None], pixel_pitch_mm=(pitch_mm, pitch_mm))


def test_cells_hardly_depend_on_the_resolution() -> None:
    """Twice as many pixels of half the size give the same cells."""
    coarse = container_cells(made(260, 10.0), (0.0, 0.0, 780.0, 260.0))
    fine = container_cells(made(520, 5.0), (0.0, 0.0, 1560.0, 520.0))
    assert coarse is not None
    assert fine is not None
    assert coarse.shape == fine.shape == (ROWS, 120, 6)
    np.testing.assert_allclose(coarse[..., 0], fine[..., 0], atol=0.03)


def test_a_second_energy_adds_features_and_a_missing_pitch_is_taken_from_the_height() -> None:
    """Two energies give twice the features; a container is 2.59 m high."""
    scan = made(260, 2591 / 260)
    both = replace(scan, transmission=np.concatenate([scan.transmission] * 2))
    box = (0.0, 0.0, 780.0, 260.0)
    two, one = container_cells(both, box), container_cells(scan, box)
    bare = container_cells(replace(scan, pixel_pitch_mm=None), box)
    assert two is not None
    assert one is not None
    assert bare is not None
    assert two.shape[-1] == 2 * one.shape[-1]
    np.testing.assert_array_equal(one, bare)


def test_slivers_are_not_looked_at() -> None:
    """A part that is too short or too low says nothing."""
    scan = made(260, 10.0)
    assert container_cells(scan, (0.0, 0.0, 100.0, 260.0)) is None
    assert container_cells(scan, (0.0, 0.0, 780.0, 20.0)) is None
