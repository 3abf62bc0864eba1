"""Objects of DICOS: what we write is valid, and what is invalid is refused."""

from __future__ import annotations

import importlib.util
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from jaxtyping import UInt16
from pydicom.dataset import Dataset
from pydicom.uid import (
    DICOSThreatDetectionReportStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    RLELossless,
)

from nii.errors import ScanFormatError
from nii.formats import dicos, dicos_objects, find, read, write
from nii.formats.facts import HIGHEST_FIRST
from nii.scan import Grey, Scan

Change = Callable[[Dataset], object]

VALIDATE = """
import json, sys
import numpy as np
from pyDICOS import DX, ErrorLog, Filename
for path in sys.argv[1:]:
    image, read, valid = DX(), ErrorLog(), ErrorLog()
    done = image.Read(Filename(path), read, None)
    fine = done and image.Validate(valid)
    pixels = np.array(image.GetXRayData().GetUnsigned16(), copy=True).tolist() if done else None
    errors = read.GetErrorLog().Get() + valid.GetErrorLog().Get()
    print(json.dumps({"read": done, "valid": fine, "errors": errors, "pixels": pixels}))
"""


def changed(path: Path, *changes: Change) -> Path:
    """Change elements of a written object in place."""
    dataset = pydicom.dcmread(path)
    for change in changes:
        change(dataset)
    pydicom.dcmwrite(path, dataset)
    return path


def put(**elements: object) -> Change:
    """Return a change that sets elements."""

    def change(dataset: Dataset) -> None:
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)

    return change


def drop(*keywords: str) -> Change:
    """Return a change that removes elements."""

    def change(dataset: Dataset) -> None:
        for keyword in keywords:
            del dataset[keyword]

    return change


def anonymous(dataset: Dataset) -> None:
    """Remove our private facts, so that the object looks like one of another program."""
    del dataset[0x00090010]
    del dataset[0x00091001]


def levels(scan: Scan) -> UInt16[np.ndarray, "energy height width"]:
    """Return transmission as 16-bit levels."""
    result: UInt16[np.ndarray, "e h w"] = np.rint(scan.transmission * 65535).astype(np.uint16)
    return result


@pytest.fixture
def pair(truck: Scan, tmp_path: Path) -> tuple[Path, ...]:
    """Return the two files of a scan."""
    return write(truck, tmp_path / "truck.dcs")


@pytest.mark.skipif(
    importlib.util.find_spec("pyDICOS") is None and importlib.util.find_spec("pydicos") is None,
    reason="the independent validator pydicos is not installed",
)
def test_an_independent_reader_accepts_every_object(
    truck: Scan, picture: Scan, tmp_path: Path
) -> None:
    """The toolkit of another house reads and validates one, two and three energies and display."""
    three = Scan(np.concatenate([truck.transmission] * 2)[:3], endpoint_mev=(9.0, 6.0, 4.0))
    bare = Scan(truck.transmission[:1])
    scans = {"two": truck, "one": bare, "three": three, "picture": picture}
    expected, files = [], []
    for name, scan in scans.items():
        files += [str(path) for path in write(scan, tmp_path / f"{name}.dcs")]
        expected += list(levels(scan))
    environment = {**os.environ, "TZ": "UTC"}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", VALIDATE, *files],
        capture_output=True,
        env=environment,
        timeout=60,
        check=False,
        text=True,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(answers) == len(files), done.stderr[-500:]
    for answer, pixels in zip(answers, expected, strict=True):
        assert answer["read"], answer["errors"]
        assert answer["valid"], answer["errors"]
        assert np.array_equal(np.squeeze(answer["pixels"]), pixels)


def test_two_energies_are_two_files(truck: Scan, pair: tuple[Path, ...]) -> None:
    """Naming either brings both; the order of the names does not matter."""
    assert [path.name for path in pair] == ["truck.high.dcs", "truck.low.dcs"]
    for paths in (pair[0], pair[1], pair, pair[::-1]):
        scan = read(paths)
        assert np.array_equal(scan.transmission, truck.transmission)
        assert scan.endpoint_mev == (9.0, 6.1)


def test_one_of_a_pair_is_noted(pair: tuple[Path, ...]) -> None:
    """An object whose partner is missing is read alone, and says so."""
    pair[0].unlink()
    scan = read(pair[1])
    assert scan.energy_count == 1
    assert "only the LOW ENERGY object of the scan was there" in scan.provenance.steps


