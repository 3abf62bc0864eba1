"""The web app put together: routes, guard, errors; and the server that runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import sqlalchemy as sa
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import nii
from nii.errors import ConfigError
from nii.review import api, pages
from nii.review.desk import Desk
from nii.review.guard import HEADERS, LOOPBACK_HOSTS, Guard
from nii.review.pictures import Pictures
from nii.store.database import Store, open_folder

STATIC = Path(__file__).with_name("static")
PICTURES_FOLDER = "pictures"


@dataclass(frozen=True, slots=True)
class ReviewSettings:
    """Settings of the web app."""

    hosts: tuple[str, ...] = LOOPBACK_HOSTS
    """Host names under which it may be asked, without port."""
    page_size: int = 30
    """Inspections on one page of the queue."""
    pictures: Path | None = None
    """Folder for drawn pictures; None puts it beside the folder of original files."""


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
    app = Starlette(
        routes=[
            Route("/healthz", health),
            *pages.ROUTES,
            Mount("/api", routes=api.ROUTES),
            Mount("/static", StaticFiles(directory=STATIC), name="static"),
        ],
        middleware=[Middleware(Guard, hosts=frozenset(settings.hosts))],
        exception_handlers={HTTPException: on_http_error, Exception: on_failure},
    )
    app.state.desk = Desk(store, Pictures(store, folder), settings.page_size, clock)
    return app


def serve(
    store_path: Path, host: str = "127.0.0.1", port: int = 8000, database_url: str | None = None
) -> None:
    """Serve the store in a folder until interrupted.

    Raises:
        ConfigError: the host is not this machine alone.
        NiiError: the database cannot be used.
    """
    if host not in LOOPBACK_HOSTS:
        raise ConfigError(
            host,
            found="an address that other machines can reach",
            expected=f"one of {', '.join(LOOPBACK_HOSTS)}",
            remedy="There is no login yet, so the web app must stay on this machine.",
        )
    store = open_folder(store_path, database_url)
    try:
        uvicorn.run(create_app(store), host=host, port=port, server_header=False)
    finally:
        store.close()


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
    message = HTTPStatus(status).phrase
    headers = error.headers if isinstance(error, HTTPException) else None
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": message}, status, headers=headers)
    return pages.show("error.html", status=status, message=message, headers=headers)


async def on_failure(request: Request, _error: Exception) -> Response:
    """Answer to a failure of ours without telling its inside; the log holds it."""
    response = await on_http_error(request, HTTPException(500))
    response.headers.update(HEADERS)  # this answer does not pass the guard
    return response
