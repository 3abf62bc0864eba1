"""Trials: a provider that is absent, idle, wrong or slow is refused, with the reason."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nii.bundle import Bundle
from nii.infer import trial
from nii.infer.runtime import self_test_of
from nii.infer.selftest import OUTPUTS, SelfTest

GPU = "CUDAExecutionProvider"


@pytest.fixture
def test(tiny_bundle: Bundle) -> SelfTest:
    """Return the self-test of the tiny bundle."""
    found = self_test_of(tiny_bundle)
    assert found is not None
    return found


class Provider:
    """Stand in for a session on a provider."""

    def __init__(
        self,
        answer: Callable[[], list[np.ndarray]],
        *,
        listed: bool = True,
        parts: int | None = None,
    ) -> None:
        """Say what it answers, whether it is in the session, and how much of the model it took."""
        self.answer, self.listed, self.runs = answer, listed, 0
        if parts is not None:
            node = SimpleNamespace(ep_name=GPU, get_nodes=lambda: [None] * parts)
            rest = SimpleNamespace(ep_name="CPUExecutionProvider", get_nodes=lambda: [None] * 9)
            self.get_provider_graph_assignment_info = lambda: [node, rest]

    def get_providers(self) -> list[str]:
        """Return who is in the session."""
        return [GPU] if self.listed else ["CPUExecutionProvider"]

    def run(self, outputs: Any, inputs: Any) -> list[np.ndarray]:  # noqa: ANN401
        """Answer."""
        assert tuple(outputs) == OUTPUTS
        assert set(inputs) == {"detail", "overview"}
        self.runs += 1
        return self.answer()


def test_the_right_numbers_pass(test: SelfTest) -> None:
    """Who answers what is expected is not refused, whether or not it tells its parts."""
    for parts in (None, 3):
        found = trial.judged(GPU, Provider(lambda: list(test.expected), parts=parts), test)
        assert found.refusal is None
        assert found.outcome is not None
        assert found.outcome.largest == 0


def test_wrong_numbers_are_refused(test: SelfTest) -> None:
    """A provider whose answers are off by a hundredth is refused, and the map is named."""
    wrong = [*test.expected[:2], test.expected[2] + np.float32(0.01), *test.expected[3:]]
    found = trial.judged(GPU, Provider(lambda: wrong), test)
    assert "numbers differ by up to 0.01 (structure_centre)" in str(found.refusal)


def test_an_absent_provider_is_refused_and_never_run(test: SelfTest) -> None:
    """A session without the provider that was asked for is no session of that provider."""
    session = Provider(lambda: list(test.expected), listed=False)
    assert "dropped it without an error" in str(trial.judged(GPU, session, test).refusal)
    assert session.runs == 0


def test_an_idle_provider_is_refused(test: SelfTest) -> None:
    """A provider that is listed but took no part of the model leaves the work to the CPU."""
    found = trial.judged(GPU, Provider(lambda: list(test.expected), parts=0), test)
    assert found.refusal == "it took none of the 9 parts of the model"


def test_a_provider_that_stops_is_refused(test: SelfTest) -> None:
    """An error in the self-test or in the race is the reason, in its first line."""

    def fail() -> list[np.ndarray]:
        raise RuntimeError("out of memory\nand a trace")

    found = trial.judged(GPU, Provider(fail), test)
    assert found.refusal == "the self-test stopped: out of memory"
    assert trial.raced(found, test, 1.0, lambda: 0.0).refusal == "it stopped: out of memory"


def test_without_a_self_test_nothing_is_run() -> None:
    """An older bundle has nothing to compare with; only presence is judged."""
    session = Provider(list)
    assert trial.judged(GPU, session, None).refusal is None
    assert session.runs == 0


@pytest.mark.parametrize("cpu_ms", [9.0, 11.0])
def test_a_provider_slower_than_the_cpu_is_refused(test: SelfTest, cpu_ms: float) -> None:
    """Ten milliseconds win against eleven of the CPU and lose against nine."""
    found = trial.judged(GPU, Provider(lambda: list(test.expected)), test)
    ticks = itertools.count()
    raced = trial.raced(found, test, cpu_ms, lambda: 0.01 * next(ticks))
    assert raced.milliseconds == pytest.approx(10)
    slow = "it is slower than the CPU: 10.0 ms against 9.0 ms"
    assert raced.refusal == (slow if cpu_ms == 9 else None)


def test_the_place_in_the_source_is_left_out() -> None:
    """Of a message from C++ the reader gets what it says."""
    text = (
        "/src/python/state.cc:729 void ort::Make(Options&, const X&) Please install TensorRT.\n x"
    )
    assert trial.first_line(RuntimeError(text)) == "Please install TensorRT."
    assert trial.first_line(RuntimeError("a.txt: no such file")) == "a.txt: no such file"
    assert trial.first_line(RuntimeError()) == "RuntimeError"
