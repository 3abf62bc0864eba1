"""The doctor: every fault is one bad line with a remedy, and only then is something wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from nii.bundle import Bundle
from nii.infer import engine, runtime
from nii.infer.doctor import Health, State, examine
from nii.infer.runtime import CPU, ProviderSettings
from nii.trust import Trust

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
CUDA = "CUDAExecutionProvider"
Look = Callable[..., Health]


@pytest.fixture
def look(tiny_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    """Return how the doctor looks at a workstation without a GPU that allows unsigned bundles."""
    monkeypatch.setattr(engine, "gpus", lambda: ())
    monkeypatch.setenv(runtime.TELEMETRY_VARIABLE, "1")
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: [CPU])

    def call(
        *folders: Path,
        require_gpu: bool = False,
        allow_unsigned: bool = True,
        places: tuple[Path, ...] = (),
    ) -> Health:
        rules = Trust(tmp_path / "trust", allow_unsigned)
        settings = ProviderSettings(require_gpu=require_gpu, threads=1)
        return examine(folders or (tiny_bundle.folder,), settings, rules, places, NOON)

    return call


def bad(health: Health) -> dict[str, str]:
    """Return the bad lines by subject; each has a remedy, and the page shows them."""
    lines = [line for line in health.lines if line.state is State.BAD]
    for line in lines:
        assert line.remedy
        assert line.remedy in health.text()
    assert health.well is not bool(lines)
    assert ("all is well" in health.text()) is health.well
    return {line.subject: line.text for line in lines}


def test_a_sound_workstation_is_well(look: Look) -> None:
    """Nothing is bad; versions, self-test, speed, disk and signature are on the page."""
    health = look()
    assert bad(health) == {}
    text = health.text()
    for part in ("onnxruntime", "Python", "self-test passed", "ms for", "GB free", "signature"):
        assert part in text
    assert "runs on" in text
    assert json.loads(json.dumps(health.to_json()))["well"] is True


def test_a_required_gpu_that_is_absent_is_bad(look: Look) -> None:
    """With a GPU required, a CPU that runs well is not enough."""
    assert "although a GPU is required" in bad(look(require_gpu=True))["runs on"]


def test_an_unsigned_bundle_is_bad_unless_allowed(look: Look) -> None:
    """What a runner would refuse is bad; what it is told to run is worth a note."""
    assert "no signature" in bad(look(allow_unsigned=False))["signature"]
    notes = [line.subject for line in look().lines if line.state is State.NOTE]
    assert "signature" in notes


def test_an_altered_bundle_is_bad(look: Look, tiny_bundle: Bundle, tmp_path: Path) -> None:
    """A changed byte is told, and nothing is run."""
    folder = tmp_path / "altered"
    shutil.copytree(tiny_bundle.folder, folder)
    path = folder / "selftest.npz"
    path.write_bytes(path.read_bytes() + b"\0")
    health = look(folder)
    assert "SHA-256" in bad(health)["bundle"]
    assert "runs on" not in health.text()


def test_telemetry_that_is_on_is_bad(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workstation whose ONNX Runtime may report to its makers is told so."""
    monkeypatch.setenv(runtime.TELEMETRY_VARIABLE, "0")
    assert "may report" in bad(look())["telemetry"]


def test_no_bundle_is_bad(tmp_path: Path) -> None:
    """A workstation without a model is not fit to run."""
    assert "bundle" in bad(examine((), ProviderSettings(), Trust(tmp_path), (), NOON))


def test_a_gpu_that_nothing_uses_is_bad(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """An NVIDIA card beside an ONNX Runtime without CUDA is a fault of the installation."""
    monkeypatch.setattr(engine, "gpus", lambda: ("NVIDIA H100, 550.54",))
    assert "offers no provider" in bad(look())["GPU"]


def test_a_refused_provider_is_bad(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that is offered and fails is bad, though the CPU takes its place."""
    real = runtime._session

    def session(candidate: runtime._Candidate, names: list[str]) -> object:
        if names[0] == CUDA:
            raise RuntimeError("libcudart is missing")
        return real(candidate, names)

    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(runtime, "_session", session)
    health = look()
    assert "libcudart is missing" in bad(health)["provider"]
    assert f"runs on       {CPU}" in health.text()


def test_a_damaged_folder_of_trust_is_bad(look: Look, tmp_path: Path) -> None:
    """Rubbish in the folder of trust is told."""
    (tmp_path / "trust").mkdir()
    (tmp_path / "trust" / "rubbish.pem").write_text("x")
    assert "no public key" in bad(look())["trust"]


def test_a_full_or_closed_disk_is_bad(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Little space and a folder that may not be written are told by name."""
    monkeypatch.setattr("nii.infer.doctor.shutil.disk_usage", lambda _: SimpleNamespace(free=1e9))
    assert "1.0 GB free" in bad(look())["disk"]
    monkeypatch.setattr("nii.infer.doctor.os.access", lambda *_: False)
    assert "cannot be written" in bad(look(places=(tmp_path / "out" / "deep",)))["disk"]
