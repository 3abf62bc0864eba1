"""Claims about packages: what goes in comes out, and nothing else is let in."""

from __future__ import annotations

import json
import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nii.errors import NiiError
from nii.exchange import package as subject
from nii.exchange.package import Limits, portable_names, read_package, write_package
from nii.inspection import Inspection
from nii.provenance import sha256_of_bytes

PNG = b"\x89PNG\r\n\x1a\n and the rest of a picture"
Members = dict[str, bytes]
InspectionOf = Callable[..., Inspection]


@pytest.fixture
def written(tmp_path: Path, scan_files: tuple[Path, ...], inspection_of: InspectionOf) -> Path:
    """Give a good package."""
    path = tmp_path / "good.nii.zip"
    write_package(path, scan_files, inspection_of(scan_files), PNG)
    return path


def test_round_trip(
    tmp_path: Path, written: Path, scan_files: tuple[Path, ...], inspection_of: InspectionOf
) -> None:
    """Scan files, inspection and picture come out as they went in."""
    package = read_package(written, tmp_path / "out")
    assert [file.read_bytes() for file in package.scan_files] == [
        file.read_bytes() for file in scan_files
    ]
    assert [file.name for file in package.scan_files] == ["high.dcs", "low.dcs"]
    assert package.inspection == inspection_of(scan_files)
    assert package.overlay.read_bytes() == PNG
    assert package.manifest.scan_sha256 == package.inspection.scan.sha256


def test_same_content_gives_same_bytes(
    tmp_path: Path, written: Path, scan_files: tuple[Path, ...], inspection_of: InspectionOf
) -> None:
    """A package holds no time of its own: written again later, it is the same file."""
    for file in scan_files:
        os.utime(file, (0, 1_000_000_000))
    again = tmp_path / "again.nii.zip"
    write_package(again, scan_files, inspection_of(scan_files), PNG)
    assert again.read_bytes() == written.read_bytes()


