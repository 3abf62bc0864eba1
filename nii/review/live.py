"""What happens, told to whoever listens: server-sent events out of the log.

One task of the server looks at the log while anybody listens, so many listeners cost no more than
one. A listener hears of events about inspections of its own sites, and only that something happened
to which inspection: what, it asks for with its own rights.

Reference:
    WHATWG HTML, section 9.2, server-sent events.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import sqlalchemy as sa
from starlette.concurrency import run_in_threadpool

from nii.review.auth import Person
from nii.store import tables
from nii.store.database import Store

PERIOD_S = 0.5
"""How often the log is looked at."""
BEAT_S = 15.0
"""Silence after which a comment keeps the connection alive."""
_MOST = 500
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Happening:
    """An event as listeners hear of it."""

    number: int
    at: str
    kind: str
    inspection_id: int | None
    site_id: int | None

    def as_json(self) -> str:
        """Return what is sent."""
        facts = {"number": self.number, "at": self.at, "kind": self.kind}
        return json.dumps(facts | {"inspection_id": self.inspection_id})


def happened(store: Store, after: int, limit: int = _MOST) -> tuple[Happening, ...]:
    """Return the events after a number, oldest first, with the site that each is about."""
    event, place = tables.events.c, tables.queue.c
    joined = tables.events.outerjoin(tables.queue, event.inspection_id == place.inspection_id)
    query = (
        sa.select(event.number, event.at, event.kind, event.inspection_id, place.site_id)
        .select_from(joined)
        .where(event.number > after)
        .order_by(event.number)
        .limit(limit)
    )
    with store.read() as connection:
        return tuple(Happening(*row) for row in connection.execute(query))


def newest(store: Store) -> int:
    """Return the number of the newest event; 0 where there is none."""
    with store.read() as connection:
        return int(connection.execute(sa.select(sa.func.max(tables.events.c.number))).scalar() or 0)


def hears(person: Person, event: Happening) -> bool:
    """Tell whether somebody hears of an event: those about inspections of their sites."""
    return event.inspection_id is not None and person.sees(event.site_id)


@dataclass(slots=True)
class Feed:
    """Look at the log for all listeners.

    Attributes:
        store: whose log.
        closing: tells listeners that the server stops.
    """

    store: Store
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    _listeners: set[asyncio.Queue[Happening]] = field(default_factory=set)
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _task: asyncio.Task[None] | None = None
    _last: int = 0

    async def listen(
        self, person: Person, after: int | None, still: Callable[[], bool]
    ) -> AsyncIterator[str]:
        """Yield server-sent events for one listener until `still` says no.

        Args:
            person: who listens.
            after: number of the last event heard; None starts now.
            still: asked at every beat: whether the listener may go on.
        """
        mine: asyncio.Queue[Happening] = asyncio.Queue(_MOST)
        self._listeners.add(mine)
        try:
            await self._start()
            last = await run_in_threadpool(newest, self.store) if after is None else after
            yield "retry: 2000\n\n"
            while old := await run_in_threadpool(happened, self.store, last):
                for event in old:
                    last = event.number
                    if hears(person, event):
                        yield _block(event)
            while not self.closing.is_set() and (mine in self._listeners or not mine.empty()):
                try:
                    event = await asyncio.wait_for(mine.get(), BEAT_S)
                except TimeoutError:
                    if not await run_in_threadpool(still):
                        return
                    yield ": still here\n\n"
                    continue
                if event.number > last and hears(person, event):
                    yield _block(event)
                last = max(last, event.number)
        finally:
            self._listeners.discard(mine)

    async def _start(self) -> None:
        """Look at the log from now on; whoever listens is told of all that comes after."""
        async with self._starting:
            if self._task is None or self._task.done():
                self._last = await run_in_threadpool(newest, self.store)
                self._task = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while self._listeners and not self.closing.is_set():
            try:
                for event in await run_in_threadpool(happened, self.store, self._last):
                    self._last = event.number
                    self._tell(event)
            except sa.exc.SQLAlchemyError as error:
                _LOG.warning("the log cannot be read, listeners wait: %s", error)
            await asyncio.sleep(PERIOD_S)

    def _tell(self, event: Happening) -> None:
        for listener in tuple(self._listeners):
            if listener.full():  # a listener that does not read comes back with after=
                self._listeners.discard(listener)
            else:
                listener.put_nowait(event)


def _block(event: Happening) -> str:
    return f"id: {event.number}\nevent: change\ndata: {event.as_json()}\n\n"
