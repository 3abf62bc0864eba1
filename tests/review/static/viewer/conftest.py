"""A real browser on a page with the viewer, over a store with small scans."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from jaxtyping import UInt8, UInt16

import nii.review
from nii import formats
from nii.inspection import Inspection
from nii.scan import Grey, Scan
from nii.store import scans
from nii.store.database import open_folder

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from nii.review.pyramid import Pyramid
    from nii.review.tiles import Tiles

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[4]
STATIC = Path(nii.review.__file__).with_name("static")
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'"
)
WIDTH, HEIGHT = 900, 760
RESET = """document.activeElement.blur(); v.cancel(); v.cancel(); v.select(null); v.hover(null);
Object.assign(v.settings, {navigator: true, magnifier: false, regions: true});
if (v.other) await v.compare(null);
v.setBlind(false); v.reset(); events.length = 0;"""
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Viewer</title>
<link rel="stylesheet" href="/static/viewer.css"><link rel="stylesheet" href="/page.css"></head>
<body><main><h1>Scan</h1><div id="host" data-scan="/api/scans/{sha256}/viewer.json"
data-inspection="/marks/{sha256}"></div><label>Text <input id="field"></label></main>
<script type="module" src="/page.js"></script></body></html>"""
STYLE = (
    "html,body{margin:0;background:#121518;color:#fff}h1{font-size:1px;margin:0}#host{height:700px}"
)
SCRIPT = """import {openViewer} from "/static/viewer/viewer.js";
window.events = [];
for (const name of ["ready", "toggle", "select", "box", "unbox", "error"])
  addEventListener("nii:" + name, (event) => events.push([name, event.detail]));
const opened = openViewer(document.getElementById("host"));
opened.then((viewer) => (window.v = viewer), (error) => (window.failed = error.stack));
"""


def ramp() -> np.ndarray:
    """Return every 16-bit level once, neighbours in a row differing in the low byte only."""
    return np.arange(65536, dtype=np.uint16).reshape(1, 256, 256)


def speck() -> np.ndarray:
    """Return a large even scan of two energies with one dense pixel."""
    levels = np.full((2, 1200, 2900), 52000, np.uint16)
    levels[:, 700, 1501] = 900
    return levels


def write_scans(folder: Path) -> dict[str, tuple[Path, ...]]:
    """Write the scans of the tests and return their files by name."""
    rng = np.random.default_rng(7)
    noise = rng.integers(1, 65536, (2, 600, 1100), dtype=np.uint16)
    steps = np.repeat(np.arange(0, 64, dtype=np.uint16), 16)[None, None] * 900 + 4000
    levels = {
        "ramp": ramp(),
        "speck": speck(),
        "noise": noise,
        "steps": np.broadcast_to(steps, (1, 300, 1024)),
    }
    files = {}
    for name, values in levels.items():
        ends = (9.0, 6.0)[: len(values)]
        numbers = np.divide(values, np.float32(65535), dtype=np.float32)
        scan = Scan(numbers, endpoint_mev=ends, pixel_pitch_mm=(5.0, 5.0), scanner="test")
        files[name] = formats.write(scan, folder / f"{name}.tif")
    greys = rng.integers(0, 256, (1, 200, 300)).astype(np.float32) / np.float32(255)
    files["display"] = formats.write(Scan(greys, grey=Grey.DISPLAY), folder / "display.png")
    files["mixed"] = (ROOT / "data" / "samples" / "mixed_load.png",)
    goods = formats.read(files["mixed"]).part(slice(0, 460), slice(0, 800))
    files["goods"] = formats.write(replace(goods, pixel_pitch_mm=None), folder / "goods.tif")
    return files


