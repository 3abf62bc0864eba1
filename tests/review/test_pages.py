"""Claims about the pages of the queue and of one inspection."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from nii.inspection import Declaration, Inspection, Level
from nii.review import pages
from nii.review.asked import Asked
from nii.review.tiles import Tiles
from nii.store import audit, claims, decisions, outcomes, queue, settings, users
from nii.store.audit import Actor
from nii.store.database import Store
from nii.store.inspections import Filed
from nii.store.queue import QueueSettings
from nii.store.users import Role, User

FileScan = Callable[..., Filed]
Browse = Callable[..., TestClient]
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}\ud800"
FORM = {"verdict": "inspect", "reason_code": "threat_seen", "reason": "", "seen": "0"}


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


def cards(text: str) -> list[int]:
    """Return the ids of the inspections on a page of the queue."""
    return [int(text) for text in re.findall(r'class="card" href="/inspections/(\d+)"', text)]


def run_blind(store: Store) -> None:
    """Let officers look first at every scan."""
    settings.put(store, queue.SETTINGS, QueueSettings(blind_share=1.0), Actor("boss"), NOON)


def user_of(store: Store, login: str) -> User:
    """Return an account."""
    user = users.by_login(store, login)
    assert user is not None
    return user


def make_evil(inspection: Inspection) -> Inspection:
    """Put hostile text into every text field that a scan, a model or a program can set."""
    facts = replace(
        inspection.scan,
        files=(EVIL,),
        scanner=EVIL,
        container_numbers=(EVIL,),
        assumptions=(EVIL,),
    )
    name = EVIL[:60]  # the database holds these two outside the document, 64 characters at most
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


@pytest.mark.slow
def test_queue_follows_urgency(client: TestClient, file_scan: FileScan) -> None:
    """The queue shows the most urgent first, with counts, and each links to its page."""
    levels = (Level.CLEAR, Level.SEARCH, Level.LOOK)
    filed = {level: file_scan(level) for level in levels}
    text = client.get("/").text
    assert cards(text) == [filed[level].id for level in reversed(Level)]
    for level in Level:
        assert cards(client.get("/", params={"level": level.value}).text) == [filed[level].id]
    assert len(re.findall(r"<b>1</b>", text)) == 3


@pytest.mark.slow
def test_declared_empty_but_is_not(client: TestClient, store: Store, file_scan: FileScan) -> None:
    """Queue and inspection say so at first sight; not where an officer looks first."""
    reason = (
        "Container 1 was declared empty but is not: its inside darkens the beam as a load does "
        "(probability 0.97)."
    )
    told = (Declaration(1, contradicted=True, probability=0.97, reason=reason),)
    filed = file_scan(Level.CLEAR, change=lambda one: replace(one, declarations=told))
    assert "declared empty, is not" in client.get("/").text
    page = client.get(f"/inspections/{filed.id}").text
    assert "declared empty, is not" in page
    assert reason in page
    file_scan(Level.LOOK)
    assert client.get("/").text.count("declared empty, is not") == 1
    run_blind(store)
    file_scan(Level.SEARCH, change=lambda one: replace(one, declarations=told))
    assert client.get("/").text.count("declared empty, is not") == 1


@pytest.mark.slow
def test_filters_narrow_the_queue(client: TestClient, file_scan: FileScan) -> None:
    """Class, number and day narrow the queue; what there is not leads nowhere."""
    search, clear = file_scan(Level.SEARCH), file_scan(Level.CLEAR)
    assert cards(client.get("/?class=firearm").text) == [search.id]
    assert cards(client.get("/?number=csqu%20305").text) == [search.id, clear.id]
    assert cards(client.get("/?number=ABCD").text) == []
    assert cards(client.get("/?from=2026-01-02&to=2026-01-02").text) == [search.id, clear.id]
    assert cards(client.get("/?from=2026-01-03").text) == []
    for address in ("/?class=spaceship", "/?level=red", "/?site=x", "/?after=nowhere"):
        assert client.get(address).status_code in (404, 422)


@pytest.mark.slow
def test_decided_ones_leave_the_queue(client: TestClient, file_scan: FileScan) -> None:
    """After a decision an inspection is gone from the queue, and there when all are shown."""
    filed = file_scan()
    assert cards(client.get("/").text) == [filed.id]
    client.post(f"/inspections/{filed.id}/decisions", data=FORM)
    assert cards(client.get("/").text) == []
    assert cards(client.get("/?state=decided").text) == [filed.id]
    assert cards(client.get("/?state=all").text) == [filed.id]


@pytest.mark.slow
def test_pages_of_the_queue_join(client: TestClient, file_scan: FileScan) -> None:
    """Following the link to the next page shows every inspection once."""
    filed = [file_scan(Level.LOOK) for _ in range(5)]
    found: list[int] = []
    path: str | None = "/?limit=2"
    while path:
        text = client.get(path).text
        found += cards(text)
        following = re.search(r'href="([^"]+)" rel="next"', text)
        path = html.unescape(following[1]) + "&limit=2" if following else None
    assert found == [one.id for one in filed]


@pytest.mark.slow
def test_one_shows_regions_and_facts(client: TestClient, file_scan: FileScan) -> None:
    """The page of an inspection lists every region and tells what the officer needs."""
    filed = file_scan()
    text = client.get(f"/inspections/{filed.id}").text
    for region in filed.inspection.regions:
        assert f'data-number="{region.number}"' in text
        assert region.position in text
        assert html.escape(region.label) in text
    for fact in ("CSQU3054383", "check digit fits", "test-model", "CPUExecutionProvider"):
        assert fact in text


@pytest.mark.slow
def test_the_viewer_is_told_of_regions(client: TestClient, file_scan: FileScan) -> None:
    """The viewer's document has each region with its place in words."""
    filed = file_scan()
    found = client.get(f"/inspections/{filed.id}/viewer.json").json()
    assert [region["number"] for region in found["regions"]] == [1, 2]
    assert found["regions"][0]["position"] == filed.inspection.regions[0].position
    assert not found["blind"]


