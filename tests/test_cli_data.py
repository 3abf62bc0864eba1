"""Commands about labelled sets, as a user calls them: exit codes, files and what is lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nii import cli, formats
from nii.scan import Scan


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Return a COCO file of one scan with a container and a firearm in it."""
    folder = tmp_path / "set"
    folder.mkdir()
    plane = np.random.default_rng(1).uniform(0.2, 0.9, (1, 60, 120)).astype(np.float32)
    formats.write(Scan(plane), folder / "a.tiff")
    boxes = {1: [10, 10, 100, 40], 2: [40, 20, 20, 10]}
    data = {
        "images": [{"id": 1, "file_name": "a.tiff", "width": 120, "height": 60}],
        "categories": [{"id": 1, "name": "container"}, {"id": 2, "name": "firearm"}],
        "annotations": [
            {"id": row, "image_id": 1, "category_id": row, "bbox": box, "load": "full"}
            if row == 1
            else {"id": row, "image_id": 1, "category_id": row, "bbox": box}
            for row, box in boxes.items()
        ],
    }
    path = folder / "annotations.json"
    path.write_text(json.dumps(data), "utf-8")
    return path


def test_a_sound_set_is_zero_and_a_damaged_one(labels: Path, tmp_path: Path) -> None:
    """Code 0 and a page; a box that leaves its image is a fault, and code 1."""
    out = tmp_path / "checked"
    assert cli.main(["data", "check", str(labels), "--out", str(out)]) == 0
    assert (out / "index.html").is_file()
    data = json.loads(labels.read_text("utf-8"))
    data["annotations"][1]["bbox"] = [110, 20, 20, 10]
    labels.write_text(json.dumps(data), "utf-8")
    assert cli.main(["data", "check", str(labels), "--out", str(out)]) == 1
    assert json.loads((out / "data.json").read_text("utf-8"))["faults"] == 1


def test_a_set_goes_there_and_back(
    labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """COCO to YOLO and back keeps the boxes; the load state is lost, and that is said."""
    there, back = tmp_path / "yolo", tmp_path / "back.json"
    images = ["--images", str(labels.parent)]
    words = ["data", "convert", str(labels), "--to", "yolo", "--out", str(there), *images]
    assert cli.main(words) == 0
    assert "load states: lost" in capsys.readouterr().out
    checked = ["data", "check", str(there), "--out", str(tmp_path / "checked")]
    assert cli.main(checked) == 1  # the scans stayed where they were
    assert cli.main([*checked, *images]) == 0
    words = ["data", "convert", str(there), "--to", "coco", "--out", str(back), *images]
    assert cli.main(words) == 0
    found = sorted(row["bbox"] for row in json.loads(back.read_text("utf-8"))["annotations"])
    assert np.allclose(found, [[10, 10, 100, 40], [40, 20, 20, 10]], atol=0.01)


def test_wrong_calls_are_errors(labels: Path, tmp_path: Path) -> None:
    """No place is wrong usage; labels are never written over themselves."""
    assert cli.main(["data", "check", "--out", str(tmp_path / "o")]) == 2
    before = labels.read_bytes()
    assert cli.main(["data", "convert", str(labels), "--to", "coco", "--out", str(labels)]) == 1
    assert labels.read_bytes() == before
