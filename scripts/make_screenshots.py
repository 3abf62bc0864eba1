"""Make the pictures of the web app in docs/images, from the simulated scans in data/samples.

The scans are inspected with the shipped model, so what the pictures show is what it really finds.
Needs Chromium and the extras [review] and [test].

Example: python scripts/make_screenshots.py
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import bench_numbers
from playwright.sync_api import sync_playwright

from nii.review import passwords
from nii.store import users
from nii.store.audit import Actor
from nii.store.database import open_folder
from nii.store.users import Credentials, Profile, Role

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[1]
PASSWORD = "correct horse battery"  # noqa: S105 - of a store that is thrown away
PROGRAM = "import sys; from nii.cli import main; sys.exit(main(sys.argv[1:]))"
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
LARGEST_BYTES = 400_000
SIZES = {"": (1366, 768), "4k": (3840, 2160)}


def main() -> None:
    """Inspect the samples, start the server, make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--size", choices=list(SIZES), default="")
    parser.add_argument("--only-numbers", action="store_true")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as name:
        numbers = Path(name) / "numbers"
        make_numbers(numbers)
        with serving(numbers) as address, sync_playwright() as tool:
            browser = tool.chromium.launch(executable_path=chromium, args=FLAGS)
            shoot_numbers(browser, address, options.out, options.size)
            browser.close()
        if options.only_numbers:
            return
        store = Path(name) / "store"
        inbox = Path(name) / "inbox"
        labels = shutil.ignore_patterns("*.json")
        shutil.copytree(ROOT / "data" / "samples", inbox, ignore=labels)
        run("worker", str(inbox), "--store", str(store), "--once")
        make_people(store)
        with serving(store) as address, sync_playwright() as tool:
            browser = tool.chromium.launch(executable_path=chromium, args=FLAGS)
            shoot(browser, address, options.out, options.size)
            browser.close()


@contextmanager
def serving(store: Path) -> Iterator[str]:
    """Serve a store, give its address, and stop."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", PROGRAM, "review", str(store), "--port", str(port)]
    server = subprocess.Popen(command)  # noqa: S603
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=20)


def make_numbers(folder: Path) -> None:
    """Fill a store with two months of made-up inspections and decisions."""
    example = ROOT / "tests" / "store" / "inspection.json"
    bench_numbers.DOCUMENT = example.read_text("utf-8")
    store = open_folder(folder)
    bench_numbers.fill(store, 9000, 60)
    store.close()
    make_people(folder)


def shoot_numbers(browser: Browser, address: str, out: Path, size: str) -> None:
    """Make a picture of the page of numbers as a supervisor sees it."""
    page = log_in(browser, address, "chief", size)
    page.goto(f"{address}/numbers?from=2026-01-01&to=2026-03-01")
    page.wait_for_timeout(1000)
    save(page, out, "numbers", size)


def run(*arguments: str) -> None:
    """Run a command of nii."""
    subprocess.run([sys.executable, "-c", PROGRAM, *arguments], check=True)  # noqa: S603


def make_people(folder: Path) -> None:
    """Add an officer, a second one and a supervisor."""
    store = open_folder(folder)
    shared = Credentials(passwords.hashed(PASSWORD))
    people = (("officer", "A. Karimov", Role.OFFICER), ("second", "B. Lin", Role.OFFICER))
    for login, name, role in (*people, ("chief", "C. Osmonova", Role.SUPERVISOR)):
        users.create(store, login, Profile(name, role), shared, Actor("demo"), datetime.now(UTC))
    store.close()


def wait_for(port: int) -> None:
    """Wait until the server listens."""
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)


def log_in(browser: Browser, address: str, login: str, size: str) -> Page:
    """Open a window in which somebody is logged in."""
    width, height = SIZES[size]
    page = browser.new_context(viewport={"width": width, "height": height}).new_page()
    page.goto(address)
    page.fill("#login", login)
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("#list")
    return page


def shoot(browser: Browser, address: str, out: Path, size: str) -> None:
    """Go through the app as an officer does, and make a picture at each station."""
    width, height = SIZES[size]
    page = browser.new_context(viewport={"width": width, "height": height}).new_page()
    page.goto(address)
    save(page, out, "login", size)
    second = log_in(browser, address, "second", size)
    second.goto(f"{address}/inspections/2")
    second.wait_for_selector("#viewer canvas")
    page = log_in(browser, address, "officer", size)
    page.wait_for_timeout(1500)
    save(page, out, "queue", size)
    page.keyboard.press("n")
    page.wait_for_selector("#viewer canvas")
    page.wait_for_timeout(6000)
    save(page, out, "inspection", size)
    page.keyboard.press("d")
    page.keyboard.press("1")
    page.wait_for_timeout(1000)
    save(page, out, "decision", size)
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    page.wait_for_timeout(4000)
    page.select_option("#language", "ru")
    page.wait_for_load_state()
    page.wait_for_selector("#viewer canvas")
    page.wait_for_timeout(6000)
    save(page, out, "russian", size)


def save(page: Page, out: Path, name: str, size: str) -> None:
    """Write a picture, and tell if it is too large to be kept."""
    path = out / f"review_{name}{f'_{size}' if size else ''}.png"
    page.screenshot(path=path)
    large = " too large for the repository" if path.stat().st_size > LARGEST_BYTES else ""
    print(f"{path}: {path.stat().st_size >> 10} kB{large}")


if __name__ == "__main__":
    main()
