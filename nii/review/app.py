"""The web app put together: routes, guard, identity, errors."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import anyio.to_thread
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import nii
from nii.errors import NiiError
from nii.review import (
    accounts,
    api,
    evidence,
    live,
    logbook,
    numbers_page,
    operations,
    pages,
    posts,
    single,
    staff,
    tiles,
)
from nii.review.desk import Desk, ReviewSettings
from nii.review.guard import HEADERS, Guard
from nii.review.identity import BUSY, BUSY_TEXT, KNOWN, RETRY, STRANGERS, Identity
from nii.review.limits import Limiter
from nii.review.pictures import Pictures
from nii.review.problems import problem
from nii.review.rendering import show, tongue_of
from nii.store.database import Store

STATIC = Path(__file__).with_name("static")
PICTURES_FOLDER = "pictures"
PYRAMIDS_FOLDER = "pyramids"
_THREADS = 120
"""Requests worked on at once: those that wait to write must not keep out those that read."""
_LOG = logging.getLogger(__name__)


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


def create_app(
    store: Store,
    settings: ReviewSettings | None = None,
    clock: Callable[[], datetime] = now,
) -> Starlette:
    """Return the web app over an open store, which the caller closes."""
    settings = settings or ReviewSettings()
    folder = settings.pictures or store.files.with_name(PICTURES_FOLDER)
    desk = Desk(store, Pictures(store, folder), settings, clock)
    app = Starlette(
        routes=[
            Route("/healthz", health),
            *pages.ROUTES,
            *accounts.ROUTES,
            *staff.ROUTES,
            *posts.ROUTES,
            *logbook.ROUTES,
            *numbers_page.ROUTES,
            *evidence.ROUTES,
            *single.ROUTES,
            Route("/events", events),
            Mount(operations.PREFIX, routes=api.ROUTES),
            Mount("/api/scans", routes=tiles.routes(_may_see)),
            Mount("/static", StaticFiles(directory=STATIC), name="static"),
        ],
        middleware=[
            Middleware(Guard, hosts=frozenset(settings.hosts)),
            Middleware(Identity, desk=desk, strangers=Limiter(STRANGERS), known=Limiter(KNOWN)),
        ],
        exception_handlers={
            HTTPException: on_http_error,
            NiiError: on_refusal,
            **dict.fromkeys(BUSY, on_busy),
            Exception: on_failure,
        },
        lifespan=_life,
    )
    app.state.desk = desk
    app.state.feed = live.Feed(store)
    app.state.tries = Limiter(accounts.TRIES)
    app.state.from_one_place = Limiter(accounts.FROM_ONE_PLACE)
    app.state.door = single.door_of(settings)
    app.state.tiles = tiles.Tiles(store, store.files.with_name(PYRAMIDS_FOLDER))
    return app


@asynccontextmanager
async def _life(app: Starlette) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
    yield
    app.state.feed.closing.set()
    app.state.tiles.close()


def _may_see(request: Request, sha256: str) -> bool:
    desk: Desk = request.app.state.desk
    return desk.sees_scan(request.state.person, sha256)


async def events(request: Request) -> Response:
    """GET /events: what happens, for the pages."""
    return api.stream(request, None)


async def health(request: Request) -> Response:
    """Say whether the database answers."""
    desk: Desk = request.app.state.desk

    def ask() -> None:
        with desk.store.read() as connection:
            connection.execute(sa.text("SELECT 1"))

    try:
        await run_in_threadpool(ask)
    except sa.exc.SQLAlchemyError:
        return JSONResponse({"status": "the database does not answer"}, 503)
    return JSONResponse({"status": "ok", "version": nii.__version__})


async def on_http_error(request: Request, error: Exception) -> Response:
    """Answer with an error page, or with JSON below /api."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else ""
    headers = error.headers if isinstance(error, HTTPException) else None
    if request.url.path.startswith("/api/"):
        return problem(status, detail, headers)
    speak = tongue_of(request)
    messages = {
        403: speak.say("This is not for your account."),
        404: speak.say("There is nothing here, or not for you."),
        500: speak.say("Something went wrong here. It is in the log of the server."),
    }
    message = messages.get(status, HTTPStatus(status).phrase)
    return show(request, "error.html", status=status, message=message, advice=None, headers=headers)


async def on_refusal(request: Request, error: Exception) -> Response:
    """Answer to something that the store refuses and no page expected."""
    assert isinstance(error, NiiError)  # noqa: S101 - for the reader
    if request.url.path.startswith("/api/"):
        return problem(422, str(error))
    message = tongue_of(request).say("This cannot be done now.")
    return show(request, "error.html", status=422, message=message, advice=str(error))


async def on_busy(request: Request, _error: Exception) -> Response:
    """Answer while the database does not: nothing was stored by halves, trying again is safe."""
    _LOG.warning("the database does not answer: %s", type(_error).__name__)
    if request.url.path.startswith("/api/"):
        return problem(503, BUSY_TEXT, RETRY)
    speak = tongue_of(request)
    message = speak.say("The database does not answer at the moment.")
    advice = speak.say("Nothing was stored by halves. Go back and try again.")
    return show(request, "error.html", status=503, message=message, advice=advice, headers=RETRY)


async def on_failure(request: Request, _error: Exception) -> Response:
    """Answer to a failure of ours without telling its inside; the log holds it."""
    response = await on_http_error(request, HTTPException(500))
    response.headers.update(HEADERS)  # this answer does not pass the guard
    return response
