"""The operations of the app for programs, as JSON below ``/api/v1``: the table and its handlers.

See :mod:`nii.review.operations` for how a row of the table becomes a route and a description, and
:mod:`nii.review.forms` for the JSON documents.
"""

from __future__ import annotations

import functools
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from nii.errors import NiiError
from nii.review import forms, live, numbers_api, operations, upload
from nii.review.auth import Right
from nii.review.desk import Desk
from nii.review.forms import listed, ref
from nii.review.operations import Call, Operation
from nii.review.schema import Schema

_LIMIT: Schema = {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
_AFTER: Schema = {
    "type": "integer",
    "minimum": 0,
    "maximum": 2**31 - 1,
    "default": 0,
    "description": "Number of the last one that is known already.",
}
_ONWARD = {"after": _AFTER, "limit": _LIMIT}


def _desk(call: Call) -> Desk:
    desk: Desk = call.request.app.state.desk
    return desk


def queue(call: Call) -> dict[str, Any]:
    """Return a page of the queue."""
    desk = _desk(call)
    parameters = {name: str(value) for name, value in call.query.items() if value is not None}
    try:
        found = desk.page(call.person, desk.asked(parameters))
    except (HTTPException, NiiError):
        raise HTTPException(400, "A parameter has a value that there is not.") from None
    return {
        "items": [forms.row(row) for row in found.rows],
        "counts": found.counts,
        "after": found.after,
    }


def claim_next(call: Call) -> Response:
    """Claim the next scan of the queue."""
    desk = _desk(call)
    number = desk.next_scan(call.person)
    if number is None:
        return Response(status_code=204)
    return JSONResponse(forms.inspection(desk.case(call.person, str(number))))


def inspections(call: Call) -> dict[str, Any]:
    """Return inspections with their findings, oldest first."""
    desk = _desk(call)
    found = desk.cases_after(call.person, call.query["after"], call.query["limit"])
    return {"items": [forms.inspection(case) for case in found]}


def inspection(call: Call) -> dict[str, Any]:
    """Return one inspection with decisions, marks and outcomes."""
    desk = _desk(call)
    case = desk.case(call.person, str(call.path["id"]))
    papers = desk.papers(call.person, case)
    return {
        **forms.inspection(case),
        "decisions": [forms.decision(each) for each in papers.decisions],
        "marks": [forms.mark(each) for each in papers.marks],
        "outcomes": [forms.outcome(each) for each in papers.outcomes],
    }


def claim(call: Call) -> dict[str, Any]:
    """Claim a scan, or keep it."""
    desk = _desk(call)
    until = desk.claim(call.person, desk.case(call.person, str(call.path["id"])))
    return {"until": until.isoformat()}


def release(call: Call) -> None:
    """Give a claimed scan back."""
    desk = _desk(call)
    desk.release(call.person, desk.case(call.person, str(call.path["id"])))


def decide(call: Call) -> dict[str, Any]:
    """Add a decision."""
    desk = _desk(call)
    case = desk.case(call.person, str(call.path["id"]))
    return forms.decision(desk.decide(call.person, case, call.body))


def mark(call: Call) -> dict[str, Any]:
    """Say what a region is, draw one, or withdraw what was said."""
    desk = _desk(call)
    case = desk.case(call.person, str(call.path["id"]))
    return forms.mark(desk.mark(call.person, case, call.body))


def outcome(call: Call) -> dict[str, Any]:
    """Add the result of the physical examination."""
    desk = _desk(call)
    case = desk.case(call.person, str(call.path["id"]))
    return forms.outcome(desk.outcome(call.person, case, call.body))


def viewed(call: Call) -> None:
    """Log what was shown and switched on."""
    desk = _desk(call)
    desk.viewed(call.person, desk.case(call.person, str(call.path["id"])), call.body["items"])


def decisions(call: Call) -> dict[str, Any]:
    """Return decisions, oldest first."""
    desk = _desk(call)
    found = desk.decisions_after(call.person, call.query["after"], call.query["limit"])
    return {"items": [forms.decision(each) for each in found]}


def scan(call: Call) -> dict[str, Any]:
    """Return what is known of a scan."""
    desk = _desk(call)
    if not desk.sees_scan(call.person, call.path["sha256"]):
        raise HTTPException(404)
    return forms.scan(desk.kept(call.path["sha256"]), desk.inspections_of(call.path["sha256"]))


def events(call: Call) -> dict[str, Any]:
    """Return events, oldest first, as far as they are about inspections that the caller sees."""
    desk, after = _desk(call), call.query["after"]
    found = live.happened(desk.store, after, call.query["limit"])
    return {
        "items": [forms.event(each) for each in found if live.hears(call.person, each)],
        "after": found[-1].number if found else after,
    }


async def follow(call: Call) -> Response:
    """Stream events as they happen."""
    return stream(call.request, call.query["after"])


def stream(request: Request, after: int | None) -> Response:
    """Return the stream of server-sent events for whoever asks."""
    feed: live.Feed = request.app.state.feed
    desk: Desk = request.app.state.desk
    person = request.state.person
    heard = request.headers.get("last-event-id", "")
    if heard.isascii() and heard.isdigit() and len(heard) < 12:  # noqa: PLR2004
        after = int(heard)
    body = feed.listen(person, after, functools.partial(desk.still_there, person))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(body, media_type="text/event-stream", headers=headers)


_QUEUE: dict[str, Schema] = {
    "level": {"type": "string", "enum": ["clear", "look", "search"]},
    "class": {"type": "string", "maxLength": 64},
    "number": {"type": "string", "maxLength": 40, "description": "Container, wagon, plate…"},
    "site": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    "scanner": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    "why": {"type": "string", "enum": ["new", "second", "recheck", "group", "audit"]},
    "state": {
        "type": "string",
        "enum": ["open", "decided", "superseded", "all"],
        "default": "open",
    },
    "from": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
    "to": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
    "after": {"type": "string", "maxLength": 200, "description": "From the answer before."},
    "limit": _LIMIT,
}

OPERATIONS = (
    Operation(
        "listQueue", "GET", "/queue", Right.READ,
        "What waits: most urgent level first, then by risk, then by age.",
        queue, ref("QueuePage"), query=_QUEUE,
    ),
    Operation(
        "claimNext", "POST", "/queue/next", Right.DECIDE,
        "Claim the next scan of the queue; 204 where nothing waits.",
        claim_next, ref("Inspection"), also=(204,),
    ),
    Operation(
        "listInspections", "GET", "/inspections", Right.READ,
        "Inspections with their findings, oldest first.",
        inspections, listed("Inspection"), query=_ONWARD,
    ),
    Operation(
        "getInspection", "GET", "/inspections/{id}", Right.READ,
        "One inspection with decisions, marks and outcomes.",
        inspection, ref("WholeInspection"),
    ),
    Operation(
        "claim", "POST", "/inspections/{id}/claim", Right.DECIDE,
        "Claim a scan for some minutes, or keep it for longer.",
        claim, ref("Claim"), body=forms.NOTHING, also=(409,),
    ),
    Operation(
        "release", "DELETE", "/inspections/{id}/claim", Right.DECIDE,
        "Give a claimed scan back undecided.",
        release, status=204, also=(422,),
    ),
    Operation(
        "decide", "POST", "/inspections/{id}/decisions", Right.DECIDE,
        "Add a decision; earlier ones stay.",
        decide, ref("Decision"), 201, body=forms.SCHEMAS["NewDecision"], also=(409,),
    ),
    Operation(
        "mark", "POST", "/inspections/{id}/marks", Right.DECIDE,
        "Say what a region really is, draw one, or withdraw an earlier mark.",
        mark, ref("Mark"), 201, body=forms.SCHEMAS["NewMark"],
    ),
    Operation(
        "addOutcome", "POST", "/inspections/{id}/outcomes", Right.DECIDE,
        "Add the result of the physical examination.",
        outcome, ref("Outcome"), 201, body=forms.SCHEMAS["NewOutcome"],
    ),
    Operation(
        "logViews", "POST", "/inspections/{id}/views", Right.READ,
        "Log which tools and overlays were switched on and off.",
        viewed, status=204, body=forms.SCHEMAS["Views"],
    ),
    Operation(
        "listDecisions", "GET", "/decisions", Right.READ,
        "Decisions, oldest first.",
        decisions, listed("Decision"), query=_ONWARD,
    ),
    numbers_api.NUMBERS,
    Operation(
        "pushScan", "POST", "/scans", Right.PUSH,
        "Store a scan, with its inspection if there is one.",
        upload.push, ref("Pushed"), 201,
        body=upload.FORM, media=(upload.MEDIA, "application/json"),
    ),
    Operation(
        "getScan", "GET", "/scans/{sha256}", Right.READ,
        "The files of a scan and its inspections.",
        scan, ref("Scan"),
    ),
    Operation(
        "listEvents", "GET", "/events", Right.EVENTS,
        "Events about inspections, oldest first; go on with `after` of the answer.",
        events, ref("EventPage"), query=_ONWARD,
    ),
    Operation(
        "followEvents", "GET", "/events/stream", Right.EVENTS,
        "The same as server-sent events, as they happen.",
        follow, {"type": "string"}, query={"after": _AFTER},
        media=("application/json", "text/event-stream"),
    ),
)  # fmt: skip


@functools.cache
def description() -> dict[str, Any]:
    """Return the OpenAPI document."""
    return operations.document(OPERATIONS, forms.SCHEMAS)


def openapi(_request: Request) -> Response:
    """GET /api/v1/openapi.json: the description of all this."""
    return JSONResponse(description())


ROUTES = [
    Route("/openapi.json", openapi),
    *operations.routes(OPERATIONS),
]
