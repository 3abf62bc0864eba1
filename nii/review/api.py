"""The same as the pages, in JSON, for programs."""

from __future__ import annotations

import json
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nii.config import to_dict
from nii.errors import NiiError
from nii.review.desk import Desk
from nii.store import decisions, inspections
from nii.store.decisions import Decision
from nii.store.inspections import Filed


def listing(request: Request) -> Response:
    """GET /api/inspections: a page of the queue, with counts by level and the id to go on from."""
    desk: Desk = request.app.state.desk
    query = desk.query(request.query_params)
    found = inspections.page(desk.store, query)
    return JSONResponse(
        {
            "inspections": [_short(filed) for filed in found],
            "counts": inspections.counts(desk.store, query),
            "next_before": found[-1].id if len(found) == query.limit else None,
        }
    )


def one(request: Request) -> Response:
    """GET /api/inspections/{id}: an inspection as it was filed, with its decisions."""
    desk: Desk = request.app.state.desk
    filed = desk.filed(request.path_params["id"])
    return JSONResponse(
        {
            "id": filed.id,
            "filed_at": filed.filed_at.isoformat(),
            "inspection": filed.inspection.to_json(),
            "decisions": [_plain(each) for each in decisions.of_inspection(desk.store, filed.id)],
        }
    )


async def decide(request: Request) -> Response:
    """POST /api/inspections/{id}/decisions: add a decision given as JSON."""
    desk: Desk = request.app.state.desk
    filed = await run_in_threadpool(desk.filed, request.path_params["id"])
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return JSONResponse({"error": "a decision comes as application/json"}, 415)
    try:
        fields = json.loads(await request.body())
    except (ValueError, RecursionError):
        return JSONResponse({"error": "this is no JSON"}, 400)
    if not isinstance(fields, dict):
        return JSONResponse({"error": "a decision is a JSON object"}, 400)
    try:
        decision = await run_in_threadpool(desk.decide, filed, fields)
    except NiiError as error:
        return JSONResponse({"error": str(error)}, 422)
    return JSONResponse(_plain(decision), 201)


def _short(filed: Filed) -> dict[str, Any]:
    inspection = filed.inspection
    return {
        "id": filed.id,
        "level": inspection.level.value,
        "filed_at": filed.filed_at.isoformat(),
        "decided": filed.decided,
        "scan_sha256": filed.scan_sha256,
        "files": list(inspection.scan.files),
        "container_numbers": list(inspection.scan.container_numbers),
        "regions": [region.class_name for region in inspection.regions],
    }


def _plain(decision: Decision) -> dict[str, Any]:
    return {**to_dict(decision), "decided_at": decision.decided_at.isoformat()}


ROUTES = [
    Route("/inspections", listing),
    Route("/inspections/{id}", one),
    Route("/inspections/{id}/decisions", decide, methods=["POST"]),
]
