"""Runtime: one ONNX model held open, and the truth about the hardware that it runs on.

The only importer of ONNX Runtime. That library drops a GPU it cannot use and goes on with the CPU.
So each provider is tried by itself: it must be in the session that was made, must have taken a part
of the model, must give the numbers of the bundle's self-test and must be faster than the CPU. One
that fails is left out, and the reason is kept.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from nii.bundle import CARD_KEY, FULL, LIGHTER, OUTSIDE, Bundle, Card
from nii.errors import BundleError, ConfigError, ProviderError
from nii.folders import cache_folder
from nii.infer import engine, selftest, trial
from nii.infer.selftest import SelfTest
from nii.infer.trial import Trial
from nii.inspection import ProviderFacts

TELEMETRY_VARIABLE = "ORT_DISABLE_TELEMETRY"
# The official builds report on every run to their makers, and read this once, when imported.
os.environ.setdefault(TELEMETRY_VARIABLE, "1")

import onnxruntime  # noqa: E402 - after the variable

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
INPUTS = ("detail", "overview")
OUTPUTS = selftest.OUTPUTS
_TENSORRT, _CUDA = GPUS[:2]
_ERRORS_ONLY = 3
"""Severity of ONNX Runtime's own log: it warns about harmless matters at length."""
_CPU_PRECISION, _GPU_PRECISION = "int8", "fp16"
"""What a processor and what a graphics card gain from: ONNX Runtime documentation, "Quantize ONNX
models" and "Float16 and mixed precision models"."""
_WORTH_IT = 0.95
"""Share of the full model's time below which a variant is worth it: assumption, above the noise."""
NO_SELF_TEST = "none in this bundle: neither numbers nor speed of the provider were checked"


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
    precision: str | None = None
    """fp32, or a variant of the bundle (int8, fp16); None takes the fastest that the bundle has."""
    cache: Path | None = None
    """Folder of compiled engines; None takes that of the user, or the one in NII_CACHE."""

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
        if self.precision not in (None, FULL, *LIGHTER):
            msg = f"precision {self.precision!r}"
            raise ValueError(msg)


Maps = tuple[Float32[np.ndarray, "_ _ _ _"], ...]


@dataclass(frozen=True, slots=True)
class Tensor:
    """Describe an input or output: its name, type, and sizes, or names of free axes."""

    name: str
    kind: str
    shape: tuple[int | str | None, ...]


class Session:
    """Hold one model open.

    Attributes:
        provider: what it really runs on.
        metadata: texts that travel inside the model file.
        maps: names of the maps that it gives, in order.
        inputs: of the model, in order.
        outputs: of the model, in order.
    """

    def __init__(self, session: Any, provider: ProviderFacts) -> None:  # noqa: ANN401
        """Keep an ONNX Runtime session; use :func:`open_session` instead."""
        self.raw = session
        self.provider = provider
        self.metadata: dict[str, str] = dict(session.get_modelmeta().custom_metadata_map)
        self.inputs = tuple(Tensor(i.name, i.type, tuple(i.shape)) for i in session.get_inputs())
        self.outputs = tuple(Tensor(o.name, o.type, tuple(o.shape)) for o in session.get_outputs())
        given = {item.name for item in self.outputs}
        self.maps = selftest.outputs_of(anomaly=selftest.ANOMALY in given)

    def run(
        self,
        detail: Float32[np.ndarray, "detail_batch channel height width"],
        overview: Float32[np.ndarray, "overview_batch channel overview_height overview_width"],
    ) -> Maps:
        """Return the output maps in the order of `maps`.

        Raises:
            ProviderError: the hardware gave up, for example for want of memory.
        """
        try:
            maps = self.raw.run(self.maps, {"detail": detail, "overview": overview})
        except Exception as error:  # ONNX Runtime's exceptions have no common root
            raise ProviderError(
                f"model on {', '.join(self.provider.used)}",
                found=trial.first_line(error),
                expected=f"a result for a scan of {detail.shape[3]} x {detail.shape[2]} pixels",
                remedy="Free memory on the device, or choose another provider.",
            ) from error
        return tuple(maps)


