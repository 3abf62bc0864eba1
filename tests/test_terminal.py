"""The terminal: what is shown there does nothing to it, and a signal ends a wait."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from nii import terminal


def test_control_characters_are_shown_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    """A hostile file name neither colours nor clears the screen; other letters stay."""
    terminal.say("a\x1b[31m\u202e\N{SNOWMAN}\nb")
    assert terminal.complain("c\rd", 2) == 2
    shown = capsys.readouterr()
    assert shown.out == "a\\x1b[31m\\u202e\N{SNOWMAN}\nb\n"
    assert shown.err == "nii: c\\rd\n"


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Quiet prints no line, and without a terminal there is no bar."""
    terminal.say("x", quiet=True)
    with terminal.progress("working") as advance:
        advance(1, 2, "half")
    shown = capsys.readouterr()
    assert shown.out == shown.err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_signal_sets_the_event_and_is_given_back() -> None:
    """SIGTERM asks to stop once, and afterwards means what it meant before."""
    before = signal.getsignal(signal.SIGTERM)
    with terminal.stop_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(5)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_signal_inside_the_lock_of_the_event_does_not_block() -> None:
    """A handler that strikes while the main thread holds the event's lock does not wait for it."""
    with terminal.stop_signals() as stop:
        with vars(stop)["_cond"]:  # the moment inside Event.wait that a signal seldom hits
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(5)


def test_long_work_tells_a_log_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal a line comes every half minute, and none of what is done sooner."""
    now = [0.0]
    with terminal.progress("adapting", clock=lambda: now[0]) as advance:
        for done in range(1, 11):
            now[0] += 20.0
            advance(done, 10, "loss 1.5")
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "adapting: 2 of 10, about 3 min left loss 1.5"
    assert len(said) == 5
    with terminal.progress("adapting", clock=lambda: now[0]) as advance:
        for done in (50, 100, 1, 2, 3):
            now[0] += 40.0
            advance(done, 100, "")
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == "adapting: 3 of 100, about 65 min left", "the second part has its own pace"
    with terminal.progress("adapting", quiet=True, clock=lambda: now[0]) as advance:
        now[0] += 100.0
        advance(1, 10, "")
    assert capsys.readouterr().err == ""
