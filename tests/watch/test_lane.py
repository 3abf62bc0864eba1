"""Claims about a lane: only whole scans come out, with all that belongs to them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from nii import formats
from nii.exchange.inbox import UNFINISHED
from nii.watch.lane import Arrived, Lane, member_of
from nii.watch.settings import LaneSettings, WatchSettings

PNG = b"\x89PNG\r\n\x1a\n"
Arrive = Callable[..., tuple[Path, ...]]


@dataclass
class Timer:
    """A clock that the test moves."""

    now: float = 100.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


@pytest.fixture
def timer() -> Timer:
    """Give a clock that stands still."""
    return Timer()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give an empty folder."""
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def names(found: tuple[Arrived, ...]) -> list[str]:
    """Return the names of all files."""
    return [path.name for arrived in found for path in arrived.paths]


def test_quiet(folder: Path, timer: Timer) -> None:
    """A file comes out once it is unchanged for the whole time; each change starts it anew."""
    lane = Lane(folder, LaneSettings(quiet_s=3.0), timer)
    (folder / "a.png").write_bytes(PNG)
    assert lane.look() == ()
    timer.now += 2
    (folder / "a.png").write_bytes(PNG + b"more")
    assert lane.look() == ()
    timer.now += 2.9
    assert (lane.look(), lane.unfinished) == ((), 1)
    timer.now += 0.1
    assert names(lane.look()) == ["a.png"]
    assert lane.unfinished == 0


def test_wall_clock_does_not_matter(folder: Path, timer: Timer) -> None:
    """Files dated 1970 or 2090 wait as long as all others: only the rising clock counts."""
    lane = Lane(folder, LaneSettings(quiet_s=3.0), timer)
    for name, at in (("old", 0), ("future", 3_786_912_000)):
        (folder / f"{name}.png").write_bytes(PNG)
        os.utime(folder / f"{name}.png", (at, at))
    assert lane.look() == ()
    timer.now += 3
    assert names(lane.look()) == ["future.png", "old.png"]


def test_rename(folder: Path, timer: Timer) -> None:
    """Where programs rename, the final name is enough, and no working name is looked at."""
    lane = Lane(folder, LaneSettings("rename"), timer)
    for suffix in UNFINISHED:
        (folder / f"a.png{suffix}").write_bytes(PNG)
    (folder / ".hidden.png").write_bytes(PNG)
    assert lane.look() == ()
    (folder / "a.png.part").rename(folder / "a.png")
    assert names(lane.look()) == ["a.png"]


@pytest.mark.parametrize("marker", ["a.png.done", "a.done"])
def test_marker(folder: Path, timer: Timer, marker: str) -> None:
    """Where programs leave a marker, a file comes out with it, and the marker is no scan."""
    lane = Lane(folder, LaneSettings("marker"), timer)
    (folder / "a.png").write_bytes(PNG)
    timer.now += 1000
    assert lane.look() == ()
    (folder / marker).touch()
    assert names(lane.look()) == ["a.png"]


def test_an_empty_file_is_expected_to_grow(folder: Path, timer: Timer) -> None:
    """An empty file waits for ten minutes, and then comes out to be told of."""
    lane = Lane(folder, LaneSettings(quiet_s=3.0), timer)
    (folder / "a.png").touch()
    lane.look()
    timer.now += 599
    assert lane.look() == ()
    timer.now += 1
    assert names(lane.look()) == ["a.png"]


def test_same_scans_as_find(settings: WatchSettings, arrive: Arrive, timer: Timer) -> None:
    """A lane sees the scans that `formats.find` sees, grouped alike."""
    arrive("pair.dcs", energies=2)
    arrive("sub folder/pair.dcs", energies=2)
    arrive("single.dcs")
    arrive("ü ñ 货柜.png")
    (settings.lanes[0] / "broken.tif").write_bytes(b"junk")
    (settings.lanes[0] / "notes.txt").write_bytes(b"junk")
    (settings.lanes[0] / "labels.json").write_bytes(b"{}")
    (settings.lanes[0] / "png without ending").write_bytes(PNG)
    found = Lane(settings.lanes[0], LaneSettings("rename"), timer).look()
    assert {one.paths for one in found} == set(formats.find(settings.lanes))
    assert max(len(one.paths) for one in found) == 2


def test_half_a_pair_waits(settings: WatchSettings, arrive: Arrive, timer: Timer) -> None:
    """One energy of two waits for the other as long as told; a single energy does not wait."""
    high, low = arrive("pair.dcs", energies=2)
    single = arrive("single.dcs")
    aside = low.rename(settings.lanes[0].parent / "low.dcs")
    lane = Lane(settings.lanes[0], LaneSettings("rename", pair_wait_s=30.0), timer)
    assert [one.paths for one in lane.look()] == [single]
    timer.now += 29
    aside.rename(low)
    assert {one.paths for one in lane.look()} == {single, (high, low)}
    low.unlink()
    timer.now += 1
    assert {one.paths for one in lane.look()} == {single, (high,)}


