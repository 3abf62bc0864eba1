"""Tests of :mod:`nii.infer.runtime`: what ran is told truly, and nothing falls back in silence."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime  # noqa: TID253 - the truth that the runtime is compared with
import pytest

from nii.bundle import Bundle, Card, write_bundle
from nii.errors import BundleError, ConfigError, ProviderError
from nii.infer import runtime, selftest
from nii.infer.runtime import (
    CPU,
    GPUS,
    NO_SELF_TEST,
    TELEMETRY_VARIABLE,
    ProviderSettings,
    check_card,
    open_bundle,
    open_session,
)

ROOT = Path(__file__).resolve().parents[2]
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"


class Liar:
    """An ONNX Runtime that offers GPUs and then drops them, or refuses to start them."""

    def __init__(self, refuses: dict[str, str], drops: set[str]) -> None:
        """Say which provider refuses with which words, and which is dropped in silence."""
        self.refuses, self.drops = refuses, drops
        self.created: list[list[str]] = []

    def __call__(self, source: object, options: object, **given: Any) -> SimpleNamespace:  # noqa: ANN401
        """Make a session, or refuse."""
        del source, options
        assert given["enable_fallback"] == 0
        wished = [name for name, _ in given["providers"]]
        self.created.append(wished)
        if wished and wished[0] in self.refuses:
            raise RuntimeError(self.refuses[wished[0]] + "\nand a long trace")
        kept = [name for name in wished if name not in self.drops] or [CPU]
        return SimpleNamespace(
            get_providers=lambda: kept,
            get_inputs=lambda: [_tensor(name) for name in runtime.INPUTS],
            get_outputs=lambda: [_tensor(name) for name in runtime.OUTPUTS],
            get_modelmeta=lambda: SimpleNamespace(custom_metadata_map={}),
        )


def _tensor(name: str) -> SimpleNamespace:
    """Return a tensor as a session describes it."""
    return SimpleNamespace(name=name, type="tensor(float)", shape=["batch", 4, None, None])


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Liar]:
    """Return how an ONNX Runtime is put in place that offers these GPUs."""

    def put(*gpus: str, refuses: dict[str, str] | None = None, drops: tuple[str, ...] = ()) -> Liar:
        liar = Liar(refuses or {}, set(drops))
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [*gpus, CPU])
        monkeypatch.setattr(onnxruntime, "InferenceSession", liar)
        return liar

    return put


def test_a_real_session_tells_what_it_uses(tiny_bundle: Bundle) -> None:
    """The facts are those of ONNX Runtime itself."""
    facts = open_session(tiny_bundle.model_path, ProviderSettings((CPU,))).provider
    assert facts.used == (CPU,)
    assert facts.available == tuple(onnxruntime.get_available_providers())
    assert facts.device == "cpu"
    assert facts.reason is not None


def test_path_and_bytes_are_the_same_model(tiny_bundle: Bundle) -> None:
    """A model from bytes answers like the one from its file."""
    detail = np.full((1, 4, 32, 64), 0.5, np.float32)
    overview = np.full((1, 4, 128, 256), 0.1, np.float32)
    settings = ProviderSettings((CPU,), threads=1)
    sources = (tiny_bundle.model_path, tiny_bundle.model_path.read_bytes())
    first, second = (open_session(source, settings).run(detail, overview) for source in sources)
    assert len(first) == len(runtime.OUTPUTS)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_batches_of_the_two_inputs_are_independent(tiny_bundle: Bundle) -> None:
    """Three strips of the detail go with one overview."""
    session = open_session(tiny_bundle.model_path, ProviderSettings((CPU,)))
    detail = np.zeros((3, 4, 32, 64), np.float32)
    maps = session.run(detail, np.zeros((1, 4, 128, 256), np.float32))
    assert [len(array) for array in maps] == [3, 3, 1, 1, 1]


def test_every_gpu_that_is_offered_is_wished_for(offer: Callable[..., Liar]) -> None:
    """By default the GPUs come in the order of preference, and the CPU last."""
    liar = offer(*reversed(GPUS))
    facts = open_session(b"", ProviderSettings()).provider
    assert facts.requested == (*GPUS, CPU)
    assert liar.created == [[TENSORRT, CUDA, CPU]]
    assert (facts.device, facts.reason) == ("gpu", None)


def test_a_gpu_dropped_in_silence_is_reported(offer: Callable[..., Liar]) -> None:
    """Where ONNX Runtime goes on with the CPU without a word, the facts say so."""
    offer(CUDA, drops=(CUDA,))
    facts = open_session(b"", ProviderSettings()).provider
    assert (facts.used, facts.device) == ((CPU,), "cpu")
    assert "CUDAExecutionProvider: ONNX Runtime offers it but dropped it" in str(facts.reason)


def test_a_gpu_that_refuses_is_left_out_with_its_words(offer: Callable[..., Liar]) -> None:
    """The first line of each refusal is kept, and the next provider is tried."""
    liar = offer(TENSORRT, CUDA, refuses={TENSORRT: "no libnvinfer", CUDA: "driver too old"})
    facts = open_session(b"", ProviderSettings()).provider
    assert liar.created == [[TENSORRT, CUDA, CPU], [CUDA, CPU], [CPU]]
    assert facts.rejected == (
        f"{TENSORRT}: it could not start: no libnvinfer",
        f"{CUDA}: it could not start: driver too old",
    )
    assert "no libnvinfer" in str(facts.reason)
    assert "driver too old" in str(facts.reason)
    assert "trace" not in str(facts.reason)


def test_second_best_gpu_is_a_gpu(offer: Callable[..., Liar]) -> None:
    """Where TensorRT refuses and CUDA starts, a GPU is used."""
    offer(TENSORRT, CUDA, refuses={TENSORRT: "no libnvinfer"})
    facts = open_session(b"", ProviderSettings(require_gpu=True)).provider
    assert (facts.used, facts.device, facts.reason) == ((CUDA, CPU), "gpu", None)
    assert facts.rejected == (f"{TENSORRT}: it could not start: no libnvinfer",)


def test_the_cpu_named_first_is_the_cpu(offer: Callable[..., Liar]) -> None:
    """A GPU behind the CPU in the list is never tried, and nothing claims that it ran."""
    liar = offer(CUDA)
    facts = open_session(b"", ProviderSettings((CPU, CUDA))).provider
    assert liar.created == [[CPU]]
    assert (facts.used, facts.device) == ((CPU,), "cpu")


@pytest.mark.parametrize(
    ("gpus", "providers", "words"),
    [
        ((), None, "offers no GPU"),
        ((CUDA,), (CPU,), "not requested"),
        ((), (CUDA, CPU), "does not offer CUDAExecutionProvider"),
    ],
)
def test_reason_for_the_cpu(
    offer: Callable[..., Liar],
    gpus: tuple[str, ...],
    providers: tuple[str, ...] | None,
    words: str,
) -> None:
    """Not offered, not requested and not installed are told apart."""
    offer(*gpus)
    assert words in str(open_session(b"", ProviderSettings(providers)).provider.reason)


def test_a_required_gpu_is_required(offer: Callable[..., Liar]) -> None:
    """With require_gpu a dropped GPU is an error that says why."""
    offer(CUDA, drops=(CUDA,))
    with pytest.raises(ProviderError, match="dropped it"):
        open_session(b"", ProviderSettings(require_gpu=True))


class Double:
    """A GPU in name: the real CPU computes, and what the test asks for is done to its answers."""

    def __init__(self, spoil: float = 0.0, seconds: float = 0.0) -> None:
        """Say by how much its numbers are off, and how long a run of it takes."""
        self.spoil, self.seconds, self.now = np.float32(spoil), seconds, 0.0
        self.real = onnxruntime.InferenceSession

    def __call__(self, source: str, options: Any, **given: Any) -> Any:  # noqa: ANN401
        """Make a real session, and for the GPU one that is called so."""
        names = [name for name, _ in given["providers"]]
        session = self.real(source, options, providers=[CPU])
        return Called(self, session, names)

    def timer(self) -> float:
        """Return the time that the runs took, in seconds."""
        return self.now


class Called:
    """A session under the names of others."""

    def __init__(self, double: Double, session: Any, names: list[str]) -> None:  # noqa: ANN401
        """Keep the real session."""
        self.double, self.names = double, names
        self.get_inputs, self.get_outputs = session.get_inputs, session.get_outputs
        self.get_modelmeta, self.real_run = session.get_modelmeta, session.run

    def get_providers(self) -> list[str]:
        """Return what it is called."""
        return self.names

    def run(self, outputs: Any, inputs: Any) -> list[np.ndarray]:  # noqa: ANN401
        """Compute, spoil the answer and let time pass; the CPU takes a tenth of a second."""
        on_gpu = self.names[0] in GPUS
        self.double.now += self.double.seconds if on_gpu else 0.1
        return [part + self.double.spoil * on_gpu for part in self.real_run(outputs, inputs)]


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Double]:
    """Return how a GPU in name is put in place."""

    def put(**faults: float) -> Double:
        made = Double(**faults)
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
        monkeypatch.setattr(onnxruntime, "InferenceSession", made)
        return made

    return put


def test_a_gpu_that_is_right_and_fast_is_used(
    double: Callable[..., Double], tiny_bundle: Bundle
) -> None:
    """The double itself is no reason to refuse: without a fault it is taken."""
    made = double(seconds=0.01)
    facts = open_bundle(tiny_bundle, ProviderSettings(require_gpu=True), made.timer).provider
    assert (facts.used, facts.device, facts.rejected) == ((CUDA, CPU), "gpu", ())
    assert str(facts.self_test).startswith("passed")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ({"spoil": 0.02}, "CUDAExecutionProvider: the self-test failed: numbers differ by up to"),
        ({"seconds": 0.3}, "CUDAExecutionProvider: it is slower than the CPU: 300.0 ms against"),
    ],
)
def test_a_gpu_that_is_wrong_or_slow_is_left_out(
    double: Callable[..., Double],
    tiny_bundle: Bundle,
    caplog: pytest.LogCaptureFixture,
    faults: dict[str, float],
    words: str,
) -> None:
    """The CPU takes its place, and facts, log and error all tell why."""
    made = double(**faults)
    facts = open_bundle(tiny_bundle, ProviderSettings(), made.timer).provider
    assert (facts.used, facts.device) == ((CPU,), "cpu")
    assert facts.rejected[0].startswith(words)
    assert str(facts.reason).startswith(words)
    assert str(facts.self_test).startswith("passed")
    assert words.split(": ", 1)[1] in caplog.text
    with pytest.raises(ProviderError, match=words):
        open_bundle(tiny_bundle, ProviderSettings(require_gpu=True), made.timer)


def test_a_cpu_that_is_wrong_is_an_error(
    double: Callable[..., Double], tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where not even the CPU gives the right numbers nothing runs at all."""
    double()
    monkeypatch.setattr(selftest, "MAX_DIFFERENCE", -1.0)
    with pytest.raises(ProviderError, match=r"the self-test failed.+ONNX Runtime again"):
        open_bundle(tiny_bundle, ProviderSettings())


