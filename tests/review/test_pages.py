"""Claims about the pages."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from starlette.testclient import TestClient

from nii.inspection import Inspection, Level
from nii.review import pages
from nii.store import audit, decisions
from nii.store.database import Store
from nii.store.inspections import Filed, Query

FileScan = Callable[..., Filed]
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}\ud800"
FORM = {"verdict": "inspect", "officer": "A. Officer", "reason": "a shape behind the pallet"}


class Elements(HTMLParser):
    """Collect the start tags of a page with their attributes."""

    def __init__(self) -> None:
        """Start with none."""
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep one."""
        self.found.append((tag, dict(attrs)))


def elements(text: str) -> list[tuple[str, dict[str, str | None]]]:
    """Return the elements of a page."""
    parser = Elements()
    parser.feed(text)
    return parser.found


def make_evil(inspection: Inspection) -> Inspection:
    """Put hostile text into every text field that a scan, a model or a program can set."""
    facts = replace(
        inspection.scan,
        files=(EVIL,),
        scanner=EVIL,
        acquired_at=EVIL,
        container_numbers=(EVIL,),
        assumptions=(EVIL,),
    )
    name = EVIL.removesuffix("\ud800")  # the database holds these two outside the document
    region = replace(
        inspection.regions[0], class_name=name, label=EVIL, category=name, position=EVIL
    )
    return replace(
        inspection,
        scan=facts,
        model=replace(inspection.model, name=EVIL, version=EVIL),
        provider=replace(inspection.provider, used=(EVIL,), device=EVIL, reason=EVIL),
        structures=(replace(inspection.structures[0], kind=EVIL),),
        regions=(region,),
        warnings=(EVIL,),
    )


def test_queue_follows_urgency(client: TestClient, file_scan: FileScan) -> None:
    """The queue shows the most urgent first, with counts, and each links to its page."""
    levels = (Level.CLEAR, Level.SEARCH, Level.LOOK)
    filed = {level: file_scan(level) for level in levels}
    text = client.get("/").text
    links = re.findall(r'class="card" href="/inspections/(\d+)"', text)
    assert links == [str(filed[level].id) for level in reversed(Level)]
    for level in Level:
        alone = client.get("/", params={"level": level.value}).text
        assert re.findall(r'class="card" href="/inspections/(\d+)"', alone) == [
            str(filed[level].id)
        ]
    assert len(re.findall(r"<b>1</b>", text)) == 3


def test_decided_ones_leave_the_queue(client: TestClient, file_scan: FileScan) -> None:
    """After a decision an inspection is gone from the queue, and there when all are shown."""
    filed = file_scan()
    assert f'href="/inspections/{filed.id}"' in client.get("/").text
    client.post(f"/inspections/{filed.id}/decisions", data=FORM)
    assert f'href="/inspections/{filed.id}"' not in client.get("/").text
    assert "✓ decided" in client.get("/?all=1").text


def test_pages_of_the_queue_join(client: TestClient, file_scan: FileScan) -> None:
    """Following the link to the next page shows every inspection once."""
    filed = [file_scan(Level.LOOK) for _ in range(5)]
    found: list[str] = []
    path: str | None = "/?limit=2"
    while path:
        text = client.get(path).text
        found += re.findall(r'class="card" href="/inspections/(\d+)"', text)
        following = re.search(r'class="more"><a href="([^"]+)"', text)
        path = html.unescape(following[1]) + "&limit=2" if following else None
    assert found == [str(one.id) for one in filed]


def test_one_shows_regions_and_facts(client: TestClient, file_scan: FileScan) -> None:
    """The page of an inspection draws every region and tells what the officer needs."""
    filed = file_scan()
    text = client.get(f"/inspections/{filed.id}").text
    for region in filed.inspection.regions:
        assert f'<g class="region" data-number="{region.number}">' in text
        assert region.position in text
        assert html.escape(region.label) in text
    for fact in ("CSQU3054383", "test-model", "CPUExecutionProvider", "9.0 / 6.0 MeV"):
        assert fact in text


def test_a_decision_is_kept_and_shown(
    client: TestClient, store: Store, file_scan: FileScan
) -> None:
    """The form stores what it says, with the time, and the page shows it."""
    filed = file_scan()
    answer = client.post(f"/inspections/{filed.id}/decisions", data=FORM)
    assert answer.status_code == 303
    text = client.get(answer.headers["location"]).text
    (decision,) = decisions.of_inspection(store, filed.id)
    assert (decision.verdict, decision.officer, decision.reason) == tuple(FORM.values())
    for words in (FORM["officer"], FORM["reason"], "2026-01-02 12:00 UTC"):
        assert words in text
    assert audit.verify(store).intact


def test_a_search_is_not_released_without_reason(
    client: TestClient, store: Store, file_scan: FileScan
) -> None:
    """The form comes back with the reason for the refusal and with what was typed."""
    filed = file_scan()
    path = f"/inspections/{filed.id}/decisions"
    answer = client.post(path, data=FORM | {"verdict": "release", "reason": " "})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert 'value="A. Officer"' in answer.text
    assert re.search(r'value="release" required\s+checked', answer.text)
    assert decisions.of_inspection(store, filed.id) == ()
    assert client.post(path, data=FORM | {"verdict": "release"}).status_code == 303
    assert audit.verify(store).intact


