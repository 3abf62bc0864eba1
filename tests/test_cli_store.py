"""nii ingest and nii audit: what they print, and the codes they end with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from nii import cli, formats
from nii.inspection import Inspection
from nii.scan import Scan
from nii.store import documents, inspections, queue, scans
from nii.store.database import open_folder
from nii.store.queue import Query

EXAMPLE = Path(__file__).parent / "store" / "inspection.json"


@pytest.fixture
def lane(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Give a folder with three scans, two of them with the inspection that nii made of it."""
    folder = tmp_path / "lane"
    folder.mkdir()
    whole = Inspection.from_json(json.loads(EXAMPLE.read_text("utf-8")))
    for name in ("a", "b", "c"):
        image = rng.uniform(0.2, 1.0, (1, 40, 60)).astype(np.float32)
        paths = formats.write(Scan(image), folder / f"{name}.tif")
        facts = replace(whole.scan, sha256=formats.read(paths).sha256)
        inspection = replace(whole, scan=facts)
        if name != "c":
            text = json.dumps(inspection.to_json())
            (folder / f"{name}.inspection.json").write_text(text)
    return folder


@pytest.mark.slow
def test_scans_are_taken_in_once(
    lane: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Inspections beside scans are filed as they are; a second run finds them known."""
    desk, named = tmp_path / "desk", [str(lane / "a.tif"), str(lane / "b.tif")]
    for said in ("2 new, 0 known, 0 failed", "0 new, 2 known, 0 failed"):
        assert cli.main(["ingest", *named, "--store", str(desk)]) == 0
        assert said in capsys.readouterr().out
    store = open_folder(desk)
    items = queue.page(store, Query())
    assert len(items) == 2
    filed = inspections.get(store, items[0].inspection_id)
    assert filed is not None
    written = [json.loads(path.read_text()) for path in lane.glob("*.inspection.json")]
    assert filed.inspection.to_json() in written
    assert documents.of_scan(store, filed.scan_sha256)
    store.close()


@pytest.mark.slow
def test_an_inspection_of_another_scan_is_refused(
    lane: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mixed-up or damaged inspection fails that scan, and the others are taken in."""
    text = (lane / "a.inspection.json").read_text()
    (lane / "b.inspection.json").write_text(text)
    (lane / "c.inspection.json").write_text("{")
    desk = tmp_path / "desk"
    assert cli.main(["ingest", str(lane), "--store", str(desk)]) == 1
    said = capsys.readouterr()
    assert "1 new, 0 known, 2 failed" in said.out
    assert "mixed up" in said.err
    assert "c.inspection.json" in said.err


@pytest.mark.slow
def test_other_scans_are_inspected(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A scan without an inspection is inspected by the model, and facts beside it join it."""
    sample = root / "data" / "samples" / "empty_single_energy.png"
    (tmp_path / "truck.png").write_bytes(sample.read_bytes())
    (tmp_path / "truck.json").write_text('{"container": "CSQU3054383"}')
    desk = tmp_path / "desk"
    words = ["ingest", str(tmp_path / "truck.png"), "--store", str(desk)]
    assert cli.main([*words, "--bundle", str(root / "models" / "compact")]) == 0
    assert "1 new" in capsys.readouterr().out
    store = open_folder(desk)
    (item,) = queue.page(store, Query())
    assert item.papers == (("container", "CSQU3054383"),)
    store.close()


@pytest.mark.slow
def test_the_log_is_checked_and_its_head_noted(
    lane: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An honest store is intact with its head; an altered one is not, and the record is named."""
    desk = tmp_path / "desk"
    named = [str(lane / "a.tif"), str(lane / "b.tif")]
    assert cli.main(["ingest", *named, "--store", str(desk), "--quiet"]) == 0
    capsys.readouterr()
    assert cli.main(["audit", "head", str(desk)]) == 0
    head = capsys.readouterr().out.strip()
    assert cli.main(["audit", "verify", str(desk), "--head", head, "--files"]) == 0
    assert head in capsys.readouterr().out
    other = f"{head.partition(':')[0]}:{'f' * 64}"
    assert cli.main(["audit", "verify", str(desk), "--head", other]) == 1
    assert "was seen earlier" in capsys.readouterr().err
    store = open_folder(desk)
    with store.write() as connection:
        connection.execute(sa.text("DROP TRIGGER inspections_no_update"))
        connection.execute(sa.text("UPDATE inspections SET urgency = 0 WHERE id = 2"))
    with store.read() as connection:
        sha256 = connection.execute(sa.text("SELECT sha256 FROM scans LIMIT 1")).scalar_one()
    kept = scans.of(store, sha256).files[0]
    place = scans.path_of(store, kept.sha256)
    place.chmod(0o644)
    place.write_bytes(b"spoilt")
    store.close()
    assert cli.main(["audit", "verify", str(desk), "--files"]) == 1
    said = capsys.readouterr().err
    assert "inspection 2 was altered" in said
    assert f"{kept.name}: the file was altered" in said


@pytest.mark.parametrize("head", ["", "1", "1:abc", "x:" + "a" * 64, "1:" + "A" * 64])
def test_a_head_that_is_none_is_refused(head: str, tmp_path: Path) -> None:
    """A noted head that was not copied whole is a wrong usage."""
    open_folder(tmp_path).close()
    assert cli.main(["audit", "verify", str(tmp_path), "--head", head]) == 2


def test_no_store_is_made_by_checking(tmp_path: Path) -> None:
    """Checking a folder that holds no store says so, and leaves it as it is."""
    assert cli.main(["audit", "verify", str(tmp_path / "nothing")]) == 2
    assert not (tmp_path / "nothing").exists()


def test_nothing_to_take_in_is_a_wrong_usage(tmp_path: Path) -> None:
    """A folder without scans ends with code 2."""
    assert cli.main(["ingest", str(tmp_path), "--store", str(tmp_path / "desk")]) == 2
