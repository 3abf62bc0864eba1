"""Claims about the original files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nii.errors import NiiError
from nii.provenance import sha256_of_file
from nii.store import scans
from nii.store.database import Store
from nii.store.inspections import Filed


def test_kept_files_are_the_originals(store: Store, tmp_path: Path) -> None:
    """Kept files hold the same bytes, lie under their digest and cannot be written to."""
    high, low = tmp_path / "high.tif", tmp_path / "low.tif"
    high.write_bytes(b"high" * 1000)
    low.write_bytes(b"low")
    kept = scans.keep(store, [high, low])
    assert [file.name for file in kept.files] == ["high.tif", "low.tif"]
    for file, path in zip(kept.files, (high, low), strict=True):
        place = scans.path_of(store, file.sha256)
        assert place.relative_to(store.files).parts[:2] == (file.sha256[:2], file.sha256[2:4])
        assert place.read_bytes() == path.read_bytes()
        assert file.bytes == path.stat().st_size
        assert not place.stat().st_mode & 0o222


def test_same_content_is_the_same_scan(store: Store, tmp_path: Path) -> None:
    """The same content under another name is the same scan, kept in one file."""
    for name in ("a.tif", "b.tif"):
        (tmp_path / name).write_bytes(b"scan")
    first, second = (scans.keep(store, [tmp_path / name]) for name in ("a.tif", "b.tif"))
    assert first.sha256 == second.sha256
    assert len([path for path in store.files.rglob("*") if path.is_file()]) == 1


def test_a_damaged_file_is_reported(store: Store, tmp_path: Path) -> None:
    """A kept file that was altered is neither accepted nor overwritten."""
    original = tmp_path / "a.tif"
    original.write_bytes(b"scan")
    kept = scans.keep(store, [original])
    place = scans.path_of(store, kept.files[0].sha256)
    place.chmod(0o644)
    place.write_bytes(b"spoilt")
    with pytest.raises(NiiError, match="backup"):
        scans.keep(store, [original])
    with pytest.raises(NiiError, match="backup"), scans.original_files(store, kept):
        pass
    assert place.read_bytes() == b"spoilt"


def test_an_interrupted_copy_leaves_nothing(store: Store, tmp_path: Path) -> None:
    """A file that cannot be read leaves no half copy behind."""
    with pytest.raises(OSError, match="missing"):
        scans.keep(store, [tmp_path / "missing.tif"])
    assert [path for path in store.files.rglob("*") if path.is_file()] == []


def test_names_within_a_scan_differ(store: Store, tmp_path: Path) -> None:
    """Two files of one name cannot be told apart later, so they are refused."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.tif").write_text(folder)
    with pytest.raises(NiiError, match="different names"):
        scans.keep(store, [tmp_path / "a" / "x.tif", tmp_path / "b" / "x.tif"])


def test_originals_come_back_under_their_names(
    store: Store, file_scan: Callable[..., Filed]
) -> None:
    """A registered scan is given back with its names and its content."""
    kept = scans.get(store, file_scan("content").scan_sha256)
    assert kept is not None
    with scans.original_files(store, kept) as paths:
        assert [path.name for path in paths] == ["truck.tif"]
        assert sha256_of_file(paths[0]) == kept.sha256
    assert not paths[0].exists()
    assert scans.get(store, "0" * 64) is None
