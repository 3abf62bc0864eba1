"""Make the pictures of docs/viewer.md: the viewer in a real browser, on simulated sample scans.

    python scripts/make_viewer_pictures.py [--chromium /usr/bin/chromium] [--out docs/images]

What is highlighted on them is the truth of the simulation, not what a model found.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from bench_viewer import FLAGS, PAGE, SCRIPT, STYLE
from playwright.sync_api import sync_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from nii import taxonomy
from nii.inspection import Level, Region
from nii.review import tiles, viewer
from nii.store import scans
from nii.store.database import Store, open_folder

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "data" / "samples"
PORT = 8799
LIMIT_BYTES = 400_000
SHOTS: tuple[tuple[str, str, str, str], ...] = (
    ("viewer_grey", "mixed_load.png", "v.look.local = 0.35; v.redraw()", ""),
    ("viewer_colour", "twin_containers.tiff", "v.set('colour', true)", ""),
    (
        "viewer_stripped",
        "twin_containers.tiff",
        "v.flag('regions', false); v.set('colour', true); v.strip('organic')",
        "",
    ),
    (
        "viewer_side_by_side",
        "twin_containers.tiff",
        "await v.compare(v.others[0].scan)",
        "v.view.show([560, 30, 1250, 700], 1.0); v.refill()",
    ),
    (
        "viewer_region",
        "mixed_load.png",
        "v.select(1); v.zoom(0.6)",
        "v.measure([1116, 560], [1210, 560], true); v.say('')",
    ),
)
"""Name of the picture, scan, what is done to it, and what after that."""


def main() -> None:
    """Serve, take the pictures, stop."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nii-pictures-") as folder:
        store = open_folder(Path(folder) / "store")
        digests = {name: keep(store, name) for name in {scan for _, scan, _, _ in SHOTS}}
        app = pages(digests)
        app.state.tiles = tiles.Tiles(store, Path(folder) / "pyramids")
        server = uvicorn.Server(uvicorn.Config(app, port=PORT, log_level="error"))
        thread = threading.Thread(target=server.run)
        thread.start()
        with sync_playwright() as running:
            browser = running.chromium.launch(executable_path=options.chromium, args=FLAGS)
            page = browser.new_page(viewport={"width": 1080, "height": 600})
            for name, scan, first, then in SHOTS:
                take(page, digests[scan], first, then)
                path = options.out / f"{name}.png"
                page.screenshot(path=path)
                print(path.name, path.stat().st_size)
                if path.stat().st_size > LIMIT_BYTES:
                    print("larger than 400 kB")
            browser.close()
        server.should_exit = True
        thread.join()
        app.state.tiles.close()
        store.close()


def keep(store: Store, name: str) -> str:
    """Keep a sample scan in the store and return its identity."""
    kept = scans.keep(store, (SAMPLES / name,))
    with store.write() as connection:
        scans.register(connection, kept, datetime.now(UTC))
    return kept.sha256


def take(page: Page, digest: str, first: str, then: str) -> None:
    """Open a scan and bring the viewer into the wanted state."""
    page.goto(f"http://127.0.0.1:{PORT}/{digest}")
    for _ in range(1200):
        if page.evaluate("() => Boolean(window.v)"):
            break
        page.wait_for_timeout(50)
    for script in (first, then):
        page.evaluate(f"async () => {{ await v.settled(); {script}; await v.settled(); }}")


def truth(name: str) -> dict[str, Any]:
    """Return the true objects of a sample scan as the viewer's regions and containers."""
    labels = json.loads((SAMPLES / "labels.json").read_text("utf-8"))
    image = next(each for each in labels["images"] if each["file_name"] == name)
    names = {each["id"]: each["name"] for each in labels["categories"]}
    threats = {row.name: row for row in taxonomy.classes() if row.group == "threat"}
    found, containers = [], []
    for label in labels["annotations"]:
        if label["image_id"] != image["id"]:
            continue
        x, y, width, height = label["bbox"]
        box = (x, y, x + width, y + height)
        kind = names[label["category_id"]]
        if kind == "container":
            containers.append({"label": f"container {len(containers) + 1}", "box_xyxy": list(box)})
        if kind not in threats:
            continue
        level, score = (Level.SEARCH, 0.94) if kind != "brick" else (Level.LOOK, 0.61)
        row, number = threats[kind], len(found) + 1
        where = f"container {max(len(containers), 1)}, right third, mid height"
        facts = Region(number, kind, row.label, row.category, score, level, box, 1, where)
        found.append(viewer.region(facts))
    return {"regions": found, "containers": containers}


def pages(digests: dict[str, str]) -> Starlette:
    """Return an app with the viewer's routes and a bare page."""
    names = {digest: name for name, digest in digests.items()}

    def page(request: Request) -> Response:
        digest = request.path_params["sha256"]
        return HTMLResponse(PAGE.replace("{sha256}", digest).replace("/labels", f"/marks/{digest}"))

    def marks(request: Request) -> Response:
        digest = request.path_params["sha256"]
        others = [
            {"title": "previous passage", "scan": f"/api/scans/{other}/viewer.json"}
            for other in names
            if other != digest
        ]
        labels = {"labels": dict(viewer.TEXTS), "boxes": [], "compare": others}
        return JSONResponse(labels | truth(names[digest]))

    return Starlette(
        routes=[
            Mount("/api/scans", routes=tiles.routes()),
            Mount("/static", StaticFiles(directory=ROOT / "nii" / "review" / "static")),
            Route("/marks/{sha256}", marks),
            Route("/page.css", lambda _: Response(STYLE, media_type="text/css")),
            Route("/page.js", lambda _: Response(SCRIPT, media_type="text/javascript")),
            Route("/{sha256}", page),
        ]
    )


if __name__ == "__main__":
    main()
