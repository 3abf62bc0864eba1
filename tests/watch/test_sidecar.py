"""Claims about sidecars: facts join the scan, and no file can do harm."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nii.errors import ScanFormatError
from nii.scan import Scan
from nii.watch import sidecar
from nii.watch.sidecar import Found

FACTS = {
    "Header": {"scanner_id": "Lane 3", "ScanTime": "2026-01-02T12:00:00+01:00"},
    "Cargo": [{"ContainerNo": "MSCU1234565"}, {"container-no": "TGHU7654321"}],
}
XML = """<?xml version="1.0"?>
<s:Scan xmlns:s="urn:scan" scannerId="Lane 3">
  <s:ScanTime>2026-01-02T12:00:00+01:00</s:ScanTime>
  <s:Container_Number> MSCU1234565 </s:Container_Number>
  <ContainerNumber>TGHU7654321</ContainerNumber>
</s:Scan>"""
WANTED = Found(
    ("MSCU1234565", "TGHU7654321"), "Lane 3", datetime.fromisoformat("2026-01-02T12:00:00+01:00")
)


@pytest.fixture
def scan() -> Scan:
    """Give a scan that says nothing about itself."""
    return Scan(np.ones((1, 4, 4), np.float32))


def test_json_and_xml_say_the_same(tmp_path: Path) -> None:
    """The facts are found wherever they stand, by either form."""
    (tmp_path / "a.json").write_text(json.dumps(FACTS), "utf-8")
    (tmp_path / "a.xml").write_text(XML, "utf-8")
    assert sidecar.read(tmp_path / "a.json") == sidecar.read(tmp_path / "a.xml") == WANTED


def test_join(scan: Scan, tmp_path: Path) -> None:
    """Facts that the scan lacks join it, and the result says where they came from."""
    (tmp_path / "a.json").write_text(json.dumps(FACTS), "utf-8")
    joined = sidecar.join(scan, [tmp_path / "a.json"])
    assert joined.container_numbers == WANTED.container_numbers
    assert (joined.scanner, joined.acquired_at) == (WANTED.scanner, WANTED.acquired_at)
    assert len(joined.provenance.steps) == 3
    assert all("a.json" in step for step in joined.provenance.steps)


def test_the_scan_counts_more(tmp_path: Path) -> None:
    """What the scan says stays; a contradiction is written down; container numbers add up."""
    own = Scan(np.ones((1, 4, 4), np.float32), scanner="mine", container_numbers=("AAAU0000000",))
    (tmp_path / "a.json").write_text(json.dumps(FACTS), "utf-8")
    joined = sidecar.join(own, [tmp_path / "a.json"])
    assert joined.scanner == "mine"
    assert any("Lane 3" in step for step in joined.provenance.steps)
    assert joined.container_numbers == ("AAAU0000000", *WANTED.container_numbers)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b'{"container": '),
        ("a.json", b"[" * 100_000),
        ("a.xml", b"<a><b></a>"),
        ("a.xml", b'<!DOCTYPE a [<!ENTITY x "MSCU1234565">]><container>&x;</container>'),
        ("a.xml", b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>'),
        ("a.json", b" " * (5 << 20)),
    ],
)
def test_a_bad_sidecar_is_named_and_left_out(
    scan: Scan, tmp_path: Path, name: str, content: bytes
) -> None:
    """Damage, entities and size: the scan goes on without these facts and says so."""
    (tmp_path / name).write_bytes(content)
    joined = sidecar.join(scan, [tmp_path / name])
    assert joined.container_numbers == ()
    assert "could not be read" in joined.provenance.steps[0]


def test_odd_values_are_no_facts(scan: Scan, tmp_path: Path) -> None:
    """A time without zone, an endless or invisible text is not taken."""
    odd = {"scan_time": "2026-01-02T12:00:00", "scanner": "x" * 1000, "container": "A\u202eB"}
    (tmp_path / "a.json").write_text(json.dumps(odd), "utf-8")
    assert sidecar.join(scan, [tmp_path / "a.json"]) == scan


@pytest.mark.slow
@given(st.binary(max_size=200), st.sampled_from([".json", ".xml"]))
def test_no_bytes_do_harm(tmp_path: Path, content: bytes, suffix: str) -> None:
    """Whatever a file holds, it is read or refused with one kind of error."""
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with contextlib.suppress(ScanFormatError):
        assert isinstance(sidecar.read(path), Found)


def test_names() -> None:
    """The names of sidecars follow from the files of the scan."""
    pair = (Path("t/truck.high.dcs"), Path("t/truck.low.dcs"))
    assert "truck.json" in sidecar.names_for(pair)
    assert set(sidecar.names_for((Path("A.tif"),))) == {
        "a.json",
        "a.xml",
        "a.tif.json",
        "a.tif.xml",
    }
