"""Tiles of scans for the viewer: raw 16-bit levels by HTTP, and the facts to read them by.

A tile is 512 pixels wide and high with two more on every side, which repeat the border of the scan
where there is nothing beyond it. Its body is little-endian 16-bit levels, row by row, the energies
of a pixel side by side; below full size the *least* picture follows the *mean* picture.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import zstandard
from jaxtyping import UInt16
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nii import formats
from nii.config import to_dict
from nii.errors import NiiError
from nii.physics import colour_table
from nii.review import pyramid
from nii.review.pyramid import Level, PixelFacts, Plane, Pyramid
from nii.store import scans
from nii.store.database import Store

TILE_PX = 512
APRON_PX = 2
FORM = f"{pyramid.FORM}.{colour_table.FORM}"
"""Part of every address, so that what a browser kept for ever belongs to this form."""
_HELD = 4
"""Pyramids that stay open; each is mapped into memory, not read."""
_PENDING = 2
"""Pyramids that may wait in memory for calm; more are written at once."""
_CALM_S, _LONGEST_S = 1.0, 10.0
"""What can wait is done once nobody asked for pixels for so long, at the latest after so long."""
_STEP_S = 0.05
_LOOPBACK = ("127.0.0.1", "::1")
_ZSTD_LEVEL = 1
_HEADERS = {"Cache-Control": "private, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Tiles:
    """Make, keep and cut the pyramids of stored scans.

    Attributes:
        store: where the scans are.
        folder: where their pyramids are kept.
        most_bytes: largest size of the folder; the pyramid not asked for longest goes first.
    """

    store: Store
    folder: Path
    most_bytes: int = 16 << 30
    _held: OrderedDict[str, Pyramid] = field(default_factory=OrderedDict)
    _asked: float = -_CALM_S
    _pending: dict[str, Pyramid] = field(default_factory=dict)
    _unable: set[str] = field(default_factory=set)
    _ahead: set[str] = field(default_factory=set)
    _closing: threading.Event = field(default_factory=threading.Event)
    _building: threading.Lock = field(default_factory=threading.Lock)
    _holding: threading.Lock = field(default_factory=threading.Lock)
    _writer: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="nii-pyramid")
    )

    def close(self) -> None:
        """Wait until what is being written is on the disk, and stop."""
        self._closing.set()
        self._writer.shutdown(wait=True)

    def pyramid(self, scan_sha256: str) -> Pyramid | None:
        """Return the pyramid of a scan, or None if the store does not know the scan.

        A new pyramid is given as soon as it is made; it is written to the disk afterwards.

        Raises:
            NiiError: the kept files are missing, altered or cannot be read as a scan.
        """
        self._asked = time.monotonic()
        return self._opened(scan_sha256)

    def prepare(self, scan_sha256: str) -> None:
        """Make the pyramid of a scan that will be looked at next, while nobody waits for pixels."""
        if self._closing.is_set() or scan_sha256 in self._unable:
            return
        if self._path(scan_sha256).exists():
            return
        with self._holding:  # each page of the queue asks for the same few
            if scan_sha256 in self._ahead:
                return
            self._ahead.add(scan_sha256)
        self._writer.submit(self._prepare, scan_sha256)

    def _prepare(self, scan_sha256: str) -> None:
        self._wait_for_calm()
        try:
            given_up = self._closing.is_set() or self._crowded()
            if not given_up and not self._path(scan_sha256).exists():
                self._opened(scan_sha256)
        except Exception as error:  # noqa: BLE001 - whoever opens the scan is told
            self._unable.add(scan_sha256)  # told once, not with each look at the queue
            _log.warning("the pyramid of a scan is not made ahead: %s", error)
        finally:
            self._ahead.discard(scan_sha256)

    def _wait_for_calm(self) -> None:
        """Wait until nobody asks for pixels: tiles of the scan on the screen come first."""
        end = time.monotonic() + _LONGEST_S
        while time.monotonic() < min(self._asked + _CALM_S, end) and not self._crowded():
            if self._closing.wait(_STEP_S):
                return

    def _crowded(self) -> bool:
        """Tell whether memory fills: each pyramid that is not on the disk yet is a whole scan."""
        return len(self._pending) > _PENDING

    def _opened(self, scan_sha256: str) -> Pyramid | None:
        found = self._found(scan_sha256)
        if found is not None:
            return found
        kept = scans.get(self.store, scan_sha256)
        if kept is None:
            return None
        with self._building:  # one at a time, for the sake of memory; others are shown meanwhile
            found = self._found(scan_sha256) or self._kept(scan_sha256)
            if found is None:
                with scans.original_files(self.store, kept) as files:
                    scan = formats.read_stored(files) or formats.read(files)
                found = pyramid.build(scan)
                self._write_later(scan_sha256, found)
            self._hold(scan_sha256, found)
        return found

    def _found(self, scan_sha256: str) -> Pyramid | None:
        with self._holding:
            if scan_sha256 in self._held:
                self._held.move_to_end(scan_sha256)
            return self._held.get(scan_sha256) or self._pending.get(scan_sha256)

    def _write_later(self, scan_sha256: str, made: Pyramid) -> None:
        with self._holding:
            self._pending[scan_sha256] = made
        self._writer.submit(self._write, scan_sha256, made)

    def _hold(self, scan_sha256: str, found: Pyramid) -> None:
        with self._holding:
            self._held[scan_sha256] = found
            self._held.move_to_end(scan_sha256)
            while len(self._held) > _HELD:
                self._held.popitem(last=False)

    def _path(self, scan_sha256: str) -> Path:
        return self.folder / f"{scan_sha256}.{pyramid.FORM}.pyramid"

    def _kept(self, scan_sha256: str) -> Pyramid | None:
        path = self._path(scan_sha256)
        try:
            found = pyramid.read(path)
            if found is not None:
                path.touch()
        except OSError as error:
            _log.warning("a kept pyramid cannot be read and is made anew: %s", error)
            return None
        return found

    def _write(self, scan_sha256: str, made: Pyramid) -> None:
        """Write a pyramid and go on with the one on the disk; without it if that fails."""
        self._wait_for_calm()
        path = self._path(scan_sha256)
        try:
            self._make_room(2 * sum(plane.size for plane in pyramid.all_planes(made)))
            pyramid.write(made, path)
            mapped = pyramid.read(path)
        except (OSError, NiiError) as error:
            _log.warning("the pyramid of a scan is not kept: %s", error)
            mapped = None
        with self._holding:
            self._pending.pop(scan_sha256, None)
            if mapped is not None and scan_sha256 in self._held:
                self._held[scan_sha256] = mapped

    def _make_room(self, wanted_bytes: int) -> None:
        """Delete the pyramids not asked for longest until the next one fits."""
        self.folder.mkdir(parents=True, exist_ok=True)
        files = sorted(self.folder.glob("*.pyramid"), key=lambda path: path.stat().st_mtime)
        left = self.most_bytes - wanted_bytes - sum(path.stat().st_size for path in files)
        for path in files:
            if left >= 0:
                return
            left += path.stat().st_size
            path.unlink(missing_ok=True)


def cut(level: Level, column: int, row: int) -> bytes:
    """Return the bytes of a tile; see the head of this module."""
    mean = _part(level.mean, column, row)
    if level.least is level.mean:
        return mean.tobytes()
    return mean.tobytes() + _part(level.least, column, row).tobytes()


def _part(
    planes: tuple[Plane, ...], column: int, row: int
) -> UInt16[np.ndarray, "rows columns *energy"]:
    """Return a tile with its apron, the energies of a pixel side by side."""
    height, width = planes[0].shape
    top, left = row * TILE_PX - APRON_PX, column * TILE_PX - APRON_PX
    bottom = min((row + 1) * TILE_PX, height) + APRON_PX
    right = min((column + 1) * TILE_PX, width) + APRON_PX
    inside = np.s_[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    beyond = max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0)
    parts = [np.ascontiguousarray(plane[inside], np.uint16) for plane in planes]
    if any(beyond):
        parts = [
            np.asarray(cv2.copyMakeBorder(part, *beyond, cv2.BORDER_REPLICATE)) for part in parts
        ]
    whole = parts[0] if len(parts) == 1 else np.asarray(cv2.merge(parts))
    return whole.astype("<u2", copy=False)


def viewer_json(request: Request) -> Response:
    """GET …/{sha256}/viewer.json: what the viewer must know to read the tiles."""
    sha256, found = _asked(request)
    tag = f'"{sha256}-{FORM}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    # Asked for anew each time: its addresses hold the form, which a newer program changes.
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    return JSONResponse(facts_json(sha256, found), headers=headers)


def facts_json(scan_sha256: str, found: Pyramid) -> dict[str, Any]:
    """Return the facts about a scan that the viewer asks for first."""
    facts = found.facts
    here = f"/api/scans/{scan_sha256}"
    known = to_dict(facts)
    del known["fan"]
    return {
        **known,
        "sha256": scan_sha256,
        "energies": facts.energies,
        "tile": TILE_PX,
        "apron": APRON_PX,
        "levels": [[level.width, level.height] for level in found.levels],
        "tiles": f"{here}/tiles/{FORM}",
        "materials": f"{here}/materials/{FORM}" if has_materials(facts) else None,
        "steel": colour_table.steel_mm(facts.endpoint_mev[0]) if facts.endpoint_mev else None,
    }


def has_materials(facts: PixelFacts) -> bool:
    """Tell whether materials can be told apart: two energies whose end-points are known."""
    return facts.endpoint_mev is not None and facts.energies > 1


def tile(request: Request) -> Response:
    """GET …/{sha256}/tiles/{form}/{level}/{column}/{row}: one tile."""
    sha256, found = _asked(request)
    level, column, row = (_number(request.path_params[key]) for key in ("level", "column", "row"))
    if request.path_params["form"] != FORM or level >= len(found.levels):
        raise HTTPException(404)
    chosen = found.levels[level]
    if column * TILE_PX >= chosen.width or row * TILE_PX >= chosen.height:
        raise HTTPException(404)
    tag = f"{sha256}-{FORM}-{level}-{column}-{row}"
    return _bytes(request, tag, lambda: cut(chosen, column, row))


def materials(request: Request) -> Response:
    """GET …/{sha256}/materials/{form}: colours and classes by a pair of attenuations."""
    sha256, found = _asked(request)
    ends = found.facts.endpoint_mev
    if request.path_params["form"] != FORM or ends is None or not has_materials(found.facts):
        raise HTTPException(404)
    noise = found.facts.air_noise or colour_table.USUAL_NOISE
    table = colour_table.make((ends[0], ends[1]), round(noise, 4))
    return _bytes(request, f"{sha256}-{FORM}-materials", table.to_bytes)


def routes(allow: Callable[[Request, str], bool] = lambda _request, _sha256: True) -> list[Route]:
    """Return the routes below ``/api/scans``; ``app.state.tiles`` holds the :class:`Tiles`.

    Args:
        allow: tells whether who asks may see the scan; if not, there is none for them.
    """

    def guarded(handler: Callable[[Request], Response]) -> Callable[[Request], Response]:
        def handle(request: Request) -> Response:
            if not allow(request, request.path_params["sha256"]):
                raise HTTPException(404)
            return handler(request)

        return handle

    return [
        Route("/{sha256}/viewer.json", guarded(viewer_json)),
        Route("/{sha256}/materials/{form}", guarded(materials)),
        Route("/{sha256}/tiles/{form}/{level}/{column}/{row}", guarded(tile)),
    ]


def _asked(request: Request) -> tuple[str, Pyramid]:
    sha256 = request.path_params["sha256"]
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise HTTPException(404)
    tiles: Tiles = request.app.state.tiles
    found = tiles.pyramid(sha256)
    if found is None:
        raise HTTPException(404)
    return sha256, found


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text):
        raise HTTPException(404)
    return int(text)


def _bytes(request: Request, tag: str, make: Callable[[], bytes]) -> Response:
    """Answer with bytes that never change under their address, packed where a network is near."""
    packed = _wants_packed(request)
    headers = {**_HEADERS, "ETag": f'"{tag}{"-zstd" if packed else ""}"'}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    body = make()
    if packed:
        body = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(body)
        headers["Content-Encoding"] = "zstd"
    return Response(body, media_type="application/octet-stream", headers=headers)


def _wants_packed(request: Request) -> bool:
    """Tell whether the answer crosses a network, and whoever asks can unpack it."""
    accepted = {
        part.strip().partition(";")[0].strip().lower()
        for part in request.headers.get("accept-encoding", "").split(",")
        if not re.search(r";\s*q\s*=\s*0(\.0*)?\s*$", part)
    }
    far = request.client is not None and request.client.host not in _LOOPBACK
    return far and "zstd" in accepted
