"""Archive: the same scans are found wherever they lie."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest

from nii import formats
from nii.errors import ScanFormatError
from nii.infer.batch import read_group
from nii.scan import Scan
from nii.score.archive import Place, fetched, find


@pytest.fixture
def remote() -> Iterator[Place]:
    """Return an empty folder in the memory file system of fsspec."""
    place = Place(f"memory://{uuid.uuid4()}")
    filesystem, root = place.open()
    filesystem.makedirs(root)
    yield place
    filesystem.rm(root, recursive=True)


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator, fill: Callable[[Path, int], None]) -> Path:
    """Return a folder with scans of two formats, one of two files, and things that are no scan."""
    fill(tmp_path / "lane 1", 2)
    image = rng.uniform(0.2, 1.0, (2, 40, 60)).astype(np.float32)
    formats.write(Scan(image, endpoint_mev=(9.0, 6.0)), tmp_path / "lane ü" / "truck.dcs")
    (tmp_path / "notes.txt").write_text("no scan")
    (tmp_path / ".hidden.png").write_bytes(b"no scan")
    return tmp_path


@pytest.fixture(autouse=True)
def lanes(tmp_path: Path) -> None:
    """Make the folder that a scan is written to."""
    (tmp_path / "lane ü").mkdir()


def upload(folder: Path, remote: Place) -> None:
    """Copy everything in a folder to remote storage."""
    filesystem, root = remote.open()
    for path in folder.rglob("*"):
        if path.is_file():
            filesystem.pipe_file(f"{root}/{path.relative_to(folder).as_posix()}", path.read_bytes())


def test_both_energies_are_one_scan_everywhere(folder: Path, remote: Place) -> None:
    """A local folder and a copy of it in remote storage hold the same scans in the same order."""
    upload(folder, remote)
    here, there = find(Place(str(folder))), find(remote)
    assert here == there
    assert [len(group) for group in here] == [1, 1, 2]
    assert find(Place(f"file://{folder}")) == here


def test_a_fetched_scan_is_the_scan(folder: Path, remote: Place) -> None:
    """Pixels and identity of a scan do not depend on where it lies; the copy is removed."""
    upload(folder, remote)
    for group in find(remote):
        with fetched(remote, group) as files:
            copy = read_group(files)
            assert all(path.is_file() for path in files)
        assert not any(path.exists() for path in files)
        with fetched(Place(str(folder)), group) as files:
            original = read_group(files)
        assert copy.sha256 == original.sha256
        assert np.array_equal(copy.plane(), original.plane())


@pytest.mark.parametrize("address", ["memory://nowhere", "/no/such/folder"])
def test_a_missing_archive_is_said(address: str) -> None:
    """An archive that is not there is an error and no empty table."""
    with pytest.raises(ScanFormatError, match="no such folder"):
        find(Place(address))


def test_options_reach_the_storage(tmp_path: Path) -> None:
    """Options of a place are those that fsspec gets."""
    place = Place("dir://", (("path", str(tmp_path)), ("target_protocol", "file")))
    filesystem, _ = place.open()
    assert isinstance(filesystem, fsspec.AbstractFileSystem)
    (tmp_path / "a.png").write_bytes(b"")
    assert [name.rpartition("/")[2] for name in filesystem.find("")][:1]
