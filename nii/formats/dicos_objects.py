"""DICOS: Digital X-ray objects (DX), one file an energy, joined by their Scan Instance UID.

Reference:
    NEMA IIC 1 v03-2022 (DICOS); DICOM PS3.5 (encoding) and PS3.10 (files).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
from jaxtyping import Float32, Shaped
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset, read_preamble
from pydicom.pixels.decoders.base import get_decoder
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, DICOSThreatDetectionReportStorage, ExplicitVRBigEndian, RLELossless

from nii.errors import ScanFormatError
from nii.formats import dicos_dx
from nii.formats.dicos import Identity
from nii.formats.display import GREY_CURVE
from nii.formats.facts import (
    HIGHEST_FIRST,
    WHITE,
    Facts,
    assemble,
    assemble_stored,
    from_levels,
    from_text,
    noted,
)
from nii.formats.files import broken, decoding, load, load_head, save
from nii.formats.limits import Limits
from nii.scan import Grey, Scan, StoredScan

_HEAD_BYTES = 1 << 20  # assumption: the identity of an object stands in its first megabyte
_DEFLATED = "1.2.840.10008.1.2.1.99"  # unpacks without bound before a single element is known
_RLE_MOST = 64  # the highest ratio of run-length coding
_PRIVATE = Tag(dicos_dx.PRIVATE_GROUP, 0x1000 | dicos_dx.PRIVATE_ELEMENT)
_ENERGY_KINDS = (dicos_dx.HIGH, dicos_dx.LOW, dicos_dx.SINGLE, dicos_dx.MULTI)
_WANTED = (
    "SpecificCharacterSet",
    "ImageType",
    "SOPClassUID",
    "StudyDate",
    "StudyTime",
    "TimezoneOffsetFromUTC",
    "PresentationIntentType",
    "ManufacturerModelName",
    "PatientID",
    "OtherPatientIDs",
    "KVP",
    "ImagerPixelSpacing",
    "StudyInstanceUID",
    "InstanceNumber",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "PixelIntensityRelationship",
    "PixelIntensityRelationshipSign",
    "RescaleIntercept",
    "RescaleSlope",
    "PixelData",
)


@dataclass(frozen=True, slots=True)
class _Object:
    """What one DX object says, its pixels not yet decoded."""

    path: Path
    dataset: Dataset
    scan_uid: str
    syntax: UID
    packed: bytes
    kind: str
    kilovolts: float
    instance: int
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    photometric: str
    intent: str
    relationship: str
    sign: int

    @property
    def display(self) -> bool:
        """Tell a picture for the eye, or one whose grey curve is not linear."""
        return self.intent == dicos_dx.PRESENTATION or self.relationship != "LIN"

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows, self.columns

    @property
    def is_plain(self) -> bool:
        """Tell 16-bit levels that are proportional to the signal and lie open in the file."""
        deep = self.bits_allocated == self.bits_stored == 16  # noqa: PLR2004
        return deep and not self.display and self.sign >= 0 and not self.syntax.is_compressed


def identity(path: Path) -> Identity:
    """Return which scan a file belongs to, reading no further than the UID of the scan."""
    last = Tag("StudyInstanceUID")

    def beyond(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        return int(tag) > int(last)

    try:
        with decoding(path, "DICOS header"):
            dataset = _dataset(path, load_head(path, _HEAD_BYTES), beyond)
            uid = str(dataset.get("StudyInstanceUID", "")) or None
            sop_class = str(dataset.get("SOPClassUID", ""))
            types = {str(value).strip() for value in _many(dataset, "ImageType")}
    except ScanFormatError:
        return Identity(None, report=False)
    half = bool(types & {dicos_dx.HIGH, dicos_dx.LOW})
    return Identity(uid, report=sop_class == DICOSThreatDetectionReportStorage, half=half)


def read(paths: tuple[Path, ...], limits: Limits) -> Scan:
    """Read all objects of one scan.

    Raises:
        ScanFormatError: an object is damaged, too large or no DX image; the objects differ in
            size or scan; or two have the same energy.
    """
    objects, steps = _objects(paths, limits)
    first = objects[0]
    stored = _private_facts(first)
    display = first.display if stored is None else stored.grey is Grey.DISPLAY
    transmission = np.empty((len(objects), *first.shape), np.float32)
    for energy, item in enumerate(objects):
        transmission[energy], more = _transmission(item, stored, display=display)
        steps += tuple(step for step in more if step not in steps)
    facts, more = _all_facts(objects, stored)
    facts = replace(facts, grey=Grey.DISPLAY if display else Grey.TRANSMISSION)
    return assemble(first.path, transmission, noted(facts, (*steps, *more)))


def read_stored(paths: tuple[Path, ...], limits: Limits) -> StoredScan | None:
    """Read all objects of one scan without making numbers of their levels.

    Returns:
        The scan, or None where its pixels do not lie in the files as they are needed: 16 bits
        proportional to the signal, not compressed.

    Raises:
        ScanFormatError: as :func:`read`.
    """
    objects, steps = _objects(paths, limits)
    first = objects[0]
    stored = _private_facts(first)
    if not all(item.is_plain for item in objects) or (stored and stored.grey is Grey.DISPLAY):
        return None
    facts, more = _all_facts(objects, stored)
    if stored is None:
        steps += (_assumed_white(WHITE),)
    facts = replace(facts, open_beam=stored.open_beam if stored else WHITE)
    levels = tuple(_levels(item) for item in objects)
    return assemble_stored(first.path, levels, noted(facts, (*steps, *more)))


def _objects(paths: tuple[Path, ...], limits: Limits) -> tuple[list[_Object], tuple[str, ...]]:
    """Return the objects of a scan by falling energy, and the steps to note."""
    if not paths:
        raise broken(Path("scan"), "DICOS scan", "no file")
    limits.check_image(paths[0], 1, 1, len(paths))
    objects, steps = _of_energy([_object(path, limits) for path in paths])
    objects, more = _ordered(objects)
    return objects, steps + more


def _all_facts(objects: list[_Object], stored: Facts | None) -> tuple[Facts, tuple[str, ...]]:
    public = _public_facts(objects)
    return (public, ()) if stored is None else _merged(stored, public)


def _assumed_white(white: int) -> str:
    return f"assumed that level {white} is the open beam"


def write(scan: Scan, path: Path) -> tuple[Path, ...]:
    """Write one DX object an energy and return their files.

    Raises:
        ScanFormatError: the scan is not normalised, or larger than DICOS allows.
    """
    datasets = dicos_dx.datasets(scan, path)
    files = tuple(dicos_dx.file_names(path, len(datasets)))
    for file, dataset in zip(files, datasets, strict=True):
        stream = io.BytesIO()
        pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
        save(file, stream.getvalue())
    return files


def _unfit(path: Path, found: str, expected: str, remedy: str = "") -> ScanFormatError:
    remedy = remedy or "Export the scan as DICOS DX, 16-bit MONOCHROME2, one object an energy."
    return ScanFormatError(path, found=found, expected=expected, remedy=remedy)


def _dataset(
    path: Path, data: bytes, stop: Callable[[BaseTag, str | None, int], bool] | None = None
) -> Dataset:
    """Return the wanted elements; call it inside :func:`decoding`."""
    stream = io.BytesIO(data)
    read_preamble(stream, force=False)
    meta = read_dataset(stream, is_implicit_VR=False, is_little_endian=True, stop_when=_after_meta)
    syntax = UID(str(meta.get("TransferSyntaxUID", "")))
    if not syntax.is_transfer_syntax or syntax == _DEFLATED:
        raise _unfit(path, f"transfer syntax {syntax or 'missing'}", "a syntax of plain elements")
    dataset = read_dataset(
        stream,
        is_implicit_VR=syntax.is_implicit_VR,
        is_little_endian=syntax.is_little_endian,
        stop_when=stop,
        specific_tags=[*map(Tag, _WANTED), _PRIVATE, Tag(dicos_dx.PRIVATE_GROUP, 0x10)],
    )
    dataset.file_meta = FileMetaDataset(meta)
    return dataset


def _after_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag.group != 2  # noqa: PLR2004 - the group of file meta information


def _object(path: Path, limits: Limits) -> _Object:
    """Read and check the elements of one file."""
    data = load(path, limits)
    with decoding(path, "DICOS elements"):
        dataset = _dataset(path, data)
        types = [str(value).strip() for value in _many(dataset, "ImageType")]
        found = _Object(
            path=path,
            dataset=dataset,
            scan_uid=str(dataset.get("StudyInstanceUID", "")),
            syntax=UID(str(dataset.file_meta.TransferSyntaxUID)),
            packed=bytes(dataset.get("PixelData") or b""),
            kind=next((value for value in types if value in _ENERGY_KINDS), "/".join(types[1:])),
            kilovolts=float(dataset.get("KVP") or 0),
            instance=int(dataset.get("InstanceNumber") or 0),
            rows=int(dataset.get("Rows") or 0),
            columns=int(dataset.get("Columns") or 0),
            bits_allocated=int(dataset.get("BitsAllocated") or 0),
            bits_stored=int(dataset.get("BitsStored") or 0),
            photometric=str(dataset.get("PhotometricInterpretation", "")),
            intent=str(dataset.get("PresentationIntentType", "")),
            relationship=str(dataset.get("PixelIntensityRelationship", "LIN") or "LIN"),
            sign=int(dataset.get("PixelIntensityRelationshipSign") or 1),
        )
        _check(found)
    limits.check_image(path, found.rows, found.columns)
    return found


def _many(dataset: Dataset, keyword: str) -> list[object]:
    value = dataset.get(keyword)
    if value is None or value == "":
        return []
    return [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)


def _check(item: _Object) -> None:
    """Refuse what is no grey image of 8 or 16 bits."""
    get, path = item.dataset.get, item.path
    if "PixelData" not in item.dataset:
        found = f"no pixel data (SOP class {UID(str(get('SOPClassUID', ''))).name or 'missing'})"
        raise _unfit(path, found, "a DX image")
    bits = item.bits_allocated
    if bits not in {8, 16} or not bits // 2 < item.bits_stored <= bits:
        raise _unfit(path, f"{item.bits_stored} of {bits} bits", "16 bits, or 8")
    depth = (int(get("SamplesPerPixel") or 1), int(get("PixelRepresentation") or 0))
    frames = int(get("NumberOfFrames") or 1)
    if depth != (1, 0) or frames != 1 or not item.photometric.startswith("MONOCHROME"):
        found = f"{frames} frames of {depth[0]} samples ({item.photometric}), signed: {depth[1]}"
        raise _unfit(path, found, "one frame of unsigned grey")
    scale = (float(get("RescaleSlope") or 1), float(get("RescaleIntercept") or 0))
    if scale != (1.0, 0.0):
        found = f"rescale slope {scale[0]:g} and intercept {scale[1]:g}"
        raise _unfit(path, found, "1 and 0, as DICOS V03 demands")


def _of_energy(objects: list[_Object]) -> tuple[list[_Object], tuple[str, ...]]:
    """Leave out derived pictures (effective Z, density, …) that share the scan."""
    kept = [item for item in objects if item.kind in _ENERGY_KINDS]
    if not kept:
        return objects, ()
    derived = sorted(f"{i.path.name} ({i.kind})" for i in objects if i.kind not in _ENERGY_KINDS)
    return kept, tuple(f"{name} is derived and was left out" for name in derived)


def _ordered(objects: list[_Object]) -> tuple[list[_Object], tuple[str, ...]]:
    """Sort by falling energy and refuse objects that do not belong together."""
    first = objects[0]
    uids = {item.scan_uid for item in objects}
    kinds = sorted(item.kind for item in objects)
    if len(uids) > 1:
        raise _unfit(first.path, f"{len(uids)} Scan Instance UIDs", "one scan")
    for what, values in (
        ("size", {i.shape for i in objects}),
        ("use", {i.display for i in objects}),
    ):
        if len(values) > 1:
            found = f"objects of one scan that differ in {what}: {sorted(values)}"
            raise _unfit(first.path, found, "the same for every energy")
    if len(objects) == 1:
        lone = first.kind in {dicos_dx.HIGH, dicos_dx.LOW}
        return objects, (f"only the {first.kind} object of the scan was there",) if lone else ()
    if kinds == [dicos_dx.HIGH, dicos_dx.LOW]:
        return sorted(objects, key=lambda item: item.kind), ()
    known = all(item.kilovolts > 0 for item in objects)
    keys = [-item.kilovolts if known else item.instance for item in objects]
    if len(set(keys)) < len(keys):
        found = f"{len(objects)} objects ({', '.join(kinds)}), some of the same energy"
        raise _unfit(first.path, found, "one object an energy, told apart by KVP")
    order = np.argsort(keys)
    return [objects[index] for index in order], () if known else (HIGHEST_FIRST,)


def _transmission(
    item: _Object, stored: Facts | None, *, display: bool
) -> tuple[Float32[np.ndarray, "height width"], tuple[str, ...]]:
    """Decode the pixels of one object to transmission or display grey."""
    levels = _levels(item)
    white = (1 << item.bits_stored) - 1
    if item.bits_stored < levels.dtype.itemsize * 8:
        levels = levels & levels.dtype.type(white)  # the bits above may hold overlays
    steps: tuple[str, ...] = ()
    if item.photometric == "MONOCHROME1" if display else item.sign < 0:
        levels = white - levels
        steps += ("grey was inverted: high levels stand for low signal in the file",)
    if stored is not None:
        white = stored.open_beam
    elif display:
        steps += (GREY_CURVE,)
    else:
        steps += (_assumed_white(white),)
    return from_levels(levels, white), steps


def _levels(item: _Object) -> Shaped[np.ndarray, "height width"]:
    """Return the stored grey levels."""
    packed, syntax = len(item.packed), item.syntax
    size = item.rows * item.columns * (item.bits_allocated // 8)
    ratio = (_RLE_MOST if syntax == RLELossless else size) if syntax.is_compressed else 1
    if packed * ratio < size:
        raise broken(item.path, "DICOS pixels", f"{packed} bytes of {size}")
    if not syntax.is_compressed:
        order = ">" if syntax == ExplicitVRBigEndian else "<"
        dtype = np.dtype(f"{order}u{item.bits_allocated // 8}")
        return np.frombuffer(item.packed, dtype, item.rows * item.columns).reshape(item.shape)
    with decoding(item.path, f"DICOS pixels in {syntax.name}"):
        decoder = get_decoder(syntax)
        if not decoder.is_available:
            raise _unfit(
                item.path,
                f"pixels in {syntax.name}",
                "a transfer syntax without compression, or RLE Lossless",
                "Convert with dcmdjpeg or gdcmconv --raw, or install the package python-gdcm.",
            )
        levels = np.asarray(decoder.as_array(item.dataset, raw=True)[0])
    if levels.shape != item.shape or levels.dtype.kind != "u":
        raise broken(item.path, "DICOS pixels", f"{levels.dtype}{list(levels.shape)}")
    return levels


def _private_facts(item: _Object) -> Facts | None:
    """Return the facts that :mod:`nii` itself wrote, None in objects of others."""
    with decoding(item.path, "private element of the scan facts"):
        dataset, creator = item.dataset, Tag(dicos_dx.PRIVATE_GROUP, 0x10)
        if _PRIVATE not in dataset or creator not in dataset:
            return None
        if dataset[creator].value != dicos_dx.PRIVATE_CREATOR:
            return None
        value = dataset[_PRIVATE].value
        text = value.decode("utf-8") if isinstance(value, bytes) else str(value)
    return from_text(item.path, text)


def _public_facts(objects: list[_Object]) -> Facts:
    """Return what the public elements say; placeholders count as not known."""
    first = objects[0]
    endpoints = tuple(item.kilovolts / 1000 for item in objects)
    with decoding(first.path, "DICOS elements"):
        dataset = first.dataset
        ooi_id = str(dataset.get("PatientID") or "")
        spacing = [float(str(value)) for value in _many(dataset, "ImagerPixelSpacing")]
        return Facts(
            endpoint_mev=endpoints if min(endpoints) > 0 else None,
            pixel_pitch_mm=(spacing[0], spacing[1]) if len(spacing) == 2 else None,  # noqa: PLR2004
            scanner=str(dataset.get("ManufacturerModelName") or "") or None,
            acquired_at=_moment(dataset),
            container_numbers=(
                *((ooi_id,) if ooi_id not in {"", dicos_dx.UNKNOWN} else ()),
                *(str(value) for value in _many(dataset, "OtherPatientIDs")),
            ),
        )


def _moment(dataset: Dataset) -> datetime | None:
    """Return the time of the scan; None without a time zone, which is not guessed."""
    date, time = (str(dataset.get(key) or "").strip() for key in ("StudyDate", "StudyTime"))
    zone = str(dataset.get("TimezoneOffsetFromUTC") or "").strip()
    if not (date and time and zone):
        return None
    form = "%Y%m%d%H%M%S.%f%z" if "." in time else "%Y%m%d%H%M%S%z"
    return datetime.strptime(date + time + zone, form)  # noqa: DTZ007 - %z is in the form


def _merged(stored: Facts, public: Facts) -> tuple[Facts, tuple[str, ...]]:
    """Return the stored facts, except where somebody has changed the public elements since."""
    pitch, endpoints = stored.pixel_pitch_mm, stored.endpoint_mev
    shown = {
        "endpoint_mev": endpoints
        and tuple(float(dicos_dx.number(value * 1000)) / 1000 for value in endpoints),
        "pixel_pitch_mm": pitch and tuple(float(dicos_dx.number(value)) for value in pitch),
        "scanner": stored.scanner and dicos_dx.plain(stored.scanner, "LO"),
        "acquired_at": stored.acquired_at,
        "container_numbers": dicos_dx.ooi_ids(stored),
    }
    changed = {
        name: getattr(public, name)
        for name, value in shown.items()
        if value and getattr(public, name) and getattr(public, name) != value
    }
    steps = tuple(f"{name} was changed in the public elements after writing" for name in changed)
    return replace(stored, **changed), steps
