"""TensorBoard: nothing where it is not wanted, curves where it is, a clear error where it lacks."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from nii.errors import MissingExtraError
from nii.train import board as boards
from nii.train.board import FOLDER, board, show


class _Writer:
    """Keep what is written, as TensorBoard's writer would."""

    def __init__(self, folder: str) -> None:
        self.folder, self.points, self.closed = folder, list[tuple[str, float, int]](), False

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Keep one point."""
        self.points.append((tag, scalar_value, global_step))

    def close(self) -> None:
        """Be closed."""
        self.closed = True


def test_nothing_is_loaded_where_it_is_not_wanted(tmp_path: Path) -> None:
    """No board, no file, and numbers shown on none go nowhere."""
    with board(tmp_path, wanted=False) as place:
        assert place is None
        show(place, {"loss": 1.0}, 1)
    assert not list(tmp_path.iterdir())


def test_numbers_become_points_and_the_board_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not defined gives no point."""
    module = SimpleNamespace(SummaryWriter=_Writer)
    monkeypatch.setattr(boards, "import_module", lambda _name: module)
    with board(tmp_path, wanted=True) as place:
        assert isinstance(place, _Writer)
        show(place, {"loss": 0.5, "ap50": None}, 7)
        assert place.folder == str(tmp_path / FOLDER)
        assert place.points == [("loss", 0.5, 7)]
    assert place.closed


def test_without_the_package_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A board that was asked for is never left out in silence."""

    def absent(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(boards, "import_module", absent)
    with (
        pytest.raises(MissingExtraError, match=r"nii\[tensorboard\]"),
        board(tmp_path, wanted=True),
    ):
        pass


def test_the_real_writer_leaves_a_file(tmp_path: Path) -> None:
    """Where TensorBoard is installed, its own file is there."""
    pytest.importorskip("torch", reason="training needs torch, which is not installed")
    pytest.importorskip("tensorboard", reason="the extra [tensorboard] is not installed")
    importlib.import_module("torch.utils.tensorboard")
    with board(tmp_path, wanted=True) as place:
        show(place, {"loss": 0.5}, 1)
    assert list((tmp_path / FOLDER).glob("events.out.tfevents.*"))
