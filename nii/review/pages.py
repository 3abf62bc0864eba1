"""The pages of the queue and of one inspection."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import cast
from urllib.parse import urlencode

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from nii import taxonomy
from nii.errors import NiiError
from nii.inspection import Level
from nii.review import terms, words
from nii.review.accounts import fields_of, person_of, text_of
from nii.review.auth import Person, Right
from nii.review.desk import Asked, Case, Desk
from nii.review.language import Tongue
from nii.review.pictures import WIDEST_PX, Size
from nii.review.rendering import show, tongue_of
from nii.review.tiles import Tiles
from nii.review.viewer import DrawnBox, OtherScan, document, score_in_words
from nii.store.claims import is_held

_DIGITS = 10
_PICTURE_HEADERS = {"Cache-Control": "private, max-age=31536000, immutable"}
"""The address of a picture holds the digest of its content."""


def queue(request: Request) -> Response:
    """GET /: what waits, most urgent first, within a level by risk and then by age."""
    desk, person = _here(request, Right.READ)
    speak = tongue_of(request)
    asked = desk.asked(request.query_params)
    found = desk.page(person, asked)
    if asked == desk.asked({}):
        _prepare(request, [row.scan for row in found.rows[: desk.settings.prepared]])
    return show(
        request,
        "queue.html",
        rows=found.rows,
        query=asked,
        counts=found.counts,
        levels=[level.value for level in reversed(Level)],
        classes=[(row.name, speak.say(row.label)) for row in taxonomy.in_group("threat")],
        sites=desk.sites_of(person),
        scanners=desk.scanners_of(person),
        verdict_names=terms.said(speak, terms.VERDICTS),
        whys=terms.said(speak, terms.WHYS),
        states=[*terms.said(speak, terms.STATES).items(), ("all", speak.say("all"))],
        filtered=address(replace(asked, level=None)) != "/",
        notice=_NOTICES(speak).get(request.query_params.get("notice", "")),
        more=address(asked, after=found.after) if found.after else None,
        address=address,
    )


def one(request: Request) -> Response:
    """GET /inspections/{id}: the viewer, what was found, and the form to decide."""
    desk, person = _here(request, Right.READ)
    shown = _one(request, desk.case(person, request.path_params["id"]))
    if desk.settings.prepared:
        shown.background = BackgroundTask(_prepare_next, request)
    return shown


def _prepare_next(request: Request) -> None:
    """Make ready what is opened after this scan."""
    desk, person = _here(request, Right.READ)
    _prepare(request, desk.head(person))


def _prepare(request: Request, scans: Sequence[str]) -> None:
    tiles: Tiles = request.app.state.tiles
    for sha256 in scans:
        tiles.prepare(sha256)


def viewer(request: Request) -> Response:
    """GET /inspections/{id}/viewer.json: what the viewer shows over the pixels."""
    desk, person = _here(request, Right.READ)
    speak = tongue_of(request)
    case = desk.case(person, request.path_params["id"])
    papers = desk.papers(person, case)
    found = document(
        case.inspection,
        functools.partial(words.translate, speak),
        boxes=[
            DrawnBox(kept.id, kept.mark.box_xyxy, kept.mark.remark, kept.officer)
            for kept in papers.drawn
            if kept.mark.box_xyxy is not None
        ],
        others=[OtherScan(speak.moment(each.at), each.scan) for each in papers.passages],
        blind=case.blind,
    )
    for shown, region in zip(found["regions"], case.inspection.regions, strict=True):
        shown["position"] = words.translate(speak, region.position)
    return JSONResponse(found)


async def decide(request: Request) -> Response:
    """POST /inspections/{id}/decisions: add the decision of the form, go on to the next scan."""
    form = await fields_of(request)
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    return await run_in_threadpool(_decide, request, fields)


def _decide(request: Request, fields: dict[str, str]) -> Response:
    desk, person = _here(request, Right.DECIDE)
    case = desk.case(person, request.path_params["id"])
    then = fields.pop("then", "stay")
    opened = fields.pop("opened", "")
    seconds = desk.seconds_since(opened)
    known = fields.pop("seen", "")
    seen = int(known) if known.isascii() and known.isdigit() and len(known) < _DIGITS else None
    try:
        made = desk.decide(person, case, {**fields, "seconds": seconds, "seen": seen})
    except NiiError as error:
        seen_now = desk.case(person, request.path_params["id"])
        problem = _problem(tongue_of(request), error, seen_now.holder)
        return _one(request, seen_now, fields=fields, problem=problem)
    # After a blind decision the regions are looked at, and so is what another decided meanwhile.
    if then == "next" and not case.blind and not made.unseen:
        return _next(desk, person)
    notice = "?notice=unseen" if made.unseen else ""
    return RedirectResponse(f"/inspections/{case.filed.id}{notice}", 303)


def next_scan(request: Request) -> Response:
    """POST /next: claim the next scan and open it."""
    desk, person = _here(request, Right.DECIDE)
    return _next(desk, person)


def release(request: Request) -> Response:
    """POST /inspections/{id}/release: give a claimed scan back undecided."""
    desk, person = _here(request, Right.DECIDE)
    desk.release(person, desk.case(person, request.path_params["id"]))
    return RedirectResponse("/", 303)


def recheck(request: Request) -> Response:
    """POST /inspections/{id}/recheck: a supervisor asks somebody else to look again."""
    desk, person = _here(request, Right.SUPERVISE)
    case = desk.case(person, request.path_params["id"])
    desk.recheck(person, case)
    return RedirectResponse("/?notice=recheck", 303)


async def outcome(request: Request) -> Response:
    """POST /inspections/{id}/outcomes: add the result of the physical examination."""
    form = await fields_of(request)
    fields = {name: text_of(form, name) for name in ("found", "class_name", "quantity", "remark")}
    return await run_in_threadpool(_outcome, request, fields)


def _outcome(request: Request, fields: dict[str, str]) -> Response:
    desk, person = _here(request, Right.DECIDE)
    case = desk.case(person, request.path_params["id"])
    if fields["found"] not in ("yes", "no"):
        raise HTTPException(422)
    try:
        desk.outcome(person, case, {**fields, "found": fields["found"] == "yes"})
    except NiiError as error:
        return _one(request, case, outcome_problem=_problem(tongue_of(request), error))
    return RedirectResponse(f"/inspections/{case.filed.id}", 303)


def picture(request: Request) -> Response:
    """GET /scans/{sha256}/{size}.png: the scan as a picture."""
    desk, person = _here(request, Right.READ)
    size, sha256 = request.path_params["size"], request.path_params["sha256"]
    if size not in WIDEST_PX or not desk.sees_scan(person, sha256):
        raise HTTPException(404)
    png = desk.pictures.get(sha256, cast("Size", size))
    if png is None:
        raise HTTPException(404)
    return Response(png, media_type="image/png", headers=_PICTURE_HEADERS)


def address(asked: Asked, **changes: object) -> str:
    """Return the address of a page of the queue that differs from `asked` in some settings."""
    values = asked.as_parameters() | changes
    if values.get("state") == "open":
        values["state"] = None
    text = urlencode({key: value for key, value in values.items() if value not in (None, "")})
    return f"/?{text}" if text else "/"


def _here(request: Request, right: Right) -> tuple[Desk, Person]:
    person = person_of(request)
    if not person.may(right):
        raise HTTPException(403)
    desk: Desk = request.app.state.desk
    return desk, person


def _next(desk: Desk, person: Person) -> Response:
    number = desk.next_scan(person)
    address = "/?notice=empty" if number is None else f"/inspections/{number}"
    return RedirectResponse(address, 303)


def _NOTICES(speak: Tongue) -> Mapping[str, str]:  # noqa: N802 - a table in a language
    return {
        "empty": speak.say("Nothing is left that waits for you."),
        "recheck": speak.say("Somebody else is asked to look again."),
        "unseen": speak.say("Another officer decided while you looked. Both decisions are kept."),
    }


def _problem(speak: Tongue, error: NiiError, holder: str | None = None) -> str:
    """Return why something was not stored; the usual cases in the language of the page."""
    if is_held(error) and holder:
        return speak.say(
            "Not stored: %(name)s is working on this scan. Your words are kept here.", name=holder
        )
    if error.found == "a release without reason":
        return speak.say("Not stored: a release needs a reason here.")
    return speak.say(
        "Not stored: %(found)s; expected: %(expected)s. %(remedy)s",
        found=error.found,
        expected=error.expected,
        remedy=error.remedy,
    )


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else None


def _one(
    request: Request,
    case: Case,
    fields: Mapping[str, str] | None = None,
    problem: str | None = None,
    outcome_problem: str | None = None,
) -> Response:
    desk, person = _here(request, Right.READ)
    speak = tongue_of(request)
    papers = desk.papers(person, case)
    inspection = case.inspection
    decided = bool(papers.decisions)
    page = {
        "id": case.filed.id,
        "user": person.id,
        "claims": person.may(Right.DECIDE) and case.open,
        "held": case.holder is not None and not case.mine,
        "claim_seconds": int(60 * desk.rules().claim_minutes),
        "logs": person.may(Right.READ),
        "decided": decided,
        "problem": bool(problem),
        "texts": terms.said(speak, terms.SCRIPT),
    }
    return show(
        request,
        "inspection.html",
        status=422 if problem or outcome_problem else 200,
        page=page,
        filed=case.filed,
        inspection=inspection,
        title=", ".join(inspection.scan.container_numbers) or ", ".join(inspection.scan.files),
        shown_level="blind" if case.blind else inspection.level.value,
        since=case.since,
        now=desk.clock(),
        site=case.site,
        why=case.why,
        holder=None if case.mine else case.holder,
        may_mark=person.may(Right.DECIDE),
        may_decide=person.may(Right.DECIDE),
        may_release=case.mine and case.open,
        may_supervise=person.may(Right.SUPERVISE),
        marked=papers.marked,
        drawn=papers.drawn,
        documents=papers.documents,
        passages=papers.passages,
        decisions=papers.decisions,
        outcomes=papers.outcomes,
        scores={
            region.number: score_in_words(region.score, speak.say) for region in inspection.regions
        },
        verdicts=list(terms.VERDICTS),
        verdict_names=terms.said(speak, terms.VERDICTS),
        whys=terms.said(speak, terms.WHYS),
        mark_names=terms.said(speak, terms.MARKS),
        document_kinds=terms.said(speak, terms.DOCUMENTS),
        guarantee_names=terms.said(speak, terms.GUARANTEES),
        reasons=desk.reasons(speak),
        reason_names={(verdict, code): label for code, label, verdict in desk.reasons(speak)},
        notice=_NOTICES(speak).get(request.query_params.get("notice", "")),
        groups=desk.groups(),
        threat_classes=[row.name for row in taxonomy.in_group("threat")],
        reason_needed=case.blind or inspection.level.rank >= desk.rules().reason_from.rank > 0,
        scanned=_moment(inspection.scan.acquired_at),
        inspected=_moment(inspection.inspected_at),
        fields=fields or {},
        problem=problem,
        outcome_problem=outcome_problem,
    )


ROUTES = [
    Route("/", queue),
    Route("/next", next_scan, methods=["POST"]),
    Route("/inspections/{id}", one),
    Route("/inspections/{id}/viewer.json", viewer),
    Route("/inspections/{id}/decisions", decide, methods=["POST"]),
    Route("/inspections/{id}/outcomes", outcome, methods=["POST"]),
    Route("/inspections/{id}/release", release, methods=["POST"]),
    Route("/inspections/{id}/recheck", recheck, methods=["POST"]),
    Route("/scans/{sha256}/{size}.png", picture),
]
