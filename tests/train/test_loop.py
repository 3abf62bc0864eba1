"""The loop: it resumes exactly, stops when asked, and gives up only when it must."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs torch, which is not installed")

from nii.errors import ConfigError, NiiError
from nii.train import loop
from nii.train.checkpoint import BEST, LAST, load
from nii.train.config import TrainConfig
from nii.train.loop import METRICS_FILE, MOST_BAD_STEPS, Progress, train
from nii.train.run import Run
from nii.train.validate import validate


def _until(step: int, act: Callable[[], None]) -> Callable[[Progress], None]:
    def look(progress: Progress) -> None:
        if progress.step == step:
            act()

    return look


def _interrupt() -> None:
    raise KeyboardInterrupt


def _terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.slow
def test_a_finished_run_leaves_checkpoints_and_a_record(finished_run: Path) -> None:
    """Both checkpoints are there, and every line of the record is JSON with its event."""
    assert load(finished_run / LAST).meta.step == 4
    assert load(finished_run / BEST).meta.thresholds
    lines = _lines(finished_run)
    assert [line["event"] for line in lines] == ["start", *["step"] * 4, "validation", "finished"]
    assert lines[0]["compute"]
    assert {"total", "threat_heat"} <= lines[1]["loss"].keys()


_KILLED = """
import importlib.util, os, signal, sys
from pathlib import Path

spec = importlib.util.spec_from_file_location("tiny", sys.argv[1])
tiny = sys.modules["tiny"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tiny)

from nii.train.config import ModelConfig
from nii.train.loop import train


def kill(progress):
    if progress.step == 3:
        os.kill(os.getpid(), signal.SIGKILL)


with tiny.tiny_scans():
    model = ModelConfig(sys.argv[3], width=4, depth=1, overview_width=4, anomaly=True)
    config = tiny.tiny_config(Path(sys.argv[2]), model=model, checkpoint_every_minutes=1e-9)
    train(config, on_progress=kill)
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_end(
    config: TrainConfig, finished_run: Path, kind: str
) -> None:
    """After kill −9 in the third step, metrics and weights are those of a run never disturbed."""
    conftest = Path(__file__).with_name("conftest.py")
    command = [sys.executable, "-c", _KILLED, str(conftest), str(config.folder), kind]
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, check=False)  # noqa: S603 - our own program
    assert done.returncode == -signal.SIGKILL
    assert load(config.folder).meta.step == 2
    config = replace(config, model=load(finished_run).meta.config.model)
    result = train(config, resume=True)
    before, after = load(finished_run), load(config.folder)
    assert result.step == 4
    assert after.meta.metrics == before.meta.metrics
    for name, part in before.average.items():
        assert torch.equal(part, after.average[name]), name


@pytest.mark.slow
def test_validations_that_bring_nothing_end_a_run(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a patience of two, the third validation without a better one never comes."""
    asked: list[int] = []

    def same(*given: Any) -> Any:  # noqa: ANN401
        asked.append(1)
        return replace(validate(*given), selection=0.5)

    monkeypatch.setattr(loop, "validate", same)
    config = replace(config, epochs=50, validate_every=1, patience=2, validation_scans=1)
    result = train(config)
    assert result.status == "finished"
    assert len(asked) == 3  # the best one, and two that were no better
    assert load(config.folder).meta.stale == 2
    assert train(config, resume=True).step == result.step


@pytest.mark.slow
@pytest.mark.parametrize("stop_at", [2, 3])
def test_a_resumed_run_equals_one_that_was_not_stopped(
    config: TrainConfig, finished_run: Path, stop_at: int
) -> None:
    """Stopping at an epoch's end or within one and going on gives the same losses and weights."""
    config = replace(config, model=load(finished_run).meta.config.model)
    first = train(config, on_progress=_until(stop_at, _interrupt))
    assert (first.status, first.step) == ("interrupted", stop_at)
    second = train(config, resume=True)
    assert (second.status, second.step) == ("finished", 4)
    whole, parts = (_losses(folder) for folder in (finished_run, config.folder))
    assert parts == pytest.approx(whole, abs=1e-6)
    expected, found = (load(folder / LAST).average for folder in (finished_run, config.folder))
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_sigterm_ends_a_run_in_order(config: TrainConfig) -> None:
    """The step is completed, a checkpoint is written, and the old handler is back."""
    before = signal.getsignal(signal.SIGTERM)
    result = train(config, on_progress=_until(1, _terminate))
    assert (result.status, result.step) == ("interrupted", 1)
    assert load(config.folder).meta.step == 1
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.slow
def test_a_loss_that_stays_without_a_number_ends_the_run(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After twenty such steps in a row the error says what to try."""
    monkeypatch.setattr(Run, "learn", lambda *_: None)
    with pytest.raises(NiiError, match=f"{MOST_BAD_STEPS} steps in a row"):
        train(replace(config, epochs=99))


@pytest.mark.slow
def test_a_few_such_steps_are_skipped_and_counted(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on and reports how many there were."""
    real, calls = Run.learn, iter([False, True, True, True])
    monkeypatch.setattr(Run, "learn", lambda *args: real(*args) if next(calls) else None)
    result = train(config)
    assert (result.status, result.skipped_steps, result.step) == ("finished", 1, 3)


@pytest.mark.slow
def test_time_ends_a_run_too(config: TrainConfig) -> None:
    """With a clock that runs 20 s a look, a minute is over after a few steps."""
    now = iter(range(0, 10_000, 20))
    config = replace(config, epochs=None, max_minutes=1.0)
    result = train(config, clock=lambda: float(next(now)))
    assert result.status == "finished"
    assert result.elapsed_s >= 60
    assert 1 <= result.step <= 3


def test_a_run_is_never_overwritten(finished_run: Path, config: TrainConfig) -> None:
    """Starting where a run is, and resuming where none is, are errors with the way out."""
    with pytest.raises(ConfigError, match="Resume it"):
        train(replace(config, out=finished_run))
    with pytest.raises(ConfigError, match="a run to resume"):
        train(config, resume=True)


@pytest.mark.slow
def test_other_settings_cannot_be_resumed(finished_run: Path, config: TrainConfig) -> None:
    """The error names the setting."""
    with pytest.raises(ConfigError, match="batch_scans"):
        train(replace(config, out=finished_run, batch_scans=1), resume=True)


def test_the_first_request_to_stop_is_collected_and_the_second_acts() -> None:
    """Who presses Ctrl-C twice does not wait for the step."""
    with loop.stop_requests() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop == ["SIGINT"]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.slow
def test_workers_prepare_the_same_batches(config: TrainConfig, finished_run: Path) -> None:
    """A run with a worker process has the losses of one without."""
    config = replace(config, workers=1, model=load(finished_run).meta.config.model)
    train(config, on_progress=_until(2, _interrupt))
    assert _losses(config.folder) == pytest.approx(_losses(finished_run)[:2], abs=1e-6)


def _losses(folder: Path) -> list[float]:
    return [line["loss"]["total"] for line in _lines(folder) if line["event"] == "step"]


def _lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / METRICS_FILE).read_text("utf-8").splitlines()]