@pytest.mark.parametrize(
    "fields",
    [
        {},
        FORM | {"verdict": "destroy"},
        FORM | {"officer": ""},
        FORM | {"officer": "x" * 200},
        FORM | {"reason": "a\x00b"},
        FORM | {"extra": "field"},
    ],
)
def test_bad_forms_are_refused(
    client: TestClient, store: Store, file_scan: FileScan, fields: dict[str, str]
) -> None:
    """A form with a missing, unknown or unreadable field stores nothing."""
    filed = file_scan()
    answer = client.post(f"/inspections/{filed.id}/decisions", data=fields)
    assert answer.status_code == 422
    assert decisions.of_inspection(store, filed.id) == ()


def test_a_form_with_a_file_is_refused(client: TestClient, file_scan: FileScan) -> None:
    """The form takes no files."""
    path = f"/inspections/{file_scan().id}/decisions"
    answer = client.post(path, data=FORM, files={"reason": b"a file"})
    assert answer.status_code == 400


def test_two_at_once_are_both_kept(client: TestClient, store: Store, file_scan: FileScan) -> None:
    """Two officers who press the button together are both on record."""
    path = f"/inspections/{file_scan().id}/decisions"
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(lambda n: client.post(path, data=FORM | {"officer": f"officer {n}"}), range(4))
        )
    assert [answer.status_code for answer in answers] == [303] * 4
    kept = decisions.of_inspection(store, 1)
    assert sorted(decision.officer for decision in kept) == [f"officer {n}" for n in range(4)]
    assert audit.verify(store).intact


def test_hostile_text_stays_text(client: TestClient, file_scan: FileScan) -> None:
    """Whatever stands in a text field comes out as text: no element, attribute or script of it."""
    filed = file_scan(Level.SEARCH, make_evil)
    typed = EVIL.replace("\ud800", "")
    path = f"/inspections/{filed.id}"
    client.post(f"{path}/decisions", data={"verdict": "refer", "officer": typed, "reason": typed})
    again = client.post(f"{path}/decisions", data={"officer": typed, "reason": typed})
    for answer in (client.get(path), client.get("/?all=1"), again):
        assert "alert(1)" in answer.text
        assert "49" not in re.findall(r"\}\s*(\d+)|(\d+)\s*\{", answer.text)
        for tag, attributes in elements(answer.text):
            assert tag != "script" or attributes == {"src": "/static/inspection.js", "defer": None}
            assert tag != "img" or str(attributes["src"]).startswith("/scans/")
            assert not [name for name in attributes if name.startswith("on") or name == "style"]


def test_the_check_for_hostile_text_can_fail() -> None:
    """Unescaped, the hostile text would be found as elements."""
    assert {"script", "img"} <= {tag for tag, _ in elements(EVIL)}


@pytest.mark.parametrize(
    "path",
    [
        "/inspections/999",
        "/inspections/0",
        "/inspections/-1",
        "/inspections/99999999999999999999",
        "/inspections/2147483648",
        "/inspections/x",
        "/inspections/1e3",
        "/inspections/%F0%9D%9F%8F",
        "/?level=other",
        "/?class=other",
        "/?before=x",
        "/?limit=",
        "/scans/" + "0" * 64 + "/picture.png",
        "/scans/x/picture.png",
        "/scans/..%2f..%2fetc/picture.png",
        "/nowhere",
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/%2e%2e/errors.py",
        "/static//etc/passwd",
    ],
)
def test_what_is_not_there_is_not_found(client: TestClient, file_scan: FileScan, path: str) -> None:
    """Unknown ids, values and paths give 404, never an inside view."""
    file_scan()
    answer = client.get(path)
    assert answer.status_code == 404
    assert "Traceback" not in answer.text


def test_other_picture_sizes_are_not_found(client: TestClient, file_scan: FileScan) -> None:
    """Pictures come in two sizes."""
    sha256 = file_scan().scan_sha256
    for size, status in (("picture", 200), ("thumbnail", 200), ("huge", 404)):
        answer = client.get(f"/scans/{sha256}/{size}.png")
        assert answer.status_code == status
    assert client.get(f"/scans/{sha256.upper()}/picture.png").status_code == 404


def test_pages_load_nothing_from_elsewhere(client: TestClient, file_scan: FileScan) -> None:
    """Every address on a page leads to our own server, and those of files are there."""
    filed = file_scan()
    for path in ("/", f"/inspections/{filed.id}"):
        for tag, attributes in elements(client.get(path).text):
            for name in ("src", "href", "action"):
                target = attributes.get(name)
                if target is None:
                    continue
                assert target.startswith("/")
                assert not target.startswith("//")
                if tag in ("link", "script", "img", "image"):
                    assert client.get(target).status_code == 200


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(seconds=59), "0 min"),
        (timedelta(minutes=59), "59 min"),
        (timedelta(minutes=65), "1 h 05 min"),
        (timedelta(hours=47, minutes=59), "47 h 59 min"),
        (timedelta(days=3), "3 days"),
        (timedelta(seconds=-5), "0 min"),
    ],
)
def test_waiting_in_words(length: timedelta, words: str) -> None:
    """Lengths of time are rounded down to what matters."""
    from datetime import UTC, datetime

    noon = datetime(2026, 1, 2, 12, tzinfo=UTC)
    assert pages.waiting(noon - length, noon) == words


def test_addresses_keep_the_filters() -> None:
    """A link changes what it is for and keeps the rest."""
    query = Query(level=Level.LOOK, class_name="firearm")
    assert pages.address(query) == "/?level=look&class=firearm&all=1"
    assert pages.address(query, level=None, all=None) == "/?class=firearm"
    assert pages.address(Query(undecided=True)) == "/"
