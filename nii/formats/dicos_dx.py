"""Scan → DICOS Digital X-ray (DX) data sets of edition V03, one an energy.

The edition demands elements that a cargo scanner may not know. What is fixed or not known stands in
``dicos_dx.csv``; the rest is filled here. The facts of the scan also stand as JSON in one private
element, because DICOS has no way to say that a time or an energy is unknown.

Reference:
    NEMA IIC 1 v03-2022 (DICOS), DX IOD; DICOM PS3.3 and PS3.6 for the elements that it shares.
"""

from __future__ import annotations

import csv
import importlib.resources
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from jaxtyping import UInt16
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    DICOSDigitalXRayImageStorageForPresentation,
    DICOSDigitalXRayImageStorageForProcessing,
    ExplicitVRLittleEndian,
    generate_uid,
)

import nii
from nii.errors import ScanFormatError
from nii.formats.facts import WHITE, Facts, facts_of, to_levels, to_text
from nii.scan import Grey, Scan

HIGH, LOW, SINGLE, MULTI = "HIGH ENERGY", "LOW ENERGY", "INTENSITY", "MULTI ENERGY"
PRESENTATION, PROCESSING = "FOR PRESENTATION", "FOR PROCESSING"
PRIVATE_GROUP, PRIVATE_CREATOR, PRIVATE_ELEMENT = 0x0009, "NII FACTS", 0x01
UNKNOWN = "UNKNOWN"

_VERSION_IN_META = 0x00020004  # DICOS only; DICOM has no such element
_TEXT_MOST = {"LO": 64, "SH": 16}  # characters (DICOM PS3.5, table 6.2-1)
_COMMENT_MOST = 10240
_KILO = 1000.0  # MeV → keV, which is the kV that DICOS writes


def kinds(energies: int) -> tuple[str, ...]:
    """Return the second value of Image Type for every energy, the highest first."""
    return {1: (SINGLE,), 2: (HIGH, LOW)}.get(energies, (MULTI,) * energies)


def number(value: float) -> str:
    """Return a decimal string (DS), at most 16 characters."""
    return f"{value:.10g}"


def plain(value: str, vr: str) -> str:
    """Return text that fits an element: no control sign, no backslash, not too long."""
    kept = "".join(sign if sign.isprintable() and sign != "\\" else " " for sign in value)
    return kept[: _TEXT_MOST[vr]].strip()


def ooi_ids(facts: Facts) -> tuple[str, ...]:
    """Return the container numbers as DICOS can hold them."""
    texts = (plain(text, "LO") for text in facts.container_numbers)
    return tuple(text for text in texts if text not in {"", UNKNOWN})


def datasets(scan: Scan, path: Path) -> tuple[Dataset, ...]:
    """Return one DX data set an energy, joined by a fresh Scan Instance UID.

    Raises:
        ScanFormatError: the scan is not normalised to open beam, or has too many pixels a line.
    """
    if max(scan.height, scan.width) > WHITE:
        raise ScanFormatError(
            path,
            found=f"{scan.height} x {scan.width} pixels",
            expected=f"at most {WHITE} rows and columns in DICOS",
            remedy="Write TIFF instead.",
        )
    levels, open_beam = to_levels(scan, path)
    facts = facts_of(scan, open_beam)
    scan_uid, series_uid = generate_uid(prefix=None), generate_uid(prefix=None)
    sets = []
    for energy, kind in enumerate(kinds(scan.energy_count)):
        dataset = _fixed()
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = scan_uid, series_uid
        dataset.InstanceNumber = energy + 1
        dataset.ImageType = ["ORIGINAL", kind]
        dataset.KVP = number(facts.endpoint_mev[energy] * _KILO if facts.endpoint_mev else 0.0)
        _identify(dataset, facts)
        _date(dataset, facts)
        _comment(dataset, facts)
        _picture(dataset, levels[energy], facts)
        sets.append(dataset)
    return tuple(sets)


def _fixed() -> Dataset:
    """Return a data set with the elements that are the same for every scan."""
    dataset = Dataset()
    table = importlib.resources.files("nii.formats").joinpath("dicos_dx.csv")
    with table.open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            dataset.add_new(int(row["tag"], 16), row["vr"], _typed(row["vr"], row["value"]))
    return dataset