def run_by_name(
    session: Session, inputs: Mapping[str, np.ndarray], wanted: Sequence[str]
) -> tuple[np.ndarray, ...]:
    """Return outputs by name, also those that nii itself does not ask for.

    Raises:
        ProviderError: the inputs do not fit the model, or the hardware gave up.
    """
    try:
        return tuple(session.raw.run(list(wanted), dict(inputs)))
    except Exception as error:  # ONNX Runtime's exceptions have no common root
        raise ProviderError(
            f"model on {', '.join(session.provider.used)}",
            found=trial.first_line(error),
            expected=f"inputs of {', '.join(f'{i.name}{list(i.shape)}' for i in session.inputs)}",
            remedy="Send tensors of these sizes.",
        ) from error


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A model, what is known of it, and how it shall run."""

    model: Path | bytes
    settings: ProviderSettings
    test: SelfTest | None
    folder: Callable[[], Path | None]
    timer: Callable[[], float]
    variants: Mapping[str, tuple[Path, SelfTest]] = field(default_factory=dict)


def open_session(model: Path | bytes, settings: ProviderSettings) -> Session:
    """Open a model that comes without a bundle on the best hardware that the settings allow.

    Numbers and speed are not checked; for a bundle use :func:`open_bundle`.

    Args:
        model: path or content of an ONNX file.
        settings: what it shall run on.

    Raises:
        BundleError: the file is no model of this kind.
        ConfigError: a provider is asked for that ONNX Runtime does not know.
        ProviderError: a GPU is required and none can be used.
    """
    return _open(_Candidate(model, settings, None, lambda: None, time.perf_counter))


def open_bundle(
    bundle: Bundle,
    settings: ProviderSettings,
    timer: Callable[[], float] = time.perf_counter,
) -> Session:
    """Open the model of a bundle on the best hardware that passes its self-test.

    Args:
        bundle: a bundle whose files were found intact.
        settings: what it shall run on.
        timer: clock in seconds that only rises.

    Raises:
        BundleError: model or self-test is none.
        ConfigError: a provider is asked for that ONNX Runtime does not know.
        ProviderError: a GPU is required and none can be used, or even the CPU gives other numbers.
    """
    if bundle.self_test_path is None:
        _LOG.warning("self-test of %s: %s", bundle.folder, NO_SELF_TEST)
    return _open(_candidate(bundle, settings, timer))


def try_providers(
    bundle: Bundle,
    settings: ProviderSettings,
    timer: Callable[[], float] = time.perf_counter,
) -> Iterator[Trial]:
    """Try every provider that the settings allow, in order, the CPU included.

    Raises:
        BundleError, ConfigError: as in :func:`open_bundle`.
    """
    candidate = _candidate(bundle, settings, timer)
    yield from _trials(candidate, _requested(settings, onnxruntime.get_available_providers()))


def self_test_of(bundle: Bundle) -> SelfTest | None:
    """Return the self-test of a bundle; None where it was made before there were any.

    Raises:
        BundleError: the file is none.
    """
    return None if bundle.self_test_path is None else _self_test_in(bundle.self_test_path)


def _self_test_in(path: Path) -> SelfTest:
    try:
        return selftest.from_bytes(path.read_bytes())
    except ValueError as error:
        raise BundleError(
            path,
            found=str(error),
            expected="a self-test that nii export wrote",
            remedy="Export the model again.",
        ) from error


def versions() -> dict[str, str]:
    """Return version and build of ONNX Runtime."""
    return {"onnxruntime": onnxruntime.__version__, "build": onnxruntime.get_build_info()}


def available_providers() -> tuple[str, ...]:
    """Return the providers that the installed ONNX Runtime offers."""
    return tuple(onnxruntime.get_available_providers())


def check_card(session: Session, card: Card, folder: Path) -> None:
    """Check that the card inside the model is the one beside it; the digest alone may differ.

    Raises:
        BundleError: the model carries no card, or another one.
    """
    if card.anomaly != (selftest.ANOMALY in session.maps):
        raise BundleError(
            folder,
            found=f"a model with the maps {', '.join(session.maps)}",
            expected=f"{'one' if card.anomaly else 'no'} anomaly map, as the card says",
            remedy="Export the model again.",
        )
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
    other = sorted(key for key in beside if key not in OUTSIDE and inside[key] != beside[key])
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


def _candidate(
    bundle: Bundle, settings: ProviderSettings, timer: Callable[[], float]
) -> _Candidate:
    def folder() -> Path:
        root = settings.cache or cache_folder()
        return engine.folder_of(root, bundle.sha256, engine.gpus(), onnxruntime.__version__)

    variants = {}
    for precision in bundle.card.variants:
        model, test = bundle.variant_paths(precision)
        variants[precision] = (model, _self_test_in(test))
    return _Candidate(bundle.model_path, settings, self_test_of(bundle), folder, timer, variants)


def _open(candidate: _Candidate) -> Session:
    """Take the first provider that passes."""
    available, settings = available_providers(), candidate.settings
    requested = _requested(settings, available)
    rejected: list[str] = []
    for last in _trials(candidate, requested):
        if last.refusal is None:
            break
        _LOG.warning("%s is not used: %s", last.provider, last.refusal)
        rejected.append(f"{last.provider}: {last.refusal}")
    precision = FULL
    if last.refusal is None:
        last, precision = _lightened(candidate, last, requested, rejected)
    on_gpu = last.provider in GPUS
    facts = ProviderFacts(
        used=tuple(last.session.get_providers()),
        requested=requested,
        available=available,
        device="gpu" if on_gpu else "cpu",
        reason=None if on_gpu else _why_no_gpu(requested, available, rejected),
        rejected=tuple(rejected),
        self_test=str(last.outcome) if last.outcome else NO_SELF_TEST,
        precision=precision,
    )
    _check_facts(facts, last, settings)
    _LOG.info("runs on %s%s", ", ".join(facts.used), f" ({facts.reason})" if facts.reason else "")
    return Session(last.session, facts)


def _lightened(
    candidate: _Candidate, full: Trial, requested: Sequence[str], rejected: list[str]
) -> tuple[Trial, str]:
    """Return the variant that the settings name or that wins on this provider, else the full model.

    Why a variant is not used is added to `rejected`.
    """
    wish = candidate.settings.precision
    usual = _GPU_PRECISION if full.provider in GPUS else _CPU_PRECISION
    precision = wish or usual
    if precision == FULL or (wish is None and precision not in candidate.variants):
        return full, FULL
    if precision not in candidate.variants:
        raise ConfigError(
            "precision",
            found=precision,
            expected=f"one of {', '.join((FULL, *candidate.variants))}, which this bundle has",
            remedy="Leave it out, or make the variant with nii export --quantize.",
        )
    model, test = candidate.variants[precision]
    light = _try(replace(candidate, model=model, test=test), full.provider, requested)
    if light.refusal is None and wish is None:
        spent = [trial.race(one.session, test, candidate.timer) for one in (light, full)]
        if spent[0] > _WORTH_IT * spent[1]:
            slow = f"it is not faster than fp32: {spent[0]:.1f} ms against {spent[1]:.1f} ms"
            light = replace(light, refusal=slow)
    if light.refusal is None:
        return light, precision
    if wish is not None:
        raise ProviderError(
            f"{precision} on {full.provider}",
            found=light.refusal,
            expected="the numbers that the variant gave when it was exported",
            remedy="Use fp32, or make the variant again on a machine of this kind.",
        )
    _LOG.warning("%s is not used: %s", precision, light.refusal)
    rejected.append(f"{precision}: {light.refusal}")
    return full, FULL


def _check_facts(facts: ProviderFacts, last: Trial, settings: ProviderSettings) -> None:
    if settings.require_gpu and facts.device != "gpu":
        raise ProviderError(
            "GPU",
            found=f"{', '.join(facts.used)}, because {facts.reason}",
            expected=f"one of {', '.join(GPUS)}",
            remedy="Install the ONNX Runtime for your GPU, see docs/install.md and nii doctor, or "
            "allow the CPU.",
        )
    if last.refusal is not None:
        raise ProviderError(
            last.provider,
            found=last.refusal,
            expected="the numbers that the model gave when it was exported",
            remedy="Install ONNX Runtime again, in the version of constraints.txt.",
        )


def _trials(candidate: _Candidate, requested: Sequence[str]) -> Iterator[Trial]:
    """Try providers in order up to the CPU, which comes last in any case."""
    available = onnxruntime.get_available_providers()
    gpus = requested[: requested.index(CPU)] if CPU in requested else requested
    cpu_ms: float | None = None
    for name in gpus:
        if name not in available:
            yield Trial(name, "the installed ONNX Runtime does not offer it")
            continue
        found = _try(candidate, name, requested)
        if found.refusal is None and candidate.test is not None:
            if cpu_ms is None:
                cpu = _session(candidate, [CPU])
                cpu_ms = trial.race(cpu, candidate.test, candidate.timer)
            found = trial.raced(found, candidate.test, cpu_ms, candidate.timer)
        yield found
    yield _try(candidate, CPU, requested)


def _try(candidate: _Candidate, name: str, requested: Sequence[str]) -> Trial:
    # What TensorRT cannot do, CUDA does on the same card.
    second = [_CUDA] if name == _TENSORRT and _CUDA in requested else []
    names = [name, *second, CPU] if name != CPU else [CPU]
    try:
        session = _session(candidate, names)
    except Exception as error:  # ONNX Runtime's exceptions have no common root
        if name == CPU:
            raise BundleError(
                _name(candidate.model),
                found=trial.first_line(error),
                expected="an ONNX model that ONNX Runtime can load",
                remedy="Copy the bundle again, or export the model again.",
            ) from error
        return Trial(name, f"it could not start: {trial.first_line(error)}")
    _check_signature(session, candidate.model)
    return trial.judged(name, session, candidate.test)


def _session(candidate: _Candidate, names: Sequence[str]) -> Any:  # noqa: ANN401
    onnxruntime.disable_telemetry_events()  # Windows does not know the variable
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = candidate.settings.threads or 0
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    folder = candidate.folder() if names[0] in GPUS else None
    model = candidate.model
    return onnxruntime.InferenceSession(
        model if isinstance(model, bytes) else str(model),
        options,
        providers=[(name, engine.options(name, folder)) for name in names],
        enable_fallback=0,
    )


def _why_no_gpu(requested: Sequence[str], available: Sequence[str], rejected: list[str]) -> str:
    if any(name in available and name in GPUS for name in requested) and rejected:
        return "; ".join(rejected)
    if wished := [name for name in requested if name in GPUS]:
        return f"the installed ONNX Runtime does not offer {', '.join(wished)}"
    if any(name in GPUS for name in available):
        return f"not requested: only {', '.join(requested)} was asked for"
    return f"the installed ONNX Runtime offers no GPU (only {', '.join(available)})"


def _check_signature(session: Any, model: Path | bytes) -> None:  # noqa: ANN401
    inputs, outputs = ({o.name for o in g()} for g in (session.get_inputs, session.get_outputs))
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
