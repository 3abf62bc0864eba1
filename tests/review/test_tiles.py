"""Claims about tiles and the facts that they are read by."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount
from starlette.testclient import TestClient

from nii import formats
from nii.review import pyramid, tiles
from nii.review.pyramid import Level
from nii.review.tiles import APRON_PX, FORM, TILE_PX, Tiles
from nii.scan import Scan
from nii.store import scans
from nii.store.database import Store
from nii.store.inspections import Filed

NEAR, FAR = ("127.0.0.1", 5000), ("192.0.2.7", 5000)


@pytest.fixture
def held(store: Store, tmp_path: Path) -> Iterator[Tiles]:
    """Give tiles over the store of the test."""
    opened = Tiles(store, tmp_path / "pyramids")
    yield opened
    opened.close()


def client_of(
    held: Tiles,
    peer: tuple[str, int] = NEAR,
    allow: Callable[[Request, str], bool] = lambda _request, _sha256: True,
) -> TestClient:
    """Return a client of the routes alone."""
    app = Starlette(routes=[Mount("/api/scans", routes=tiles.routes(allow))])
    app.state.tiles = held
    return TestClient(app, client=peer, raise_server_exceptions=False)


@pytest.fixture
def keep(store: Store, tmp_path: Path, file_scan: Callable[..., Filed]) -> Callable[..., str]:
    """Give a function that keeps a scan of levels (energy, height, width): its digest."""
    filed = file_scan()

    def file(levels: np.ndarray, name: str = "scan.tif") -> str:
        numbers = np.divide(levels, np.float32(65535), dtype=np.float32)
        ends = (9.0, 6.0)[: len(levels)]
        scan = Scan(numbers, endpoint_mev=ends, pixel_pitch_mm=(4.0, 4.0))
        kept = scans.keep(store, formats.write(scan, tmp_path / name))
        with store.write() as connection:
            scans.register(connection, kept, filed.filed_at)
        return kept.sha256

    return file


@pytest.fixture
def scan_levels(rng: np.random.Generator) -> np.ndarray:
    """Give levels of two energies of a scan that is three tiles wide and two high."""
    return rng.integers(1, 65536, (2, 600, 1100), dtype=np.uint16)


def assembled(client: TestClient, facts: dict[str, object], level: int) -> np.ndarray:
    """Return a level put together from its tiles: picture (mean, least), height, width, energy."""
    sizes = facts["levels"]
    assert isinstance(sizes, list)
    width, height = sizes[level]
    energies = facts["energies"]
    assert isinstance(energies, int)
    whole = np.zeros((2 if level else 1, height, width, energies), np.uint16)
    for row in range(-(-height // TILE_PX)):
        for column in range(-(-width // TILE_PX)):
            answer = client.get(f"{facts['tiles']}/{level}/{column}/{row}")
            assert answer.status_code == 200
            rows = min(TILE_PX, height - row * TILE_PX)
            columns = min(TILE_PX, width - column * TILE_PX)
            shape = (len(whole), rows + 2 * APRON_PX, columns + 2 * APRON_PX, energies)
            part = np.frombuffer(answer.content, "<u2").reshape(shape)
            inner = part[:, APRON_PX:-APRON_PX, APRON_PX:-APRON_PX]
            top, left = row * TILE_PX, column * TILE_PX
            whole[:, top : top + rows, left : left + columns] = inner
    return whole


@pytest.mark.slow
@pytest.mark.parametrize("energies", [1, 2])
def test_tiles_make_up_the_scan(
    held: Tiles, keep: Callable[..., str], scan_levels: np.ndarray, energies: int
) -> None:
    """Put together, the tiles of full size are the scan, and those below the pyramid's levels."""
    sha256 = keep(scan_levels[:energies])
    client = client_of(held)
    facts = client.get(f"/api/scans/{sha256}/viewer.json").json()
    assert facts["energies"] == energies
    whole = assembled(client, facts, 0)
    np.testing.assert_array_equal(whole[0].transpose(2, 0, 1), scan_levels[:energies])
    made = held.pyramid(sha256)
    assert made is not None
    for level in range(1, len(made.levels)):
        both = assembled(client, facts, level).transpose(0, 3, 1, 2)
        np.testing.assert_array_equal(both[0], made.levels[level].mean)
        np.testing.assert_array_equal(both[1], made.levels[level].least)


def test_the_apron_is_what_lies_beside(scan_levels: np.ndarray) -> None:
    """Two pixels around a tile are its neighbours, or the repeated border of the scan."""
    planes = tuple(scan_levels)
    padded = np.pad(scan_levels, ((0, 0), (2, 2), (2, 2)), mode="edge")
    for column, row in ((0, 0), (1, 0), (2, 1)):
        tile = np.frombuffer(tiles.cut(Level(planes, planes), column, row), "<u2")
        part = padded[:, row * 512 : row * 512 + 516, column * 512 : column * 512 + 516]
        np.testing.assert_array_equal(tile, part.transpose(1, 2, 0).ravel())


