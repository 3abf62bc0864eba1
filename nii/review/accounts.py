"""Pages about one's own account: log-in, log-out, password, language, breaks."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from nii.errors import NiiError
from nii.review import auth, passwords, terms
from nii.review.auth import Person
from nii.review.desk import Desk
from nii.review.identity import cookie_name
from nii.review.language import CODES, Tongue
from nii.review.limits import Limiter, Rate
from nii.review.rendering import LANGUAGE_COOKIE, show, tongue_of

TRIES = Rate(burst=10, per_second=0.1)
"""Log-ins tried for one account, and changes of its password."""
FROM_ONE_PLACE = Rate(burst=200, per_second=1.0)
"""Log-ins tried from one address: a shift that begins behind one proxy must get in."""
_YEAR_S = 365 * 86_400


async def fields_of(request: Request, most: int = 20) -> FormData:
    """Return the fields of a form; files are not taken."""
    async with request.form(max_files=0, max_fields=most) as form:
        return form


def text_of(form: FormData, name: str) -> str:
    """Return a text of a form; empty where it is missing."""
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def own_path(text: str) -> str:
    """Return a path on this server that somebody asked to be led to; the queue if it is none."""
    parts = urlsplit(text)
    inside = text.startswith("/") and not text.startswith(("//", "/\\"))
    plain = inside and text.isprintable() and not (parts.scheme or parts.netloc or "\\" in text)
    return text if plain else "/"


def person_of(request: Request) -> Person:
    """Return who asks; the way here is closed to strangers."""
    person: Person | None = request.state.person
    if person is None:
        raise HTTPException(403)
    return person


def login_page(request: Request) -> Response:
    """GET /login: the form to log in."""
    if request.state.person is not None:
        return RedirectResponse("/", 303)
    return _login(request, own_path(request.query_params.get("next", "/")), "", None)


async def log_in(request: Request) -> Response:
    """POST /login: open a session, or say no without saying why."""
    desk: Desk = request.app.state.desk
    form = await fields_of(request)
    login, password = text_of(form, "login").strip().lower(), text_of(form, "password")
    back = own_path(text_of(form, "next"))
    tries: Limiter = request.app.state.tries
    address = request.client.host if request.client else ""
    speak = tongue_of(request)
    place: Limiter = request.app.state.from_one_place
    if place.wait(address) or tries.wait(f"as {login[:64]}"):
        problem = speak.say("Too many tries. Wait a minute, then try again.")
        return await run_in_threadpool(_login, request, back, login, problem, 429)
    token = await run_in_threadpool(
        auth.log_in, desk.store, desk.settings.sessions, (login, password), desk.clock(), address
    )
    if token is None:
        problem = speak.say(
            "Account or password is wrong, or the account is closed or locked for a while."
        )
        return await run_in_threadpool(_login, request, back, login, problem, 403)
    response = RedirectResponse(back, 303)
    give_cookie(request, response, token)
    return response


def give_cookie(request: Request, response: Response, token: str) -> None:
    """Put the token of a session into the browser's cookie."""
    scheme = request.url.scheme
    response.set_cookie(
        cookie_name(scheme), token, secure=scheme == "https", httponly=True, samesite="strict"
    )


def log_out(request: Request) -> Response:
    """POST /logout: end the session."""
    desk: Desk = request.app.state.desk
    person = person_of(request)
    auth.log_out(desk.store, person, desk.clock())
    response = RedirectResponse("/login", 303)
    scheme = request.url.scheme
    response.delete_cookie(
        cookie_name(scheme), secure=scheme == "https", httponly=True, samesite="strict"
    )
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


def password_page(request: Request) -> Response:
    """GET /password: the form to change one's password."""
    return show(request, "password.html", problem=None, shortest=passwords.SHORTEST)


async def change_password(request: Request) -> Response:
    """POST /password: change it; all other sessions of the account end."""
    desk: Desk = request.app.state.desk
    form = await fields_of(request)
    person, speak = person_of(request), tongue_of(request)
    old, new = text_of(form, "old"), text_of(form, "new")
    problem = None
    tries: Limiter = request.app.state.tries
    if tries.wait(f"password of {person.id}"):
        problem = speak.say("Too many tries. Wait a minute, then try again.")
    elif new != text_of(form, "again"):
        problem = speak.say("The two new passwords differ.")
    else:
        try:
            token = await run_in_threadpool(
                auth.change_password,
                (desk.store, desk.settings.sessions),
                person,
                (old, new),
                desk.clock(),
                request.client.host if request.client else "",
            )
        except NiiError as error:
            problem = _words(error, speak)
        else:
            response = RedirectResponse("/", 303)
            give_cookie(request, response, token)
            return response
    page = "password.html"
    return await run_in_threadpool(
        lambda: show(request, page, status=422, problem=problem, shortest=passwords.SHORTEST)
    )


def account(request: Request) -> Response:
    """GET /account: what one's account is."""
    desk: Desk = request.app.state.desk
    person, speak = person_of(request), tongue_of(request)
    names = desk.site_names()
    return show(
        request,
        "account.html",
        notice=None,
        roles=terms.said(speak, terms.ROLES),
        sites=", ".join(names.get(each, str(each)) for each in person.sites or ()),
    )


async def language(request: Request) -> Response:
    """POST /language: show the pages in another language from now on."""
    desk: Desk = request.app.state.desk
    form = await fields_of(request)
    code, back = text_of(form, "language"), own_path(text_of(form, "back"))
    if code not in CODES:
        raise HTTPException(422)
    person: Person | None = request.state.person
    if person is not None:
        await run_in_threadpool(desk.set_language, person, code)
    response = RedirectResponse(back, 303)
    secure = request.url.scheme == "https"
    response.set_cookie(
        LANGUAGE_COOKIE, code, max_age=_YEAR_S, secure=secure, httponly=True, samesite="strict"
    )
    return response


async def rest(request: Request) -> Response:
    """POST /break: the time of viewing starts anew."""
    desk: Desk = request.app.state.desk
    form = await fields_of(request)
    await run_in_threadpool(auth.rest, desk.store, person_of(request), desk.clock())
    return RedirectResponse(own_path(text_of(form, "back")), 303)


def _login(
    request: Request, back: str, login: str, problem: str | None, status: int = 200
) -> Response:
    door = request.app.state.door
    return show(
        request,
        "login.html",
        status=status,
        next=back,
        login=login,
        problem=problem,
        provider=door.provider.name if door else None,
    )


def _words(error: NiiError, speak: Tongue) -> str:
    if error.subject == auth.OLD_PASSWORD:
        return speak.say("The password until now is wrong.")
    return speak.say(
        "The new password is too easy to guess: at least %(number)s characters, not all alike, "
        "without the account's name, and not the one until now.",
        number=passwords.SHORTEST,
    )


ROUTES = [
    Route("/login", login_page),
    Route("/login", log_in, methods=["POST"]),
    Route("/logout", log_out, methods=["POST"]),
    Route("/password", password_page),
    Route("/password", change_password, methods=["POST"]),
    Route("/account", account),
    Route("/language", language, methods=["POST"]),
    Route("/break", rest, methods=["POST"]),
]
