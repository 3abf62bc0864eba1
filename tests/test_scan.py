"""The record of one scan."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from nii.provenance import Provenance, SourceFile
from nii.scan import Grey, Scan, StoredScan

HALF = np.full((2, 3, 4), 0.5, np.float32)


def test_axes_are_energy_height_width() -> None:
    """The counts follow the axes of the array."""
    scan = Scan(HALF, endpoint_mev=(9.0, 6.0))
    assert (scan.energy_count, scan.height, scan.width) == HALF.shape


@pytest.mark.parametrize(
    "facts",
    [
        {"transmission": np.full((2, 3, 4), -0.1, np.float32)},
        {"transmission": np.full((2, 3, 4), np.nan, np.float32)},
        {"transmission": np.full((2, 3, 4), np.inf, np.float32)},
        {"transmission": np.zeros((1, 0, 4), np.float32)},
        {"endpoint_mev": (6.0, 9.0)},
        {"endpoint_mev": (9.0,)},
        {"endpoint_mev": (9.0, 0.0)},
        {"endpoint_mev": (9.0, 6.0), "grey": Grey.DISPLAY},
        {"pixel_pitch_mm": (5.0, 0.0)},
        {"acquired_at": datetime(2026, 11, 22)},  # noqa: DTZ001  # no zone: that is the case
    ],
    ids=str,
)
def test_impossible_facts_are_refused(facts: dict[str, Any]) -> None:
    """A scan that breaks its own promises cannot be made."""
    with pytest.raises(ValueError, match=r"transmission|end-point|pitch|time zone"):
        dataclasses.replace(Scan(HALF), **facts)


def test_air_may_lie_above_one() -> None:
    """Noise that lifts air above an open beam is kept."""
    assert Scan(HALF + np.float32(0.6)).transmission.max() > 1


def test_is_frozen() -> None:
    """A scan changes only by making another one."""
    scan = Scan(HALF)
    with pytest.raises(dataclasses.FrozenInstanceError):
        scan.scanner = "other"  # type: ignore[misc]
    later = dataclasses.replace(scan, acquired_at=datetime(2026, 11, 22, tzinfo=UTC))
    assert scan.acquired_at is None
    assert later.transmission is scan.transmission


def test_identity_is_that_of_its_files() -> None:
    """A scan has the digest of its file, and none where it never was a file."""
    assert Scan(HALF).sha256 is None
    source = SourceFile("a.tif", "ab" * 32)
    assert Scan(HALF, provenance=Provenance(sources=(source,))).sha256 == source.sha256


def stored(scan: Scan, open_beam: int = 60000) -> StoredScan:
    """Return a scan as 16-bit levels."""
    levels = np.rint(scan.transmission * open_beam).astype(np.uint16)
    return StoredScan(tuple(levels), open_beam, endpoint_mev=scan.endpoint_mev)


def test_levels_are_the_same_scan(rng: np.random.Generator) -> None:
    """A scan kept as levels has the same size and pixels, whole and in part."""
    levels = rng.integers(0, 65536, (2, 12, 20))
    scan = Scan((levels / np.float32(60000)).astype(np.float32), endpoint_mev=(9.0, 6.0))
    kept = stored(scan)
    assert (kept.energy_count, kept.height, kept.width) == (2, 12, 20)
    rows, columns = slice(3, 9), slice(5, 18, 2)
    np.testing.assert_allclose(kept.plane(), scan.plane(), rtol=1e-6)
    np.testing.assert_allclose(kept.plane(rows, columns), scan.plane(rows, columns), rtol=1e-6)
    part, other = kept.part(rows, columns).as_numbers(), scan.part(rows, columns)
    np.testing.assert_allclose(part.transmission, other.transmission, rtol=1e-6)
    assert part.endpoint_mev == other.endpoint_mev == (9.0, 6.0)


def test_impossible_levels_are_refused() -> None:
    """Planes of two sizes, no open beam and end-points that rise are no scan."""
    plane = np.ones((4, 5), np.uint16)
    with pytest.raises(ValueError, match="planes"):
        StoredScan((plane, plane[:, 1:]), 65535)
    with pytest.raises(ValueError, match="open beam 0"):
        StoredScan((plane,), 0)
    with pytest.raises(ValueError, match="do not fall"):
        StoredScan((plane, plane), 65535, endpoint_mev=(6.0, 9.0))