@pytest.mark.slow
def test_tiles_are_packed_for_the_network_only(
    held: Tiles, keep: Callable[..., str], scan_levels: np.ndarray
) -> None:
    """Zstandard is sent to another machine that accepts it, never on this one."""
    address = f"/api/scans/{keep(scan_levels)}/tiles/{FORM}/0/0/0"
    accept = {"Accept-Encoding": "gzip, zstd"}
    near = client_of(held).get(address, headers=accept)
    assert "content-encoding" not in near.headers
    with client_of(held, FAR).stream("GET", address, headers=accept) as far:
        packed = b"".join(far.iter_raw())
        assert far.headers["content-encoding"] == "zstd"
        assert far.headers["etag"] != near.headers["etag"]
    assert zstandard.ZstdDecompressor().decompress(packed) == near.content
    for refused in ("gzip", "zstd;q=0, gzip", ""):
        plain = client_of(held, FAR).get(address, headers={"Accept-Encoding": refused})
        assert "content-encoding" not in plain.headers
        assert plain.content == near.content
        assert plain.headers["vary"] == "Accept-Encoding"


@pytest.mark.slow
def test_browsers_keep_tiles(
    held: Tiles, keep: Callable[..., str], scan_levels: np.ndarray
) -> None:
    """A tile may be kept for ever under its address; asked again by its tag, nothing is sent."""
    sha256 = keep(scan_levels)
    client = client_of(held)
    for path in (f"tiles/{FORM}/1/0/0", f"materials/{FORM}", "viewer.json"):
        first = client.get(f"/api/scans/{sha256}/{path}")
        assert first.status_code == 200
        again = client.get(
            f"/api/scans/{sha256}/{path}", headers={"If-None-Match": first.headers["etag"]}
        )
        assert (again.status_code, again.content) == (304, b"")
    assert (
        "immutable"
        in client.get(f"/api/scans/{sha256}/tiles/{FORM}/1/0/0").headers["cache-control"]
    )


@pytest.mark.slow
def test_what_is_not_there_is_404(
    held: Tiles, keep: Callable[..., str], scan_levels: np.ndarray
) -> None:
    """Unknown scans, levels, places, forms and hostile numbers are 404; none reaches a file."""
    sha256 = keep(scan_levels)
    client = client_of(held)
    good = f"/api/scans/{sha256}/tiles/{FORM}"
    assert client.get(f"{good}/0/2/1").status_code == 200
    bad = ["0/3/0", "0/0/2", "9/0/0", "-1/0/0", "0/x/0", "0/0/٣", "0/999999999999/0", "0/0/1e0"]
    paths = [f"{good}/{part}" for part in bad]
    paths += [f"/api/scans/{sha256}/tiles/0.0/0/0/0", f"/api/scans/{sha256}/materials/0.0"]
    for other in ("0" * 64, sha256.upper(), sha256[:-1], "..%2f..", "x" * 64):
        paths += [f"/api/scans/{other}/viewer.json", f"/api/scans/{other}/tiles/{FORM}/0/0/0"]
    assert {client.get(path).status_code for path in paths} == {404}


@pytest.mark.slow
def test_who_may_not_see_a_scan_finds_none(
    held: Tiles, keep: Callable[..., str], scan_levels: np.ndarray
) -> None:
    """The app's own rule is asked for every address, before anything is made."""
    sha256 = keep(scan_levels)
    asked = []

    def nobody(request: Request, scan: str) -> bool:
        asked.append((request.url.path, scan))
        return False

    client = client_of(held, allow=nobody)
    for path in ("viewer.json", f"materials/{FORM}", f"tiles/{FORM}/0/0/0"):
        assert client.get(f"/api/scans/{sha256}/{path}").status_code == 404
    assert [scan for _, scan in asked] == [sha256] * 3
    assert not held.folder.exists()


