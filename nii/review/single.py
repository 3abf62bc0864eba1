"""Single sign-on: the pages that lead to the organisation's log-in and back."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from nii.errors import ConfigError, NiiError
from nii.review import auth
from nii.review.accounts import give_cookie
from nii.review.desk import Desk, ReviewSettings
from nii.review.rendering import show, tongue_of

if TYPE_CHECKING:
    from nii.review.oidc import Door

SECRET_VARIABLE = "NII_OIDC_SECRET"  # noqa: S105 - the name, not the secret
_COOKIE = "nii-oidc"
_PATIENCE_S = 600


def door_of(settings: ReviewSettings) -> Door | None:
    """Return where log-ins with OpenID Connect begin; None where none is set up.

    Raises:
        ConfigError: the secret is not in the environment.
        MissingExtraError: the extra [oidc] is not installed.
    """
    if not settings.oidc_issuer:
        return None
    from nii.review.oidc import Door, Provider  # noqa: PLC0415 - an optional extra

    secret = os.environ.get(SECRET_VARIABLE, "")
    if not secret or not settings.oidc_client:
        raise ConfigError(
            "OpenID Connect",
            found="no client or no secret",
            expected=f"the client's name, and its secret in {SECRET_VARIABLE}",
            remedy="Register this web app at the provider.",
        )
    name = settings.oidc_name or settings.oidc_issuer
    return Door(Provider(settings.oidc_issuer, settings.oidc_client, secret, name))


async def start(request: Request) -> Response:
    """GET /oidc/start: go to the provider."""
    door = _door(request)
    browser = secrets.token_urlsafe(24)
    try:
        address = await run_in_threadpool(door.start, _back(request), browser)
    except NiiError as error:
        return _failed(request, error)
    response = RedirectResponse(address, 303)
    # Lax, not strict: the provider's page leads back here.
    response.set_cookie(
        _COOKIE,
        browser,
        max_age=_PATIENCE_S,
        path="/oidc",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return response


async def back(request: Request) -> Response:
    """GET /oidc/back: open a session for whom the provider vouches."""
    desk: Desk = request.app.state.desk
    given = request.query_params
    try:
        proven = await run_in_threadpool(
            _door(request).finish,
            given.get("state", ""),
            given.get("code", ""),
            given.get("iss"),
            request.cookies.get(_COOKIE, ""),
        )
    except NiiError as error:
        return _failed(request, error)
    token = await run_in_threadpool(
        auth.log_in_proven,
        desk.store,
        desk.settings.sessions,
        (proven.subject, proven.login),
        desk.clock(),
        request.client.host if request.client else "",
    )
    if token is None:
        message = tongue_of(request).say("There is no open account for you here.")
        return show(request, "error.html", status=403, message=message, advice=None)
    # A page, not a redirect: the browser would not send the strict cookie on the way from afar.
    response = show(request, "welcome.html")
    give_cookie(request, response, token)
    response.delete_cookie(_COOKIE, path="/oidc")
    return response


def _door(request: Request) -> Door:
    door: Door | None = request.app.state.door
    if door is None:
        raise HTTPException(404)
    return door


def _back(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers['host']}/oidc/back"


def _failed(request: Request, error: NiiError) -> Response:
    message = tongue_of(request).say("The log-in did not work.")
    return show(request, "error.html", status=403, message=message, advice=str(error))


ROUTES = [Route("/oidc/start", start), Route("/oidc/back", back)]
