"""Triton: a model repository for NVIDIA's inference server, from the bundle that nii itself runs.

::

    REPOSITORY / NAME / config.pbtxt
    REPOSITORY / NAME / 1 / model.onnx

Names, types and shapes come from the ONNX file. The server joins requests of one size into batches.
Both inputs have a batch of their own inside nii, but a server knows one, so a request brings as
many overviews as details.

Reference: Triton Inference Server documentation, "Model Configuration" and "Dynamic Batcher".
"""

from __future__ import annotations

import re
from pathlib import Path

from nii.bundle import Bundle
from nii.errors import BundleError
from nii.folders import write_whole
from nii.infer.runtime import CPU, ProviderSettings, Tensor, open_session

MAX_BATCH = 8
"""Most scans of one run: assumption; each takes some hundred MiB of a card."""
MAX_QUEUE_US = 5000
"""Longest wait for others that would share a run: assumption, far below the time of one scan."""
CONFIG_FILE = "config.pbtxt"
_TYPES = {"tensor(float)": "TYPE_FP32", "tensor(float16)": "TYPE_FP16"}
_NAME = re.compile(r"[A-Za-z0-9_.-]+")


def write_repository(bundle: Bundle, repository: Path) -> Path:
    """Write a bundle into a Triton model repository and return the folder of the model.

    Raises:
        BundleError: the name of the model is none that a server takes, or a tensor does not fit.
        OSError: the folder cannot be written to.
    """
    name = bundle.card.name
    if not _NAME.fullmatch(name):
        raise BundleError(
            bundle.folder,
            found=f"a model called {name!r}",
            expected="letters, digits, dot, hyphen and underscore",
            remedy="Export the run again with another --name.",
        )
    folder = repository / name
    (folder / "1").mkdir(parents=True, exist_ok=True)
    write_whole(folder / "1" / "model.onnx", bundle.model_path.read_bytes())
    write_whole(folder / CONFIG_FILE, config_text(bundle).encode())
    return folder


def config_text(bundle: Bundle) -> str:
    """Return the configuration of a model in the text form of protocol buffers.

    Raises:
        BundleError: a tensor has a type or shape that a server does not batch.
    """
    session = open_session(bundle.model_path, ProviderSettings((CPU,)))
    return "\n".join(
        [
            f'name: "{bundle.card.name}"',
            'backend: "onnxruntime"',
            f"max_batch_size: {MAX_BATCH}",
            *(_tensor("input", tensor, bundle) for tensor in session.inputs),
            *(_tensor("output", tensor, bundle) for tensor in session.outputs),
            "dynamic_batching {",
            f"  max_queue_delay_microseconds: {MAX_QUEUE_US}",
            "}",
            "version_policy: { latest: { num_versions: 1 } }",
            "parameters {",
            '  key: "nii.bundle_sha256"',
            f'  value: {{ string_value: "{bundle.sha256}" }}',
            "}",
            "",
        ]
    )


def _tensor(kind: str, tensor: Tensor, bundle: Bundle) -> str:
    batch, *dims = tensor.shape or (1,)
    if tensor.kind not in _TYPES or isinstance(batch, int) or not dims:
        raise BundleError(
            bundle.folder,
            found=f"the tensor {tensor.name} of {tensor.kind}{list(tensor.shape)}",
            expected=f"one of {', '.join(_TYPES)} with a free batch",
            remedy="Use a bundle that nii exported.",
        )
    sizes = ", ".join(str(size) if isinstance(size, int) else "-1" for size in dims)
    lines = [f'name: "{tensor.name}"', f"data_type: {_TYPES[tensor.kind]}", f"dims: [ {sizes} ]"]
    return "\n".join([f"{kind} [", "  {", *(f"    {line}" for line in lines), "  }", "]"])
