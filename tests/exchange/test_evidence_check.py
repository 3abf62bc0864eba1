"""Tests of checking an evidence package: whatever is changed is found."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from nii import dsse
from nii.exchange import evidence, evidence_check
from nii.exchange.evidence import Exporter
from nii.exchange.evidence_check import chain_faults, check, event_digest, record_faults
from nii.exchange.package import entry_of
from nii.provenance import sha256_of_bytes
from nii.store import tables
from nii.store.database import open_folder

if TYPE_CHECKING:
    from tests.exchange.conftest import Desk

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
WHO = Exporter("C. Prosecutor")
KEY = dsse.new_key()
TRUSTED = (KEY.public_key(),)


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, desk_of: Callable[[Path, int], Desk]
) -> Iterator[tuple[Path, Desk]]:
    """Give the signed package of a scan with some history, events of others in between."""
    folder = tmp_path_factory.mktemp("evidence")
    desk = desk_of(folder, 5)
    filed, other = desk.scan(), desk.scan()
    desk.document(filed, "plate", "01KG777ABC")
    for _ in range(3):
        desk.mark(filed, "confirmed", 1)
        desk.decide(other)
        desk.decide(filed)
        desk.decide(filed)
    desk.examine(filed, found=False)
    path = folder / "a.evidence.zip"
    evidence.export(desk.store, filed.id, path, WHO, NOON, KEY)
    yield path, desk
    desk.store.close()


@pytest.fixture
def package(made: tuple[Path, Desk], tmp_path: Path) -> Path:
    """Give a copy of the package."""
    return Path(shutil.copy(made[0], tmp_path / "a.evidence.zip"))


@pytest.fixture
def desk(made: tuple[Path, Desk]) -> Desk:
    """Give the desk that the package comes from."""
    return made[1]


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Write a package whose members were changed by someone who makes all digests fit again."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members.pop("manifest.json.sig", None)
    manifest = json.loads(members.pop("manifest.json"))
    members.pop("SHA256SUMS")
    change(members)
    listed = [
        {"name": name, "bytes": len(content), "sha256": sha256_of_bytes(content)}
        for name, content in members.items()
    ]
    sums = "".join(f"{row['sha256']}  {row['name']}\n" for row in listed).encode()
    members["SHA256SUMS"] = sums
    listed.append({"name": "SHA256SUMS", "bytes": len(sums), "sha256": sha256_of_bytes(sums)})
    manifest |= {"members": listed, "signer": None}
    members["manifest.json"] = evidence.as_json(manifest)
    forged = path.with_name("forged.zip")
    with zipfile.ZipFile(forged, "w") as archive:
        for name, content in members.items():
            archive.writestr(entry_of(name), content)
    return forged


def test_a_fresh_package_is_intact_and_signed(package: Path, desk: Desk) -> None:
    """Nothing is wrong with what was just written, by itself and against its store."""
    report = check(package, TRUSTED)
    assert report.faults == ()
    assert report.signed
    assert evidence_check.against_store(package, desk.store) == ()


@pytest.mark.slow
def test_every_changed_byte_is_found(package: Path) -> None:
    """Whichever byte of the file is changed, within members or between them, the check fails."""
    whole = package.read_bytes()
    places = [*range(400), *range(len(whole) - 3000, len(whole)), *range(0, len(whole), 997)]
    victim = package.with_name("victim.zip")
    missed = []
    for place in sorted(set(places))[::41]:
        broken = bytearray(whole)
        broken[place] ^= 0x20
        victim.write_bytes(broken)
        if check(victim, TRUSTED).intact:
            missed.append(place)
    assert not missed


@pytest.mark.slow
@settings(max_examples=40)
@given(data=st.data())
def test_every_flipped_bit_is_found(package: Path, data: st.DataObject) -> None:
    """The same for any single bit."""
    whole = bytearray(package.read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= 1 << data.draw(st.integers(0, 7))
    victim = package.with_name("victim.zip")
    victim.write_bytes(whole)
    assert not check(victim, TRUSTED).intact


@pytest.mark.parametrize("cut", [1, 100, 5000])
def test_cut_or_lengthened_files_are_found(package: Path, cut: int) -> None:
    """A package that lost its end, or has something behind it, is not intact."""
    whole = package.read_bytes()
    package.write_bytes(whole[:-cut])
    assert not check(package, TRUSTED).intact
    package.write_bytes(whole + b"\0" * cut)
    assert not check(package, TRUSTED).intact


def test_a_signature_of_someone_else_is_not_trusted(package: Path) -> None:
    """An intact package by an unknown key says so in capitals, and counts as unsigned."""
    report = check(package, [dsse.new_key().public_key()])
    assert report.intact
    assert not report.signed
    assert report.signer.startswith("SIGNED BY A KEY THAT IS NOT TRUSTED HERE")


def test_whoever_makes_it_anew_loses_the_signature(package: Path) -> None:
    """A package built again with fitting digests is intact, and says that nobody vouches for it."""

    def forge(members: dict[str, bytes]) -> None:
        del members["signer.pub"]

    forged = rewritten(package, forge)
    report = check(forged, TRUSTED)
    assert report.faults == ()
    assert (report.signed, report.signer.partition(":")[0]) == (False, "UNSIGNED")


def test_a_changed_record_contradicts_the_log(package: Path) -> None:
    """Even with all digests made to fit, a changed decision differs from its event."""

    def change(members: dict[str, bytes]) -> None:
        records = json.loads(members["records.json"])
        records["decisions"][0]["verdict"] = "release"
        members["records.json"] = evidence.as_json(records)

    assert any("verdict" in fault for fault in check(rewritten(package, change)).faults)


@pytest.mark.parametrize(
    "change",
    [
        lambda events: events.pop(2),
        lambda events: events.insert(1, events.pop(2)),
        lambda events: events[3].update(at="2026-01-02T13:00:00.000000+00:00"),
        lambda events: events[3].update(payload=events[4]["payload"]),
        lambda events: events[1].update(previous_sha256="0" * 64),
        lambda events: events[-1].update(number=events[-1]["number"] + 1),
    ],
)
def test_a_changed_extract_does_not_chain(
    package: Path, change: Callable[[list[dict[str, Any]]], None]
) -> None:
    """An event taken out, moved or altered breaks the chain, with all digests of files fitting."""

    def forge(members: dict[str, bytes]) -> None:
        log = json.loads(members["log.json"])
        change(log["events"])
        members["log.json"] = evidence.as_json(log)

    assert not check(rewritten(package, forge)).intact


@settings(max_examples=40)
@given(order=st.permutations(range(13)))
def test_permuted_events_are_found(package: Path, order: list[int]) -> None:
    """Any other order of the events than their own is a fault."""
    with zipfile.ZipFile(package) as archive:
        log = json.loads(archive.read("log.json"))
    events = log["events"]
    assert len(events) == len(order) + 1
    shuffled = [events[k] for k in order] + events[-1:]
    assert bool(chain_faults(log | {"events": shuffled})) == (shuffled != events)


def test_the_rule_is_the_one_of_the_store(package: Path) -> None:
    """The digest that the package's own rule gives is the one that the store wrote."""
    with zipfile.ZipFile(package) as archive:
        events = json.loads(archive.read("log.json"))["events"]
    assert [event_digest(event) for event in events] == [event["sha256"] for event in events]


