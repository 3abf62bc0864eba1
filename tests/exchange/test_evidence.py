"""Tests of writing an evidence package."""

from __future__ import annotations

import json
import shutil
import subprocess
import tracemalloc
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nii import dsse
from nii.errors import NiiError
from nii.exchange import evidence, evidence_check, evidence_records, feedback
from nii.exchange.evidence import Exporter
from nii.provenance import sha256_of_bytes
from nii.store import audit, scans
from nii.store.database import open_folder, open_store

if TYPE_CHECKING:
    from nii.store.inspections import Filed
    from tests.exchange.conftest import Desk

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
WHO = Exporter("C. Prosecutor", reason="case 7")


def members_of(path: Path) -> dict[str, bytes]:
    """Return the members of a package by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def busy(desk: Desk) -> Filed:
    """Give an inspection that was decided on, marked and examined, among others."""
    desk.decide(desk.scan())
    filed = desk.scan("MSKU 1234565 север.tif")
    desk.document(filed, "container", "MSKU1234565")
    desk.mark(filed, "confirmed", 1)
    drawn = desk.mark(filed, "drawn", class_name="firearm", box_xyxy="[5.0, 5.0, 25.0, 20.0]")
    desk.decide(desk.scan())
    desk.mark(filed, "withdrawn", withdraws=drawn)
    desk.decide(filed, reason="<script>alert(1)</script> 毒品")
    desk.examine(filed, found=True, class_name="firearm", quantity="2 pieces")
    return filed


def test_originals_are_unchanged(desk: Desk, busy: Filed, tmp_path: Path) -> None:
    """The files of the scanner lie in the package byte for byte, under their names."""
    path = tmp_path / "a.zip"
    evidence.export(desk.store, busy.id, path, WHO, NOON)
    originals = {n: c for n, c in members_of(path).items() if n.startswith("original/")}
    kept = scans.of(desk.store, busy.scan_sha256).files
    assert [sha256_of_bytes(content) for content in originals.values()] == [f.sha256 for f in kept]
    assert list(originals) == ["original/MSKU 1234565 север.tif"]


def test_everything_about_the_scan_and_nothing_else(
    desk: Desk, busy: Filed, tmp_path: Path
) -> None:
    """All records of this scan are in the package, and none of another one."""
    path = tmp_path / "a.zip"
    evidence.export(desk.store, busy.id, path, WHO, NOON)
    members = members_of(path)
    records = json.loads(members["records.json"])
    assert {name: len(rows) for name, rows in records.items()} == {
        "decisions": 1,
        "marks": 3,
        "outcomes": 1,
        "documents": 2,
    }
    events = json.loads(members["log.json"])["events"]
    assert {event["inspection_id"] for event in events} == {busy.id}
    kinds = [
        "inspected",
        "linked",
        "linked",
        "marked",
        "marked",
        "marked",
        "decided",
        "examined",
        "exported",
    ]
    assert [event["kind"] for event in events] == kinds
    assert (
        sha256_of_bytes(members[f"inspections/{busy.id}.json"])
        == json.loads(events[0]["payload"])["document_sha256"]
    )


@pytest.mark.slow
def test_both_databases_give_evidence_and_feedback(
    database: str | Path, desk: Desk, tmp_path: Path
) -> None:
    """On SQLite and on PostgreSQL the package is intact, fits the log, and the set is exported."""
    store = open_store(database, tmp_path / "files")
    desk = replace(desk, store=store)
    filed = desk.scan()
    desk.mark(filed, "confirmed", 1)
    desk.decide(filed)
    desk.examine(filed, found=True, class_name="firearm")
    path = tmp_path / "a.zip"
    evidence.export(store, filed.id, path, WHO, NOON)
    assert evidence_check.check(path).faults == ()
    assert evidence_check.against_store(path, store) == ()
    assert feedback.export(store, tmp_path / "out", NOON).positives == {"firearm": 1}
    store.close()


def test_the_export_is_an_event_before_the_package_is_there(
    desk: Desk, busy: Filed, tmp_path: Path
) -> None:
    """Who exported what and why stands in the log, also where writing the package fails."""
    before = audit.head(desk.store).number
    with pytest.raises(OSError, match="no-such-folder"):
        evidence.export(desk.store, busy.id, tmp_path / "no-such-folder" / "a.zip", WHO, NOON)
    assert audit.head(desk.store).number == before + 1
    path = tmp_path / "a.zip"
    manifest = evidence.export(desk.store, busy.id, path, WHO, NOON)
    last = json.loads(members_of(path)["log.json"])["events"][-1]
    payload = json.loads(last["payload"])
    assert (payload["by"], payload["reason"], last["kind"]) == (WHO.name, "case 7", "exported")
    assert manifest.head.number == last["number"]
    assert audit.verify(desk.store).intact


def test_same_records_give_the_same_bytes(desk: Desk, busy: Filed, tmp_path: Path) -> None:
    """A copy of the store gives the same package at the same time."""
    twin = tmp_path / "twin"
    shutil.copytree(desk.store.files.parent, twin)
    evidence.export(desk.store, busy.id, tmp_path / "a.zip", WHO, NOON)
    copied = open_folder(twin)
    evidence.export(copied, busy.id, tmp_path / "b.zip", WHO, NOON)
    copied.close()
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_the_report_escapes_and_loads_nothing(desk: Desk, busy: Filed, tmp_path: Path) -> None:
    """Texts of officers are text in the report, in every script, and it asks for no other file."""
    path = tmp_path / "a.zip"
    evidence.export(desk.store, busy.id, path, WHO, NOON)
    page = members_of(path)["report.html"].decode()
    assert "&lt;script&gt;" in page
    assert "毒品" in page
    assert "MSKU 1234565 север.tif" in page
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert not [part for part in ("http://", "https://", 'src="/', "href=") if part in page]


def test_unsigned_is_said_in_large_letters(desk: Desk, busy: Filed, tmp_path: Path) -> None:
    """Without a key the package says UNSIGNED in its report and in its README."""
    path = tmp_path / "a.zip"
    evidence.export(desk.store, busy.id, path, WHO, NOON)
    members = members_of(path)
    assert b'class="unsigned">UNSIGNED' in members["report.html"]
    assert b"UNSIGNED" in members["README.txt"]
    key = dsse.new_key()
    evidence.export(desk.store, busy.id, path, WHO, NOON, key)
    members = members_of(path)
    assert not [name for name, content in members.items() if b"UNSIGNED" in content]
    assert evidence_check.check(path, [key.public_key()]).signed


def test_anyone_can_check_the_digests(desk: Desk, busy: Filed, tmp_path: Path) -> None:
    """After unpacking, sha256sum finds every file as listed."""
    if shutil.which("sha256sum") is None:
        pytest.skip("sha256sum is not installed")
    path = tmp_path / "a.zip"
    evidence.export(desk.store, busy.id, path, WHO, NOON)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "open")
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    answer = subprocess.run(command, cwd=tmp_path / "open", capture_output=True, check=False)  # noqa: S603
    assert answer.returncode == 0, answer.stderr


@pytest.mark.slow
def test_an_altered_original_gives_no_package(desk: Desk, busy: Filed, tmp_path: Path) -> None:
    """Where a kept file was changed, nothing is handed out as evidence."""
    kept = scans.path_of(desk.store, scans.of(desk.store, busy.scan_sha256).files[0].sha256)
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1
    kept.chmod(0o644)
    kept.write_bytes(content)
    with pytest.raises(NiiError, match="unchanged"):
        evidence.export(desk.store, busy.id, tmp_path / "a.zip", WHO, NOON)
    assert not list(tmp_path.glob("*.zip"))


@pytest.mark.parametrize("name", ["", "  ", "a\x1b[2J"])
def test_an_exporter_has_a_name(desk: Desk, busy: Filed, tmp_path: Path, name: str) -> None:
    """Nobody exports evidence without a name that can be read."""
    with pytest.raises(NiiError, match="name that can be read"):
        evidence.export(desk.store, busy.id, tmp_path / "a.zip", Exporter(name), NOON)


def test_an_unknown_inspection_is_refused(desk: Desk, tmp_path: Path) -> None:
    """There is no package of nothing."""
    with pytest.raises(NiiError, match="no such inspection"):
        evidence.export(desk.store, 7, tmp_path / "a.zip", WHO, NOON)


@pytest.mark.slow
def test_copying_does_not_fill_the_memory(
    desk: Desk, busy: Filed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An original of 64 MB is copied with a few MB of memory; its picture is another matter."""
    kept = scans.of(desk.store, busy.scan_sha256)
    large = tmp_path / "large.bin"
    with large.open("wb") as stream:
        for _ in range(64):
            stream.write(bytes(1 << 20))
    heavy = scans.keep(desk.store, [large]).files[0]

    def light(*_: object) -> tuple[dict[str, bytes], bytes]:
        return {}, b""

    monkeypatch.setattr(evidence, "_pictures", light)
    dossier = evidence_records.gather(desk.store, [busy.id], kept.sha256)
    heavier = replace(dossier, scan=replace(kept, files=(heavy,)))
    monkeypatch.setattr(evidence, "gather", lambda *_: heavier)
    tracemalloc.start()
    evidence.export(desk.store, busy.id, tmp_path / "a.zip", WHO, NOON)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "a.zip").stat().st_size > 64 << 20
    assert peak < 16 << 20
