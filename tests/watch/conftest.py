"""Small scans, a quick watch, and the script that starts a watch in another process."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from nii import formats
from nii.infer.inspect import inspect
from nii.scan import Scan
from nii.watch.journal import Parcel
from nii.watch.settings import LaneSettings, WatchSettings

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_watch.py"
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def bench() -> ModuleType:
    """Return the script that kills a watch, as a module: its checks serve the tests too."""
    pytest.importorskip("resource", reason="the script is for POSIX")
    spec = importlib.util.spec_from_file_location("bench_watch", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_watch"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def settings(tmp_path: Path) -> WatchSettings:
    """Give a quick watch over one empty lane that writes into a folder."""
    (tmp_path / "lane").mkdir()
    return WatchSettings(
        lanes=(tmp_path / "lane",),
        state=tmp_path / "state",
        out=tmp_path / "out",
        finished=LaneSettings(by="rename", pair_wait_s=0.0),
        look_every_s=0.01,
        retry_first_s=0.01,
        retry_most_s=0.05,
    )


@pytest.fixture
def arrive(settings: WatchSettings, rng: np.random.Generator) -> Callable[..., tuple[Path, ...]]:
    """Give a function that lets a new scan arrive in the lane."""

    def write(name: str, *, energies: int = 1) -> tuple[Path, ...]:
        image = rng.uniform(0.2, 1.0, (energies, 48, 160)).astype(np.float32)
        path = settings.lanes[0] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return formats.write(Scan(image), path)

    return write


@pytest.fixture
def parcel(
    bench: ModuleType, arrive: Callable[..., tuple[Path, ...]], settings: WatchSettings
) -> Parcel:
    """Give the results of one scan on their way."""
    paths = arrive("truck.tiff")
    scan = formats.read(list(paths))
    inspection = inspect(scan, bench.Marker(), lambda: NOON)
    document = json.dumps(replace(inspection, timing_ms={}).to_json())
    assert scan.sha256 is not None
    assert settings.out is not None
    return Parcel(1, scan.sha256, document, b"\x89PNG\r\n\x1a\n", paths)


@pytest.fixture(scope="session")
def starter(bench: ModuleType) -> Iterator[object]:
    """Give a process that starts watches."""
    process = bench.Starter()
    yield process
    process.close()
