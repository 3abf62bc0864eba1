"""Runtime: one ONNX model held open, and the truth about the hardware that it runs on.

The only importer of ONNX Runtime. That library drops a GPU it cannot use and goes on with the CPU;
so the providers are read back from the session after it was made, and the reason is kept.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from jaxtyping import Float32

from nii.bundle import CARD_KEY, Card
from nii.errors import BundleError, ConfigError, ProviderError
from nii.inspection import ProviderFacts

_LOG = logging.getLogger(__name__)

CPU = "CPUExecutionProvider"
GPUS = (
    "TensorrtExecutionProvider",
    "CUDAExecutionProvider",
    "MIGraphXExecutionProvider",
    "ROCMExecutionProvider",
    "OpenVINOExecutionProvider",
    "DmlExecutionProvider",
    "CoreMLExecutionProvider",
)
"""GPU providers in the order of preference."""
_OPTIONS: Mapping[str, Mapping[str, str]] = {
    # Both would otherwise be free to choose the CPU, and still carry their name.
    "OpenVINOExecutionProvider": {"device_type": "GPU"},
    "CoreMLExecutionProvider": {"MLComputeUnits": "CPUAndGPU"},
}
INPUTS = ("detail", "overview")
OUTPUTS = (
    "threat_heat",
    "threat_ltrb",
    "structure_centre",
    "structure_inside",
    "structure_ltrb",
)
_ERRORS_ONLY = 3
"""Severity of ONNX Runtime's own log: it warns about harmless matters at length."""


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """Say what a model shall run on."""

    providers: tuple[str, ...] | None = None
    """Execution providers in the order of preference; None takes every GPU that is offered, then
    the CPU."""
    require_gpu: bool = False
    """Refuse to run on a CPU."""
    threads: int | None = None
    """Threads for one scan on the CPU; None lets ONNX Runtime use every core."""

    def __post_init__(self) -> None:
        """Check the number of threads.

        Raises:
            ValueError: it is not positive, or no provider is named.
        """
        if self.threads is not None and self.threads < 1:
            msg = f"{self.threads} threads"
            raise ValueError(msg)
        if self.providers == ():
            msg = "an empty list of providers"
            raise ValueError(msg)


Maps = tuple[
    Float32[np.ndarray, "detail_batch threat rows columns"],
    Float32[np.ndarray, "detail_batch 4 rows columns"],
    Float32[np.ndarray, "overview_batch structure overview_rows overview_columns"],
    Float32[np.ndarray, "overview_batch structure overview_rows overview_columns"],
    Float32[np.ndarray, "overview_batch distance overview_rows overview_columns"],
]


class Session:
    """Hold one model open.

    Attributes:
        provider: what it really runs on.
        metadata: texts that travel inside the model file.
    """

    def __init__(self, session: Any, provider: ProviderFacts) -> None:  # noqa: ANN401
        """Keep an ONNX Runtime session; use :func:`open_session` instead."""
        self._session = session
        self.provider = provider
        self.metadata: dict[str, str] = dict(session.get_modelmeta().custom_metadata_map)

    def run(
        self,
        detail: Float32[np.ndarray, "detail_batch channel height width"],
        overview: Float32[np.ndarray, "overview_batch channel overview_height overview_width"],
    ) -> Maps:
        """Return the five output maps in the order of :data:`OUTPUTS`.

        Raises:
            ProviderError: the hardware gave up, for example for want of memory.
        """
        try:
            maps = self._session.run(OUTPUTS, {"detail": detail, "overview": overview})
        except Exception as error:  # ONNX Runtime's exceptions have no common root
            raise ProviderError(
                f"model on {', '.join(self.provider.used)}",
                found=_first_line(error),
                expected=f"a result for a scan of {detail.shape[3]} x {detail.shape[2]} pixels",
                remedy="Free memory on the device, or choose another provider.",
            ) from error
        return tuple(maps)


def open_session(model: Path | bytes, settings: ProviderSettings) -> Session:
    """Open a model on the best hardware that the settings allow.

    Args:
        model: path or content of an ONNX file.
        settings: what it shall run on.

    Raises:
        BundleError: the file is no model of this kind.
        ConfigError: a provider is asked for that ONNX Runtime does not know.
        ProviderError: a GPU is required and none can be used.
    """
    available = tuple(onnxruntime.get_available_providers())
    requested = _requested(settings, available)
    session, refusals = _create(model, [p for p in requested if p in available], settings)
    used = tuple(session.get_providers())
    on_gpu = any(provider in GPUS for provider in used)
    facts = ProviderFacts(
        used=used,
        requested=requested,
        available=available,
        device="gpu" if on_gpu else "cpu",
        reason=None if on_gpu else _why_no_gpu(requested, available, refusals),
    )
    if settings.require_gpu and not on_gpu:
        raise ProviderError(
            "GPU",
            found=f"{', '.join(used)}, because {facts.reason}",
            expected=f"one of {', '.join(GPUS)}",
            remedy="Install the ONNX Runtime for your GPU, see docs/install.md, or allow the CPU.",
        )
    _LOG.info("runs on %s%s", ", ".join(used), f" ({facts.reason})" if facts.reason else "")
    _check_signature(session, model)
    return Session(session, facts)


