"""Bytes come from disk whole and go to disk whole."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path

import pytest

from nii.errors import ScanFormatError
from nii.formats.files import decoding, load, load_head, save, single
from nii.formats.limits import Limits


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """Saving replaces an older file and leaves nothing else behind."""
    path = tmp_path / "scan.png"
    save(path, b"old")
    save(path, b"new bytes")
    assert load(path, Limits()) == b"new bytes"
    assert load_head(path, 3) == b"new"
    assert [file.name for file in tmp_path.iterdir()] == ["scan.png"]


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk refuses, the old content stays and the temporary file goes."""
    path = tmp_path / "scan.png"
    save(path, b"old")

    def fail(_descriptor: int) -> None:
        raise OSError

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=r"^$"):
        save(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["scan.png"]


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A folder, a pipe (which would block) and a missing file raise the error of the package."""
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    for path in (tmp_path, pipe, tmp_path / "missing.png"):
        with pytest.raises(ScanFormatError):
            load(path, Limits())
        with pytest.raises(ScanFormatError):
            load_head(path, 4)


def test_a_large_file_is_not_loaded(tmp_path: Path) -> None:
    """A sparse file of a terabyte is refused by its size."""
    path = tmp_path / "huge.tif"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(ScanFormatError, match="at most"):
        load(path, Limits())


def test_single_wants_one_path() -> None:
    """Formats of one file refuse none and two."""
    assert single((Path("a"),)) == Path("a")
    for paths in ((), (Path("a"), Path("b"))):
        with pytest.raises(ScanFormatError, match=f"{len(paths)} files"):
            single(paths)


def test_errors_of_libraries_are_translated(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a library raises, warns or logs, the caller sees one error that names the file."""

    def fail() -> None:
        with decoding(Path("truck.dcs"), "elements"):
            warnings.warn("noise", UserWarning, stacklevel=1)
            logging.getLogger("pydicom").warning("noise")
            msg = "deep"
            raise RecursionError(msg)

    with pytest.raises(ScanFormatError, match=r"truck\.dcs.*RecursionError: deep") as caught:
        fail()
    assert isinstance(caught.value.__cause__, RecursionError)
    assert capsys.readouterr().err == ""