@pytest.mark.slow
def test_a_pyramid_is_made_once(
    held: Tiles,
    keep: Callable[..., str],
    scan_levels: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A new program finds the pyramid on the disk and needs no original file for it."""
    sha256 = keep(scan_levels)
    first = held.pyramid(sha256)
    held.close()
    monkeypatch.delattr(formats, "read_stored")
    monkeypatch.delattr(formats, "read")
    assert held.pyramid(sha256) is not None
    later = Tiles(held.store, held.folder)
    again = later.pyramid(sha256)
    assert first is not None
    assert again is not None
    assert again.facts == first.facts
    assert later.pyramid("0" * 64) is None
    later.close()


@pytest.mark.slow
def test_a_scan_is_prepared_while_nobody_waits(
    held: Tiles,
    keep: Callable[..., str],
    scan_levels: np.ndarray,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is looked at next lies on the disk beforehand; an unreadable scan stops nothing."""
    monkeypatch.setattr(tiles, "_CALM_S", 0.1)
    spoilt, good = keep(scan_levels[:, :200]), keep(scan_levels, "good.tif")
    for path in held.store.files.rglob("*"):
        if path.is_file() and path.stat().st_size < 1_000_000:
            path.write_bytes(b"no scan")
    held.prepare(spoilt)
    held.prepare(good)
    wait_for((held.folder / f"{good}.{pyramid.FORM}.pyramid").is_file)
    assert "not made ahead" in caplog.text
    with monkeypatch.context() as patched:
        patched.delattr(formats, "read_stored")
        patched.delattr(formats, "read")
        assert held.pyramid(good) is not None
    held.close()
    held.prepare(spoilt)


@pytest.mark.slow
def test_what_is_asked_for_again_waits_once(
    held: Tiles, keep: Callable[..., str], scan_levels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty officers who look at one queue make one piece of work of a scan, and none once done."""
    good, started = keep(scan_levels, "good.tif"), list[Any]()
    submit = held._writer.submit

    def begin(*work: Any) -> object:  # noqa: ANN401
        started.append(work)
        return submit(*work)

    monkeypatch.setattr(held._writer, "submit", begin)
    held._asked = time.monotonic()
    for _ in range(50):
        held.prepare(good)
    assert len(started) == 1
    wait_for((held.folder / f"{good}.{pyramid.FORM}.pyramid").is_file)
    started.clear()
    held.prepare(good)
    assert not started


@pytest.mark.slow
def test_what_can_wait_waits_for_calm(
    held: Tiles,
    keep: Callable[..., str],
    scan_levels: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is written or made ahead while tiles are asked for, but for at most a while."""
    monkeypatch.setattr(tiles, "_CALM_S", 0.4)
    monkeypatch.setattr(tiles, "_LONGEST_S", 1.2)
    sha256 = keep(scan_levels)
    began = time.monotonic()
    while not list(held.folder.glob("*.pyramid")):
        assert held.pyramid(sha256) is not None
        time.sleep(0.02)
        assert time.monotonic() < began + 30
    assert time.monotonic() >= began + 1.2


@pytest.mark.slow
def test_many_who_look_at_many_scans_fill_no_memory(
    held: Tiles, keep: Callable[..., str], scan_levels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scans that are asked for in turn without a pause are built once each, and soon written."""
    built, build = list[object](), pyramid.build

    def note(scan: Scan) -> pyramid.Pyramid:
        built.append(scan)
        return build(scan)

    monkeypatch.setattr(pyramid, "build", note)
    monkeypatch.setattr(tiles, "_HELD", 1)
    several = [keep(scan_levels + np.uint16(k), f"{k}.tif") for k in range(8)]
    began, most = time.monotonic(), 0
    while len(list(held.folder.glob("*.pyramid"))) < len(several) - tiles._PENDING:
        for sha256 in several:
            assert held.pyramid(sha256) is not None
            most = max(most, len(held._pending))
        assert time.monotonic() < began + tiles._LONGEST_S  # else each would have waited so long
    assert len(built) == len(several)
    assert most <= len(several)
    wait_for(lambda: not held._pending)


def wait_for(done: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
def test_the_folder_stays_within_its_bound(
    held: Tiles, keep: Callable[..., str], scan_levels: np.ndarray
) -> None:
    """When there is no room for one more, the pyramid not asked for longest goes."""
    held.most_bytes = 10_000_000  # one takes 4.4 MB
    names = [keep(scan_levels + step, f"{step}.tif") for step in range(3)]
    for name in names:
        held.pyramid(name)
    held.close()
    files = {path.name[:64] for path in held.folder.iterdir()}
    assert files == set(names[1:])
    assert sum(path.stat().st_size for path in held.folder.iterdir()) <= held.most_bytes


@pytest.mark.slow
def test_a_full_disk_costs_no_picture(
    held: Tiles,
    keep: Callable[..., str],
    scan_levels: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a pyramid cannot be kept, the scan is shown all the same."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pyramid, "write", full)
    sha256 = keep(scan_levels)
    client = client_of(held)
    assert client.get(f"/api/scans/{sha256}/tiles/{FORM}/0/0/0").status_code == 200
    held.close()
    assert client.get(f"/api/scans/{sha256}/tiles/{FORM}/0/1/0").status_code == 200
    assert not list(held.folder.glob("*.pyramid"))


@pytest.mark.slow
def test_materials_need_two_known_energies(
    held: Tiles, keep: Callable[..., str], scan_levels: np.ndarray
) -> None:
    """A scan of one energy offers no table of materials, and says so in its facts."""
    client = client_of(held)
    both, one = keep(scan_levels), keep(scan_levels[:1], "one.tif")
    facts = client.get(f"/api/scans/{both}/viewer.json").json()
    table = client.get(facts["materials"]).content
    rows, columns, *_ = np.frombuffer(table[:20], "<f4")
    assert len(table) == 20 + 2 * 4 * int(rows) * int(columns)
    assert client.get(f"/api/scans/{one}/viewer.json").json()["materials"] is None
    assert client.get(f"/api/scans/{one}/materials/{FORM}").status_code == 404
