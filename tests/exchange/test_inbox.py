"""Claims about the inbox: finished scans come out, once, and nothing is touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nii.errors import ConfigError
from nii.exchange.inbox import UNFINISHED, Arrival, Inbox

HEAD = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give an empty inbox."""
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


def names(arrivals: tuple[Arrival, ...]) -> list[str]:
    """Return the names of the files of all arrivals."""
    return [path.name for arrival in arrivals for path in arrival.paths]


def test_finished_after_two_looks(folder: Path) -> None:
    """A file that is unchanged over two looks is finished; one that grows is not."""
    inbox = Inbox(folder)
    (folder / "a.png").write_bytes(HEAD)
    assert inbox.look() == ()
    (folder / "a.png").write_bytes(HEAD + b"more")
    assert inbox.look() == ()
    assert names(inbox.look()) == ["a.png"]


def test_finished_by_rename(folder: Path) -> None:
    """Where programs rename, a file with its final name is finished at the first look."""
    inbox = Inbox(folder, "rename")
    for suffix in UNFINISHED:
        (folder / f"a.png{suffix}").write_bytes(HEAD)
    (folder / ".hidden.png").write_bytes(HEAD)
    assert inbox.look() == ()
    (folder / "a.png.part").rename(folder / "a.png")
    assert names(inbox.look()) == ["a.png"]


def test_settled_until_it_changes(folder: Path) -> None:
    """A scan comes again and again until it is settled, and again when it has changed."""
    inbox = Inbox(folder, "rename")
    (folder / "a.png").write_bytes(HEAD)
    for _ in range(2):
        (arrival,) = inbox.look()
    inbox.settle(arrival)
    assert inbox.look() == ()
    (folder / "b.png").write_bytes(HEAD)
    assert names(inbox.look()) == ["b.png"]
    os.utime(folder / "a.png", (0, 0))
    assert names(inbox.look()) == ["a.png", "b.png"]


def test_subfolders_and_links(folder: Path, tmp_path: Path) -> None:
    """Subfolders are searched; links are passed over, because they could point anywhere."""
    (folder / "lane 1").mkdir()
    (folder / "lane 1" / "a.png").write_bytes(HEAD)
    (tmp_path / "secret.png").write_bytes(HEAD)
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    assert names(Inbox(folder, "rename").look()) == ["a.png"]


def test_the_order_is_that_of_the_paths(folder: Path) -> None:
    """Scans come in the order of their paths, whenever they were written."""
    for name in ("c", "a", "b"):
        (folder / f"{name}.png").write_bytes(HEAD)
    assert names(Inbox(folder, "rename").look()) == ["a.png", "b.png", "c.png"]


def test_a_missing_folder_is_reported(folder: Path) -> None:
    """An inbox that is not there is an error, not an empty inbox."""
    with pytest.raises(ConfigError, match="Make it"):
        Inbox(folder / "missing").look()


def test_nothing_is_touched(folder: Path) -> None:
    """Looking and settling leave the folder as it was."""
    (folder / "a.png").write_bytes(HEAD)
    before = (folder / "a.png").stat()
    inbox = Inbox(folder, "rename")
    for arrival in inbox.look():
        inbox.settle(arrival)
    after = (folder / "a.png").stat()
    assert [path.name for path in folder.iterdir()] == ["a.png"]
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)