@pytest.mark.parametrize("syntax", ["implicit", "big", "rle"])
def test_other_encodings_give_the_same_scan(
    syntax: str, truck: Scan, pair: tuple[Path, ...]
) -> None:
    """Implicit VR, big endian and run-length coded files of other programs are read."""
    for path in pair:
        dataset = pydicom.dcmread(path)
        del dataset[0x00080118]  # its VR differs from DICOM, so only explicit files may carry it
        if syntax == "rle":
            dataset.compress(RLELossless, generate_instance_uid=False)
            pydicom.dcmwrite(path, dataset)
            continue
        little = syntax == "implicit"
        new = ImplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = new
        if not little:
            swapped = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
            dataset.PixelData = swapped
        pydicom.dcmwrite(path, dataset, implicit_vr=little, little_endian=little)
    scan = read(pair[0])
    assert np.array_equal(scan.transmission, truck.transmission)
    assert scan.acquired_at == truck.acquired_at
    assert "made by a test" in scan.provenance.steps


def test_public_elements_are_enough(truck: Scan, pair: tuple[Path, ...]) -> None:
    """Objects without our private facts give the same facts, and the assumption is noted."""
    for path in pair:
        changed(path, anonymous)
    scan = read(pair)
    assert np.array_equal(scan.transmission, truck.transmission)
    assert replace(scan, transmission=truck.transmission, provenance=truck.provenance) == truck
    assert scan.provenance.steps == ("assumed that level 65535 is the open beam",)


def test_public_elements_may_be_corrected(pair: tuple[Path, ...]) -> None:
    """A container number that an archive has corrected wins over the one we wrote."""
    for path in pair:
        changed(path, put(PatientID="MSCU0000007"), drop("OtherPatientIDs"))
    scan = read(pair)
    assert scan.container_numbers == ("MSCU0000007",)
    assert scan.scanner == "Portal Nord"
    assert any("container_numbers was changed" in step for step in scan.provenance.steps)


def test_twelve_bits_have_their_own_white(tmp_path: Path, truck: Scan) -> None:
    """The white of an object of others is that of its stored bits; bits above are ignored."""
    (path,) = write(Scan(truck.transmission[:1]), tmp_path / "one.dcs")
    words = np.full(truck.transmission[0].shape, 0xF000 | 4095, "<u2").tobytes()
    changed(path, anonymous, put(BitsStored=12, HighBit=11, PixelData=words))
    assert (read(path).transmission == 1).all()


def test_a_negative_sign_is_turned_round(tmp_path: Path, truck: Scan) -> None:
    """Where high levels stand for low signal, they are inverted, and it is noted."""
    (path,) = write(Scan(truck.transmission[:1]), tmp_path / "one.dcs")
    changed(path, anonymous, put(PixelIntensityRelationshipSign=-1))
    scan = read(path)
    assert np.array_equal(levels(scan), 65535 - levels(Scan(truck.transmission[:1])))
    assert any("inverted" in step for step in scan.provenance.steps)


def test_logarithmic_grey_is_display(tmp_path: Path, truck: Scan) -> None:
    """Grey that is not linear is never taken for a transmission."""
    (path,) = write(Scan(truck.transmission[:1]), tmp_path / "one.dcs")
    changed(path, anonymous, put(PixelIntensityRelationship="LOG"))
    assert read(path).grey is Grey.DISPLAY


def test_a_derived_picture_is_left_out(pair: tuple[Path, ...], tmp_path: Path) -> None:
    """A map of effective Z in the same scan is no energy, and it is noted."""
    (tmp_path / "z.dcs").write_bytes(pair[0].read_bytes())
    changed(tmp_path / "z.dcs", put(ImageType=["DERIVED", "Z_EFFECTIVE"]))
    scan = read(pair[0])
    assert scan.energy_count == 2
    assert any("z.dcs (Z_EFFECTIVE) is derived" in step for step in scan.provenance.steps)


def test_energies_without_kvp_keep_their_numbers(tmp_path: Path) -> None:
    """Three energies of unknown KVP are ordered by instance number, and it is noted."""
    values = np.array([0.9, 0.6, 0.3], np.float32).reshape(3, 1, 1)
    files = write(Scan(values), tmp_path / "three.dcs")
    scan = read(files[::-1])
    assert np.allclose(scan.transmission, values, atol=1e-4)
    assert scan.endpoint_mev is None
    assert HIGHEST_FIRST in scan.provenance.steps


