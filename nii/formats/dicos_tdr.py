"""Inspection → DICOS Threat Detection Report (TDR), edition V03: what a machine found in one scan.

One report a scan. Where the scan came as DICOS, the report carries its Scan Instance UID and refers
to its DX objects; otherwise UIDs are made from the digest of the file, so that the same file always
has the same ones. What is fixed or not known stands in ``dicos_tdr.csv``.

A region is a potential threat object (PTO): its box as a region of interest with a bitmap of its
outline, its outline as a polygon, and the assessment. Coordinates are pixels of the DX image, x to
the right and y down; z is 0.

Reference:
    NEMA IIC 1 v03-2022 (DICOS), TDR IOD; DICOM PS3.5 for the encoding.
"""

from __future__ import annotations

import csv
import importlib.resources
import io
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pydicom
from jaxtyping import UInt8
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    UID,
    DICOSDigitalXRayImageStorageForProcessing,
    DICOSThreatDetectionReportStorage,
    ExplicitVRLittleEndian,
    generate_uid,
)

import nii
from nii import taxonomy
from nii.formats.dicos_dx import UNKNOWN, plain
from nii.formats.files import decoding, load_head
from nii.inspection import Inspection, Level, Region

_MOST_FACTS = 64
"""Longest text of a value of Threat Detection Algorithm and Version (LO)."""
_HEAD_BYTES = 1 << 20
_MAGIC_AT = 128
_COPIED = (
    *("Manufacturer", "InstitutionName", "InstitutionAddress", "StationName", "DeviceSerialNumber"),
    *("ManufacturerModelName", "SoftwareVersions", "PatientID", "IssuerOfPatientID"),
    *("TypeOfPatientID", "StudyID", "StudyDate", "StudyTime", "TimezoneOffsetFromUTC"),
    *("DateOfLastCalibration", "TimeOfLastCalibration", "FrameOfReferenceUID"),
)
"""What machine, object and time of the scan are is copied from its own objects."""
_PTO_START, _PTO_END, _PTO_MS = 0x40101080, 0x40101081, 0x40101082  # not in pydicom's dictionary
_VERSION_IN_META = 0x00020004
_FLAGS = {Level.SEARCH: "HIGH_THREAT", Level.LOOK: "THREAT"}


@dataclass(frozen=True, slots=True)
class Origin:
    """Say which scan a report is about.

    Attributes:
        scan_uid: the Scan Instance UID.
        objects: SOP class and instance UID of each image of the scan, the one that regions refer to
            first.
        header: elements to copy from the scan's own objects; empty where it was no DICOS.
    """

    scan_uid: str
    objects: tuple[tuple[str, str], ...]
    header: Dataset


def origin_of(files: Sequence[Path], sha256: str | None) -> Origin:
    """Return which scan some files are, read from them where they are DICOS.

    Args:
        files: the files of one scan.
        sha256: digest of the scan, from which UIDs are made where it has none.

    Raises:
        ScanFormatError: a DICOS file cannot be read any more.
    """
    heads = [_header(path) for path in files]
    known = [head for head in heads if head is not None and head.get("StudyInstanceUID")]
    if len(known) < len(heads) or not known:
        seed = sha256 or "".join(map(str, files))
        uid, image = (_uid_of(seed, what) for what in ("scan", "image"))
        return Origin(uid, ((str(DICOSDigitalXRayImageStorageForProcessing), image),), Dataset())
    known.sort(key=lambda head: int(head.get("InstanceNumber") or 0))
    objects = tuple((str(head.SOPClassUID), str(head.SOPInstanceUID)) for head in known)
    return Origin(str(known[0].StudyInstanceUID), objects, known[0])


def encode(inspection: Inspection, origin: Origin) -> bytes:
    """Return the report about one scan as the content of a DICOS file."""
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, report(inspection, origin), enforce_file_format=True)
    return stream.getvalue()


def report(inspection: Inspection, origin: Origin) -> Dataset:
    """Return the report about one scan as a data set with its file meta information.

    The decision is ALARM where there is a region. Where there is none it is CLEAR, which says no
    more than that this program found nothing; and UNKNOWN where the scan itself was unfit.
    """
    dataset = _fixed()
    ended = datetime.fromisoformat(inspection.inspected_at)
    _identify(dataset, inspection, origin, ended)
    regions = inspection.regions
    unfit = inspection.health is not None and bool(inspection.health.problems)
    nothing = "UNKNOWN" if unfit else "CLEAR"
    dataset.AlarmDecision = "ALARM" if regions else nothing
    dataset.AlarmDecisionTime = _moment(ended)
    dataset.NumberOfTotalObjects = dataset.NumberOfAlarmObjects = len(regions)
    total_ms = float(sum(inspection.timing_ms.values()))
    dataset.TotalProcessingTime = total_ms
    dataset.ThreatDetectionAlgorithmAndVersion = _algorithm(inspection)
    dataset.ThreatSequence = Items([_threat(region, origin, ended, total_ms) for region in regions])
    dataset.file_meta = _meta(dataset)
    return dataset


def bitmap(mask: UInt8[np.ndarray, "height width"]) -> bytes:
    """Return a mask as one bit a pixel, x fastest, lowest bit first, of even length."""
    packed = np.packbits(mask.ravel() != 0, bitorder="little").tobytes()
    return packed + b"\0" * (len(packed) % 2)


def _fixed() -> Dataset:
    dataset = Dataset()
    table = importlib.resources.files("nii.formats").joinpath("dicos_tdr.csv")
    with table.open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            value = float(row["value"]) if row["vr"] == "FD" else row["value"]
            dataset.add_new(int(row["tag"], 16), row["vr"], value)
    return dataset


