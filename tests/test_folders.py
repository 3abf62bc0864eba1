"""Folders of the user, and files that are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from nii.errors import ConfigError
from nii.folders import cache_folder, claim, trust_folder, write_whole


@pytest.mark.parametrize(
    ("system", "environment", "trust", "cache"),
    [
        ("linux", {}, ".config/nii/trust", ".cache/nii"),
        ("linux", {"XDG_CONFIG_HOME": "/c", "XDG_CACHE_HOME": "/k"}, "/c/nii/trust", "/k/nii"),
        ("win32", {"APPDATA": "/r", "LOCALAPPDATA": "/l"}, "/r/nii/trust", "/l/nii"),
        ("darwin", {}, "Library/Application Support/nii/trust", "Library/Caches/nii"),
        ("linux", {"NII_TRUST": "/t", "NII_CACHE": "/n"}, "/t", "/n"),
    ],
)
def test_folders_are_those_of_the_system(
    system: str, environment: dict[str, str], trust: str, cache: str
) -> None:
    """Each system has its own place, and a variable goes before it."""
    assert trust_folder(environment, system) == Path.home() / trust
    assert cache_folder(environment, system) == Path.home() / cache


def test_a_file_that_cannot_be_finished_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk fails in the middle, the older content stays and nothing lies beside it."""
    path = tmp_path / "versions.json"
    write_whole(path, b"old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["versions.json"]


def test_a_folder_is_for_one_set_of_settings(tmp_path: Path) -> None:
    """The same settings go on in it; a changed, a new and a missing one are named."""
    path = tmp_path / "new" / "settings.json"
    claim(path, {"seed": 3, "mix": (1, 2)}, "scans", "Choose another.")
    claim(path, {"mix": (1, 2), "seed": 3}, "scans", "Choose another.")
    with pytest.raises(ConfigError, match=r"scans made with other settings \(load, mix, seed\)"):
        claim(path, {"mix": (1, 3), "load": 1}, "scans", "Choose another.")
    assert "3" in path.read_text("utf-8")
