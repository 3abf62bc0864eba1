"""Small archives, and the script that kills runs."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from nii import formats
from nii.scan import Scan

pytest.importorskip("pyarrow", reason="the extra [score] is not installed")
pytest.importorskip("fsspec", reason="the extra [score] is not installed")
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_score.py"


@pytest.fixture(scope="session")
def bench() -> ModuleType:
    """Return the script that kills runs, as a module: its stand-in and checks serve the tests."""
    spec = importlib.util.spec_from_file_location("bench_score", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_score"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def fill(rng: np.random.Generator) -> Callable[[Path, int], None]:
    """Return how a folder is filled with small scans of two energies."""

    def write(folder: Path, count: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        first = len(list(folder.iterdir()))
        for number in range(first, first + count):
            image = rng.uniform(0.2, 1.0, (2, 48, 160)).astype(np.float32)
            formats.write(Scan(image), folder / f"{number:03}.tiff")

    return write


@pytest.fixture
def shipped(root: Path) -> Path:
    """Return the folder of the shipped bundle."""
    return min((root / "models").glob("*/card.json")).parent
