"""Engines: kept for exactly the hardware, software and model that they fit."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from nii.infer import engine

FACTS = {"bundle_sha256": "a" * 64, "devices": ("H100, 1",), "runtime": "1.32"}


@pytest.mark.parametrize(
    "other",
    [
        {"bundle_sha256": "b" * 64},
        {"devices": ("H200, 1",)},
        {"devices": ("H100, 2",)},
        {"devices": ()},
        {"runtime": "1.33"},
    ],
    ids=str,
)
def test_another_gpu_driver_model_or_runtime_has_another_folder(
    tmp_path: Path, other: dict[str, object]
) -> None:
    """An engine is never found again where it would not fit."""
    folder = engine.folder_of(tmp_path, **FACTS)  # type: ignore[arg-type]
    assert folder == engine.folder_of(tmp_path, **FACTS)  # type: ignore[arg-type]
    assert folder != engine.folder_of(tmp_path, **(FACTS | other))  # type: ignore[arg-type]
    assert tmp_path in folder.parents


def test_caches_lie_in_the_folder(tmp_path: Path) -> None:
    """Providers that compile are told where, and only then is the folder made."""
    folder = tmp_path / "{odd} name"
    assert "trt_engine_cache_path" not in engine.options("TensorrtExecutionProvider", None)
    assert engine.options("CUDAExecutionProvider", folder) == {}
    assert not folder.exists()
    options = engine.options("TensorrtExecutionProvider", folder)
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == str(folder)
    assert folder.is_dir()


def test_gpus_are_told_not_to_use_the_cpu() -> None:
    """Providers that may choose the CPU by themselves are told to use the GPU."""
    assert engine.options("OpenVINOExecutionProvider", None)["device_type"] == "GPU"
    assert engine.options("CoreMLExecutionProvider", None)["MLComputeUnits"] == "CPUAndGPU"


def test_the_shapes_of_tensorrt_rise() -> None:
    """Smallest, usual and largest input are given for both inputs, in that order."""
    options = engine.options("TensorrtExecutionProvider", None)

    def sizes(name: str) -> list[int]:
        parts = options[f"trt_profile_{name}_shapes"].split(",")
        assert [part.split(":")[0] for part in parts] == ["detail", "overview"]
        return [int(number) for part in parts for number in part.split(":")[1].split("x")]

    for low, high in (("min", "opt"), ("opt", "max")):
        assert all(a <= b for a, b in zip(sizes(low), sizes(high), strict=True))


def test_nvidia_tells_its_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name and driver come from the driver's tool; where it fails, no name is made up."""
    if platform.system() == "Windows":
        pytest.skip("the stand-in for nvidia-smi is a shell script")
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\necho "NVIDIA H100, 550.54"\necho "NVIDIA H100, 550.54"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert engine.gpus() == ("NVIDIA H100, 550.54",) * 2
    tool.write_text("#!/bin/sh\nexit 9\n")
    monkeypatch.setattr(engine, "_kernel_gpus", lambda _: ())
    assert engine.gpus() == ()


def test_other_gpus_are_named_by_the_kernel(tmp_path: Path) -> None:
    """A card with identifiers is named; one without is passed over."""
    for name in ("card0", "card1", "card0-HDMI-A-1"):
        (tmp_path / name / "device").mkdir(parents=True)
    for part, text in (("vendor", "0x1002\n"), ("device", "0x744c\n")):
        (tmp_path / "card1" / "device" / part).write_text(text)
    (only,) = engine._kernel_gpus(tmp_path)
    assert only.startswith("GPU 0x1002:0x744c")
