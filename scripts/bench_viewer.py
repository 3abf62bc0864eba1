"""How fast the viewer is: first whole view, window and level, moving; in a real browser.

    python scripts/bench_viewer.py [--own] [--height 3000] [--width 12000] [--chromium PATH]

Makes a dual-energy scan of that size from a sample scan, keeps it in a store, serves the routes of
the viewer from a process of their own, opens them in Chromium, its graphics in software:
all of them by SwiftShader, or with `--own` as Chromium does it where there is no graphics card.
Measures

* the first whole view, from opening the viewer to the last pixel drawn: with nothing prepared, and
  again in a new browser when the pyramid is on the disk;
* pictures a second while contrast is dragged, and while the scan is moved, by a mouse of 125 Hz;
* the processor time of the browser for one such picture, which other work on the machine changes
  less;
* the largest memory of the server.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import cv2
import numpy as np
import psutil

from nii import formats
from nii.scan import Scan
from nii.store import scans
from nii.store.database import open_folder

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[1]
OWN_FLAGS = ["--no-sandbox", "--enable-unsafe-swiftshader"]
"""As the browser itself does without a graphics card: SwiftShader draws the canvas, the processor
puts the page together."""
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
PAGE = """<!doctype html><html lang="en"><title>Viewer</title>
<link rel="stylesheet" href="/static/viewer.css"><link rel="stylesheet" href="/page.css">
<div id="host" data-scan="/api/scans/{sha256}/viewer.json" data-inspection="/labels"></div>
<script type="module" src="/page.js"></script></html>"""
STYLE = "html, body, #host { height: 100%; margin: 0 }"
SCRIPT = """import {openViewer} from "/static/viewer/viewer.js";
addEventListener("nii:ready", (event) => (window.ready = event.detail.milliseconds));
openViewer(document.getElementById("host")).then((viewer) => (window.v = viewer));
"""
FRAMES = """() => {
  const draw = v.engine.draw;
  window.times = [];
  v.engine.draw = (...given) => { draw.apply(v.engine, given); times.push(performance.now()); };
}"""
MOVES = """async () => {
  const at = v.canvas.getBoundingClientRect(), began = performance.now();
  const middle = [at.left + at.width / 2, at.top + at.height / 2];
  times.length = 0;
  while (times.length < 60 && performance.now() < began + 10000) {
    const angle = (performance.now() - began) / 160;
    const clientX = middle[0] + 90 * Math.sin(angle), clientY = middle[1] - 60 * Math.cos(angle);
    const moved = {pointerId: 1, bubbles: true, clientX, clientY};
    v.canvas.dispatchEvent(new PointerEvent("pointermove", moved));
    await new Promise((done) => setTimeout(done, 8));
  }
  return times;
}"""
"""Moves as a mouse of 125 Hz sends them. Those of the driver wait for one picture each."""


def main() -> None:
    """Make the scan, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--height", type=int, default=3000)
    parser.add_argument("--width", type=int, default=12_000)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--own", action="store_true", help="graphics as the browser chooses them")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(Path(options.serve[0]), int(options.serve[1]))
        return
    with tempfile.TemporaryDirectory(prefix="nii-bench-") as folder:
        result = measure(Path(folder), options)
    print(json.dumps(result, indent=2))


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return all measurements, with what they were made on."""
    digest, files = keep(folder, options.height, options.width)
    cores = os.cpu_count()
    result: dict[str, Any] = {
        "machine": f"{platform.processor() or platform.machine()}, {cores} cores",
        "load_before": os.getloadavg()[0],
        "scan": f"2 x {options.height} x {options.width}, {files[0].stat().st_size >> 20} MiB",
    }
    for name in ("nothing prepared", "pyramid on the disk"):
        with Server(folder) as server:
            result[name] = in_browser(server, digest, options, drag=name != "nothing prepared")
    return result


def keep(folder: Path, height: int, width: int) -> tuple[str, tuple[Path, ...]]:
    """Write a scan of this size, noise of its own on an enlarged sample, and keep it in a store."""
    sample = formats.read((ROOT / "data" / "samples" / "mixed_load.png",)).transmission
    rng = np.random.default_rng(1)
    image = np.empty((2, height, width), np.float32)
    for energy in (0, 1):
        cv2.resize(
            sample[energy], (width, height), dst=image[energy], interpolation=cv2.INTER_CUBIC
        )
        image[energy] += rng.normal(0, 0.005, (height, width)).astype(np.float32)
    scan = Scan(np.clip(image, 0, 1.05), endpoint_mev=(9.0, 6.0), pixel_pitch_mm=(1.0, 1.0))
    files = formats.write(scan, folder / "scan.tif")
    store = open_folder(folder / "store")
    kept = scans.keep(store, files)
    with store.write() as connection:
        scans.register(connection, kept, datetime.now(UTC))
    store.close()
    return kept.sha256, files


class Server:
    """The viewer's routes, served by a process of their own."""

    def __init__(self, folder: Path) -> None:
        """Choose a free port."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder = folder

    def __enter__(self) -> Self:
        """Start, and wait until it answers."""
        command = [sys.executable, __file__, "--serve", str(self.folder), str(self.port)]
        self.process = subprocess.Popen(command)  # noqa: S603 - ourselves
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.1)
        raise TimeoutError("the server did not start")

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.process.terminate()
        self.process.wait(60)

    def peak_mib(self) -> int:
        """Return the largest memory so far that was its own, files mapped into it left out."""
        status = Path(f"/proc/{self.process.pid}/status")
        if status.exists():
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
            return int(fields["VmHWM"].split()[0]) >> 10
        return psutil.Process(self.process.pid).memory_info().rss >> 20


def in_browser(
    server: Server, digest: str, options: argparse.Namespace, *, drag: bool
) -> dict[str, Any]:
    """Open the viewer in a new browser and return what was measured."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - not needed by the server

    with sync_playwright() as running:
        flags = OWN_FLAGS if options.own else FLAGS
        browser = running.chromium.launch(executable_path=options.chromium, args=flags)
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.goto(f"http://127.0.0.1:{server.port}/{digest}")
        for _ in range(1200):
            if page.evaluate("() => Boolean(window.v && window.ready)"):
                break
            page.wait_for_timeout(50)
        found: dict[str, Any] = {
            "browser": browser.version,
            "first view, ms": page.evaluate("() => ready"),
            "server, peak MiB": server.peak_mib(),
            "canvas": page.evaluate("() => `${v.canvas.width} x ${v.canvas.height}`"),
        }
        if drag:
            page.evaluate("() => v.settled()")
            page.evaluate(FRAMES)
            found["contrast drag, whole scan"] = dragged(page, "right")
            page.evaluate("async () => { v.zoom(1 / v.view.scale); await v.settled(); }")
            found["contrast drag at 1:1"] = dragged(page, "right")
            found["moving at 1:1"] = dragged(page, "left")
        browser.close()
    return found


