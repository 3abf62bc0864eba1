"""Pages put together: templates, one environment for each language, and what every page shows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from nii import taxonomy
from nii.review import words
from nii.review.language import LANGUAGES, Tongue, preferred, tongue

TEMPLATES = Path(__file__).with_name("templates")
LANGUAGE_COOKIE = "nii-language"
_NO_COLOUR = (220, 220, 220)


def show(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: object,
) -> Response:
    """Return a page; texts that no browser can show are replaced, not refused."""
    person = getattr(request.state, "person", None)
    page = _environment(tongue_of(request).code).get_template(template)
    text = page.render(
        status=status,
        person=person,
        here=request.url.path,
        break_minutes=request.app.state.desk.settings.break_minutes,
        **values,
    )
    return HTMLResponse(text.encode("utf-8", "replace"), status, headers=headers)


def tongue_of(request: Request) -> Tongue:
    """Return the language to answer in: of the account, of the cookie, or of the browser."""
    person = getattr(request.state, "person", None)
    if person is not None:
        return tongue(person.language)
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    return tongue(chosen or preferred(request.headers.get("accept-language", "")))


def colour(class_name: str) -> str:
    """Return the colour of a class for the browser; grey for a class that is no longer known."""
    known = {row.name: row.colour for row in taxonomy.classes()}
    return "#{:02x}{:02x}{:02x}".format(*known.get(class_name, _NO_COLOUR))


@cache
def _environment(code: str) -> Environment:
    speak = tongue(code)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        _=speak.say, languages=LANGUAGES, lang=speak.code, timedelta=timedelta, level_of=_level
    )
    environment.filters.update(
        colour=colour,
        said=lambda text: words.translate(speak, text),
        class_label=lambda name: words.class_label(speak, name),
        moment=speak.moment,
        number=speak.number,
        percent=speak.percent,
        span=speak.span,
    )
    return environment


def _level(rank: int) -> str:
    """Return the level with this urgency: clear, look or search."""
    return ("clear", "look", "search")[rank]


def texts_for(speak: Tongue, table: Mapping[str, str]) -> dict[str, Any]:
    """Return a table of texts for a script, in a language."""
    return {key: speak.say(text) for key, text in table.items()}