def test_a_missing_event_is_found_in_the_store(package: Path, desk: Desk) -> None:
    """What the extract leaves out at the right places is found by the log of the store."""

    def forge(members: dict[str, bytes]) -> None:
        log, records = (json.loads(members[name]) for name in ("log.json", "records.json"))
        gone = log["events"].pop()  # the newest: nothing after it refers to it
        log["neighbours"][str(gone["number"])] = gone["sha256"]
        members["log.json"] = evidence.as_json(log)
        members["records.json"] = evidence.as_json(records)

    forged = rewritten(package, forge)
    assert check(forged).faults == ()
    assert evidence_check.against_store(forged, desk.store)


def test_another_scan_is_found(package: Path, desk: Desk, tmp_path: Path) -> None:
    """The original file of another scan in place of this one is a fault."""
    other = desk.scan()
    evidence.export(desk.store, other.id, tmp_path / "b.zip", WHO, NOON)
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        content = archive.read("original/truck.tif")

    def forge(members: dict[str, bytes]) -> None:
        members["original/truck.tif"] = content

    assert "not the scan" in " ".join(check(rewritten(package, forge)).faults)


def test_records_and_events_belong_together() -> None:
    """A record without event, an event without record, and differing facts are told apart."""
    event = {"kind": "marked", "inspection_id": 1, "payload": '{"id": 1, "mark": "drawn"}'}
    empty: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("decisions", "marks", "outcomes", "documents")
    }
    assert "missing" in record_faults(empty, {}, [event])[0]
    row = {"id": 1, "mark": "drawn"}
    assert record_faults(empty | {"marks": [row]}, {}, [event]) == []
    assert (
        "differ" in record_faults(empty | {"marks": [row | {"mark": "rejected"}]}, {}, [event])[0]
    )
    assert "does not tell" in record_faults(empty | {"marks": [row]}, {}, [])[0]


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_package_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    """Any other file is reported, not crashed upon."""
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    report = check(path)
    assert report.manifest is None
    assert not report.intact


def test_the_head_proves_the_store(package: Path, desk: Desk) -> None:
    """Against a store whose log was cut off before the package, the check fails."""
    shorter = package.with_name("shorter")
    shutil.copytree(desk.store.files.parent, shorter)
    copied = open_folder(shorter)
    with copied.engine.begin() as connection:
        names = connection.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE type='trigger'"
        ).scalars()
        for name in list(names):
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        manifest = check(package).manifest
        assert manifest is not None
        connection.execute(
            sa.delete(tables.events).where(tables.events.c.number >= manifest.head.number)
        )
    assert evidence_check.against_store(package, copied)
    copied.close()
