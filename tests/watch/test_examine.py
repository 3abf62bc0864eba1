"""Claims about the steps of one scan: its facts, its results, and whose fault an error is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from nii import formats
from nii.errors import ScanFormatError
from nii.exchange.inbox import Sighting
from nii.infer.inspect import utc_now
from nii.inspection import Inspection
from nii.watch import examine
from nii.watch.lane import Arrived, Lane
from nii.watch.settings import LaneSettings, WatchSettings

Arrive = Callable[..., tuple[Path, ...]]


def first(settings: WatchSettings) -> Arrived:
    """Return what lies in the lane."""
    (arrived,) = Lane(settings.lanes[0], LaneSettings("rename", pair_wait_s=0.0)).look()
    return arrived


def test_results(settings: WatchSettings, arrive: Arrive, bench: ModuleType) -> None:
    """A pair with a sidecar becomes JSON that reads back, with facts and times, and a PNG."""
    paths = arrive("truck.dcs", energies=2)
    (settings.lanes[0] / "truck.json").write_text('{"container_no": "MSCU1234565"}')
    arrived = first(settings)
    taken = examine.load(arrived, examine.identity_of(paths))
    inspection = examine.look(taken, bench.Marker(), utc_now)
    drawn = examine.draw(taken, inspection)
    back = Inspection.from_json(json.loads(drawn.document))
    assert back == drawn.inspection
    assert back.scan.container_numbers == ("MSCU1234565",)
    assert back.scan.energies == 2
    assert {"read", "overlay"} <= set(back.timing_ms)
    assert drawn.picture.startswith(b"\x89PNG")


def test_a_file_that_changes_meanwhile(settings: WatchSettings, arrive: Arrive) -> None:
    """A scan that is no longer what was hashed, or was seen, is not inspected."""
    (path,) = arrive("a.tiff")
    arrived = first(settings)
    with pytest.raises(OSError, match="changed"):
        examine.load(arrived, "0" * 64)
    identity = examine.identity_of([path])
    seen = arrived.files[0]
    older = Arrived(arrived.lane, (Sighting(path, seen.size, seen.changed_ns - 1),))
    with pytest.raises(OSError, match="changed"):
        examine.load(older, identity)


def test_bad_is_not_out_of_reach(tmp_path: Path) -> None:
    """A file that is gone may come back; one whose content is rubbish stays bad."""
    with pytest.raises(ScanFormatError) as gone:
        formats.read([tmp_path / "gone.tif"])
    assert examine.is_out_of_reach(gone.value)
    for name, content in (("a.png", b"\x89PNG\r\n\x1a\nrubbish"), ("a.tif", b"II*\0rubbish")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ScanFormatError) as bad:
            formats.read([tmp_path / name])
        assert not examine.is_out_of_reach(bad.value)
