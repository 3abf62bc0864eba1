"""Claims about the web app as officers meet it: a real server process and a real browser."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nii.inspection import Level
from nii.store import audit, decisions
from nii.store.database import Store, open_folder
from nii.store.inspections import Filed
from nii.store.users import Role

if TYPE_CHECKING:
    from playwright.sync_api import Page

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("there is no Chromium here", allow_module_level=True)

PASSWORD = "correct horse battery"
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
PROGRAM = "import sys; from nii.cli import main; sys.exit(main(sys.argv[1:]))"


@dataclass(frozen=True)
class Served:
    """A server process over a store."""

    process: subprocess.Popen[str]
    address: str
    said: str


def start(folder: Path) -> Served:
    """Start `nii review` on a free port and wait until it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-u", "-c", PROGRAM, "review", str(folder), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
    assert process.stdout is not None
    said = ""
    while "open http" not in said:
        line = process.stdout.readline()
        assert line, f"the server did not start: {said}"
        said += line
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return Served(process, f"http://127.0.0.1:{port}", said)
        time.sleep(0.1)
    pytest.fail("the server does not answer")


@pytest.fixture
def serve(store: Store) -> Iterator[Callable[[], Served]]:
    """Give a function that starts a server over the store's folder."""
    started: list[Served] = []

    def run() -> Served:
        started.append(start(store.files.parent))
        return started[-1]

    yield run
    for served in started:
        served.process.terminate()
        served.process.communicate(timeout=20)


@pytest.fixture
def open_page() -> Iterator[Callable[..., Page]]:
    """Give a function that opens a window of its own; no page may complain in its console."""
    complaints: list[str] = []
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=FLAGS)

        def new(served: Served, path: str = "/") -> Page:
            context = browser.new_context(viewport={"width": 1366, "height": 768})
            page: Page = context.new_page()
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on(
                "console",
                lambda message: (
                    complaints.append(message.text)
                    if message.type == "error" and "Content Security Policy" in message.text
                    else None
                ),
            )
            page.goto(served.address + path)
            return page

        yield new
        browser.close()
    assert not complaints


def log_in(page: Page, login: str, password: str = PASSWORD) -> None:
    """Fill in the form of the log-in, with the keyboard."""
    page.focus("#login")  # it has the focus by itself once the page is there
    page.keyboard.type(login)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/(password|\?.*)?$"))
    page.wait_for_load_state()


def change_password(page: Page, old: str, new: str) -> None:
    """Fill in the form of the first log-in, with the keyboard, and wait for the queue."""
    page.focus("#old")  # it has the focus by itself once the page is there
    for text in (old, new, new):
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#list")


def check_access(page: Page) -> None:
    """Check that a page can be used by everybody, as far as a tool can tell."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from axe_playwright_python.sync_playwright import Axe
    found = Axe().run(page).response["violations"]
    bad = [each for each in found if each["impact"] in ("serious", "critical")]
    assert not bad, [
        (each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in bad
    ]


@pytest.mark.slow
def test_from_the_first_start_to_a_decision(
    store: Store,
    file_scan: Callable[..., Filed],
    serve: Callable[[], Served],
    open_page: Callable[..., Page],
) -> None:
    """One-time password, own password, an officer's account; then a decision, all by keyboard."""
    first, second = file_scan(Level.SEARCH), file_scan(Level.LOOK)
    served = serve()
    found = re.search(r"one-time password (\S+)", served.said)
    assert found, served.said
    page = open_page(served)
    check_access(page)
    log_in(page, "admin", found[1])
    assert page.url.endswith("/password")
    check_access(page)
    change_password(page, found[1], "another horse battery")
    page.goto(served.address + "/accounts")
    check_access(page)
    page.fill("#login", "officer")
    page.fill("#name", "A. Karimov")
    page.click("text=Add the account >> nth=-1")
    secret = page.inner_text("#secret")
    page.goto(served.address + "/settings")
    check_access(page)

    officer = open_page(served)
    log_in(officer, "officer", secret)
    change_password(officer, secret, PASSWORD)
    check_access(officer)
    begun = time.monotonic()
    officer.keyboard.press("n")
    officer.wait_for_url(f"**/inspections/{first.id}")
    officer.wait_for_selector("#viewer canvas")
    for key in ("d", "1", "2", "Enter"):
        officer.keyboard.press(key)
    officer.wait_for_url(f"**/inspections/{second.id}")
    assert time.monotonic() - begun < 30  # most of it is the software renderer
    (made,) = decisions.of_inspection(store, first.id)
    assert (made.verdict, made.reason_code) == ("release", "matches_papers")
    assert made.officer == "A. Karimov"
    assert made.seconds is not None
    assert 0 < made.seconds < 30
    check_access(officer)
    assert audit.verify(store).intact


