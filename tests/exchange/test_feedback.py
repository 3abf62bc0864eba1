"""Tests of the feedback export: it can be trained on, tells nothing of persons, and grows."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nii import formats
from nii.annotations.coco import CocoSet, read_coco
from nii.errors import NiiError
from nii.evaluate.data_check import check_splits
from nii.evaluate.data_rows import read_splits
from nii.exchange import feedback
from nii.exchange.feedback import FeedbackSettings
from nii.exchange.feedback_split import Shares
from nii.inspection import Inspection
from nii.provenance import sha256_of_file
from nii.scan import Scan
from nii.store import audit, inspections, scans

if TYPE_CHECKING:
    from nii.store.inspections import Filed
    from tests.exchange.conftest import Desk

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def decided(desk: Desk, name: str = "truck.png", **documents: str) -> Filed:
    """File a scan whose firearm was confirmed and whose brick was rejected."""
    filed = desk.scan(name, lambda one: replace(one, scan=replace(one.scan, container_numbers=())))
    desk.mark(filed, "confirmed", 1, remark="as Ivanov told me")
    desk.mark(filed, "rejected", 2)
    desk.decide(filed)
    for kind, value in documents.items():
        desk.document(filed, kind, value)
    return filed


def sets(out: Path) -> dict[str, CocoSet]:
    """Return the three splits, every digest checked."""
    return {
        split: read_coco(out / f"{split}.json", out, verify=True)
        for split in ("train", "val", "test")
    }


@pytest.mark.slow
def test_the_check_of_labelled_sets_passes(desk: Desk, tmp_path: Path) -> None:
    """What nii data check judges has no fault, over all three splits."""
    for number in range(8):
        decided(desk, container=f"MSKU000000{number}")
    feedback.export(desk.store, tmp_path / "out", NOON)
    report = check_splits(read_splits(tmp_path / "out"))
    assert len(report.splits) == 3
    assert report.findings == ()
    assert sum(split.images for split in report.splits) == 8


@pytest.mark.slow
def test_training_reads_it(desk: Desk, tmp_path: Path) -> None:
    """The reader of nii train gives scans with the confirmed boxes."""
    pytest.importorskip("torch", reason="the extra [train] is not installed")
    from nii.train.config import DataConfig
    from nii.train.dataset import open_source

    for number in range(16):  # the key of a store is drawn, so a few could all be for testing
        decided(desk, container=f"MSKU00000{number:02}0")
    out = tmp_path / "out"
    feedback.export(desk.store, out, NOON)
    source = open_source(DataConfig(source="coco", annotations=out / "train.json"))
    assert len(source) > 0
    scan, truth = source.load(0)
    assert scan.width == 240
    assert truth.boxes_xyxy.tolist() == [[20.0, 10.0, 50.0, 30.0]]


def test_bytes_are_those_of_the_scanner(desk: Desk, tmp_path: Path) -> None:
    """A scan without facts in its file keeps its bytes; truth, hard negatives and digest fit."""
    filed = decided(desk)
    feedback.export(desk.store, tmp_path / "out", NOON, FeedbackSettings(Shares(0.0, 0.0)))
    image = sets(tmp_path / "out")["train"].images[0]
    kept = scans.of(desk.store, filed.scan_sha256).files[0]
    assert sha256_of_file(image.path) == kept.sha256 == image.sha256
    assert image.box_attributes == ({"source": "confirmed", "score": 0.91},)
    assert image.attributes["hard_negatives"] == [
        {"category": "brick", "bbox": [100.0, 5.0, 40.0, 20.0], "source": "rejected", "score": 0.55}
    ]
    assert not image.path.is_symlink()
    assert image.path.stat().st_ino != scans.path_of(desk.store, kept.sha256).stat().st_ino


def test_no_name_and_no_number_leaves_the_store(desk: Desk, tmp_path: Path) -> None:
    """No officer, container, plate, remark or file name stands anywhere in what is written."""
    secrets = ("MSKU1234565", "01KG777ABC", "Officer", "Ivanov", "truck 01KG777ABC", "C-4711")
    image = np.random.default_rng(3).uniform(0.2, 1, (1, 60, 240)).astype(np.float32)
    path = tmp_path / "truck 01KG777ABC.tif"
    formats.write(Scan(image, container_numbers=("MSKU1234565",), scanner="C-4711"), path)
    kept = scans.keep(desk.store, [path])
    example = desk.scan().inspection
    facts = replace(example.scan, sha256=kept.sha256, container_numbers=("MSKU1234565",))
    filed = inspections.add(desk.store, kept, replace(example, scan=facts), NOON)
    desk.document(filed, "container", "MSKU1234565")
    desk.document(filed, "plate", "01KG777ABC")
    desk.mark(filed, "confirmed", 1, remark="as Ivanov told me")
    desk.decide(filed)
    desk.examine(filed, found=True, remark="Ivanov", quantity="of Ivanov")
    out = tmp_path / "out"
    report = feedback.export(desk.store, out, NOON)
    assert report.rewritten == 1
    for file in (file for file in out.rglob("*") if file.is_file()):
        content = file.read_bytes() + file.name.encode()
        assert not [word for word in secrets if word.encode() in content], file
    written = next((out / "images").iterdir())
    before, after = formats.read(path), formats.read(written)
    assert np.abs(before.transmission - after.transmission).max() <= 1 / 65535


@pytest.mark.slow
def test_all_scans_of_one_passage_are_in_one_split(desk: Desk, tmp_path: Path) -> None:
    """Scans tied by container or plate, also through a scan that is not exported, stay together."""
    rows = [
        decided(desk, container=f"MSKU100000{k // 2}", plate=f"KG{(k + 1) // 2}") for k in range(10)
    ]
    alone = desk.scan()
    desk.document(alone, "plate", "KG5")
    desk.document(alone, "plate", "KG99")
    rows.append(decided(desk, plate="KG99"))
    settings = FeedbackSettings(Shares(0.3, 0.3))
    feedback.export(desk.store, tmp_path / "out", NOON, settings)
    found = sets(tmp_path / "out")
    assert sorted(len(one) for one in found.values()) == [0, 0, len(rows)]
    groups = {image.attributes["group"] for one in found.values() for image in one.images}
    assert len(groups) == 1


@pytest.mark.slow
def test_a_second_run_adds_what_is_new_and_nothing_twice(desk: Desk, tmp_path: Path) -> None:
    """Files of the first run are left alone; what was withdrawn since goes out."""
    first = decided(desk)
    mark = desk.mark(desk.scan(), "confirmed", 1)
    out = tmp_path / "out"
    assert feedback.export(desk.store, out, NOON).added == 1
    before = {file: file.stat().st_mtime_ns for file in (out / "images").iterdir()}
    again = feedback.export(desk.store, out, NOON)
    assert (again.added, again.removed) == (0, 0)
    second = decided(desk)
    third = feedback.export(desk.store, out, NOON)
    assert (third.added, sum(third.scans.values())) == (1, 2)
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert mark
    for number in (1, 2):
        desk.mark(first, "withdrawn", withdraws=number)
    last = feedback.export(desk.store, out, NOON)
    assert (last.removed, sum(last.scans.values())) == (1, 1)
    digest = scans.of(desk.store, second.scan_sha256).files[0].sha256
    assert [sha256_of_file(file) for file in (out / "images").iterdir()] == [digest]


@pytest.mark.slow
def test_the_splits_do_not_depend_on_when_a_scan_was_exported(desk: Desk, tmp_path: Path) -> None:
    """One export of all gives the same splits as exports bit by bit, where nothing new is tied."""
    bit_by_bit, at_once = tmp_path / "a", tmp_path / "b"
    settings = FeedbackSettings(Shares(0.3, 0.3))
    for _ in range(5):
        decided(desk)
        feedback.export(desk.store, bit_by_bit, NOON, settings)
    feedback.export(desk.store, at_once, NOON, settings)
    for name in ("train.json", "val.json", "test.json"):
        assert (bit_by_bit / name).read_bytes() == (at_once / name).read_bytes()


def test_tests_and_projected_threats_are_left_out(desk: Desk, tmp_path: Path) -> None:
    """A scan marked as a test, or into which a threat was projected, never trains a model."""
    decided(desk, test="TIP")

    def projected(one: Inspection) -> Inspection:
        steps = ("threat image projection: pistol (firearm) added by counts; box (1, 2, 3, 4)",)
        return replace(one, scan=replace(one.scan, assumptions=steps))

    filed = desk.scan("a.png", projected)
    desk.mark(filed, "confirmed", 1)
    desk.decide(filed)
    report = feedback.export(desk.store, tmp_path / "out", NOON)
    assert sum(report.scans.values()) == 0
    assert report.left_out == {"a test or a projected threat": 2}


def test_the_report_counts(desk: Desk, tmp_path: Path) -> None:
    """Counts by class, source, outcome and blindness are those of what was said."""
    decided(desk)
    blind = desk.scan("b.png")
    desk.mark(blind, "drawn", class_name="brick", box_xyxy="[5.0, 5.0, 25.0, 20.0]")
    desk.decide(blind, blind=True)
    refuted = decided(desk, "c.png")
    desk.examine(refuted, found=False)
    undecided = desk.scan("d.png")
    desk.mark(undecided, "confirmed", 1)
    report = feedback.export(desk.store, tmp_path / "out", NOON)
    assert report.positives == {"brick": 1, "firearm": 1}
    assert report.hard_negatives == {"brick": 2, "firearm": 1}
    assert report.sources == {"confirmed": 1, "drawn": 1, "refuted": 1, "rejected": 2}
    assert (report.examined, report.blind) == ({"nothing": 1}, 1)
    assert report.left_out == {"not decided yet": 1}
    written = json.loads((tmp_path / "out" / "feedback.json").read_text())
    assert written["report"]["positives"] == {"brick": 1, "firearm": 1}


def test_the_export_is_an_event(desk: Desk, tmp_path: Path) -> None:
    """That a set left the store stands in the log."""
    decided(desk)
    before = audit.head(desk.store).number
    feedback.export(desk.store, tmp_path / "out", NOON)
    assert audit.head(desk.store).number == before + 1


def test_linked_scans_take_no_space(desk: Desk, tmp_path: Path) -> None:
    """With `link`, a file is the one of the store, and another store's folder is refused."""
    filed = decided(desk)
    out = tmp_path / "out"
    feedback.export(desk.store, out, NOON, FeedbackSettings(link=True))
    kept = scans.path_of(desk.store, scans.of(desk.store, filed.scan_sha256).files[0].sha256)
    assert next((out / "images").iterdir()).samefile(kept)
    (desk.store.files.with_name("feedback.key")).write_bytes(bytes(32))
    with pytest.raises(NiiError, match="another store"):
        feedback.export(desk.store, out, NOON)


def test_an_altered_original_is_refused(desk: Desk, tmp_path: Path) -> None:
    """A file that is not what was kept is not taught to a model."""
    filed = decided(desk)
    kept = scans.path_of(desk.store, scans.of(desk.store, filed.scan_sha256).files[0].sha256)
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1
    kept.chmod(0o644)
    kept.write_bytes(content)
    with pytest.raises(NiiError, match="altered"):
        feedback.export(desk.store, tmp_path / "out", NOON)
