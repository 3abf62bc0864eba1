"""The numbers for programs: the same counts, shares and limits as on the page."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException

from nii.review.auth import Right
from nii.review.numbers import GROUPINGS, SHARE_NAMES, Line, Numbers, Share, line
from nii.review.numbers_page import asked, measured
from nii.review.operations import Call, Operation
from nii.review.schema import Schema

_DAY: Schema = {"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "description": "Day."}
_QUERY: dict[str, Schema] = {
    "by": {"type": "string", "enum": list(GROUPINGS), "default": "day", "description": "Grouping."},
    "from": _DAY,
    "to": _DAY,
    "site": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1, "description": "Id of a site."},
    "class": {"type": "string", "maxLength": 64, "description": "Class that is highlighted."},
    "model": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "SHA-256 of a model."},
}
_NUMBER: Schema = {"type": ["number", "null"]}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_SHARE: Schema = {
    "type": "object",
    "required": ["value", "of", "low95", "high95"],
    "properties": {"value": _NUMBER, "of": _COUNT, "low95": _NUMBER, "high95": _NUMBER},
}
_RATES = ("hits_per_1000", "seconds_p50", "seconds_p95")
_LINE: Schema = {
    "type": "object",
    "required": ["key", "scans", "alarms", "decided", "found", *SHARE_NAMES, *_RATES],
    "properties": {
        "key": {"type": "string"},
        **dict.fromkeys(("scans", "alarms", "decided", "found"), _COUNT),
        **dict.fromkeys(SHARE_NAMES, _SHARE),
        **dict.fromkeys(_RATES, _NUMBER),
    },
}
_ANSWER: Schema = {
    "type": "object",
    "required": ["from", "to", "total", "groups", "outside_alarm_rate", "outside_risk"],
    "properties": {
        "from": {"type": "string"},
        "to": {"type": "string"},
        "total": _LINE,
        "groups": {"type": "array", "items": _LINE},
        "outside_alarm_rate": {"type": "array", "items": {"type": "string"}},
        "outside_risk": {"type": "array", "items": {"type": "string"}},
    },
}


def numbers(call: Call) -> dict[str, Any]:
    """Return totals, one grouping, and the days outside their control limits."""
    grouping = str(call.query["by"])
    given = {name: str(value) for name, value in call.query.items() if value is not None}
    try:
        wanted = asked(call.request, call.person, given)
    except HTTPException:
        raise HTTPException(400, "A parameter has a value that there is not.") from None
    found = measured(call.request, wanted)
    return {
        "from": wanted.wanted.first.isoformat(),
        "to": wanted.wanted.last.isoformat(),
        "total": _plain("", found.total),
        "groups": [_plain(_key(found, grouping, one), one) for one in found.groups[grouping]],
        "outside_alarm_rate": [day.isoformat() for day in found.alarm_rate.outside],
        "outside_risk": [day.isoformat() for day in found.risk.outside],
    }


def _key(found: Numbers, grouping: str, one: Line) -> str:
    return found.officers[one.key] if grouping == "officer" else one.key


def _plain(key: str, one: Line) -> dict[str, Any]:
    whole = line(one.key, one.counts)
    counts = {name: getattr(one.counts, name) for name in ("scans", "alarms", "decided", "found")}
    shares = {name: _share(whole.shares[name]) for name in SHARE_NAMES}
    rates = (whole.hits_per_1000, whole.p50, whole.p95)
    return {"key": key, **counts, **shares, **dict(zip(_RATES, rates, strict=True))}


def _share(share: Share) -> dict[str, Any]:
    return {"value": share.value, "of": share.trials, "low95": share.low, "high95": share.high}


NUMBERS = Operation(
    "getNumbers",
    "GET",
    "/numbers",
    Right.NUMBERS,
    "Counts and rates with exact intervals; what each means stands on the page of numbers.",
    numbers,
    _ANSWER,
    query=_QUERY,
)
"""To be listed among the operations."""