def test_a_report_is_no_part_of_its_scan(pair: tuple[Path, ...], tmp_path: Path) -> None:
    """A Threat Detection Report beside the scan shares its UID and is passed over."""
    report = tmp_path / "report.dcs"
    report.write_bytes(pair[0].read_bytes())
    changed(report, put(SOPClassUID=DICOSThreatDetectionReportStorage), drop("PixelData"))
    assert find([tmp_path]) == (pair,)
    with pytest.raises(ScanFormatError, match="Threat Detection Report"):
        read(report)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([drop("PixelData")], "no pixel data"),
        ([put(PixelData=bytes(100))], "100 bytes of 374"),
        ([put(Rows=12)], "differ in size"),
        ([put(Rows=None)], "0 x 17"),
        ([put(Rows=65535, Columns=65535)], "65535 x 65535"),
        ([put(Columns=0)], "11 x 0"),
        ([put(BitsAllocated=32)], "16 of 32 bits"),
        ([put(BitsStored=17)], "17 of 16 bits"),
        ([put(BitsAllocated=1, BitsStored=1)], "1 of 1 bits"),
        ([put(PixelRepresentation=1)], "signed: 1"),
        ([put(SamplesPerPixel=3)], "3 samples"),
        ([put(NumberOfFrames=5)], "5 frames"),
        ([put(PhotometricInterpretation="PALETTE COLOR")], "PALETTE COLOR"),
        ([put(RescaleSlope="2", RescaleIntercept="-1000")], "slope 2 and intercept -1000"),
        ([put(StudyInstanceUID="1.2.3")], "2 Scan Instance UIDs"),
        ([put(ImageType=["ORIGINAL", "LOW ENERGY"], KVP="6100")], "some of the same energy"),
        ([put(ImageType=["ORIGINAL", "MULTI ENERGY"], KVP="6100")], "some of the same energy"),
        ([put(Rows=17, Columns=11)], "differ in size"),
        ([put(PresentationIntentType="FOR PRESENTATION")], "differ in use"),
        ([put(KVP="1")], "do not fall"),
    ],
)
def test_wrong_structure_is_refused(
    changes: list[Change], message: str, pair: tuple[Path, ...]
) -> None:
    """Each wrong element of the high energy is found and named."""
    changed(pair[0], anonymous, *changes)
    with pytest.raises(ScanFormatError) as caught:
        read(pair)
    assert message in caught.value.found


def test_jpeg_needs_a_decoder(pair: tuple[Path, ...]) -> None:
    """Pixels that no installed decoder reads are refused with the way out."""
    wrapped = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9" * 100])

    def compress(dataset: Dataset) -> None:
        dataset.PixelData = wrapped
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1

    changed(pair[0], compress)
    with pytest.raises(ScanFormatError) as caught:
        read(pair)
    assert "JPEG Lossless" in str(caught.value)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1.99", "1.2.3", ""])
def test_other_syntaxes_are_refused(syntax: str) -> None:
    """Deflated files, which unpack without bound, and unknown ones are not opened."""
    value = syntax.encode() + b"\0" * (len(syntax) % 2)
    element = struct.pack("<HH2sH", 0x0002, 0x0010, b"UI", len(value)) + value
    data = bytes(128) + b"DICM" + element + bytes(50)
    with pytest.raises(ScanFormatError, match="transfer syntax"):
        dicos_objects._dataset(Path("x.dcs"), data)


def test_identity_stops_early(pair: tuple[Path, ...]) -> None:
    """The scan is known from the first kilobyte, and a broken file has none."""
    uid = pydicom.dcmread(pair[0]).StudyInstanceUID
    pair[0].write_bytes(pair[0].read_bytes()[:1500])
    assert dicos.identity(pair[0]) == dicos.Identity(uid, report=False)
    pair[1].write_bytes(bytes(128) + b"DICM\xff")
    assert dicos.identity(pair[1]).scan_uid is None


def test_nothing_is_printed(pair: tuple[Path, ...], capfd: pytest.CaptureFixture[str]) -> None:
    """A hostile object leaves no noise on the screen."""
    data = pair[0].read_bytes()
    assert b"DS\4\x009000" in data
    pair[0].write_bytes(data.replace(b"DS\4\x009000", b"DS\4\x00nine"))
    with pytest.raises(ScanFormatError):
        read(pair)
    assert capfd.readouterr() == ("", "")
