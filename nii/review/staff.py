"""Pages of the administrator: accounts of people, tokens of programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from nii.errors import NiiError
from nii.review import auth, terms
from nii.review.accounts import fields_of, person_of, text_of
from nii.review.auth import Person, Right
from nii.review.desk import Desk, number
from nii.review.rendering import show, tongue_of
from nii.store import sites, tokens, users
from nii.store.users import Profile, Role, User

_LONGEST_DAYS = 730


@dataclass(frozen=True, slots=True)
class Secret:
    """What is shown once: a one-time password or a token."""

    about: str
    value: str


def accounts(request: Request) -> Response:
    """GET /accounts: all accounts and tokens."""
    _administrator(request)
    return _page(request)


async def add(request: Request) -> Response:
    """POST /accounts: add an account with a one-time password, shown once."""
    person = _administrator(request)
    form = await fields_of(request, 200)
    return await run_in_threadpool(_add, request, person, form)


def _add(request: Request, person: Person, form: FormData) -> Response:
    desk: Desk = request.app.state.desk
    speak = tongue_of(request)
    try:
        profile = _profile(desk, form, person.language)
        login, now = text_of(form, "login"), desk.clock()
        if text_of(form, "organisation"):
            auth.add_organisation_user(desk.store, login, profile, person.actor, now)
            return RedirectResponse("/accounts", 303)
        made, password = auth.add_user(desk.store, login, profile, person.actor, now)
    except NiiError as error:
        return _page(request, problem=_words(error), fields=form, status=422)
    about = speak.say("One-time password of %(login)s:", login=made.login)
    return _page(request, secret=Secret(about, password))


def edit_page(request: Request) -> Response:
    """GET /accounts/{id}: one account, to be changed."""
    _administrator(request)
    return _edit(request, _user(request), None)


async def change(request: Request) -> Response:
    """POST /accounts/{id}: change, close, open an account, or give it a one-time password."""
    person = _administrator(request)
    form = await fields_of(request, 200)
    return await run_in_threadpool(_change, request, person, form)


def _change(request: Request, person: Person, form: FormData) -> Response:
    desk: Desk = request.app.state.desk
    user, act, speak = _user(request), text_of(form, "act"), tongue_of(request)
    try:
        if act in ("reset", "enable"):
            password = auth.reset(desk.store, user, person.actor, desk.clock())
            about = speak.say("One-time password of %(login)s:", login=user.login)
            return _page(request, secret=Secret(about, password))
        if act == "disable":
            users.disable(desk.store, user.id, person.actor, desk.clock())
        elif act == "edit":
            profile = _profile(desk, form, user.profile.language)
            users.change(desk.store, user.id, profile, person.actor, desk.clock())
        else:
            raise HTTPException(422)
    except NiiError as error:
        if act == "edit":
            return _edit(request, user, _words(error), 422)
        return _page(request, problem=_words(error), status=422)
    return RedirectResponse("/accounts", 303)


async def add_token(request: Request) -> Response:
    """POST /tokens: make a token for a program, shown once."""
    _administrator(request)
    form = await fields_of(request)
    return await run_in_threadpool(_add_token, request, form)


def _add_token(request: Request, form: FormData) -> Response:
    desk: Desk = request.app.state.desk
    speak = tongue_of(request)
    days = text_of(form, "days")
    length = int(days) if days.isascii() and days.isdigit() and len(days) < 6 else 0  # noqa: PLR2004
    scopes = {scope for scope in map(str, form.getlist("scope")) if scope in list(Right)}
    name = text_of(form, "name").strip()
    user = users.get(desk.store, number(text_of(form, "user") or "0"))
    if user is None or not scopes or not 0 < length <= _LONGEST_DAYS or not name:
        problem = speak.say("A token needs a name, an account, what it may do, and 1 to 730 days.")
        return _page(request, problem=problem, status=422)
    now = desk.clock()
    try:
        ends_at = now + timedelta(days=length)
        token = auth.add_token(
            desk.store, user, name, {Right(each) for each in scopes}, ends_at, now
        )
    except NiiError as error:
        return _page(request, problem=_words(error), status=422)
    return _page(request, secret=Secret(speak.say("Token of %(name)s:", name=name), token))


def revoke_token(request: Request) -> Response:
    """POST /tokens/{id}: a token is good for nothing from now on."""
    desk: Desk = request.app.state.desk
    person = _administrator(request)
    tokens.revoke(desk.store, number(request.path_params["id"]), person.actor, desk.clock())
    return RedirectResponse("/accounts", 303)


def _administrator(request: Request) -> Person:
    person = person_of(request)
    if not person.may(Right.ACCOUNTS):
        raise HTTPException(403)
    return person


def _user(request: Request) -> User:
    desk: Desk = request.app.state.desk
    user = users.get(desk.store, number(request.path_params["id"]))
    if user is None:
        raise HTTPException(404)
    return user


def _profile(desk: Desk, form: FormData, language: str) -> Profile:
    """Return what a form says of a user.

    Raises:
        NiiError: a text does not hold.
        HTTPException: 422 where the role is none.
    """
    role = text_of(form, "role")
    if role not in list(Role):
        raise HTTPException(422)
    chosen = _sites(desk, form) or None
    return Profile(text_of(form, "name"), Role(role), language, text_of(form, "group"), chosen)


def _sites(desk: Desk, form: FormData) -> tuple[int, ...]:
    known = {site.id for site in sites.listing(desk.store)}
    chosen = {number(text) for text in form.getlist("site") if isinstance(text, str)}
    return tuple(sorted(chosen & known))


def _words(error: NiiError) -> str:
    return f"{error.found}; {error.expected}. {error.remedy}"


def _state(user: User, now: datetime) -> str:
    if user.disabled_at is not None:
        return "disabled"
    if user.locked(now):
        return "locked"
    return "new" if user.credentials.must_change else "active"


def _page(
    request: Request,
    secret: Secret | None = None,
    problem: str | None = None,
    fields: Mapping[str, object] | None = None,
    status: int = 200,
) -> Response:
    desk: Desk = request.app.state.desk
    speak, now, names = tongue_of(request), desk.clock(), desk.site_names()
    people = users.listing(desk.store)
    logins = {user.id: user.login for user in people}
    shown = [
        {
            "id": user.id,
            "login": user.login,
            "name": user.profile.name,
            "role": user.profile.role.value,
            "sites": ", ".join(names.get(each, str(each)) for each in user.profile.sites or ()),
            "group": user.profile.group,
            "state": _state(user, now),
        }
        for user in people
    ]
    held = [
        {
            "id": token.id,
            "name": token.name,
            "login": logins.get(token.user_id, ""),
            "scopes": ", ".join(token.scopes),
            "ends_at": token.ends_at,
            "revoked": token.revoked_at is not None,
        }
        for token in tokens.listing(desk.store)
    ]
    return show(
        request,
        "accounts.html",
        status=status,
        people=shown,
        tokens=held,
        secret=secret,
        problem=problem,
        fields=fields or {},
        roles=terms.said(speak, terms.ROLES),
        states=terms.said(speak, terms.ACCOUNT_STATES),
        scopes=terms.said(speak, terms.SCOPES),
        sites=sites.listing(desk.store),
        organisation=desk.settings.oidc_issuer and (desk.settings.oidc_name or "OpenID Connect"),
    )


def _edit(request: Request, user: User, problem: str | None, status: int = 200) -> Response:
    desk: Desk = request.app.state.desk
    return show(
        request,
        "edit.html",
        status=status,
        user={
            "id": user.id,
            "login": user.login,
            "name": user.profile.name,
            "role": user.profile.role.value,
            "group": user.profile.group,
        },
        chosen=user.profile.sites or (),
        problem=problem,
        roles=terms.said(tongue_of(request), terms.ROLES),
        sites=sites.listing(desk.store),
    )


ROUTES = [
    Route("/accounts", accounts),
    Route("/accounts", add, methods=["POST"]),
    Route("/accounts/{id}", edit_page),
    Route("/accounts/{id}", change, methods=["POST"]),
    Route("/tokens", add_token, methods=["POST"]),
    Route("/tokens/{id}", revoke_token, methods=["POST"]),
]
