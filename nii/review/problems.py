"""Answers to programs that say what is wrong.

Reference:
    RFC 9457 (2023): problem details for HTTP APIs.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import JSONResponse

MEDIA = "application/problem+json"


def problem(
    status: int, detail: str = "", headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return an answer that says what is wrong; without `detail` in the words of the standard."""
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail or title}
    return JSONResponse(body, status, headers=headers, media_type=MEDIA)
