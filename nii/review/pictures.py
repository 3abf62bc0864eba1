"""Scans as 8-bit pictures for the browser: drawn once, then kept beside the store.

The picture is for orientation: 16 bits and two energies do not fit into 8 bits of grey. It shows
darkness as half attenuation, half its square root, so that light goods do not fade beside axles.
"""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from jaxtyping import UInt8

from nii import formats
from nii.scan import Grey, Scan
from nii.store import scans
from nii.store.database import Store

Size = Literal["picture", "thumbnail"]
WIDEST_PX: dict[Size, int] = {"picture": 4096, "thumbnail": 480}
"""Widest picture of each size; a browser on any machine draws 4096 pixels."""
_FLOOR = 1.0 / 65535.0
"""One step of 16 bits: the smallest transmission told apart from nothing."""
_DARKEST_SHARE = 99.8
"""Percentile of attenuation that becomes black: assumption, spares a few dead pixels."""
_LEAST_SPAN = 1.5
"""Attenuation that is black at least, so that noise in an empty scan is not blown up."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Draw pictures of stored scans, one at a time, and keep them in a folder."""

    store: Store
    folder: Path
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def get(self, scan_sha256: str, size: Size) -> bytes | None:
        """Return a PNG of the scan, or None if the store does not know it.

        Raises:
            NiiError: the kept files are missing, altered or cannot be read as a scan.
        """
        kept = scans.get(self.store, scan_sha256)
        if kept is None:
            return None
        path = self.folder / f"{kept.sha256}-{size}.png"
        with self._one_at_a_time:
            if not path.exists():
                with scans.original_files(self.store, kept) as files:
                    scan = formats.read(files)
                grey = grey_picture(scan)
                for each, widest in WIDEST_PX.items():
                    _write(self.folder / f"{kept.sha256}-{each}.png", shrink(grey, widest))
        return path.read_bytes()


def grey_picture(scan: Scan) -> UInt8[np.ndarray, "height width"]:
    """Return the scan at its highest energy as grey values: air 255, darkest 0."""
    image = scan.transmission[0]
    if scan.grey is Grey.DISPLAY:
        return np.asarray(np.rint(np.clip(image, 0, 1) * 255), np.uint8)
    attenuation = np.maximum(-np.log(np.maximum(image, np.float32(_FLOOR))), 0)
    span = max(float(np.percentile(attenuation[::4, ::4], _DARKEST_SHARE)), _LEAST_SPAN)
    share = np.minimum(attenuation / np.float32(span), 1)
    return np.asarray(np.rint(255 - 127.5 * (share + np.sqrt(share))), np.uint8)


def shrink(
    grey: UInt8[np.ndarray, "height width"], widest: int
) -> UInt8[np.ndarray, "small_height small_width"]:
    """Return the picture at most `widest` pixels wide, its proportions kept."""
    height, width = grey.shape
    if width <= widest:
        return grey
    size = (widest, max(1, round(height * widest / width)))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def _write(path: Path, grey: UInt8[np.ndarray, "height width"]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _, png = cv2.imencode(".png", grey, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".drawing-") as folder:
        temporary = Path(folder) / path.name
        temporary.write_bytes(png.tobytes())  # no fsync: a lost picture is drawn again
        temporary.replace(path)