def test_settled_until_it_changes(folder: Path, timer: Timer) -> None:
    """A settled file is passed over without being opened; a change brings it back."""
    (folder / "a.png").write_bytes(PNG)
    lane = Lane(folder, LaneSettings("rename"), timer)
    (arrived,) = lane.look()
    settled = dict.fromkeys(arrived.files, arrived.group)
    assert lane.look(settled.get) == ()
    fresh = Lane(folder, LaneSettings("rename"), timer)
    (folder / "a.png").chmod(0)
    assert fresh.look(settled.get) == ()
    os.utime(folder / "a.png", (0, 0))
    assert names(fresh.look(settled.get)) == ["a.png"]


def test_late_half_brings_the_pair_back(
    settings: WatchSettings, arrive: Arrive, timer: Timer
) -> None:
    """When the second energy comes after the first was settled, both come out together."""
    high, low = arrive("pair.dcs", energies=2)
    aside = low.rename(settings.lanes[0].parent / "low.dcs")
    (one,) = Lane(settings.lanes[0], LaneSettings("rename", pair_wait_s=0.0), timer).look()
    settled = {one.files[0]: one.group}
    aside.rename(low)
    (both,) = Lane(settings.lanes[0], LaneSettings("rename"), timer).look(settled.get)
    assert both.paths == (high, low)


def test_sidecars_belong_to_their_scan(
    settings: WatchSettings, arrive: Arrive, timer: Timer
) -> None:
    """A JSON or XML file of the name of a scan comes with it, whatever its case."""
    arrive("truck.dcs", energies=2)
    arrive("van.tiff")
    for name in ("Truck.JSON", "truck.high.xml", "van.tiff.json", "other.json"):
        (settings.lanes[0] / name).write_bytes(b"{}")
    lane = Lane(settings.lanes[0], LaneSettings("rename"), timer)
    found = {one.paths[0].name: {s.path.name for s in one.sidecars} for one in lane.look()}
    assert found == {
        "truck.high.dcs": {"Truck.JSON", "truck.high.xml"},
        "van.tiff": {"van.tiff.json"},
    }


def test_waiting_for_a_sidecar(folder: Path, timer: Timer) -> None:
    """Where sidecars are the rule, a scan waits for its own, but not for ever."""
    (folder / "a.png").write_bytes(PNG)
    (folder / "b.png").write_bytes(PNG)
    (folder / "b.json").write_bytes(b"{}")
    lane = Lane(folder, LaneSettings("rename", sidecar_wait_s=10.0), timer)
    assert names(lane.look()) == ["b.png"]
    timer.now += 10
    assert names(lane.look()) == ["a.png", "b.png"]


def test_a_lost_folder(folder: Path, timer: Timer) -> None:
    """A folder that vanishes is an error and not an empty lane; back again, it goes on."""
    lane = Lane(folder, LaneSettings("rename"), timer)
    (folder / "a.png").write_bytes(PNG)
    before = lane.look()
    away = folder.rename(folder.parent / "away")
    with pytest.raises(FileNotFoundError):
        lane.look()
    away.rename(folder)
    assert lane.look() == before


def test_an_unmounted_share(tmp_path: Path, timer: Timer) -> None:
    """The empty folder that an unmounted share leaves behind is an error, too."""
    shared = Path("/dev/shm")  # noqa: S108 - another disk, nothing is written to it
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    empty = next((path for path in sorted(Path("/sys/kernel").iterdir()) if _is_bare(path)), None)
    if empty is None or empty.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no empty folder on another file system")
    (tmp_path / "share").mkdir()
    (tmp_path / "share" / "a.png").write_bytes(PNG)
    (tmp_path / "in").symlink_to(tmp_path / "share")
    lane = Lane(tmp_path / "in", LaneSettings("rename"), timer)
    assert names(lane.look()) == ["a.png"]
    (tmp_path / "in").unlink()
    (tmp_path / "in").symlink_to(empty)
    with pytest.raises(OSError, match="is the share mounted"):
        lane.look()


def _is_bare(path: Path) -> bool:
    try:
        return path.is_dir() and not any(path.iterdir())
    except OSError:
        return False


def test_links_and_long_names(folder: Path, timer: Timer) -> None:
    """Links are passed over; names of any script and paths beyond 260 characters are not."""
    (folder.parent / "secret.png").write_bytes(PNG)
    (folder / "link.png").symlink_to(folder.parent / "secret.png")
    deep = folder.joinpath(*["ä" * 100] * 3)
    deep.mkdir(parents=True)
    for name in ("tab\tname.png", "货柜 🚢.png", os.fsdecode(b"no utf8 \xff.png")):
        (deep / name).write_bytes(PNG)
    found = Lane(folder, LaneSettings("rename"), timer).look()
    assert len(names(found)) == 3
    assert all(len(str(one.paths[0])) > 300 for one in found)


def test_member_of_a_report(root: Path) -> None:
    """A sample of a dual-energy scan is known as one half of it."""
    assert member_of(root / "data" / "samples" / "reefer.high.dcs").half