@pytest.mark.slow
def test_the_next_scans_are_made_ready(
    app: Starlette, client: TestClient, file_scan: FileScan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Queue and inspection have the pixels of those at the head of the queue made ready."""
    filed = [file_scan() for _ in range(3)]
    asked: list[str] = []
    monkeypatch.setattr(Tiles, "prepare", lambda _, scan: asked.append(scan))
    desk = app.state.desk
    settings = replace(desk.settings, prepared=2)
    monkeypatch.setattr(app.state, "desk", replace(desk, settings=settings))
    for address in ("/", f"/inspections/{filed[0].id}"):
        asked.clear()
        assert client.get(address).status_code == 200
        waiting = [one.scan_sha256 for one in filed]
        assert len(asked) == 2
        assert set(asked) <= set(waiting)
    asked.clear()
    client.get("/?state=all")
    assert not asked


@pytest.mark.slow
def test_next_claims_and_others_see_it(browse: Browse, file_scan: FileScan) -> None:
    """The next scan is the most urgent one that nobody holds; the queue says who holds it."""
    urgent, other = file_scan(Level.SEARCH), file_scan(Level.LOOK)
    first, second = browse("first"), browse("second")
    assert first.post("/next").headers["Location"] == f"/inspections/{urgent.id}"
    assert second.post("/next").headers["Location"] == f"/inspections/{other.id}"
    assert "yours" in first.get("/").text
    assert "with First" in second.get("/").text
    assert "First is working on this scan." in second.get(f"/inspections/{urgent.id}").text
    third = browse("third")
    assert third.post("/next").headers["Location"] == "/?notice=empty"
    first.post(f"/inspections/{urgent.id}/release")
    assert third.post("/next").headers["Location"] == f"/inspections/{urgent.id}"


@pytest.mark.slow
def test_what_another_holds_is_not_decided(
    browse: Browse, store: Store, file_scan: FileScan
) -> None:
    """A decision on a scan that another has claimed is refused, and what was typed stays."""
    filed = file_scan()
    browse("first").post("/next")
    second = browse("second")
    answer = second.post(f"/inspections/{filed.id}/decisions", data=FORM | {"reason": "my words"})
    assert answer.status_code == 422
    assert "my words" in answer.text
    assert decisions.of_inspection(store, filed.id) == ()


@pytest.mark.slow
def test_a_decision_leads_to_the_next_scan(
    client: TestClient, store: Store, file_scan: FileScan
) -> None:
    """Storing a decision opens the next scan; the time since the opening is kept."""
    first, second = file_scan(Level.SEARCH), file_scan(Level.LOOK)
    client.post("/next")
    form = FORM | {"then": "next", "opened": "2026-01-02T11:59:30+00:00"}
    answer = client.post(f"/inspections/{first.id}/decisions", data=form)
    assert answer.headers["Location"] == f"/inspections/{second.id}"
    (made,) = decisions.of_inspection(store, first.id)
    assert (made.officer, made.user_id) == ("Officer", user_of(store, "officer").id)
    assert made.seconds == 30.0
    assert audit.verify(store).intact


@pytest.mark.slow
@pytest.mark.parametrize(
    "opened", ["", "yesterday", "2027-01-01T00:00:00+00:00", "2020-01-01T00:00:00+00:00", "9" * 99]
)
def test_a_wrong_time_of_opening_is_not_kept(
    client: TestClient, store: Store, file_scan: FileScan, opened: str
) -> None:
    """A time that no browser of ours sends is no reason to lose a decision."""
    filed = file_scan()
    client.post(f"/inspections/{filed.id}/decisions", data=FORM | {"opened": opened})
    (made,) = decisions.of_inspection(store, filed.id)
    assert made.seconds is None


@pytest.mark.slow
def test_a_high_alarm_needs_a_reason(client: TestClient, store: Store, file_scan: FileScan) -> None:
    """A search is not dismissed without a reason, and the page says so with what was chosen."""
    filed = file_scan(Level.SEARCH)
    bare = {"verdict": "release", "reason": ""}
    answer = client.post(f"/inspections/{filed.id}/decisions", data=bare)
    assert answer.status_code == 422
    assert "a release needs a reason here" in answer.text
    assert decisions.of_inspection(store, filed.id) == ()
    good = bare | {"reason_code": "benign_object"}
    assert client.post(f"/inspections/{filed.id}/decisions", data=good).status_code == 303


@pytest.mark.slow
def test_a_decision_is_undone_by_another(
    client: TestClient, store: Store, file_scan: FileScan
) -> None:
    """Deciding anew keeps both; the page shows the history."""
    filed = file_scan()
    client.post(f"/inspections/{filed.id}/decisions", data=FORM)
    again = {"verdict": "rescan", "reason_code": "cut_off"}
    client.post(f"/inspections/{filed.id}/decisions", data=again)
    assert [each.verdict for each in decisions.of_inspection(store, filed.id)] == [
        "inspect",
        "rescan",
    ]
    text = client.get(f"/inspections/{filed.id}").text
    assert text.count('class="decision"') == 2


@pytest.mark.slow
def test_two_who_decide_at_once_are_told(browse: Browse, store: Store, file_scan: FileScan) -> None:
    """The second of two decisions is kept, and its officer is told of the first."""
    filed = file_scan()
    first, second = browse("first"), browse("second")
    first.post(f"/inspections/{filed.id}/decisions", data=FORM)
    answer = second.post(f"/inspections/{filed.id}/decisions", data=FORM | {"then": "next"})
    assert answer.headers["Location"] == f"/inspections/{filed.id}?notice=unseen"
    assert "Both decisions are kept" in second.get(answer.headers["Location"]).text
    assert len(decisions.of_inspection(store, filed.id)) == 2


@pytest.mark.slow
def test_another_look(browse: Browse, file_scan: FileScan) -> None:
    """A supervisor asks for another look: the scan waits again, not for whom decided."""
    filed = file_scan()
    officer = browse("officer")
    officer.post(f"/inspections/{filed.id}/decisions", data=FORM)
    assert officer.post(f"/inspections/{filed.id}/recheck").status_code == 403
    chief = browse("chief", Role.SUPERVISOR)
    chief.post(f"/inspections/{filed.id}/recheck")
    assert officer.post("/next").headers["Location"] == "/?notice=empty"
    assert browse("second").post("/next").headers["Location"] == f"/inspections/{filed.id}"


@pytest.mark.slow
def test_referred_to_experts(browse: Browse, file_scan: FileScan) -> None:
    """A scan that is referred to a group waits for that group."""
    filed = file_scan()
    browse("expert", group="drugs")
    form = {"verdict": "refer", "reason_code": "expert", "group": "drugs"}
    officer = browse("officer")
    assert "<option>drugs</option>" in officer.get(f"/inspections/{filed.id}").text
    officer.post(f"/inspections/{filed.id}/decisions", data=form)
    assert browse("second").post("/next").headers["Location"] == "/?notice=empty"
    assert browse("expert").post("/next").headers["Location"] == f"/inspections/{filed.id}"


@pytest.mark.slow
def test_blind_means_blind(client: TestClient, store: Store, file_scan: FileScan) -> None:
    """While officers look first, nothing that the model found leaves the server."""
    run_blind(store)
    filed = file_scan(Level.SEARCH)
    texts = [
        client.get(path).text
        for path in (
            "/",
            "/?level=search",
            "/?class=firearm",
            f"/inspections/{filed.id}",
            f"/inspections/{filed.id}/viewer.json",
            f"/api/v1/inspections/{filed.id}",
            "/api/v1/inspections",
            "/api/v1/queue",
        )
    ]
    place = filed.inspection.regions[0].position
    for text in texts:
        assert place not in text
        assert "0.91" not in text
        assert '<span class="chip">' not in text
    assert cards(texts[0]) == [filed.id]
    assert cards(texts[1]) == cards(texts[2]) == []
    bare = {"verdict": "release"}
    refused = client.post(f"/inspections/{filed.id}/decisions", data=bare)
    assert refused.status_code == 422
    assert "search" not in refused.text.split('id="deciding"')[1].split("</section>")[0]
    good = bare | {"reason_code": "nothing_seen", "then": "next"}
    answer = client.post(f"/inspections/{filed.id}/decisions", data=good)
    assert answer.headers["Location"] == f"/inspections/{filed.id}"
    assert place in client.get(f"/inspections/{filed.id}").text
    assert decisions.of_inspection(store, filed.id)[0].blind


@pytest.mark.slow
def test_the_examination(client: TestClient, store: Store, file_scan: FileScan) -> None:
    """What the physical examination found is added and shown."""
    filed = file_scan()
    client.post(f"/inspections/{filed.id}/decisions", data=FORM)
    form = {"found": "yes", "class_name": "firearm", "quantity": "3", "remark": "under the floor"}
    assert client.post(f"/inspections/{filed.id}/outcomes", data=form).status_code == 303
    (made,) = outcomes.of_inspection(store, filed.id)
    assert made.outcome.found
    assert "under the floor" in client.get(f"/inspections/{filed.id}").text
    assert client.post(f"/inspections/{filed.id}/outcomes", data={"found": "?"}).status_code == 422


@pytest.mark.slow
def test_other_sites_are_not_there(browse: Browse, store: Store, file_scan: FileScan) -> None:
    """Nothing of a site that an officer does not see can be opened, changed or listed."""
    filed = file_scan()
    mine = browse("elsewhere", sites=(7,))
    here = f"/inspections/{filed.id}"
    reads = (
        here,
        f"{here}/viewer.json",
        f"/scans/{filed.scan_sha256}/picture.png",
        f"/api/scans/{filed.scan_sha256}/viewer.json",
        f"/api/v1{here}",
        f"/api/v1/scans/{filed.scan_sha256}",
    )
    for path in reads:
        assert mine.get(path).status_code == 404, path
    for path in (f"{here}/decisions", f"{here}/outcomes", f"{here}/release"):
        assert mine.post(path, data=FORM | {"found": "no"}).status_code == 404, path
    for name in ("claim", "marks", "outcomes", "views", "decisions"):
        body = {"verdict": "inspect", "mark": "confirmed", "found": True}
        assert mine.post(f"/api/v1{here}/{name}", json=body).status_code in (404, 422), name
    assert cards(mine.get("/").text) == []
    assert mine.get("/api/v1/inspections").json()["items"] == []
    assert decisions.of_inspection(store, filed.id) == ()
    assert claims.release(store, filed.id, user_of(store, "elsewhere"), NOON) is False


@pytest.mark.slow
def test_hostile_text_stays_text(browse: Browse, file_scan: FileScan) -> None:
    """Whatever scans, models and people write, no element or attribute of a page comes from it."""
    filed = file_scan(change=make_evil)
    plain = EVIL.removesuffix("\ud800")
    client = browse()
    form = {"verdict": "inspect", "reason": plain, "reason_code": "other"}
    client.post(f"/inspections/{filed.id}/decisions", data=form)
    outcome = {"found": "yes", "quantity": plain, "remark": plain}
    client.post(f"/inspections/{filed.id}/outcomes", data=outcome)
    for path in ("/?state=all", f"/inspections/{filed.id}", f"/?number={plain}"):
        text = client.get(path).text
        assert "49" not in re.findall(r"\{\{ 7\*7 \}\}|alert\(1\)>49", text)
        for tag, attributes in elements(text):
            if tag == "script":
                assert (attributes.get("src") or "").startswith("/static/") or (
                    attributes.get("type") == "application/json"
                )
            assert not [name for name in attributes if name.startswith("on")]
            assert tag != "img" or (attributes["src"] or "").startswith("/scans/")


@pytest.mark.slow
def test_pages_ask_for_nothing_from_elsewhere(client: TestClient, file_scan: FileScan) -> None:
    """Every address in every page is on this server, and answers."""
    filed = file_scan()
    for path in ("/", f"/inspections/{filed.id}", "/account", "/password"):
        for tag, attributes in elements(client.get(path).text):
            for name in ("href", "src", "action", "data-scan", "data-inspection"):
                target = attributes.get(name)
                if target is None or target.startswith("#"):
                    continue
                assert target.startswith("/")
                assert not target.startswith("//")
                if tag in ("link", "script", "img", "div"):
                    assert client.get(target).status_code == 200, target


@pytest.mark.slow
def test_the_page_tells_its_script(client: TestClient, file_scan: FileScan) -> None:
    """The script finds the facts it needs as JSON in the page."""
    filed = file_scan()
    text = client.get(f"/inspections/{filed.id}").text
    found = json.loads(re.search(r'id="page">(.*?)</script>', text)[1])  # type: ignore[index]
    assert found["id"] == filed.id
    assert found["claims"]
    assert not found["decided"]


def test_addresses_keep_the_filters() -> None:
    """A link changes what it is for and keeps the rest."""
    wanted = Asked(level="look", class_name="firearm", state="all")
    assert pages.address(wanted) == "/?level=look&class=firearm&state=all"
    assert pages.address(wanted, level=None, state=None) == "/?class=firearm"
    assert pages.address(Asked()) == "/"
