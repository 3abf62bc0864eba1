"""The evidence package of a scan, handed out by the web app."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from nii import dsse
from nii.exchange import evidence
from nii.exchange.evidence import Exporter
from nii.review.accounts import fields_of, person_of, text_of
from nii.review.auth import Right
from nii.review.desk import Desk

_LONGEST_REASON = 500


async def export(request: Request) -> Response:
    """POST /inspections/{id}/evidence: everything about the scan as a file; an event in the log."""
    form = await fields_of(request)
    reason = " ".join(text_of(form, "reason").split())[:_LONGEST_REASON]
    return await run_in_threadpool(_export, request, reason)


def _export(request: Request, reason: str) -> Response:
    person = person_of(request)
    if not (person.may(Right.LOG) or person.may(Right.SUPERVISE)):
        raise HTTPException(403)
    desk: Desk = request.app.state.desk
    case = desk.case(person, request.path_params["id"])
    handle, name = tempfile.mkstemp(prefix="nii-evidence-", suffix=evidence.SUFFIX)
    os.close(handle)
    path = Path(name)
    try:
        exporter = Exporter(person.name, person.id, reason)
        evidence.export(desk.store, case.filed.id, path, exporter, desk.clock(), _key(desk))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return FileResponse(
        path,
        media_type="application/zip",
        filename=f"inspection-{case.filed.id}{evidence.SUFFIX}",
        background=BackgroundTask(path.unlink, missing_ok=True),
    )


def _key(desk: Desk) -> dsse.PrivateKey | None:
    path = desk.settings.evidence_key
    if path is None:
        return None
    passphrase = os.environ.get(dsse.PASSPHRASE_VARIABLE, "").encode() or None
    return dsse.read_private_key(path, passphrase)


ROUTES = [Route("/inspections/{id}/evidence", export, methods=["POST"])]
"""To be mounted by the app."""
