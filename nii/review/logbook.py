"""The page of the log: what happened, and whether the chain still holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nii.review.accounts import person_of
from nii.review.auth import Right
from nii.review.desk import Desk, number
from nii.review.rendering import show
from nii.store import audit, tables
from nii.store.audit import Check
from nii.store.database import Store

_PAGE = 100


@dataclass(frozen=True, slots=True)
class Line:
    """An event of the log."""

    number: int
    at: datetime
    kind: str
    inspection_id: int | None
    payload: str


def lines(store: Store, before: int | None) -> tuple[Line, ...]:
    """Return a page of events, newest first."""
    event = tables.events.c
    query = sa.select(event.number, event.at, event.kind, event.inspection_id, event.payload)
    if before is not None:
        query = query.where(event.number < before)
    with store.read() as connection:
        rows = connection.execute(query.order_by(event.number.desc()).limit(_PAGE)).all()
    return tuple(
        Line(row.number, datetime.fromisoformat(row.at), row.kind, row.inspection_id, row.payload)
        for row in rows
    )


def log(request: Request) -> Response:
    """GET /log: events, newest first."""
    return _page(request, None)


def check(request: Request) -> Response:
    """POST /log: check the whole log and show what came of it."""
    desk: Desk = request.app.state.desk
    _auditor(request)
    return _page(request, audit.verify(desk.store))


def _auditor(request: Request) -> None:
    if not person_of(request).may(Right.LOG):
        raise HTTPException(403)


def _page(request: Request, found: Check | None) -> Response:
    desk: Desk = request.app.state.desk
    _auditor(request)
    text = request.query_params.get("before")
    shown = lines(desk.store, number(text) if text else None)
    older = shown[-1].number if len(shown) == _PAGE and shown[-1].number > 1 else None
    return show(request, "log.html", events=shown, older=older, check=found)


ROUTES = [Route("/log", log), Route("/log", check, methods=["POST"])]
