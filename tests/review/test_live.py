"""Claims about live updates: every listener hears all it may hear, once and in order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from nii.review import live
from nii.review.auth import RIGHTS, Person
from nii.review.live import Feed, Happening
from nii.store import audit
from nii.store.audit import Entry
from nii.store.database import Store
from nii.store.inspections import Filed
from nii.store.users import Role

SEES_ALL = Person(
    id=1,
    login="a",
    name="A",
    role="officer",
    rights=RIGHTS[Role.OFFICER],
    sites=None,
    group=None,
    language="en",
    must_change=False,
    session=None,
    working_since=None,
)


def numbers(blocks: list[str]) -> list[int]:
    """Return the numbers of the events in a stream."""
    return [json.loads(block.split("data: ")[1])["number"] for block in blocks if "data: " in block]


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PERIOD_S", 0.02)
    monkeypatch.setattr(live, "BEAT_S", 0.2)


async def listen(feed: Feed, person: Person, after: int | None, heard: list[str]) -> None:
    """Collect what one listener hears."""
    async for block in feed.listen(person, after, lambda: True):
        heard.append(block)  # noqa: PERF401 - others look at it meanwhile


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.02)
    pytest.fail("it did not happen")


@pytest.mark.slow
def test_listeners_hear_all_once(store: Store, file_scan: Callable[..., Filed]) -> None:
    """Who starts now hears what comes, who goes on hears what was missed as well."""
    filed = file_scan()
    first = audit.head(store).number

    def note() -> int:
        entry = Entry(audit.VIEWED, filed.id, {"items": []})
        return audit.log(store, entry, filed.filed_at).number

    async def run() -> tuple[list[int], list[int], int]:
        feed, new, old = Feed(store), list[str](), list[str]()
        tasks = [
            asyncio.create_task(listen(feed, SEES_ALL, None, new)),
            asyncio.create_task(listen(feed, SEES_ALL, 0, old)),
        ]
        await until(lambda: len(new) > 0 and len(numbers(old)) >= 1)
        await asyncio.sleep(0.1)
        last = first
        for _ in range(20):
            last = await asyncio.to_thread(note)
        await until(lambda: last in numbers(new) and last in numbers(old))
        feed.closing.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 5)
        return numbers(new), numbers(old), last

    new, old, last = asyncio.run(run())
    assert new == list(range(first + 1, last + 1))
    assert old == sorted(set(old))
    assert old[-20:] == new


def test_sites_and_accounts_stay_apart(store: Store, file_scan: Callable[..., Filed]) -> None:
    """Nobody hears of inspections of other sites, or of what is done to accounts."""
    filed = file_scan()
    elsewhere = replace(SEES_ALL, sites=(7,))
    (event,) = [e for e in live.happened(store, 0) if e.kind == audit.INSPECTED]
    assert event.inspection_id == filed.id
    assert live.hears(SEES_ALL, event)
    assert not live.hears(elsewhere, event)
    assert live.hears(elsewhere, replace(event, site_id=7))
    assert not live.hears(SEES_ALL, Happening(1, "", audit.LOGGED_IN, None, None))


@pytest.mark.slow
def test_a_listener_ends_with_the_session(store: Store) -> None:
    """At the next beat after a session is over its stream ends."""

    async def run() -> int:
        heard = [block async for block in Feed(store).listen(SEES_ALL, None, lambda: False)]
        return len(heard)

    assert asyncio.run(asyncio.wait_for(run(), 5)) == 1


def test_one_that_does_not_read_is_let_go(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener whose queue is full is dropped instead of filling the memory."""
    monkeypatch.setattr(live, "_MOST", 3)

    async def run() -> int:
        feed = Feed(store)
        stream = feed.listen(SEES_ALL, None, lambda: True)
        await anext(stream)
        for number in range(10):
            feed._tell(Happening(number + 1, "", "viewed", 1, None))
        return len([block async for block in stream])

    assert asyncio.run(asyncio.wait_for(run(), 5)) == 3
