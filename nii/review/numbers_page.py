"""The page of numbers and the same as CSV."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Literal
from urllib.parse import urlencode

from babel.dates import format_date
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nii import taxonomy
from nii.review import numbers, words
from nii.review.accounts import person_of
from nii.review.asked import number as whole_number
from nii.review.auth import Person, Right
from nii.review.charts import Drawing, draw
from nii.review.desk import Desk
from nii.review.language import Tongue
from nii.review.numbers import GROUPINGS, Drift, Numbers, Viewer, Wanted
from nii.review.rendering import show, tongue_of
from nii.store import inspections
from nii.store.statistics import Columns

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHORT = 10
_EARLIEST, _LATEST = date(1970, 1, 1), date(2200, 1, 1)
"""Days outside are slips of the keyboard: assumption."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for, and who asks."""

    person: Person
    viewer: Viewer
    wanted: Wanted


def page(request: Request) -> Response:
    """GET /numbers: totals, charts, tables and what each number means."""
    desk: Desk = request.app.state.desk
    wanted = _asked(request)
    found = measured(request, wanted)
    speak = tongue_of(request)
    labels = _labels(speak, desk, found)
    return show(
        request,
        "numbers.html",
        numbers=found,
        wanted=wanted.wanted,
        groupings=_groupings(speak),
        labels=labels,
        alarm_chart=_chart(speak, speak.say("Alarm rate by day"), found.alarm_rate, percent=True),
        risk_chart=_chart(speak, speak.say("Mean highest score by day"), found.risk, percent=False),
        outside={
            "alarm_rate": [_day(speak, day) for day in found.alarm_rate.outside],
            "risk": [_day(speak, day) for day in found.risk.outside],
        },
        sites=[site for site in found.names.sites.items() if wanted.person.sees(site[0])],
        classes=[(row.name, speak.say(row.label)) for row in taxonomy.in_group("threat")],
        models=[(sha256, labels["model"][sha256]) for sha256 in found.models],
        address=lambda grouping: _csv_address(wanted.wanted, grouping),
        share=lambda value: _percent(speak, value),
    )


def as_csv(request: Request) -> Response:
    """GET /numbers.csv?by=…: one table as CSV, with the filters of the page."""
    grouping = request.query_params.get("by", "day")
    if grouping not in GROUPINGS:
        raise HTTPException(404)
    desk: Desk = request.app.state.desk
    wanted = _asked(request)
    found = measured(request, wanted)
    labels = _labels(tongue_of(request), desk, found)
    names = labels[grouping] if grouping in ("officer", "model") else {}
    text = numbers.csv_text(found, grouping, names)
    name = f"numbers-{grouping}-{wanted.wanted.first}-{wanted.wanted.last}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response("\ufeff" + text, media_type="text/csv; charset=utf-8", headers=headers)


def viewer_of(person: Person) -> Viewer:
    """Say what a person sees: officers the others of their sites as totals only."""
    return Viewer(person.id, person.sites, all_officers=person.role != "officer")


def columns_of(request: Request) -> Columns:
    """Return the columns of the app's store, which all requests share."""
    state = request.app.state
    if not hasattr(state, "columns"):
        state.columns = Columns(state.desk.store)
    columns: Columns = state.columns
    return columns


def _asked(request: Request) -> Asked:
    """Read the filters of a page.

    Raises:
        HTTPException: 403 where numbers are not for this person, 404 where a filter cannot be.
    """
    person = person_of(request)
    if not person.may(Right.NUMBERS):
        raise HTTPException(403)
    parameters = {key: value for key, value in request.query_params.items() if value}
    return asked(request, person, parameters)


def asked(request: Request, person: Person, parameters: Mapping[str, str]) -> Asked:
    """Read filters; the newest month where no days are named, at most `LONGEST_DAYS`.

    Raises:
        HTTPException: 404 where a filter cannot be.
    """
    desk: Desk = request.app.state.desk
    newest = numbers.newest_day(columns_of(request).span(), desk.clock().date())
    last = _date(parameters.get("to"), newest)
    usual = date.fromordinal(max(last.toordinal() - numbers.USUAL_DAYS + 1, 1))
    first = _date(parameters.get("from"), usual)
    site = whole_number(parameters["site"]) if "site" in parameters else None
    name, model = parameters.get("class", ""), parameters.get("model", "")
    known = {row.name for row in taxonomy.classes()}
    wrong = (name and name not in known) or (model and not _SHA256.fullmatch(model))
    wrong = wrong or not _EARLIEST <= first <= last <= _LATEST
    if wrong or (site is not None and not person.sees(site)):
        raise HTTPException(404)
    first = max(first, date.fromordinal(max(last.toordinal() - numbers.LONGEST_DAYS + 1, 1)))
    return Asked(person, viewer_of(person), Wanted(first, last, site, name, model))


def measured(request: Request, wanted: Asked) -> Numbers:
    """Count what a request asks for."""
    return numbers.measure(columns_of(request), wanted.viewer, wanted.wanted)


def _date(text: str | None, other: date) -> date:
    if not text:
        return other
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise HTTPException(404) from error


def _groupings(speak: Tongue) -> dict[str, str]:
    return {
        "site": speak.say("By site"),
        "officer": speak.say("By officer"),
        "class": speak.say("By class"),
        "model": speak.say("By model"),
        "day": speak.say("By day"),
    }


def _labels(speak: Tongue, desk: Desk, found: Numbers) -> dict[str, Mapping[str, str]]:
    """Return words for the keys of every grouping."""
    keys = {name: [line.key for line in lines] for name, lines in found.groups.items()}
    return {
        "site": {key: key or speak.say("no site") for key in keys["site"]},
        "officer": {key: found.officers[key] for key in keys["officer"]},
        "class": {key: words.class_label(speak, key) for key in keys["class"]},
        "model": {key: _model_name(desk, number, key) for key, number in found.models.items()},
        "day": {key: _day(speak, date.fromisoformat(key)) for key in keys["day"]},
    }


def _model_name(desk: Desk, inspection_id: int, sha256: str) -> str:
    filed = inspections.get(desk.store, inspection_id)
    short = sha256[:_SHORT]
    if filed is None:
        return short
    return f"{filed.inspection.model.name} {filed.inspection.model.version} ({short})"


def _chart(speak: Tongue, title: str, drift: Drift, *, percent: bool) -> Markup:
    def say(value: float) -> str:
        return _percent(speak, value) if percent else speak.number(value, 3)

    drawing = Drawing(
        title, drift.days, drift.values, drift.chart, say, lambda day: _day(speak, day, "short")
    )
    return Markup(draw(drawing))  # noqa: S704 - every text in it is escaped there


def _percent(speak: Tongue, value: float | None) -> str:
    return "–" if value is None else speak.number(100 * value, 1) + " %"


def _day(speak: Tongue, day: date, length: Literal["short", "medium"] = "medium") -> str:
    return format_date(datetime.combine(day, time()), length, locale=speak.locale)


def _csv_address(wanted: Wanted, grouping: str) -> str:
    values = {
        "by": grouping,
        "from": wanted.first.isoformat(),
        "to": wanted.last.isoformat(),
        "site": wanted.site,
        "class": wanted.class_name,
        "model": wanted.model,
    }
    return "/numbers.csv?" + urlencode({k: v for k, v in values.items() if v not in (None, "")})


ROUTES = [Route("/numbers", page), Route("/numbers.csv", as_csv)]
"""To be mounted by the app."""