def dragged(page: Page, button: Any) -> dict[str, float]:  # noqa: ANN401 - left or right
    """Drag the mouse in circles over the picture, and return pictures a second and the slowest."""
    page.mouse.move(700, 400)
    page.mouse.down(button=button)
    used = browser_seconds()
    times = page.evaluate(MOVES)
    used = browser_seconds() - used
    page.mouse.up(button=button)
    page.evaluate("() => v.settled()")
    steps = [later - earlier for earlier, later in itertools.pairwise(times)]
    return {
        "pictures a second": round(1000 * len(steps) / max(times[-1] - times[0], 1), 1),
        "slowest 5 %, ms": round(statistics.quantiles(steps, n=20)[-1], 1),
        "processor time a picture, ms": round(1000 * used / max(len(times), 1), 1),
    }


def browser_seconds() -> float:
    """Return the processor time that all processes of the browser have used so far."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            if "chrom" in process.name():
                times = process.cpu_times()
                total += times.user + times.system
        except psutil.Error:  # it ended meanwhile
            continue
    return total


def serve(folder: Path, port: int) -> None:
    """Serve the viewer's routes and a bare page, until stopped."""
    import uvicorn  # noqa: PLC0415 - not needed by the measurement
    from starlette.applications import Starlette  # noqa: PLC0415
    from starlette.responses import HTMLResponse, JSONResponse, Response  # noqa: PLC0415
    from starlette.routing import Mount, Route  # noqa: PLC0415
    from starlette.staticfiles import StaticFiles  # noqa: PLC0415

    from nii.review import tiles, viewer  # noqa: PLC0415

    store = open_folder(folder / "store")
    app = Starlette(
        routes=[
            Mount("/api/scans", routes=tiles.routes()),
            Mount("/static", StaticFiles(directory=ROOT / "nii" / "review" / "static")),
            Route("/labels", lambda _: JSONResponse({"labels": dict(viewer.TEXTS)})),
            Route("/page.css", lambda _: Response(STYLE, media_type="text/css")),
            Route("/page.js", lambda _: Response(SCRIPT, media_type="text/javascript")),
            Route(
                "/{sha256}",
                lambda asked: HTMLResponse(PAGE.replace("{sha256}", asked.path_params["sha256"])),
            ),
        ]
    )
    app.state.tiles = tiles.Tiles(store, folder / "pyramids")
    uvicorn.run(app, port=port, log_level="error")
    app.state.tiles.close()
    store.close()


if __name__ == "__main__":
    main()
