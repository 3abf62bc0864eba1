"""Threats in a site's own scans: the same for the same seed, inside containers, without overlap."""

from __future__ import annotations

import numpy as np
import pytest

from nii.scan import Grey, Scan
from nii.simulate.projection import (
    ProjectionConfig,
    areal_density_of,
    makeable,
    pitch_of,
    project,
)

_BOX = (100.0, 60.0, 700.0, 320.0)


def _scan(grey: Grey = Grey.TRANSMISSION) -> Scan:
    """Return a container with a load of three densities on its floor, with a little noise."""
    attenuation = np.zeros((2, 400, 800), np.float32)
    attenuation[:, 60:320, 100:700] = 0.12
    for column, level in ((100, 0.3), (300, 0.9), (500, 2.0)):
        attenuation[:, 140:320, column : column + 200] = level
    attenuation[1] *= 1.12
    noise = np.random.default_rng(0).normal(0, 2e-3, attenuation.shape)
    signal = np.clip(np.exp(-attenuation) + noise, 1e-4, 1).astype(np.float32)
    if grey is Grey.DISPLAY:
        return Scan(signal[:1], grey=grey)
    return Scan(signal, endpoint_mev=(9.0, 6.0), pixel_pitch_mm=(8.0, 8.0))


@pytest.mark.slow
def test_the_same_seed_and_number_give_the_same_threats() -> None:
    """An interrupted calibration goes on with the threats that it began with."""
    config = ProjectionConfig(threats_per_scan=2)
    one, same, other = (project(_scan(), (_BOX,), number, config) for number in (3, 3, 4))
    assert one.threats
    assert np.array_equal(one.scan.transmission, same.scan.transmission)
    assert [t.box_xyxy for t in one.threats] != [t.box_xyxy for t in other.threats]


def test_threats_lie_in_the_container_apart_and_only_there_the_scan_changes() -> None:
    """Boxes are inside the container, none touches another, and air stays what it was."""
    before = _scan()
    done = project(before, (_BOX,), 1, ProjectionConfig())
    assert len({t.name for t in done.threats}) == len(done.threats) > 1
    for row, threat in enumerate(done.threats):
        x0, y0, x1, y1 = threat.box_xyxy
        assert _BOX[0] <= x0 < x1 <= _BOX[2]
        assert _BOX[1] <= y0 < y1 <= _BOX[3]
        for other in done.threats[:row]:
            u0, v0, u1, v1 = other.box_xyxy
            assert x1 < u0 or u1 < x0 or y1 < v0 or v1 < y0
    assert np.array_equal(done.scan.transmission[:, :40], before.transmission[:, :40])
    assert min(done.behind_g_per_cm2) > 0


def test_a_display_image_takes_threats_and_its_scale_from_the_container() -> None:
    """A picture of unknown pitch is as fine as its container is high."""
    scan = _scan(Grey.DISPLAY)
    assert pitch_of(scan, (_BOX,)) == pytest.approx((2591 / 260, 2591 / 260))
    assert project(scan, (_BOX,), 0, ProjectionConfig()).threats
    with pytest.raises(ValueError, match="scale"):
        pitch_of(scan, ())


def test_areal_density_rises_with_the_load() -> None:
    """Three loads of rising attenuation give rising areal densities."""
    density = areal_density_of(_scan())
    values = [float(density[250, column]) for column in (200, 400, 600)]
    assert values == sorted(values)
    assert values[0] > 3


def test_what_cannot_be_made_is_refused() -> None:
    """Classes without a maker are left out, and an empty wish is an error."""
    assert makeable(("firearm", "modification")) == ("firearm",)
    with pytest.raises(ValueError, match="threat classes"):
        ProjectionConfig(classes=("modification",))
    assert not project(_scan(), (), 0, ProjectionConfig()).threats
