"""The administrator's page of settings: how the queue is run, sites, where scanners stand."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from nii.errors import NiiError
from nii.inspection import Level
from nii.review.accounts import fields_of, person_of, text_of
from nii.review.auth import Person, Right
from nii.review.desk import Desk, number
from nii.review.rendering import show, tongue_of
from nii.store import queue, settings, sites
from nii.store.queue import QueueSettings


def page(request: Request) -> Response:
    """GET /settings: what is set."""
    _administrator(request)
    return _page(request, None)


async def change(request: Request) -> Response:
    """POST /settings: change the rules of the queue, add a site, place a scanner."""
    person = _administrator(request)
    form = await fields_of(request)
    return await run_in_threadpool(_change, request, person, form)


def _change(request: Request, person: Person, form: FormData) -> Response:
    desk: Desk = request.app.state.desk
    act, now = text_of(form, "act"), desk.clock()
    try:
        if act == "rules":
            settings.put(desk.store, queue.SETTINGS, _rules(form), person.actor, now)
        elif act == "site":
            code, name = text_of(form, "code"), text_of(form, "name")
            sites.add(desk.store, code, name, person.actor, now)
        elif act == "scanner":
            place = text_of(form, "site")
            sites.assign(
                desk.store,
                number(text_of(form, "scanner")),
                text_of(form, "name"),
                number(place) if place else None,
                person.actor,
                now,
            )
        else:
            raise HTTPException(422)
    except NiiError as error:
        return _page(request, f"{error.found}; {error.expected}. {error.remedy}", 422)
    except ValueError:
        problem = tongue_of(request).say("A share is from 0 to 100 %, a time above 0 minutes.")
        return _page(request, problem, 422)
    return RedirectResponse("/settings", 303)


def _rules(form: FormData) -> QueueSettings:
    """Read the rules of the queue from a form.

    Raises:
        ValueError: a number is none or out of its range.
    """
    second = text_of(form, "second_from")
    return QueueSettings(
        audit_share=float(text_of(form, "audit_share")) / 100,
        audit_wait_minutes=float(text_of(form, "audit_wait_minutes")),
        blind_share=float(text_of(form, "blind_share")) / 100,
        claim_minutes=float(text_of(form, "claim_minutes")),
        reason_from=Level(text_of(form, "reason_from")),
        second_from=Level(second) if second else None,
    )


def _administrator(request: Request) -> Person:
    person = person_of(request)
    if not person.may(Right.ACCOUNTS):
        raise HTTPException(403)
    return person


def _page(request: Request, problem: str | None, status: int = 200) -> Response:
    desk: Desk = request.app.state.desk
    speak = tongue_of(request)
    return show(
        request,
        "settings.html",
        status=status,
        problem=problem,
        rules=desk.rules(),
        levels=[("look", speak.say("look")), ("search", speak.say("search"))],
        sites=[(site.id, f"{site.code}: {site.name}") for site in sites.listing(desk.store)],
        scanners=sites.scanners(desk.store),
    )


ROUTES = [Route("/settings", page), Route("/settings", change, methods=["POST"])]
