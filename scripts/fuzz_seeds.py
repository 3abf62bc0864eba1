"""Good files of every format, small, for scripts/fuzz_formats.py to damage."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import tifffile
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from nii import formats
from nii.infer.overlay import palette_png
from nii.provenance import sha256_of_bytes
from nii.scan import Grey, Scan

Files = tuple[tuple[str, bytes], ...]


def written(scan: Scan, name: str) -> Files:
    """Return the files of a scan as nii writes them."""
    with tempfile.TemporaryDirectory() as folder:
        paths = formats.write(scan, Path(folder, name))
        return tuple((path.name, path.read_bytes()) for path in paths)


def scans() -> dict[str, Scan]:
    """Return small scans: two energies with all facts, one to four energies, a picture."""
    rng = np.random.default_rng(1)
    smooth = np.linspace(0.01, 1, 40 * 56).reshape(1, 40, 56)
    many = (smooth * rng.uniform(0.7, 1, (4, 40, 56))).astype(np.float32)
    known = {"pixel_pitch_mm": (4.5, 3.7), "container_numbers": ("MSCU1234566",), "scanner": "L"}
    kinds = {str(count): Scan(many[:count]) for count in (1, 3, 4)}
    picture = Scan(np.rint(255 * many[:1]).astype(np.float32) / 255, grey=Grey.DISPLAY)
    return {"2": Scan(many[:2], endpoint_mev=(9.0, 6.0), **known), "display": picture, **kinds}  # type: ignore[arg-type]


def encoded(ending: str, image: np.ndarray, *options: int) -> Files:
    """Return a file as OpenCV writes it."""
    return ((f"scan{ending}", cv2.imencode(ending, image, options)[1].tobytes()),)


def tiffs(made: Mapping[str, Scan]) -> tuple[Files, ...]:
    """Return TIFF of every layout that is at hand."""
    levels = np.rint(60000 * made["2"].transmission).astype(np.uint16)
    grey = (levels[0] >> 8).astype(np.uint8)
    colour = cv2.applyColorMap(grey, cv2.COLORMAP_JET)
    found = [written(made[name], "scan.tiff") for name in ("1", "2", "display")]
    packed = (1, 5, 8, 32773)
    found += [encoded(".tiff", levels[0], cv2.IMWRITE_TIFF_COMPRESSION, n) for n in packed]
    found.append(encoded(".tiff", colour))
    wishes: tuple[tuple[np.ndarray, dict[str, Any]], ...] = (
        (levels, {"tile": (16, 16)}),
        (levels, {"compression": "zlib", "predictor": True, "rowsperstrip": 7}),
        (levels, {"planarconfig": "separate", "photometric": "minisblack"}),
        (made["2"].transmission, {}),
        (grey, {"photometric": "miniswhite"}),
    )
    for image, wish in wishes:
        for order in "<>":
            stream = io.BytesIO()
            with tifffile.TiffWriter(stream, byteorder=order, bigtiff=order == ">") as writer:
                writer.write(image, metadata=None, **wish)
            found.append((("scan.tiff", stream.getvalue()),))
    return tuple(found)


def pngs(made: Mapping[str, Scan]) -> tuple[Files, ...]:
    """Return PNG of 1 to 16 bits, 1 to 4 channels, and with a palette."""
    grey = np.rint(255 * made["display"].transmission[0]).astype(np.uint8)
    colour = cv2.applyColorMap(grey, cv2.COLORMAP_JET)
    table = np.arange(768).reshape(256, 3).astype(np.uint8)
    return (
        *(written(made[name], "scan.png") for name in ("1", "2", "3", "4", "display")),
        encoded(".png", grey),
        encoded(".png", colour),
        encoded(".png", cv2.cvtColor(colour, cv2.COLOR_BGR2BGRA)),
        encoded(".png", grey, cv2.IMWRITE_PNG_BILEVEL, 1),
        (("scan.png", palette_png(grey, table)),),
    )


def jpegs(made: Mapping[str, Scan]) -> tuple[Files, ...]:
    """Return JPEG: grey, colour, progressive, with restarts."""
    grey = np.rint(255 * made["display"].transmission[0]).astype(np.uint8)
    colour = cv2.applyColorMap(grey, cv2.COLORMAP_JET)
    return (
        written(made["display"], "scan.jpg"),
        encoded(".jpg", colour),
        encoded(".jpg", colour, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        encoded(".jpg", grey, cv2.IMWRITE_JPEG_RST_INTERVAL, 2, cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    )


def dicoses(made: Mapping[str, Scan]) -> tuple[Files, ...]:
    """Return DICOS of one to three energies, and of other syntaxes."""
    found = [written(made[name], "scan.dcs") for name in ("1", "2", "3", "display")]
    for name, syntax in (("1", ImplicitVRLittleEndian), ("1", ExplicitVRBigEndian)):
        found.append(recoded(written(made[name], "a.dcs")[0][1], syntax))
    found.append(recoded(written(made["1"], "a.dcs")[0][1], RLELossless))
    found.append(recoded(written(made["display"], "a.dcs")[0][1], JPEGBaseline8Bit))
    return tuple(found)


def recoded(content: bytes, syntax: pydicom.uid.UID) -> Files:
    """Return a DICOS object in another transfer syntax."""
    dataset = pydicom.dcmread(io.BytesIO(content))
    if syntax == RLELossless:
        dataset.compress(RLELossless)
    elif syntax == JPEGBaseline8Bit:
        picture = (dataset.pixel_array >> 8).astype(np.uint8)
        packed = cv2.imencode(".jpg", picture)[1].tobytes()
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit = 7
        dataset.PixelData = encapsulate([packed])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax
    else:
        if not syntax.is_little_endian:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
        dataset.file_meta.TransferSyntaxUID = syntax
    stream = io.BytesIO()
    implicit = {"implicit_vr": syntax.is_implicit_VR, "little_endian": syntax.is_little_endian}
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True, **implicit)
    return (("scan.dcs", stream.getvalue()),)


def bundle(folder: Path) -> Files:
    """Return a bundle whose model, which is far larger than all else, is a few bytes."""
    model = b"a model"
    card = json.loads((folder / "card.json").read_text("utf-8"))
    card["model_sha256"] = sha256_of_bytes(model)
    names = ("parity.json", "selftest.npz")
    content = tuple((name, (folder / name).read_bytes()) for name in names)
    return (*content, ("card.json", json.dumps(card).encode()), ("model.onnx", model))


def voc() -> bytes:
    """Return labels of one image as Pascal VOC."""
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20</ymax></bndbox>"
    size = "<size><width>56</width><height>40</height></size>"
    thing = f"<object><name>firearm</name>{box}</object>"
    return f"<annotation><filename>a.png</filename>{size}{thing}</annotation>".encode()


def coco() -> bytes:
    """Return labels of one image as COCO."""
    data = {
        "images": [{"id": 1, "file_name": "a.png", "width": 56, "height": 40, "seed": 3}],
        "categories": [{"id": 1, "name": "firearm"}, {"id": 2, "name": "container"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 29, 18], "iscrowd": 0},
            {"id": 2, "image_id": 1, "category_id": 2, "bbox": [0, 0, 56, 40], "load": "full"},
        ],
    }
    return json.dumps(data).encode()


def sidecars() -> tuple[Files, ...]:
    """Return facts beside a scan, as JSON and as XML."""
    facts = {"containerNumber": "MSCU1234566", "scanner": {"id": "L"}, "time": "2026-11-28T10:00Z"}
    xml = b"<a><containerNumber>MSCU1234566</containerNumber><b c='d'/></a>"
    return ((("a.json", json.dumps(facts).encode()),), (("a.xml", xml),))


def order() -> bytes:
    """Return a request of the Open Inference Protocol."""
    row = {"name": "d", "datatype": "FP32", "shape": [1, 1, 1, 2], "data": [1, 2]}
    return json.dumps({"id": "a", "inputs": [row], "outputs": [{"name": "m"}]}).encode()
