"""Who asks: every request is tied to a person before a page or the API sees it.

A browser proves it with the cookie of a session, a program with a token. What needs no person is
listed here; everything else is closed to strangers.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

import sqlalchemy as sa
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from nii.review import auth, guard
from nii.review.auth import Person
from nii.review.desk import Desk
from nii.review.limits import Limiter, Rate
from nii.review.problems import problem

OPEN = ("/login", "/language", "/healthz", "/oidc/start", "/oidc/back", "/api/v1/openapi.json")
"""Paths for everybody; and all below ``/static/``."""
FIRST = ("/password", "/logout", "/language")
"""Paths that somebody with a one-time password may use."""
STRANGERS = Rate(burst=300, per_second=20.0)
"""Requests without session or token, by address: assumption, a shift that begins behind a proxy."""
KNOWN = Rate(burst=2000, per_second=200.0)
"""Requests of one session or token: a viewer asks for hundreds of tiles at once."""


BUSY = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError)
"""What the database says while it is locked, restarted, full or away."""
BUSY_TEXT = "The database does not answer at the moment. Nothing was stored by halves; try again."
RETRY = {"Retry-After": "2"}


def cookie_name(scheme: str) -> str:
    """Return the name of the session's cookie; browsers keep ``__Host-`` to this very host."""
    return "__Host-nii" if scheme == "https" else "nii-session"


@dataclass(frozen=True, slots=True)
class Identity:
    """Find out who asks, and turn strangers away."""

    app: ASGIApp
    desk: Desk
    strangers: Limiter
    known: Limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"].startswith("/static/"):
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        try:
            person = await run_in_threadpool(self._person, request)
        except BUSY:
            await problem(503, BUSY_TEXT, RETRY)(scope, receive, send)
            return
        scope.setdefault("state", {})["person"] = person
        answer = self._too_fast(request, person) or _refuse(request, person) or self.app
        await answer(scope, receive, send)

    def _person(self, request: Request) -> Person | None:
        now = self.desk.clock()
        token = guard.bearer(request.headers)
        if token is not None:
            return auth.person_of_token(self.desk.store, token, now)
        if "authorization" in request.headers:
            return None
        cookie = request.cookies.get(cookie_name(request.url.scheme))
        if not cookie:
            return None
        return auth.person_of_session(self.desk.store, self.desk.settings.sessions, cookie, now)

    def _too_fast(self, request: Request, person: Person | None) -> Response | None:
        if person is None:
            address = request.client.host if request.client else ""
            wait = self.strangers.wait(address)
        else:
            wait = self.known.wait(person.session or f"token of {person.id}")
        if not wait:
            return None
        headers = {"Retry-After": str(int(wait) + 1)}
        return problem(429, "Too many requests; wait a little.", headers)


def _refuse(request: Request, person: Person | None) -> Response | None:
    path = request.url.path
    api = path.startswith("/api/")
    if person is None:
        if path in OPEN:
            return None
        if api:
            headers = {"WWW-Authenticate": "Bearer"}
            return problem(401, "Log in, or send a valid token.", headers)
        if request.method not in ("GET", "HEAD"):
            return RedirectResponse("/login", 303)
        wanted = path + (f"?{request.url.query}" if request.url.query else "")
        back = "" if wanted in ("/", "/logout", "/events") else f"?next={quote(wanted)}"
        return RedirectResponse(f"/login{back}", 303)
    if person.must_change and path not in FIRST:
        if api:
            return problem(403, "Change the one-time password first.")
        return RedirectResponse("/password", 303)
    return None
