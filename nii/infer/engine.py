"""Engines: what GPU providers compile, kept on disk for the GPU, driver and model they fit.

Building an engine can take minutes. One that was built for another GPU, driver, model or version of
ONNX Runtime must never be loaded, so all four name its folder.

Reference: ONNX Runtime documentation, pages TensorRT, OpenVINO and CoreML Execution Provider.
"""

from __future__ import annotations

import logging
import platform
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from nii.preprocess import CHANNELS, PreprocessSpec
from nii.provenance import sha256_of_bytes

_LOG = logging.getLogger(__name__)
_SECONDS_FOR_A_DRIVER = 20
_NAMED = 16
"""Hex digits that name a folder: enough that no two meet."""
_SIZES = {"min": (16, 16, 32), "opt": (1024, 3072, 384), "max": (2048, 16384, 4096)}
"""Height and width of the detail and width of the overview, in pixels, that a TensorRT engine is
built for; a larger scan makes it build again. Assumption: a container scan in the middle, a truck
with its trailer at the end."""


def gpus() -> tuple[str, ...]:
    """Return name and driver of each GPU that can be asked: NVIDIA's by its tool, others in Linux.

    A GPU of another maker is named by its identifiers, and its driver by the kernel it belongs to.
    """
    tool = shutil.which("nvidia-smi")
    if tool:
        words = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
        try:
            answer = subprocess.run(  # noqa: S603 - the driver's own tool
                words, capture_output=True, text=True, check=True, timeout=_SECONDS_FOR_A_DRIVER
            )
        except (OSError, subprocess.SubprocessError) as error:
            _LOG.warning("nvidia-smi does not answer: %s", error)
        else:
            return tuple(line.strip() for line in answer.stdout.splitlines() if line.strip())
    return _kernel_gpus(Path("/sys/class/drm"))


def folder_of(root: Path, bundle_sha256: str, devices: tuple[str, ...], runtime: str) -> Path:
    """Return the folder of engines that fit exactly this hardware, software and model.

    Args:
        root: folder of all caches.
        bundle_sha256: digest of the bundle.
        devices: GPUs with their drivers, as :func:`gpus` names them.
        runtime: version of ONNX Runtime.
    """
    facts = "\n".join((bundle_sha256, *devices, runtime, platform.platform()))
    return root / "engines" / sha256_of_bytes(facts.encode())[:_NAMED]


def options(provider: str, folder: Path | None) -> dict[str, str]:
    """Return the options of a provider.

    Args:
        provider: name of the execution provider.
        folder: where its engines are kept; None keeps none.
    """
    chosen = dict(_ALWAYS.get(provider, {}))
    if folder is not None and provider in _CACHED:
        folder.mkdir(parents=True, exist_ok=True)
        chosen |= {key: value.format(folder=folder) for key, value in _CACHED[provider].items()}
    return chosen


def _kernel_gpus(folder: Path) -> tuple[str, ...]:
    found = []
    for card in sorted(folder.glob("card[0-9]")):
        try:
            maker, kind = ((card / "device" / part).read_text().strip() for part in _IDENTIFIERS)
        except OSError:
            continue
        found.append(f"GPU {maker}:{kind}, Linux {platform.release()}")
    return tuple(found)


def _shapes(size: tuple[int, int, int]) -> str:
    channels, rows = len(CHANNELS), PreprocessSpec().overview_height
    height, width, columns = size
    return f"detail:1x{channels}x{height}x{width},overview:1x{channels}x{rows}x{columns}"


_IDENTIFIERS = ("vendor", "device")
_ALWAYS: Mapping[str, Mapping[str, str]] = {
    # Both would otherwise be free to choose the CPU, and still carry their name.
    "OpenVINOExecutionProvider": {"device_type": "GPU"},
    "CoreMLExecutionProvider": {"MLComputeUnits": "CPUAndGPU"},
    "TensorrtExecutionProvider": {
        f"trt_profile_{name}_shapes": _shapes(size) for name, size in _SIZES.items()
    },
}
_CACHED: Mapping[str, Mapping[str, str]] = {
    "TensorrtExecutionProvider": {
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": "{folder}",
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": "{folder}",
    },
    "OpenVINOExecutionProvider": {"cache_dir": "{folder}"},
}
