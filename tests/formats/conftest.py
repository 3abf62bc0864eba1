"""Scans and broken files that the tests of several formats share."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from nii.errors import ScanFormatError
from nii.formats import read
from nii.provenance import Provenance
from nii.scan import Grey, Scan


@pytest.fixture
def truck(rng: np.random.Generator) -> Scan:
    """Return a small scan of two energies with every fact known."""
    levels = rng.integers(0, 65536, (2, 11, 17), dtype=np.uint16)
    return Scan(
        np.divide(levels, np.float32(65535), dtype=np.float32),
        endpoint_mev=(9.0, 6.1),
        pixel_pitch_mm=(4.5, 3.7),
        scanner="Portal Nord",
        acquired_at=datetime(2026, 3, 1, 12, 30, 5, 250000, tzinfo=UTC),
        container_numbers=("MSCU1234566", "TGHU7654321"),
        provenance=Provenance(steps=("made by a test",), settings={"seed": 1}),
    )


@pytest.fixture
def picture() -> Scan:
    """Return a small smooth display image."""
    ramp = np.linspace(0, 1, 24, dtype=np.float32)
    levels = np.rint(255 * np.multiply.outer(ramp[::2], ramp)).astype(np.uint8)
    return Scan(np.divide(levels[np.newaxis], np.float32(255)), grey=Grey.DISPLAY)


@pytest.fixture
def refused(tmp_path: Path) -> Callable[[str, bytes], ScanFormatError]:
    """Return a function that writes bytes, expects them to be refused, and gives the error."""

    def check(name: str, data: bytes) -> ScanFormatError:
        path = tmp_path / name
        path.write_bytes(data)
        with _frugal(), pytest.raises(ScanFormatError) as caught:
            read((path,))
        error = caught.value
        assert name in error.subject
        assert error.found
        assert error.expected
        assert error.remedy
        return error

    return check


@contextmanager
def _frugal() -> Iterator[None]:
    """Fail if more than 8 MiB are allocated at once."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