@pytest.mark.slow
def test_two_officers_see_each_other(
    account: Callable[..., object],
    file_scan: Callable[..., Filed],
    serve: Callable[[], Served],
    open_page: Callable[..., Page],
) -> None:
    """What one officer claims appears on the other's queue by itself, and in their language."""
    filed = file_scan()
    account("first")
    account("second")
    served = serve()
    one, other = open_page(served), open_page(served)
    log_in(one, "first")
    log_in(other, "second")
    assert other.locator("#list .tag").count() == 0
    one.keyboard.press("n")
    one.wait_for_url(f"**/inspections/{filed.id}")
    other.wait_for_selector("text=with First", timeout=20_000)
    for code, words in (("zh", "由 First 处理"), ("kk", "First қолында"), ("tk", "First elinde")):
        other.select_option("#language", code)
        other.wait_for_selector(f"text={words}", timeout=20_000)
        assert other.get_attribute("html", "lang") == code
    other.goto(f"{served.address}/inspections/{filed.id}")
    other.wait_for_selector("#holder:visible")
    one.keyboard.press("d")
    one.keyboard.press("3")
    one.fill("#reason", "half typed wor")
    one.reload()
    one.wait_for_selector("#viewer canvas")
    playwright.expect(one.locator("#reason")).to_have_value("half typed wor", timeout=20_000)
    assert one.is_checked("[name=verdict][value=refer]")


@pytest.mark.slow
def test_regions_are_confirmed_and_views_are_logged(
    store: Store,
    account: Callable[..., object],
    file_scan: Callable[..., Filed],
    serve: Callable[[], Served],
    open_page: Callable[..., Page],
) -> None:
    """A click confirms a region; a tool switched on stands in the log; F1 tells the keys."""
    from nii.review.logbook import lines
    from nii.store import marks

    filed = file_scan()
    account("officer")
    account("auditor", Role.AUDITOR)
    served = serve()
    page = open_page(served)
    log_in(page, "officer")
    page.keyboard.press("n")
    page.wait_for_selector("#viewer canvas")
    page.click("button[data-mark=confirmed][data-region='1']")
    page.wait_for_selector("button[data-mark=confirmed][aria-pressed=true]")
    page.click("button[aria-label*='Inverse']")
    page.wait_for_timeout(6000)
    page.keyboard.press("F1")
    page.wait_for_selector("dialog#keys[open]")
    assert [kept.mark.sign for kept in marks.of_inspection(store, filed.id)] == ["confirmed"]
    viewed = [line for line in lines(store, None) if line.kind == audit.VIEWED]
    assert any("inverse" in line.payload for line in viewed)
    auditor = open_page(served)
    log_in(auditor, "auditor")
    auditor.goto(served.address + "/log")
    check_access(auditor)
    auditor.click("text=Check the whole log now")
    auditor.wait_for_selector("text=unchanged")


@pytest.mark.slow
def test_killed_in_the_middle_of_decisions(
    account: Callable[..., object],
    store: Store,
    file_scan: Callable[..., Filed],
    serve: Callable[[], Served],
) -> None:
    """After kill −9 each decision is there whole or not at all, and the log holds."""
    import threading

    import httpx

    account("officer")
    filed = [file_scan(Level.LOOK) for _ in range(3)]
    acknowledged: list[int] = []
    for round_number in range(3):
        served = serve()
        headers = {"Origin": served.address}
        with httpx.Client(base_url=served.address, headers=headers, timeout=20) as client:
            form = {"login": "officer", "password": PASSWORD}
            assert client.post("/login", data=form).status_code == 303

            def decide(
                client: httpx.Client = client, done: list[int] = acknowledged, n: int = round_number
            ) -> None:
                try:
                    for count in range(10_000):
                        target = filed[count % len(filed)].id
                        body = {"verdict": "inspect", "reason": f"{n} {count}"}
                        answer = client.post(f"/api/v1/inspections/{target}/decisions", json=body)
                        done.append(answer.json()["id"])
                except httpx.TransportError:
                    return

            thread = threading.Thread(target=decide)
            thread.start()
            while len(acknowledged) < 5 * (round_number + 1):
                time.sleep(0.01)
            served.process.send_signal(signal.SIGKILL)
            served.process.wait(timeout=10)
            thread.join(timeout=30)
    again = open_folder(store.files.parent)
    stored = [made for one in filed for made in decisions.of_inspection(again, one.id)]
    assert set(acknowledged) <= {made.id for made in stored}
    assert len(stored) <= len(acknowledged) + 3
    check = audit.verify(again)
    assert check.intact, check.reason
    again.close()