def test_a_bundle_without_a_self_test_is_used_with_a_warning(
    tiny_bundle: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An older bundle runs; log and facts say that its numbers were not checked."""
    model = tiny_bundle.model_path.read_bytes()
    older = write_bundle(tmp_path / "older", tiny_bundle.card, model, {})
    facts = open_bundle(older, ProviderSettings((CPU,))).provider
    assert facts.self_test == NO_SELF_TEST
    assert NO_SELF_TEST in caplog.text


def test_a_self_test_that_is_none_is_refused(tiny_bundle: Bundle, tmp_path: Path) -> None:
    """A file that matches its digest and still is no self-test is an error of the bundle."""
    model = tiny_bundle.model_path.read_bytes()
    odd = write_bundle(tmp_path / "odd", tiny_bundle.card, model, {}, b"rubbish")
    with pytest.raises(BundleError, match="no self-test"):
        open_bundle(odd, ProviderSettings((CPU,)))


def imported(home: Path, path: str) -> str:
    """Import the runtime in a fresh Python whose user lives in `home`; return what it prints."""
    variables = {**os.environ, "HOME": str(home), "PYTHONPATH": path}
    for name in ("XDG_CACHE_HOME", TELEMETRY_VARIABLE, "CI"):
        variables.pop(name, None)
    words = [sys.executable, "-c", "import nii.infer.runtime"]
    answer = subprocess.run(  # noqa: S603 - our own program
        words, env=variables, check=True, capture_output=True, text=True
    )
    return answer.stdout.strip()


@pytest.mark.slow
def test_onnx_runtime_collects_nothing(tmp_path: Path) -> None:
    """Importing the runtime leaves no device identifier and no queue of events behind."""
    imported(tmp_path, str(ROOT))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_telemetry_is_off_before_the_import(tmp_path: Path) -> None:
    """A stand-in for ONNX Runtime sees the variable at its import: later would be too late."""
    stand_in = f"import os; print(os.environ.get({TELEMETRY_VARIABLE!r}))"
    (tmp_path / "onnxruntime.py").write_text(stand_in)
    assert imported(tmp_path, os.pathsep.join([str(tmp_path), str(ROOT)])) == "1"


def test_unknown_provider_is_an_error(tiny_bundle: Bundle) -> None:
    """A provider that ONNX Runtime does not know is no reason to take another."""
    with pytest.raises(ConfigError, match="CudaProvider"):
        open_session(tiny_bundle.model_path, ProviderSettings(("CudaProvider",)))


def test_impossible_settings_are_refused() -> None:
    """No threads and an empty list of providers are no settings."""
    with pytest.raises(ValueError, match="0 threads"):
        ProviderSettings(threads=0)
    with pytest.raises(ValueError, match="empty"):
        ProviderSettings(())


def test_what_is_no_model_is_refused() -> None:
    """Bytes that are no ONNX model are an error of the bundle."""
    with pytest.raises(BundleError, match="model: found"):
        open_session(b"no model", ProviderSettings((CPU,)))


def test_another_model_is_refused() -> None:
    """A sound ONNX model with other inputs is no model of this kind."""
    onnx = pytest.importorskip("onnx", reason="the extra [train] is not installed")
    kind = onnx.TensorProto.FLOAT
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Neg", ["x"], ["y"])],
        "other",
        [value("x", kind, [1])],
        [value("y", kind, [1])],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    with pytest.raises(BundleError, match=r"inputs \['x'\]"):
        open_session(model.SerializeToString(), ProviderSettings((CPU,)))


def test_a_failed_run_names_the_provider(tiny_bundle: Bundle) -> None:
    """An input that the model cannot take is an error, not a result."""
    session = open_session(tiny_bundle.model_path, ProviderSettings((CPU,)))
    detail, overview = np.zeros((1, 3, 32, 64), np.float32), np.zeros((1, 3, 128, 64), np.float32)
    with pytest.raises(ProviderError, match=CPU):
        session.run(detail, overview)


def test_the_two_cards_must_agree(
    tiny_bundle: Bundle, make_model: Callable[[Card | None], bytes]
) -> None:
    """A card beside the model that says something else than the one inside is refused."""
    card, folder = tiny_bundle.card, tiny_bundle.folder
    session = open_session(tiny_bundle.model_path, ProviderSettings((CPU,)))
    check_card(session, card, folder)
    thresholds = dataclasses.replace(card.thresholds, structure=0.9)
    other = dataclasses.replace(card, thresholds=thresholds)
    with pytest.raises(BundleError, match="thresholds"):
        check_card(session, other, folder)
    bare = open_session(make_model(None), ProviderSettings((CPU,)))
    with pytest.raises(BundleError, match=r"without 'nii\.card'"):
        check_card(bare, card, folder)
