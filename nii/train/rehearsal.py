"""A dress rehearsal: one batch through everything that a run does, timed, before the hours begin.

Data, network, loss, step, validation, checkpoint and export run as they will; only their amounts
differ. What breaks, breaks now, and nothing stays behind.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nii.errors import NiiError
from nii.train.checkpoint import BEST, LAST
from nii.train.config import DataConfig, TrainConfig, require_files
from nii.train.device import choose
from nii.train.export import export
from nii.train.feed import feed
from nii.train.run import Run, learning_rate
from nii.train.validate import validate

_NAME = "rehearsal"


def rehearse(
    config: TrainConfig,
    on_part: Callable[[str], None] = lambda _line: None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[str]:
    """Pass one batch through everything, and return what happened and how long each part took.

    Args:
        config: of the run; its folder is neither read nor written.
        on_part: is told each line as soon as it is known.
        clock: seconds that only rise.

    Raises:
        NiiError: a part fails; the message is that of the run itself.
    """
    require_files(config)
    lines: list[str] = []

    def tell(what: str, since: float) -> float:
        now = clock()
        lines.append(f"{what}: {now - since:.2f} s")
        on_part(lines[-1])
        return now

    with tempfile.TemporaryDirectory() as name:
        small = _small(config, Path(name))
        compute = choose(small)
        start = clock()
        run = Run(small, compute)
        count = sum(one.numel() for one in run.network.parameters())
        start = tell(f"network of {count / 1e6:.2f} million parameters on {compute.reason}", start)
        batches = feed(small, run)
        batch, _ = next(batches)
        batches.close()
        crops, views = len(batch.detail), len(batch.overview)
        start = tell(f"data: {crops} crops of {small.train.crop_px} px, {views} overviews", start)
        loss = run.learn(batch.to(compute.device), learning_rate(small, 0, 0.0))
        if loss is None:
            raise NiiError(
                "rehearsal",
                found="a first loss that is not finite",
                expected="a number",
                remedy="Look at the scans, or set amp = 'off'.",
            )
        start = tell(f"loss and step: {loss['total']:.3f}", start)
        checked = validate(run.average, small)
        run.note(checked)
        start = tell(f"validation of {checked.metrics['scans']:.0f} scan", start)
        size = run.save(small.folder, BEST).stat().st_size
        run.restore(run.save(small.folder, LAST))
        start = tell(f"checkpoint of {size / 1e6:.1f} MB, written and read", start)
        bundle = export(small.folder, Path(name) / "bundle", name=_NAME, scans=1)
        size = bundle.model_path.stat().st_size
        tell(f"export of {size / 1e6:.1f} MB, PyTorch and ONNX agree", start)
    return lines


def _small(config: TrainConfig, folder: Path) -> TrainConfig:
    """Return the settings of one batch and one validation scan."""
    return replace(
        config,
        train=_few(config.train, config.batch_scans),
        validation=_few(config.validation, 1),
        validation_scans=1,
        epochs=1,
        workers=min(config.workers, 1),
        out=folder / "run",
    )


def _few(data: DataConfig, scans: int) -> DataConfig:
    return replace(data, count=min(data.count or scans, scans))
