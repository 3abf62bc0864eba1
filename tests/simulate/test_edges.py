"""Edges: the blur of boxes drawn with known blur comes back, slanted or not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from jaxtyping import Float32

from nii.simulate import edges


def box(sigma_px: tuple[float, float], turn: float) -> Float32[np.ndarray, "height width"]:
    """Return a scan with dark boxes, turned a little, blurred by (vertical, horizontal) sigma."""
    fine = np.ones((1600, 2000), np.float32)
    for left in (200, 1000):
        fine[400:1300, left : left + 600] = 0.2
    middle = cv2.getRotationMatrix2D((1000, 800), turn, 1.0)
    turned = cv2.warpAffine(fine, middle, (2000, 1600), borderValue=1.0)
    vertical, horizontal = (4 * s for s in sigma_px)
    blurred = cv2.GaussianBlur(turned, (0, 0), horizontal, sigmaY=vertical)
    plane = cv2.resize(blurred, (500, 400), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(0).normal(0, 0.004, plane.shape)
    return (plane + noise).clip(0).astype(np.float32)


@pytest.mark.parametrize("turn", [0.0, 1.0])
def test_the_blur_of_edges_comes_back(turn: float) -> None:
    """Blur and pixel together, along each axis, within a tenth."""
    plane = box((0.8, 1.3), turn)
    for axis, sigma in enumerate((0.8, 1.3)):
        found = edges.sharpness(plane, axis)
        assert isinstance(found, edges.Sharpness)
        expected = np.hypot(sigma, np.sqrt(1 / 12))
        assert found.sigma_px == pytest.approx(expected, rel=0.1)
        assert found.mtf50_per_px == pytest.approx(0.187 / found.sigma_px, rel=0.01)


def test_no_edges_are_said() -> None:
    """An empty scan and a tiny one have no edges to measure, and the reason is given."""
    assert "fewer than" in str(edges.sharpness(np.ones((200, 200), np.float32), 1))
    assert "smaller than" in str(edges.sharpness(np.ones((20, 200), np.float32), 1))


def test_ragged_sides_are_no_edges() -> None:
    """Texture beside a change of grey says nothing about blur."""
    plane = box((0.8, 0.8), 1.0)
    plane *= np.random.default_rng(1).uniform(0.6, 1.0, plane.shape).astype(np.float32)
    assert isinstance(edges.sharpness(plane, 1), str)