def _typed(vr: str, value: str) -> object:
    if vr == "SQ":
        return []
    if vr in {"US", "SS"}:
        return int(value)
    return float(value) if vr in {"FL", "FD"} else value


def _identify(dataset: Dataset, facts: Facts) -> None:
    """Fill in machine and object; (0010,0020) is the OOI ID, (0010,1000) holds further ones."""
    dataset.SoftwareVersions = f"nii {nii.__version__}"
    dataset.ManufacturerModelName = plain(facts.scanner or "", "LO")
    dataset.StationName = plain(facts.scanner or "", "SH")
    dataset.StudyID = "1"
    first, *others = ooi_ids(facts) or (UNKNOWN,)
    dataset.PatientID = first
    if others:
        dataset.OtherPatientIDs = others


def _date(dataset: Dataset, facts: Facts) -> None:
    """Fill in the times. Where that of the scan is unknown, they are the time of writing."""
    now = datetime.now(UTC)
    scanned = facts.acquired_at or now
    offset = scanned.strftime("%z")
    if len(offset) != 5:  # noqa: PLR2004 - zones with seconds cannot be written
        scanned, offset = scanned.astimezone(UTC), "+0000"
    dataset.TimezoneOffsetFromUTC = offset
    written = now.astimezone(scanned.tzinfo)
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = _da_tm(written)
    dataset.StudyDate, dataset.StudyTime = _da_tm(scanned)
    dataset.SeriesDate, dataset.SeriesTime = _da_tm(scanned)
    dataset.ContentDate, dataset.ContentTime = _da_tm(scanned)


def _da_tm(moment: datetime) -> tuple[str, str]:
    return f"{moment:%Y%m%d}".rjust(8, "0"), f"{moment:%H%M%S.%f}"


def _comment(dataset: Dataset, facts: Facts) -> None:
    """Fill in provenance, for people as Image Comments and for `nii` as a private element."""
    unknown = (
        *(("time of acquisition",) if facts.acquired_at is None else ()),
        *(("end-point energy",) if facts.endpoint_mev is None else ()),
        *(("OOI ID",) if not facts.container_numbers else ()),
    )
    lines = [facts.provenance.tool, *facts.provenance.steps]
    if unknown:
        lines.append(f"not known, filled with placeholders: {', '.join(unknown)}")
    dataset.ImageComments = "\r\n".join(lines)[:_COMMENT_MOST]
    block = dataset.private_block(PRIVATE_GROUP, PRIVATE_CREATOR, create=True)
    block.add_new(PRIVATE_ELEMENT, "UT", to_text(facts))


def _picture(dataset: Dataset, levels: UInt16[np.ndarray, "height width"], facts: Facts) -> None:
    """Fill in pixels, their pitch, and the SOP class that tells what they are for."""
    dataset.Rows, dataset.Columns = levels.shape
    if facts.pixel_pitch_mm:
        dataset.ImagerPixelSpacing = [number(pitch) for pitch in facts.pixel_pitch_mm]
    display = facts.grey is Grey.DISPLAY
    dataset.PresentationIntentType = PRESENTATION if display else PROCESSING
    dataset.SOPClassUID = (
        DICOSDigitalXRayImageStorageForPresentation
        if display
        else DICOSDigitalXRayImageStorageForProcessing
    )
    if display:
        dataset.WindowCenter, dataset.WindowWidth = "32768", "65536"
    dataset.SOPInstanceUID = generate_uid(prefix=None)
    dataset.add_new(0x7FE00010, "OW", levels.astype("<u2", copy=False).tobytes())
    dataset.file_meta = _meta(dataset)


def _meta(dataset: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.add_new(_VERSION_IN_META, "CS", "V03")
    return meta


def file_names(path: Path, energies: int) -> Iterator[Path]:
    """Yield the file of every energy: ``truck.high.dcs`` and ``truck.low.dcs`` for two."""
    if energies == 1:
        yield path
        return
    names = ("high", "low") if energies == 2 else map(str, range(1, energies + 1))  # noqa: PLR2004
    for name in names:
        yield path.with_name(f"{path.stem}.{name}{path.suffix}")