def test_an_interrupted_write_leaves_nothing(
    tmp_path: Path,
    scan_files: tuple[Path, ...],
    inspection_of: InspectionOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When the disk fails half way, no file is there under any name."""

    def fail(*_: object) -> None:
        raise OSError("disk full")

    folder = tmp_path / "outbox"
    folder.mkdir()
    monkeypatch.setattr(shutil, "copyfileobj", fail)
    with pytest.raises(OSError, match="disk full"):
        write_package(folder / "a.nii.zip", scan_files, inspection_of(scan_files), PNG)
    assert list(folder.iterdir()) == []


def test_other_files_than_inspected_are_refused(
    tmp_path: Path, scan_files: tuple[Path, ...], inspection_of: InspectionOf
) -> None:
    """An inspection never travels with a scan that it is not about."""
    inspection = inspection_of(scan_files)
    scan_files[0].write_bytes(b"changed")
    with pytest.raises(NiiError):
        write_package(tmp_path / "a.nii.zip", scan_files, inspection, PNG)


@pytest.mark.slow
@given(st.data())
def test_every_flipped_byte_is_found_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, package_bytes: bytes, data: st.DataObject
) -> None:
    """After one byte is changed, reading is refused or gives the same content."""
    folder = tmp_path_factory.mktemp("flip")
    place = data.draw(st.integers(0, len(package_bytes) - 1))
    value = data.draw(st.integers(1, 255))
    (folder / "good.zip").write_bytes(package_bytes)
    good = read_package(folder / "good.zip", folder / "good")
    damaged = bytearray(package_bytes)
    damaged[place] ^= value
    (folder / "bad.zip").write_bytes(bytes(damaged))
    try:
        bad = read_package(folder / "bad.zip", folder / "bad")
    except NiiError:
        assert not (folder / "bad").exists()
    else:
        assert _content(bad.folder) == _content(good.folder)


@pytest.fixture
def package_bytes(written: Path) -> bytes:
    """Give the bytes of a good package."""
    return written.read_bytes()


def test_a_cut_package_is_refused(tmp_path: Path, package_bytes: bytes) -> None:
    """A package that stops early is damaged, wherever it stops."""
    path = tmp_path / "cut.zip"
    for length in range(0, len(package_bytes), 997):
        path.write_bytes(package_bytes[:length])
        with pytest.raises(NiiError, match="ask its sender"):
            read_package(path, tmp_path / "out")


def _manifest(members: Members, change: Callable[[dict[str, Any]], None]) -> Members:
    manifest = json.loads(members["manifest.json"])
    change(manifest)
    return members | {"manifest.json": json.dumps(manifest).encode()}


def _listed(members: Members, name: str, content: bytes) -> Members:
    entry = {"name": name, "bytes": len(content), "sha256": sha256_of_bytes(content)}
    kept = {key: value for key, value in members.items() if key != name} | {name: content}

    def change(manifest: dict[str, Any]) -> None:
        others = [member for member in manifest["members"] if member["name"] != name]
        manifest["members"] = [*others, entry]

    return _manifest(kept, change)


ATTACKS: dict[str, Callable[[Members], Members]] = {
    "unlisted member": lambda m: m | {"extra.txt": b"x"},
    "unlisted scan file": lambda m: m | {"scan/extra.dcs": b"x"},
    "listed unknown member": lambda m: _listed(m, "extra.txt", b"x"),
    "missing member": lambda m: {k: v for k, v in m.items() if k != "overlay.png"},
    "no scan": lambda m: {k: v for k, v in m.items() if not k.startswith("scan/")},
    "no manifest": lambda m: {k: v for k, v in m.items() if k != "manifest.json"},
    "path upwards": lambda m: _listed(m, "scan/../../evil.dcs", b"x"),
    "only upwards": lambda m: _listed(m, "scan/..", b"x"),
    "subfolder": lambda m: _listed(m, "scan/a/b.dcs", b"x"),
    "absolute path": lambda m: _listed(m, "/evil.dcs", b"x"),
    "absolute in scan": lambda m: _listed(m, "scan//evil.dcs", b"x"),
    "backslash": lambda m: _listed(m, "scan/..\\evil.dcs", b"x"),
    "drive": lambda m: _listed(m, "scan/c:evil.dcs", b"x"),
    "device": lambda m: _listed(m, "scan/NUL.dcs", b"x"),
    "line feed": lambda m: _listed(m, "scan/a\nb.dcs", b"x"),
    "long name": lambda m: _listed(m, f"scan/{'x' * 300}", b"x"),
    "empty name": lambda m: _listed(m, "scan/", b""),
    "same name but for case": lambda m: _listed(m, "scan/HIGH.dcs", b"x"),
    "other scan": lambda m: _listed(m, "scan/high.dcs", b"other"),
    "altered scan": lambda m: m | {"scan/high.dcs": b"x" * len(m["scan/high.dcs"])},
    "longer scan": lambda m: m | {"scan/high.dcs": m["scan/high.dcs"] + b"x"},
    "no picture": lambda m: _listed(m, "overlay.png", b"<html>"),
    "inspection no JSON": lambda m: _listed(m, "inspection.json", b"{"),
    "inspection no object": lambda m: _listed(m, "inspection.json", b"[]"),
    "inspection nested": lambda m: _listed(m, "inspection.json", b"[" * 100_000),
    "inspection not finite": lambda m: _listed(
        m, "inspection.json", m["inspection.json"].replace(b"0.91", b"NaN")
    ),
    "inspection key twice": lambda m: _listed(
        m, "inspection.json", m["inspection.json"].replace(b"{", b'{"level":"clear",', 1)
    ),
    "inspection of later version": lambda m: _listed(
        m,
        "inspection.json",
        m["inspection.json"].replace(b'"schema_version": 1', b'"schema_version": 2'),
    ),
    "manifest of later version": lambda m: _manifest(m, lambda d: d.update(schema_version=2)),
    "manifest with unknown key": lambda m: _manifest(m, lambda d: d.update(extra=1)),
    "manifest about another scan": lambda m: _manifest(m, lambda d: d.update(scan_sha256="0" * 64)),
    "manifest with odd members": lambda m: _manifest(m, lambda d: d.update(members=[1])),
    "manifest in no UTF-8": lambda m: m | {"manifest.json": b"\xff"},
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_packages_are_refused(tmp_path: Path, written: Path, attack: str) -> None:
    """Every departure from the form is refused with a remedy, and nothing is laid out anywhere."""
    path = tmp_path / "hostile.zip"
    _pack(path, ATTACKS[attack](_members(written)))
    before = set(tmp_path.rglob("*"))
    with pytest.raises(NiiError, match="ask its sender"):
        read_package(path, tmp_path / "out")
    assert set(tmp_path.rglob("*")) == before


def test_the_packer_of_these_tests_is_no_reason(tmp_path: Path, written: Path) -> None:
    """A good package that was taken apart and packed again is read."""
    path = tmp_path / "again.zip"
    _pack(path, _listed(_members(written), "overlay.png", PNG))
    assert read_package(path, tmp_path / "out").scan_files


@pytest.mark.parametrize("kind", ["packed", "link", "twice", "locked"])
def test_odd_zip_entries_are_refused(tmp_path: Path, written: Path, kind: str) -> None:
    """Compressed, linked, doubled and encrypted members are refused before they are read."""
    path = tmp_path / "odd.zip"
    members = _members(written)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            entry = subject.entry_of(name)
            if name == "overlay.png" and kind == "packed":
                entry.compress_type = zipfile.ZIP_DEFLATED
            if name == "overlay.png" and kind == "link":
                entry.external_attr = 0o120777 << 16
            archive.writestr(entry, content)
        if kind == "twice":
            with pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr(subject.entry_of("overlay.png"), PNG)
    if kind == "locked":
        _lock(path)
    with pytest.raises(NiiError, match="ask its sender"):
        read_package(path, tmp_path / "out")


@pytest.mark.parametrize(
    "limits", [Limits(package_bytes=100), Limits(text_bytes=10), Limits(members=3)]
)
def test_limits_hold(tmp_path: Path, written: Path, limits: Limits) -> None:
    """A package above any limit is refused."""
    with pytest.raises(NiiError, match="at most"):
        read_package(written, tmp_path / "out", limits)


def test_nothing_is_overwritten(tmp_path: Path, written: Path) -> None:
    """A folder that is there already is left alone."""
    (tmp_path / "out").mkdir()
    with pytest.raises(NiiError, match="new folder"):
        read_package(written, tmp_path / "out")


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_portable_names_are_accepted_and_differ(names: list[str]) -> None:
    """Whatever files are called, their names in a package are accepted and all different."""
    portable = portable_names(names)
    assert len({name.casefold() for name in portable}) == len(names)
    for name in portable:
        subject._check_name(Path("package"), name)
        assert portable_names([name]) == (name,)


def _members(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _pack(path: Path, members: Members) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(subject.entry_of(name), content)


def _lock(path: Path) -> None:
    """Set the flag of encryption in the central directory."""
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\x01\x02")
    struct.pack_into("<H", data, place + 8, 1)
    path.write_bytes(bytes(data))


def _content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
