"""TensorBoard as an option: the same numbers as in ``metrics.jsonl``, as curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Protocol, runtime_checkable

from nii.errors import MissingExtraError

FOLDER = "tensorboard"


@runtime_checkable
class Board(Protocol):
    """What a run writes its numbers to."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Add one point to a curve."""


@contextmanager
def board(folder: Path, *, wanted: bool) -> Iterator[Board | None]:
    """Open the board of a run; None where it is not wanted.

    Raises:
        MissingExtraError: it is wanted, and the package tensorboard is not installed.
    """
    if not wanted:
        yield None
        return
    try:
        writer = import_module("torch.utils.tensorboard").SummaryWriter(str(folder / FOLDER))
    except ModuleNotFoundError as error:
        raise MissingExtraError.of("tensorboard", "TensorBoard") from error
    try:
        yield writer
    finally:
        writer.close()


def show(place: Board | None, numbers: Mapping[str, float | None], step: int) -> None:
    """Add a point to the curve of every number that there is."""
    if place is not None:
        for name, value in numbers.items():
            if value is not None:
                place.add_scalar(name, value, step)
