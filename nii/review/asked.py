"""What an address asks the queue for: filters, and the place to go on from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from starlette.exceptions import HTTPException

from nii import taxonomy
from nii.inspection import Level
from nii.review import terms
from nii.store.queue import Query, State, Why

_LARGEST_ID = 2**31 - 1
"""Ids are 32-bit integers in PostgreSQL."""
_LONGEST_PAGE = 200
_LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """Filters of the queue as the address holds them; None does not filter.

    Attributes:
        level: clear, look or search.
        class_name: of a region.
        number: what a container, wagon, plate or manifest number begins with.
        site: id of the site.
        scanner: id of the scanner.
        why: why it waits.
        state: open, decided or all.
        from_day: first day of filing, ISO 8601.
        to_day: last day of filing, ISO 8601.
        after: where the page before ended.
        limit: rows on a page.
    """

    level: str | None = None
    class_name: str | None = None
    number: str | None = None
    site: int | None = None
    scanner: int | None = None
    why: str | None = None
    state: str = "open"
    from_day: str | None = None
    to_day: str | None = None
    after: str | None = None
    limit: int = 30

    @property
    def since(self) -> datetime | None:
        """Return the start of the first day, in UTC."""
        return _start(self.from_day)

    @property
    def until(self) -> datetime | None:
        """Return the end of the last day, in UTC."""
        start = _start(self.to_day)
        return start + timedelta(days=1) if start else None

    def query(self, sites: tuple[int, ...] | None) -> Query:
        """Return what the store is asked for, within these sites."""
        return Query(
            sites=sites,
            site_id=self.site,
            scanner_id=self.scanner,
            level=Level(self.level) if self.level else None,
            class_name=self.class_name,
            document=self.number,
            since=self.since,
            until=self.until,
            state=None if self.state == "all" else State(self.state),
            why=Why(self.why) if self.why else None,
            limit=self.limit,
            after=self.after,
        )

    def as_parameters(self) -> dict[str, object]:
        """Return the filters as parameters of an address, without the place to go on from."""
        return {
            "level": self.level,
            "class": self.class_name,
            "number": self.number,
            "site": self.site,
            "scanner": self.scanner,
            "why": self.why,
            "state": self.state,
            "from": self.from_day,
            "to": self.to_day,
        }


def asked(parameters: Mapping[str, str], page_size: int) -> Asked:
    """Read the filters from the parameters of an address.

    Raises:
        HTTPException: 404 where a value is none of those that exist.
    """
    given = {name: text for name, text in parameters.items() if text}
    limit = number(given["limit"]) if "limit" in given else page_size
    text = given.get("number", "")[:_LONGEST_TEXT]
    return Asked(
        level=_one_of(given, "level", list(Level)),
        class_name=_one_of(given, "class", [row.name for row in taxonomy.classes()]),
        number="".join(text.upper().split()) or None,
        site=number(given["site"]) if "site" in given else None,
        scanner=number(given["scanner"]) if "scanner" in given else None,
        why=_one_of(given, "why", list(terms.WHYS)),
        state=_one_of(given, "state", [*terms.STATES, "all"]) or "open",
        from_day=_day(given.get("from")),
        to_day=_day(given.get("to")),
        after=given.get("after", "")[:_LONGEST_TEXT] or None,
        limit=min(max(limit, 1), _LONGEST_PAGE),
    )


def number(text: str) -> int:
    """Read a whole number that can be an id.

    Raises:
        HTTPException: 404 where it cannot.
    """
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > _LARGEST_ID:
        raise HTTPException(404)
    return int(text)


def _one_of(given: Mapping[str, str], name: str, known: list[str]) -> str | None:
    value = given.get(name)
    if value is not None and value not in known:
        raise HTTPException(404)
    return value


def _day(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise HTTPException(404) from None


def _start(day: str | None) -> datetime | None:
    return datetime.combine(date.fromisoformat(day), time(), UTC) if day else None