def _identify(dataset: Dataset, inspection: Inspection, origin: Origin, at: datetime) -> None:
    """Fill in scan, object, machine, times and what is referred to."""
    first, *others = inspection.scan.container_numbers or (UNKNOWN,)
    dataset.PatientID = plain(first, "LO") or UNKNOWN
    if others:
        dataset.OtherPatientIDs = [plain(text, "LO") for text in others]
    dataset.ManufacturerModelName = plain(inspection.scan.scanner or "", "LO")
    dataset.StationName = plain(inspection.scan.scanner or "", "SH")
    dataset.StudyID, dataset.InstanceNumber = "1", 1
    scanned = datetime.fromisoformat(inspection.scan.acquired_at or inspection.inspected_at)
    dataset.StudyDate, dataset.StudyTime = f"{scanned:%Y%m%d}", f"{scanned:%H%M%S.%f}"
    dataset.TimezoneOffsetFromUTC = f"{scanned:%z}"[:5]
    dataset.FrameOfReferenceUID = _uid_of(origin.scan_uid, "frame")
    for keyword in _COPIED:
        if origin.header.get(keyword):
            setattr(dataset, keyword, origin.header[keyword].value)
    dataset.SoftwareVersions = f"nii {nii.__version__}"
    made = at.astimezone(scanned.tzinfo)
    for kind in ("InstanceCreation", "Series", "Content"):
        setattr(dataset, f"{kind}Date", f"{made:%Y%m%d}")
        setattr(dataset, f"{kind}Time", f"{made:%H%M%S.%f}")
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = origin.scan_uid, generate_uid(prefix=None)
    dataset.SOPClassUID = DICOSThreatDetectionReportStorage
    dataset.SOPInstanceUID = generate_uid(prefix=None)
    dataset.ReferencedStudySequence = Items([_reference(origin.objects[0][0], origin.scan_uid)])


def _algorithm(inspection: Inspection) -> list[str]:
    """Return who decided: maker, version, then ``-key=value``; nothing longer than LO allows."""
    model, provider = inspection.model, inspection.provider
    facts = {
        "model": model.name,
        "bundle": model.sha256[:32],
        "level": str(inspection.level),
        "device": provider.device,
        "provider": provider.used[0] if provider.used else "unknown",
    }
    texts = ["nii", model.version, *(f"-{key}={value}" for key, value in facts.items())]
    return [plain(text[:_MOST_FACTS], "LO") for text in texts]


def _threat(region: Region, origin: Origin, ended: datetime, total_ms: float) -> Dataset:
    item = Dataset()
    item.PotentialThreatObjectID = region.number
    item.PTORepresentationSequence = Items([_representation(region, origin)])
    item.ATDAssessmentSequence = Items([_assessment(region)])
    started = ended - timedelta(milliseconds=total_ms)
    item.add_new(_PTO_START, "DT", _moment(started))
    item.add_new(_PTO_END, "DT", _moment(ended))
    item.add_new(_PTO_MS, "FL", total_ms)
    return item


def _representation(region: Region, origin: Origin) -> Dataset:
    """Return where a region lies: pixels of its box, mask of its outline, outline."""
    x0, y0 = (int(np.floor(value)) for value in region.box_xyxy[:2])
    x1, y1 = (int(np.ceil(value)) for value in region.box_xyxy[2:])
    corners = region.contour_xy or ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    points = np.asarray(corners, np.float64) - (x0 + 0.5, y0 + 0.5)
    cv2.fillPoly(mask, [np.rint(points).astype(np.int32)], 1)
    roi = Dataset()
    roi.ThreatROIBase = [x0, y0, 0]
    roi.ThreatROIExtents = [x1 - x0, y1 - y0, 1]
    roi.ThreatROIBitmap = bitmap(mask)
    item = Dataset()
    item.ReferencedInstanceSequence = Items([_reference(*pair) for pair in origin.objects])
    item.ThreatROIVoxelSequence = Items([roi])
    item.BoundingPolygon = [value for x, y in corners for value in (x, y, 0)]
    return item


def _assessment(region: Region) -> Dataset:
    item = Dataset()
    item.ThreatCategory = taxonomy.by_name(region.class_name).dicos
    item.ThreatCategoryDescription = f"{region.class_name}: {region.label}; {region.position}"
    item.ATDAbilityAssessment = "NO_INTERFERENCE"
    item.ATDAssessmentFlag = _FLAGS[region.level]
    item.ATDAssessmentProbability = region.score
    return item


def _reference(sop_class: str, instance: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = UID(sop_class), UID(instance)
    return item


def _meta(dataset: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.add_new(_VERSION_IN_META, "CS", "V03")
    return meta


def _uid_of(seed: str, what: str) -> str:
    """Return a UID that follows from a text (DICOM PS3.5, annex B.2; RFC 9562, version 5)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_URL, f'urn:nii:{what}:{seed}').int}"


def _moment(at: datetime) -> str:
    """Return a date with time and zone (DT)."""
    return f"{at:%Y%m%d%H%M%S.%f%z}"[:26]


def _header(path: Path) -> Dataset | None:
    """Return the elements of a DX object before its pixels, None of a file that is no DICOS."""
    if load_head(path, _MAGIC_AT + 4)[_MAGIC_AT:] != b"DICM":
        return None
    with decoding(path, "DICOS header"):
        return pydicom.dcmread(path, stop_before_pixels=True)
