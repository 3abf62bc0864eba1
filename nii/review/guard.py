"""What every request passes before anything else, and the headers that every answer carries.

A browser sends our cookie with whatever another page makes it ask, so the cookie alone never
suffices to change something: the Host header must name this server (against DNS rebinding), a
request that changes something must come from our own pages (Origin and Sec-Fetch-Site), and its
body must have a known size. A program that sends a token of its own instead of a cookie cannot be
led by another site, so it needs no Origin.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nii.review.problems import problem

BODY_LIMIT_BYTES = 64 << 10
"""Highest size of a request: a form of a few thousand characters."""
SCAN_LIMIT_BYTES = 2 << 30
"""Highest size of a request that brings a scan."""
SCANS_PATH = "/api/v1/scans"
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
_SAFE_METHODS = ("GET", "HEAD")
_POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Referrer-Policy is not no-referrer: with that, a browser sends "Origin: null" with our own forms.
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_STRICT_TRANSPORT = "max-age=31536000"


@dataclass(frozen=True, slots=True)
class Guard:
    """Stand before the app: refuse what must not reach it, add the headers to every answer."""

    app: ASGIApp
    hosts: frozenset[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
                if scope["scheme"] == "https":
                    headers["Strict-Transport-Security"] = _STRICT_TRANSPORT
            await send(message)

        refusal = refuse(scope, self.hosts)
        answer = self.app if refusal is None else refusal
        await answer(scope, receive, send_with_headers)


def refuse(scope: Scope, hosts: frozenset[str]) -> Response | None:
    """Return the answer to a request that must not reach the app, or None if it may."""
    headers = Headers(scope=scope)
    given = headers.getlist("host")
    if len(given) != 1 or (_name(given[0]) or "") not in hosts:
        return PlainTextResponse("This host name is not served.\n", 421)
    if scope["method"] in _SAFE_METHODS:
        return None
    api = scope["path"].startswith("/api/")
    bare = api and "cookie" not in headers  # carries nothing that another site could make use of
    own = bare or bearer(headers) or _own_page(headers, f"{scope['scheme']}://{given[0]}")
    if not own:
        return _say(403, "Only our own pages may change something.", api=api)
    if scope["method"] == "DELETE" and not {"content-length", "transfer-encoding"} & set(headers):
        return None  # it has no body
    return _refuse_size(headers, scope["path"])


def bearer(headers: Headers) -> str | None:
    """Return the token that a program sends in place of a cookie, or None."""
    given = headers.getlist("authorization")
    kind, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return token.strip() if kind.lower() == "bearer" and token.strip() else None


def _own_page(headers: Headers, origin: str) -> bool:
    site = headers.get("sec-fetch-site", "same-origin")
    return headers.getlist("origin") == [origin] and site == "same-origin"


def _say(status: int, text: str, *, api: bool) -> Response:
    return problem(status, text) if api else PlainTextResponse(f"{text}\n", status)


def _refuse_size(headers: Headers, path: str) -> Response | None:
    api = path.startswith("/api/")
    size = headers.get("content-length", "")
    if not (size.isascii() and size.isdigit()) or "transfer-encoding" in headers:
        return _say(411, "The size of the request is missing.", api=api)
    limit = SCAN_LIMIT_BYTES if path == SCANS_PATH else BODY_LIMIT_BYTES
    if int(size[:20]) > limit:
        return _say(413, "The request is too large.", api=api)
    return None


def _name(host: str) -> str | None:
    """Return the host name of a Host header without its port; None if it is none."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    return parts.hostname if parts.netloc == host and "@" not in host else None