def check_card(session: Session, card: Card, folder: Path) -> None:
    """Check that the card inside the model is the one beside it; the digest alone may differ.

    Raises:
        BundleError: the model carries no card, or another one.
    """
    text = session.metadata.get(CARD_KEY)
    if text is None:
        raise BundleError(
            folder,
            found=f"a model without {CARD_KEY!r} in its metadata",
            expected="a model that carries its card",
            remedy="Export the model again.",
        )
    try:
        inside = Card.from_json(json.loads(text), where=f"{folder}: {CARD_KEY}").to_json()
    except (ValueError, ConfigError) as error:
        raise BundleError(
            folder,
            found=f"an unreadable card inside the model ({error})",
            expected="the card of card.json",
            remedy="Export the model again.",
        ) from error
    beside = card.to_json()
    other = sorted(key for key in beside if key != "model_sha256" and inside[key] != beside[key])
    if other:
        raise BundleError(
            folder,
            found=f"other values inside the model than in card.json for {', '.join(other)}",
            expected="the same card in both places",
            remedy="One of them was altered: copy the bundle again or export the model again.",
        )


def _requested(settings: ProviderSettings, available: Sequence[str]) -> tuple[str, ...]:
    if settings.providers is None:
        return (*(name for name in GPUS if name in available), CPU)
    known = {*onnxruntime.get_all_providers(), *GPUS}
    for name in settings.providers:
        if name not in known:
            raise ConfigError(
                "provider",
                found=repr(name),
                expected=f"one of {', '.join(sorted(known))}",
                remedy="Correct the name, or leave it out to take the best one.",
            )
    return settings.providers


def _create(
    model: Path | bytes, providers: list[str], settings: ProviderSettings
) -> tuple[Any, list[str]]:
    """Make a session; a provider that refuses is left out, and what it said is returned."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = settings.threads or 0
    source = model if isinstance(model, bytes) else str(model)
    refusals: list[str] = []
    while True:
        wished = [(name, dict(_OPTIONS.get(name, {}))) for name in providers] or [(CPU, {})]
        try:
            session = onnxruntime.InferenceSession(
                source, options, providers=wished, enable_fallback=0
            )
        except Exception as error:  # ONNX Runtime's exceptions have no common root
            gpus = [name for name in providers if name in GPUS]
            if not gpus:
                raise BundleError(
                    _name(model),
                    found=_first_line(error),
                    expected="an ONNX model that ONNX Runtime can load",
                    remedy="Copy the bundle again, or export the model again.",
                ) from error
            refusals.append(f"{gpus[0]}: {_first_line(error)}")
            providers = [name for name in providers if name != gpus[0]]
        else:
            return session, refusals


def _why_no_gpu(requested: Sequence[str], available: Sequence[str], refusals: list[str]) -> str:
    wished = [name for name in requested if name in GPUS]
    offered = [name for name in wished if name in available]
    if refusals:
        return f"ONNX Runtime could not start it ({'; '.join(refusals)})"
    if offered:
        return (
            f"the installed ONNX Runtime offers {', '.join(offered)} but dropped it without an "
            "error: the driver or a library of the GPU is missing or has another version"
        )
    if wished:
        return f"the installed ONNX Runtime does not offer {', '.join(wished)}"
    if any(name in GPUS for name in available):
        return f"not requested: only {', '.join(requested)} was asked for"
    return f"the installed ONNX Runtime offers no GPU (only {', '.join(available)})"


def _check_signature(session: Any, model: Path | bytes) -> None:  # noqa: ANN401
    inputs = {item.name for item in session.get_inputs()}
    outputs = {item.name for item in session.get_outputs()}
    if inputs == set(INPUTS) and set(OUTPUTS) <= outputs:
        return
    raise BundleError(
        _name(model),
        found=f"a model with inputs {sorted(inputs)} and outputs {sorted(outputs)}",
        expected=f"inputs {sorted(INPUTS)} and outputs {sorted(OUTPUTS)}",
        remedy="Use a bundle that nii exported.",
    )


def _name(model: Path | bytes) -> str:
    return "model" if isinstance(model, bytes) else str(model)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
