"""The pages that an officer sees."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from nii import taxonomy
from nii.errors import NiiError
from nii.inspection import Level
from nii.review.desk import Desk
from nii.review.pictures import WIDEST_PX, Size
from nii.store import decisions, inspections
from nii.store.decisions import Verdict
from nii.store.inspections import Filed, Query

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_NO_COLOUR = (220, 220, 220)
_PICTURE_HEADERS = {"Cache-Control": "private, max-age=31536000, immutable"}
"""The address of a picture holds the digest of its content."""


def show(
    template: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **values: object
) -> Response:
    """Return a page; texts that no browser can show are replaced, not refused."""
    text = _TEMPLATES.get_template(template).render(status=status, **values)
    return HTMLResponse(text.encode("utf-8", "replace"), status, headers=headers)


def queue(request: Request) -> Response:
    """GET /: inspections, most urgent first, then those that wait longest."""
    desk: Desk = request.app.state.desk
    query = desk.query(request.query_params)
    found = inspections.page(desk.store, query)
    return show(
        "queue.html",
        found=found,
        query=query,
        counts=inspections.counts(desk.store, query),
        levels=tuple(reversed(Level)),
        now=desk.clock(),
        more=address(query, before=found[-1].id) if len(found) == query.limit else None,
        address=address,
    )


def one(request: Request) -> Response:
    """GET /inspections/{id}: the picture, what was found, and the form to decide."""
    desk: Desk = request.app.state.desk
    filed = desk.filed(request.path_params["id"])
    return _one(desk, filed, {}, None)


async def decide(request: Request) -> Response:
    """POST /inspections/{id}/decisions: add the decision of the form and show the page again."""
    desk: Desk = request.app.state.desk
    filed = await run_in_threadpool(desk.filed, request.path_params["id"])
    async with request.form(max_files=0, max_fields=10) as form:
        fields = dict(form)
    try:
        await run_in_threadpool(desk.decide, filed, fields)
    except NiiError as error:
        return await run_in_threadpool(_one, desk, filed, fields, error)
    return RedirectResponse(f"/inspections/{filed.id}#decisions", 303)


def picture(request: Request) -> Response:
    """GET /scans/{sha256}/{size}.png: the scan as a picture."""
    desk: Desk = request.app.state.desk
    size = request.path_params["size"]
    if size not in WIDEST_PX:
        raise HTTPException(404)
    png = desk.pictures.get(request.path_params["sha256"], cast("Size", size))
    if png is None:
        raise HTTPException(404)
    return Response(png, media_type="image/png", headers=_PICTURE_HEADERS)


def address(query: Query, **changes: object) -> str:
    """Return the address of a page of the queue that differs from `query` in some settings."""
    values: dict[str, object] = {
        "level": query.level,
        "class": query.class_name,
        "all": None if query.undecided else 1,
    } | changes
    text = urlencode({key: value for key, value in values.items() if value is not None})
    return f"/?{text}" if text else "/"


def waiting(since: datetime, until: datetime) -> str:
    """Return a length of time in words, rounded down."""
    minutes = max(until - since, timedelta()) // timedelta(minutes=1)
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours < 48 else f"{hours // 24} days"  # noqa: PLR2004


def colour(class_name: str) -> str:
    """Return the colour of a class for the browser; grey for a class that is no longer known."""
    known = {row.name: row.colour for row in taxonomy.classes()}
    return "#{:02x}{:02x}{:02x}".format(*known.get(class_name, _NO_COLOUR))


def _one(
    desk: Desk, filed: Filed, fields: Mapping[str, object], error: NiiError | None
) -> Response:
    following = inspections.page(desk.store, Query(undecided=True, limit=2))
    others = [other.id for other in following if other.id != filed.id]
    return show(
        "inspection.html",
        status=200 if error is None else 422,
        filed=filed,
        inspection=filed.inspection,
        decisions=decisions.of_inspection(desk.store, filed.id),
        verdicts=tuple(Verdict),
        fields=fields,
        error=error,
        reason_needed=filed.inspection.level is Level.SEARCH,
        following=others[0] if others else None,
    )


_TEMPLATES.filters["colour"] = colour
_TEMPLATES.filters["time"] = lambda at: at.strftime("%Y-%m-%d %H:%M UTC")
_TEMPLATES.globals["waiting"] = waiting

ROUTES = [
    Route("/", queue),
    Route("/inspections/{id}", one),
    Route("/inspections/{id}/decisions", decide, methods=["POST"]),
    Route("/scans/{sha256}/{size}.png", picture),
]
