"""The training loop, told in order; the state that changes is in :mod:`nii.train.run`."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any, Literal

from nii.errors import ConfigError, NiiError
from nii.train.board import Board, board, show
from nii.train.checkpoint import BEST, LAST
from nii.train.config import TrainConfig, require_files
from nii.train.device import choose
from nii.train.feed import clear_worker_errors, feed
from nii.train.run import Run, learning_rate, progress_share, reached_limit
from nii.train.together import Group, joined
from nii.train.validate import validate

METRICS_FILE = "metrics.jsonl"
MOST_BAD_STEPS = 20
"""Steps in a row without a finite loss after which training gives up: assumption."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """Report the state of a run after a step.

    Attributes:
        share: 0 at the start, 1 when the first limit is reached.
        epoch: epochs completed.
        step: steps of the optimiser.
        loss: parts of the loss and their sum, ``total``.
        learning_rate: of this step.
        scans_per_s: over this call of :func:`train`.
        elapsed_s: all parts of the run together.
        left_s: estimate of the time left.
        metrics: of the latest validation; empty before the first.
        compute: what the run computes on and why, in words.
    """

    share: float
    epoch: int
    step: int
    loss: dict[str, float]
    learning_rate: float
    scans_per_s: float
    elapsed_s: float
    left_s: float
    metrics: dict[str, Any]
    compute: str


@dataclass(frozen=True, slots=True)
class TrainResult:
    """Say how a run ended.

    Attributes:
        status: ``finished``: a limit was reached; ``interrupted``: someone asked to stop.
        folder: where the checkpoints and ``metrics.jsonl`` are.
        step: steps of the optimiser.
        elapsed_s: all parts of the run together.
        skipped_steps: steps of this call whose loss was not finite.
        metrics: of the latest validation; empty where there was none.
        compute: what the run computed on and why, in words.
    """

    status: Literal["finished", "interrupted"]
    folder: Path
    step: int
    elapsed_s: float
    skipped_steps: int
    metrics: dict[str, Any]
    compute: str


def _silent(_: Progress) -> None:
    """Report nothing."""


def train(
    config: TrainConfig,
    *,
    resume: bool = False,
    on_progress: Callable[[Progress], None] = _silent,
    clock: Callable[[], float] = time.monotonic,
) -> TrainResult:
    """Train until a limit is reached or someone asks to stop (Ctrl-C, SIGTERM).

    Either way ``last.pt`` can be resumed and exported. ``best.pt`` is the checkpoint of the best
    validation. Started by torchrun, it trains together with the other processes, of which the first
    validates, writes and reports.

    Args:
        config: what to train.
        resume: go on from ``last.pt`` in the folder of the run.
        on_progress: called after every step.
        clock: seconds that only rise.

    Raises:
        ConfigError: there is a run already, or none to resume, or it had other settings.
        NiiError: the loss stays without a finite value, or a worker died.
        MissingExtraError: TensorBoard is wanted and not installed.
    """
    require_files(config)
    with joined(config.device) as group:
        return _train(config, group, on_progress, clock, resume=resume)


def _train(  # noqa: C901, PLR0915 - the story of a run, told in order
    config: TrainConfig,
    group: Group,
    on_progress: Callable[[Progress], None],
    clock: Callable[[], float],
    *,
    resume: bool,
) -> TrainResult:
    folder = config.folder
    _require_folder(folder, resume=resume)
    compute = choose(config, group.local_rank)
    _LOG.info("training %s on %s", config.name, compute.reason)
    run = Run(config, compute, group)
    if resume:
        run.restore(folder / LAST)
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / METRICS_FILE if group.first else Path(os.devnull)
    started, spent = clock(), run.elapsed_s
    saved, steps, bad, skipped, asked = started, 0, 0, 0, 0.0
    with (
        record.open("a", encoding="utf-8") as log,
        board(folder, wanted=config.tensorboard and group.first) as curves,
        # Twice: the news of a dead worker may come while a first error is being turned.
        clear_worker_errors(config.workers),
        clear_worker_errors(config.workers),
        stop_requests() as stop,
        closing(feed(config, run, group)) as batches,
    ):
        begun = {"step": run.step, "resumed": resume, "compute": compute.reason}
        _write(log, "start", begun | {"processes": group.count})
        for batch, batches_per_epoch in batches:
            share = progress_share(config, run, batches_per_epoch)
            rate = learning_rate(config, run.step, share)
            loss = run.learn(batch.to(compute.device), rate)
            run.advance(batches_per_epoch)
            # Clocks and requests to stop differ between processes; what follows must not.
            (run.elapsed_s,) = group.agree([spent + clock() - started], compute.device)
            ended = reached_limit(config, run)

            if loss is None:
                bad, skipped = bad + 1, skipped + 1
                _require_few(bad, folder, run.step)
            else:
                bad, steps = 0, steps + 1
                share = max(progress_share(config, run, batches_per_epoch), 1e-9)
                progress = Progress(
                    share=share,
                    epoch=run.epoch,
                    step=run.step,
                    loss=loss,
                    learning_rate=rate,
                    scans_per_s=steps * config.batch_scans / max(clock() - started, 1e-9),
                    elapsed_s=run.elapsed_s,
                    left_s=run.elapsed_s * (1 - share) / share,
                    metrics=run.metrics,
                    compute=compute.reason,
                )
                if run.step % config.log_every == 0:
                    _write(log, "step", asdict(progress))
                    show(curves, {"learning_rate": rate, **loss}, run.step)
                if group.first:
                    on_progress(progress)

            (asked,) = group.agree([float(bool(stop))], compute.device)
            whole_epochs = run.batch == 0 and run.epoch % config.validate_every == 0
            if not asked and (ended or whole_epochs):
                if group.first:
                    _measure(run, config, log, curves)
                    run.elapsed_s = spent + clock() - started
                    run.save(folder, LAST)
                    saved = clock()
                run.stale = int(group.agree([float(run.stale)], compute.device)[0])
                ended = ended or reached_limit(config, run)
            elif group.first and clock() - saved >= 60 * config.checkpoint_every_minutes:
                run.save(folder, LAST)
                saved = clock()
            if asked or ended:
                break
    status: Literal["finished", "interrupted"] = "interrupted" if asked or stop else "finished"
    if group.first:
        run.save(folder, LAST)
        with record.open("a", encoding="utf-8") as log:
            end = {"step": run.step, "elapsed_s": run.elapsed_s, "skipped": skipped}
            _write(log, status, end)
    return TrainResult(
        status, folder, run.step, run.elapsed_s, skipped, run.metrics, compute.reason
    )


@contextmanager
def stop_requests() -> Iterator[list[str]]:
    """Collect the wish to stop, by Ctrl-C or SIGTERM, instead of dying from it.

    The list stays empty until someone asks. A second request is not collected: it acts at once.
    Outside the main thread Python delivers no signals, and only KeyboardInterrupt is collected.
    """
    asked: list[str] = []
    main = threading.current_thread() is threading.main_thread()
    watched = (signal.SIGINT, signal.SIGTERM) if main else ()

    def ask(number: int, _: FrameType | None) -> None:
        asked.append(signal.Signals(number).name)
        signal.signal(number, signal.default_int_handler)

    before = {number: signal.signal(number, ask) for number in watched}
    try:
        yield asked
    except KeyboardInterrupt:
        asked.append("KeyboardInterrupt")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _require_folder(folder: Path, *, resume: bool) -> None:
    there = (folder / LAST).is_file()
    if there and not resume:
        raise ConfigError(
            folder,
            found="a run",
            expected="a new folder",
            remedy="Resume it, choose another name, or delete the folder.",
        )
    if resume and not there:
        raise ConfigError(
            folder,
            found=f"no {LAST}",
            expected="a run to resume",
            remedy="Start it without resuming, or check the name.",
        )


def _measure(run: Run, config: TrainConfig, log: IO[str], curves: Board | None) -> None:
    """Validate, write down what was found, and keep the network where it is the best so far."""
    checked = validate(run.average, config)
    _write(log, "validation", {"step": run.step, "metrics": checked.metrics})
    show(curves, checked.metrics, run.step)
    if run.note(checked):
        run.save(config.folder, BEST)


def _require_few(bad: int, folder: Path, step: int) -> None:
    _LOG.warning("skipped a step after step %d: its loss is not finite", step)
    if bad < MOST_BAD_STEPS:
        return
    raise NiiError(
        "training",
        found=f"{MOST_BAD_STEPS} steps in a row without a finite loss after step {step}",
        expected="a loss that is a number",
        remedy=f"Lower the learning rate or set amp = 'off', and resume from {folder / LAST}; "
        "if it happens at the first step, look at the scans.",
    )


def _write(log: IO[str], event: str, content: dict[str, Any]) -> None:
    log.write(json.dumps({"event": event, **content}) + "\n")
    log.flush()
