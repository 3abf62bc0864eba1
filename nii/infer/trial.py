"""Trial of an execution provider: it must be there, do the work, give the right numbers, and win.

A session that carries the name of a GPU proves nothing: ONNX Runtime goes on with the CPU when a
provider cannot start, and a provider that starts may take no part of the model, compute something
else, or be slower than the CPU.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from nii.infer import selftest
from nii.infer.selftest import OUTPUTS, Maps, Outcome, SelfTest

RACE_PX = (256, 480)
"""Height and width of the input on which providers race: a CPU takes some tenths of a second."""
_LAPS = 2
_SOURCE_PLACE = re.compile(r"\S+\.(?:cc|cpp|h):\d+ (?:[^()]*\([^()]*\) )?")
"""For example ``/src/a.cc:12 void make(Options&)``."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of trying one provider.

    Attributes:
        provider: its name.
        refusal: why it is not used; None where it may be.
        session: the ONNX Runtime session; None where none was made.
        outcome: of the self-test; None where it was not run to its end.
        milliseconds: for the input on which providers race; None where it did not race.
    """

    provider: str
    refusal: str | None
    session: Any = None
    outcome: Outcome | None = None
    milliseconds: float | None = None


def judged(provider: str, session: Any, test: SelfTest | None) -> Trial:  # noqa: ANN401
    """Look whether a provider is in its session, has work to do, and passes the self-test.

    Args:
        provider: name of the provider.
        session: the ONNX Runtime session that was made for it.
        test: self-test of the bundle; None skips it.
    """
    bare = Trial(provider, None, session)
    if provider not in session.get_providers():
        return replace(
            bare,
            refusal="ONNX Runtime offers it but dropped it without an error: the driver or a "
            "library of the GPU is missing or has another version",
        )
    shares = parts_of(session)
    if shares and not shares[provider]:
        return replace(bare, refusal=f"it took none of the {shares.total()} parts of the model")
    if test is None:
        return bare
    try:
        outcome = selftest.outcome(test, _maps(session, test))
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions have no common root
        return replace(bare, refusal=f"the self-test stopped: {first_line(error)}")
    refusal = None if outcome.passed else f"the self-test {outcome}"
    return replace(bare, refusal=refusal, outcome=outcome)


def raced(found: Trial, test: SelfTest, cpu_ms: float, timer: Callable[[], float]) -> Trial:
    """Let a provider that passed so far race with the CPU.

    Args:
        found: the trial until now.
        test: self-test of the bundle.
        cpu_ms: milliseconds of the CPU, from :func:`race`.
        timer: clock in seconds that only rises.
    """
    try:
        spent = race(found.session, test, timer)
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions have no common root
        return replace(found, refusal=f"it stopped: {first_line(error)}")
    slow = f"it is slower than the CPU: {spent:.1f} ms against {cpu_ms:.1f} ms"
    return replace(found, refusal=slow if spent > cpu_ms else None, milliseconds=spent)


def race(session: Any, test: SelfTest, timer: Callable[[], float]) -> float:  # noqa: ANN401
    """Return the milliseconds of the fastest lap, after one that warms up."""
    view = selftest.enlarged(test, *RACE_PX)
    _maps(session, view)
    laps = []
    for _ in range(_LAPS):
        start = timer()
        _maps(session, view)
        laps.append(1e3 * (timer() - start))
    return min(laps)


def parts_of(session: Any) -> Counter[str]:  # noqa: ANN401
    """Return how many operations of the model each provider took; empty where it is not told."""
    parts: Counter[str] = Counter()
    if hasattr(session, "get_provider_graph_assignment_info"):  # newer versions of ONNX Runtime
        for part in session.get_provider_graph_assignment_info():
            parts[part.ep_name] += len(part.get_nodes())
    return parts


def first_line(error: Exception) -> str:
    """Return the first line of what an error says, without the place in ONNX Runtime's source."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return _SOURCE_PLACE.sub("", line) or line


def _maps(session: Any, test: SelfTest) -> Maps:  # noqa: ANN401
    names = selftest.outputs_of(anomaly=len(test.expected) > len(OUTPUTS))
    maps: Maps = session.run(names, {"detail": test.detail, "overview": test.overview})
    return maps