@dataclass(frozen=True, slots=True)
class Site:
    """Where the pages are, and the digest of each scan by its name."""

    address: str
    scans: dict[str, str]
    tiles: Tiles


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Serve pages with the viewer from a store of small scans, on a free port."""
    uvicorn = pytest.importorskip("uvicorn")

    from nii.review.tiles import Tiles

    folder = tmp_path_factory.mktemp("viewer")
    store = open_folder(folder / "store")
    digests = {}
    for name, files in write_scans(folder).items():
        kept = scans.keep(store, files)
        with store.write() as connection:
            scans.register(connection, kept, NOON)
        digests[name] = kept.sha256
    tiles_ = Tiles(store, folder / "pyramids")
    app = pages(digests)
    app.state.tiles = tiles_
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield Site(f"http://127.0.0.1:{listening.getsockname()[1]}", digests, tiles_)
        server.should_exit = True
        thread.join(20)
    tiles_.close()
    store.close()


def pages(digests: dict[str, str]) -> Any:  # noqa: ANN401 - Starlette may be absent
    """Return the app that stands for the page around the viewer."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, JSONResponse, Response
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    from nii.review import tiles, viewer

    example = json.loads((ROOT / "tests" / "store" / "inspection.json").read_text("utf-8"))
    inspection = Inspection.from_json(example)

    def page(request: Request) -> Response:
        text = PAGE.replace("{sha256}", request.path_params["sha256"])
        return HTMLResponse(text, headers={"Content-Security-Policy": POLICY})

    def marks(request: Request) -> Response:
        here = request.path_params["sha256"]
        boxes = [viewer.DrawnBox(5, (10.0, 10.0, 40.0, 30.0), "look <b>here</b>", "Officer A")]
        others = [
            viewer.OtherScan(name, digest)
            for name, digest in digests.items()
            if digest != here and name in {"mixed", "steps"}
        ]
        outline = ((205.0, 31.0), (228.0, 33.0), (215.0, 44.0))
        first = replace(inspection.regions[0], contour_xy=outline)
        whole = replace(inspection, regions=(first, *inspection.regions[1:]))
        return JSONResponse(viewer.document(whole, boxes=boxes, others=others))

    return Starlette(
        routes=[
            Mount("/api/scans", routes=tiles.routes()),
            Mount("/static", StaticFiles(directory=STATIC)),
            Route("/marks/{sha256}", marks),
            Route("/page.css", lambda _: Response(STYLE, media_type="text/css")),
            Route("/page.js", lambda _: Response(SCRIPT, media_type="text/javascript")),
            Route("/{sha256}", page),
        ]
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start the installed Chromium, its graphics in software.

    For one module: while it is open, Playwright's event loop runs in this process, and no test of
    another module could start one.
    """
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield opened
        opened.close()


@dataclass(slots=True)
class Desk:
    """A page with an open viewer, what the tests ask it, and what it should show."""

    page: Page
    problems: list[str]
    pyramid: Pyramid

    def levels(self, energy: int = 0) -> UInt16[np.ndarray, "height width"]:
        """Return the levels of the scan at full size."""
        return self.pyramid.levels[0].mean[energy]

    def look(self, **settings: object) -> None:
        """Set how the scan is looked at; by itself, levels 0 to 65535 are shown in a line."""
        chosen = {"curve": "linear", "low": 0, "high": 65535} | settings
        self.run(f"Object.assign(v.look, {json.dumps(chosen)}); v.refill();")

    def place(self, x: float, y: float, scale: float = 1) -> None:
        """Put a place of the scan into the middle, with so many screen pixels a scan pixel."""
        self.run(f"Object.assign(v.view, {{cx: {x}, cy: {y}, scale: {scale}}}); v.refill();")

    def at_actual_size(self) -> None:
        """Show one screen pixel a scan pixel, the scan in the middle."""
        self.run("v.fit(); v.actualSize();")

    def run(self, script: str) -> Any:  # noqa: ANN401 - whatever the script returns
        """Run a script with the viewer as `v`, and wait until all is drawn."""
        return self.page.evaluate(
            "async () => { const r = await (async () => {" + script + "})(); "
            "await v.settled(); return r; }"
        )

    def pixels(self) -> UInt8[np.ndarray, "height width 3"]:
        """Return what is seen, read back from the graphics, without what lies over it."""
        width, height, text = self.page.evaluate(
            """async () => {
              await v.settled();
              const {width, height, rgba} = v.snapshot();
              let text = "";
              for (let i = 0; i < rgba.length; i += 32768)
                text += String.fromCharCode(...rgba.subarray(i, i + 32768));
              return [width, height, btoa(text)];
            }"""
        )
        pixels = np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)
        return np.ascontiguousarray(pixels[..., :3])

    def scan_pixels(self) -> UInt8[np.ndarray, "rows columns 3"]:
        """Return the part of what is seen that the scan covers."""
        box = self.page.evaluate(
            """() => {
              const a = v.view.toScreen(0, 0), b = v.view.toScreen(v.view.width, v.view.height);
              const least = [0, 1].map((i) => Math.min(a[i], b[i]));
              return [...least, ...[0, 1].map((i) => Math.max(a[i], b[i]))];
            }"""
        )
        seen = self.pixels()
        x0, y0, x1, y1 = (round(edge) for edge in box)
        assert 0 <= x0 < x1 <= seen.shape[1], "the scan does not fit"
        assert 0 <= y0 < y1 <= seen.shape[0], "the scan does not fit"
        return seen[y0:y1, x0:x1]

    def grey(self) -> UInt8[np.ndarray, "rows columns"]:
        """Return the same as one grey channel, which all three must be."""
        seen = self.scan_pixels()
        assert (seen == seen[..., :1]).all()
        return seen[..., 0]

    def events(self, kind: str) -> list[Any]:
        """Return what the page was told under this name, oldest first."""
        told = self.page.evaluate("() => window.events")
        return [detail for name, detail in told if name == kind]

    def screen(self, x: float, y: float) -> tuple[float, float]:
        """Return where a place of the scan lies on the page, in CSS pixels."""
        place = self.page.evaluate(
            """([x, y]) => {
              const at = v.canvas.getBoundingClientRect(), p = v.view.toScreen(x, y);
              return [at.left + p[0] / v.ratio, at.top + p[1] / v.ratio];
            }""",
            [x, y],
        )
        return float(place[0]), float(place[1])


@pytest.fixture(scope="module")
def desks(browser: Browser, site: Site) -> Iterator[dict[str, Desk]]:  # noqa: ARG001 - outlive it
    """Keep one page for each scan; opening a page is what takes time."""
    opened: dict[str, Desk] = {}
    yield opened
    for desk in opened.values():
        desk.page.close()


@pytest.fixture
def desk(
    request: pytest.FixtureRequest, desks: dict[str, Desk], browser: Browser, site: Site
) -> Desk:
    """Give the viewer with the scan that the test's parameter names, as if just opened."""
    name = getattr(request, "param", "noise")
    if name not in desks:
        desks[name] = open_desk(browser, site, name)
    found = desks[name]
    found.run(RESET)
    found.problems.clear()
    return found


def open_desk(browser: Browser, site: Site, name: str, **context: Any) -> Desk:  # noqa: ANN401
    """Open a page with the viewer on one scan."""
    settings = {"viewport": {"width": WIDTH, "height": HEIGHT}} | context
    page = browser.new_page(**settings)
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{site.address}/{site.scans[name]}")
    until = time.monotonic() + 60
    while not page.evaluate("() => Boolean(window.v || window.failed)"):
        assert time.monotonic() < until, problems
        page.wait_for_timeout(50)
    assert not page.evaluate("() => window.failed ?? null"), problems
    found = site.tiles.pyramid(site.scans[name])
    assert found is not None
    return Desk(page, problems, found)


@pytest.fixture
def open_page(browser: Browser, site: Site) -> Iterator[Callable[..., Desk]]:
    """Give a function that opens a page of its own on a scan, closed after the test."""
    opened: list[Desk] = []

    def open_one(name: str, **context: Any) -> Desk:  # noqa: ANN401 - as Playwright takes them
        opened.append(open_desk(browser, site, name, **context))
        return opened[-1]

    yield open_one
    for desk in opened:
        desk.page.close()
